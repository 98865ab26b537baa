"""A phone is gone: how long until its letters are read again on a new one.

    python -m bench.returning FOLDER COUNT

What the phone does is measured, in a process of its own on one core: segments are verified, opened
and stored, the newest first, with the file on a disk or in memory. Gateway and network come to it.
"""

import json
import sys
import time
from pathlib import Path
from typing import Final

from bench.processes import figures_of
from bench.shelf import Returned, filled

SMALL: Final = 1_000
LARGE: Final = 100_000
"""Letters in the archive; the large one in the long form only."""

Figures = dict[str, float]


def measure(folder: Path, *, count: int) -> Figures:
    """Fill an archive with so many letters and read it on a new device."""
    gone = filled(folder / "old", count=count)
    new = Returned(folder / "new", gone)
    before = time.perf_counter()
    more = new.read_some()
    first = time.perf_counter() - before
    at_once = new.letters()
    while more:
        more = new.read_some()
    whole = time.perf_counter() - before
    found, size = new.letters(), gone.shelf.size
    new.close()
    if found != count:
        raise RuntimeError(f"{found} of {count} letters came back")
    return {"first": first, "all": whole, "at_once": at_once, "bytes": size / count}


def returning_figures(folder: Path, *, count: int, processor: int) -> Figures:
    """Measure in a process of its own on one core."""
    return figures_of("bench.returning", folder, count, processor=processor)


def main(arguments: list[str]) -> int:
    """Measure and print the figures as JSON."""
    match arguments:
        case [folder, count]:
            print(json.dumps(measure(Path(folder), count=int(count)), indent=1))
            return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
