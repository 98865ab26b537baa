"""The SQL of growing old: parcels at the end of their lives, deposits and lanes that are forgotten.

Each call is one small step, so that nobody waits long behind it.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

from gateway.mailbox.cursors import DROPPED_AT_ONCE, drop_acknowledged
from gateway.mailbox.deposits import drop, held
from gateway.mailbox.rules import a_few
from gateway.mailbox.tally import Tally
from wire.ids import LaneId, SeatId
from wire.parcel import DAY

SWEPT_AT_ONCE: Final = 256
"""Parcels that one step deletes."""

LOOKED_AT_ONCE: Final = 4096
"""Remembered deposits that one step looks at, some hundred pages."""


_BEFORE_ALL: Final = LaneId(bytes(LaneId.size))


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one step forgot, or several."""

    deposits: int
    lanes: int
    go_on: LaneId | None
    """After which lane the next step begins; None if this was the last."""

    def __add__(self, other: "Forgotten") -> "Forgotten":
        return Forgotten(self.deposits + other.deposits, self.lanes + other.lanes, other.go_on)


def swept_parcels(connection: sqlite3.Connection, tally: Tally, seat: SeatId, *, now: float) -> int:
    """Delete some parcels whose life is over, or that nobody needs any more; return how many.

    None is left when it returns 0.
    """
    dead = held(
        connection,
        "number IN (SELECT number FROM parcel WHERE seat = ? AND dies_at <= ? LIMIT ?)",
        (seat.raw, now, SWEPT_AT_ONCE),
    )
    dropped = drop(connection, tally, seat, a_few(dead, at_most=DROPPED_AT_ONCE))
    return dropped or drop_acknowledged(connection, tally, seat, now=now).parcels


def forget(
    connection: sqlite3.Connection,
    seat: SeatId,
    *,
    after: LaneId | None,
    now: float,
    deposits: bool,
) -> Forgotten:
    """Forget lanes of a seat that are over, and deposits that need not be remembered any longer.

    Args:
        connection: to the store; the counters in it are true.
        seat: whose.
        after: where the step before ended; None for the first.
        now: steady seconds.
        deposits: whether deposits are looked at at all.
    """
    lanes, deleted = _bury(connection, seat, now=now)
    if deleted >= LOOKED_AT_ONCE:
        return Forgotten(0, lanes, after or _BEFORE_ALL)
    if not deposits:
        return Forgotten(0, lanes, None)
    rows = connection.execute(
        "SELECT lane, remembered FROM lane WHERE seat = ? AND lane > ? AND remembered > 0"
        " ORDER BY lane",
        (seat.raw, after.raw if after else b""),
    ).fetchall()
    forgotten, looked = 0, 0
    for lane, remembered in rows:
        gone = connection.execute(
            "DELETE FROM deposit WHERE lane = ? AND forget_day <= ?", (lane, int(now // DAY))
        ).rowcount
        if gone:
            connection.execute(
                "UPDATE lane SET remembered = remembered - ? WHERE lane = ?", (gone, lane)
            )
        forgotten, looked = forgotten + gone, looked + remembered
        if looked >= LOOKED_AT_ONCE:
            return Forgotten(forgotten, lanes, LaneId(lane))
    return Forgotten(forgotten, lanes, None)


def _bury(connection: sqlite3.Connection, seat: SeatId, *, now: float) -> tuple[int, int]:
    """Delete lanes that are over with what is remembered of them; return how many lanes and rows.

    There may be more if it was `LOOKED_AT_ONCE` rows.
    """
    buried = rows = 0
    dead = connection.execute(
        "SELECT lane, remembered FROM lane WHERE seat = ? AND dies_at <= ? LIMIT ?",
        (seat.raw, now, LOOKED_AT_ONCE),
    ).fetchall()
    for lane, remembered in dead:
        if rows >= LOOKED_AT_ONCE:
            break
        if remembered > LOOKED_AT_ONCE:
            rows += connection.execute(
                "DELETE FROM deposit WHERE lane = ?1 AND parcel IN"
                " (SELECT parcel FROM deposit WHERE lane = ?1 LIMIT ?2)",
                (lane, LOOKED_AT_ONCE),
            ).rowcount
            connection.execute(
                "UPDATE lane SET remembered = max(0, remembered - ?) WHERE lane = ?",
                (LOOKED_AT_ONCE, lane),
            )
            continue
        connection.execute("DELETE FROM lane WHERE lane = ?", (lane,))
        buried, rows = buried + 1, rows + 1 + remembered
    return buried, rows
