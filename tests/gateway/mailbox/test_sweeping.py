"""Growing old in small steps."""

from pathlib import Path

import pytest

from gateway.mailbox import sweeping
from gateway.mailbox.store import Swept
from gateway.mailbox.sweeping import SWEPT_AT_ONCE
from tests.gateway.mailbox.house import open_house, parcel
from wire.frames import Result
from wire.parcel import DAY, Lifetime


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def test_a_sweep_takes_all_that_is_due_in_small_steps(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        count = SWEPT_AT_ONCE + 20
        for start in range(0, count, 64):
            some = min(64, count - start)
            await house.put(lane, *(parcel(lane, lifetime=Lifetime.DAY) for _ in range(some)))
        house.hands.live(DAY)
        before = house.database.commits

        assert (await house.store.expire()).parcels == count
        assert house.database.commits - before == 4  # 256, 20, none is left, and the lanes


async def test_deposits_are_forgotten_a_few_lanes_at_a_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "LOOKED_AT_ONCE", 10)
    async with open_house(path) as house:
        seat = await house.seat()
        lanes = [await house.lane(seat) for _ in range(5)]
        for lane in lanes:
            await house.put(lane, *(parcel(lane, lifetime=Lifetime.DAY) for _ in range(6)))
        house.hands.live(3 * DAY)
        before = house.database.commits

        assert await house.store.expire() == Swept(30, 30, 0)
        assert house.database.commits - before == 2 + 3  # parcels, then two lanes in each step
        assert await house.look("SELECT sum(remembered) FROM lane") == [(0,)]
        assert await house.look("SELECT count(*) FROM deposit") == [(0,)]


async def test_deposits_are_looked_through_once_a_day(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane, lifetime=Lifetime.WEEK))
        assert (await house.store.expire()).remembered == 0
        await house.look("UPDATE deposit SET forget_day = 0")

        assert (await house.store.expire()).remembered == 0  # the same day
        house.hands.live(DAY)
        assert (await house.store.expire()).remembered == 1


async def test_a_lane_that_is_over_goes_with_what_was_remembered_of_it(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat, expires=int(house.hands.wall) + 60)
        await house.put(lane, parcel(lane))
        house.hands.live(61)

        assert await house.store.expire() == Swept(0, 0, 1)
        assert await house.look("SELECT count(*) FROM deposit") == [(0,)]
        assert (await house.store.usage(seat)).parcels == 1
        assert await house.put(lane, parcel(lane)) == [Result.LANE_REFUSED]


async def test_lanes_that_are_over_go_a_few_at_a_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "LOOKED_AT_ONCE", 10)
    async with open_house(path) as house:
        seat = await house.seat()
        lanes = [await house.lane(seat, expires=int(house.hands.wall) + 60) for _ in range(5)]
        for lane, count in zip(lanes, (3, 0, 25, 3, 3), strict=True):
            await house.put(lane, *(parcel(lane) for _ in range(count)))
        house.hands.live(61)
        before = house.database.commits

        assert await house.store.expire() == Swept(0, 0, 5)
        assert house.database.commits - before >= 1 + 4  # the parcels, then ten rows in each step
        assert await house.look("SELECT count(*) FROM deposit") == [(0,)]
