"""Mailboxes on the disk: lanes, deposits, numbers and cursors.

Every method that changes something returns when it is fsynced, and all of them may be repeated.
Numbers leave this module only after their commit. The rules are in `rules.py`; the SQL of one
matter each in `lanes.py`, `deposits.py` and `cursors.py`.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiosqlite

from gateway.clock import SteadyClock
from gateway.database import Database
from gateway.errors import NoSuchSeat, Refusal
from gateway.mailbox import cursors
from gateway.mailbox.cursors import OnNewEpoch, Resumed
from gateway.mailbox.deposits import Arrived, Doorkeeper, deposit, drop, held
from gateway.mailbox.lanes import FIND, KnownLane, NewLane, lane_of, mint, revoke
from gateway.mailbox.rules import a_few
from wire.frames import MAX_PARCELS, Cursor, Delivered, Outcome, Proved, Result, fits
from wire.ids import DeviceId, GatewayId, LaneId, ParcelId, SeatId
from wire.lanes import Lane, LaneRight
from wire.parcel import DAY, HEADER_BYTES, Lifetime, Parcel

SWEPT_AT_ONCE: Final = 256
"""Parcels that one transaction of a sweep deletes: nobody waits long behind it."""


@dataclass(frozen=True, slots=True)
class Deposited:
    """What became of a list of parcels."""

    outcomes: tuple[Outcome, ...]
    """One for each, in their order."""
    arrived: tuple[Arrived, ...]
    """Those that were not there before: their seats' devices want to know."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a mailbox is; for the seat's own devices and the owner of the box."""

    parcels: int
    used_bytes: int
    quota_bytes: int
    lanes: int


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep deleted."""

    parcels: int
    remembered: int
    lanes: int

    def __add__(self, other: "Swept") -> "Swept":
        return Swept(
            self.parcels + other.parcels,
            self.remembered + other.remembered,
            self.lanes + other.lanes,
        )


