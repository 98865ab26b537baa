"""The store of record: one SQLite file, one connection that writes it, a few that read it.

    async with open_database(path, on_fatal=stop) as database:
        number = await database.write(work)      # on the disk when it returns
        rows = await database.read(reading)

What is written survives a power cut (WAL with `synchronous = FULL`); what is deleted is overwritten
(`secure_delete`) and leaves the log within a minute. A store that is damaged is put aside, and what
can be read of it carried over (`quarantine.py`).
Source: https://www.sqlite.org/pragma.html; docs/decisions/0004-one-writer-thread.md.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.database.failure import (
    DamagedRow,
    Marker,
    Trouble,
    describe,
    file_is_broken,
    trouble,
)
from gateway.database.folder import unusable
from gateway.database.migrate import (
    COPY_KEPT,
    MIGRATIONS,
    PAGE_BYTES,
    begin_file,
    check_header,
    drop_old_copies,
    migrate,
    newest,
    version_of,
)
from gateway.database.quarantine import drop_put_aside, finish_quarantine, quarantine
from gateway.database.readers import BUSY_TIMEOUT, Readers, Reading, open_readers
from gateway.database.reserve import Reserve
from gateway.database.whole import Rooms, find_damage
from gateway.database.write_ahead import read_write_ahead
from gateway.database.writer import JOB_PAGES, Answer, Limits, Memory, Work, Writer
from gateway.errors import DamagedStore, DiskFull, FolderUnusable, StartupError, StorageFailed

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

    def __init__(self, path: Path, writer: Writer, readers: Readers, rooms: Rooms) -> None:
        self._path = path
        self._writer = writer
        self._readers = readers
        self._rooms = rooms

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

    def spoiled(self, error: DamagedRow) -> StorageFailed:
        """Acknowledge nothing more, since a row is not what was stored; return the refusal."""
        self._writer.fail(describe(error))
        return StorageFailed()

    async def copy_to(self, target: Path) -> None:
        """Write a copy of what is committed at this moment; nobody waits for it meanwhile.

        Args:
            target: a file that is not there yet; whoever asks deletes it, whatever happened.

        Raises:
            DiskFull: there is no room for it.
            StorageFailed: the store is damaged.
        """

        def copy(looking: sqlite3.Connection) -> None:
            looking.execute("VACUUM INTO ?", (str(target),))

        await self._aside(self._path, copy)
        await self._aside(target, self._find)

    async def check(self) -> None:
        """Look through the whole store; one that is damaged ends the process, and is mended.

        Raises:
            StorageFailed: it is damaged.
        """
        await self._aside(self._path, self._find)

    def _find(self, looking: sqlite3.Connection) -> None:
        if damage := find_damage(looking, self._rooms):
            raise DamagedRow(damage)

    async def _aside(self, path: Path, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do what takes long in a thread with a connection of its own, which only reads."""
        if self._writer.failed is not None:
            raise StorageFailed
        address = f"{path.absolute().as_uri()}?mode=ro"  # noqa: ASYNC240  (looks at no disk)
        try:
            with closing(
                sqlite3.connect(
                    address,
                    uri=True,
                    isolation_level=None,
                    check_same_thread=False,
                    timeout=BUSY_TIMEOUT,
                )
            ) as looking:
                await _to_the_end(asyncio.to_thread(work, looking), cut=looking.interrupt)
        except sqlite3.Error as error:
            if trouble(error) is Trouble.FULL:
                raise DiskFull from error
            if file_is_broken(error):
                self._writer.fail(describe(error))
                raise StorageFailed from error
            raise


async def _to_the_end(work: Coroutine[Any, Any, None], *, cut: Callable[[], None]) -> None:
    """Wait for `work` also when the caller is cancelled, after it was cut short."""
    running = asyncio.create_task(work)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            cut()  # which is in vain between two statements
            await asyncio.wait({running}, timeout=0.05)
        running.exception()  # looked at here
        raise


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
    rooms: Rooms | None = None,
) -> AsyncIterator[Database]:
    """Open the store at `path`, bring its schema up to date, serve until the block ends.

    Leaving the block commits what is queued and closes the file.

    Args:
        path: the file; its folder exists and is held by this process (`hold_folder`).
        on_fatal: called in the loop, with the reason, when the disk failed: end the process.
        now: the wall clock in Unix seconds, for the age of copies.
        limits: bounds of queue, group and log.
        migrations: the numbered scripts.
        rooms: checks and mends what SQLite cannot; without it a damaged store is refused as it is.

    Raises:
        StartupError: the file cannot be served; the sentence says why and what to do.
    """
    Reserve(path).make_way()
    marker = Marker(path)
    connection = await asyncio.to_thread(_open_or_mend, path, marker, migrations, rooms)
    drop_old_copies(path, now=now)
    drop_put_aside(path, older_than=now - COPY_KEPT)
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
            yield Database(path, writer, readers, rooms or Rooms())
        finally:
            await readers.close()
    finally:
        await writer.close()


def _open_or_mend(
    path: Path, marker: Marker, migrations: Path, rooms: Rooms | None
) -> sqlite3.Connection:
    """Open the store; where it is damaged, go on with what can be read of it."""
    try:
        finish_quarantine(path)
        return _open_file(path, marker, migrations, rooms or Rooms())
    except DamagedStore as damage:
        if rooms is None or not damage.mendable:
            raise
        LOG.error("%s is damaged (%s); carrying over what can be read", path, damage.reason)
        try:
            quarantine(path, damage.reason, migrations=migrations, rooms=rooms)
            marker.remove()  # the next start has a whole file
        except sqlite3.Error as error:
            raise _sentence(path, error) from error
    except OSError as error:
        raise unusable(path, error) from error
    return _open_file(path, marker, migrations, rooms)


def _open_file(path: Path, marker: Marker, migrations: Path, rooms: Rooms) -> sqlite3.Connection:
    """Open, check and migrate; errors become sentences."""
    try:
        check_header(path, folder=migrations)
        log = read_write_ahead(path)
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT
        )
    except OSError as error:
        raise unusable(path, error) from error
    except sqlite3.Error as error:
        raise _sentence(path, error) from error
    try:
        # As long as nothing was written, this says how much of the log SQLite takes for whole.
        _, replayed, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if log.lost(replayed):
            raise DamagedStore(path, reason="commits are missing in its log", mendable=True)
        _prepare(connection, path, marker=marker, migrations=migrations, rooms=rooms)
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
    connection: sqlite3.Connection,
    path: Path,
    *,
    marker: Marker,
    migrations: Path,
    rooms: Rooms,
) -> None:
    # First of all the file is marked as ours: a power cut here leaves nothing that we would refuse.
    begin_file(connection)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise FolderUnusable(f"{path} lies on a disk without shared memory: use a local disk.")
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    if marker.found():
        # Rooms know the newest version only; what an older one holds is looked at after the start.
        known = rooms if version_of(connection) == newest(migrations) else Rooms()
        if damage := find_damage(connection, known):
            raise DamagedStore(path, reason=damage, mendable=True)
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
    return DamagedStore(path, reason=describe(error), mendable=_is_broken(error))


def _is_broken(error: sqlite3.Error) -> bool:
    """Return whether the file is damaged, and not a step of ours wrong or the disk unreadable."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
