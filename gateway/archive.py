"""What a backup holds: made of a running gateway, put back where no store is.

The content, before it is sealed (`backup.py`):

    length [4] || what it is, as JSON || identity.key || tls.pem || gateway.toml || gateway.sqlite

The JSON names each file and its length. The store is a copy made beside the writer, which nobody
waits for, and was found whole before it was sealed.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from gateway.afresh import begin_afresh, rooms
from gateway.app import STORE_NAME
from gateway.backup import (
    BackupUnusable,
    DamagedBackup,
    NewerBackup,
    NoBackup,
    seal,
    unseal,
)
from gateway.config import FILE_NAME
from gateway.control_client import ControlClient
from gateway.database.failure import sync_folder
from gateway.database.folder import LOCK_NAME, hold_folder, unusable
from gateway.database.migrate import check_header, migrate, newest, version_of
from gateway.database.quarantine import unfinished_of
from gateway.database.whole import Rooms, find_damage
from gateway.errors import DamagedStore, ForeignFile, StartupError
from gateway.identity import KEY_NAME, SEED_BYTES, TLS_NAME, VAPID_NAME, gateway_of
from gateway.status import version

PATIENCE: Final = 3600.0
"""Seconds for the gateway to copy its store: a full card that is busy takes some minutes."""
MAX_ABOUT: Final = 64 * 1024
_PIECE: Final = 1 << 20
_FILES: Final = (KEY_NAME, TLS_NAME, VAPID_NAME, FILE_NAME, STORE_NAME)
"""In this order. The store is moved to its place last: before, there is nothing to be served."""
_STAGING: Final = "restoring"


class FolderTaken(StartupError):
    """There is a store already, or another gateway's key."""

    code = "folder-taken"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is there already, and a backup never takes the place of anything. To put it "
            f"back here, move the whole folder {path.parent} away first; or give another one with "
            "--data."
        )


class CannotWrite(StartupError):
    """The backup cannot be written where it was wanted."""

    code = "cannot-write"


@dataclass(frozen=True, slots=True)
class About:
    """What a backup says of itself."""

    program: str
    """Version of the gateway that made it."""
    schema: int
    made: int
    """Unix seconds."""
    gateway: str
    """The gateway's key, as text."""
    seats: int
    parcels: int
    files: tuple[tuple[str, int], ...]
    """Names and lengths, in their order."""

    @property
    def day(self) -> str:
        """When it was made, for people."""
        return datetime.fromtimestamp(self.made, UTC).strftime("%Y-%m-%d %H:%M")

    def encode(self) -> bytes:
        """Return it as it stands before the files."""
        text = json.dumps({name: getattr(self, name) for name in self.__slots__}).encode()
        return len(text).to_bytes(4, "big") + text

    @classmethod
    def decode(cls, text: bytes) -> "About":
        """Read it.

        Raises:
            ValueError: it is none.
        """
        match json.loads(text):
            case {
                "program": str(program),
                "schema": int(schema),
                "made": int(made),
                "gateway": str(gateway),
                "seats": int(seats),
                "parcels": int(parcels),
                "files": list(files),
            }:
                return cls(program, schema, made, gateway, seats, parcels, _files(files))
        raise ValueError("what the backup is cannot be read")


def _files(value: list[Any]) -> tuple[tuple[str, int], ...]:
    found = [(name, size) for name, size in value if name in _FILES and type(size) is int]
    wanted = [name for name in _FILES if name in dict(found)]
    if len(found) != len(value) or [name for name, _ in found] != wanted:
        raise ValueError("a backup holds other files")
    if not {KEY_NAME, STORE_NAME} <= set(wanted):
        raise ValueError("a backup without key or store")
    return tuple(found)


# Making one


