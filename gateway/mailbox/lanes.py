"""The SQL of lanes: minted and revoked by the devices of a seat, shown to nobody else."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.errors import LaneRefused, NoSuchSeat, SyncFirst, TooManyLanes
from gateway.mailbox.rules import MAX_LANES
from wire.ids import LaneId, SeatId
from wire.lanes import Lane, LaneRight, WakeRule
from wire.parcel import DAY

RELEARN_SECONDS: Final = 7 * DAY
"""Time for a device to register its lanes once more after a restore; it does so at once."""


@dataclass(frozen=True, slots=True)
class KnownLane:
    """A lane, and what it leads to."""

    lane: Lane = field(repr=False)
    seat: SeatId
    rule: WakeRule
    last_tenth: bool
    dies_at: float | None

    def is_alive(self, now: float) -> bool:
        """Return whether it may be used."""
        return self.dies_at is None or self.dies_at > now


@dataclass(frozen=True, slots=True)
class NewLane:
    """A lane to be minted, its end translated to steady time."""

    right: LaneRight
    dies_at: float | None


FIND: Final = "SELECT seat, lane_key, rule, last_tenth, dies_at FROM lane WHERE lane = ?"
"""Finds a lane, alive or not."""


def lane_of(lane: LaneId, row: Sequence[Any] | None) -> KnownLane | None:
    """Return what a row of `FIND` says."""
    if row is None:
        return None
    seat, key, rule, last_tenth, dies_at = row
    return KnownLane(Lane(lane, key), SeatId(seat), WakeRule(rule), bool(last_tenth), dies_at)


def mint(
    connection: sqlite3.Connection, seat: SeatId, lanes: Sequence[NewLane], *, rests_on: int
) -> None:
    """Store lanes, or change what lanes of this seat do.

    Raises:
        NoSuchSeat, SyncFirst, TooManyLanes
        LaneRefused: another seat has a lane of this id.
    """
    _rest_on(connection, seat, rests_on)
    for new in lanes:
        right = new.right
        changed = connection.execute(
            "INSERT INTO lane (lane, seat, lane_key, rule, wakes_per_day, bytes_waiting,"
            " last_tenth, dies_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (lane) DO UPDATE SET lane_key = excluded.lane_key, rule = excluded.rule,"
            " wakes_per_day = excluded.wakes_per_day, bytes_waiting = excluded.bytes_waiting,"
            " last_tenth = excluded.last_tenth, dies_at = excluded.dies_at"
            " WHERE lane.seat = excluded.seat",
            (
                right.lane.id.raw,
                seat.raw,
                right.lane.key,
                int(right.rule),
                right.wakes_per_day,
                right.bytes_waiting,
                int(right.last_tenth),
                new.dies_at,
            ),
        ).rowcount
        if not changed:
            raise LaneRefused
    count = connection.execute("SELECT count(*) FROM lane WHERE seat = ?", (seat.raw,))
    if count.fetchone()[0] > MAX_LANES:
        raise TooManyLanes(limit=MAX_LANES)


def revoke(
    connection: sqlite3.Connection, seat: SeatId, lanes: Sequence[LaneId], *, rests_on: int
) -> None:
    """Delete lanes of this seat; what came on them stays. Unknown and foreign ids are passed over.

    Raises:
        NoSuchSeat, SyncFirst
    """
    _rest_on(connection, seat, rests_on)
    connection.executemany(
        "DELETE FROM lane WHERE seat = ? AND lane = ?", [(seat.raw, lane.raw) for lane in lanes]
    )


def relearn(connection: sqlite3.Connection, seat: SeatId, *, now: float) -> None:
    """Let lanes die that no device registers again: after a restore some were revoked before."""
    connection.execute(
        "UPDATE lane SET dies_at = ?1 WHERE seat = ?2 AND (dies_at IS NULL OR dies_at > ?1)",
        (now + RELEARN_SECONDS, seat.raw),
    )


def _rest_on(connection: sqlite3.Connection, seat: SeatId, position: int) -> None:
    """Take note of the state a lane change rests on, or refuse one that is too old."""
    row = connection.execute("SELECT log_position FROM seat WHERE seat = ?", (seat.raw,)).fetchone()
    if row is None:
        raise NoSuchSeat
    if position < row[0]:
        raise SyncFirst(position=row[0])
    connection.execute("UPDATE seat SET log_position = ? WHERE seat = ?", (position, seat.raw))
