"""Reads: on one snapshot, without the right to write, whoever leaves."""

import asyncio
import sqlite3
from pathlib import Path

import aiosqlite
import pytest

from gateway.database.readers import WAITING
from gateway.errors import Busy
from tests.gateway.database.notes import add, open_notes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def count(connection: aiosqlite.Connection) -> int:
    [row] = await connection.execute_fetchall("SELECT count(*) FROM note")
    return int(row[0])


async def test_a_read_sees_what_was_acknowledged(path: Path) -> None:
    async with open_notes(path) as database:
        for number in range(3):
            await database.write(add(number))
            assert await database.read(count) == number + 1


async def test_a_read_sees_one_state_however_long_it_takes(path: Path) -> None:
    async with open_notes(path) as database:
        await database.write(add(1))
        looked, written = asyncio.Event(), asyncio.Event()

        async def twice(connection: aiosqlite.Connection) -> tuple[int, int]:
            first = await count(connection)
            looked.set()
            await written.wait()
            return first, await count(connection)

        reading = asyncio.create_task(database.read(twice))
        await looked.wait()
        await database.write(add(2))
        written.set()

        assert await reading == (1, 1)
        assert await database.read(count) == 2


async def test_a_read_cannot_write(path: Path) -> None:
    async def intrude(connection: aiosqlite.Connection) -> None:
        await connection.execute("INSERT INTO note VALUES (1, x'00')")

    async with open_notes(path) as database:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await database.read(intrude)

        assert await database.read(count) == 0


async def test_readers_who_leave_leave_the_pool_whole(path: Path) -> None:
    async with open_notes(path) as database:
        readers = [asyncio.create_task(database.read(count)) for _ in range(50)]
        await asyncio.sleep(0)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

        assert await asyncio.gather(*(database.read(count) for _ in range(20))) == [0] * 20


async def test_too_many_reads_are_refused_at_once(path: Path) -> None:
    async with open_notes(path) as database:
        gate = asyncio.Event()

        async def hold(connection: aiosqlite.Connection) -> None:
            await gate.wait()

        readers = [asyncio.create_task(database.read(hold)) for _ in range(WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await database.read(count)
        gate.set()
        await asyncio.gather(*readers)

        assert await database.read(count) == 0


async def test_an_error_of_the_reading_reaches_its_caller(path: Path) -> None:
    async def stumble(connection: aiosqlite.Connection) -> None:
        raise ValueError("stumbled")

    async with open_notes(path) as database:
        with pytest.raises(ValueError, match="stumbled"):
            await database.read(stumble)

        assert await database.read(count) == 0


async def test_a_look_sees_what_was_acknowledged_and_cannot_write(path: Path) -> None:
    async with open_notes(path) as database:
        for number in range(3):
            await database.write(add(number))
            found = await database.look("SELECT max(number) FROM note WHERE number >= ?", 0)
            assert [tuple(row) for row in found] == [(number,)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await database.look("DELETE FROM note")


async def test_those_who_look_and_leave_leave_the_pool_whole(path: Path) -> None:
    async with open_notes(path) as database:
        await database.write(add(1))
        sql = (
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 20000)"
            " SELECT count(*) FROM c"
        )
        looks = [asyncio.create_task(database.look(sql)) for _ in range(30)]
        await asyncio.sleep(0.01)
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

        assert await database.read(count) == 1
        assert [tuple(row) for row in await database.look("SELECT number FROM note")] == [(1,)]


async def test_more_looks_than_may_wait_are_refused(path: Path) -> None:
    async with open_notes(path) as database:
        looks = [database.look("SELECT 1") for _ in range(WAITING + 5)]
        found = await asyncio.gather(*looks, return_exceptions=True)

        assert sum(isinstance(one, Busy) for one in found) == 5
