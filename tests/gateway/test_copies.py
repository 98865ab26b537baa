"""The copy of which a backup is made: one at a time, whole, and soon gone."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.copies import Copies, NoRoom
from gateway.database.migrate import newest
from gateway.errors import Busy, StorageFailed
from tests.gateway.mailbox.house import House, open_house, parcel
from wire.frames import Result


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path / "store.sqlite") as opened:
        yield opened


async def test_what_is_committed_is_in_the_copy(house: House, tmp_path: Path) -> None:
    lane = await house.lane(await house.seat())
    await house.put(lane, parcel(lane), parcel(lane))
    copies = Copies(house.database, tmp_path / "store.sqlite")

    made = await copies.make()
    await house.put(lane, parcel(lane))

    assert made == {
        "store": str(tmp_path / "store.sqlite.copy"),
        "schema": newest(),
        "seats": 1,
        "parcels": 2,
    }
    with closing(sqlite3.connect(made["store"])) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(*) FROM parcel").fetchone() == (2,)
    copies.drop()
    copies.drop()
    assert not list(tmp_path.glob("*.copy*"))


async def test_another_copy_takes_the_place_of_one_that_nobody_took(
    house: House, tmp_path: Path
) -> None:
    copies = Copies(house.database, tmp_path / "store.sqlite")
    await copies.make()

    assert (await copies.make())["seats"] == 0


async def test_one_is_made_at_a_time(house: House, tmp_path: Path) -> None:
    copies = Copies(house.database, tmp_path / "store.sqlite")
    results = await asyncio.gather(copies.make(), copies.make(), return_exceptions=True)

    assert [type(one) for one in results] == [dict, Busy]


async def test_deposits_go_on_while_one_is_made(house: House, tmp_path: Path) -> None:
    lane = await house.lane(await house.seat())
    for _ in range(20):
        await house.put(lane, *(parcel(lane, size=65536) for _ in range(8)))
    copies = Copies(house.database, tmp_path / "store.sqlite")
    making = asyncio.create_task(copies.make())
    stored = 0
    while not making.done():
        stored += await house.put(lane, parcel(lane)) == [Result.STORED]

    assert stored
    assert 160 <= (await making)["parcels"] <= 160 + stored


async def test_a_disk_without_room_says_how_much_is_missing(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 30, 1 << 30, 1 << 20))

    with pytest.raises(NoRoom, match="32 MiB more") as refused:
        await Copies(house.database, tmp_path / "store.sqlite").make()

    assert refused.value.needed > 31 << 20
    assert not list(tmp_path.glob("*.copy*"))


async def test_of_a_damaged_store_no_copy_is_made(house: House, tmp_path: Path) -> None:
    lane = await house.lane(await house.seat())
    await house.put(lane, parcel(lane))
    await house.look("PRAGMA writable_schema = ON")
    await house.look("UPDATE sqlite_master SET rootpage = 99999 WHERE name = 'lane'")

    with pytest.raises(StorageFailed):
        await Copies(house.database, tmp_path / "store.sqlite").make()

    assert not list(tmp_path.glob("*.copy*"))
