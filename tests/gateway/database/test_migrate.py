"""The schema moves forward, whole, on files that are ours."""

import os
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.database import open_database
from gateway.database.migrate import (
    APPLICATION_ID,
    COPY_KEPT,
    MIGRATIONS,
    PAGE_BYTES,
    copies_of,
    page_bytes,
    read_header,
)
from gateway.errors import DamagedStore, ForeignFile, NewerSchema
from tests.gateway.database.notes import add, open_notes, scripts, stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def start(path: Path, migrations: Path, *, now: float | None = None) -> None:
    async with open_database(
        path,
        on_fatal=lambda reason: None,
        now=time.time() if now is None else now,
        migrations=migrations,
    ):
        pass


def query(path: Path, sql: str) -> list[object]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute(sql)]


def execute(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


async def test_a_new_version_keeps_the_rows_and_leaves_a_copy_of_the_old(path: Path) -> None:
    async with open_notes(path) as database:
        await database.write(add(1))
    migrations = scripts(path.parent / "migrations")
    (migrations / "0002_title.sql").write_text(
        "ALTER TABLE note ADD COLUMN title TEXT;\nUPDATE note SET title = 'untitled';"
    )

    await start(path, migrations)

    assert query(path, "SELECT title FROM note") == ["untitled"]
    assert query(path, "PRAGMA user_version") == [2]
    [copy] = copies_of(path)
    assert copy.name == "store.sqlite.v1"
    assert stored(copy) == {1}
    assert query(copy, "PRAGMA user_version") == [1]


async def test_a_step_that_fails_leaves_every_step_undone(path: Path) -> None:
    async with open_notes(path) as database:
        await database.write(add(1))
    migrations = scripts(path.parent / "migrations")
    (migrations / "0002_good.sql").write_text("CREATE TABLE good (x);")
    (migrations / "0003_bad.sql").write_text("CREATE TABLE bad (x); CREATE TABLE note (x);")

    with pytest.raises(DamagedStore, match="already exists"):
        await start(path, migrations)

    assert query(path, "SELECT name FROM sqlite_master WHERE type = 'table'") == ["note"]
    assert query(path, "PRAGMA user_version") == [1]
    assert stored(path) == {1}


async def test_a_newer_store_is_refused_untouched_and_both_versions_are_named(path: Path) -> None:
    migrations = scripts(path.parent / "migrations")
    await start(path, migrations)
    execute(path, "PRAGMA user_version = 7")
    before = path.read_bytes()

    with pytest.raises(NewerSchema, match=r"version 7, and this gateway knows versions up to 1"):
        await start(path, migrations)

    assert path.read_bytes() == before
    assert not list(path.parent.glob("store.sqlite-*"))


async def test_another_programs_database_is_refused_untouched(path: Path) -> None:
    execute(path, "CREATE TABLE theirs (x)")
    before = path.read_bytes()

    with pytest.raises(ForeignFile, match="not a Homepost store"):
        await start(path, MIGRATIONS)

    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused_untouched(path: Path) -> None:
    path.write_text("Dear diary")

    with pytest.raises(ForeignFile, match="not a Homepost store"):
        await start(path, MIGRATIONS)

    assert path.read_text() == "Dear diary"


async def test_a_first_start_that_was_cut_off_is_taken_up_again(path: Path) -> None:
    migrations = scripts(path.parent / "migrations")
    (migrations / "0001_note.sql").write_text("CREATE TABLE note (x); CREATE TABLE note (x);")
    with pytest.raises(DamagedStore):
        await start(path, migrations)

    scripts(path.parent / "migrations")
    await start(path, migrations)

    assert stored(path) == set()


async def test_copies_are_deleted_after_a_week(path: Path) -> None:
    async with open_notes(path) as database:
        await database.write(add(1))
    migrations = scripts(path.parent / "migrations")
    (migrations / "0002_title.sql").write_text("ALTER TABLE note ADD COLUMN title TEXT;")

    await start(path, migrations)
    assert len(copies_of(path)) == 1
    await start(path, migrations, now=time.time() + COPY_KEPT - 60)
    assert len(copies_of(path)) == 1
    await start(path, migrations, now=time.time() + COPY_KEPT + 60)
    assert copies_of(path) == []


async def test_only_the_owner_can_read_the_store_and_its_copy(path: Path) -> None:
    before = os.umask(0o077)
    try:
        async with open_notes(path) as database:
            await database.write(add(1))
            modes = {file.name: file.stat().st_mode for file in path.parent.glob("store.sqlite*")}
    finally:
        os.umask(before)

    assert len(modes) == 4
    assert {stat.S_IMODE(mode) for mode in modes.values()} == {0o600}


def begin_with_earlier_pages(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


async def test_a_new_store_has_small_pages(path: Path) -> None:
    async with open_notes(path) as database:
        await database.write(add(1))

    assert query(path, "PRAGMA page_size") == [PAGE_BYTES]


async def test_a_store_of_an_earlier_version_keeps_its_pages(path: Path) -> None:
    begin_with_earlier_pages(path)
    for number in range(2):
        async with open_notes(path) as database:
            await database.write(add(number, bytes(5000)))

    assert query(path, "PRAGMA page_size") == [4096]
    assert stored(path) == {0, 1}


@pytest.mark.parametrize("known", [1024, 4096])
@pytest.mark.parametrize("told", [0, 512, 1024, 4096, 32_768])
def test_how_large_pages_are_is_seen_by_the_size_of_the_file(known: int, told: int) -> None:
    header = bytearray(100)
    header[16:18] = told.to_bytes(2, "big")
    header[28:32] = (7).to_bytes(4, "big")

    assert page_bytes(bytes(header), size=7 * known) == known


@pytest.mark.parametrize(("told", "found"), [(1024, 1024), (4096, 4096), (512, 1024), (0, 1024)])
def test_how_large_pages_are_is_what_the_file_says_when_it_was_cut_off(
    told: int, found: int
) -> None:
    header = bytearray(100)
    header[16:18] = told.to_bytes(2, "big")
    header[28:32] = (7).to_bytes(4, "big")

    assert page_bytes(bytes(header), size=5000) == found


async def test_the_header_says_whose_file_it_is(path: Path) -> None:
    assert read_header(path) is None
    await start(path, scripts(path.parent / "migrations"))

    header = read_header(path)

    assert header is not None
    assert header.application_id == 0x486F6D70
    assert header.version == 1
