"""The phone's one file: everything it knows, opened in one place.

Several processes share it, `watch` and `send` at least, so every change is one `BEGIN IMMEDIATE`
transaction that loads, decides and stores. It is readable by its user only.

    phone.sqlite    the file, when it is not sealed
    phone.sealed    the file, when it is (peer/resealing.py turns one into the other)
    phone.key       its key, itself sealed (peer/header.py)
    phone.lock      held (flock) for each transaction, and while the file is opened or closed

Whoever has the file open shares a lock (flock) on the folder; to turn it, one must have that alone.

The second lock is there for two reasons. SQLite before 3.51.3 can damage a file in WAL mode when
one process writes at the instant in which another one copies the log back
(https://www.sqlite.org/wal.html#walresetbug): under the lock these never meet. And who waits for
SQLite looks again now and then, where the kernel wakes one after the other: of fifty at once
nobody is left out.

A file of another program or of a newer one is refused and left alone. Migrations run forward, all
in one transaction. No copy is made before them: a ratchet that is put back to an older
state seals two letters under one key.
"""

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from peer import sqlite
from peer.command import command
from peer.errors import CannotSeal, Locked, NewerStore, StoreUnusable
from peer.keys.errors import Damaged
from peer.keys.file_key import FileKey
from peer.keys.vault import Vault
from peer.schema import MIGRATIONS

FILE_NAME: Final = "phone.sqlite"
SEALED_NAME: Final = "phone.sealed"
LOCK_NAME: Final = "phone.lock"
APPLICATION_ID: Final = 0x48505045
"""`HPPE`: tells our files from others' (PRAGMA application_id)."""
BUSY_SECONDS: Final = 60.0
"""How long SQLite waits for a program that does not know our lock, such as a backup."""


class Lock:
    """The lock beside the file: one transaction at a time, whichever process it is in.

    Args:
        home: the phone's folder, of which it holds a share until it is closed.

    Raises:
        OSError: the lock file cannot be made.
    """

    def __init__(self, home: Path) -> None:
        self._share = folder_lock(home, fcntl.LOCK_SH)
        try:
            self._handle = _private(home / LOCK_NAME)
        except BaseException:
            os.close(self._share)
            raise

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it until the block ends; not to be taken twice."""
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock file. It stays: removing it would let two processes lock two files."""
        os.close(self._handle)
        os.close(self._share)


def folder_lock(home: Path, how: int) -> int:
    """Lock a phone's folder as flock(2) says; return what to close.

    Raises:
        BlockingIOError: `how` says not to wait, and others have it.
        OSError: it cannot be opened.
    """
    handle = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, how)
    except BaseException:
        os.close(handle)
        raise
    return handle


class Store:
    """The phone's file, open. Get one from `open_store`."""

    def __init__(self, connection: sqlite.Connection, lock: Lock, *, path: Path) -> None:
        self.db = connection
        self.path = path
        self.vault = Vault(connection)
        self.now: Callable[[], float] = time.time
        """Returns Unix seconds; whoever opens the phone with another clock sets it."""
        self.before_commit: Callable[[], None] | None = None
        """What is done last in each transaction: a person's state is stamped."""
        self._lock = lock

    @contextmanager
    def transaction(self) -> Iterator[sqlite.Connection]:
        """Hold the file's write lock for one step; all of it counts, or nothing.

        Raises:
            StoreUnusable: the file cannot be written just now, or is damaged.
        """
        with self._lock.held(), self._in_words():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                if self.before_commit is not None:
                    self.before_commit()
                self.db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite.Error):  # after some errors SQLite has done it already
                    self.db.execute("ROLLBACK")
                raise

    @contextmanager
    def only_one(self, what: str) -> Iterator[bool]:
        """Give whether no other process of this phone is at `what`, and be at it in the block.

        A process that ends in whatever way is not at it any more.
        """
        handle = _private(self.path.with_name(f"phone.{what}"))
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                alone = False
            else:
                alone = True
            yield alone
        finally:
            os.close(handle)

    @property
    def sealed(self) -> bool:
        """Whether the file is sealed."""
        return self.path.name == SEALED_NAME

    def note(self, name: str) -> bytes | None:
        """Return a small value by its name, None if it was never set."""
        row = self.db.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def keep_note(self, name: str, value: bytes | None) -> None:
        """Set a small value, or forget it; inside a transaction."""
        if value is None:
            self.db.execute("DELETE FROM note WHERE name = ?", (name,))
            return
        self.db.execute(
            "INSERT INTO note VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = ?2",
            (name, value),
        )

    def close(self) -> None:
        """Close the file, and take out of its log what was deleted from it."""
        with self._lock.held():
            with suppress(sqlite.Error):
                # Used keys must go. Whoever reads just now keeps them for a moment longer.
                self.db.execute("PRAGMA busy_timeout = 0")
                self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self.db.close()
        self._lock.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite.Error as error:
            raise StoreUnusable(sentence(error, self.path)) from error
        except Damaged as error:
            raise StoreUnusable(f"{_damaged(self.path)} ({error})") from error


def open_store(home: Path, *, create: bool = False, key: FileKey | None = None) -> Store | None:
    """Open the phone's file in the folder `home`.

    Args:
        home: the phone's folder.
        create: whether to make folder and file where there are none.
        key: what a sealed file is sealed under, and a new one is to be.

    Returns:
        the store; None if there is none and none was to be made.

    Raises:
        StoreUnusable: it cannot be opened, or is no file of ours; the sentence says why.
        NewerStore: it was written by a newer program.
        Locked: it is sealed, and `key` is missing.
        CannotSeal: it is sealed, and nothing here can open it.
    """
    if not create and not any(files_there(home)):
        return None
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = Lock(home)
    except OSError as error:
        raise cannot_open(home / FILE_NAME, error) from error
    try:
        with lock.held():
            path, key = _which(home, key)
            return Store(connect(path, key), lock, path=path)
    except BaseException:
        lock.close()
        raise


