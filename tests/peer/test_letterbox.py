"""The letterbox shows each letter once, keeps the order, and deletes with nothing left."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.errors import NoSuchContact
from peer.items.kinds import File
from peer.letterbox import content_of
from tests.peer.household import (
    Box,
    Household,
    Phone,
    befriend,
    household,
    texts,
)
from wire.codec import encode
from wire.errors import WireError


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def three(house: Household) -> tuple[Box, Phone, Phone, Phone]:
    """Return a box, and Ana who knows Ben and Carol."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    carol = await house.phone("Carol", box)
    await befriend(ana, ben)
    await befriend(ana, carol)
    return box, ana, ben, carol


async def everything(phone: Phone, name: str | None = None) -> list[str]:
    """Return the texts of all letters, oldest first."""
    reading = await phone.peer.read(name, everything=True)
    assert reading.away is None
    return [one.text for one in reading.letters]


async def test_each_letter_is_new_once(house: Household) -> None:
    _, ana, ben, carol = await three(house)
    await ben.peer.send("Ana", "from Ben")
    await carol.peer.send("Ana", "from Carol")

    assert await texts(ana) == ["from Ben", "from Carol"]
    assert await texts(ana) == []
    assert await everything(ana) == ["from Ben", "from Carol"]


async def test_letters_of_one_contact_leave_those_of_others_new(house: Household) -> None:
    _, ana, ben, carol = await three(house)
    await ben.peer.send("Ana", "from Ben")
    await carol.peer.send("Ana", "from Carol")
    only = (await ana.peer.read("ben")).letters

    assert [(one.contact, one.text) for one in only] == [("Ben", "from Ben")]
    assert await everything(ana, "Ben") == ["from Ben"]
    assert await texts(ana) == ["from Carol"]


async def test_looking_at_everything_counts_as_seen(house: Household) -> None:
    _, ana, ben, _ = await three(house)
    await ben.peer.send("Ana", "hello")

    assert await everything(ana) == ["hello"]
    assert await texts(ana) == []


async def test_a_letter_whose_receipt_was_lost_is_not_new_again_after_a_restart(
    house: Household,
) -> None:
    box, ana, ben, _ = await three(house)
    await ben.peer.send("Ana", "hello")
    box.line.lose("POST /v1/mailbox/ack", times=4)
    await ana.restart()
    first = await ana.peer.read()
    box.line.accidents.clear()
    await ana.restart()

    assert [one.text for one in first.letters] == ["hello"]
    assert await texts(ana) == []


async def test_both_sides_are_told_in_the_order_of_this_phone(house: Household) -> None:
    _, ana, ben, _ = await three(house)
    await ana.peer.send("Ben", "are you hungry?")
    assert await texts(ben) == ["are you hungry?"]
    await ben.peer.send("Ana", "yes")
    await ana.peer.read()
    await ana.peer.send("Ben", "soup is on")
    letters = (await ana.peer.read(everything=True)).letters

    assert [(one.outgoing, one.text) for one in letters] == [
        (True, "are you hungry?"),
        (False, "yes"),
        (True, "soup is on"),
    ]
    assert [one.number for one in letters] == sorted({one.number for one in letters})


async def test_a_letter_of_mine_says_where_it_is(house: Household) -> None:
    box, ana, _, _ = await three(house)
    await ana.peer.send("Ben", "one")
    await box.stop()
    await ana.peer.send("Ben", "two")
    letters = (await ana.peer.read(everything=True)).letters

    assert [one.state for one in letters] == [
        "at Ben’s gateway",
        "waiting here: Ben’s gateway does not answer",
    ]


async def test_a_letter_says_when_its_author_wrote_it(house: Household) -> None:
    _, ana, ben, _ = await three(house)
    written = house.hands.now()
    await ben.peer.send("Ana", "hello")
    house.hands.live(7200.0)
    [letter] = (await ana.peer.read()).letters

    assert letter.written == pytest.approx(written, abs=2)
    assert letter.came == pytest.approx(written + 7200, abs=2)


async def test_a_letter_goes_by_the_name_that_i_gave(house: Household) -> None:
    _, ana, ben, _ = await three(house)
    await ben.peer.send("Ana", "hello")
    ana.peer.rename("Ben", "My neighbour")
    [letter] = (await ana.peer.read()).letters

    assert letter.contact == "My neighbour"
    assert not letter.unknown


async def test_a_forgotten_contact_leaves_no_word_in_the_file(house: Household) -> None:
    _, ana, ben, carol = await three(house)
    await ben.peer.send("Ana", "rosebud", File("sledge.txt", "text/plain", b"needle-in-a-file"))
    await ana.peer.send("Ben", "tulip-in-return")
    await carol.peer.send("Ana", "violet-stays")
    await ana.peer.read()
    await ana.peer.forget("Ben")

    assert await everything(ana) == ["violet-stays"]
    await ana.close()
    on_disk = b"".join(one.read_bytes() for one in ana.home.iterdir())
    for word in (b"rosebud", b"needle-in-a-file", b"tulip-in-return"):
        assert word not in on_disk
    assert b"violet-stays" in on_disk
    await ana.open()
    with pytest.raises(NoSuchContact):
        await ana.peer.read("Ben")


async def test_a_letter_is_kept_as_it_came(house: Household) -> None:
    _, ana, ben, _ = await three(house)
    await ben.peer.send("Ana", "\x1b[2J\u202e")

    assert await texts(ana) == ["\x1b[2J\u202e"]  # only screens change what they show


@pytest.mark.parametrize("raw", [b"", b"\xff", encode([b"x"]), encode({0: 1})])
def test_what_was_never_kept_as_an_item_is_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        content_of(raw)
