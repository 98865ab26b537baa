"""Gives a program other clocks, and moves them while it runs. Source: faketime(1).

WallClock     another date; the monotonic clock stays, so that nothing that waits is disturbed
LeapingClock  both clocks leap ahead on command: whoever waits for a minute has waited at once
"""

import glob
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.here import NotPossibleHere

_PLACES: Final = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")
_TRY: Final = "import time; print(int(time.time()))"


@dataclass
class WallClock:
    """A wall clock that a case sets; it goes on from there."""

    path: Path
    library: str

    def set(self, utc: str, *, stopped: bool = False) -> None:
        """Set it to a date and time such as `2027-03-01 12:00:00`; it is seen within a second.

        Args:
            utc: from where it goes on.
            stopped: whether it stands there instead.
        """
        new = self.path.with_suffix(".new")
        new.write_text(f"{'' if stopped else '@'}{utc}\n", encoding="ascii")
        os.replace(new, self.path)  # whoever reads it meets the old or the new, never half of it

    def environment(self) -> dict[str, str]:
        """Return what a program has to see so that it lives by this clock."""
        return _environment(self.path, self.library, monotonic=False)


@dataclass
class LeapingClock:
    """A wall clock and a monotonic clock that leap ahead together."""

    path: Path
    library: str
    ahead: int = 0
    """Seconds that both are before the machine's."""

    def leap(self, seconds: int) -> None:
        """Go ahead; it is seen within a second, by whoever looks at a clock at all."""
        self.ahead += seconds
        new = self.path.with_suffix(".new")
        new.write_text(f"+{self.ahead}s\n", encoding="ascii")
        os.replace(new, self.path)

    def environment(self) -> dict[str, str]:
        """Return what a program has to see so that it lives by these clocks."""
        return _environment(self.path, self.library, monotonic=True)


def _environment(path: Path, library: str, *, monotonic: bool) -> dict[str, str]:
    kept = "0" if monotonic else "1"
    return {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_CACHE_DURATION": "1",  # looks at the clock once a second; each look is slow
        "FAKETIME_DONT_FAKE_MONOTONIC": kept,
        "DONT_FAKE_MONOTONIC": kept,
        "TZ": "UTC",
    }


def leaping_clock(folder: Path) -> LeapingClock:
    """Make clocks that are those of the machine until they leap.

    Raises:
        NotPossibleHere: libfaketime is not there, or does nothing here.
    """
    tried = wall_clock(folder, "1980-01-01 00:00:00")
    clock = LeapingClock(tried.path, tried.library)
    clock.leap(0)
    return clock


def wall_clock(folder: Path, utc: str) -> WallClock:
    """Make a clock that stands at a date and time.

    Raises:
        NotPossibleHere: libfaketime is not there, or does nothing here.
    """
    found = [one for pattern in _PLACES for one in glob.glob(pattern)]
    if not found:
        raise NotPossibleHere("libfaketime is not installed")
    clock = WallClock(folder / "clock", found[0])
    clock.set("1980-01-01 00:00:00")
    tried = subprocess.run(
        [sys.executable, "-c", _TRY],
        env={**os.environ, **clock.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if not tried.stdout.startswith("3155"):
        raise NotPossibleHere(f"libfaketime does nothing here: {tried.stderr.strip()}")
    clock.set(utc)
    return clock
