"""A damaged store is put aside under a clear name, and the household goes on."""

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gateway.database import Database, open_database
from gateway.database.failure import Marker
from gateway.database.migrate import APPLICATION_ID, COPY_KEPT, PAGE_BYTES
from gateway.database.quarantine import finish_quarantine, put_aside, quarantine
from gateway.database.whole import Rooms
from gateway.errors import DamagedStore, FolderUnusable
from tests.gateway.database.notes import add, scripts, stored

NOTES = 200


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@asynccontextmanager
async def open_mended(
    path: Path, *, rooms: Rooms | None = None, now: float | None = None
) -> AsyncIterator[Database]:
    async with open_database(
        path,
        on_fatal=lambda reason: None,
        now=time.time() if now is None else now,
        migrations=scripts(path.parent / "migrations"),
        rooms=rooms or Rooms(),
    ) as database:
        yield database


async def fill(path: Path) -> None:
    async with open_mended(path) as database:
        for number in range(NOTES):
            await database.write(add(number, bytes([number]) * 900))


def spoil(path: Path, at: int, content: bytes = b"\xff" * 64) -> bytes:
    """Write over some bytes of the store; return what is in it then."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)
    return path.read_bytes()


async def test_what_can_be_read_is_there_and_the_damaged_file_lies_beside_it(path: Path) -> None:
    await fill(path)
    content = spoil(path, 10 * PAGE_BYTES)
    Marker(path).leave("SQLITE_CORRUPT: database disk image is malformed")

    async with open_mended(path) as database:
        await database.write(add(1000))

    found = stored(path)
    assert NOTES - 10 < len(found) <= NOTES
    assert 1000 in found
    [aside] = put_aside(path)
    assert aside.path == path.with_name("store.sqlite.damaged-1")
    assert aside.path.read_bytes() == content
    assert str(aside.path) in aside.sentence
    assert not Marker(path).found()
    assert not list(path.parent.glob("*.salvag*"))


async def test_a_second_damage_has_a_second_name(path: Path) -> None:
    await fill(path)
    for _ in range(2):
        spoil(path, 10 * PAGE_BYTES)
        Marker(path).leave("broken")
        async with open_mended(path):
            pass

    assert [one.path.name[-1] for one in put_aside(path)] == ["1", "2"]


async def test_a_text_that_an_earlier_try_has_left_is_written_anew(path: Path) -> None:
    await fill(path)
    path.with_name(path.name + ".damaged-1.txt").write_text("cut off\n")
    spoil(path, 10 * PAGE_BYTES)
    Marker(path).leave("broken")

    async with open_mended(path):
        pass

    [aside] = put_aside(path)
    assert (aside.path.name[-1], "cut off" in aside.sentence) == ("1", False)


@pytest.mark.parametrize("at", [0, 15, 16, 18, 19, 21, 47, 59, 68, 71, 80])
async def test_a_first_page_that_differs_in_a_byte_is_put_right(path: Path, at: int) -> None:
    await fill(path)
    spoil(path, at, b"\x7f")

    async with open_mended(path):
        pass

    assert stored(path) == set(range(NOTES))
    assert len(put_aside(path)) == 1


@pytest.mark.parametrize("at", [16, 17])
async def test_a_first_page_of_an_earlier_store_that_differs_is_put_right(
    path: Path, at: int
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    await fill(path)
    spoil(path, at, b"\x04")

    async with open_mended(path):
        pass

    assert stored(path) == set(range(NOTES))
    assert len(put_aside(path)) == 1


async def test_a_version_that_no_gateway_has_is_damage(path: Path) -> None:
    await fill(path)
    spoil(path, 61, b"\x7f")

    async with open_mended(path):
        pass

    assert stored(path) == set(range(NOTES))


async def test_where_nothing_can_be_read_it_begins_empty(path: Path) -> None:
    await fill(path)
    spoil(path, 100, b"\xff" * 4000)

    async with open_mended(path) as database:
        await database.write(add(1))

    assert stored(path) == {1}
    assert "every phone must be paired again" in put_aside(path)[0].sentence


async def test_commits_missing_in_the_log_are_damage(path: Path) -> None:
    store = path.parent / "live" / "store.sqlite"
    store.parent.mkdir()
    async with open_mended(store) as database:
        for number in range(10):
            await database.write(add(number))
        for suffix in ("", "-wal"):
            there = path.with_name(path.name + suffix)
            there.write_bytes(store.with_name(store.name + suffix).read_bytes())
    log = path.with_name(path.name + "-wal")
    spoil(log, log.stat().st_size // 2)

    async with open_mended(path):
        pass

    [aside] = put_aside(path)
    assert "commits are missing" in aside.sentence
    assert stored(path) == set(range(len(stored(path))))


async def test_what_the_rooms_know_is_asked_and_done(path: Path) -> None:
    await fill(path)
    Marker(path).leave("broken")

    def find(store: sqlite3.Connection) -> str | None:
        return "a bit" if store.execute("SELECT 1 FROM note WHERE number = 7").fetchone() else None

    def mend(store: sqlite3.Connection) -> None:
        store.execute("DELETE FROM note WHERE number = 7")

    async with open_mended(path, rooms=Rooms(find, mend)) as database:
        await database.check()

    assert stored(path) == set(range(NOTES)) - {7}


async def test_damage_that_is_found_while_it_runs_ends_it_and_is_mended_at_the_next_start(
    path: Path,
) -> None:
    await fill(path)
    spoil(path, 10 * PAGE_BYTES)

    async with open_mended(path) as database:
        with pytest.raises(Exception, match="disk failed"):
            await database.check()
        assert database.failed
    async with open_mended(path) as database:
        await database.check()


@pytest.mark.parametrize("moved", [0, 1])
async def test_a_quarantine_that_was_cut_off_is_finished(path: Path, moved: int) -> None:
    await fill(path)
    content = spoil(path, 10 * PAGE_BYTES)
    path.with_name(path.name + "-wal").write_bytes(b"a log")
    new = path.with_name(path.name + ".salvaged-3")
    with closing(sqlite3.connect(new)) as connection:
        connection.execute("CREATE TABLE note (number)")
    if moved:
        path.rename(path.with_name(path.name + ".damaged-3"))

    finish_quarantine(path)
    finish_quarantine(path)

    assert path.with_name(path.name + ".damaged-3").read_bytes() == content
    assert path.with_name(path.name + ".damaged-3-wal").read_bytes() == b"a log"
    assert stored(path) == set()
    assert not new.exists()


async def test_without_room_for_another_store_nothing_is_moved(path: Path) -> None:
    await fill(path)
    spoil(path, 10 * PAGE_BYTES)
    Marker(path).leave("broken")

    def no_room(store: sqlite3.Connection) -> None:
        store.execute("PRAGMA max_page_count = 1")
        store.execute("CREATE TABLE more (x)")

    with pytest.raises(FolderUnusable, match="no space left"):
        async with open_mended(path, rooms=Rooms(mend=no_room)):
            raise AssertionError("a store was made without room")

    assert not put_aside(path)
    assert Marker(path).found()
    assert [one.name for one in path.parent.glob("*.salvag*")] == []


async def test_a_script_that_fails_is_no_damage(path: Path) -> None:
    await fill(path)
    migrations = scripts(path.parent / "migrations")
    (migrations / "0002_bad.sql").write_text("CREATE TABLE note (x);")

    with pytest.raises(DamagedStore, match="already exists"):
        async with open_mended(path):
            raise AssertionError("a step that failed was taken for done")

    assert not put_aside(path)


async def test_what_was_put_aside_goes_after_a_week(path: Path) -> None:
    await fill(path)
    quarantine(path, "for a test", migrations=scripts(path.parent / "migrations"), rooms=Rooms())
    async with open_mended(path, now=time.time() + COPY_KEPT - 60):
        pass
    assert len(put_aside(path)) == 1

    async with open_mended(path, now=time.time() + COPY_KEPT + 60):
        pass

    assert not put_aside(path)
    assert not list(path.parent.glob("store.sqlite.damaged*"))
