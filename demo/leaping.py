"""Starts a gateway whose clock leaps three days ahead at a signal: `python -m demo.leaping serve`.

The gateway itself has no setting for that. It is given another clock, as its tests give it one, and
everything else of it is as ever.
"""

import signal
import sys
import time
from typing import Final

from gateway import app
from gateway.cli import main
from gateway.clock import SystemClock

LEAP: Final = 73 * 3600.0
"""Seconds of a leap: a recovery share goes out after seventy-two hours."""


class LeapingClock(SystemClock):
    """The machine's clocks, and as many leaps ahead as there were signals."""

    def __init__(self) -> None:
        self._ahead = 0.0
        signal.signal(signal.SIGUSR1, self._leap)

    def now(self) -> float:
        """Return the wall clock."""
        return time.time() + self._ahead

    def monotonic(self) -> float:
        """Return the monotonic clock."""
        return time.monotonic() + self._ahead

    def _leap(self, _number: int, _frame: object) -> None:
        self._ahead += LEAP


def run() -> int:
    """Be the gateway."""
    setattr(app, "SystemClock", LeapingClock)  # noqa: B010  # mypy lets nobody assign it
    return main()


if __name__ == "__main__":
    sys.exit(run())