class MailboxStore:
    """All mailboxes of this gateway.

    Args:
        database: where they lie.
        clock: by which parcels grow old.
        gateway: our id, for which deposits are proved.
        on_new_epoch: what else must happen in the transaction that begins a new epoch.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: SteadyClock,
        gateway: GatewayId,
        on_new_epoch: Sequence[OnNewEpoch] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._doorkeeper = Doorkeeper(gateway)
        self._on_new_epoch = tuple(on_new_epoch)

    # Lanes

    async def mint_lanes(
        self, seat: SeatId, lanes: Sequence[LaneRight], *, rests_on: int = 0
    ) -> None:
        """Store lanes of a seat, or change the rules of those it has.

        Args:
            seat: whose lanes; the device that asks is logged in to it.
            lanes: at most as many as one message holds.
            rests_on: the state-log position that the change rests on.

        Raises:
            NoSuchSeat: the seat was removed.
            SyncFirst: a newer state was rested on before.
            TooManyLanes: the seat has all it can have.
            LaneRefused: another seat has a lane of this id.
        """
        new = [
            NewLane(one, self._clock.at_wall(one.expires) if one.expires else None) for one in lanes
        ]
        await self._database.write(lambda store: mint(store, seat, new, rests_on=rests_on))

    async def revoke_lanes(
        self, seat: SeatId, lanes: Sequence[LaneId], *, rests_on: int = 0
    ) -> None:
        """Delete lanes of a seat; what came on them before stays. Others' lanes are not touched.

        Raises:
            NoSuchSeat: the seat was removed.
            SyncFirst: a newer state was rested on before.
        """
        await self._database.write(
            lambda store: revoke(store, seat, lanes, rests_on=rests_on), frees=True
        )

    async def lane(self, lane: LaneId) -> KnownLane | None:
        """Return a lane, if it is there and alive."""
        now = self._clock.now()

        async def find(store: aiosqlite.Connection) -> KnownLane | None:
            async with store.execute(FIND, (lane.raw, now)) as rows:
                return lane_of(lane, await rows.fetchone())

        return await self._database.read(find)

    def stand_in(self, lane: LaneId) -> Lane:
        """Return a lane that nobody holds, to check a proof against where there is none.

        Whoever asks must not be able to tell by the time of the answer that a lane is unknown.
        """
        return self._doorkeeper.stand_in(lane)

    # Deposits

    async def deposit_all(self, parcels: Sequence[Proved]) -> Deposited:
        """Store what may be stored, in one transaction; answer for each parcel.

        A refusal concerns its parcel only. What the whole transaction suffers (a full disk, a
        failed one, too much waiting) is the outcome of every parcel: nothing of it was stored.
        """

        def work(store: sqlite3.Connection) -> list[Arrived | Refusal | None]:
            now = self._clock.now()
            return [_attempt(store, one, self._doorkeeper, now) for one in parcels]

        carried = sum(len(one.parcel.body) for one in parcels)
        try:
            results = await self._database.write(work, carries=carried)
        except Refusal as refusal:
            results = [refusal] * len(parcels)
        outcomes = tuple(
            _outcome(one.parcel.id, result) for one, result in zip(parcels, results, strict=True)
        )
        return Deposited(outcomes, tuple(one for one in results if isinstance(one, Arrived)))

    # Collecting

    async def resume(self, device: DeviceId, cursor: Cursor) -> Resumed:
        """Return where delivery to a device goes on; what it holds counts as acknowledged.

        Raises:
            DeviceUnknown: the device is of no seat.
            DeviceRevoked: it was one.
        """
        return await self._database.write(
            lambda store: cursors.resume(
                store,
                device,
                cursor,
                now=self._clock.now(),
                on_new_epoch=self._on_new_epoch,
            ),
            frees=True,
        )

    async def collect(
        self, seat: SeatId, *, after: int, limit: int = MAX_PARCELS
    ) -> tuple[Delivered, ...]:
        """Return the next parcels of a mailbox, as many as one frame holds.

        Args:
            seat: whose mailbox.
            after: the number after which to go on.
            limit: at most this many.
        """
        now = self._clock.now()

        async def look(store: aiosqlite.Connection) -> tuple[Delivered, ...]:
            sizes = await store.execute_fetchall(
                "SELECT seq, length(body) FROM parcel"
                " WHERE seat = ? AND seq > ? AND dies_at > ? ORDER BY seq LIMIT ?",
                (seat.raw, after, now, min(limit, MAX_PARCELS)),
            )
            last, total = after, 0
            for count, (seq, size) in enumerate(sizes, start=1):
                total += HEADER_BYTES + size + 16
                if not fits(total, count):
                    break
                last = seq
            rows = await store.execute_fetchall(
                "SELECT seq, lane, parcel, lifetime, purge, body FROM parcel"
                " WHERE seat = ? AND seq > ? AND seq <= ? AND dies_at > ? ORDER BY seq",
                (seat.raw, after, last, now),
            )
            return tuple(
                Delivered(seq, Parcel(LaneId(lane), ParcelId(id_), Lifetime(life), purge, body))
                for seq, lane, id_, life, purge, body in rows
            )

        return await self._database.read(look)

    async def acknowledge(self, device: DeviceId, cursor: Cursor) -> bool:
        """Note that a device holds everything up to `cursor`; drop what nobody needs any more.

        Returns:
            whether the cursor was good. If not, nothing changed: the device must resume.

        Raises:
            DeviceUnknown: the device is of no seat.
            DeviceRevoked: it was one.
        """
        acknowledged = await self._database.write(
            lambda store: cursors.acknowledge(store, device, cursor, now=self._clock.now()),
            frees=True,
        )
        if acknowledged is not None and acknowledged.more:
            await self._drop_acknowledged(acknowledged.seat)
        return acknowledged is not None

    # Housekeeping

    async def usage(self, seat: SeatId) -> Usage:
        """Return how full a mailbox is.

        Raises:
            NoSuchSeat: there is none.
        """

        async def look(store: aiosqlite.Connection) -> Usage:
            rows = await store.execute_fetchall(
                "SELECT (SELECT count(*) FROM parcel p WHERE p.seat = s.seat), used_bytes,"
                " quota_bytes, (SELECT count(*) FROM lane l WHERE l.seat = s.seat)"
                " FROM seat s WHERE seat = ?",
                (seat.raw,),
            )
            for row in rows:
                return Usage(*row)
            raise NoSuchSeat

        return await self._database.read(look)

    async def expire(self) -> Swept:
        """Delete what has come to its end, a little at a time; return how much it was."""
        total = Swept(0, 0, 0)
        for seat in await self._seats():
            while True:
                swept = await self._sweep(seat)
                total += swept
                if not swept.parcels:
                    break
        return total

    async def _sweep(self, seat: SeatId) -> Swept:
        return await self._database.write(
            lambda store: _sweep(store, seat, now=self._clock.now()), frees=True
        )

    async def _drop_acknowledged(self, seat: SeatId) -> None:
        """Go on deleting in small steps; who is cancelled here leaves the rest to a sweep."""

        def work(store: sqlite3.Connection) -> cursors.Dropped:
            return cursors.drop_acknowledged(store, seat, now=self._clock.now())

        while (await self._database.write(work, frees=True)).more:
            pass

    async def _seats(self) -> list[SeatId]:
        async def look(store: aiosqlite.Connection) -> list[SeatId]:
            return [SeatId(row[0]) for row in await store.execute_fetchall("SELECT seat FROM seat")]

        return await self._database.read(look)


def _attempt(
    store: sqlite3.Connection, proved: Proved, doorkeeper: Doorkeeper, now: float
) -> Arrived | Refusal | None:
    try:
        return deposit(store, proved, doorkeeper=doorkeeper, now=now)
    except Refusal as refusal:  # nothing was changed for this parcel; its neighbours go on
        return refusal


def _outcome(parcel: ParcelId, result: Arrived | Refusal | None) -> Outcome:
    if not isinstance(result, Refusal):
        return Outcome(parcel, Result.STORED, 0)
    code = Result[result.code.upper().replace("-", "_")]
    return Outcome(parcel, code, int(result.facts().get("retry_after", 0)))


def _sweep(store: sqlite3.Connection, seat: SeatId, *, now: float) -> Swept:
    dead = held(
        store,
        "number IN (SELECT number FROM parcel WHERE seat = ? AND dies_at <= ? LIMIT ?)",
        (seat.raw, now, SWEPT_AT_ONCE),
    )
    parcels = drop(store, seat, a_few(dead, at_most=cursors.DROPPED_AT_ONCE))
    parcels = parcels or cursors.drop_acknowledged(store, seat, now=now).parcels
    remembered = store.execute(
        "DELETE FROM deposit WHERE seat = ? AND forget_day <= ?", (seat.raw, int(now // DAY))
    ).rowcount
    lanes = store.execute(
        "DELETE FROM lane WHERE seat = ? AND dies_at <= ?", (seat.raw, now)
    ).rowcount
    return Swept(parcels, remembered, lanes)
