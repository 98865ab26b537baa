"""Starts a store on a disk that has become full meanwhile, and prints what is possible, as JSON.

`python -m tests.gateway.database.start_full PATH`, on a disk of its own of some MiB.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from gateway.database.reserve import Reserve
from gateway.errors import DiskFull, StartupError
from tests.gateway.database.notes import add, open_notes, stored


def fill(folder: Path) -> Path:
    """Leave no byte on the disk; return the file that holds them."""
    path = folder / "somebody-elses"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(os.statvfs(folder).f_frsize))
    return path


async def _clear(path: Path) -> int:
    async with open_notes(path) as database:
        with suppress(DiskFull):
            await database.write(add(100))
            return -1
        return await database.write(
            lambda store: store.execute("DELETE FROM note").rowcount, frees=True
        )


async def _why(path: Path) -> str:
    """Return why a store cannot be opened where there is no room at all."""
    try:
        async with open_notes(path):
            return ""
    except StartupError as error:
        return str(error)


async def run(path: Path) -> dict[str, object]:
    """Write, fill the disk, start again with a reserve and without one."""
    async with open_notes(path) as database:
        for number in range(20):
            await database.write(add(number))
    others = fill(path.parent)
    cleared = await _clear(path)
    reserve_given = not Reserve(path).path.exists()
    others.unlink()
    others = fill(path.parent)
    why = await _why(path)
    others.unlink()
    async with open_notes(path) as database:
        await database.write(add(200))
    return {
        "cleared": cleared,
        "reserve_given": reserve_given,
        "why": why,
        "after": sorted(stored(path)),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Path(sys.argv[1])))))
