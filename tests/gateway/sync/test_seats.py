"""What the owner of the box can do with seats."""

import sqlite3
from pathlib import Path

import pytest

from gateway.errors import DeviceUnknown, NoSuchSeat
from tests.gateway.sync.office import LIMIT, open_office
from tests.gateway.sync.people import Person, Phone
from wire.ids import SeatId

TABLES = ["seat", "device", "pairing", "card", "prekey", "prekey_top", "lane", "handout", "segment"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def test_the_list_says_how_full_each_seat_is_and_no_name(path: Path) -> None:
    async with open_office(path) as office:
        assert await office.seats.all() == []
        phone, tablet = Phone(), Phone()
        person = Person(phone, tablet)
        seat = (await office.enrol(person, phone)).seat
        await office.enrol(person, tablet)

        [found] = await office.seats.all()

        assert (found.id, found.devices, found.waiting) == (seat, 2, 0)
        assert (found.used_bytes, found.limit_bytes) == (0, LIMIT)


async def test_a_limit_can_be_set_below_what_is_used(path: Path) -> None:
    async with open_office(path) as office:
        phone = Phone()
        seat = (await office.enrol(Person(phone), phone)).seat
        await office.seats.set_limit(seat, 5)

        assert [one.limit_bytes for one in await office.seats.all()] == [5]


async def test_a_removed_seat_leaves_nothing_behind(path: Path) -> None:
    async with open_office(path) as office:
        phone, neighbour = Phone(), Phone()
        person = Person(phone)
        seat = (await office.enrol(person, phone)).seat
        await office.enrol(Person(neighbour), neighbour)
        await office.archive.append(seat, phone.segment(person.id))
        before = [await office.count(table) for table in TABLES]
        await office.prekeys.upload(phone.key, phone.prekeys(one_time=3))
        await office.prekeys.hand_out(seat, await office.lane(seat, b"l" * 16))

        await office.seats.remove(seat)

        left = [await office.count(table) for table in TABLES]
        assert left == [1, 1, 1, 1, 0, 0, 0, 0, 0]
        assert before == [2, 2, 2, 2, 0, 0, 0, 0, 1]
        with pytest.raises(DeviceUnknown):
            await office.sync.seat_of(phone.key)
        assert await office.sync.is_enrolled(neighbour.key)


async def test_a_seat_with_much_in_it_is_emptied_in_steps(path: Path) -> None:
    def fill(store: sqlite3.Connection) -> None:
        store.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
            " INSERT INTO parcel (seat, seq, lane, parcel, lifetime, purge, dies_at, body)"
            " SELECT ?, i, randomblob(16), randomblob(16), 2, zeroblob(32), 1, zeroblob(256)"
            " FROM n",
            (seat.raw,),
        )

    async with open_office(path) as office:
        phone = Phone()
        seat = (await office.enrol(Person(phone), phone)).seat
        await office.database.write(fill)
        [before] = await office.seats.all()
        await office.seats.remove(seat)

        assert before.waiting == 100
        assert await office.count("parcel") == 0
        assert await office.seats.all() == []


async def test_a_seat_that_is_not_there_is_a_refusal(path: Path) -> None:
    async with open_office(path) as office:
        with pytest.raises(NoSuchSeat):
            await office.seats.remove(SeatId(bytes(16)))
        with pytest.raises(NoSuchSeat):
            await office.seats.set_limit(SeatId(bytes(16)), 5)
