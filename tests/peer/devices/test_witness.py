"""Contacts know where an archive stood; an old copy of it shows, and a thief's word is nothing."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from peer.devices.witness import ANSWER_EVERY, TELL_EVERY, Witness, was_revoked
from peer.keys.person import Device
from peer.keys.primitives import system_random
from peer.keys.segments import seal_segment
from peer.people.contacts import Contact
from peer.ways.outgoing import Outgoing
from tests.peer.devices.family import another, me, revoking, store_of
from tests.peer.household import Box, Household, Phone, befriend, household, texts
from wire.archive import SignedHead


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def two(house: Household) -> tuple[Box, Phone, Phone]:
    """Return a box, and Ana and Ben; Ana has an archive, and Ben has heard of it."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    await ana.peer.send("Ben", "one")
    await texts(ana)
    house.hands.live(TELL_EVERY + 1)
    await texts(ana)
    await texts(ben)
    return box, ana, ben


def witness(phone: Phone) -> Witness:
    store, now = store_of(phone), phone.hands.now
    return Witness(store, me(phone), Outgoing(store, me(phone), now=now), now=now)


def contact(phone: Phone, name: str) -> Contact:
    return phone.peer.contacts.named(name)


def seen(phone: Phone) -> list[int]:
    """Return the numbers of the newest segments that a phone has been told of."""
    rows = phone.rows("SELECT head FROM witnessed")
    return [SignedHead.decode(bytes(raw)).head.seq for (raw,) in rows]


def take(phone: Phone, of: str, head: SignedHead, *, said: int) -> None:
    with store_of(phone).transaction():
        witness(phone).take(contact(phone, of), head.encode(), said=said)


async def test_a_contact_hears_where_the_archive_stands_once_a_day(house: Household) -> None:
    _box, ana, ben = await two(house)

    assert seen(ben) == [1]
    await ana.peer.send("Ben", "two")
    await texts(ana)
    await texts(ben)
    assert seen(ben) == [1]
    house.hands.live(TELL_EVERY + 1)
    await texts(ana)
    await texts(ben)
    assert seen(ben) == [2]


async def test_a_head_that_proves_nothing_is_passed_over(house: Household) -> None:
    _box, ana, ben = await two(house)
    identity = me(ana).identity
    stranger = replace(identity, device=Device.generate(system_random))
    bens = seal_segment(b"x", identity=me(ben).identity, on=None).signed
    before = ben.rows("SELECT * FROM witnessed")

    take(ben, "Ana", seal_segment(b"x", identity=stranger, on=None).signed, said=1 << 62)
    take(ben, "Ana", bens, said=1 << 62)
    with store_of(ben).transaction():
        witness(ben).take(contact(ben, "Ana"), b"nothing", said=1 << 62)
    assert ben.rows("SELECT * FROM witnessed") == before


async def test_what_was_said_last_counts_whatever_comes_last(house: Household) -> None:
    _box, ana, ben = await two(house)
    identity = me(ana).identity
    first = seal_segment(b"x", identity=identity, on=None)
    second = seal_segment(b"x", identity=identity, on=first.head)

    take(ben, "Ana", second.signed, said=1 << 62)
    take(ben, "Ana", first.signed, said=(1 << 62) - 1)
    assert seen(ben) == [2]


async def test_a_new_device_asks_and_finds_nothing_wrong_where_nothing_is(house: Household) -> None:
    box, ana, ben = await two(house)
    tablet = await another_who_can_write(house, box, ana, ben)
    for phone in (tablet, ben, tablet, tablet):
        await phone.peer.read()

    assert tablet.rows("SELECT 1 FROM note WHERE name GLOB 'head-asked/*'")
    assert tablet.peer.archive_status()["older"] == []


async def another_who_can_write(house: Household, box: Box, ana: Phone, ben: Phone) -> Phone:
    """Return a new device of Ana's that has met Ben itself."""
    tablet = await another(house, box, ana)
    with store_of(ben).transaction():  # Ben hears of the new card
        contacts = ben.peer.contacts
        contacts.take_statements(contact(ben, "Ana"), me(ana).card.chain)
    await befriend(tablet, ben)
    return tablet


async def test_g4_an_old_copy_shows_by_a_contacts_word(house: Household) -> None:
    """G4: the gateway gives an archive that is older than the one that Ben was told of."""
    box, ana, ben = await two(house)
    house.hands.live(TELL_EVERY + 1)
    await ana.peer.send("Ben", "two")
    await texts(ana)
    await texts(ben)
    assert seen(ben) == [2]
    sql = "DELETE FROM segment WHERE seq = 2"
    await box.gateway.database.write(lambda store: store.execute(sql).rowcount)
    tablet = await another_who_can_write(house, box, ana, ben)
    for phone in (tablet, ben, tablet, ben, tablet, tablet):
        await phone.peer.read()

    [older] = tablet.peer.archive_status()["older"]
    assert (older["contact"], older["seen"]) == ("Ben", 2)


async def test_g4_a_head_of_a_device_that_was_revoked_does_not_count(house: Household) -> None:
    """G4: a thief's device signs a head that never was, before Ben hears that it is revoked."""
    box, ana, ben = await two(house)
    thief = await another(house, box, ana)
    mine, newest = me(ana), me(ana).card.history[-1].statement
    with store_of(ben).transaction():
        ben.peer.contacts.take_statements(contact(ben, "Ana"), mine.card.chain)
    first = seal_segment(b"x", identity=me(thief).identity, on=None)
    take(ben, "Ana", first.signed, said=1 << 62)
    assert SignedHead.decode(bytes(ben.rows("SELECT head FROM witnessed")[0][0])) == first.signed

    card = revoking(ana, thief)
    assert newest != card.history[-1].statement
    assert was_revoked(card, me(thief).identity.device.key)
    assert not was_revoked(card, mine.identity.device.key)
    with store_of(ben).transaction():
        ben.peer.contacts.take_statements(contact(ben, "Ana"), card.chain)
        before = ben.rows("SELECT count(*) FROM outgoing")
        witness(ben).answer(contact(ben, "Ana"))
        assert ben.rows("SELECT count(*) FROM outgoing") != before
    take(ben, "Ana", first.signed, said=(1 << 62) + 1)
    assert ben.rows("SELECT said FROM witnessed") == [(1 << 62,)]


async def test_who_asks_without_end_is_answered_once_an_hour(house: Household) -> None:
    _box, _ana, ben = await two(house)

    async def answers() -> int:
        with store_of(ben).transaction():
            for _ in range(5):
                witness(ben).answer(contact(ben, "Ana"))
        found: int = ben.rows("SELECT count(*) FROM outgoing")[0][0]
        return found

    before = ben.rows("SELECT count(*) FROM outgoing")[0][0]
    assert await answers() == before + 1
    house.hands.live(ANSWER_EVERY + 1)
    assert await answers() == before + 2


async def test_an_answer_that_nobody_asked_for_is_passed_over(house: Household) -> None:
    _box, ana, _ben = await two(house)
    identity = me(ana).identity
    first = seal_segment(b"x", identity=identity, on=None)
    far = seal_segment(b"x", identity=identity, on=replace(first.head, seq=99, before=b"b" * 32))
    with store_of(ana).transaction():
        witness(ana).hear(contact(ana, "Ben"), far.signed.encode(), me(ana).card.chain)
    house.hands.live(4000)
    await texts(ana)

    assert ana.peer.archive_status()["older"] == []
