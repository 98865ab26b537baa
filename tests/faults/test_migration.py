"""Stores of the first version, brought up to date by a gateway that is killed meanwhile."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.database.migrate import APPLICATION_ID, MIGRATIONS, migrate, newest
from tests.faults.adapter import Box, Ended, letters, open_box
from tests.faults.here import patience, times
from tests.faults.oracle import check_collected, check_started, look_inside
from tests.faults.tools.strace import KillPoints, at, killed_at
from wire.frames import MAX_PARCELS, Result

PARCELS = times(640, long=10_240)

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        yield opened


def set_back(store: Path, scripts: Path) -> None:
    """Make of a store one that the first version has written, with the same rows in it."""
    scripts.mkdir()
    shutil.copy(MIGRATIONS / "0001_first.sql", scripts)
    old = store.with_name("old")
    with closing(sqlite3.connect(old, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, old, folder=scripts)
        connection.execute("ATTACH ? AS newer", (str(store),))
        tables = connection.execute(
            "SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY rowid"
        ).fetchall()
        for (table,) in tables:
            columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
            wanted = ", ".join(columns)
            given = wanted
            if table == "deposit":  # then each said for itself whose it was
                given = wanted.replace(
                    "seat", "(SELECT l.seat FROM newer.lane l WHERE l.lane = deposit.lane)"
                )
            connection.execute(f"INSERT INTO {table} ({wanted}) SELECT {given} FROM newer.{table}")  # noqa: S608
        connection.execute("DETACH newer")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    old.rename(store)


def version(store: Path) -> int:
    """Return how many scripts a store has seen."""
    with closing(sqlite3.connect(store)) as connection:
        [(found,)] = connection.execute("PRAGMA user_version").fetchall()
        return int(found)


async def test_up_01_bringing_an_old_store_up_to_date_survives_a_kill_at_any_call(
    box: Box, tmp_path: Path
) -> None:
    """UP-01: a store of the first version, the gateway killed while it is changed; nothing lost."""
    await box.start()
    phone = await box.enrol()
    sender = await phone.sender()
    for _ in range(PARCELS // MAX_PARCELS):
        await sender.deposit(letters(sender.lane, MAX_PARCELS))
    await phone.ack((await phone.fetch())[:40])
    repeated = [box.ledger.offered[one] for one in list(box.ledger.owed)[:5]]
    await box.stop()
    set_back(box.store, tmp_path / "scripts")
    assert version(box.store) == 1

    points = KillPoints([*at("pwrite64", 3, 30), *at("fsync", 2), *at("?rename", 1)], most=120)
    for number, point in enumerate(points):
        again = Box(tmp_path / f"killed-{number}")
        shutil.copytree(box.data, again.data, ignore=shutil.ignore_patterns("*.sock"))
        again.ledger = box.ledger.copy()
        try:
            with suppress(Ended):
                await again.start(under=killed_at(point))
                await again.stop()
            points.note(await again.ended())
            check_started(await again.start())
            handset = replace(phone, box=again, bearer=b"")
            sender = await again.sender(sender.lane)
            assert set(await sender.deposit(repeated)) == {Result.STORED}  # remembered still
            owed = set(again.ledger.owed)
            await handset.reconnect()
            found = await handset.drain()
            check_collected(again, found, before=owed)
            assert {one.parcel.id for one in found} == owed
            assert await again.stop() == 0
            assert look_inside(again.store).parcels == ()
            assert version(again.store) == newest()
            [kept] = again.data.glob("gateway.sqlite.v*")
            assert (kept.name, version(kept)) == ("gateway.sqlite.v1", 1)
            assert not list(again.data.glob("*.part"))
        finally:
            await again.close()
        await asyncio.to_thread(shutil.rmtree, again.folder)
    assert points.reached
