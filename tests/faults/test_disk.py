"""Disks that lose power, fail, or have no room, under a gateway that is being written to."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.faults.adapter import Box, letters, open_box
from tests.faults.conftest import Amount
from tests.faults.here import patience, times
from tests.faults.oracle import check_bounds, check_disk, collect_and_check, look_inside
from tests.faults.tools.powercut import card
from tests.faults.tools.strace import broken

SENDERS: Final = 8
CARELESS: Final = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("PRAGMA journal_mode = WAL")
store.execute("PRAGMA synchronous = NORMAL")
store.execute("CREATE TABLE t (n)")
store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
for n in range(500):
    store.execute("INSERT INTO t VALUES (?)", (n,))
print("done", flush=True)
sys.stdin.read()
"""
"""A program that is told its rows are stored, and does not ask whether they are on the disk."""

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        yield opened


async def test_cr_03_a_power_cut_loses_nothing_that_was_acknowledged(
    tmp_path: Path, amount: Amount
) -> None:
    """CR-03: the power goes while eight senders deposit; nothing acknowledged is lost or broken."""
    with card(tmp_path) as disk:
        async with open_box(tmp_path / "box") as box:
            box.data = disk.place / "data"
            await box.start()
            phone = await box.enrol()
            lanes = await phone.lanes(SENDERS)
            cuts = times(5, long=1000)
            for n in range(cuts):
                senders = await box.senders(lanes)
                working = [asyncio.create_task(one.keep_on(size=1024)) for one in senders]
                await box.ledger.until_stored(len(box.ledger.stored) + 20 + 17 * (n % 13))
                disk.cut(box.pid)
                await asyncio.gather(*working)
                await box.kill()
                disk.remove()
                disk.insert()

                stored = set(look_inside(box.store).parcels)
                assert box.ledger.owed <= stored, f"lost at cut {n}"
                assert stored <= box.ledger.possible

                await box.start()
                await collect_and_check(box, phone)
            amount(f"{cuts} power cuts, {len(box.ledger.stored)} parcels acknowledged, 0 lost")
            check_bounds(box)
            await box.stop()
            check_disk(box)


def test_cr_03_the_cut_finds_what_was_not_fsynced(tmp_path: Path) -> None:
    """CR-03: a store that waits for no fsync loses rows, so the cut does cut."""
    with card(tmp_path) as disk:
        store = disk.place / "careless.sqlite"
        with subprocess.Popen(
            [sys.executable, "-c", CARELESS, store],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "done\n"
            disk.cut(process.pid)
        disk.remove()
        disk.insert()
        with closing(sqlite3.connect(store)) as connection:
            [(kept,)] = connection.execute("SELECT count(*) FROM t").fetchall()

    assert kept < 500


async def test_cr_07_after_a_failed_fsync_nothing_more_is_acknowledged(
    box: Box, amount: Amount
) -> None:
    """CR-07: one fsync fails; its group is not acknowledged, the process ends, all else is kept."""
    await box.start()
    phone = await box.enrol()
    lanes = await phone.lanes(SENDERS)
    await box.stop()
    failures = range(20, 21 + times(0, long=80))
    amount(f"failed fsyncs: {len(failures)}")
    for nth in failures:
        await box.start(under=broken("fdatasync,fsync", f"error=EIO:when={nth}"))
        senders = await box.senders(lanes)
        endings = await asyncio.gather(*(one.keep_on() for one in senders))
        status = await box.ended()

        assert set(endings) <= {"no answer", "storage-failed"}, endings
        assert status == 1
        assert "the disk failed" in box.logged
        assert box.store.with_name("gateway.sqlite.failed").exists()
        assert box.ledger.stored <= set(look_inside(box.store).parcels) <= set(box.ledger.offered)

    await box.start()
    assert "checked and is whole" in box.logged
    await collect_and_check(box, phone)
    await box.stop()


async def test_cr_09_a_full_disk_refuses_and_heals_without_a_restart(box: Box) -> None:
    """CR-09: no room for the log; refused by name, collecting goes on, room again is noticed."""
    await box.start()
    phone = await box.enrol()
    sender = await phone.sender()
    before = letters(sender.lane, 5)
    await sender.deposit(before)
    lanes = await phone.lanes(SENDERS)
    await box.stop()
    await box.start(under=broken("pwrite64", "error=ENOSPC:when=40..150"))
    await phone.reconnect()
    senders = await box.senders(lanes)

    endings = await asyncio.gather(*(one.keep_on() for one in senders))

    assert set(endings) == {"disk-full"}
    found = await phone.fetch()  # even now
    assert [one.parcel for one in found[:5]] == before
    refused = [one for one in box.ledger.offered.values() if one.id in box.ledger.refused]
    for one in senders:
        await one.insist([parcel for parcel in refused if parcel.lane == one.lane.id])
    await collect_and_check(box, phone)
    assert await box.health()
    assert await box.stop() == 0
    look_inside(box.store)


async def test_cr_09_a_disk_that_is_really_full_is_drained(tmp_path: Path) -> None:
    """CR-09: a small disk is filled with parcels; they are collected, and there is room again."""
    with card(tmp_path, mebibytes=48) as disk:
        async with open_box(tmp_path / "box") as box:
            box.data = disk.place / "data"
            await box.start()
            phone = await box.enrol()
            sender = await phone.sender()

            assert await sender.keep_on(size=65536, batch=8) == "disk-full"

            assert len(box.ledger.stored) > 40
            owed = set(box.ledger.owed)
            found = await phone.drain()
            assert {one.parcel.id for one in found} == owed
            await sender.insist(letters(sender.lane, 1))
            await collect_and_check(box, phone)
            assert await box.stop() == 0
            assert look_inside(box.store).parcels == ()
            check_disk(box)


async def test_cr_16_a_write_that_came_short_is_not_acknowledged(box: Box) -> None:
    """CR-16: the disk takes none of a write's bytes; not acknowledged, nothing is damaged."""
    await box.start()
    phone = await box.enrol()
    lanes = await phone.lanes(SENDERS)
    await box.stop()
    await box.start(under=broken("pwrite64", "retval=0:when=60"))
    senders = await box.senders(lanes)

    endings = await asyncio.gather(*(one.keep_on() for one in senders))
    assert set(endings) == {"disk-full"}
    await box.kill()

    assert box.ledger.stored <= set(look_inside(box.store).parcels) <= set(box.ledger.offered)
    await box.start()
    await collect_and_check(box, phone)
