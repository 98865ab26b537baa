"""The SQL of a deposit: who may, whether it came before, whether it fits, and its number.

Who has no right learns nothing: an unknown lane costs the same work as a proof that does not fit,
and has the same answer. Only a holder of the lane gets as far as the other refusals.
"""

import secrets
import sqlite3
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.database.failure import DamagedRow
from gateway.errors import IdTaken, LaneRefused, MailboxFull, TooManyRequests
from gateway.mailbox.rules import (
    MAX_REMEMBERED,
    Held,
    checksum,
    end_of_life,
    forget_day,
    make_room,
    size_of,
)
from gateway.mailbox.tally import LaneCount, Tally
from gateway.rings import InTransaction, Ring
from wire.frames import Proved, StoredRow
from wire.ids import GatewayId, LaneId, SeatId
from wire.lanes import KEY_BYTES, Lane, WakeRule
from wire.parcel import DAY, HEADER_BYTES, Lifetime, Parcel


@dataclass(frozen=True, slots=True)
class Arrived:
    """A parcel that was not there before; true after the commit."""

    seat: SeatId
    seq: int
    rule: WakeRule
    parcel: Parcel
    rings: Sequence[Ring] = ()
    """What it may do to each device of the seat that can be woken."""

    @property
    def lane(self) -> LaneId:
        """On which lane it came."""
        return self.parcel.lane


class Doorkeeper:
    """Checks proofs; knows a key that nobody has, for lanes that are not there."""

    def __init__(self, gateway: GatewayId) -> None:
        self._gateway = gateway
        self._nobodys_key = secrets.token_bytes(KEY_BYTES)

    def stand_in(self, lane: LaneId) -> Lane:
        """Return a lane to check proofs against where there is none."""
        return Lane(lane, self._nobodys_key)

    def admit(
        self,
        connection: sqlite3.Connection,
        tally: Tally,
        proved: Proved,
        *,
        body_hash: bytes,
        now: float,
    ) -> LaneCount:
        """Return the lane that `proved` may use.

        Who is known and right is let in at once. Everybody else goes the same way, whatever is
        wrong: two proofs are computed and the file is looked into once.

        Raises:
            LaneRefused: there is no such lane, it is over, or the proof does not fit.
        """
        known = tally.known(proved.parcel.lane)
        right = self._fits(proved, known, body_hash=body_hash)
        if known is not None and right and known.is_alive(now):
            return known
        found = tally.look(connection, proved.parcel.lane)
        right = self._fits(proved, found, body_hash=body_hash)
        if found is not None and right and found.is_alive(now):
            return found
        raise LaneRefused

    def _fits(self, proved: Proved, known: LaneCount | None, *, body_hash: bytes) -> bool:
        lane = known.lane if known is not None else self.stand_in(proved.parcel.lane)
        return proved.parcel.proved_by(
            proved.proof, lane, gateway=self._gateway, body_hash=body_hash
        )


def deposit(
    connection: sqlite3.Connection,
    tally: Tally,
    proved: Proved,
    *,
    doorkeeper: Doorkeeper,
    now: float,
    beside: InTransaction,
) -> Arrived | None:
    """Store a parcel, and `beside` it what it may do to phones; return None if it came before.

    Nothing is changed when it is refused.

    Raises:
        LaneRefused, IdTaken, TooManyRequests, MailboxFull
    """
    parcel, body_hash = proved.parcel, proved.parcel.body_hash
    lane = doorkeeper.admit(connection, tally, proved, body_hash=body_hash, now=now)
    size = size_of(parcel)
    if not lane.fits(size):
        if _came_before(connection, parcel, body_hash):
            return None
        _make_it_fit(connection, tally, lane, size)
    # Python's sqlite3 asks bytes whether they would rather be stored as something else, which costs
    # more than a copy: 7 µs for each parcel, with the two of `tally.py`.
    lane_raw, id_raw = bytearray(parcel.lane.raw), bytearray(parcel.id.raw)
    noted = connection.execute(
        "INSERT INTO deposit (lane, parcel, body_hash, forget_day) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (lane_raw, id_raw, bytearray(body_hash), forget_day(parcel.lifetime, now=now)),
    ).rowcount
    if not noted:
        _came_before(connection, parcel, body_hash)
        return None
    seq, dies_at = tally.take(lane, size), end_of_life(parcel.lifetime, now=now)
    connection.execute(
        "INSERT INTO parcel (seat, seq, lane, parcel, lifetime, purge, dies_at, body, checksum)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            bytearray(lane.seat.id.raw),
            seq,
            lane_raw,
            id_raw,
            int(parcel.lifetime),
            bytearray(parcel.purge),
            dies_at,
            bytearray(parcel.body),
            checksum(
                lane.seat.id.raw,
                seq,
                parcel.lane.raw,
                parcel.id.raw,
                int(parcel.lifetime),
                parcel.purge,
                parcel.body,
                dies_at,
            ),
        ),
    )
    rings = beside.stored(
        connection,
        seat=lane.seat.id,
        seq=seq,
        lane=parcel.lane,
        rule=lane.rule,
        wakes_per_day=lane.wakes_per_day,
        now=now,
    )
    return Arrived(lane.seat.id, seq, lane.rule, parcel, rings)


