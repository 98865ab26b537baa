"""Counters in the writer's memory: always what the file would say."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from gateway.mailbox import tally
from gateway.mailbox.tally import Tally
from tests.gateway.mailbox.house import ROOMY, House, at, open_house, parcel, prove
from wire.frames import Result
from wire.lanes import Lane, LaneRight, WakeRule
from wire.parcel import HEADER_BYTES

SIZE = HEADER_BYTES + 256


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def memory(house: House) -> Tally:
    return house.store._tally


async def written(house: House, path: Path) -> list[tuple[int, ...]]:
    """Return the counters as another process finds them."""
    with sqlite3.connect(path) as connection:
        return connection.execute(
            "SELECT l.used_bytes, l.remembered, s.used_bytes, s.last_seq"
            " FROM lane l JOIN seat s USING (seat) ORDER BY lane"
        ).fetchall()


async def test_what_was_answered_is_counted_in_the_file(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        for n in range(1, 4):
            await house.put(lane, parcel(lane))
            assert await written(house, path) == [(n * SIZE, n, n * SIZE, n)]
        assert memory(house).known(lane.id) is not None


async def test_a_lane_that_was_changed_is_read_anew(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        assert await house.put(lane, parcel(lane)) == [Result.STORED]

        other_key = Lane(lane.id, bytes(32))
        right = LaneRight(
            other_key, WakeRule.NEVER, wakes_per_day=0, bytes_waiting=ROOMY, expires=0,
            last_tenth=True,
        )  # fmt: skip
        await house.store.mint_lanes(seat, [right])

        assert await house.put(lane, parcel(lane)) == [Result.LANE_REFUSED]
        stored = await house.store.deposit_all([prove(other_key, parcel(lane))])
        assert [one.rule for one in stored.arrived] == [WakeRule.NEVER]
        await house.store.revoke_lanes(seat, [lane.id])
        assert await house.put(other_key, parcel(lane)) == [Result.LANE_REFUSED]


async def test_a_seat_whose_limit_was_changed_is_read_anew(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat, last_tenth=True)
        assert await house.put(lane, parcel(lane)) == [Result.STORED]

        await house.look("UPDATE seat SET quota_bytes = ?", SIZE)
        assert await house.put(lane, parcel(lane)) == [Result.MAILBOX_FULL]
        await house.look("UPDATE seat SET quota_bytes = ?", 2 * SIZE)
        assert await house.put(lane, parcel(lane)) == [Result.STORED]


async def test_others_see_in_one_commit_what_deposits_before_them_counted(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        before = house.database.commits
        seen = await asyncio.gather(
            house.put(lane, parcel(lane)),
            house.look("SELECT used_bytes FROM seat"),
            house.put(lane, parcel(lane)),
            house.look("SELECT used_bytes FROM seat"),
        )

        assert house.database.commits - before <= 2
        assert [seen[1], seen[3]] == [[(SIZE,)], [(2 * SIZE,)]]


async def test_what_a_neighbour_undoes_leaves_the_counters_true(path: Path) -> None:
    def stumble(store: sqlite3.Connection) -> None:
        store.execute("UPDATE seat SET used_bytes = 77")
        raise ValueError("stumbled")

    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        results = await asyncio.gather(
            house.put(lane, parcel(lane)),
            house.database.write(stumble),
            house.put(lane, parcel(lane)),
            return_exceptions=True,
        )

        assert results[0] == results[2] == [Result.STORED]
        assert await written(house, path) == [(2 * SIZE, 2, 2 * SIZE, 2)]


async def test_a_job_by_heart_that_fails_half_way_takes_nobody_along(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)

        def half(store: sqlite3.Connection) -> None:
            known = memory(house).look(store, lane.id)
            assert known is not None
            memory(house).take(known, SIZE)
            store.execute("UPDATE seat SET quota_bytes = 1")
            raise KeyError("a fault of ours")

        results = await asyncio.gather(
            house.put(lane, parcel(lane)),
            house.database.write(half, by_heart=True),
            house.put(lane, parcel(lane)),
            return_exceptions=True,
        )

        assert results[0] == results[2] == [Result.STORED]
        assert isinstance(results[1], KeyError)
        assert await written(house, path) == [(2 * SIZE, 2, 2 * SIZE, 2)]
        assert house.failures == []


async def test_a_full_disk_leaves_the_counters_as_they_were(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane = await house.lane(seat)
        await house.put(lane, parcel(lane))
        await house.look("PRAGMA max_page_count = 1")
        many = [parcel(lane, size=1 << 16) for _ in range(4)]
        assert await house.put(lane, *many) == [Result.DISK_FULL] * 4
        await house.look("PRAGMA max_page_count = 1000000")

        assert await house.put(lane, parcel(lane)) == [Result.STORED]
        assert await written(house, path) == [(2 * SIZE, 2, 2 * SIZE, 2)]


async def test_room_comes_back_on_lanes_that_nobody_asked_for_lately(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device = await house.device(seat)
        kept, revoked = await house.lane(seat), await house.lane(seat)
        await house.put(kept, parcel(kept))
        await house.put(revoked, parcel(revoked))
        await house.store.revoke_lanes(seat, [revoked.id])
        last = (await house.collected(device))[-1]
        cursor = await house.cursor(device, last)

        assert await house.store.acknowledge(device, cursor)

        assert await written(house, path) == [(0, 1, 0, 2)]
        assert at(cursor.epoch, last) == cursor


async def test_only_so_many_lanes_are_kept_in_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "MAX_LANES_KNOWN", 3)
    async with open_house(path) as house:
        seat = await house.seat()
        lanes = [await house.lane(seat) for _ in range(5)]
        for lane in lanes * 2:
            assert await house.put(lane, parcel(lane)) == [Result.STORED]
            assert len(memory(house)._lanes) <= 3

        assert {row[:2] for row in await written(house, path)} == {(2 * SIZE, 2)}


async def test_lanes_that_nobody_may_use_cost_one_look_each_whatever_is_wrong(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        lane, over = await house.lane(seat), await house.lane(seat, expires=1)
        await house.put(lane, parcel(lane))
        looks = list[str]()

        async def cost(one: Lane, about: Lane) -> int:
            looks.clear()
            assert await house.put(one, parcel(about)) == [Result.LANE_REFUSED]
            return sum("FROM lane WHERE" in sql for sql in looks)

        await house.database.write(lambda store: store.set_trace_callback(looks.append))
        unknown = Lane(type(lane.id)(bytes(16)), bytes(32))
        costs = {
            await cost(unknown, unknown),
            await cost(Lane(lane.id, bytes(32)), lane),  # known, and the proof is wrong
            await cost(over, over),
            await cost(over, over),
        }

        assert costs == {1}
