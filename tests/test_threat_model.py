"""docs/threat-model.md lists everything that a gateway stores, and nothing that it does not."""

import re
import sqlite3
from pathlib import Path

from gateway.database.migrate import migrate

DOCUMENT = Path(__file__).parent.parent / "docs" / "threat-model.md"
TESTS = Path(__file__).parent
ATTACK = re.compile(r"^\| ([APLGR]\d+) \| .+ \| .+ \| (`.+`) \|$", re.MULTILINE)
ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def live_columns(folder: Path) -> set[str]:
    connection = sqlite3.connect(folder / "new.sqlite", isolation_level=None)
    migrate(connection, folder / "new.sqlite")
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    columns = {
        f"{table}.{row[1]}"
        for (table,) in tables
        for row in connection.execute(f"PRAGMA table_info({table})")
    }
    connection.close()
    return columns


def documented_columns(text: str) -> list[str]:
    return [column for column, _, _ in ROW.findall(text)]


def test_every_column_of_the_gateway_is_in_the_data_dictionary(tmp_path: Path) -> None:
    documented = documented_columns(DOCUMENT.read_text(encoding="utf-8"))

    assert live_columns(tmp_path) == set(documented)
    assert len(documented) == len(set(documented))


def test_every_row_says_what_the_owner_learns() -> None:
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))

    assert rows
    assert all(what.strip() and learns.strip() for _, what, learns in rows)


def test_every_attack_that_is_listed_is_tried_where_the_list_says() -> None:
    rows = ATTACK.findall(DOCUMENT.read_text(encoding="utf-8"))
    places = [(id, name) for id, names in rows for name in re.findall(r"`([^`]+)`", names)]
    missing = [
        (id, name)
        for id, name in places
        if id not in tried((TESTS / name).read_text(encoding="utf-8"))
    ]

    assert len(rows) > 30
    assert missing == []


def test_every_attack_that_is_tried_is_listed() -> None:
    listed = {id for id, _ in ATTACK.findall(DOCUMENT.read_text(encoding="utf-8"))}
    found = {
        id
        for path in (TESTS / "attacks").glob("test_*.py")
        for id in tried(path.read_text(encoding="utf-8"))
    }

    assert found - listed == set()


def tried(text: str) -> set[str]:
    """Return the ids that stand at the beginning of a docstring or of a test's name."""
    said = re.findall(r'"""((?:[A-Z]{1,2}-?\d+(?: [ab])?[,:.] ?)+)', text)
    named = re.findall(r"def test_([aplgr]\d+)_", text)
    return {id for one in said for id in re.findall(r"[APLGR]\d+", one)} | {
        one.upper() for one in named
    }


def test_a_column_that_nobody_documented_is_noticed(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8").replace("| `parcel.lane` |", "| parcel lane |")

    assert live_columns(tmp_path) - set(documented_columns(text)) == {"parcel.lane"}
