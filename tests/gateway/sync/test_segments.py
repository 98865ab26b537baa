"""Segments of an archive are kept in one chain, and nobody but the seat's end deletes one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import ArchiveFull, ArchiveMoved, NoSegment, NoSuchSeat
from gateway.sync.mending import find_damaged_card, mend_cards
from tests.gateway.sync.office import Office, open_office
from tests.gateway.sync.people import Person, Phone
from wire.archive import MAX_RANGE, NOTHING_BEFORE, Segment
from wire.errors import NotSigned
from wire.ids import SeatId


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path / "store.sqlite") as opened:
        yield opened


@pytest.fixture
def phone() -> Phone:
    return Phone()


@pytest.fixture
def person(phone: Phone) -> Person:
    return Person(phone)


@pytest.fixture
async def seat(office: Office, person: Person, phone: Phone) -> SeatId:
    return (await office.enrol(person, phone)).seat


async def test_segments_come_back_newest_first(
    office: Office, person: Person, phone: Phone, seat: SeatId
) -> None:
    first = phone.segment(person.id)
    second = phone.segment(person.id, on=first)
    for one in (first, second, second):  # a repeat changes nothing
        await office.archive.append(seat, one)
    extent = await office.archive.extent(seat)

    found = await office.archive.range(seat, upto=9, down_to=1)
    assert [Segment.decode(one) for one in found] == [second, first]
    assert (extent.first, extent.newest) == (1, second.signed)
    assert extent.used_bytes == sum(
        len(one.signed.encode()) + len(one.body) for one in (first, second)
    )
    assert Segment.decode(await office.archive.one(seat, 1)) == first
    with pytest.raises(NoSegment):
        await office.archive.one(seat, 3)


async def test_whoever_was_slower_is_told_where_the_chain_stands(
    office: Office, person: Person, phone: Phone, seat: SeatId
) -> None:
    first = phone.segment(person.id)
    await office.archive.append(seat, first)
    other = phone.segment(person.id, body=b"other")

    for late in (other, phone.segment(person.id, on=phone.segment(person.id, on=first))):
        with pytest.raises(ArchiveMoved) as moved:
            await office.archive.append(seat, late)
        assert moved.value.facts() == {"seq": 1, "hash": first.head.hash.hex()}


async def test_an_empty_archive_says_that_it_stands_nowhere(
    office: Office, person: Person, phone: Phone, seat: SeatId
) -> None:
    with pytest.raises(ArchiveMoved) as moved:
        await office.archive.append(seat, phone.segment(person.id, on=phone.segment(person.id)))

    assert moved.value.facts() == {"seq": 0, "hash": NOTHING_BEFORE.hex()}
    assert (await office.archive.extent(seat)).newest is None


async def test_a_segment_of_somebody_else_is_refused(
    office: Office, phone: Phone, seat: SeatId
) -> None:
    with pytest.raises(NotSigned):
        await office.archive.append(seat, phone.segment(Person(phone).id))


async def test_a_seat_that_is_not_there_has_no_archive(
    office: Office, person: Person, phone: Phone
) -> None:
    with pytest.raises(NoSuchSeat):
        await office.archive.append(SeatId(b"n" * 16), phone.segment(person.id))
    with pytest.raises(NoSuchSeat):
        await office.archive.extent(SeatId(b"n" * 16))


async def test_above_its_room_nothing_is_taken_and_what_is_there_stays(
    office: Office, person: Person, phone: Phone, seat: SeatId
) -> None:
    first = phone.segment(person.id)
    await office.archive.append(seat, first)
    await office.seats.set_archive_limit(seat, 1)

    with pytest.raises(ArchiveFull):
        await office.archive.append(seat, phone.segment(person.id, on=first))
    [row] = await office.seats.all()
    assert row.archive_limit_bytes == 1
    assert row.archive_used_bytes == (await office.archive.extent(seat)).used_bytes > 1
    assert row.used_bytes == 0


async def test_an_answer_holds_a_mebibyte_and_never_nothing(
    office: Office, person: Person, phone: Phone, seat: SeatId
) -> None:
    last: Segment | None = None
    for _ in range(3):
        last = phone.segment(person.id, on=last, body=bytes(MAX_RANGE // 2 - 1000))
        await office.archive.append(seat, last)
    large = phone.segment(person.id, on=last, body=bytes(MAX_RANGE))
    await office.archive.append(seat, large)

    async def numbers(upto: int) -> list[int]:
        found = await office.archive.range(seat, upto=upto, down_to=1)
        return [Segment.decode(one).head.seq for one in found]

    assert await numbers(4) == [4]
    assert await numbers(3) == [3, 2]
    assert await numbers(1) == [1]


async def test_a_body_that_the_disk_has_changed_goes_and_its_head_stays(
    office: Office, person: Person, phone: Phone, seat: SeatId
) -> None:
    first = phone.segment(person.id)
    second = phone.segment(person.id, on=first)
    for one in (first, second):
        await office.archive.append(seat, one)
    sql = "UPDATE segment SET body = x'00' WHERE seq = 1"
    await office.database.write(lambda store: store.execute(sql).rowcount)

    assert await office.database.write(find_damaged_card) == "a segment is not what was signed"
    await office.database.write(mend_cards)

    assert await office.database.write(find_damaged_card) is None
    assert Segment.decode(await office.archive.one(seat, 1)).lost
    await office.archive.append(seat, phone.segment(person.id, on=second))


async def test_a_head_that_the_disk_has_changed_goes_with_its_segment(
    office: Office, person: Person, phone: Phone, seat: SeatId
) -> None:
    first = phone.segment(person.id)
    for one in (first, phone.segment(person.id, on=first)):
        await office.archive.append(seat, one)
    sql = "UPDATE segment SET head = x'00' WHERE seq = 2"
    await office.database.write(lambda store: store.execute(sql).rowcount)
    await office.database.write(mend_cards)

    assert await office.database.write(find_damaged_card) is None
    assert (await office.archive.extent(seat)).newest == first.signed


async def test_a_counter_that_is_wrong_is_noticed(
    office: Office, person: Person, phone: Phone, seat: SeatId
) -> None:
    await office.archive.append(seat, phone.segment(person.id))
    sql = "UPDATE seat SET archive_used_bytes = 5"
    await office.database.write(lambda store: store.execute(sql).rowcount)

    assert "counter" in str(await office.database.write(find_damaged_card))
