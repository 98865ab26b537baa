"""What one device puts into the archive another one reads; each letter is in it once."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from gateway.sync.seats import Seats
from peer.devices.archive import Archive
from peer.devices.contents import BATCH_BYTES
from peer.errors import GatewayNotThere
from peer.watching import Restoring
from peer.ways.furnishing import at_home
from tests.peer.devices.family import all_texts, another, learn_contacts, me, store_of
from tests.peer.household import Box, Household, Phone, When, befriend, household, texts
from wire.archive import Segment


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def two(house: Household) -> tuple[Box, Phone, Phone]:
    """Return a box, and Ana and Ben, who are paired with it and know each other."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    return box, ana, ben


async def talk(ana: Phone, ben: Phone, *words: str) -> None:
    """Let Ana and Ben take turns."""
    for number, text in enumerate(words):
        house = ana.hands
        house.live(60)
        author, reader = (ana, ben) if number % 2 == 0 else (ben, ana)
        await author.peer.send(reader.name, text)
        assert await texts(reader) == [text]


async def restored(phone: Phone, *, again: bool = False) -> list[Restoring]:
    """Read the archive on a phone; return what was told meanwhile."""
    async with aclosing(phone.peer.restore_archive(again=again)) as events:
        return [one async for one in events]


def archive(phone: Phone) -> Archive:
    return Archive(store_of(phone), me(phone), now=phone.hands.now)


async def segments(box: Box, phone: Phone) -> int:
    """Return how many segments the phone's seat has."""
    async with at_home(store_of(phone), me(phone), now=phone.hands.now()) as gateway:
        extent = await gateway.archive()
    return 0 if extent.newest is None else extent.newest.head.seq


async def test_a_new_device_reads_what_was_written_and_received(house: Household) -> None:
    box, ana, ben = await two(house)
    await talk(ana, ben, "one", "two", "three", "four")
    await texts(ana)
    tablet = await another(house, box, ana)
    learn_contacts(tablet, ana)

    assert (await restored(tablet))[-1].over
    assert await all_texts(tablet) == await all_texts(ana) == ["one", "two", "three", "four"]
    assert await texts(tablet) == []  # none of it is new
    status = tablet.peer.archive_status()
    assert (status["kept"], status["waiting"], status["refused"]) == (4, 0, [])


async def test_each_letter_is_in_it_once_whichever_device_brings_it(house: Household) -> None:
    box, ana, ben = await two(house)
    await talk(ana, ben, "one", "two")
    await texts(ana)
    tablet = await another(house, box, ana)
    await restored(tablet)
    before = await segments(box, ana)
    with store_of(tablet).transaction() as db:  # as if it had them from elsewhere
        db.execute("UPDATE letter SET archived = NULL")
        store_of(tablet).keep_note("archive/looked", None)
    archive(tablet).read_again()
    await restored(tablet)

    assert await segments(box, ana) == before
    assert tablet.peer.archive_status()["waiting"] == 0


async def test_the_slower_of_two_devices_reads_first_and_then_adds(house: Household) -> None:
    box, ana, ben = await two(house)
    tablet = await another(house, box, ana)
    learn_contacts(tablet, ana)
    await restored(tablet)
    await talk(ana, ben, "from the phone", "answer")
    await texts(ana)  # the phone has archived both by now
    house.hands.live(4000)
    reading = await tablet.peer.read()  # Ben does not know the tablet: the archive has it
    assert [one.text for one in reading.letters] == ["answer"]

    assert await all_texts(tablet) == ["from the phone", "answer"]
    assert tablet.peer.archive_status()["waiting"] == 0


async def test_a_letter_that_the_mailbox_brings_too_is_shown_once(house: Household) -> None:
    _box, ana, ben = await two(house)
    await talk(ana, ben, "one")
    await texts(ben)
    house.hands.live(4000)
    archive(ben).read_again()
    await restored(ben)

    assert await all_texts(ben) == ["one"]


