"""Stores that another version has written."""

import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.adapter import Box, Ended, letters, open_box
from tests.faults.oracle import collect_and_check


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        yield opened


def set_version(store: Path, change: int) -> None:
    """Write another version into the first page, as another program would have."""
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        [(version,)] = connection.execute("PRAGMA user_version").fetchall()
        connection.execute(f"PRAGMA user_version = {version + change}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def contents(folder: Path) -> dict[str, str]:
    """Return a hash of each file that holds something of the store."""
    return {
        one.name: hashlib.sha256(one.read_bytes()).hexdigest()
        for one in folder.glob("gateway.sqlite*")
    }


async def test_up_02_a_store_of_a_newer_gateway_is_refused_untouched(box: Box) -> None:
    """UP-02: an older program says so in a sentence, ends, and has changed nothing."""
    await box.start()
    phone = await box.enrol()
    sender = await phone.sender()
    await sender.deposit(letters(sender.lane, 5))
    await box.stop()
    set_version(box.store, +1)
    before = contents(box.data)

    with pytest.raises(Ended) as ended:
        await box.start()

    assert ended.value.status == 1
    assert "newer" in box.logged
    assert str(box.store) in box.logged
    assert "Traceback" not in box.logged
    assert contents(box.data) == before
    set_version(box.store, -1)
    await box.start()
    assert len(await collect_and_check(box, phone)) == 5
