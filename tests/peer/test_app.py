"""What a person can do with a phone, with gateways that really listen."""

import asyncio
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.app import Arrived, Reading, open_peer
from peer.errors import (
    BadCode,
    Blocked,
    EmptyName,
    NoPerson,
    NoSuchContact,
    NothingToSend,
    NotPaired,
    PersonExists,
    TooLarge,
    WrongGateway,
)
from peer.items.kinds import File
from peer.ways.furnishing import at_home
from tests.peer.household import (
    Box,
    Household,
    Phone,
    When,
    befriend,
    household,
    texts,
    they_write,
)
from wire.lanes import LaneRight, LaneSecret, WakeRule
from wire.places import Place

MINUTE = 60.0


@pytest.fixture(name="home")
async def _home(tmp_path: Path) -> AsyncIterator[Household]:
    async with household(tmp_path) as made:
        yield made


async def two(home: Household) -> tuple[Box, Phone, Phone]:
    """Return a box, and Anna and Ben, who are paired with it and know each other."""
    box = await home.box()
    anna, ben = await home.phone("Anna", box), await home.phone("Ben", box)
    await befriend(anna, ben)
    return box, anna, ben


async def read(phone: Phone, *, everything: bool = False) -> Reading:
    reading = await phone.peer.read(everything=everything)
    assert reading.away is None, reading.away
    return reading


async def wipe(home: Household, box: Box) -> Box:
    """Delete a box's data; return a new one at the same place."""
    await box.stop()
    shutil.rmtree(box.folder)
    fresh = await home.box(place=box.place)
    await fresh.stop()
    fresh.port = box.port
    await fresh.start()
    return fresh


async def test_where_nobody_is_nothing_is_opened(tmp_path: Path) -> None:
    with pytest.raises(NoPerson, match="begin with"):
        async with open_peer(tmp_path / "phone"):
            pass
    assert not (tmp_path / "phone").exists()


async def test_a_second_person_does_not_replace_the_first(home: Household) -> None:
    anna = await home.phone("Anna")

    with pytest.raises(PersonExists):
        anna.peer.begin("Eve")
    with pytest.raises(EmptyName):
        (await home.phone("x")).peer.begin(" \u200b\n")
    assert anna.peer.name == "Anna"


async def test_a_phone_that_is_not_paired_says_so(home: Household) -> None:
    anna = await home.phone("Anna")

    with pytest.raises(NotPaired, match="pair CODE"):
        await anna.peer.move_gateway("127.0.0.1")
    reading = await anna.peer.read()
    assert (reading.letters, reading.away) == ((), None)
    assert (await anna.peer.status())["gateway"] == "none"


async def test_letters_go_both_ways_and_are_shown_once(home: Household) -> None:
    _, anna, ben = await two(home)

    await they_write(anna, ben)
    await they_write(ben, anna, tag="again")


async def test_the_first_letter_never_touches_the_public_prekeys(home: Household) -> None:
    box, anna, ben = await two(home)
    await they_write(anna, ben)

    assert "POST /v1/prekeys/fetch" not in box.line.names()


async def test_letters_are_deposited_without_login_on_connections_of_their_own(
    home: Household,
) -> None:
    box, anna, ben = await two(home)
    await they_write(anna, ben)
    logged_in = {one.caller for one in box.line.requests if "authorization" in one.headers}
    deposits = [one for one in box.line.requests if one.name == "POST /v1/deposit"]

    assert len(deposits) == 2
    assert not any("authorization" in one.headers for one in deposits)
    assert not {one.caller for one in deposits} & logged_in


async def test_a_photo_arrives_as_it_was_sent(home: Household) -> None:
    _, anna, ben = await two(home)
    photo = File("holiday.jpg", "image/jpeg", bytes(range(256)) * 3000)
    await anna.peer.send("Ben", "look", photo)
    [letter] = (await read(ben)).letters

    assert letter.file == photo
    assert letter.text == "look"


async def test_what_is_too_large_is_refused_before_anything_is_stored(home: Household) -> None:
    _, anna, _ben = await two(home)

    with pytest.raises(TooLarge, match="larger things cannot be sent yet"):
        await anna.peer.send("Ben", "", File("film.mp4", "video/mp4", bytes(1_000_001)))
    with pytest.raises(TooLarge):
        await anna.peer.send("Ben", "a" * 70_000)
    assert (await read(anna, everything=True)).letters == ()


async def test_nobody_of_that_name_is_said_with_those_there_are(home: Household) -> None:
    _, anna, _ben = await two(home)

    with pytest.raises(NoSuchContact, match="your contacts are: Ben"):
        await anna.peer.send("Bob", "hello")


