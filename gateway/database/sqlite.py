"""The store of record: one SQLite file, one connection that writes it, a few that read it.

    async with open_database(path, on_fatal=stop) as database:
        number = await database.write(work)      # on the disk when it returns
        rows = await database.read(reading)

What is written survives a power cut (WAL with `synchronous = FULL`); what is deleted is overwritten
(`secure_delete`) and leaves the log within a minute.
Source: https://www.sqlite.org/pragma.html; docs/decisions/0004-one-writer-thread.md.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.database.failure import Marker, Trouble, describe, trouble
from gateway.database.folder import unusable
from gateway.database.migrate import (
    APPLICATION_ID,
    MIGRATIONS,
    check_header,
    drop_old_copies,
    migrate,
    version_of,
)
from gateway.database.readers import BUSY_TIMEOUT, Readers, Reading, open_readers
from gateway.database.reserve import Reserve
from gateway.database.writer import JOB_PAGES, PAGE_BYTES, Answer, Limits, Memory, Work, Writer
from gateway.errors import DamagedStore, FolderUnusable, StartupError, StorageFailed

LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")

_PRAGMAS: Final = (
    "synchronous = FULL",  # NORMAL loses acknowledged rows in a power cut (measured)
    "secure_delete = ON",
    "foreign_keys = ON",
    "wal_autocheckpoint = 0",  # the writer does it, between groups
    "temp_store = MEMORY",  # nothing may lie in a temporary file
    "cache_size = -4096",  # 4 MiB
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "mmap_size = 0",
)


class Database:
    """The gateway's store, open. Made by `open_database`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    @property
    def commits(self) -> int:
        """How many groups of writes were committed since the start."""
        return self._writer.commits

    @property
    def failed(self) -> str | None:
        """Why this process acknowledges nothing more; None while all is well."""
        return self._writer.failed

    @property
    def full(self) -> bool:
        """Whether the disk has no room, so that only what frees some is written."""
        return self._writer.full

    @property
    def changes(self) -> int:
        """Rises when something else than jobs by heart changed the store; what was read before it
        rose may be over."""
        return self._writer.changes

    def learn(self, memory: Memory) -> None:
        """Let jobs work by heart, with `memory`. Called once, before the first of them."""
        self._writer.memory = memory

    async def write(
        self, work: Work[T], *, carries: int = 0, frees: bool = False, by_heart: bool = False
    ) -> T:
        """Run `work` in the next shared transaction; return its result once it is on the disk.

        `work` is called in the writer's thread with the connection. It may run any statement but
        BEGIN, COMMIT and ROLLBACK, and touches nothing but the connection, because it may be called
        a second time after all it did was undone. If it raises, its changes are undone and its
        neighbours' are not. A caller who is cancelled gives up the wait, not the write: make writes
        repeatable.

        Args:
            work: the whole transaction.
            carries: bytes of content that it stores, so that memory stays bounded.
            frees: whether it frees room, and is tried even on a full disk.
            by_heart: whether it works with the memory of `learn`, and keeps to the rules of
                `Memory`.

        Raises:
            Busy: too much waits for the disk.
            DiskFull: there is no room.
            StorageFailed: the disk failed; nothing is acknowledged any more.
            Exception: whatever `work` raised.
        """
        return await self._writer.write(work, pages=_pages(carries), frees=frees, by_heart=by_heart)

    def hand_in(self, work: Work[Any], *, carries: int, answer: Answer) -> None:
        """Queue `work`, which works by heart, without waiting for it.

        Args:
            work: the whole transaction.
            carries: bytes of content that it stores.
            answer: called in the loop with the result once it is on the disk, or with a `Raised`.
                It does not raise.

        Raises:
            Busy: too much waits for the disk.
            StorageFailed: the disk failed.
        """
        self._writer.hand_in(work, pages=_pages(carries), frees=False, by_heart=True, answer=answer)

    async def read(self, reading: Reading[T]) -> T:
        """Run `reading` on one snapshot of what is committed.

        Raises:
            Busy: too many reads wait.
            StorageFailed: the disk failed.
            Exception: whatever `reading` raised.
        """
        if self._writer.failed is not None:
            raise StorageFailed
        return await self._readers.read(reading)

    async def look(self, sql: str, *parameters: Any) -> list[Any]:
        """Return the rows of one statement, which sees what is committed.

        Raises:
            Busy: too many reads wait.
            StorageFailed: the disk failed.
        """
        if self._writer.failed is not None:
            raise StorageFailed
        return await self._readers.look(sql, parameters)


def _pages(carries: int) -> int:
    return JOB_PAGES + carries // PAGE_BYTES


@asynccontextmanager
async def open_database(
    path: Path,
    *,
    on_fatal: Callable[[str], None],
    now: float,
    limits: Limits | None = None,
    migrations: Path = MIGRATIONS,
) -> AsyncIterator[Database]:
    """Open the store at `path`, bring its schema up to date, serve until the block ends.

    Leaving the block commits what is queued and closes the file.

    Args:
        path: the file; its folder exists and is held by this process (`hold_folder`).
        on_fatal: called in the loop, with the reason, when the disk failed: end the process.
        now: the wall clock in Unix seconds, for the age of copies.
        limits: bounds of queue, group and log.
        migrations: the numbered scripts.

    Raises:
        StartupError: the file cannot be served; the sentence says why and what to do.
    """
    Reserve(path).make_way()
    marker = Marker(path)
    connection = await asyncio.to_thread(_open_file, path, marker, migrations)
    drop_old_copies(path, now=now)
    writer = Writer(
        connection,
        marker=marker,
        reserve=Reserve(path),
        on_fatal=on_fatal,
        limits=limits or Limits(),
    )
    writer.start()
    try:
        readers = await open_readers(path, on_fatal=writer.fail)
        try:
            yield Database(writer, readers)
        finally:
            await readers.close()
    finally:
        await writer.close()


def _open_file(path: Path, marker: Marker, migrations: Path) -> sqlite3.Connection:
    """Open, check and migrate; errors become sentences."""
    try:
        check_header(path, folder=migrations)
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT
        )
    except OSError as error:
        raise unusable(path, error) from error
    except sqlite3.Error as error:
        raise _sentence(path, error) from error
    try:
        _prepare(connection, path, marker=marker, migrations=migrations)
    except sqlite3.Error as error:
        connection.close()
        raise _sentence(path, error) from error
    except OSError as error:
        connection.close()
        raise unusable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(
    connection: sqlite3.Connection, path: Path, *, marker: Marker, migrations: Path
) -> None:
    # First of all the file is marked as ours: a power cut here leaves nothing that we would refuse.
    if version_of(connection) == 0:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise FolderUnusable(f"{path} lies on a disk without shared memory: use a local disk.")
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    if marker.found():
        verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise DamagedStore(path, reason=str(verdict).splitlines()[0])
        marker.remove()
        LOG.warning("the disk failed in the last run; the store was checked and is whole")
    if migrate(connection, path, folder=migrations):
        # The version reaches the first page at once, where an older gateway looks for it.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _sentence(path: Path, error: sqlite3.Error) -> StartupError:
    if trouble(error) is Trouble.FULL:
        return FolderUnusable(f"There is no space left for {path}: free some and start again.")
    if trouble(error) is Trouble.BUSY:
        return FolderUnusable(f"{path} is held by another program: close that one first.")
    if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return FolderUnusable(f"{path} cannot be opened for writing: run as its owner.")
    return DamagedStore(path, reason=describe(error))
