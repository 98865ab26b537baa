"""How the store is opened: set for power cuts and for forgetting, or not at all."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from gateway.database import open_database
from gateway.database.sqlite import Database
from gateway.database.whole import Rooms
from gateway.errors import FolderUnusable
from tests.gateway.database.notes import add, open_notes, stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def pragma(database: Database, name: str) -> object:
    def work(store: sqlite3.Connection) -> object:
        return store.execute(f"PRAGMA {name}").fetchone()[0]

    return await database.write(work)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("secure_delete", 1),
        ("foreign_keys", 1),
        ("wal_autocheckpoint", 0),
        ("temp_store", 2),
        ("mmap_size", 0),
    ],
)
async def test_the_writer_is_set_for_power_cuts_and_for_forgetting(
    path: Path, name: str, value: object
) -> None:
    async with open_notes(path) as database:
        assert await pragma(database, name) == value


async def test_a_store_is_opened_again_as_it_was_left(path: Path) -> None:
    for number in range(3):
        async with open_notes(path) as database:
            await database.write(add(number))

    assert stored(path) == {0, 1, 2}


async def test_an_error_inside_the_block_comes_out_as_it_is_and_the_writes_stay(
    path: Path,
) -> None:
    async def work() -> None:
        async with open_notes(path) as database:
            await database.write(add(1))
            raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        await work()

    assert stored(path) == {1}


async def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FolderUnusable, match="cannot be opened for writing"):
        async with open_database(
            tmp_path / "nowhere" / "store.sqlite", on_fatal=lambda reason: None, now=0.0
        ):
            raise AssertionError("a store without a folder was opened")


async def test_a_folder_in_the_stores_place_is_a_sentence(path: Path) -> None:
    path.mkdir()

    with pytest.raises(FolderUnusable, match=r"store\.sqlite cannot be used"):
        async with open_notes(path):
            raise AssertionError("a folder was opened as a store")


async def test_who_gives_up_a_look_through_the_store_does_not_wait_for_its_end(path: Path) -> None:
    begun = threading.Event()

    def find(store: sqlite3.Connection) -> str | None:
        begun.set()
        endless = (
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n"
        )
        store.execute(endless).fetchone()
        return None

    async with open_database(
        path, on_fatal=lambda reason: None, now=0.0, rooms=Rooms(find=find)
    ) as database:
        looking = asyncio.create_task(database.check())
        await asyncio.to_thread(begun.wait)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        assert database.failed is None
