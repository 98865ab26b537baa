"""What can be read of a damaged store is carried over, and nothing else."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.database.salvage import Salvaged, salvage

SCHEMA = """
CREATE TABLE owner (
    owner BLOB NOT NULL PRIMARY KEY CHECK (length(owner) = 8)
) STRICT, WITHOUT ROWID;
CREATE TABLE note (
    number INTEGER PRIMARY KEY, owner BLOB NOT NULL REFERENCES owner, body BLOB NOT NULL,
    UNIQUE (owner, number)
) STRICT;
"""
PAGE = 4096


def new_store(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(SCHEMA)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A store that is still whole: 200 owners, each with five notes."""
    path = tmp_path / "old"
    owners = random.Random(1)  # noqa: S311  # the same each time
    with closing(new_store(path)) as connection:
        connection.execute("BEGIN")
        for _ in range(200):
            owner = owners.randbytes(8)
            connection.execute("INSERT INTO owner VALUES (?)", (owner,))
            for _ in range(5):
                body = owners.randbytes(700)
                connection.execute("INSERT INTO note (owner, body) VALUES (?, ?)", (owner, body))
        connection.execute("COMMIT")
    return path


def rows(path: Path, table: str) -> set[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute(f"SELECT * FROM {table}"))  # noqa: S608


def carried(damaged: Path) -> tuple[Salvaged, Path]:
    target = damaged.with_name("new")
    with closing(new_store(target)) as connection:
        connection.execute("BEGIN")
        found = salvage(damaged, connection)
        connection.execute("COMMIT")
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    return found, target


def test_of_a_whole_store_everything_is_carried_over(damaged: Path) -> None:
    before = damaged.read_bytes()
    found, new = carried(damaged)

    assert rows(new, "owner") == rows(damaged, "owner")
    assert rows(new, "note") == rows(damaged, "note")
    assert found.carried == {"owner": 200, "note": 1000}
    assert not found.left_out.total()
    assert not found.unreadable.total()
    assert damaged.read_bytes() == before


@pytest.mark.parametrize("kind", ["zeros", "noise"])
@pytest.mark.parametrize("page", [20, 60, 100, 150, 200])
def test_a_damaged_page_costs_what_lay_on_it(damaged: Path, page: int, kind: str) -> None:
    whole = rows(damaged, "note")
    content = bytearray(damaged.read_bytes())
    noise = bytes(PAGE) if kind == "zeros" else random.Random(page).randbytes(PAGE)  # noqa: S311
    content[page * PAGE : (page + 1) * PAGE] = noise
    damaged.write_bytes(content)

    found, new = carried(damaged)

    kept = rows(new, "note")
    assert kept <= whole
    assert len(kept) >= 985 or rows(new, "owner") != rows(damaged, "owner")
    assert found.carried["note"] == len(kept)


def test_rows_that_make_no_sense_are_left_out_and_counted(damaged: Path) -> None:
    with closing(sqlite3.connect(damaged, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("INSERT INTO owner VALUES (X'00')")
        connection.execute("UPDATE note SET owner = X'FF' WHERE number = 5")

    found, new = carried(damaged)

    assert found.left_out == {"owner": 1, "note": 1}
    assert len(rows(new, "note")) == 999


def test_a_table_or_column_that_is_not_there_yet_is_no_loss(damaged: Path) -> None:
    with closing(sqlite3.connect(damaged, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE owner RENAME TO other")
        connection.execute("ALTER TABLE note DROP COLUMN body")

    found, _ = carried(damaged)

    assert found.carried["note"] == 0  # it refers to owners, and wants a body
    assert found.unreadable["owner"] == 1


@pytest.mark.parametrize("content", [b"", b"Dear diary", bytes(5 * PAGE)])
def test_of_what_is_no_store_nothing_is_carried_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "old").write_bytes(content)

    found, new = carried(tmp_path / "old")

    assert not found.carried.total()
    assert rows(new, "note") == set()


def test_a_store_of_which_the_half_is_missing_gives_the_other_half(damaged: Path) -> None:
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])

    found, new = carried(damaged)

    assert rows(new, "owner")
    assert found.unreadable.total()