async def test_while_the_gateway_is_off_letters_wait_here_and_then_go(home: Household) -> None:
    box, anna, ben = await two(home)
    await box.stop()
    states = [await anna.peer.send("Ben", str(number)) for number in range(3)]
    away = (await ben.peer.read()).away
    waiting = (await anna.peer.status())["letters_waiting"]
    await box.start()
    await anna.peer.status()

    assert {one.text for one in states} == {"waiting here: Ben’s gateway does not answer"}
    assert away is not None
    assert "no gateway answers" in away
    assert waiting == 3
    assert await texts(ben) == ["0", "1", "2"]


async def test_an_answer_that_is_lost_does_not_double_a_letter(home: Household) -> None:
    box, anna, ben = await two(home)
    box.line.lose("POST /v1/deposit", times=2)
    state = await anna.peer.send("Ben", "once")
    await anna.peer.status()

    assert state.waiting
    assert await texts(ben) == ["once"]


async def test_a_letter_that_was_collected_but_not_acknowledged_is_shown_once(
    home: Household,
) -> None:
    box, anna, ben = await two(home)
    await anna.peer.send("Ben", "once")
    box.line.lose("POST /v1/mailbox/ack", times=2)
    first = await ben.peer.read()
    second = await ben.peer.read()

    assert [one.text for one in first.letters] == ["once"]
    assert first.away is not None
    assert second.letters == ()


async def test_a_letter_that_the_gateway_lost_is_asked_for_and_comes(home: Household) -> None:
    _box, anna, ben = await two(home)
    await they_write(anna, ben)
    for number in range(3):
        await anna.peer.send("Ben", str(number))
    lose_parcels(_box, keep=1)
    reading = await read(ben)
    await read(anna)
    later = await read(ben)

    assert [one.text for one in reading.letters] == ["2"]
    assert [(one.contact, one.count) for one in reading.missing] == [("Anna", 2)]
    assert [one.text for one in later.letters] == ["0", "1"]
    assert later.missing == ()


def lose_parcels(box: Box, *, keep: int) -> None:
    """Let a malicious owner delete all but the newest parcels from the store."""
    with sqlite3.connect(box.folder / "gateway.sqlite", timeout=10) as store:
        store.execute(
            "DELETE FROM parcel WHERE number NOT IN"
            " (SELECT number FROM parcel ORDER BY number DESC LIMIT ?)",
            (keep,),
        )
    store.close()


async def test_after_thirty_days_what_is_asked_for_is_gone(home: Household) -> None:
    box, anna, ben = await two(home)
    await they_write(anna, ben)
    await anna.peer.send("Ben", "old")
    lose_parcels(box, keep=0)
    home.hands.live(31 * 86_400.0)
    await anna.peer.send("Ben", "new")
    reading = await read(ben)
    await read(anna)
    later = await read(ben)

    assert [one.text for one in reading.letters] == ["new"]
    assert reading.missing != ()
    assert (later.letters, later.missing) == ((), ())


async def test_a_gateway_that_was_wiped_is_replaced_and_nothing_is_lost(home: Household) -> None:
    box, anna, ben = await two(home)
    await they_write(anna, ben)
    await anna.peer.send("Ben", "not collected")
    fresh = await wipe(home, box)
    with pytest.raises(WrongGateway, match="pair with it again"):
        await anna.peer.move_gateway(str(box.place))
    for phone in (anna, ben):
        await fresh.pair(phone)
    letters = []
    for _ in range(3):  # cards, then what is missing, then the letter
        letters += [one.text for one in (await read(ben)).letters]
        assert (await read(anna)).letters == ()

    assert letters == ["not collected"]
    await they_write(anna, ben, tag="at the new one")


async def test_after_a_wipe_letters_wait_for_whoever_pairs_last(home: Household) -> None:
    box, anna, ben = await two(home)
    fresh = await wipe(home, box)
    await fresh.pair(anna)
    state = await anna.peer.send("Ben", "are you there?")
    await fresh.pair(ben)
    await anna.peer.status()

    assert state.text == "waiting here: somebody else answers where Ben’s gateway should be"
    assert [one.text for one in (await read(ben)).letters] == ["are you there?"]


async def test_a_contact_learns_from_the_card_where_a_gateway_is_now(home: Household) -> None:
    box, anna, ben = await two(home)
    other = await home.box()
    await other.pair(ben)
    await read(anna)
    deposits = len([one for one in box.line.names() if one == "POST /v1/deposit"])
    state = await anna.peer.send("Ben", "found you")

    assert state.text == "at Ben’s gateway"
    assert await texts(ben) == ["found you"]
    assert len([one for one in box.line.names() if one == "POST /v1/deposit"]) == deposits


