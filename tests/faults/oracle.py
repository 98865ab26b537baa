"""What has to hold after every case, whatever was done to the gateway.

promises    every parcel that was acknowledged can be collected, until all devices have it
once        no parcel comes twice, none comes that nobody sent, each as it was sent
whole       the store passes SQLite's own check, and its counters are what they count
bounded     memory, descriptors, disk and log stay within limits
back        it serves again soon after it was started
"""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.adapter import Box, Handset
from wire.frames import Delivered
from wire.ids import ParcelId
from wire.parcel import HEADER_BYTES

SERVING_SECONDS: Final = 5.0
"""From a start to the first answer, on a machine that has nothing else to do."""
SLACK: Final = 10.0
"""How much slower a machine may be that runs other tests meanwhile."""
MAX_MEMORY: Final = 128 << 20
"""Bytes of memory of a gateway process: it runs beside other things on a small box."""
MAX_DESCRIPTORS: Final = 600
"""Files and sockets: 512 connections and what the gateway needs itself."""
MAX_LOG: Final = 1 << 20
"""Bytes of log in one case, none of which takes a minute."""
MAX_SPARE_DISK: Final = 64 << 20
"""Bytes on the disk beyond what waits: the reserve, the log of the store, free pages."""


def check_started(seconds: float) -> None:
    """Check that a start did not take too long."""
    assert seconds <= SERVING_SECONDS * SLACK, f"it served again after {seconds:.1f} s"


def check_collected(box: Box, found: list[Delivered], *, before: set[ParcelId]) -> None:
    """Check what a phone got against what was promised.

    Args:
        box: whose ledger.
        found: what came, in the order in which it came.
        before: what was owed before it came (`owed`, as it stood then).
    """
    ids = [one.parcel.id for one in found]
    numbers = [one.seq for one in found]
    missing = before - set(ids)
    assert not missing, f"{len(missing)} of {len(before)} acknowledged parcels are lost"
    assert len(set(ids)) == len(ids), "a parcel came twice"
    assert numbers == sorted(set(numbers)), "numbers do not rise"
    for one in found:
        assert one.parcel == box.ledger.offered.get(one.parcel.id), "nobody sent this parcel"


async def collect_and_check(box: Box, phone: Handset) -> list[Delivered]:
    """Let the one phone of the one seat collect everything; check it and return it."""
    owed, possible = box.ledger.owed, box.ledger.possible
    await phone.reconnect()
    found = await phone.drain()
    check_collected(box, found, before=owed)
    unwanted = {one.parcel.id for one in found} - possible
    assert not unwanted, f"{len(unwanted)} parcels came that were refused, or collected before"
    return found


def check_bounds(box: Box) -> None:
    """Check what a running gateway takes of the machine."""
    pid = box.pid
    assert memory(pid) <= MAX_MEMORY, f"{memory(pid) >> 20} MiB of memory"
    assert descriptors(pid) <= MAX_DESCRIPTORS, f"{descriptors(pid)} descriptors"
    check_disk(box)


def check_disk(box: Box) -> None:
    """Check what a gateway has written."""
    offered = sum(len(one.body) + 1024 for one in box.ledger.offered.values())
    used = disk(box.data)
    assert used <= 2 * offered + MAX_SPARE_DISK, f"{used >> 20} MiB on the disk"
    assert box.log.stat().st_size <= MAX_LOG, f"{box.log.stat().st_size} bytes of log"
    assert "Traceback" not in box.logged, box.logged[-4000:]


def memory(pid: int) -> int:
    """Return how many bytes of memory a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise ProcessLookupError(pid)


def descriptors(pid: int) -> int:
    """Return how many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def disk(folder: Path) -> int:
    """Return how many bytes a folder takes on the disk."""
    return sum(one.stat().st_blocks * 512 for one in folder.rglob("*") if one.is_file())


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies in a store that nobody serves."""

    parcels: tuple[ParcelId, ...]
    ends: tuple[float, ...]
    """When each of them comes to its end, in the gateway's own seconds."""
    seats: int
    devices: int


def look_inside(store: Path) -> Contents:
    """Check a store and return what is in it, without touching it: the look is at a copy."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            if (part := store.with_name(store.name + suffix)).exists():
                shutil.copy(part, folder)
        with closing(sqlite3.connect(Path(folder) / store.name)) as connection:
            return _look(connection)


def _look(connection: sqlite3.Connection) -> Contents:
    verdict = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    assert verdict == ["ok"], verdict
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    _check_counters(connection)
    rows = connection.execute("SELECT parcel, dies_at FROM parcel").fetchall()
    parcels, ends = [ParcelId(row[0]) for row in rows], [row[1] for row in rows]
    assert len(set(parcels)) == len(parcels), "a parcel lies there twice"
    [(seats,)] = connection.execute("SELECT count(*) FROM seat").fetchall()
    [(devices,)] = connection.execute("SELECT count(*) FROM device").fetchall()
    return Contents(tuple(parcels), tuple(ends), seats, devices)


def _check_counters(connection: sqlite3.Connection) -> None:
    wrong = connection.execute(
        "SELECT s.used_bytes, s.last_seq FROM seat s WHERE used_bytes <> (SELECT"
        " coalesce(sum(length(body) + ?), 0) FROM parcel p WHERE p.seat = s.seat)"
        " OR last_seq < (SELECT coalesce(max(seq), 0) FROM parcel p WHERE p.seat = s.seat)",
        (HEADER_BYTES,),
    ).fetchall()
    assert wrong == [], "a mailbox does not hold what its counters say"
