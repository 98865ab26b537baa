"""The letterbox shows each letter once, keeps the order, and deletes with nothing left."""

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.errors import NoSuchContact
from peer.items.kinds import File
from peer.letterbox import Letterbox, Shown, content_of
from peer.ways.sending import Sending
from tests.peer.household import (
    Box,
    Household,
    Phone,
    befriend,
    household,
    texts,
)
from tests.peer.ways.test_outgoing import Clock, Desk, desks
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


# The order, whatever a gateway does


def letterbox(desk: Desk) -> Letterbox:
    return Letterbox(desk.store, desk.me, Sending(desk.store, desk.me, now=desk.clock))


def said(letters: list[Shown]) -> list[str]:
    return [one.text for one in letters]


@settings(max_examples=20, deadline=None)
@given(
    came=st.permutations(range(6)),
    hours=st.lists(st.integers(-9, 9), min_size=6, max_size=6),
)
def test_however_letters_come_they_are_told_as_their_author_wrote_them(
    came: list[int], hours: list[int]
) -> None:
    with TemporaryDirectory() as folder, desks(Path(folder)) as (ana, ben):
        ana.clock, noon = Clock(), ben.clock.now
        ana.start()
        texts = [str(number) for number in range(6)]
        for text, hour in zip(texts, hours, strict=True):
            ana.clock.now = noon + 3600 * hour  # a clock that is set, and wrongly
            ana.put(ben, text)
        sent = ana.post()
        ben.take(*(sent[one] for one in came[:3]))
        early = said(letterbox(ben).unshown())
        ben.take(*(sent[one] for one in came[3:]))
        late = said(letterbox(ben).unshown())

        assert early == sorted(early)
        assert late == sorted(late)
        assert said(letterbox(ben).everything()) == texts


def test_a_letter_that_comes_after_a_later_one_says_so(tmp_path: Path) -> None:
    with desks(tmp_path) as (ana, ben):
        for text in ("one", "two", "three"):
            ana.put(ben, text)
        one, two, three = ana.post()
        box = letterbox(ben)
        ben.take(two)
        assert [(it.text, it.late) for it in box.unshown()] == [("two", False)]
        ben.take(three, one)

        assert [(it.text, it.late) for it in box.unshown()] == [("one", True), ("three", False)]
        assert [(it.text, it.late) for it in box.everything()] == [
            ("one", False),
            ("two", False),
            ("three", False),
        ]


def test_what_is_sent_again_takes_the_place_it_had(tmp_path: Path) -> None:
    with desks(tmp_path) as (ana, ben):
        for text in ("one", "two", "three"):
            ana.put(ben, text)
        _, two, three = ana.post()
        ben.take(two, three)
        ben.gaps.ask()
        ana.take(*ben.post())
        ben.take(*ana.post())

        assert said(letterbox(ben).everything()) == ["one", "two", "three"]


@pytest.mark.parametrize("slow", [0.0, 50.0, 500.0])
def test_an_answer_stands_after_its_question_with_a_slow_clock(tmp_path: Path, slow: float) -> None:
    with desks(tmp_path) as (ana, ben):
        ana.clock = Clock(ben.clock.now - slow)
        ana.start()
        ben.put(ana, "are you hungry?")
        ana.take(*ben.post())
        ana.put(ben, "yes")
        ben.take(*ana.post())

        assert said(letterbox(ana).everything()) == ["are you hungry?", "yes"]
        assert said(letterbox(ben).everything()) == ["are you hungry?", "yes"]


def test_a_letter_from_the_future_stands_where_it_came(tmp_path: Path) -> None:
    with desks(tmp_path) as (ana, ben):
        ana.clock = Clock(ben.clock.now + 86_400)
        ana.start()
        ana.put(ben, "from tomorrow")
        ben.take(*ana.post())
        ben.clock.now += 60
        ben.put(ana, "a minute later")

        assert said(letterbox(ben).everything()) == ["from tomorrow", "a minute later"]
