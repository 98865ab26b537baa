"""A few connections that can only read: for what is looked up now and then.

Each read has a connection and a snapshot of its own, so several statements see one state of the
file. It runs in a task of its own: a caller who goes away leaves no connection half used.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import aiosqlite

from gateway.database.failure import Trouble, describe, file_is_broken, trouble
from gateway.errors import Busy, StorageFailed

T = TypeVar("T")
Reading: TypeAlias = Callable[[aiosqlite.Connection], Awaitable[T]]

CONNECTIONS: Final = 2
"""Each is a thread and a cache of 1 MiB; two, so that one long read does not hold up the rest."""

BUSY_TIMEOUT: Final = 2.0
"""Seconds to wait for somebody who looks into the file with another program."""

WAITING: Final = 256
"""Reads that may wait; a gateway that is further behind says so."""


class Readers:
    """A bounded pool of reading connections; made by `open_readers`.

    Args:
        connections: open, read-only.
        on_fatal: told the reason when the file cannot be read.
    """

    def __init__(
        self, connections: list[aiosqlite.Connection], *, on_fatal: Callable[[str], None]
    ) -> None:
        self._all = connections
        self._free: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for connection in connections:
            self._free.put_nowait(connection)
        self._on_fatal = on_fatal
        self._running: set[asyncio.Task[Any]] = set()
        self._looking = 0

    async def read(self, reading: Reading[T]) -> T:
        """Run `reading` on one snapshot of the file and return its result.

        Raises:
            Busy: too many reads wait.
            StorageFailed: the file cannot be read.
            Exception: whatever `reading` raised.
        """
        if len(self._running) >= WAITING:
            raise Busy
        task = asyncio.create_task(self._leased(reading))
        self._running.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def look(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """Run one statement, which is a snapshot of its own; return its rows.

        It is one visit to the connection's thread instead of four. A caller who goes away leaves
        it running there, and the next statement waits for it.

        Raises:
            Busy: too many reads wait.
            StorageFailed: the file cannot be read.
        """
        if self._looking + len(self._running) >= WAITING:
            raise Busy
        self._looking += 1
        try:
            async with self._lease() as connection:
                return list(await connection.execute_fetchall(sql, parameters))
        finally:
            self._looking -= 1

    async def close(self) -> None:
        """Wait for the reads that run, then close every connection."""
        if self._running:
            await asyncio.wait(self._running)
        for connection in self._all:
            await connection.close()

    async def _leased(self, reading: Reading[T]) -> T:
        async with self._lease() as connection:
            await connection.execute("BEGIN")
            try:
                return await reading(connection)
            finally:
                with suppress(sqlite3.Error):
                    await connection.execute("ROLLBACK")

    @asynccontextmanager
    async def _lease(self) -> AsyncIterator[aiosqlite.Connection]:
        connection = await self._free.get()
        try:
            yield connection
        except sqlite3.Error as error:
            if file_is_broken(error):
                self._on_fatal(describe(error))
                raise StorageFailed from error
            if trouble(error) is Trouble.BUSY:
                raise Busy from error
            raise
        finally:
            self._free.put_nowait(connection)

    def _finished(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # looked at here, for a caller who went away


async def open_readers(path: Path, *, on_fatal: Callable[[str], None]) -> Readers:
    """Open the pool on `path`, which a writer holds open already.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """
    address = f"{path.absolute().as_uri()}?mode=ro"  # noqa: ASYNC240  (looks at no disk)
    connections: list[aiosqlite.Connection] = []
    try:
        for _ in range(CONNECTIONS):
            connection = await aiosqlite.connect(
                address, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT
            )
            connections.append(connection)
            for pragma in ("query_only = ON", "trusted_schema = OFF", "cache_size = -1024"):
                await connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        for connection in connections:
            await connection.close()
        raise
    return Readers(connections, on_fatal=on_fatal)
