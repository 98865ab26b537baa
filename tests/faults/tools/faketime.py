"""Gives a program another wall clock, and moves it while it runs. Source: faketime(1).

The monotonic clock stays as it is, so that nothing that waits is disturbed.
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

    def set(self, utc: str) -> None:
        """Set it to a date and time such as `2027-03-01 12:00:00`; it is seen within a second."""
        new = self.path.with_suffix(".new")
        new.write_text(f"@{utc}\n", encoding="ascii")
        os.replace(new, self.path)  # whoever reads it meets the old or the new, never half of it

    def environment(self) -> dict[str, str]:
        """Return what a program has to see so that it lives by this clock."""
        return {
            "LD_PRELOAD": self.library,
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_CACHE_DURATION": "1",  # looks at the clock once a second; each look is slow
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }


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
