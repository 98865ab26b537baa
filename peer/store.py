"""The phone's one file: everything it knows, opened in one place.

Several processes share it, `watch` and `send` at least, so every change is one `BEGIN IMMEDIATE`
transaction that loads, decides and stores. It is readable by its user only.

    phone.sqlite    the file
    phone.lock      held (flock) for each transaction, and while the file is opened or closed

The second lock is there for two reasons. SQLite before 3.51.3 can damage a file in WAL mode when
one process writes at the instant in which another one copies the log back
(https://www.sqlite.org/wal.html#walresetbug): under the lock these never meet. And who waits for
SQLite looks again now and then, where the kernel wakes one after the other: of fifty at once
nobody is left out.

A file of another program or of a newer one is refused before SQLite touches it. Migrations run
forward, all in one transaction. No copy is made before them: a ratchet that is put back to an older
state seals two letters under one key.
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from peer.errors import NewerStore, StoreUnusable
from peer.keys.errors import Damaged
from peer.keys.vault import Vault

FILE_NAME: Final = "phone.sqlite"
LOCK_NAME: Final = "phone.lock"
APPLICATION_ID: Final = 0x48505045
"""`HPPE`: tells our files from others' (PRAGMA application_id)."""
BUSY_SECONDS: Final = 60.0
"""How long SQLite waits for a program that does not know our lock, such as a backup."""

_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100

MIGRATIONS: Final = (
    """
CREATE TABLE note (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE certificate (
    gateway BLOB PRIMARY KEY,
    der BLOB NOT NULL                    -- checked against the gateway's key when it was stored
) STRICT, WITHOUT ROWID;
CREATE TABLE contact (
    person BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,           -- what I call them
    introduced TEXT NOT NULL,            -- what they call themselves
    chain BLOB NOT NULL,                 -- their card: CBOR list of statements
    verified INTEGER NOT NULL,           -- whether the check code was compared
    blocked INTEGER NOT NULL DEFAULT 0,
    added REAL NOT NULL,                 -- Unix seconds, as every time here
    asked REAL NOT NULL DEFAULT 0,       -- when missing letters were last asked for
    asked_for BLOB NOT NULL DEFAULT x''  -- hash of what was asked for
) STRICT, WITHOUT ROWID;
CREATE TABLE lane_given (                -- lanes on which a contact writes to me
    person BLOB NOT NULL,
    class INTEGER NOT NULL,
    secret BLOB NOT NULL UNIQUE,
    gateway BLOB,                        -- where it is registered; NULL: nowhere yet
    lane BLOB,                           -- its id there
    revoked INTEGER NOT NULL DEFAULT 0,  -- to be taken back at the gateway
    PRIMARY KEY (person, class, secret)
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_given_by_id ON lane_given (lane);
CREATE TABLE lane_taken (                -- lanes on which I write to a contact
    person BLOB NOT NULL,
    class INTEGER NOT NULL,
    secret BLOB NOT NULL,
    PRIMARY KEY (person, class)
) STRICT, WITHOUT ROWID;
CREATE TABLE letter (                    -- what people see
    number INTEGER PRIMARY KEY,          -- in the order in which it came or was written
    item BLOB NOT NULL UNIQUE,
    person BLOB NOT NULL,
    outgoing INTEGER NOT NULL,
    raw BLOB NOT NULL,                   -- signed bytes, exactly as received
    written REAL NOT NULL,               -- by its author's clock
    came REAL NOT NULL,
    shown INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE outgoing (                  -- items on their way; sealed as soon as that is possible
    number INTEGER PRIMARY KEY,
    person BLOB NOT NULL,
    item BLOB NOT NULL,
    raw BLOB NOT NULL,
    again INTEGER NOT NULL DEFAULT 0,    -- the number under which it was sent before
    parcel BLOB,                         -- NULL: not sealed yet
    purge BLOB,
    body BLOB,
    made REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL DEFAULT 0,
    trouble TEXT NOT NULL DEFAULT '',    -- code of the last refusal
    claimed REAL NOT NULL DEFAULT 0,     -- until when one process has it to itself
    claimed_by BLOB NOT NULL DEFAULT x''
) STRICT;
CREATE TABLE sent (                      -- kept for thirty days, to be sent again when asked for
    person BLOB NOT NULL,
    number INTEGER NOT NULL,
    item BLOB NOT NULL,
    raw BLOB NOT NULL,
    made REAL NOT NULL,
    gateway BLOB,                        -- where it was stored; NULL: still on its way
    PRIMARY KEY (person, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX sent_by_item ON sent (item);
CREATE TABLE trouble (                   -- parcels that could not be opened
    number INTEGER PRIMARY KEY,
    person BLOB NOT NULL,
    parcel BLOB NOT NULL UNIQUE,
    code TEXT NOT NULL,
    came REAL NOT NULL,
    shown INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE exchange (                  -- an addition that is under way
    slot BLOB PRIMARY KEY,
    side BLOB,                           -- the guest's word; NULL: we are the host
    state BLOB NOT NULL,
    compared INTEGER NOT NULL DEFAULT 0,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
""",
)


