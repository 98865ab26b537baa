"""Lanes are changed by their owner alone, and never back."""

from pathlib import Path

import pytest

from gateway.errors import LaneRefused, SyncFirst, TooManyLanes
from gateway.mailbox.rules import MAX_LANES
from tests.gateway.mailbox.house import open_house, parcel
from wire.frames import Result
from wire.lanes import Lane, LaneRight, WakeRule
from wire.parcel import HEADER_BYTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def test_a_lane_change_that_rests_on_an_old_state_is_refused(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        kept, blocked = await house.lane(seat), await house.lane(seat)
        await house.store.revoke_lanes(seat, [blocked.id], rests_on=7)
        right = LaneRight(
            blocked,
            WakeRule.WAKE,
            wakes_per_day=1,
            bytes_waiting=1,
            expires=0,
            last_tenth=False,
        )

        with pytest.raises(SyncFirst) as refused:
            await house.store.mint_lanes(seat, [right], rests_on=6)

        assert refused.value.facts() == {"position": 7}
        assert await house.store.lane(blocked.id) is None
        await house.store.mint_lanes(seat, [right], rests_on=7)
        assert await house.store.lane(blocked.id) is not None
        assert await house.store.lane(kept.id) is not None


async def test_a_rule_is_changed_without_touching_what_waits(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat, rule=WakeRule.WAKE)
        await house.put(lane, parcel(lane))
        muted = LaneRight(
            lane,
            WakeRule.NEVER,
            wakes_per_day=0,
            bytes_waiting=1000,
            expires=0,
            last_tenth=True,
        )

        await house.store.mint_lanes(seat, [muted])

        found = await house.store.lane(lane.id)
        assert found is not None
        assert (found.rule, found.last_tenth) == (WakeRule.NEVER, True)
        counted = await house.look("SELECT used_bytes, bytes_waiting FROM lane")
        assert counted == [(HEADER_BYTES + 256, 1000)]
        assert len(await house.collected(device)) == 1


async def test_nobody_can_take_or_revoke_a_lane_of_another_seat(path: Path) -> None:
    async with open_house(path) as house:
        seat, thief = await house.seat(), await house.seat()
        lane = await house.lane(seat)
        grab = LaneRight(
            Lane(lane.id, bytes(32)),
            WakeRule.WAKE,
            wakes_per_day=1,
            bytes_waiting=1,
            expires=0,
            last_tenth=False,
        )

        with pytest.raises(LaneRefused):
            await house.store.mint_lanes(thief, [grab])
        await house.store.revoke_lanes(thief, [lane.id])

        assert await house.put(lane, parcel(lane)) == [Result.STORED]


async def test_what_came_on_a_lane_stays_when_the_lane_is_revoked(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        device, lane = await house.device(seat), await house.lane(seat)
        await house.put(lane, parcel(lane))
        await house.store.revoke_lanes(seat, [lane.id])

        [one] = await house.collected(device)
        await house.store.acknowledge(device, await house.cursor(device, one))

        assert (await house.store.usage(seat)).used_bytes == 0


async def test_a_seat_has_a_limit_of_lanes(path: Path) -> None:
    async with open_house(path) as house:
        seat = await house.seat()
        sql = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
            " INSERT INTO lane (lane, seat, lane_key, rule, wakes_per_day, bytes_waiting,"
            " last_tenth) SELECT randomblob(16), ?2, randomblob(32), 1, 1, 1, 0 FROM n"
        )
        await house.look(sql, MAX_LANES - 1, seat.raw)
        await house.lane(seat)

        with pytest.raises(TooManyLanes):
            await house.lane(seat)
        assert (await house.store.usage(seat)).lanes == MAX_LANES
