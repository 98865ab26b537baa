"""A mailbox store on a real file, with seats, devices, lanes and parcels to fill it."""

import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.clock import ClockMark, SteadyClock
from gateway.database import Database, Limits, open_database
from gateway.mailbox.cursors import OnNewEpoch
from gateway.mailbox.store import MailboxStore
from tests.gateway.hands import Hands
from wire.frames import NOWHERE, Cursor, Delivered, Proved, Result
from wire.ids import CursorEpoch, DeviceId, DeviceKey, GatewayId, LaneId, ParcelId, SeatId
from wire.lanes import Lane, LaneRight, LaneSecret, WakeRule
from wire.parcel import Lifetime, Parcel

GATEWAY = GatewayId(b"G" * 32)
ROOMY = 1 << 30


@dataclass
class House:
    """A gateway's store with what a test needs to use it."""

    store: MailboxStore
    database: Database
    hands: Hands
    clock: SteadyClock
    failures: list[str] = field(default_factory=list)

    async def seat(self, *, quota: int = ROOMY) -> SeatId:
        """Make a seat."""
        seat = SeatId(secrets.token_bytes(16))

        def work(store: sqlite3.Connection) -> None:
            store.execute(
                "INSERT INTO seat (seat, person, quota_bytes, epoch) VALUES (?, ?, ?, ?)",
                (seat.raw, secrets.token_bytes(32), quota, secrets.token_bytes(16)),
            )

        await self.database.write(work)
        return seat

    async def device(self, seat: SeatId) -> DeviceId:
        """Enrol a device at `seat`."""
        key = DeviceKey(secrets.token_bytes(32))
        now = self.clock.now()

        def work(store: sqlite3.Connection) -> None:
            store.execute(
                "INSERT INTO device (device, seat, device_key, collected_at) VALUES (?, ?, ?, ?)",
                (key.device.raw, seat.raw, key.raw, now),
            )

        await self.database.write(work)
        return key.device

    async def lane(
        self,
        seat: SeatId,
        *,
        rule: WakeRule = WakeRule.WAKE,
        bytes_waiting: int = ROOMY,
        expires: int = 0,
        last_tenth: bool = False,
    ) -> Lane:
        """Mint a lane of `seat`."""
        lane = LaneSecret(secrets.token_bytes(32)).at(GATEWAY)
        right = LaneRight(
            lane,
            rule,
            wakes_per_day=200,
            bytes_waiting=bytes_waiting,
            expires=expires,
            last_tenth=last_tenth,
        )
        await self.store.mint_lanes(seat, [right])
        return lane

    async def put(self, lane: Lane, *parcels: Parcel) -> list[Result]:
        """Deposit `parcels`, proved with `lane`; return what became of each."""
        proved = [prove(lane, one) for one in parcels]
        return [one.result for one in (await self.store.deposit_all(proved)).outcomes]

    async def collected(self, device: DeviceId, cursor: Cursor = NOWHERE) -> list[Delivered]:
        """Return all that `device` is sent when it resumes at `cursor`."""
        resumed = await self.store.resume(device, cursor)
        found: list[Delivered] = []
        after = resumed.after
        while batch := await self.store.collect(resumed.seat, after=after):
            found += batch
            after = batch[-1].seq
        return found

    async def cursor(self, device: DeviceId, delivered: Delivered) -> Cursor:
        """Return the cursor of `device` at a parcel of the present epoch."""
        epoch = (await self.store.resume(device, NOWHERE)).epoch
        return Cursor(epoch, delivered.seq, delivered.parcel.id)

    async def look(self, sql: str, *parameters: bytes | int) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        return await self.database.write(
            lambda store: store.execute(sql, parameters).fetchall(), frees=True
        )


def parcel(
    lane: Lane | LaneId,
    *,
    size: int = 256,
    lifetime: Lifetime = Lifetime.MONTH,
    id: ParcelId | None = None,
) -> Parcel:
    """Make a parcel of random content."""
    return Parcel(
        lane.id if isinstance(lane, Lane) else lane,
        id or ParcelId(secrets.token_bytes(16)),
        lifetime,
        secrets.token_bytes(32),
        secrets.token_bytes(size),
    )


def prove(lane: Lane, one: Parcel) -> Proved:
    """Prove a parcel with a lane's key."""
    return Proved(one.proof(lane, gateway=GATEWAY), one)


def at(epoch: CursorEpoch, delivered: Delivered) -> Cursor:
    """Return the cursor that stands at a parcel."""
    return Cursor(epoch, delivered.seq, delivered.parcel.id)


@asynccontextmanager
async def open_house(
    path: Path,
    *,
    hands: Hands | None = None,
    mark: ClockMark | None = None,
    on_new_epoch: tuple[OnNewEpoch, ...] = (),
) -> AsyncIterator[House]:
    """Open the store at `path`, which may hold something already."""
    hands = hands or Hands()
    failures: list[str] = []
    async with open_database(
        path,
        on_fatal=failures.append,
        now=hands.now(),
        limits=Limits(full_retry_after=0.0),
    ) as database:
        clock = hands.steady_clock(mark)
        store = MailboxStore(database, clock=clock, gateway=GATEWAY, on_new_epoch=on_new_epoch)
        yield House(store, database, hands, clock, failures)
