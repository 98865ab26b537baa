"""The SQL of a deposit: who may, whether it came before, whether it fits, and its number.

Who has no right learns nothing: an unknown lane costs the same work as a proof that does not fit,
and has the same answer. Only a holder of the lane gets as far as the other refusals.
"""

import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import IdTaken, LaneRefused, MailboxFull, TooManyRequests
from gateway.mailbox.lanes import KnownLane, find_lane
from gateway.mailbox.rules import (
    MAX_REMEMBERED,
    Held,
    Room,
    end_of_life,
    forget_day,
    make_room,
    missing_room,
    size_of,
)
from wire.frames import Proved
from wire.ids import GatewayId, LaneId, SeatId
from wire.lanes import KEY_BYTES, Lane, WakeRule
from wire.parcel import DAY, HEADER_BYTES, Parcel


@dataclass(frozen=True, slots=True)
class Arrived:
    """A parcel that was not there before; true after the commit."""

    seat: SeatId
    seq: int
    rule: WakeRule


class Doorkeeper:
    """Checks proofs; knows a key that nobody has, for lanes that are not there."""

    def __init__(self, gateway: GatewayId) -> None:
        self._gateway = gateway
        self._nobodys_key = secrets.token_bytes(KEY_BYTES)

    def stand_in(self, lane: LaneId) -> Lane:
        """Return a lane to check proofs against where there is none."""
        return Lane(lane, self._nobodys_key)

    def admit(self, proved: Proved, known: KnownLane | None) -> KnownLane:
        """Return the lane that `proved` may use.

        Raises:
            LaneRefused: there is none, or the proof does not fit; it takes the same time.
        """
        lane = known.lane if known is not None else self.stand_in(proved.parcel.lane)
        fits = proved.parcel.proved_by(proved.proof, lane, gateway=self._gateway)
        if known is None or not fits:
            raise LaneRefused
        return known


def deposit(
    connection: sqlite3.Connection, proved: Proved, *, doorkeeper: Doorkeeper, now: float
) -> Arrived | None:
    """Store a parcel; return None if it came before.

    Nothing is changed when it is refused.

    Raises:
        LaneRefused, IdTaken, TooManyRequests, MailboxFull
    """
    parcel = proved.parcel
    lane = doorkeeper.admit(proved, find_lane(connection, parcel.lane, now=now))
    body_hash = parcel.body_hash
    if _came_before(connection, parcel, body_hash):
        return None
    _refuse_too_many(connection, parcel.lane)
    seq = _take_room(connection, lane, size_of(parcel))
    connection.execute(
        "INSERT INTO parcel (seat, seq, lane, parcel, lifetime, purge, dies_at, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            lane.seat.raw,
            seq,
            parcel.lane.raw,
            parcel.id.raw,
            int(parcel.lifetime),
            parcel.purge,
            end_of_life(parcel.lifetime, now=now),
            parcel.body,
        ),
    )
    connection.execute(
        "INSERT INTO deposit (lane, parcel, seat, body_hash, forget_day) VALUES (?, ?, ?, ?, ?)",
        (
            parcel.lane.raw,
            parcel.id.raw,
            lane.seat.raw,
            body_hash,
            forget_day(parcel.lifetime, now=now),
        ),
    )
    return Arrived(lane.seat, seq, lane.rule)


def drop(connection: sqlite3.Connection, seat: SeatId, parcels: Iterable[Held]) -> int:
    """Delete parcels of a seat and give their room back; return how many."""
    dropped = list(parcels)
    connection.executemany(
        "DELETE FROM parcel WHERE number = ?", [(one.number,) for one in dropped]
    )
    connection.executemany(
        "UPDATE lane SET used_bytes = used_bytes - ? WHERE lane = ? AND seat = ?",
        [(one.size, one.lane.raw, seat.raw) for one in dropped],
    )
    connection.execute(
        "UPDATE seat SET used_bytes = used_bytes - ? WHERE seat = ?",
        (sum(one.size for one in dropped), seat.raw),
    )
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


def _refuse_too_many(connection: sqlite3.Connection, lane: LaneId) -> None:
    """Refuse the next parcel of who has handed in so many that the disk would fill with ids."""
    row = connection.execute(
        "SELECT 1 FROM deposit WHERE lane = ? LIMIT 1 OFFSET ?", (lane.raw, MAX_REMEMBERED - 1)
    ).fetchone()
    if row is not None:
        raise TooManyRequests(retry_after=DAY)


def _take_room(connection: sqlite3.Connection, lane: KnownLane, size: int) -> int:
    """Count `size` bytes on the lane and the seat; return the parcel's number."""
    seat = lane.seat
    used, limit, last_seq = connection.execute(
        "SELECT used_bytes, quota_bytes, last_seq FROM seat WHERE seat = ?", (seat.raw,)
    ).fetchone()
    missing = missing_room(size, seat=Room(used, limit), lane=lane.room, last_tenth=lane.last_tenth)
    if not missing.nothing:
        acknowledged = held(
            connection,
            "seat = ?1 AND seq <="
            " (SELECT max(cursor_seq) FROM device WHERE seat = ?1 AND revoked = 0)",
            (seat.raw,),
        )
        victims = make_room(missing, lane=lane.lane.id, droppable=acknowledged)
        if victims is None:
            raise MailboxFull
        drop(connection, seat, victims)
    connection.execute(
        "UPDATE seat SET used_bytes = used_bytes + ?, last_seq = last_seq + 1 WHERE seat = ?",
        (size, seat.raw),
    )
    connection.execute(
        "UPDATE lane SET used_bytes = used_bytes + ? WHERE lane = ?", (size, lane.lane.id.raw)
    )
    return int(last_seq) + 1
