"""Fills the disk under a store, frees it again, and prints what was possible, as JSON.

`python -m tests.gateway.database.fill PATH`, on a disk of its own of a few MiB.
"""

import asyncio
import json
import sqlite3
import sys
from pathlib import Path

from gateway.database import Database, Limits
from gateway.database.reserve import Reserve
from gateway.errors import DiskFull
from tests.gateway.database.notes import add, open_notes, stored


async def _fill(database: Database, *, first: int) -> int:
    """Write until the disk is full; return the number that was refused."""
    number = first
    try:
        while True:
            await database.write(add(number, bytes(50_000)), carries=50_000)
            number += 1
    except DiskFull:
        return number


def _clear_some(store: sqlite3.Connection) -> int:
    return store.execute(
        "DELETE FROM note WHERE number IN (SELECT number FROM note LIMIT 20)"
    ).rowcount


async def _clear(database: Database) -> int:
    """Delete every note, a MiB at a time; return how many there were."""
    total = 0
    while count := await database.write(_clear_some, frees=True):
        total += count
    return total


async def _until_there_is_room(database: Database) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await database.write(add(-1))
            except DiskFull:
                await asyncio.sleep(0.02)
            else:
                return


async def run(path: Path) -> dict[str, object]:
    """Fill, look, free, go on."""
    failures: list[str] = []
    limits = Limits(truncate_after=0.05, full_retry_after=0.05)
    async with open_notes(path, limits=limits, failures=failures) as database:
        refused = await _fill(database, first=0)
        acknowledged = set(range(refused)) == stored(path)
        reserve_given = not Reserve(path).path.exists()
        freed = await _clear(database)
        await _until_there_is_room(database)
        reserve_back = Reserve(path).path.exists()
        again = await _fill(database, first=0)
    return {
        "refused": refused,
        "acknowledged": acknowledged,
        "reserve_given": reserve_given,
        "freed": freed,
        "reserve_back": reserve_back,
        "again": again,
        "failures": failures,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Path(sys.argv[1])))))