def back_up(data: Path, target: Path, *, secret: str, settings: Path | None) -> About:
    """Write a backup of the gateway that runs on `data`; it goes on serving.

    Args:
        data: its folder.
        target: the file to write, which must not be there.
        secret: what opens it.
        settings: the settings file in use, if there is one.

    Raises:
        ControlError: no gateway runs, or it refuses.
        CannotWrite: the file is there, or cannot be written.
        FolderUnusable: a file of the gateway cannot be read.
    """
    client = ControlClient(data)
    with _written(target) as out:
        answer = asyncio.run(client.ask("POST", "/backup", wait=PATIENCE))
        with _opened(Path(answer["store"])) as store:
            # Open it is: from here on nobody else finds it, and it goes whatever happens to us.
            asyncio.run(client.ask("DELETE", "/backup"))
            beside = _beside(data, settings)
            files = [*((name, len(content)) for name, content in beside.items())]
            files.append((STORE_NAME, os.fstat(store.fileno()).st_size))
            about = About(
                version(),
                answer["schema"],
                int(time.time()),
                gateway_of(beside[KEY_NAME]).text,
                answer["seats"],
                answer["parcels"],
                tuple(files),
            )
            seal(_and_then([about.encode(), *beside.values()], store), out, secret=secret)
    return about


def _beside(data: Path, settings: Path | None) -> dict[str, bytes]:
    """Return what belongs to the store: keys and settings, by the names they have in a backup."""
    found = {KEY_NAME: data / KEY_NAME, TLS_NAME: data / TLS_NAME}
    if (data / VAPID_NAME).exists():
        found[VAPID_NAME] = data / VAPID_NAME
    if settings is not None:
        found[FILE_NAME] = settings
    try:
        return {name: path.read_bytes() for name, path in found.items()}
    except OSError as error:
        raise unusable(data, error) from error


def _and_then(first: Sequence[bytes], file: BinaryIO) -> Iterator[bytes]:
    yield from first
    while piece := file.read(_PIECE):
        yield piece


