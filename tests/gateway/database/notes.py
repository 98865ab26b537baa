"""A store with one table, for tests, and the same as a program that can be killed.

`python -m tests.gateway.database.notes PATH FIRST COUNT [LIMIT]` writes COUNT notes one after the
other, eight at a time, and prints the number of each that was acknowledged. LIMIT is the largest
size in bytes that a file of this process may have once the store is open.
"""

import asyncio
import resource
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.database import Database, Limits, open_database
from gateway.database.writer import Work
from gateway.errors import Refusal

SCHEMA = "CREATE TABLE note (number INTEGER PRIMARY KEY, body BLOB NOT NULL);"


def scripts(folder: Path) -> Path:
    """Make a folder with the one script and return it."""
    folder.mkdir(exist_ok=True)
    (folder / "0001_note.sql").write_text(SCHEMA, encoding="utf-8")
    return folder


@asynccontextmanager
async def open_notes(
    path: Path, *, limits: Limits | None = None, failures: list[str] | None = None
) -> AsyncIterator[Database]:
    """Open a store of notes; reasons why it failed go to `failures`."""
    async with open_database(
        path,
        on_fatal=(failures if failures is not None else []).append,
        now=time.time(),
        limits=limits,
        migrations=scripts(path.parent / "migrations"),
    ) as database:
        yield database


def add(number: int, body: bytes = b"x") -> Work[int]:
    """Return the transaction that stores a note."""

    def work(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO note (number, body) VALUES (?, ?)", (number, body))
        return number

    return work


def stored(path: Path) -> set[int]:
    """Return the numbers of the notes that another process would find."""
    with sqlite3.connect(path) as connection:
        return {row[0] for row in connection.execute("SELECT number FROM note")}


async def _run(path: Path, *, first: int, count: int, limit: int | None) -> int:
    failures: list[str] = []
    limits = Limits(full_retry_after=0.0)
    async with open_notes(path, limits=limits, failures=failures) as database:
        await database.write(lambda store: store.execute("SELECT 1").fetchone())
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        numbers = iter(range(first, first + count))

        async def keep_writing() -> None:
            for number in numbers:
                try:
                    await database.write(add(number, bytes(600)))
                except Refusal as refusal:
                    print(refusal.code, flush=True)
                else:
                    print(number, flush=True)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(keep_writing())
    for reason in failures:
        print(reason, file=sys.stderr)
    return 3 if failures else 0


def main(arguments: list[str]) -> int:
    """Write notes until done, failed or killed."""
    path, first, count = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    limit = int(arguments[3]) if len(arguments) > 3 else None
    return asyncio.run(_run(path, first=first, count=count, limit=limit))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