STORED: Final = "p.seq, p.lane, p.parcel, p.lifetime, p.purge, p.body, p.dies_at, p.checksum"
"""The columns of a parcel `p` that `as_stored` reads."""


_LONGEST: Final = max(Lifetime)


def as_stored(row: Sequence[Any], *, seat: bytes) -> StoredRow:
    """Return the parcel in a row of `STORED`, as it was stored.

    Raises:
        DamagedRow: it is not, by its checksum; the store is broken.
    """
    seq, lane, id, lifetime, purge, body, dies_at, kept = row
    try:
        found = checksum(seat, seq, lane, id, lifetime, purge, body, dies_at)
    except (TypeError, struct.error):
        found = -1
    if (kept is not None and kept != found) or found < 0 or lifetime > _LONGEST:
        raise DamagedRow("a parcel is not what was stored")
    return seq, lane, id, lifetime, purge, body


def drop(
    connection: sqlite3.Connection, tally: Tally, seat: SeatId, parcels: Iterable[Held]
) -> int:
    """Delete parcels of a seat and give their room back; return how many."""
    dropped = list(parcels)
    connection.executemany(
        "DELETE FROM parcel WHERE number = ?", [(one.number,) for one in dropped]
    )
    for one in dropped:
        tally.give_back(connection, seat, one.lane, one.size)
    return len(dropped)


def held(
    connection: sqlite3.Connection, where: str, parameters: tuple[object, ...]
) -> Iterable[Held]:
    """Yield the parcels that `where` names, oldest first, without their bodies."""
    rows = connection.execute(
        f"SELECT number, lane, length(body) FROM parcel WHERE {where} ORDER BY seq",  # noqa: S608
        parameters,
    )
    for number, lane, size in rows:
        yield Held(number, LaneId(lane), HEADER_BYTES + size)


def _came_before(connection: sqlite3.Connection, parcel: Parcel, body_hash: bytes) -> bool:
    row = connection.execute(
        "SELECT body_hash FROM deposit WHERE lane = ? AND parcel = ?",
        (parcel.lane.raw, parcel.id.raw),
    ).fetchone()
    if row is not None and row[0] != body_hash:
        raise IdTaken
    return row is not None


def _make_it_fit(connection: sqlite3.Connection, tally: Tally, lane: LaneCount, size: int) -> None:
    """Drop what some device has acknowledged until `size` bytes fit.

    Raises:
        TooManyRequests: so many came on this lane that the disk would fill with their ids.
        MailboxFull: it is not enough.
    """
    if lane.remembered >= MAX_REMEMBERED:
        raise TooManyRequests(retry_after=DAY)
    seat = lane.seat.id
    acknowledged = held(
        connection,
        "seat = ?1 AND seq <= (SELECT max(cursor_seq) FROM device WHERE seat = ?1 AND revoked = 0)",
        (seat.raw,),
    )
    victims = make_room(lane.missing(size), lane=lane.lane.id, droppable=acknowledged)
    if victims is None:
        raise MailboxFull
    drop(connection, tally, seat, victims)
