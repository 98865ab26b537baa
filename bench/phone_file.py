"""What the lock of a phone's file costs: commits and openings, sealed beside plain in turns.

    python -m bench.phone_file FOLDER COUNT

A commit stores one value of 200 bytes, as `peer.store` does it; both files use the same SQLite.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Final

from bench.figures import median
from bench.processes import figures_of
from peer.keys.file_key import FileKey, Header
from peer.store import Store, open_store

ROUNDS: Final = 10
"""Both take turns, since a disk is not the same a second later."""
OPENINGS: Final = 15
_VALUE_BYTES: Final = 200
_NAMES: Final = 500

Figures = dict[str, float]


def measure(folder: Path, *, count: int) -> Figures:
    """Measure `count` commits into each of two files below `folder`."""
    keys = {"plain": None, "sealed": FileKey.generate()}
    stores = {name: _open(folder / name, key) for name, key in keys.items()}
    taken = dict.fromkeys(stores, 0.0)
    each = max(1, count // ROUNDS)
    for turn in range(ROUNDS):
        for name, store in stores.items():
            began = time.perf_counter()
            _commit(store, each, turn)
            taken[name] += time.perf_counter() - began
    for store in stores.values():
        store.close()
    found = {f"file.{name}.rate": each * ROUNDS / seconds for name, seconds in taken.items()}
    for name, key in keys.items():
        found[f"file.{name}.open"] = median([_opening(folder / name, key) for _ in range(OPENINGS)])
    found["file.pin"] = median([_try() for _ in range(3)])
    return found


def _commit(store: Store, count: int, turn: int) -> None:
    for number in range(count):
        with store.transaction():
            store.keep_note(f"{(turn * count + number) % _NAMES}", os.urandom(_VALUE_BYTES))


def _opening(home: Path, key: FileKey | None) -> float:
    began = time.perf_counter()
    store = _open(home, key)
    store.note("0")
    took = time.perf_counter() - began
    store.close()
    return took


def _try() -> float:
    """Return the CPU seconds of one try of a PIN."""
    header = Header.under_pin(FileKey.generate(), "correct horse")
    began = time.process_time()
    header.open("correct horse")
    return time.process_time() - began


def _open(home: Path, key: FileKey | None) -> Store:
    store = open_store(home, create=True, key=key)
    if store is None:
        raise RuntimeError("no file was made")
    return store


def file_figures(folder: Path, *, count: int, processor: int) -> Figures:
    """Measure in a process of its own on one core."""
    return figures_of("bench.phone_file", folder, count, processor=processor)


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