def _which(home: Path, key: FileKey | None) -> tuple[Path, FileKey | None]:
    """Return which file to open, and its key if it has one; under the lock."""
    plain, sealed = files_there(home)
    if not sealed and (plain or key is None):
        return home / FILE_NAME, None
    if key is None:
        raise Locked
    return home / SEALED_NAME, key


def _private(path: Path) -> int:
    """Open or make a file that its user alone may read; return its handle."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(PermissionError):  # it belongs to another user who lets us write
        os.fchmod(handle, 0o600)
    return handle


def connect(path: Path, key: FileKey | None) -> sqlite.Connection:
    """Open a file, or make it, and bring it up to date; under the lock.

    Raises:
        StoreUnusable, NewerStore
        CannotSeal: there is a key, and nothing here can use it.
    """
    if key is not None and not sqlite.CAN_SEAL:
        raise CannotSeal
    try:
        _make_private(path)
        connection = sqlite.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    except OSError as error:
        raise cannot_open(path, error) from error
    except sqlite.Error as error:
        raise StoreUnusable(sentence(error, path)) from error
    try:
        if key is not None:
            unlock(connection, key)
        _prepare(connection, path)
    except sqlite.Error as error:
        connection.close()
        raise StoreUnusable(sentence(error, path)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def unlock(connection: sqlite.Connection, key: FileKey) -> None:
    """Let a connection that has done nothing yet seal and open (docs/protocol.md §18.3)."""
    settle(connection)
    connection.execute(f'PRAGMA key = "{raw_key(key)}"')


def settle(connection: sqlite.Connection) -> None:
    """Fix the form of sealed files, whatever a later SQLCipher prefers, and keep it quiet."""
    connection.execute("PRAGMA cipher_log_level = NONE")  # it would write to the terminal
    connection.execute("PRAGMA cipher_default_compatibility = 4")


def raw_key(key: FileKey) -> str:
    """Return a key as SQLCipher takes one that needs no stretching."""
    return f"x'{key.secret.hex()}'"


def _make_private(path: Path) -> None:
    """Make the file, or close it to others: SQLite gives the two beside it the same rights.

    An existing file is not opened here: closing it again would end the locks that SQLite holds on
    it in this process (https://www.sqlite.org/howtocorrupt.html §2.2).
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        with suppress(PermissionError):
            path.chmod(0o600)


def _prepare(connection: sqlite.Connection, path: Path) -> None:
    """Check whose file it is, set up the connection, bring the file up to date; under the lock."""
    version = _check_version(connection, path)
    if version == 0:
        # First of all it is marked as ours: a power cut here leaves nothing that we would refuse.
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA trusted_schema = OFF")
    if version < len(MIGRATIONS):
        _migrate(connection, version)


def _check_version(connection: sqlite.Connection, path: Path) -> int:
    """Return the file's version, having only read it."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreUnusable(f"{path} belongs to another program; choose another folder with --home")
    if version > len(MIGRATIONS):
        raise NewerStore(
            f"{path} was written by a newer Homepost (its form is {version}, this program knows"
            f" {len(MIGRATIONS)}); update this program. The file was left as it is"
        )
    if version and not tables:
        raise StoreUnusable(_damaged(path))
    return int(version)


def _migrate(connection: sqlite.Connection, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if version == 0:
            Vault(connection).create()  # before the triggers on its tables
        for script in MIGRATIONS[version:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite.Error):
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """Split a script, since `executescript` would commit what is open before it.

    A statement begins at the margin; what a trigger does is indented.
    """
    return [one for one in re.split(r";\n(?=\S)|;\n\Z", script) if one.strip()]


def sentence(error: sqlite.Error, path: Path) -> str:
    """Return what a person can do about an error of SQLite."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite.SQLITE_FULL:
            return _full(path)
        case sqlite.SQLITE_READONLY | sqlite.SQLITE_CANTOPEN | sqlite.SQLITE_PERM:
            return f"{path} cannot be written; run this as its owner, or look at its permissions"
        case sqlite.SQLITE_CORRUPT | sqlite.SQLITE_NOTADB:
            return _damaged(path)
        case sqlite.SQLITE_BUSY:
            return f"{path} is held by another program; close that one and try again"
        case _:
            return f"{path} cannot be used ({error}); look at the disk, then try again"


def files_there(home: Path) -> tuple[bool, bool]:
    """Return whether the folder `home` holds a plain file, and whether it holds a sealed one.

    Raises:
        StoreUnusable: nobody may look into it.
    """
    try:
        return (home / FILE_NAME).exists(), (home / SEALED_NAME).exists()
    except OSError as error:
        raise cannot_open(home / FILE_NAME, error) from error


def cannot_open(path: Path, error: OSError) -> StoreUnusable:
    """Return what a person can do about a file or folder that the system does not give."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreUnusable(_full(path))
    return StoreUnusable(
        f"{path} cannot be opened ({error.strerror}); choose another folder with --home"
    )


def _full(path: Path) -> str:
    return f"there is no space left for {path}, and nothing was changed; make room and try again"


def _damaged(path: Path) -> str:
    if path.name == SEALED_NAME:
        return (
            f"{path} is damaged, or phone.key beside it belongs to another file; it was left as it "
            f"is. Put back the right one, or move the folder {path.parent} aside and begin anew "
            f"with: {command('new --name YOUR-NAME')}"
        )
    return (
        f"{path} is damaged and was left as it is. Move the folder {path.parent} aside, begin anew "
        f"with: {command('new --name YOUR-NAME')}, and pair this phone again"
    )
