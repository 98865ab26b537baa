"""After a restore everything begins anew for every seat, and no letter is lost by that."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.afresh import begin_afresh, relearn_lanes, rooms
from gateway.errors import PairAgain
from gateway.mailbox.lanes import RELEARN_SECONDS
from gateway.sync.store import SyncStore
from tests.gateway.mailbox.house import House, open_house, parcel
from tests.gateway.sync.people import Person, Phone
from wire.frames import NOWHERE, Result
from wire.ids import SeatId


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path / "store.sqlite") as opened:
        yield opened


def office(house: House) -> SyncStore:
    return SyncStore(
        house.database,
        clock=house.clock,
        limit_bytes=1 << 30,
        on_confirmed=relearn_lanes(house.clock),
    )


async def enrol(house: House, person: Person, phone: Phone) -> SeatId:
    change = await office(house).enrol(person.card, phone.key, request=b"r" * 32, nonce=b"n" * 16)
    return change.seat


async def test_every_seat_has_a_new_epoch_and_its_letters_again(house: House) -> None:
    phone = Phone()
    seat = await enrol(house, Person(phone), phone)
    lane = await house.lane(seat)
    await house.put(lane, parcel(lane), parcel(lane))
    [first, _] = await house.collected(phone.key.device)
    cursor = await house.cursor(phone.key.device, first)
    other = await house.seat()
    before = await house.look("SELECT seat, epoch FROM seat")

    assert await house.database.write(begin_afresh) == 2

    after = await house.look("SELECT seat, epoch FROM seat")
    assert {one[0] for one in after} == {seat.raw, other.raw}
    assert not {one[1] for one in before} & {one[1] for one in after}
    assert (await house.store.resume(phone.key.device, cursor)).reset
    assert len(await house.collected(phone.key.device, cursor)) == 2


async def test_a_device_comes_back_only_by_being_confirmed(house: House) -> None:
    phone = Phone()
    person = Person(phone)
    seat = await enrol(house, person, phone)
    await house.database.write(begin_afresh)

    with pytest.raises(PairAgain):
        await office(house).seat_of(phone.key)
    assert not await office(house).is_enrolled(phone.key)
    assert await office(house).enrolment(phone.key) is None

    assert await enrol(house, person, phone) == seat
    assert await office(house).seat_of(phone.key) == seat


async def test_lanes_take_deposits_meanwhile_and_die_unless_they_are_registered_again(
    house: House,
) -> None:
    phone = Phone()
    person = Person(phone)
    seat = await enrol(house, person, phone)
    kept, forgotten = await house.lane(seat), await house.lane(seat)
    await house.database.write(begin_afresh)
    house.hands.live(RELEARN_SECONDS + 1)
    assert await house.put(kept, parcel(kept)) == [Result.STORED]  # however long that takes

    await enrol(house, person, phone)
    known = await house.store.lane(kept.id)
    assert known is not None
    assert await house.put(forgotten, parcel(forgotten)) == [Result.STORED]
    await house.look(
        "UPDATE lane SET dies_at = NULL WHERE lane = ?", kept.id.raw
    )  # as minting does
    house.hands.live(RELEARN_SECONDS + 1)

    assert await house.put(kept, parcel(kept)) == [Result.STORED]
    assert await house.put(forgotten, parcel(forgotten)) == [Result.LANE_REFUSED]


async def test_prekeys_for_one_use_go_and_the_lasting_ones_stay(house: House) -> None:
    phone = Phone()
    await enrol(house, Person(phone), phone)
    sql = "INSERT INTO prekey VALUES (?, ?, 1, zeroblob(32), zeroblob(64))"
    for kind in (1, 2, 3, 4):
        await house.look(sql, phone.key.device.raw, kind)

    await house.database.write(begin_afresh)

    assert await house.look("SELECT kind FROM prekey ORDER BY kind") == [(1,), (2,)]


async def test_what_was_mended_begins_anew_too(house: House) -> None:
    seat = await house.seat()
    lane = await house.lane(seat)
    device = await house.device(seat)
    await house.put(lane, parcel(lane), parcel(lane))
    await house.look("UPDATE parcel SET body = zeroblob(256) WHERE seq = 1")
    [(epoch,)] = await house.look("SELECT epoch FROM seat")

    assert await house.database.write(rooms().find)
    await house.database.write(rooms().mend)

    assert await house.database.write(rooms().find) is None
    assert await house.look("SELECT seq FROM parcel") == [(2,)]
    assert await house.look("SELECT epoch FROM seat") != [(epoch,)]
    assert await house.look("SELECT confirmed FROM device") == [(0,)]
    assert (await house.store.resume(device, NOWHERE)).newest == 2
