"""Pending wakes: what still has to ring, written in the transaction of the parcel that wants it.

One row for each device that can be woken, and of each of the three kinds of parcels only the newest
number: what the device has acknowledged or the holder has read no longer waits, without anything
being written for it. The writer knows the rows by heart, so that a thousand parcels of one commit
write each of them once.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.rings import Ring
from wire.ids import DeviceId, LaneId, SeatId
from wire.lanes import WakeRule
from wire.parcel import DAY

MAX_KNOWN: Final = 4096
"""Seats and lanes that are kept in memory, some 3 MB."""


@dataclass(slots=True, eq=False)
class _Waiting:
    device: DeviceId
    newest: list[int]
    """By the number of the rule."""
    rules: dict[LaneId, WakeRule] = field(default_factory=dict)
    changed: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """What parcels on one lane do, until it causes a wake or the day is over."""

    day: int
    marks: tuple[tuple[_Waiting, int], ...]
    rings: tuple[Ring, ...]


_DEVICES: Final = (
    "SELECT w.device, w.wake, w.outside, w.digest FROM wake w"
    " JOIN push_address a ON a.device = w.device AND a.confirmed = 1 WHERE w.seat = ?"
)
_RULES: Final = "SELECT lane, rule FROM push_rule WHERE device = ?"
_LANE: Final = "SELECT day, wakes FROM lane_wake WHERE lane = ?"


class PendingWakes:
    """What the writer knows of them; belongs to its thread."""

    def __init__(self) -> None:
        self._seats: dict[SeatId, list[_Waiting]] = {}
        self._plans: dict[bytes, _Plan] = {}
        self._lanes: dict[LaneId, tuple[int, int]] = {}
        self._changed: list[_Waiting] = []

    def stored(
        self,
        connection: sqlite3.Connection,
        *,
        seat: SeatId,
        seq: int,
        lane: LaneId,
        rule: WakeRule,
        wakes_per_day: int,
        now: float,
    ) -> Sequence[Ring]:
        """Note a parcel; return what it may do to each device that can be woken."""
        today = int(now // DAY)
        plan = self._plans.get(lane.raw)
        if plan is None or plan.day != today:
            plan = self._plan(connection, seat, lane, rule, wakes_per_day, today)
            self._plans[lane.raw] = plan
        for device, granted in plan.marks:
            device.newest[granted] = seq
            if not device.changed:
                device.changed = True
                self._changed.append(device)
        return plan.rings

    def _plan(
        self,
        connection: sqlite3.Connection,
        seat: SeatId,
        lane: LaneId,
        rule: WakeRule,
        wakes_per_day: int,
        today: int,
    ) -> _Plan:
        """Return what parcels on a lane do today, as long as the lane causes no wake."""
        devices = self._seats.get(seat)
        if devices is None:
            devices = self._seats[seat] = _devices(connection, seat)
        day, wakes = self._spent(connection, lane) if devices else (0, 0)
        over = (wakes if day == today else 0) >= wakes_per_day
        marks, rings = [], []
        for device in devices:
            asked = granted = device.rules.get(lane, rule)
            if over and asked in (WakeRule.WAKE, WakeRule.WAKE_OUTSIDE_QUIET_HOURS):
                granted = WakeRule.DIGEST
            rings.append(Ring(device.device, asked, granted))
            if granted is not WakeRule.NEVER:
                marks.append((device, int(granted)))
        return _Plan(today, tuple(marks), tuple(rings))

    def _spent(self, connection: sqlite3.Connection, lane: LaneId) -> tuple[int, int]:
        known = self._lanes.get(lane)
        if known is None:
            row = connection.execute(_LANE, (lane.raw,)).fetchone()
            known = self._lanes[lane] = (0, 0) if row is None else (row[0], row[1])
        return known

    def fetched(self, connection: sqlite3.Connection, device: DeviceId) -> None:
        """Note that a device collects: a wake that was under way has been answered."""
        connection.execute(
            "UPDATE wake SET pushes = 0 WHERE device = ? AND pushes > 0", (device.raw,)
        )

    def charge(self, connection: sqlite3.Connection, lane: LaneId, *, now: float) -> None:
        """Note that a lane has caused a wake; one that is gone has no budget any more."""
        today = int(now // DAY)
        day, wakes = self._spent(connection, lane)
        spent = (today, wakes + 1 if day == today else 1)
        there = connection.execute(
            "INSERT INTO lane_wake (lane, day, wakes) SELECT lane, ?, ? FROM lane WHERE lane = ?"
            " ON CONFLICT (lane) DO UPDATE SET day = excluded.day, wakes = excluded.wakes",
            (*spent, lane.raw),
        ).rowcount
        if there:
            self._lanes[lane] = spent
            self._plans.pop(lane.raw, None)

    def settle(self, connection: sqlite3.Connection) -> None:
        """Write what changed."""
        if not self._changed:
            return
        connection.executemany(
            "UPDATE wake SET wake = ?, outside = ?, digest = ? WHERE device = ?",
            [
                (
                    one.newest[WakeRule.WAKE],
                    one.newest[WakeRule.WAKE_OUTSIDE_QUIET_HOURS],
                    one.newest[WakeRule.DIGEST],
                    one.device.raw,
                )
                for one in self._changed
            ],
        )
        for one in self._changed:
            one.changed = False
        self._changed.clear()
        if max(len(self._seats), len(self._plans)) > MAX_KNOWN:
            self.forget()

    def forget(self) -> None:
        """Know nothing any more."""
        self._seats.clear()
        self._plans.clear()
        self._lanes.clear()
        self._changed.clear()


def _devices(connection: sqlite3.Connection, seat: SeatId) -> list[_Waiting]:
    found = []
    for device, wake, outside, digest in connection.execute(_DEVICES, (seat.raw,)).fetchall():
        newest = [0, wake, outside, digest, 0]
        rules = {
            LaneId(lane): WakeRule(rule) for lane, rule in connection.execute(_RULES, (device,))
        }
        found.append(_Waiting(DeviceId(device), newest, rules))
    return found