class Lock:
    """The lock beside the file: one transaction at a time, whichever process it is in.

    Args:
        handle: of the open lock file; it is closed with the store.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle

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


class Store:
    """The phone's file, open. Get one from `open_store`."""

    def __init__(self, connection: sqlite3.Connection, lock: Lock, *, path: Path) -> None:
        self.db = connection
        self.path = path
        self.vault = Vault(connection)
        self._lock = lock

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the file's write lock for one step; all of it counts, or nothing.

        Raises:
            StoreUnusable: the file cannot be written just now, or is damaged.
        """
        with self._lock.held(), self._in_words():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # after some errors SQLite has done it already
                    self.db.execute("ROLLBACK")
                raise

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
            with suppress(sqlite3.Error):
                # Used keys must go. Whoever reads just now keeps them for a moment longer.
                self.db.execute("PRAGMA busy_timeout = 0")
                self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self.db.close()
        self._lock.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreUnusable(sentence(error, self.path)) from error
        except Damaged as error:
            raise StoreUnusable(f"{_damaged(self.path)} ({error})") from error


def open_store(home: Path, *, create: bool = False) -> Store | None:
    """Open the phone's file in the folder `home`.

    Args:
        home: the phone's folder.
        create: whether to make folder and file where there are none.

    Returns:
        the store; None if there is none and none was to be made.

    Raises:
        StoreUnusable: it cannot be opened, or is no file of ours; the sentence says why.
        NewerStore: it was written by a newer program.
    """
    path = home / FILE_NAME
    try:
        if not create and not path.exists():
            return None
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = Lock(_private(home / LOCK_NAME))
    except OSError as error:
        raise _cannot_open(path, error) from error
    try:
        with lock.held():
            return Store(_connect(path), lock, path=path)
    except BaseException:
        lock.close()
        raise


def _private(path: Path) -> int:
    """Open or make a file that its user alone may read; return its handle."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(PermissionError):  # it belongs to another user who lets us write
        os.fchmod(handle, 0o600)
    return handle


def _connect(path: Path) -> sqlite3.Connection:
    try:
        # SQLite would make the file, and the two beside it, as readable as the umask allows.
        handle = _private(path)
        try:
            _check_header(path, os.pread(handle, _HEADER_BYTES, 0))
        finally:
            os.close(handle)
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    except OSError as error:
        raise _cannot_open(path, error) from error
    except sqlite3.Error as error:
        raise StoreUnusable(sentence(error, path)) from error
    try:
        _prepare(connection)
    except sqlite3.Error as error:
        connection.close()
        raise StoreUnusable(sentence(error, path)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _check_header(path: Path, header: bytes) -> None:
    """Refuse what is not ours, or too new. Source: https://www.sqlite.org/fileformat2.html §1.3."""
    if not header:
        return
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StoreUnusable(_damaged(path))
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise StoreUnusable(f"{path} belongs to another program; choose another folder with --home")
    version = int.from_bytes(header[60:64], "big")
    if version > len(MIGRATIONS):
        raise NewerStore(
            f"{path} was written by a newer Homepost (its form is {version}, this program knows"
            f" {len(MIGRATIONS)}); update this program. The file was left as it is"
        )


def _prepare(connection: sqlite3.Connection) -> None:
    """Set up the connection and bring the file up to date, under the lock."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
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
        # The version reaches the first page at once, where an older program looks for it.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute("SELECT count(*) FROM note").fetchone()  # a damaged file says so now


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for script in MIGRATIONS[version:]:
            for statement in _statements(script):
                connection.execute(statement)
        if version == 0:
            Vault(connection).create()
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """Split a script, since `executescript` would commit what is open before it."""
    return [one for one in script.split(";\n") if one.strip()]


def sentence(error: sqlite3.Error, path: Path) -> str:
    """Return what a person can do about an error of SQLite."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return _full(path)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"{path} cannot be written; run this as its owner, or look at its permissions"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _damaged(path)
        case sqlite3.SQLITE_BUSY:
            return f"{path} is held by another program; close that one and try again"
        case _:
            return f"{path} cannot be used ({error}); look at the disk, then try again"


def _cannot_open(path: Path, error: OSError) -> StoreUnusable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreUnusable(_full(path))
    return StoreUnusable(
        f"{path} cannot be opened ({error.strerror}); choose another folder with --home"
    )


def _full(path: Path) -> str:
    return f"there is no space left for {path}, and nothing was changed; make room and try again"


def _damaged(path: Path) -> str:
    return (
        f"{path} is damaged and was left as it is. Move the folder {path.parent} aside, begin anew "
        "with: new, and pair this phone again"
    )