async def test_a_box_at_another_address_is_found_without_pairing_again(home: Household) -> None:
    box, anna, ben = await two(home)
    await box.stop()
    await box_moves(box)
    waiting = await anna.peer.send("Ben", "where is it?")
    for phone in (anna, ben):
        await phone.peer.move_gateway(f"127.0.0.1:{box.port}")
    await anna.peer.status()

    assert waiting.waiting
    assert "where is it?" in [one.text for one in (await read(ben)).letters]


async def box_moves(box: Box) -> None:
    """Let a box come back at another address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        box.port = probe.getsockname()[1]
    box.place = Place("127.0.0.1", box.port)
    await box.start()


async def test_a_card_stays_small_however_often_the_box_moves(home: Household) -> None:
    box, anna, ben = await two(home)
    for _ in range(12):
        await box.stop()
        await box_moves(box)
        await anna.peer.move_gateway(f"127.0.0.1:{box.port}")
    await ben.peer.move_gateway(f"127.0.0.1:{box.port}")
    carol = await home.phone("Carol")
    await box.pair(carol)

    await befriend(anna, carol)
    await read(ben)
    await they_write(anna, carol)


async def test_whoever_is_blocked_reaches_nobody_and_learns_nothing(home: Household) -> None:
    _, anna, ben = await two(home)
    await they_write(anna, ben)
    assert await ben.peer.block("anna")
    state = await anna.peer.send("Ben", "hello?")

    assert state.text == "waiting here: Ben’s gateway takes no letters from you just now"
    assert await texts(ben) == []
    with pytest.raises(Blocked):
        await ben.peer.send("Anna", "no")


async def test_blocking_while_the_box_is_off_is_made_good_later(home: Household) -> None:
    box, anna, ben = await two(home)
    await box.stop()
    known = await ben.peer.block("Anna")
    await box.start()
    await ben.peer.read()

    assert not known
    assert (await anna.peer.send("Ben", "hello?")).waiting


async def test_whoever_was_forgotten_and_met_again_is_read(home: Household) -> None:
    _, anna, ben = await two(home)
    await they_write(anna, ben)
    await ben.peer.forget("Anna")
    assert (await read(ben, everything=True)).letters == ()
    home.hands.live(15 * MINUTE)
    await befriend(ben, anna)

    await they_write(anna, ben, tag="after all")


async def test_a_name_is_mine_to_choose(home: Household) -> None:
    _, anna, ben = await two(home)
    anna.peer.rename("ben", "Benjamin from work")

    assert [one.name for one in anna.peer.contacts.all()] == ["Benjamin from work"]
    assert (await anna.peer.send("benjamin from WORK", "hi")).contact == "Benjamin from work"
    assert [one.contact for one in (await read(ben)).letters] == ["Anna"]


@pytest.mark.parametrize("text", ["", "hello", "HPG1:", "HPG1:AAAA", "https://example.org"])
async def test_what_is_no_code_is_refused_in_words(home: Household, text: str) -> None:
    _, anna, _ben = await two(home)

    async def nobody(_number: int) -> bool:
        raise AssertionError

    with pytest.raises(BadCode):
        await anna.peer.pair(text, nobody)
    with pytest.raises(BadCode):
        await anna.peer.add(text, nobody)


async def test_the_code_of_a_box_does_not_add_a_contact(home: Household) -> None:
    box, anna, _ben = await two(home)
    _, code = box.show()

    async def nobody(_number: int) -> bool:
        raise AssertionError

    with pytest.raises(BadCode, match="the code of a gateway"):
        await anna.peer.add(code, nobody)


async def test_status_says_how_things_are(home: Household) -> None:
    _, anna, ben = await two(home)
    await ben.peer.send("Anna", "hello")
    status = await anna.peer.status()

    assert status["name"] == "Anna"
    assert status["gateway"] == "answers"
    assert status["contacts"] == 1
    assert status["waiting"] == 0
    assert status["mailbox"]["waiting"] == 1
    assert status["missing"] == {}
    assert status["given_up"] == []


async def test_a_card_that_is_withheld_shows_with_the_next_letter(home: Household) -> None:
    """A8: the letter says where its author's card stands."""
    box, anna, ben = await two(home)
    await they_write(anna, ben)
    await (await home.box()).pair(ben)
    lose_parcels(box, keep=0)  # Ben's new card among them
    await ben.peer.send("Anna", "hello")
    await read(anna)
    seen = (await anna.peer.status())["cards_behind"]
    home.hands.live(10 * MINUTE)
    await read(ben)
    await read(anna)

    assert seen == ["Ben"]
    assert (await anna.peer.status())["cards_behind"] == []
    await they_write(anna, ben, tag="at the other box")


