"""How far each device has come, and what a cursor can prove."""

import asyncio
import secrets
import sqlite3
from pathlib import Path

import pytest

from gateway.mailbox.rules import LIVE_SECONDS
from tests.gateway.hands import Hands
from tests.gateway.mailbox.house import at, open_house, parcel
from wire.frames import NOWHERE, Cursor
from wire.ids import CursorEpoch, ParcelId, SeatId


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def test_a_parcel_goes_when_every_live_device_has_it(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        phone, tablet = await house.device(seat), await house.device(seat)
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane), parcel(lane))
        [first, second] = await house.collected(phone)
        cursor = await house.cursor(phone, second)

        assert await house.store.acknowledge(phone, cursor)
        assert len(await house.collected(tablet)) == 2
        assert await house.store.acknowledge(tablet, at(cursor.epoch, first))
        assert [one.seq for one in await house.collected(tablet, at(cursor.epoch, first))] == [2]
        assert await house.store.acknowledge(tablet, cursor)
        assert (await house.store.usage(seat)).parcels == 0


async def test_a_tablet_in_a_drawer_holds_nothing_back_after_fourteen_days(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        phone, _tablet = await house.device(seat), await house.device(seat)
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane))
        [one] = await house.collected(phone)
        cursor = await house.cursor(phone, one)
        await house.store.acknowledge(phone, cursor)
        assert (await house.store.usage(seat)).parcels == 1

        house.hands.live(LIVE_SECONDS - 2 * 3600)
        await house.store.resume(phone, cursor)
        assert (await house.store.expire()).parcels == 0
        house.hands.live(2 * 3600)
        assert (await house.store.expire()).parcels == 1
        assert (await house.store.usage(seat)).used_bytes == 0


async def test_numbers_never_come_again_after_everything_was_collected(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, parcel(lane), parcel(lane))
        last = (await house.collected(device))[-1]
        cursor = await house.cursor(device, last)
        await house.store.acknowledge(device, cursor)

        await house.put(lane, parcel(lane))

        assert [one.seq for one in await house.collected(device, cursor)] == [3]


async def test_resuming_counts_as_an_acknowledgement_that_was_lost(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, parcel(lane))
        [one] = await house.collected(device)
        cursor = await house.cursor(device, one)

        resumed = await house.store.resume(device, cursor)

        assert (resumed.after, resumed.newest, resumed.reset) == (1, 1, False)
        assert (await house.store.usage(seat)).parcels == 0


async def test_an_old_acknowledgement_takes_nothing_back(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        phone, _tablet = await house.device(seat), await house.device(seat)
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane), parcel(lane))
        first, second = await house.collected(phone)
        cursor = await house.cursor(phone, second)
        assert await house.store.acknowledge(phone, cursor)
        assert await house.store.acknowledge(phone, at(cursor.epoch, first))

        [row] = await house.look("SELECT cursor_seq FROM device WHERE device = ?", phone.raw)
        assert row == (2,)


async def test_a_cursor_from_the_future_begins_a_new_epoch_of_that_seat_alone(path: Path) -> None:
    dropped: list[SeatId] = []

    def drop(store: sqlite3.Connection, seat: SeatId) -> None:
        assert store.in_transaction
        dropped.append(seat)

    async with open_house(path, on_new_epoch=(drop,)) as house:
        seat, neighbour = await house.seat(), await house.seat()
        device, other = await house.device(seat), await house.device(neighbour)
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane), parcel(lane))
        before = await house.store.resume(device, NOWHERE)
        untouched = await house.store.resume(other, NOWHERE)
        future = Cursor(before.epoch, 3, ParcelId(b"x" * 16))

        assert not await house.store.acknowledge(device, future)
        assert dropped == []
        resumed = await house.store.resume(device, future)

        assert resumed.epoch != before.epoch
        assert (resumed.reset, resumed.after, resumed.newest) == (True, 0, 2)
        assert dropped == [seat]
        assert len(await house.collected(device, Cursor.start(resumed.epoch))) == 2
        assert (await house.store.resume(other, NOWHERE)).epoch == untouched.epoch


