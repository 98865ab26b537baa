"""What a mailbox promises: on a real file, through the store's own doors."""

import asyncio
from pathlib import Path

import pytest

from gateway.errors import DeviceUnknown, NoSuchSeat
from gateway.mailbox.store import Swept
from tests.gateway.mailbox.house import GATEWAY, House, open_house, parcel, prove
from wire.frames import MAX_FRAME, NOWHERE, Parcels, Result, encode_frame
from wire.ids import DeviceId, SeatId
from wire.lanes import LaneSecret
from wire.parcel import DAY, HEADER_BYTES, Lifetime


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def test_what_is_deposited_is_collected_in_its_order(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        sent = [parcel(lane) for _ in range(150)]
        for start in range(0, 150, 50):
            assert set(await house.put(lane, *sent[start : start + 50])) == {Result.STORED}

        found = await house.collected(device)

        assert [one.parcel for one in found] == sent
        assert [one.seq for one in found] == list(range(1, 151))


async def test_one_refused_parcel_does_not_hold_back_its_neighbours(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        unknown = LaneSecret(bytes(32)).at(GATEWAY)
        good, bad, good_too = parcel(lane), parcel(unknown), parcel(lane)

        deposited = await house.store.deposit_all(
            [prove(lane, good), prove(unknown, bad), prove(lane, good_too)]
        )

        assert [one.result for one in deposited.outcomes] == [
            Result.STORED,
            Result.LANE_REFUSED,
            Result.STORED,
        ]
        assert [one.seq for one in deposited.arrived] == [1, 2]


@pytest.mark.parametrize(
    ("lifetime", "days"), [(Lifetime.DAY, 1), (Lifetime.MONTH, 30), (Lifetime.HALF_YEAR, 30)]
)
async def test_a_deposit_is_remembered_for_thirty_days_or_its_life(
    path: Path, lifetime: Lifetime, days: int
) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane, lifetime=lifetime))

        house.hands.live(days * DAY - 60)
        assert (await house.store.expire()).remembered == 0
        house.hands.live(DAY + 120)
        assert (await house.store.expire()).remembered == 1


async def test_parcels_die_at_the_end_of_their_life_by_the_steady_clock_alone(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, *(parcel(lane, lifetime=life) for life in Lifetime))

        house.hands.wall += 40_000 * DAY
        assert await house.store.expire() == Swept(0, 0, 0)
        house.hands.steady += DAY
        assert len(await house.collected(device)) == 3
        assert (await house.store.expire()).parcels == 1
        house.hands.steady += 30 * DAY
        assert (await house.store.expire()).parcels == 2
        house.hands.steady += 150 * DAY
        assert (await house.store.expire()).parcels == 1
        assert (await house.store.usage(seat)).used_bytes == 0


async def test_largest_parcels_come_one_frame_at_a_time(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        for _ in range(3):
            await house.put(lane, parcel(lane, size=1 << 19))

        batch = await house.store.collect(seat, after=0)

        assert [one.seq for one in batch] == [1, 2]
        assert [one.seq for one in await house.store.collect(seat, after=0, limit=1)] == [1]


async def test_a_frame_from_the_store_is_the_frame_of_its_parcels(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        for size in (1 << 19, 256, 1 << 19, 1024, 1 << 20, 256):
            await house.put(lane, parcel(lane, size=size))
        frames, after = list[tuple[int, ...]](), 0
        while numbers := (await house.store.collect_frame(seat, after=after))[0]:
            batch = await house.store.collect(seat, after=after)
            frame = (await house.store.collect_frame(seat, after=after))[1]
            assert frame == encode_frame(Parcels(batch))
            assert len(frame) <= MAX_FRAME
            assert numbers == tuple(one.seq for one in batch)
            frames.append(numbers)
            after = numbers[-1]

        assert frames == [(1, 2, 3, 4), (5, 6)]


async def test_a_full_disk_is_the_answer_for_every_parcel_and_nothing_is_stored(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        await house.look("PRAGMA max_page_count = 1")
        many = [parcel(lane, size=1 << 16) for _ in range(10)]

        assert await house.put(lane, *many) == [Result.DISK_FULL] * 10
        await house.look("PRAGMA max_page_count = 1000000")
        assert (await house.store.usage(seat)).parcels == 0
        assert await house.put(lane, *many) == [Result.STORED] * 10


async def test_whoever_is_not_there_is_a_typed_refusal(path: Path) -> None:
    async with open_house(path) as house:
        nobody, nowhere = DeviceId(bytes(16)), SeatId(bytes(16))

        with pytest.raises(DeviceUnknown):
            await house.store.resume(nobody, NOWHERE)
        with pytest.raises(NoSuchSeat):
            await house.store.usage(nowhere)
        with pytest.raises(NoSuchSeat):
            await house.store.revoke_lanes(nowhere, [])


async def test_two_mailboxes_do_not_touch(path: Path) -> None:
    async with open_house(path) as house:
        seats = [await house.seat() for _ in range(2)]
        devices = [await house.device(seat) for seat in seats]
        lanes = [await house.lane(seat) for seat in seats]
        sent = [parcel(lane) for lane in lanes]
        for lane, one in zip(lanes, sent, strict=True):
            await house.put(lane, one)

        for device, one in zip(devices, sent, strict=True):
            assert [(found.seq, found.parcel) for found in await house.collected(device)] == [
                (1, one)
            ]


async def everything_sums_up(house: House) -> None:
    """Check that what is counted is what lies there."""
    counted = await house.look("SELECT used_bytes FROM seat")
    there = await house.look("SELECT sum(length(body) + ?) FROM parcel", HEADER_BYTES)
    assert sum(int(str(row[0])) for row in counted) == there[0][0]


async def test_a_thousand_interrupted_deposits_leave_a_mailbox_that_adds_up(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        sent = [parcel(lane) for _ in range(400)]
        tasks = [asyncio.create_task(house.put(lane, one)) for one in sent]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        again = [(await house.put(lane, one))[0] for one in sent]

        assert set(again) == {Result.STORED}
        found = await house.collected(device)
        assert {one.parcel.id for one in found} == {one.id for one in sent}
        assert len(found) == len(sent)
        await everything_sums_up(house)
