"""A thief has a phone's disk, and neither its PIN nor its login."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer import sqlite
from peer.app import open_peer
from peer.errors import StoreUnusable, WrongPin
from peer.header import KEY_NAME, read_header
from peer.keys.file_key import PIN_COST
from peer.locking import Locking
from peer.store import SEALED_NAME
from tests.peer.household import Household, Phone, befriend, household
from tests.peer.locked import PIN, key_of, lock, opened, sing, sings

LETTER = "The soup is on the stove, and nobody else knows where the key lies."
WORDS = re.compile(rb"[ -~]{30,}")
"""What a search for readable text finds. In so many random bytes it finds thirty in a row never."""


@pytest.fixture(name="home")
async def _home(tmp_path: Path) -> AsyncIterator[Household]:
    async with household(tmp_path) as opened:
        yield opened


async def _well_used(home: Household) -> Phone:
    """Give Anna's phone, sealed and off: she has written and got letters before and after."""
    box = await home.box()
    anna, ben = await home.phone("Anna", box), await home.phone("Ben", box)
    await befriend(anna, ben)
    await anna.peer.send("Ben", LETTER)
    await ben.peer.send("Anna", LETTER)
    await anna.peer.read()
    await anna.close()
    lock(anna.home)
    async with open_peer(anna.home, ask_pin=_typed, now=home.hands.now) as peer:
        await peer.send("Ben", LETTER)
    return anna


async def _typed() -> str:
    return PIN


def secrets_of(home: Path) -> set[bytes]:
    """Return what must not be found: every text and every key, name and id of the phone's file."""
    store = opened(home)
    tables = store.db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    values = {
        value.encode() if isinstance(value, str) else bytes(value)
        for (name,) in tables
        for row in store.db.execute(f"SELECT * FROM {name}")  # noqa: S608  # the file's own names
        for value in row
        if isinstance(value, str | bytes)
    }
    store.close()
    return {value for value in values if len(value) >= 8}


async def test_nothing_of_a_phone_that_is_off_is_found_on_its_disk(home: Household) -> None:
    anna = await _well_used(home)
    secrets = secrets_of(anna.home)
    assert any(LETTER.encode() in one for one in secrets)
    files = {one.name: one.read_bytes() for one in anna.home.iterdir()}

    assert {name for name, data in files.items() if data} == {SEALED_NAME, KEY_NAME}
    assert all(name.startswith("phone.") for name in files)  # what only one may do at a time
    for data in files.values():
        assert [one for one in secrets if one in data or one.hex().encode() in data] == []
        assert WORDS.findall(data) == []


def test_neither_is_it_when_it_was_killed_at_work(tmp_path: Path) -> None:
    """With all that a program leaves behind that had no time to tidy up: logs, journals."""
    lock_first = tmp_path / "phone"
    opened(lock_first).close()
    lock(lock_first)
    program = """
import pathlib, signal, sys
from tests.peer.locked import CANARY, opened, sing
store = opened(pathlib.Path(sys.argv[1]))
store.db.execute("PRAGMA cache_size = 5")
sing(store)
with store.transaction():
    for number in range(2000):
        store.keep_note(f"canary again/{number}", CANARY * 10)
    print("ready", flush=True)
    signal.pause()
"""
    busy = subprocess.Popen([sys.executable, "-c", program, lock_first], stdout=subprocess.PIPE)
    assert busy.stdout is not None
    assert busy.stdout.readline() == b"ready\n"
    opens = [Path(f"/proc/{busy.pid}/fd/{one}") for one in os.listdir(f"/proc/{busy.pid}/fd")]
    files = {one.resolve() for one in opens if one.resolve().is_file()}
    data = {one: one.read_bytes() for one in files if one != Path(sys.executable)}
    busy.send_signal(signal.SIGKILL)
    busy.wait()
    busy.stdout.close()

    data |= {one: one.read_bytes() for one in lock_first.iterdir()}
    assert {f"{SEALED_NAME}-wal", SEALED_NAME} <= {one.name for one in data}
    for path, content in data.items():
        assert b"canary" not in content, path
        assert b"SQLite format" not in content, path
    store = opened(lock_first)
    assert sings(store)
    assert store.note("canary again/0") is None
    store.close()


def test_a_thief_tries_pins_as_slowly_as_the_document_says(tmp_path: Path) -> None:
    opened(tmp_path).close()
    Locking(tmp_path).lock_with_pin(PIN, None)
    header = read_header(tmp_path)
    assert header is not None
    assert header.cost == PIN_COST

    began = time.process_time()
    with pytest.raises(WrongPin):
        key_of(tmp_path, "123456")
    assert time.process_time() - began > 0.1


def test_a_copy_of_the_disk_is_no_better_than_the_disk(tmp_path: Path) -> None:
    """Nor is a copy of before: a PIN that was changed opens what it opened, and no more."""
    store = opened(tmp_path / "phone")
    sing(store)
    store.close()
    lock(tmp_path / "phone")
    shutil.copytree(tmp_path / "phone", tmp_path / "copy")
    lock(tmp_path / "phone", "battery staple")

    for _ in range(5):
        with pytest.raises(WrongPin):
            key_of(tmp_path / "copy", "battery staple")
        with pytest.raises(WrongPin):
            key_of(tmp_path / "phone", PIN)
    (tmp_path / "copy" / KEY_NAME).unlink()
    with pytest.raises(StoreUnusable, match="nothing else opens it"):
        key_of(tmp_path / "copy")


@pytest.mark.parametrize("where", [16, 4096 + 100, -40])
def test_a_page_that_was_altered_is_noticed_and_nothing_of_it_is_taken(
    tmp_path: Path, where: int
) -> None:
    store = opened(tmp_path)
    sing(store)
    store.close()
    lock(tmp_path)
    data = bytearray((tmp_path / SEALED_NAME).read_bytes())
    data[where] ^= 1
    (tmp_path / SEALED_NAME).write_bytes(data)

    with pytest.raises((StoreUnusable, sqlite.Error)):
        _read_all(tmp_path)


def _read_all(home: Path) -> None:
    store = opened(home)
    try:
        tables = store.db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (name,) in tables:
            store.db.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608  # its own names
        assert store.db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        store.close()
