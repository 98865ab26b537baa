"""What nobody on this machine gets below: SQLite's commits, the disk's flushes, the imports.

Each is measured in a process of its own on the servers' processor, shortly before and after what is
compared with it, because a shared disk and a shared processor are never the same for long.

    python -m bench.floors sqlite FOLDER ROWS SECONDS
    python -m bench.floors disk FOLDER COUNT
"""

import json
import os
import resource
import secrets
import sqlite3
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.deposits import BODY
from bench.figures import median
from bench.processes import PROJECT

GROUPS: Final = (1, 32, 256)
"""Rows in a transaction."""
IMPORTS: Final = "hypercorn.asyncio, hypercorn.config, quart, aiosqlite, nacl.public, nacl.signing"
"""What a gateway of this kind cannot do without."""
TRIES: Final = 3
_SCHEMA: Final = (
    "PRAGMA journal_mode=wal",
    "PRAGMA synchronous=full",
    "PRAGMA wal_autocheckpoint=1000",
    "CREATE TABLE item (seq INTEGER PRIMARY KEY, recipient INTEGER NOT NULL, id BLOB NOT NULL,"
    " body BLOB NOT NULL, at INTEGER NOT NULL)",
    "CREATE INDEX item_recipient ON item (recipient, seq)",
    "CREATE UNIQUE INDEX item_id ON item (id)",
)
_INSERT: Final = "INSERT INTO item (recipient, id, body, at) VALUES (?, ?, ?, ?)"
_LOOK: Final = """
import time, json
begun = time.perf_counter()
import {imports}
took = time.perf_counter() - begun
pages = int(open("/proc/self/statm").read().split()[1])
print(json.dumps([pages, took]))
"""


@dataclass(frozen=True, slots=True)
class Floor:
    """SQLite with synchronous=FULL, by rows in a transaction."""

    rate: float
    """Rows a second."""
    cpu: float
    """CPU seconds for one row."""

    def mean(self, other: "Floor") -> "Floor":
        """Return what is between this one, measured before, and another, measured after."""
        return Floor((self.rate + other.rate) / 2, (self.cpu + other.cpu) / 2)


def commit_rows(folder: Path, *, rows: int, seconds: float) -> Floor:
    """Commit transactions of `rows` rows into a new file for a while."""
    path = folder / f"floor-{rows}.sqlite"
    database = sqlite3.connect(path, isolation_level=None)
    try:
        for one in _SCHEMA:
            database.execute(one)
        body, written = secrets.token_bytes(BODY), 0
        began, cpu = time.perf_counter(), _cpu()
        while time.perf_counter() - began < seconds:
            several = [
                (number % 100, os.urandom(16), body, number)
                for number in range(written, written + rows)
            ]
            database.execute("BEGIN IMMEDIATE")
            database.executemany(_INSERT, several)
            database.execute("COMMIT")
            written += rows
        took = time.perf_counter() - began
        return Floor(written / took, (_cpu() - cpu) / written)
    finally:
        database.close()
        for leftover in folder.glob(f"{path.name}*"):
            leftover.unlink()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def synchronise(folder: Path, *, count: int) -> float:
    """Return the seconds that one appended page and its fdatasync take, in the middle of many."""
    path, page = folder / "floor-disk", secrets.token_bytes(4096)
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(page)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    path.unlink()
    return median(took)


def sqlite_floor(folder: Path, *, rows: int, seconds: float, processor: int) -> Floor:
    """Measure SQLite in a process of its own."""
    said = _run(processor, "sqlite", str(folder), str(rows), str(seconds))
    return Floor(**said)


def disk_floor(folder: Path, *, count: int, processor: int) -> float:
    """Measure the disk in a process of its own."""
    return float(_run(processor, "disk", str(folder), str(count)))


def import_floor(*, processor: int) -> tuple[float, float]:
    """Return bytes of memory and seconds that the libraries take which every such gateway loads."""
    found = []
    for _ in range(TRIES):
        program = _LOOK.format(imports=IMPORTS)
        found.append(json.loads(_output(processor, "-c", program)))
    pages = min(one[0] for one in found)
    return pages * os.sysconf("SC_PAGE_SIZE"), min(one[1] for one in found)


def _run(processor: int, *arguments: str) -> Any:
    return json.loads(_output(processor, "-m", "bench.floors", *arguments))


def _output(processor: int, *arguments: str) -> str:
    done = subprocess.run(
        ["taskset", "-c", str(processor), sys.executable, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def main(arguments: list[str]) -> int:
    """Measure one floor and print it as JSON."""
    match arguments:
        case ["sqlite", folder, rows, seconds]:
            floor = commit_rows(Path(folder), rows=int(rows), seconds=float(seconds))
            print(json.dumps(asdict(floor)))
        case ["disk", folder, count]:
            print(json.dumps(synchronise(Path(folder), count=int(count))))
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