async def test_a_large_conversation_comes_newest_first_and_goes_on_where_it_was_cut(
    house: Household,
) -> None:
    box, ana, _ben = await two(house)
    words = [f"{number} " + "x" * (BATCH_BYTES // 2) for number in range(60)]
    for text in words:
        house.hands.live(1)
        await ana.peer.send("Ben", text)
    await texts(ana)
    tablet = await another(house, box, ana)
    learn_contacts(tablet, ana)
    box.line.lose("GET /v1/archive/segments", when=When.AFTER, skip=1)
    box.line.lose("GET /v1/archive/segments", when=When.AFTER, times=8)  # however often it asks
    with pytest.raises(GatewayNotThere):
        await restored(tablet)
    box.line.accidents.clear()
    half = [one.text.split()[0] for one in tablet.peer._letterbox().everything()]

    assert 0 < len(half) < 60
    assert half == [str(number) for number in range(60 - len(half), 60)]
    events = await restored(tablet)
    assert await all_texts(tablet) == words
    assert [one.letters for one in events] == sorted(one.letters for one in events)
    assert events[-1].over
    assert events[-1].bytes == events[-1].of_bytes


async def test_a_contact_can_be_left_out_and_taken_in_again(house: Household) -> None:
    box, ana, ben = await two(house)
    await talk(ana, ben, "kept")
    await texts(ana)
    ana.peer.archive_letters("ben", keep=False)
    await talk(ana, ben, "not kept", "nor this")
    await texts(ana)

    assert ana.peer.archive_status()["off"] == ["Ben"]
    assert ana.peer.archive_status()["kept"] == 1
    tablet = await another(house, box, ana)
    await restored(tablet)
    assert await all_texts(tablet) == ["kept"]
    ana.peer.archive_letters("Ben", keep=True)
    await texts(ana)
    assert ana.peer.archive_status()["kept"] == 3


async def test_a_letter_that_still_waits_here_is_not_in_it(house: Household) -> None:
    _box, ana, _ben = await two(house)
    away = await house.box()
    cleo = await house.phone("Cleo", away)
    await befriend(cleo, ana)
    await away.stop()
    await ana.peer.send("Cleo", "still here")
    await texts(ana)

    assert ana.peer.archive_status()["kept"] == 0
    await away.start()
    house.hands.live(7200)
    await ana.peer.try_outbox()
    await texts(ana)
    assert ana.peer.archive_status()["kept"] == 1


async def test_a_lost_answer_puts_nothing_in_twice(house: Household) -> None:
    box, ana, ben = await two(house)
    await talk(ana, ben, "one")
    box.line.lose("POST /v1/archive")
    await ana.peer.read()
    await texts(ana)

    assert await segments(box, ana) == 1
    assert ana.peer.archive_status()["waiting"] == 0


async def test_a_gateway_that_was_set_back_gets_what_it_lacks(house: Household) -> None:
    box, ana, ben = await two(house)
    await talk(ana, ben, "one")
    await texts(ana)
    await talk(ana, ben, "two")
    await texts(ana)
    assert await segments(box, ana) == 2
    sql = "DELETE FROM segment WHERE seq = 2"
    await box.gateway.database.write(lambda store: store.execute(sql).rowcount)
    house.hands.live(4000)
    await texts(ana)

    assert ana.peer.archive_status()["set_back"] == [2, 1]
    assert await segments(box, ana) == 2
    tablet = await another(house, box, ana)
    await restored(tablet)
    assert await all_texts(tablet) == ["one", "two"]


async def test_a_gateway_that_lost_everything_gets_everything_again(house: Household) -> None:
    box, ana, ben = await two(house)
    await talk(ana, ben, "one", "two")
    await texts(ana)
    await box.gateway.database.write(lambda store: store.execute("DELETE FROM segment").rowcount)
    house.hands.live(4000)
    await texts(ana)

    assert ana.peer.archive_status()["set_back"][1] == 0
    assert ana.peer.archive_status()["kept"] == 2
    assert await segments(box, ana) == 1


async def test_another_gateway_gets_all_of_it_and_nobody_is_alarmed(house: Household) -> None:
    _box, ana, ben = await two(house)
    await talk(ana, ben, "one", "two")
    await texts(ana)
    new = await house.box()
    await new.pair(ana)
    await texts(ana)

    assert await segments(new, ana) == 1
    assert ana.peer.archive_status()["kept"] == 2
    assert ana.peer.archive_status()["set_back"] == []


async def test_a_full_archive_is_said_and_stops_no_letter(house: Household) -> None:
    box, ana, ben = await two(house)
    seats = Seats(box.gateway.database)
    for one in await seats.all():
        await seats.set_archive_limit(one.id, 10)
    await talk(ana, ben, "one", "two")
    await texts(ana)

    assert ana.peer.archive_status()["full"]
    assert ana.peer.archive_status()["waiting"] == 2
    for one in await seats.all():
        await seats.set_archive_limit(one.id, 1 << 30)
    await texts(ana)
    assert not ana.peer.archive_status()["full"]
    assert ana.peer.archive_status()["waiting"] == 0


async def test_no_key_and_no_session_is_ever_in_it(house: Household) -> None:
    """What is sealed is opened here and searched for every secret in the phone's file."""
    _box, ana, ben = await two(house)
    await talk(ana, ben, "one", "two", "three")
    await texts(ana)
    store = store_of(ana)
    found = b""
    async with at_home(store, me(ana), now=house.hands.now()) as gateway:
        for raw in await gateway.segments(upto=99, down_to=1):
            found += archive(ana)._open(Segment.decode(raw)).encode()
    tables = ["own_keys", "pair_secrets", "sessions", "skipped_keys", "own_prekeys", "kept_bundles"]
    secrets = [
        bytes(value)
        for table in tables
        for row in ana.rows(f"SELECT * FROM {table}")  # noqa: S608
        for value in row
        if isinstance(value, bytes) and len(value) >= 32
    ]

    assert b"three" in found
    public = {ana.peer.person.raw, ben.peer.person.raw, bytes(me(ana).identity.device.key.raw)}
    public |= {one.key.raw for one in ana.peer.contacts.all()[0].card.devices}
    assert [one for one in secrets if one in found and one not in public] == []
    assert len(secrets) > 20


async def test_watching_reads_what_is_older_meanwhile(house: Household) -> None:
    box, ana, _ben = await two(house)
    words = [f"{number} " + "x" * (BATCH_BYTES // 2) for number in range(60)]
    for text in words:
        house.hands.live(1)
        await ana.peer.send("Ben", text)
    await texts(ana)
    tablet = await another(house, box, ana)
    seen = list[Restoring]()
    async with aclosing(tablet.peer.watch()) as events:
        async for event in events:
            if isinstance(event, Restoring):
                seen.append(event)
                if event.over:
                    break

    assert seen[-1].letters == 60
    assert await all_texts(tablet) == words
