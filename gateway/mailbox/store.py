"""Mailboxes on the disk: lanes, deposits, numbers and cursors.

Every method that changes something returns when it is fsynced, and all of them may be repeated.
Numbers leave this module only after their commit. The rules are in `rules.py`; the SQL of one
matter each in `lanes.py`, `deposits.py` and `cursors.py`. Deposits and cursors work by heart, with
the counters of `tally.py`.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import aiosqlite

from gateway.clock import SteadyClock
from gateway.database import Database
from gateway.database.failure import DamagedRow
from gateway.database.writer import Raised
from gateway.errors import Busy, NoSuchSeat, Refusal
from gateway.mailbox import cursors
from gateway.mailbox.cursors import OnNewEpoch, Resumed
from gateway.mailbox.deposits import STORED, Arrived, Doorkeeper, as_stored, deposit
from gateway.mailbox.lanes import FIND, KnownLane, NewLane, lane_of, mint, revoke
from gateway.mailbox.sweeping import Forgotten, forget, swept_parcels
from gateway.mailbox.tally import Tally
from gateway.rings import InTransaction, NobodyRings
from wire.frames import (
    MAX_PARCELS,
    MAX_PARCELS_BYTES,
    PARCEL_OVERHEAD,
    Cursor,
    Delivered,
    Outcome,
    Proved,
    Result,
    StoredRow,
    encode_stored,
)
from wire.ids import DeviceId, GatewayId, LaneId, ParcelId, SeatId
from wire.lanes import Lane, LaneRight
from wire.parcel import DAY, Lifetime, Parcel

LANES_AT_HAND: Final = 1024
"""Lanes that need not be looked up again while nothing changes."""

log = logging.getLogger(__name__)


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


_NEXT: Final = (
    f"SELECT {STORED} FROM ("  # noqa: S608  # a constant
    "SELECT number, sum(size) OVER (ORDER BY seq) AS total FROM ("
    "SELECT number, seq, length(body) + ? AS size FROM parcel"
    " WHERE seat = ? AND seq > ? AND dies_at > ? ORDER BY seq LIMIT ?"
    ") AS few) AS summed JOIN parcel p ON p.number = summed.number"
    " WHERE summed.total <= ? ORDER BY p.seq"
)
"""The next parcels of a mailbox, as many as fit; no body is read that does not."""


class MailboxStore:
    """All mailboxes of this gateway.

    Args:
        database: where they lie.
        clock: by which parcels grow old.
        gateway: our id, for which deposits are proved.
        on_new_epoch: what else must happen in the transaction that begins a new epoch.
        beside: what is written with each parcel; nothing by default.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: SteadyClock,
        gateway: GatewayId,
        on_new_epoch: Sequence[OnNewEpoch] = (),
        beside: InTransaction | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._doorkeeper = Doorkeeper(gateway)
        self._on_new_epoch = tuple(on_new_epoch)
        self._tally = Tally()
        self._beside = beside or NobodyRings()
        database.learn(_Both(self._tally, self._beside))
        self._forgotten_day: dict[SeatId, int] = {}
        self._at_hand: dict[LaneId, KnownLane] = {}
        self._at_hand_since = -1

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
        since = self._database.changes
        rows = await self._database.look(FIND, lane.raw)
        found = lane_of(lane, next(iter(rows), None))
        if found is not None and since == self._database.changes:
            self._keep_at_hand(found)
        return found if found is not None and found.is_alive(self._clock.now()) else None

    def lane_at_hand(self, lane: LaneId) -> KnownLane | None:
        """Return a lane that was looked up lately and cannot have changed since, if it is alive."""
        if self._at_hand_since != self._database.changes:
            return None
        found = self._at_hand.get(lane)
        return found if found is not None and found.is_alive(self._clock.now()) else None

    def _keep_at_hand(self, lane: KnownLane) -> None:
        since = self._database.changes
        if self._at_hand_since != since or len(self._at_hand) >= LANES_AT_HAND:
            self._at_hand.clear()
        self._at_hand_since = since
        self._at_hand[lane.lane.id] = lane

    def stand_in(self, lane: LaneId) -> Lane:
        """Return a lane that nobody holds, to check a proof against where there is none.

        Whoever asks must not be able to tell by the time of the answer that a lane is unknown.
        """
        return self._doorkeeper.stand_in(lane)

    # Deposits

    def hand_in(self, parcels: Sequence[Proved], answer: Callable[[Deposited], None]) -> None:
        """Store what may be stored, in one transaction; `answer` is told what became of each.

        It is called in the loop: once the parcels are on the disk, or at once if nothing can be
        taken. A refusal concerns its parcel only. What the whole transaction suffers (a full disk,
        a failed one, too much waiting) is the outcome of every parcel: nothing of it was stored.
        """

        def work(store: sqlite3.Connection) -> list[Arrived | Refusal | None]:
            now = self._clock.now()
            return [
                _attempt(store, self._tally, one, self._doorkeeper, now, self._beside)
                for one in parcels
            ]

        def decided(outcome: list[Arrived | Refusal | None] | Raised) -> None:
            if isinstance(outcome, Raised):
                outcome = [_refusal(outcome.error)] * len(parcels)
            answer(_deposited(parcels, outcome))

        try:
            carried = sum([len(one.parcel.body) for one in parcels])
            self._database.hand_in(work, carries=carried, answer=decided)
        except Refusal as refusal:
            answer(_deposited(parcels, [refusal] * len(parcels)))

    async def deposit_all(self, parcels: Sequence[Proved]) -> Deposited:
        """Store what may be stored, as `hand_in` does; return what became of each."""
        done: asyncio.Future[Deposited] = asyncio.get_running_loop().create_future()

        def answer(deposited: Deposited) -> None:
            if not done.done():
                done.set_result(deposited)

        self.hand_in(parcels, answer)
        return await done

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
                self._tally,
                device,
                cursor,
                now=self._clock.now(),
                on_new_epoch=self._on_new_epoch,
                beside=self._beside,
            ),
            frees=True,
            by_heart=True,
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
        return tuple(
            Delivered(seq, Parcel(LaneId(lane), ParcelId(id_), Lifetime(life), purge, body))
            for seq, lane, id_, life, purge, body in await self._next(seat, after, limit)
        )

    async def collect_frame(
        self, seat: SeatId, *, after: int, limit: int = MAX_PARCELS
    ) -> tuple[tuple[int, ...], bytes]:
        """Return what `collect` does as the numbers, and the bytes of the Parcels frame."""
        rows = await self._next(seat, after, limit)
        return tuple([row[0] for row in rows]), encode_stored(rows)

    async def _next(self, seat: SeatId, after: int, limit: int) -> list[StoredRow]:
        now, count = self._clock.now(), min(limit, MAX_PARCELS)
        rows = await self._database.look(
            _NEXT, PARCEL_OVERHEAD, seat.raw, after, now, count, MAX_PARCELS_BYTES
        )
        try:
            return [as_stored(row, seat=seat.raw) for row in rows]
        except DamagedRow as damaged:
            raise self._database.spoiled(damaged) from damaged

    async def acknowledge(self, device: DeviceId, cursor: Cursor) -> bool:
        """Note that a device holds everything up to `cursor`; drop what nobody needs any more.

        Returns:
            whether the cursor was good. If not, nothing changed: the device must resume.

        Raises:
            DeviceUnknown: the device is of no seat.
            DeviceRevoked: it was one.
        """
        acknowledged = await self._database.write(
            lambda store: cursors.acknowledge(
                store, self._tally, device, cursor, now=self._clock.now()
            ),
            frees=True,
            by_heart=True,
        )
        if acknowledged is not None and acknowledged.more:
            await self._drop_acknowledged(acknowledged.seat)
        return acknowledged is not None

    # Housekeeping

    async def waits(self, seat: SeatId, *, after: int, up_to: int) -> bool:
        """Return whether a parcel between two numbers is still there to be collected."""
        rows = await self._database.look(
            "SELECT 1 FROM parcel WHERE seat = ? AND seq > ? AND seq <= ? AND dies_at > ? LIMIT 1",
            seat.raw,
            after,
            up_to,
            self._clock.now(),
        )
        return bool(rows)

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
        parcels, forgotten = 0, Forgotten(0, 0, None)
        for seat in await self._seats():
            while swept := await self._sweep_parcels(seat):
                parcels += swept
            forgotten += await self._forget(seat)
        return Swept(parcels, forgotten.deposits, forgotten.lanes)

    async def _sweep_parcels(self, seat: SeatId) -> int:
        return await self._database.write(
            lambda store: swept_parcels(store, self._tally, seat, now=self._clock.now()),
            frees=True,
            by_heart=True,
        )

    async def _forget(self, seat: SeatId) -> Forgotten:
        """Forget deposits and lanes; deposits once a day, since they are remembered by days."""
        day, total = int(self._clock.now() // DAY), Forgotten(0, 0, None)
        deposits = self._forgotten_day.get(seat) != day
        after: LaneId | None = None
        while True:
            start = after
            step = await self._database.write(
                lambda store, start=start: forget(  # type: ignore[misc]  # mypy #12557: defaults
                    store, seat, after=start, now=self._clock.now(), deposits=deposits
                ),
                frees=True,
            )
            total += step
            if (after := step.go_on) is None:
                break
        self._forgotten_day[seat] = day
        return total

    async def _drop_acknowledged(self, seat: SeatId) -> None:
        """Go on deleting in small steps; who is cancelled here leaves the rest to a sweep."""

        def work(store: sqlite3.Connection) -> cursors.Dropped:
            return cursors.drop_acknowledged(store, self._tally, seat, now=self._clock.now())

        while (await self._database.write(work, frees=True, by_heart=True)).more:
            pass

    async def _seats(self) -> list[SeatId]:
        async def look(store: aiosqlite.Connection) -> list[SeatId]:
            return [SeatId(row[0]) for row in await store.execute_fetchall("SELECT seat FROM seat")]

        return await self._database.read(look)


class _Both:
    """The writer's memory: the tally, and what is written beside parcels."""

    def __init__(self, tally: Tally, beside: InTransaction) -> None:
        self._tally = tally
        self._beside = beside

    def settle(self, connection: sqlite3.Connection) -> None:
        self._tally.settle(connection)
        self._beside.settle(connection)

    def forget(self) -> None:
        self._tally.forget()
        self._beside.forget()


def _attempt(
    store: sqlite3.Connection,
    tally: Tally,
    proved: Proved,
    doorkeeper: Doorkeeper,
    now: float,
    beside: InTransaction,
) -> Arrived | Refusal | None:
    try:
        return deposit(store, tally, proved, doorkeeper=doorkeeper, now=now, beside=beside)
    except Refusal as refusal:  # nothing was changed for this parcel; its neighbours go on
        return refusal


def _refusal(error: Exception) -> Refusal:
    """Return what is told of an error that undid everything: the sender keeps what he has."""
    if isinstance(error, Refusal):
        return error
    log.error("parcels could not be stored", exc_info=error)
    return Busy()


def _deposited(parcels: Sequence[Proved], results: Sequence[Arrived | Refusal | None]) -> Deposited:
    outcomes = [
        _outcome(one.parcel.id, result) for one, result in zip(parcels, results, strict=True)
    ]
    arrived = [one for one in results if isinstance(one, Arrived)]
    return Deposited(tuple(outcomes), tuple(arrived))


def _outcome(parcel: ParcelId, result: Arrived | Refusal | None) -> Outcome:
    if not isinstance(result, Refusal):
        return Outcome(parcel, Result.STORED, 0)
    code = Result[result.code.upper().replace("-", "_")]
    return Outcome(parcel, code, int(result.facts().get("retry_after", 0)))