async def test_another_parcel_at_the_cursor_begins_a_new_epoch(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, parcel(lane), parcel(lane))
        before = await house.store.resume(device, NOWHERE)

        resumed = await house.store.resume(device, Cursor(before.epoch, 1, ParcelId(b"x" * 16)))

        assert resumed.reset
        assert resumed.epoch != before.epoch


async def test_a_second_device_with_the_old_epoch_starts_over_and_begins_no_third(
    path: Path,
) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        phone, tablet = await house.device(seat), await house.device(seat)
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane))
        [one] = await house.collected(tablet)
        old = await house.cursor(tablet, one)
        strange = CursorEpoch(secrets.token_bytes(16))

        turned = await house.store.resume(phone, Cursor(strange, 1, one.parcel.id))
        back = await house.store.resume(tablet, old)

        assert turned.epoch == back.epoch != old.epoch
        assert back.reset
        assert not (await house.store.resume(phone, Cursor.start(turned.epoch))).reset


async def test_in_a_new_epoch_everything_held_is_kept_for_every_device_again(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        phone, tablet = await house.device(seat), await house.device(seat)
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane), parcel(lane))
        last = (await house.collected(tablet))[-1]
        await house.store.acknowledge(tablet, await house.cursor(tablet, last))
        strange = Cursor(CursorEpoch(secrets.token_bytes(16)), 1, last.parcel.id)
        turned = await house.store.resume(phone, strange)

        assert await house.store.acknowledge(phone, at(turned.epoch, last))

        assert len(await house.collected(tablet)) == 2


@pytest.mark.parametrize("later", [0, 10, 1000])
async def test_a_file_copied_back_loses_nothing_that_any_device_was_not_given(
    path: Path, later: int
) -> None:
    hands = Hands()
    async with open_house(path, hands=hands) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, *(parcel(lane) for _ in range(5)))
        early = await house.collected(device)
        await house.store.acknowledge(device, await house.cursor(device, early[-1]))
    backup = await asyncio.to_thread(path.read_bytes)
    async with open_house(path, hands=hands) as house:
        await house.put(lane, *(parcel(lane) for _ in range(3)))
        seen = await house.collected(device, await house.cursor(device, early[-1]))
        last = await house.cursor(device, seen[-1])
        await house.store.acknowledge(device, last)
    await asyncio.to_thread(path.write_bytes, backup)

    async with open_house(path, hands=hands) as house:
        since = [parcel(lane) for _ in range(later)]
        for start in range(0, later, 50):
            await house.put(lane, *since[start : start + 50])
        found = await house.collected(device, last)

        assert [one.parcel for one in found] == since


async def test_when_a_device_was_here_is_kept_to_the_hour(path: Path) -> None:
    async with open_house(path) as house:
        device = await house.device(await house.seat())

        async def seen() -> object:
            return (await house.look("SELECT collected_at FROM device"))[0][0]

        first = await seen()
        house.hands.live(3599)
        await house.store.resume(device, NOWHERE)
        assert await seen() == first
        house.hands.live(1)
        await house.store.resume(device, NOWHERE)
        assert await seen() != first


async def test_much_is_deleted_in_small_steps_and_all_of_it(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        for _ in range(6):
            await house.put(lane, parcel(lane, size=1 << 19))
        last = (await house.collected(device))[-1]
        cursor = await house.cursor(device, last)
        before = house.database.commits

        assert await house.store.acknowledge(device, cursor)

        assert (await house.store.usage(seat)).used_bytes == 0
        assert house.database.commits - before == 4  # two at a time, and a look that all is gone


async def test_acknowledging_a_little_is_one_commit(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, *(parcel(lane) for _ in range(20)))
        cursor = await house.cursor(device, (await house.collected(device))[-1])
        before = house.database.commits

        assert await house.store.acknowledge(device, cursor)

        assert house.database.commits - before == 1
