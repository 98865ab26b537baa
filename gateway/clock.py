"""Time: what the machine says, and the steady time by which parcels grow old.

A box without a clock battery starts in 1970 and jumps when the network tells it the date; others
jump back. Nothing may die of that, so lives are counted in steady time:

    while running     it goes on by the monotonic clock, whatever the wall clock does
    across a restart  it goes on by the wall clock's difference, never back, at most `MAX_GAP`
    the first start   it begins at the wall clock, or at the build date if that is later

docs/decisions/0005-steady-clock.md says what this costs.
"""

import time
from dataclasses import dataclass
from typing import Final, Protocol

BUILD_DATE: Final = 1_795_564_800.0
"""Unix seconds of 2026-11-25: no gateway of this version runs earlier, whatever its clock says."""

MAX_GAP: Final = 86_400.0
"""Seconds that one restart can add: a wrong date costs a parcel at most this much of its life."""


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Return the wall clock: seconds since 1970-01-01 UTC. It may jump."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back and starts anywhere."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Return the wall clock."""
        return time.time()

    def monotonic(self) -> float:
        """Return the monotonic clock."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class ClockMark:
    """What is kept of a steady clock while nothing runs."""

    steady: float
    """Steady seconds at the moment of the mark."""
    wall: float
    """What the wall clock said at that moment."""


class SteadyClock:
    """Seconds that only go on: for lives, budgets and everything else that is a duration.

    The value looks like Unix seconds and is near them on a box whose clock is right, but only
    differences mean something.

    Args:
        clock: the machine's clocks.
        mark: what the last run kept; None on the first start.
        floor: the earliest date that can be true.
    """

    def __init__(self, clock: Clock, *, mark: ClockMark | None, floor: float = BUILD_DATE) -> None:
        self._clock = clock
        self._floor = floor
        self._started = clock.monotonic()
        self._base = _resume(mark, wall=clock.now(), floor=floor)

    def now(self) -> float:
        """Return steady seconds; never less than an earlier call, in this run or a marked one."""
        self._go_on()
        return self._base

    def wall_is_plausible(self) -> bool:
        """Return whether the wall clock is set at all: not before this program was built."""
        return self._clock.now() >= self._floor

    def at_wall(self, wall: float) -> float:
        """Return the steady time that will be reached when the wall clock should read `wall`.

        Dates that a phone sets (the end of a lane) come as wall time. While our own wall clock is
        not set, steady time stands in for it.
        """
        today = self._clock.now() if self.wall_is_plausible() else self.now()
        return self.now() + max(0.0, wall - today)

    def mark(self) -> ClockMark:
        """Return what the next run needs; to be stored at least every few minutes."""
        return ClockMark(self.now(), self._clock.now())

    def _go_on(self) -> None:
        current = self._clock.monotonic()
        self._base += max(0.0, current - self._started)
        self._started = max(self._started, current)


def _resume(mark: ClockMark | None, *, wall: float, floor: float) -> float:
    if mark is None:
        return max(floor, wall)
    return max(floor, mark.steady) + min(max(0.0, wall - mark.wall), MAX_GAP)
