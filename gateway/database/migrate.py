"""The schema and its versions: forward only, all steps in one transaction, or nothing.

The version is SQLite's `user_version`, the number of scripts that the file has seen. What is ours
bears our `application_id`, so that no other program's file is ever changed. Before a
store that holds something is changed, it is copied aside.
"""

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.database.failure import sync_folder
from gateway.errors import DamagedStore, ForeignFile, NewerSchema

MIGRATIONS: Final = Path(__file__).parent / "migrations"

APPLICATION_ID: Final = 0x486F_6D70
"""`Homp`, at byte 68 of the file (https://www.sqlite.org/fileformat2.html §1.3)."""

COPY_KEPT: Final = 7 * 86_400.0
"""Seconds that the copy of an older version is kept: it holds what is deleted from the store."""

PAGE_BYTES: Final = 1024
"""Bytes of a page in a store that begins here: in a busy hour each parcel has some pages nearly for
itself (docs/decisions/0016-small-pages.md)."""
_EARLIER_PAGE_BYTES: Final = 4096
"""In stores of earlier versions, which keep theirs: only a copy of all of it would change that."""

HEADER_BYTES: Final = 100
_MAGIC: Final = b"SQLite format 3\0"

_FIXED: Final = {
    0: _MAGIC,
    20: bytes.fromhex("00 40 20 20"),
    44: bytes.fromhex("00000004"),
    52: bytes.fromhex("00000000 00000001"),  # UTF-8
    64: bytes.fromhex("00000000") + APPLICATION_ID.to_bytes(4, "big") + bytes(20),
}
"""What stands, by its offset, in the first page of every store of ours that has a version."""
_JOURNALS: Final = (b"\x02\x02", b"\x01\x01")
"""At byte 18: with a write-ahead log; a copy that SQLite made begins without one."""
_FEW: Final = 3
"""Bytes of these that may be others in a store of ours: it is damaged. Other files have more."""
_FAR: Final = 1000
"""Versions above the newest one known: no gateway is so much newer, a damaged file may say so."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the first page says of a file, read without SQLite."""

    application_id: int
    version: int


def read_header(path: Path) -> Header | None:
    """Return the header of the store at `path`; None if there is no file yet, or an empty one.

    Raises:
        ForeignFile: it is a file of another kind.
        DamagedStore: it is ours, but for a few bytes.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except FileNotFoundError:
        return None
    if not header:
        return None
    if len(header) < HEADER_BYTES:
        raise ForeignFile(path)
    version = int.from_bytes(header[60:64], "big")
    whole = mended(header, size=path.stat().st_size)
    others = sum(one != other for one, other in zip(header, whole, strict=True))
    if version and 0 < others <= _FEW:
        raise DamagedStore(path, reason="its first page", mendable=True)
    if not header.startswith(_MAGIC):
        raise ForeignFile(path)
    return Header(application_id=int.from_bytes(header[68:72], "big"), version=version)


def begin_file(connection: sqlite3.Connection) -> None:
    """Mark a file as ours, if nothing was written into it yet, and let it have our pages."""
    if version_of(connection) == 0:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def page_bytes(header: bytes, *, size: int) -> int:
    """Return how large the pages of a store are, even if its first page does not say so any more.

    Args:
        header: its first bytes (100).
        size: bytes of the file.
    """
    count, told = int.from_bytes(header[28:32], "big"), int.from_bytes(header[16:18], "big")
    for known in (PAGE_BYTES, _EARLIER_PAGE_BYTES):
        if 0 < count * known == size:
            return known
    return told if told in (PAGE_BYTES, _EARLIER_PAGE_BYTES) else PAGE_BYTES


def mended(header: bytes, *, size: int) -> bytes:
    """Return the first bytes of a store (100) as they are in one that is whole.

    Args:
        header: what stands there.
        size: bytes of the file.
    """
    whole = bytearray(header)
    for offset, content in _FIXED.items():
        whole[offset : offset + len(content)] = content
    whole[16:18] = page_bytes(header, size=size).to_bytes(2, "big")
    if header[18:20] not in _JOURNALS:
        whole[18:20] = _JOURNALS[0]
    return bytes(whole)


def check_header(path: Path, *, folder: Path = MIGRATIONS) -> None:
    """Refuse a file that is not ours or too new, before SQLite touches it.

    Raises:
        ForeignFile: another program's file.
        NewerSchema: written by a newer gateway.
        DamagedStore: ours, but for a few bytes.
        OSError: it cannot be read.
    """
    header = read_header(path)
    if header is None:
        return
    if header.application_id != APPLICATION_ID:
        raise ForeignFile(path)
    known = newest(folder)
    if header.version > known + _FAR:
        raise DamagedStore(path, reason="its version", mendable=True)
    _check_version(path, found=header.version, known=known)


def migrate(connection: sqlite3.Connection, path: Path, *, folder: Path = MIGRATIONS) -> bool:
    """Bring the store to the newest version; return whether it changed.

    Args:
        connection: in autocommit mode; nobody else uses the file.
        path: where the store lies; the copy goes beside it.
        folder: the numbered scripts.

    Raises:
        NewerSchema: the store has seen more scripts than there are.
        DamagedStore: the store is no whole database.
        sqlite3.Error: a script failed; the store is as it was.
        OSError: no room for the copy; the store is as it was.
    """
    scripts = _scripts(folder)
    version = version_of(connection)
    _check_version(path, found=version, known=len(scripts))
    if version == len(scripts):
        return False
    if version > 0:
        _copy(connection, path, version=version)
    # executescript() would commit a transaction opened before it, so BEGIN stands inside.
    steps = "\n".join(script.read_text(encoding="utf-8") for script in scripts[version:])
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{steps}\nPRAGMA user_version = {len(scripts)};\nCOMMIT;"
        )
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    if violation := connection.execute("PRAGMA foreign_key_check").fetchone():
        raise DamagedStore(path, reason=f"a row of {violation[0]} refers to nothing")
    return True


def version_of(connection: sqlite3.Connection) -> int:
    """Return how many scripts the store has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def newest(folder: Path = MIGRATIONS) -> int:
    """Return how many scripts there are."""
    return len(_scripts(folder))


def copies_of(path: Path) -> list[Path]:
    """Return the copies of older versions beside the store."""
    return sorted(path.parent.glob(f"{path.name}.v[0-9]*"))


def drop_old_copies(path: Path, *, now: float) -> None:
    """Delete copies that were made more than `COPY_KEPT` before `now` (Unix seconds)."""
    for copy in copies_of(path):
        with suppress(OSError):  # it can be deleted at the next start just as well
            if now - copy.stat().st_mtime > COPY_KEPT:
                copy.unlink()


def _scripts(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))


def _check_version(path: Path, *, found: int, known: int) -> None:
    if found > known:
        raise NewerSchema(path, found=found, known=known)


def _copy(connection: sqlite3.Connection, path: Path, *, version: int) -> None:
    copy = path.with_name(f"{path.name}.v{version}")
    unfinished = copy.with_name(copy.name + ".part")
    unfinished.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(unfinished)) as target:
            connection.backup(target)
        handle = os.open(unfinished, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        unfinished.rename(copy)
        sync_folder(copy.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
