"""A clock whose hands a test moves."""

from dataclasses import dataclass

from gateway.clock import BUILD_DATE, ClockMark, SteadyClock


@dataclass
class Hands:
    """Wall and monotonic clock of a machine."""

    wall: float = BUILD_DATE + 100 * 86_400.0
    steady: float = 5.0

    def now(self) -> float:
        """Return the wall clock."""
        return self.wall

    def monotonic(self) -> float:
        """Return the monotonic clock."""
        return self.steady

    def live(self, seconds: float) -> None:
        """Let both go on."""
        self.wall += seconds
        self.steady += seconds

    def steady_clock(self, mark: ClockMark | None = None) -> SteadyClock:
        """Return a steady clock that these hands move, going on from `mark`."""
        return SteadyClock(self, mark=mark)
