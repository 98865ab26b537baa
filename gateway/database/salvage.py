"""Carries over what can still be read of a damaged store, table by table, row by row.

A table is read from its front until something cannot be read, then from its back; the gap between
is halved again and again, so that what is lost is what lies on a damaged page. The new store's own
rules (types, CHECK, UNIQUE, references) turn away rows that make no sense.
"""

import sqlite3
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

HALVINGS: Final = 14
"""Of a gap in one table: a page in sixteen thousand is found again."""
MAX_PROBES: Final = 20_000
"""Looks into one table; each takes a fraction of a millisecond."""


@dataclass(slots=True)
class Salvaged:
    """What came of it, in rows by table."""

    carried: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    """Rows that could be read and made no sense."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """Places at which nothing could be read; how many rows lay there nobody knows."""


def salvage(damaged: Path, new: sqlite3.Connection) -> Salvaged:
    """Copy every row of `damaged` that can be read and makes sense into the empty store `new`.

    `damaged` is only read. What cannot be opened at all has no rows.

    Args:
        damaged: the file, with its log beside it.
        new: in a transaction, with the newest schema and its references checked.
    """
    found = Salvaged()
    # The second leaves out the log, where the first cannot even begin.
    for how in ("mode=ro", "immutable=1"):
        address = f"{damaged.absolute().as_uri()}?{how}"
        with suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True)) as old:
            old.execute("PRAGMA cell_size_check = ON")
            old.execute("PRAGMA trusted_schema = OFF")
            old.execute("PRAGMA writable_schema = ON")  # reads on where a file was cut off
            old.execute("SELECT count(*) FROM sqlite_master").fetchone()
            for table in _tables(new):
                _carry(old, new, table, found)
            return found
    return found


def _tables(new: sqlite3.Connection) -> list[str]:
    """Return the tables in the order in which they were made: none refers to a later one."""
    rows = new.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " ORDER BY rowid"
    )
    return [row[0] for row in rows.fetchall()]


def _carry(old: sqlite3.Connection, new: sqlite3.Connection, table: str, found: Salvaged) -> None:
    wanted = new.execute(f"PRAGMA table_info({table})").fetchall()
    have = {row[1] for row in old.execute(f"PRAGMA table_info({table})").fetchall()}
    columns = [row[1] for row in wanted if row[1] in have]
    if not columns:  # a table that is newer than the store, or one whose definition is lost
        found.unreadable[table] += not have
        return
    [(key, kind)] = [(row[1], row[2]) for row in wanted if row[5] == 1]
    names, places = ", ".join(columns), ", ".join("?" * len(columns))
    insert = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608  # our own schema
    select = f"SELECT {names} FROM {table} WHERE {key}"  # noqa: S608
    reading = _Reading(old, select, key, columns.index(key))
    identity = [columns.index(row[1]) for row in wanted if row[5]]
    seen = set[tuple[Any, ...]]()
    for row in reading.rows(*((0, 1 << 62) if kind == "INTEGER" else (b"", b"\xff" * 64))):
        if (known := tuple(row[place] for place in identity)) in seen:
            continue
        seen.add(known)
        try:
            new.execute(insert, row)
        except sqlite3.IntegrityError:
            found.left_out[table] += 1
        else:
            found.carried[table] += 1
    found.unreadable[table] += reading.gaps


Key: TypeAlias = int | bytes


@dataclass(slots=True)
class _Reading:
    """Reads one table around what cannot be read."""

    old: sqlite3.Connection
    select: str
    key: str
    place: int
    """Of the key among the columns."""
    gaps: int = 0
    """How many there were in the end."""

    def rows(self, low: Key, high: Key) -> Iterator[Sequence[Any]]:
        """Yield every row that can be read, some of them twice."""
        waiting, probes = [(low, high, 0)], 0
        while waiting:
            low, high, halvings = waiting.pop()
            probes += 1
            whole, low = yield from self._read(
                f">= ? AND {self.key} <= ? ORDER BY {self.key}", low, high
            )
            if whole:
                continue
            back = f"<= ? AND {self.key} >= ? ORDER BY {self.key} DESC"
            whole, high = yield from self._read(back, high, low)
            middle = _between(low, high)
            if whole:
                continue
            if middle is None or halvings >= HALVINGS or probes >= MAX_PROBES:
                self.gaps += 1
                continue
            waiting += [(low, middle, halvings + 1), (middle, high, halvings + 1)]

    def _read(
        self, which: str, begin: Key, end: Key
    ) -> Generator[Sequence[Any], None, tuple[bool, Key]]:
        """Yield rows until one cannot be read; return whether all could, and how far it came."""
        try:
            for row in self.old.execute(f"{self.select} {which}", (begin, end)):
                begin = row[self.place]
                yield row
        except sqlite3.Error:
            return False, begin
        return True, begin


def _between(low: Key, high: Key) -> Key | None:
    """Return a key in the middle of two; None where there is none."""
    if isinstance(low, int) and isinstance(high, int):
        return (low + high) // 2 if high - low > 1 else None
    if isinstance(low, bytes) and isinstance(high, bytes):
        size = max(len(low), len(high)) + 1
        first, last = (int.from_bytes(one.ljust(size, b"\0"), "big") for one in (low, high))
        return ((first + last) // 2).to_bytes(size, "big") if last - first > 512 else None
    return None  # a key of the wrong kind: that row is damaged
