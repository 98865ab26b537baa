"""Which errors of SQLite end the process, and the mark they leave for the next start.

    constraint                the write was wrong: its caller is told, its neighbours go on
    busy, locked              somebody else holds the file: refused, tried again later
    full                      the disk has no room: refused, works again without a restart
    anything else             nothing more is acknowledged, a marker is left, the process ends

After a failed fsync the kernel counts the lost pages as written, and the next commit "succeeds"
(measured); therefore there is no second try in the same process.
"""

import os
import sqlite3
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Final

_PRIMARY: Final = 0xFF
"""SQLite's extended result codes carry the primary code in their low byte."""


class Trouble(Enum):
    """What an exception means for the store."""

    OF_THE_CALLER = auto()
    BUSY = auto()
    FULL = auto()
    FATAL = auto()


def trouble(error: BaseException) -> Trouble:
    """Return what `error`, raised while a transaction ran, means for the store."""
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.Error) or code is None:
        return Trouble.OF_THE_CALLER  # Python's own checks: wrong parameters, a refusal, a bug
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:
        return Trouble.FULL  # no room for the index of the log; nothing was written yet
    match code & _PRIMARY:
        case sqlite3.SQLITE_CONSTRAINT:
            return Trouble.OF_THE_CALLER
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Trouble.BUSY
        case sqlite3.SQLITE_FULL:
            return Trouble.FULL
        case _:
            return Trouble.FATAL


def file_is_broken(error: sqlite3.Error) -> bool:
    """Return whether a reader's error says something of the disk, and not of its own statement."""
    broken = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY in broken


class DamagedRow(sqlite3.DatabaseError):
    """A row is not what was stored, although SQLite finds nothing wrong with its pages."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    sqlite_errorname = "SQLITE_CORRUPT"


def describe(error: BaseException) -> str:
    """Return the error in words for the marker, with SQLite's own name for it."""
    return f"{getattr(error, 'sqlite_errorname', type(error).__name__)}: {error}"


class Marker:
    """The file that tells the next start that the disk failed."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".failed")

    def leave(self, reason: str) -> None:
        """Write and fsync the marker; on a disk that takes nothing more, do without."""
        with suppress(OSError):
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(handle, reason.encode("utf-8", "replace") + b"\n")
                os.fsync(handle)
            finally:
                os.close(handle)
            sync_folder(self.path.parent)

    def found(self) -> bool:
        """Return whether the last run left a marker."""
        return self.path.exists()

    def remove(self) -> None:
        """Take the marker away, after the file was found whole."""
        self.path.unlink(missing_ok=True)
        sync_folder(self.path.parent)


def sync_folder(folder: Path) -> None:
    """Make a created, renamed or removed name in `folder` durable.

    Raises:
        OSError: the disk refused.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
