"""Keeps the gateway's share of a seed back for three days, and takes a person in who comes back.

    leave      the share, with what must be proved to get it; not while somebody asks for it
    ask        whoever proves the friends' secret gets the share, 72 hours later
    cancel     by a device that was not named as lost, or by the root key
    recover    a root statement lists one new device: it takes the seat, all others lose theirs

The time is the steady clock's: setting the box's date forward brings nothing. Whoever is turned
away learns nothing of what was wrong, nor whether the person has a seat here.
"""

import logging
import math
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiosqlite

from gateway.clock import SteadyClock
from gateway.database import Database
from gateway.errors import (
    CardRefused,
    NamedLost,
    NoSuchRequest,
    RecoveryRefused,
    RecoveryUnderWay,
    TooManyRequests,
)
from gateway.sync.store import CardChange, OnConfirmed, put_card, take_in
from wire.auth import Channel
from wire.card import DeviceEntry, Signed
from wire.ids import DeviceId, PersonId, RecoveryId, SeatId
from wire.parcel import DAY
from wire.recovery import (
    MAX_ASKED,
    RELEASE_SECONDS,
    Alarm,
    Ask,
    Asked,
    Left,
    RootProof,
    Stage,
    Told,
)

log = logging.getLogger(__name__)

REMEMBERED: Final = 30.0 * DAY
"""Seconds for which devices and keepers are still told of a request that has ended."""


@dataclass(frozen=True, slots=True)
class _Request:
    request: RecoveryId
    exchange_key: bytes
    lost: tuple[DeviceId, ...]
    release_at: float
    cancelled: bool

    def stage(self, now: float) -> Stage:
        if self.cancelled:
            return Stage.CANCELLED
        return Stage.WAITING if now < self.release_at else Stage.RELEASED

    def left(self, now: float) -> int:
        waiting = self.stage(now) is Stage.WAITING
        return math.ceil(self.release_at - now) if waiting else 0

    def asked(self, now: float) -> Asked:
        return Asked(self.request, self.exchange_key, self.stage(now), self.left(now), self.lost)


