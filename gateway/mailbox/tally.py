"""What lanes and seats use, counted in the writer's memory and written once for each commit.

A deposit asks who its lane leads to, how much room there is, and which number comes next. Read and
written for each parcel, those rows would cost more than the parcel itself; here a lane is read
once, and a counter that moved sixty times is written once, before the commit that needs it.

    lane, seat     read from the file when first asked for
    changed        noted; `settle` writes them, before anybody else looks and before the commit
    forget         after whatever may have changed those rows, and after a group that was undone
"""

import sqlite3
from dataclasses import dataclass, field
from typing import Final

from gateway.mailbox.rules import MAX_REMEMBERED, Missing, Room, missing_room
from wire.ids import LaneId, SeatId
from wire.lanes import Lane, WakeRule

MAX_LANES_KNOWN: Final = 4096
"""Lanes that are kept in memory, some 3 MB: those of a household that write in the same days."""


@dataclass(slots=True, eq=False)
class SeatCount:
    """A seat's counters."""

    id: SeatId
    used: int
    quota: int
    last_seq: int
    changed: bool = False
    """Whether they moved since they were written."""


@dataclass(slots=True, eq=False)
class LaneCount:
    """A lane, what it may do, and its counters."""

    lane: Lane = field(repr=False)
    seat: SeatCount
    rule: WakeRule
    used: int
    limit: int
    last_tenth: bool
    dies_at: float | None
    remembered: int
    """Deposits that are remembered of it."""
    wakes_per_day: int
    changed: bool = False
    """Whether its counters moved since they were written."""

    def is_alive(self, now: float) -> bool:
        """Return whether it may be used."""
        return self.dies_at is None or self.dies_at > now

    def fits(self, size: int) -> bool:
        """Return whether a parcel of `size` bytes fits at once (see `missing_room`)."""
        if self.remembered >= MAX_REMEMBERED or self.used + size > self.limit:
            return False
        seat = self.seat
        kept = 0 if self.last_tenth else seat.quota // 10
        return seat.used + size <= seat.quota - kept

    def missing(self, size: int) -> Missing:
        """Return how much room a parcel of `size` bytes lacks."""
        return missing_room(
            size,
            seat=Room(self.seat.used, self.seat.quota),
            lane=Room(self.used, self.limit),
            last_tenth=self.last_tenth,
        )


_LANE: Final = (
    "SELECT seat, lane_key, rule, used_bytes, bytes_waiting, last_tenth, dies_at, remembered,"
    " wakes_per_day FROM lane WHERE lane = ?"
)
_SEAT: Final = "SELECT used_bytes, quota_bytes, last_seq FROM seat WHERE seat = ?"


class Tally:
    """The counters of lanes and seats; belongs to the thread that writes."""

    def __init__(self) -> None:
        self._lanes: dict[LaneId, LaneCount] = {}
        self._seats: dict[SeatId, SeatCount] = {}
        self._changed_lanes: list[LaneCount] = []
        self._changed_seats: list[SeatCount] = []

    def known(self, lane: LaneId) -> LaneCount | None:
        """Return a lane that was asked for before, without looking into the file."""
        return self._lanes.get(lane)

    def look(self, connection: sqlite3.Connection, lane: LaneId) -> LaneCount | None:
        """Look a lane up in the file, known or not; return it, or None if there is none.

        It costs the same whether there is one: only the row is read, and a known lane keeps its
        counters.
        """
        row = connection.execute(_LANE, (lane.raw,)).fetchone()
        known = self._lanes.get(lane)
        if row is None or known is not None:
            return known
        seat, key, rule, used, limit, last_tenth, dies_at, remembered, wakes = row
        found = LaneCount(
            Lane(lane, key),
            self.seat(connection, SeatId(seat)),
            WakeRule(rule),
            used,
            limit,
            bool(last_tenth),
            dies_at,
            remembered,
            wakes,
        )
        self._lanes[lane] = found
        return found

    def seat(self, connection: sqlite3.Connection, seat: SeatId) -> SeatCount:
        """Return a seat that is there."""
        known = self._seats.get(seat)
        if known is None:
            known = SeatCount(seat, *connection.execute(_SEAT, (seat.raw,)).fetchone())
            self._seats[seat] = known
        return known

    def take(self, lane: LaneCount, size: int) -> int:
        """Count a parcel of `size` bytes on a lane and its seat; return its number."""
        seat = lane.seat
        lane.used += size
        lane.remembered += 1
        seat.used += size
        seat.last_seq += 1
        self._note(seat, lane)
        return seat.last_seq

    def give_back(
        self, connection: sqlite3.Connection, seat: SeatId, lane: LaneId, size: int
    ) -> None:
        """Count `size` bytes less on a seat, and on the lane they came on if it is still there."""
        count = self.seat(connection, seat)
        count.used -= size
        found = self.known(lane) or self.look(connection, lane)
        if found is not None and found.seat is count:
            found.used -= size
            self._note(count, found)
        else:
            self._note(count)

    def settle(self, connection: sqlite3.Connection) -> None:
        """Write every counter that moved."""
        if not self._changed_seats:
            return
        connection.executemany(
            "UPDATE lane SET used_bytes = ?, remembered = ? WHERE lane = ?",
            [(one.used, one.remembered, bytearray(one.lane.id.raw)) for one in self._changed_lanes],
        )
        connection.executemany(
            "UPDATE seat SET used_bytes = ?, last_seq = ? WHERE seat = ?",
            [(one.used, one.last_seq, bytearray(one.id.raw)) for one in self._changed_seats],
        )
        for lane in self._changed_lanes:
            lane.changed = False
        for seat in self._changed_seats:
            seat.changed = False
        self._changed_lanes.clear()
        self._changed_seats.clear()
        if len(self._lanes) > MAX_LANES_KNOWN:
            self.forget()

    def forget(self) -> None:
        """Know nothing any more; what was not settled goes with its transaction."""
        self._lanes.clear()
        self._seats.clear()
        self._changed_lanes.clear()
        self._changed_seats.clear()

    def _note(self, seat: SeatCount, lane: LaneCount | None = None) -> None:
        if not seat.changed:
            seat.changed = True
            self._changed_seats.append(seat)
        if lane is not None and not lane.changed:
            lane.changed = True
            self._changed_lanes.append(lane)
