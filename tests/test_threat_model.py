"""docs/threat-model.md lists everything that a gateway stores, and nothing that it does not."""

import re
import sqlite3
from pathlib import Path

from gateway.database.migrate import migrate

DOCUMENT = Path(__file__).parent.parent / "docs" / "threat-model.md"
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


def test_a_column_that_nobody_documented_is_noticed(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8").replace("| `parcel.lane` |", "| parcel lane |")

    assert live_columns(tmp_path) - set(documented_columns(text)) == {"parcel.lane"}