@contextmanager
def _written(target: Path) -> Iterator[BinaryIO]:
    """Give a new file that is there whole, with the block's end, or not at all."""
    if target.exists():
        raise CannotWrite(f"{target} is there already. Give another name.")
    unfinished = target.with_name(target.name + ".part")
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(handle)
        os.link(unfinished, target)  # which replaces nothing
        sync_folder(target.parent)
    except OSError as error:
        raise CannotWrite(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


# Looking at one, and putting it back


def verify(source: Path, *, secret: str) -> About:
    """Open a backup from its first byte to its last and check all of it; write nothing.

    Raises:
        BackupUnusable: it cannot be restored; the sentence says why.
        FolderUnusable: the file cannot be read.
    """
    with _opened(source) as file:
        content = _Content(unseal(file, path=source, secret=secret), path=source)
        about = content.about()
        for name, size in about.files:
            for piece in content.pieces(size):
                if name == KEY_NAME:
                    _check_key(piece, about, path=source)
        content.end()
    return about


def restore(source: Path, data: Path, *, secret: str) -> About:
    """Put a backup back into a folder that holds no store, and begin everything anew for its seats.

    Raises:
        BackupUnusable: it cannot be restored.
        AlreadyRunning: a gateway runs on the folder.
        FolderTaken: a store or another key is there.
        FolderUnusable: the file cannot be read, or the folder cannot be written.
    """
    with _opened(source) as file:
        content = _Content(unseal(file, path=source, secret=secret), path=source)
        about = content.about()
        with hold_folder(data):
            staging = data / _STAGING
            _check_free(data)
            try:
                shutil.rmtree(staging, ignore_errors=True)
                staging.mkdir()
                _unpack(content, about, staging)
                _check_key((staging / KEY_NAME).read_bytes(), about, path=source)
                _check_other_key(data / KEY_NAME, staging / KEY_NAME)
                _prepare(staging / STORE_NAME, source)
                _move_in(staging, data)
            except OSError as error:
                raise unusable(data, error) from error
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    return about


def _opened(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as error:
        raise unusable(source, error) from error


class _Content:
    """Takes the content of a backup apart.

    Args:
        pieces: as they are opened.
        path: what the backup is called in sentences.
    """

    def __init__(self, pieces: Iterator[bytes], *, path: Path) -> None:
        self._pieces = pieces
        self._path = path
        self._held = b""
        self._offset = 0

    def about(self) -> About:
        """Return what the backup says of itself.

        Raises:
            BackupUnusable
        """
        size = int.from_bytes(self._exactly(4), "big")
        if size > MAX_ABOUT:
            raise NoBackup(self._path)
        try:
            about = About.decode(self._exactly(size))
        except (ValueError, TypeError):
            raise NoBackup(self._path) from None
        if about.schema > newest():
            raise NewerBackup(self._path)
        return about

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes, one piece at least.

        Raises:
            BackupUnusable
        """
        while True:
            if not self._held and size:
                self._held = self._next()
            piece, self._held = self._held[:size], self._held[size:]
            size -= len(piece)
            yield piece
            if not size:
                return

    def end(self) -> None:
        """See that nothing follows, and that the end is the end.

        Raises:
            BackupUnusable
        """
        if self._held or next(self._pieces, b""):
            raise DamagedBackup(self._path, offset=self._offset)

    def _exactly(self, size: int) -> bytes:
        return b"".join(self.pieces(size))

    def _next(self) -> bytes:
        piece = next(self._pieces, b"")
        if not piece:
            raise DamagedBackup(self._path, offset=self._offset)
        self._offset += len(piece)
        return piece


def _check_free(data: Path) -> None:
    store = data / STORE_NAME
    for taken in (store, store.with_name(store.name + "-wal"), *unfinished_of(store)):
        if taken.exists():
            raise FolderTaken(taken)


def _check_other_key(here: Path, restored: Path) -> None:
    if here.exists() and here.read_bytes() != restored.read_bytes():
        raise FolderTaken(here)


def _check_key(seed: bytes, about: About, *, path: Path) -> None:
    if len(seed) != SEED_BYTES or gateway_of(seed).text != about.gateway:
        raise BackupUnusable(f"{path} holds no usable key of a gateway. Use another backup.")


def _unpack(content: _Content, about: About, staging: Path) -> None:
    for name, size in about.files:
        with (staging / name).open("xb") as file:
            for piece in content.pieces(size):
                file.write(piece)
    content.end()


def _prepare(store: Path, source: Path) -> None:
    """Check the store, bring it up to date, and begin everything anew.

    Raises:
        BackupUnusable: it is damaged, or no store of ours.
    """
    try:
        check_header(store)
        _begin_anew(store)
    except (DamagedStore, ForeignFile, sqlite3.Error) as error:
        reason = error.reason if isinstance(error, DamagedStore) else str(error)
        raise BackupUnusable(
            f"The store in {source} cannot be used ({reason}). Nothing was put back; use another "
            "backup."
        ) from error


def _begin_anew(store: Path) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        known = rooms() if version_of(connection) == newest() else Rooms()
        if damage := find_damage(connection, known):
            raise DamagedStore(store, reason=damage)
        migrate(connection, store)
        connection.execute("BEGIN IMMEDIATE")
        begin_afresh(connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _move_in(staging: Path, data: Path) -> None:
    """Move what was unpacked to its place, the store last, for whoever owns the folder."""
    owner = data.stat()
    files = [staging / name for name in _FILES if (staging / name).exists()]
    for one in files:
        with one.open("rb") as file:
            os.fsync(file.fileno())
    for one in (*files, data / LOCK_NAME):
        if one.stat().st_uid != owner.st_uid:
            os.chown(one, owner.st_uid, owner.st_gid)
    for one in files:
        if one.name == FILE_NAME and (data / FILE_NAME).exists():
            continue  # the owner has set something here since
        one.rename(data / one.name)
        sync_folder(data)