class RecoveryStore:
    """Shares, and requests for them, of all seats.

    Args:
        database: where they lie.
        clock: the steady clock, for what is released and forgotten after a time.
        on_confirmed: what else happens in the transaction in which a device is taken in.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: SteadyClock,
        on_confirmed: OnConfirmed = lambda store, seat: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._on_confirmed = on_confirmed
        self._nobody = secrets.token_bytes(32)

    # The share

    async def leave(self, seat: SeatId, left: Left) -> None:
        """Keep a share for a seat, in place of the one before. May be repeated.

        Raises:
            RecoveryUnderWay: somebody asks for the one that is here: cancel that first.
        """
        now = self._clock.now()

        def work(store: sqlite3.Connection) -> None:
            held = store.execute(
                "SELECT proof_key, share, notice FROM recovery_share WHERE seat = ?",
                (seat.raw,),
            ).fetchone()
            row = (left.proof_key, left.share, left.notice)
            if held == row:
                return
            _refuse_under_way(store, seat, now=now)
            store.execute("DELETE FROM recovery_request WHERE seat = ?", (seat.raw,))
            store.execute(
                "INSERT OR REPLACE INTO recovery_share VALUES (?, ?, ?, ?)", (seat.raw, *row)
            )

        await self._database.write(work)

    async def take_back(self, seat: SeatId) -> None:
        """Forget a seat's share. May be repeated.

        Raises:
            RecoveryUnderWay: somebody asks for it: cancel that first.
        """
        now = self._clock.now()

        def work(store: sqlite3.Connection) -> None:
            _refuse_under_way(store, seat, now=now)
            store.execute("DELETE FROM recovery_share WHERE seat = ?", (seat.raw,))

        await self._database.write(work, frees=True)

    async def alarm(self, seat: SeatId) -> Alarm:
        """Return whether a share is here, and who has asked for it."""
        now = self._clock.now()

        async def look(store: aiosqlite.Connection) -> Alarm:
            kept = await store.execute_fetchall(
                "SELECT 1 FROM recovery_share WHERE seat = ?", (seat.raw,)
            )
            rows = await store.execute_fetchall(f"{_REQUESTS} WHERE seat = ?", (seat.raw,))
            return Alarm(bool(list(kept)), tuple(_request(row).asked(now) for row in rows))

        return await self._database.read(look)

    async def alarm_for_keeper(self, notice: bytes) -> Alarm:
        """Return what whoever keeps a share is told: the same for a word that nobody knows."""
        now = self._clock.now()

        async def look(store: aiosqlite.Connection) -> Alarm:
            rows = await store.execute_fetchall(
                f"{_REQUESTS} JOIN recovery_share USING (seat) WHERE notice = ?", (notice,)
            )
            return Alarm(False, tuple(_request(row).asked(now) for row in rows))

        return await self._database.read(look)

    # Asking for it

    async def ask(self, ask: Ask, *, channel: Channel) -> tuple[Told, SeatId | None]:
        """Take a request, or say how the one with this key stands.

        Returns:
            what is told, and the seat if the request is new.

        Raises:
            RecoveryRefused: no share of this person here, or the proof does not fit.
            TooManyRequests: as many wait as may.
        """
        now = self._clock.now()

        def work(store: sqlite3.Connection) -> tuple[Told, SeatId | None]:
            row = store.execute(
                "SELECT seat, proof_key, share FROM recovery_share JOIN seat USING (seat)"
                " WHERE person = ?",
                (ask.person.raw,),
            ).fetchone()
            seat, proof_key, share = row or (b"", self._nobody, b"")
            if not ask.proved_by(proof_key, channel=channel) or row is None:
                raise RecoveryRefused
            held = _named(store, SeatId(seat), ask.exchange_key)
            new = held is None
            if held is None:
                held = _begin(store, SeatId(seat), ask, now=now)
            stage = held.stage(now)
            told = Told(
                held.request,
                stage,
                held.left(now),
                share if stage is Stage.RELEASED else b"",
            )
            return told, SeatId(seat) if new else None

        told, seat = await self._database.write(work)
        if seat is not None:
            log.warning("somebody asked for the recovery share of a seat; it waits for 72 hours")
        return told, seat

    async def cancel(self, request: RecoveryId, *, seat: SeatId, by: DeviceId | None) -> None:
        """End a request before its share goes out. May be repeated.

        Args:
            request: which.
            seat: whose share it is for.
            by: the device that says so; None: the root key does.

        Raises:
            NoSuchRequest: none of this seat that still waits.
            NamedLost: this device was named as lost; only another one, or the kit, can.
        """
        now = self._clock.now()

        def work(store: sqlite3.Connection) -> None:
            row = store.execute(
                f"{_REQUESTS} WHERE request = ? AND seat = ?", (request.raw, seat.raw)
            ).fetchone()
            if row is None or _request(row).stage(now) is Stage.RELEASED:
                raise NoSuchRequest
            if by is not None and by in _request(row).lost:
                raise NamedLost
            store.execute(
                "UPDATE recovery_request SET cancelled = 1 WHERE request = ?", (request.raw,)
            )

        await self._database.write(work)

    # The root key

    async def card_for(self, proof: RootProof) -> tuple[SeatId, tuple[bytes, ...]]:
        """Return the seat and the card of whoever has shown the root key; the signature is checked.

        Raises:
            RecoveryRefused: no seat of this person, or another root key.
        """

        async def look(store: aiosqlite.Connection) -> tuple[SeatId, tuple[bytes, ...]]:
            rows = list(
                await store.execute_fetchall(
                    "SELECT seat, statement FROM card JOIN seat USING (seat) WHERE person = ?"
                    " ORDER BY card.epoch, card.seq",
                    (proof.person.raw,),
                )
            )
            chain = tuple(bytes(row[1]) for row in rows)
            if not _is_root(proof.root_key, chain):
                raise RecoveryRefused
            return SeatId(rows[0][0]), chain

        return await self._database.read(look)

    async def recover(self, person: PersonId, signed: Signed, device: DeviceEntry) -> CardChange:
        """Give a person's seat to one new device. May be repeated.

        Args:
            person: who comes back.
            signed: her root statement, its signature checked; it lists the device alone.
            device: has signed for this connection.

        Raises:
            RecoveryRefused: no seat of this person here, or not her root.
            CardRefused: the statement does not continue the card that is here.
            CardTaken, DeviceRevoked, SeatTaken
        """
        now = self._clock.now()

        def work(store: sqlite3.Connection) -> CardChange:
            row = store.execute("SELECT seat FROM seat WHERE person = ?", (person.raw,)).fetchone()
            seat = SeatId(row[0]) if row else None
            chain = [] if seat is None else _chain(store, seat)
            if seat is None or not _is_root(signed.statement.root_key, chain):
                raise RecoveryRefused
            if signed.statement.epoch < Signed.decode(chain[-1]).statement.epoch:
                raise CardRefused("rollback")
            change = put_card(store, seat, person, chain=[signed.encode()])
            take_in(store, seat, device.key, now=now, on_confirmed=self._on_confirmed)
            store.execute("DELETE FROM recovery_request WHERE seat = ?", (seat.raw,))
            return change

        change = await self._database.write(work)
        gone = len(change.revoked)
        log.warning("a person came back with the root key; %d devices lost their place", gone)
        return change

    async def expire(self) -> int:
        """Forget requests that ended long ago; return how many."""

        def work(store: sqlite3.Connection) -> int:
            return store.execute(
                "DELETE FROM recovery_request WHERE forget_at <= ?", (self._clock.now(),)
            ).rowcount

        return await self._database.write(work, frees=True)


def forget_requests(store: sqlite3.Connection) -> None:
    """Drop all requests: in a copy of the store one may wait that was cancelled since."""
    store.execute("DELETE FROM recovery_request")


_REQUESTS: Final = "SELECT request, exchange_key, lost, release_at, cancelled FROM recovery_request"


def _request(row: Sequence[Any]) -> _Request:
    request, exchange_key, lost, release_at, cancelled = row
    devices = tuple(DeviceId(lost[at : at + 16]) for at in range(0, len(lost), 16))
    return _Request(RecoveryId(request), exchange_key, devices, release_at, bool(cancelled))


def _named(store: sqlite3.Connection, seat: SeatId, exchange_key: bytes) -> _Request | None:
    row = store.execute(
        f"{_REQUESTS} WHERE seat = ? AND exchange_key = ?", (seat.raw, exchange_key)
    ).fetchone()
    return None if row is None else _request(row)


def _begin(store: sqlite3.Connection, seat: SeatId, ask: Ask, *, now: float) -> _Request:
    [waiting] = store.execute(
        "SELECT count(*) FROM recovery_request WHERE seat = ? AND NOT cancelled", (seat.raw,)
    ).fetchone()
    if waiting >= MAX_ASKED:
        raise TooManyRequests(retry_after=RELEASE_SECONDS)
    begun = _Request(
        RecoveryId(secrets.token_bytes(RecoveryId.size)),
        ask.exchange_key,
        ask.lost,
        now + RELEASE_SECONDS,
        False,
    )
    store.execute(
        "INSERT INTO recovery_request (request, seat, exchange_key, lost, release_at, forget_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            begun.request.raw,
            seat.raw,
            begun.exchange_key,
            b"".join(one.raw for one in ask.lost),
            begun.release_at,
            begun.release_at + REMEMBERED,
        ),
    )
    return begun


def _refuse_under_way(store: sqlite3.Connection, seat: SeatId, *, now: float) -> None:
    rows = store.execute(f"{_REQUESTS} WHERE seat = ?", (seat.raw,)).fetchall()
    if any(_request(row).stage(now) is Stage.WAITING for row in rows):
        raise RecoveryUnderWay


def _chain(store: sqlite3.Connection, seat: SeatId) -> list[bytes]:
    rows = store.execute(
        "SELECT statement FROM card WHERE seat = ? ORDER BY epoch, seq", (seat.raw,)
    )
    return [bytes(row[0]) for row in rows]


def _is_root(root_key: bytes, chain: Sequence[bytes]) -> bool:
    """Return whether this is the root key in force on a card that was verified when it came."""
    if not chain:
        return False
    newest = Signed.decode(chain[-1]).statement  # names the root in force, whoever signed it
    return secrets.compare_digest(newest.next_root or newest.root_key, root_key)
