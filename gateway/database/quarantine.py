"""Puts a damaged store aside and goes on with what can be read of it.

    gateway.sqlite.damaged-1        the file as it was found, with -wal beside it
    gateway.sqlite.damaged-1.txt    what happened, in words
    gateway.sqlite.salvaged-1       what was carried over, whole: it takes the store's place

Whatever cuts this off, the next start goes on with it: the new store is complete before anything is
moved, and has the last move.
"""

import logging
import os
import re
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.database.failure import sync_folder
from gateway.database.migrate import HEADER_BYTES, begin_file, mended, migrate
from gateway.database.salvage import Salvaged, salvage
from gateway.database.whole import Rooms

log = logging.getLogger(__name__)

_UNFINISHED: Final = ".salvaging"
_SPOKEN: Final = {"seat": "seat", "device": "device", "lane": "lane", "parcel": "parcel"}
"""Tables of which the owner is told how much there is."""


@dataclass(frozen=True, slots=True)
class Aside:
    """A damaged store that lies beside the one in use."""

    path: Path
    sentence: str
    """What happened, for the owner."""


def quarantine(path: Path, reason: str, *, migrations: Path, rooms: Rooms) -> Aside:
    """Make a new store of what can be read at `path`, and put the damaged one aside.

    Args:
        path: the store; nobody has it open.
        reason: what was found wrong with it.
        migrations: the numbered scripts.
        rooms: makes rows that were carried over fit together.

    Raises:
        sqlite3.Error, OSError: the new store cannot be made; nothing was moved.
    """
    # A text alone is what an earlier try has left, which was cut off before anything was moved.
    before = path.parent.glob(f"{path.name}.damaged-*[0-9]")
    number = 1 + max(map(_number_of, before), default=0)
    unfinished = path.with_name(path.name + _UNFINISHED)
    _remove(unfinished)
    _mend_header(path)
    try:
        found = _make(unfinished, path, migrations=migrations, rooms=rooms)
    except BaseException:
        _remove(unfinished)
        raise
    aside = path.with_name(f"{path.name}.damaged-{number}")
    sentence = _sentence(aside, reason, found)
    _write(aside.with_name(aside.name + ".txt"), sentence)
    unfinished.rename(path.with_name(f"{path.name}.salvaged-{number}"))
    sync_folder(path.parent)
    finish_quarantine(path)
    log.error("%s", sentence)
    return Aside(aside, sentence)


def finish_quarantine(path: Path) -> None:
    """Move the files of a quarantine that was cut off to where they belong.

    Raises:
        OSError: the folder does not allow it.
    """
    for salvaged in unfinished_of(path):
        aside = path.with_name(f"{path.name}.damaged-{_number_of(salvaged)}")
        for suffix in ("-wal", ""):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
        sync_folder(path.parent)  # before the new one comes: it must not meet the old log
        salvaged.rename(path)
        sync_folder(path.parent)


def unfinished_of(path: Path) -> list[Path]:
    """Return stores that a quarantine that was cut off has left to be moved to `path`."""
    return sorted(path.parent.glob(f"{path.name}.salvaged-*"))


def put_aside(path: Path) -> list[Aside]:
    """Return the damaged stores that lie beside the one at `path`, oldest first."""
    found = []
    for text in sorted(path.parent.glob(f"{path.name}.damaged-*.txt"), key=_number_of):
        with suppress(OSError):
            sentence = text.read_text(encoding="utf-8").strip()
            found.append(Aside(text.with_suffix(""), sentence))
    return found


def drop_put_aside(path: Path, *, older_than: float) -> None:
    """Delete damaged stores that were put aside before `older_than` (Unix seconds)."""
    for aside in put_aside(path):
        text = aside.path.with_name(aside.path.name + ".txt")
        with suppress(OSError):
            if text.stat().st_mtime < older_than:
                _remove(aside.path)
                text.unlink()


def _make(target: Path, damaged: Path, *, migrations: Path, rooms: Rooms) -> Salvaged:
    with closing(sqlite3.connect(target, isolation_level=None)) as new:
        begin_file(new)
        new.execute("PRAGMA journal_mode = MEMORY")  # it is nobody's yet: cut off, it is made again
        new.execute("PRAGMA synchronous = OFF")
        migrate(new, target, folder=migrations)
        new.execute("PRAGMA foreign_keys = ON")
        new.execute("BEGIN IMMEDIATE")
        found = salvage(damaged, new)
        before = new.total_changes
        rooms.mend(new)
        log.debug("%d changes made what was carried over fit", new.total_changes - before)
        for table in _SPOKEN:
            with suppress(sqlite3.OperationalError):  # a store of other tables, in a test
                [count] = new.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
                found.left_out[table] += found.carried[table] - count
                found.carried[table] = count
        new.execute("COMMIT")
        new.execute("PRAGMA synchronous = FULL")
        new.execute("PRAGMA journal_mode = WAL")
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return found


def _mend_header(path: Path) -> None:
    """Put back the bytes of the first page that are the same in every store of ours."""
    with suppress(OSError), path.open("r+b") as file:
        header = file.read(HEADER_BYTES)
        if len(header) == HEADER_BYTES:
            whole = mended(header, size=path.stat().st_size)
            if header != whole:
                file.seek(0)
                file.write(whole)


def _sentence(aside: Path, reason: str, found: Salvaged) -> str:
    day = datetime.fromtimestamp(time.time(), UTC).date().isoformat()
    begin = f"On {day} the store was found damaged ({reason}) and was put aside as {aside}."
    if not found.carried["seat"]:
        return (
            f"{begin} Nothing in it could be read, so this gateway starts empty: every phone must "
            "be paired again, and sends what it still holds."
        )
    carried = ", ".join(f"{found.carried[table]} {word}s" for table, word in _SPOKEN.items())
    lost = [
        f"{found.left_out[table]} {word}s"
        for table, word in _SPOKEN.items()
        if found.left_out[table]
    ]
    gaps = found.unreadable.total()
    lost += [f"what lay at {gaps} places that could not be read"] if gaps else []
    return (
        f"{begin} Carried over: {carried}. Lost: {', '.join(lost) or 'nothing that was seen'}. "
        "Every phone must be paired again; letters are taken meanwhile, and phones ask for those "
        "that are missing. See that the disk is well."
    )


def _write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _number_of(path: Path) -> int:
    found = re.search(r"-([0-9]{1,9})(?:-wal|\.txt)?$", path.name)
    return int(found[1]) if found else 0


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