async def test_a_card_that_nobody_renewed_is_called_out_of_date(home: Household) -> None:
    """A8: whoever is shown an old card for long enough is warned, although nobody says anything."""
    _, anna, _ben = await two(home)
    before = (await anna.peer.status())["cards_stale"]
    home.hands.live(91 * 86_400.0)

    assert before == []
    assert (await anna.peer.status())["cards_stale"] == ["Ben"]


async def test_cards_of_people_who_are_there_are_never_out_of_date(home: Household) -> None:
    """A8: for a year both phones are on once a month, and nobody has to meet anybody again."""
    box, anna, ben = await two(home)
    carl = await home.phone("Carl", box)
    for _ in range(12):
        home.hands.live(30 * 86_400.0)
        for phone in (anna, ben, anna):
            await phone.peer.read()
            status = await phone.peer.status()
            assert status["cards_stale"] == []
            assert status["letters_waiting"] == 0
    await befriend(anna, carl)
    await carl.peer.read()

    assert (await carl.peer.status())["cards_stale"] == []
    assert len(anna.peer.me.card.chain) == 2  # a year makes it no longer


async def test_somebody_whose_box_hangs_keeps_no_letter_of_others_back(home: Household) -> None:
    box, anna, ben = await two(home)
    slow = await home.box()
    carol = await home.phone("Carol", slow)
    await befriend(anna, carol)
    hung = slow.line.hold(0, by=lambda one: one.path == "/v1/deposit", when=When.BEFORE)
    to_carol = asyncio.create_task(anna.peer.send("Carol", "slow"))
    try:
        async with asyncio.timeout(20):
            await hung.happened.wait()
            second = Phone("Anna", anna.home, home.hands)  # another command on the same phone
            await second.open()
            state = await second.peer.send("Ben", "quick")
            await second.close()
    finally:
        slow.line.cut()
        await to_carol

    assert state.text == "at Ben’s gateway"
    assert await texts(ben) == ["quick"]
    assert box.failures == []


async def test_a_box_that_was_left_is_still_emptied(home: Household) -> None:
    _box, anna, ben = await two(home)
    await anna.peer.send("Ben", "sent to the old one")
    await (await home.box()).pair(ben)
    await anna.peer.send("Ben", "so is this")

    assert await texts(ben) == ["sent to the old one", "so is this"]


async def test_a_watch_that_ends_early_has_shown_no_more_than_it_has(home: Household) -> None:
    _, anna, ben = await two(home)
    for text in ("first", "second"):
        await anna.peer.send("Ben", text)
    seen = [event async for event in ben.peer.watch(once=True)]

    assert [one.letter.text for one in seen if isinstance(one, Arrived)] == ["first"]
    assert await texts(ben) == ["second"]


async def test_a_letter_with_nothing_in_it_is_not_sent(home: Household) -> None:
    _, anna, _ben = await two(home)

    with pytest.raises(NothingToSend):
        await anna.peer.send("Ben", " \n")


async def test_a_contact_who_takes_our_lanes_at_our_next_box_locks_nobody_out(
    home: Household,
) -> None:
    _box, anna, ben = await two(home)
    await they_write(anna, ben)
    other = await home.box()
    await other.pair(ben)
    secrets = [LaneSecret(one) for (one,) in ben.rows("SELECT secret FROM lane_taken")]
    gateway = other.gateway.identity.gateway
    squatted = [
        LaneRight(one.at(gateway), WakeRule.NEVER, 0, 1 << 20, 0, last_tenth=False)
        for one in secrets
    ]
    async with at_home(ben.peer._store, ben.peer.me, now=home.hands.now()) as client:
        await client.mint_lanes(squatted, rests_on=1000)
    await other.pair(anna)
    carol = await home.phone("Carol", other)
    await befriend(anna, carol)

    await they_write(anna, carol)  # Ben has harmed himself alone
    assert not {one.raw for one in secrets} & {
        one for (one,) in anna.rows("SELECT secret FROM lane_given")
    }


async def test_contacts_are_tried_side_by_side(home: Household) -> None:
    box, anna, ben = await two(home)
    slow = await home.box()
    carol = await home.phone("Carol", slow)
    await befriend(anna, carol)
    for one in (box, slow):
        await one.stop()
    await anna.peer.send("Carol", "first in the row")
    await anna.peer.send("Ben", "behind it")
    for one in (box, slow):
        await one.start()
    hung = slow.line.hold(0, by=lambda one: one.path == "/v1/deposit", when=When.BEFORE)
    trying = asyncio.create_task(anna.peer.try_outbox())
    try:
        async with asyncio.timeout(20):
            await hung.happened.wait()
            came = list[str]()
            while not came:
                came = await texts(ben)
    finally:
        slow.line.cut()
        await trying

    assert came == ["behind it"]
