"""The phone's file goes forward, is never guessed at, and leaves others' files alone."""

from pathlib import Path

import pytest

import peer.store
from peer import sqlite
from peer.errors import NewerStore, StoreUnusable
from peer.schema import MIGRATIONS
from peer.store import APPLICATION_ID, FILE_NAME, Store, open_store

STEPS = (
    "ALTER TABLE contact ADD COLUMN colour TEXT NOT NULL DEFAULT '';\n"
    "CREATE TABLE later (number INTEGER PRIMARY KEY) STRICT;\n",
    "CREATE INDEX later_by_number ON later (number);\n",
)
"""What later versions of the program may do; none has been needed yet."""


def opened(home: Path) -> Store:
    store = open_store(home, create=True)
    assert store is not None
    return store


def form(home: Path) -> list[tuple[str, ...]]:
    """Return all that a file's form says: its version, and what made its tables and indexes."""
    with sqlite.connect(home / FILE_NAME) as file:
        rows = file.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        version = file.execute("PRAGMA user_version").fetchone()
        application = file.execute("PRAGMA application_id").fetchone()
    file.close()
    return [(str(version), str(application)), *sorted(map(_words, rows))]


def _words(row: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(" ".join((one or "").split()) for one in row)


def test_every_number_of_steps_ends_in_the_form_of_a_fresh_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (*MIGRATIONS, *STEPS)
    for begun_with in range(1, len(steps) + 1):
        monkeypatch.setattr(peer.store, "MIGRATIONS", steps[:begun_with])
        opened(tmp_path / str(begun_with)).close()
        monkeypatch.setattr(peer.store, "MIGRATIONS", steps)
        opened(tmp_path / str(begun_with)).close()
    fresh = form(tmp_path / str(len(steps)))

    assert fresh[0] == (f"({len(steps)},)", f"({APPLICATION_ID},)")
    assert any(row[1] == "later_by_number" for row in fresh[1:])
    for begun_with in range(1, len(steps)):
        assert form(tmp_path / str(begun_with)) == fresh


def test_a_step_forward_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    with store.transaction():
        store.keep_note("name", b"Ana")
    store.close()
    monkeypatch.setattr(peer.store, "MIGRATIONS", (*MIGRATIONS, *STEPS))
    store = opened(tmp_path)

    assert store.note("name") == b"Ana"
    store.close()


def test_a_step_that_fails_leaves_the_file_in_its_old_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path).close()
    before = form(tmp_path)
    broken = (*MIGRATIONS, STEPS[0], "CREATE TABLE later (number);\n")
    monkeypatch.setattr(peer.store, "MIGRATIONS", broken)
    with pytest.raises(StoreUnusable):
        opened(tmp_path)

    assert form(tmp_path) == before


def test_opening_a_file_again_changes_nothing(tmp_path: Path) -> None:
    opened(tmp_path).close()
    before = form(tmp_path)
    opened(tmp_path).close()

    assert form(tmp_path) == before


def test_an_older_program_refuses_a_newer_file_and_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer.store, "MIGRATIONS", (*MIGRATIONS, *STEPS))
    opened(tmp_path).close()
    monkeypatch.undo()
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(NewerStore, match=r"update this program\. The file was left as it is"):
        opened(tmp_path)

    assert (tmp_path / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize(
    "pragma", ["application_id = 7", "user_version = 1", "application_id = 1128679233"]
)
def test_a_file_of_another_program_is_not_touched(tmp_path: Path, pragma: str) -> None:
    with sqlite.connect(tmp_path / FILE_NAME) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.execute(f"PRAGMA {pragma}")
    other.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(StoreUnusable, match="another program; choose another folder with --home"):
        opened(tmp_path)

    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_every_table_says_what_its_columns_hold(tmp_path: Path) -> None:
    store = opened(tmp_path)
    tables = store.db.execute(
        "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
        " AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    store.close()

    assert tables
    assert all(strict for _, strict in tables), tables
