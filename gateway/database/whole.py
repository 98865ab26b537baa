"""Looks whether a store is whole: what SQLite can find, and what only the rooms know of their rows.

SQLite keeps no checksums: its check finds pages that hang together wrongly, and nothing of a letter
in which a bit has turned.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Find: TypeAlias = Callable[[sqlite3.Connection], str | None]
"""Returns what is wrong with a row; None if nothing is."""


def _nothing(connection: sqlite3.Connection) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Rooms:
    """What only the rooms of the gateway know of what lies in the store."""

    find: Find = _nothing
    """Looks at every row that can be checked."""
    mend: Callable[[sqlite3.Connection], None] = _nothing
    """Makes rows that were carried over fit together, in the transaction that carries them."""


def find_damage(connection: sqlite3.Connection, rooms: Rooms) -> str | None:
    """Return what is wrong with a store, or None if it is whole.

    Raises:
        sqlite3.Error: it cannot even be looked at.
    """
    verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        return str(verdict).splitlines()[-1]
    if violation := connection.execute("PRAGMA foreign_key_check").fetchone():
        return f"a row of {violation[0]} refers to nothing"
    return rooms.find(connection)
