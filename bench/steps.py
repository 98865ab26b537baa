"""What it costs to keep a person's devices in step: bytes and time, beside a library that merges.

    python -m bench.steps FOLDER CHANGES

Ten thousand read marks of eight hundred threads, made on one device in batches of 32 and taken by
another that was away; between them there is no gateway. Beside it the same changes in a document
of pycrdt, where that is installed.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from bench.figures import median
from bench.letters import cpu
from bench.phones import Stepping, core_lines, make_stepping
from bench.processes import figures_of

THREADS: Final = 800
TOGETHER: Final = 32
"""Read marks in one batch: an evening's."""
THREAD_BYTES: Final = 16

Figures = dict[str, float]


def threads() -> list[bytes]:
    """Return names of as many threads as there are."""
    return [number.to_bytes(THREAD_BYTES, "big") for number in range(THREADS)]


def measure(folder: Path, *, changes: int) -> Figures:
    """Measure all of it in files below `folder`."""
    names, sizes = threads(), list[float]()
    phone, tablet = make_stepping(folder)
    try:
        for start in range(0, changes, TOGETHER):
            places = range(start, min(start + TOGETHER, changes))
            marks = {names[one % THREADS]: one // THREADS + 1 for one in places}
            size = phone.mark(marks)
            if len(marks) == TOGETHER:
                sizes.append(size / TOGETHER)
        found = {"mark.bytes": median(sizes) if sizes else float(size)}
        found |= _caught_up(phone, tablet)
        found["snapshot.bytes"] = float(len(phone.snapshot()))
    finally:
        phone.close()
        tablet.close()
    return {**found, **library(changes), "core.lines": float(core_lines())}


def _caught_up(phone: Stepping, tablet: Stepping) -> Figures:
    batches = phone.batches()
    began, used = time.perf_counter(), cpu()
    tablet.take(batches)
    figures = {"late.seconds": time.perf_counter() - began, "late.cpu": cpu() - used}
    if tablet.state() != phone.state():
        raise RuntimeError("the devices differ")
    return figures


def library(changes: int) -> Figures:
    """Return what the same changes take in a document of pycrdt; nothing where there is none."""
    try:
        import pycrdt
    except ImportError:
        return {}
    document: Any = pycrdt.Doc()
    marks: Any = pycrdt.Map()
    document["marks"] = marks
    names, sizes = threads(), list[float]()
    for start in range(0, changes, TOGETHER):
        before = document.get_state()
        with document.transaction():
            for one in range(start, min(start + TOGETHER, changes)):
                marks[names[one % THREADS].hex()] = one // THREADS + 1
        sizes.append(len(document.get_update(before)) / TOGETHER)
    return {
        "library.mark.bytes": median(sizes),
        "library.snapshot.bytes": float(len(document.get_update())),
    }


def step_figures(folder: Path, *, changes: int, processor: int) -> Figures:
    """Measure in a process of its own on one core."""
    return figures_of("bench.steps", folder, changes, processor=processor)


def main(arguments: list[str]) -> int:
    """Measure and print the figures as JSON."""
    match arguments:
        case [folder, changes]:
            print(json.dumps(measure(Path(folder), changes=int(changes)), indent=1))
            return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
