"""Keeps the steady clock's mark in the store, so that time goes on across restarts."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiosqlite

from gateway.clock import Clock, ClockMark, SteadyClock
from gateway.database.sqlite import Database
from gateway.errors import DiskFull, FolderUnusable, Refusal

MARK_EVERY: Final = 60.0
"""Seconds between marks: what a crash can make the clock count twice."""


@asynccontextmanager
async def run_steady_clock(
    database: Database, clock: Clock, *, mark_every: float = MARK_EVERY
) -> AsyncIterator[SteadyClock]:
    """Take the clock up where the last run left it, and mark it until the block ends.

    Raises:
        FolderUnusable: there is no room for a first mark.
        Refusal: the store takes no write.
    """
    found = await database.read(_load)
    steady = SteadyClock(clock, mark=found)
    try:
        await _save(database, steady)
    except DiskFull:
        if found is None:
            raise FolderUnusable("There is no space left on the disk: free some.") from None
        # What waits here can be collected all the same; time counted until the next mark returns.
    keeping = asyncio.create_task(_keep(database, steady, every=mark_every), name="clock marks")
    try:
        yield steady
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        with suppress(Refusal):  # a full or failed disk: time counted since the last mark returns
            await _save(database, steady)


async def _keep(database: Database, steady: SteadyClock, *, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        with suppress(Refusal):  # the next mark says the same, later
            await _save(database, steady)


async def _load(connection: aiosqlite.Connection) -> ClockMark | None:
    rows = await connection.execute_fetchall("SELECT steady, wall FROM clock_mark")
    return next((ClockMark(row[0], row[1]) for row in rows), None)


async def _save(database: Database, steady: SteadyClock) -> None:
    mark = steady.mark()

    def work(connection: sqlite3.Connection) -> None:
        # Whatever happened to two marks on their way: the later one stays.
        connection.execute(
            "INSERT INTO clock_mark (only, steady, wall) VALUES (1, ?, ?)"
            " ON CONFLICT (only) DO UPDATE SET steady = excluded.steady, wall = excluded.wall"
            " WHERE excluded.steady >= clock_mark.steady",
            (mark.steady, mark.wall),
        )

    await database.write(work)
