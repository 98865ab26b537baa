"""Turns the phone's file into a sealed one, or back, so that a crash at any instant loses nothing.

    to seal     header → phone.new → rename to phone.sealed → phone.sqlite overwritten, removed
    to unseal   phone.new → rename to phone.sqlite → phone.sealed removed → header removed

Where both files are, the sealed one counts: the arrow behind the rename, or the one behind the
removal, is the instant of the change. `phone.turning` lies there meanwhile; who finds it and is
alone, tidies up. Nothing else may have the file open: a process that went on writing into the old
one would lose what it writes.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from peer import sqlite
from peer.errors import CannotSeal, InUse, PersonExists, StoreUnusable
from peer.header import read_header, remove_header, sync_folder, write_header
from peer.keys.file_key import FileKey, Header
from peer.store import (
    APPLICATION_ID,
    FILE_NAME,
    SEALED_NAME,
    Lock,
    cannot_open,
    connect,
    files_there,
    folder_lock,
    raw_key,
    sentence,
    settle,
)

NEW_NAME: Final = "phone.new"
TURNING_NAME: Final = "phone.turning"
_CHUNK: Final = 1 << 20


def seal_file(home: Path, key: FileKey, header: Header) -> None:
    """Seal a plain file under `key`; `header` is how the key is found again.

    Raises:
        InUse: another process has the file open, or has sealed it.
        CannotSeal: nothing here can seal.
        StoreUnusable: there is no room, or the file is damaged; it is as it was.
    """
    if not sqlite.CAN_SEAL:
        raise CannotSeal
    with _turning(home, source=FILE_NAME, target=SEALED_NAME):
        write_header(home, header)
        _copy(home / FILE_NAME, home / NEW_NAME, old=None, new=key)
        _wipe_beside(home / SEALED_NAME)
        (home / NEW_NAME).replace(home / SEALED_NAME)
        sync_folder(home)


def unseal_file(home: Path, key: FileKey) -> None:
    """Make a sealed file plain.

    Raises:
        InUse: another process has the file open, or has unsealed it.
        StoreUnusable: there is no room, or the file is damaged; it is as it was.
    """
    with _turning(home, source=SEALED_NAME, target=FILE_NAME):
        _copy(home / SEALED_NAME, home / NEW_NAME, old=key, new=None)
        _wipe_beside(home / FILE_NAME)
        (home / NEW_NAME).replace(home / FILE_NAME)
        sync_folder(home)
        (home / SEALED_NAME).unlink()
        sync_folder(home)


def change_header(home: Path, header: Header) -> None:
    """Let something else open a sealed file; whoever has it open does not notice.

    Raises:
        InUse: another process has unsealed it, or sealed it under another key.
        StoreUnusable: there is no room; it is as it was.
    """
    with _in_words(home), closing(Lock(home)) as lock, lock.held():
        before = read_header(home)
        _, sealed = files_there(home)
        if not sealed or before is None or before.id != header.id:
            raise InUse
        write_header(home, header)


def begin_sealed(home: Path, header: Header) -> None:
    """Let the file that is made next be a sealed one.

    Raises:
        PersonExists: there is a file.
        InUse: another process is about to make one.
        StoreUnusable: the folder cannot be written.
    """
    with _in_words(home):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(home):
            if any(files_there(home)):
                raise PersonExists("there is a person on this phone already; use another --home")
            write_header(home, header)


def tidy(home: Path) -> None:
    """Remove what a change that was cut off has left; do nothing if another is at it."""
    with _in_words(home), suppress(BlockingIOError):
        if (home / TURNING_NAME).exists():
            with _alone(home):
                _tidy(home)


@contextmanager
def _turning(home: Path, *, source: str, target: str) -> Iterator[None]:
    with _in_words(home), _alone(home):
        _tidy(home)
        if not (home / source).exists() or (home / target).exists():
            raise InUse  # somebody was faster
        os.close(os.open(home / TURNING_NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        sync_folder(home)
        try:
            yield
        finally:
            _tidy(home)


@contextmanager
def _in_words(home: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        raise InUse from None
    except sqlite.Error as error:
        raise StoreUnusable(sentence(error, home / FILE_NAME)) from error
    except OSError as error:
        raise cannot_open(home / FILE_NAME, error) from error


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Have the phone's folder alone: nobody opens the file until the block ends."""
    handle = folder_lock(home, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        os.close(handle)


def _tidy(home: Path) -> None:
    """Go on to whichever form counts, and remove the other one."""
    if not (home / TURNING_NAME).exists():
        return
    _wipe_all(home / NEW_NAME)
    if (home / SEALED_NAME).exists():
        _wipe_all(home / FILE_NAME)
    else:
        remove_header(home)
    sync_folder(home)
    (home / TURNING_NAME).unlink()
    sync_folder(home)


def _copy(source: Path, target: Path, *, old: FileKey | None, new: FileKey | None) -> None:
    """Write all that is in one file into a new one, and bring that to the disk."""
    connection = connect(source, old)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        with suppress(FileExistsError):
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection.execute("PRAGMA foreign_keys = OFF")
        settle(connection)
        connection.execute(
            "ATTACH ? AS turned KEY ?", (str(target), "" if new is None else raw_key(new))
        )
        connection.execute("PRAGMA turned.journal_mode = OFF")
        connection.execute("PRAGMA turned.synchronous = OFF")
        connection.execute("SELECT sqlcipher_export('turned')").fetchall()
        connection.execute(f"PRAGMA turned.application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA turned.user_version = {version}")
        found = connection.execute("PRAGMA turned.integrity_check").fetchone()
        if found != ("ok",):
            raise StoreUnusable(f"{source} is damaged ({found[0]}), and nothing was changed")
    finally:
        connection.close()  # the last one: it copies its log back, and removes it
    if source.with_name(f"{source.name}-wal").exists():
        raise InUse  # by a program that does not know our locks
    handle = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _wipe_all(path: Path) -> None:
    _wipe(path)
    _wipe_beside(path)


def _wipe_beside(path: Path) -> None:
    """Remove the logs of a file: another one under its name would be damaged by them."""
    for suffix in ("-wal", "-shm", "-journal"):
        _wipe(path.with_name(path.name + suffix))


def _wipe(path: Path) -> None:
    """Overwrite a file and remove it. Flash may keep old blocks (docs/protocol.md §18.4)."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        left = os.fstat(handle).st_size
        while left > 0:
            left -= os.write(handle, bytes(min(left, _CHUNK)))
        os.fsync(handle)
    finally:
        os.close(handle)
    path.unlink()
