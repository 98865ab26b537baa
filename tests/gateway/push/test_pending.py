"""A parcel is never stored without what it may do to a phone, nor the other way round."""

import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.mailbox.store import MailboxStore
from gateway.push.pending import PendingWakes
from gateway.push.store import PushStore
from gateway.rings import Ring
from tests.gateway.mailbox.house import GATEWAY, House, open_house, parcel, prove
from tests.gateway.push.service import Receiver
from wire.frames import NOWHERE
from wire.ids import DeviceId, SeatId
from wire.lanes import WakeRule


@dataclass
class Place:
    """A mailbox whose phone can be woken."""

    house: House
    pushes: PushStore
    pending: PendingWakes
    seat: SeatId
    device: DeviceId

    async def row(self) -> tuple[object, ...]:
        """Return what still has to ring."""
        [found] = await self.house.look("SELECT wake, outside, digest, pushes FROM wake")
        return found


@asynccontextmanager
async def open_place(path: Path) -> AsyncIterator[Place]:
    """Open a store with one seat and one phone with a confirmed address."""
    async with open_house(path) as house:
        pending = PendingWakes()
        house.store = MailboxStore(
            house.database, clock=house.clock, gateway=GATEWAY, beside=pending
        )
        pushes = PushStore(house.database, clock=house.clock, pending=pending)
        seat = await house.seat()
        device = await house.device(seat)
        address = Receiver(f"https://push.example.net/{secrets.token_hex(4)}").address
        token = await pushes.propose(seat, device, address)
        assert token is not None
        await pushes.confirm(device, token)
        yield Place(house, pushes, pending, seat, device)


async def test_each_rule_leaves_its_own_mark_in_the_parcels_transaction(tmp_path: Path) -> None:
    async with open_place(tmp_path / "store") as place:
        for rule in (
            WakeRule.WAKE, WakeRule.NEVER, WakeRule.WAKE_OUTSIDE_QUIET_HOURS, WakeRule.DIGEST,
        ):  # fmt: skip
            lane = await place.house.lane(place.seat, rule=rule)
            await place.house.put(lane, parcel(lane))

        assert await place.row() == (1, 3, 4, 0)


async def test_a_thousand_parcels_write_one_row(tmp_path: Path) -> None:
    async with open_place(tmp_path / "store") as place:
        lane = await place.house.lane(place.seat)
        for _ in range(20):
            await place.house.put(lane, *(parcel(lane) for _ in range(50)))

        assert await place.house.look("SELECT wake FROM wake") == [(1000,)]


async def test_a_parcel_that_is_not_stored_leaves_no_mark(tmp_path: Path) -> None:
    async with open_place(tmp_path / "store") as place:
        lane = await place.house.lane(place.seat)
        one = parcel(lane)
        await place.house.put(lane, one)
        await place.house.put(lane, one)

        def breaks(store: sqlite3.Connection) -> None:
            place.pending.stored(
                store, seat=place.seat, seq=99, lane=lane.id, rule=WakeRule.WAKE,
                wakes_per_day=9, now=0.0,
            )  # fmt: skip
            raise ValueError("something else went wrong")

        with pytest.raises(ValueError, match="something else"):
            await place.house.database.write(breaks, by_heart=True)
        await place.house.put(lane, parcel(lane))

        assert await place.row() == (2, 0, 0, 0)


async def test_a_device_that_collects_has_answered(tmp_path: Path) -> None:
    async with open_place(tmp_path / "store") as place:
        await place.house.database.write(
            lambda store: store.execute("UPDATE wake SET pushes = 3").rowcount
        )
        await place.house.store.resume(place.device, NOWHERE)

        assert (await place.row())[3] == 0


async def test_a_lane_may_wake_so_often_a_day_and_the_next_day_again(tmp_path: Path) -> None:
    async with open_place(tmp_path / "store") as place:
        lane = await place.house.lane(place.seat)  # 200 a day
        now = place.house.clock.now()

        def spend(store: sqlite3.Connection) -> None:
            for _ in range(200):
                place.pending.charge(store, lane.id, now=now)

        async def ring() -> list[Ring]:
            done = await place.house.store.deposit_all([prove(lane, parcel(lane))])
            return list(done.arrived[0].rings)

        assert await ring() == [Ring(place.device, WakeRule.WAKE, WakeRule.WAKE)]
        await place.house.database.write(spend, by_heart=True)
        assert await ring() == [Ring(place.device, WakeRule.WAKE, WakeRule.DIGEST)]
        place.house.hands.live(86_400)
        assert await ring() == [Ring(place.device, WakeRule.WAKE, WakeRule.WAKE)]


async def test_a_lane_that_is_gone_has_no_budget(tmp_path: Path) -> None:
    async with open_place(tmp_path / "store") as place:
        lane = await place.house.lane(place.seat)
        await place.house.store.revoke_lanes(place.seat, [lane.id])
        await place.house.database.write(
            lambda store: place.pending.charge(store, lane.id, now=0.0), by_heart=True
        )

        assert await place.house.look("SELECT count(*) FROM lane_wake") == [(0,)]


async def test_devices_without_an_address_have_no_row_and_no_ring(tmp_path: Path) -> None:
    async with open_place(tmp_path / "store") as place:
        seat = await place.house.seat()
        await place.house.device(seat)
        lane = await place.house.lane(seat)
        done = await place.house.store.deposit_all([prove(lane, parcel(lane))])

        assert list(done.arrived[0].rings) == []
        assert await place.row() == (0, 0, 0, 0)
