"""A file is turned into a sealed one and back: all of it, whatever happens meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from peer.errors import InUse, PersonExists, StoreUnusable
from peer.keys.file_key import FileKey, Header
from peer.resealing import (
    NEW_NAME,
    TURNING_NAME,
    begin_sealed,
    change_header,
    seal_file,
    unseal_file,
)
from peer.schema import MIGRATIONS
from peer.store import FILE_NAME, SEALED_NAME, open_store
from tests.faults.tools.strace import KillPoints, at, killed_at
from tests.peer.locked import (
    CANARY,
    CHEAP,
    NAMES,
    PIN,
    key_of,
    lock,
    opened,
    readable,
    sing,
    sings,
    unlock,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the folder of a phone that is not sealed."""
    store = opened(tmp_path / "phone")
    sing(store)
    store.close()
    return tmp_path / "phone"


def tables(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all that is in a phone's file."""
    store = opened(home)
    names = store.db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    found: dict[str, list[tuple[object, ...]]] = {"": names}
    for name, sql in names:
        if sql and sql.startswith("CREATE TABLE"):
            found[name] = store.db.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608  # ours
    found["versions"] = [
        store.db.execute(f"PRAGMA {one}").fetchone() for one in ("application_id", "user_version")
    ]
    store.close()
    return found


def test_everything_is_there_afterwards_and_nothing_can_be_read(home: Path) -> None:
    before = tables(home)
    assert readable(home) == [FILE_NAME]
    lock(home)

    assert readable(home) == []
    assert {one.name for one in home.iterdir()} == NAMES - {FILE_NAME}
    assert tables(home) == before
    assert before["versions"][1] == (len(MIGRATIONS),)


def test_and_back(home: Path) -> None:
    before = tables(home)
    lock(home)
    unlock(home)

    assert {one.name for one in home.iterdir()} == {FILE_NAME, "phone.lock"}
    assert tables(home) == before


def test_what_was_still_in_the_log_comes_along(home: Path) -> None:
    program = """
import os, pathlib, sys
from peer.store import open_store
store = open_store(pathlib.Path(sys.argv[1]))
with store.transaction():
    store.keep_note("late", b"in the log")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program, home], check=True)
    assert (home / f"{FILE_NAME}-wal").stat().st_size > 0
    lock(home)

    store = opened(home)
    assert store.note("late") == b"in the log"
    store.close()


def test_a_file_that_somebody_has_open_is_not_turned(home: Path) -> None:
    watching = open_store(home)
    assert watching is not None
    with pytest.raises(InUse, match="such as watch"):
        lock(home)
    with watching.transaction():
        watching.keep_note("late", b"and nothing is lost")
    watching.close()
    lock(home)
    store = opened(home)
    assert store.note("late") == b"and nothing is lost"
    with pytest.raises(InUse):
        unlock(home)
    store.close()


def test_a_damaged_file_is_left_as_it_was(home: Path) -> None:
    data = bytearray((home / FILE_NAME).read_bytes())
    at_canary = data.index(CANARY[:16])
    data[at_canary - 200 : at_canary] = bytes(200)  # cells and their sizes
    (home / FILE_NAME).write_bytes(data)

    with pytest.raises(StoreUnusable):
        lock(home)
    assert (home / FILE_NAME).read_bytes()[100:] == data[100:]
    assert {one.name for one in home.iterdir()} == {FILE_NAME, "phone.lock"}


def test_a_full_disk_leaves_it_as_it_was(home: Path) -> None:
    program = """
import pathlib, resource, signal, sys
from peer.errors import StoreUnusable
from tests.peer.locked import lock, unlock
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))
try:
    (lock if sys.argv[2] == "lock" else unlock)(pathlib.Path(sys.argv[1]))
except StoreUnusable as error:
    print(error)
"""
    before = tables(home)
    for work in ("lock", "unlock"):
        said = subprocess.run(
            [sys.executable, "-c", program, home, work], check=True, capture_output=True, text=True
        ).stdout
        assert said
        assert tables(home) == before
        assert not (home / NEW_NAME).exists()
        assert not (home / TURNING_NAME).exists()
        lock(home)


TURNS = """
import pathlib, sys
from tests.peer.locked import lock, unlock
(lock if sys.argv[2] == "lock" else unlock)(pathlib.Path(sys.argv[1]))
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("work", ["lock", "unlock"])
def test_a_phone_that_dies_while_it_is_turned_has_lost_nothing(tmp_path: Path, work: str) -> None:
    points = KillPoints(
        [
            *at("pwrite64", 1, 40),
            *at("fsync", *range(1, 9)),
            *at("?rename", 1, 2),
            *at("?unlink", 1, 2, 3, 4),
        ],
        most=400,
    )
    for number, point in enumerate(points):
        home = tmp_path / str(number)
        store = opened(home)
        sing(store)
        store.close()
        if work == "unlock":
            lock(home)
        died = subprocess.run(
            [*killed_at(point), sys.executable, "-B", "-c", TURNS, home, work],
            capture_output=True,
            check=False,
        )
        points.note(died.returncode)

        store = opened(home)
        assert sings(store), point
        with store.transaction():
            store.keep_note("after", b"goes on")
        sealed = store.sealed
        store.close()
        assert sealed == (home / SEALED_NAME).exists() != (home / FILE_NAME).exists(), point
        assert {one.name for one in home.iterdir()} <= NAMES, point
        assert (home / "phone.key").exists() == sealed, point
        assert readable(home) == ([] if sealed else [FILE_NAME]), point
        (unlock if sealed else lock)(home)  # and it can be turned
    assert points.reached > 10


def test_who_finds_both_files_and_no_sign_of_a_change_takes_the_sealed_one(home: Path) -> None:
    plain = (home / FILE_NAME).read_bytes()
    lock(home)
    (home / FILE_NAME).write_bytes(plain)

    store = opened(home)
    assert store.sealed
    store.close()
    assert (home / FILE_NAME).read_bytes() == plain  # it is not ours to delete


def test_the_old_blocks_are_overwritten_before_their_file_is_removed(home: Path) -> None:
    """A second name of the old file shows what became of its blocks."""
    os.link(home / FILE_NAME, home.parent / "blocks")
    lock(home)

    assert set((home.parent / "blocks").read_bytes()) == {0}


def test_of_two_who_turn_it_at_once_one_is_told_to_try_again(home: Path) -> None:
    """Both have read the same header; the slower one finds that it is over."""
    key = FileKey.generate()
    header = Header.under_pin(key, PIN, cost=CHEAP)
    seal_file(home, key, header)
    with pytest.raises(InUse):
        seal_file(home, FileKey.generate(), Header.under_pin(key, "another one", cost=CHEAP))
    assert key_of(home) == key
    unseal_file(home, key)
    with pytest.raises(InUse):
        unseal_file(home, key)
    with pytest.raises(InUse):
        change_header(home, header)

    store = opened(home)
    assert sings(store)
    store.close()


def test_the_header_of_a_file_is_not_replaced_by_that_of_the_one_before(home: Path) -> None:
    before = FileKey.generate()
    seal_file(home, before, Header.under_pin(before, PIN, cost=CHEAP))
    unseal_file(home, before)
    lock(home)
    with pytest.raises(InUse):
        change_header(home, Header.under_pin(before, PIN, cost=CHEAP))

    assert key_of(home) is not None


def test_no_header_is_made_for_a_phone_that_is_there(home: Path) -> None:
    key = FileKey.generate()
    with pytest.raises(PersonExists):
        begin_sealed(home, Header.under_pin(key, PIN, cost=CHEAP))
    lock(home)
    with pytest.raises(PersonExists):
        begin_sealed(home, Header.under_pin(key, PIN, cost=CHEAP))
    assert key_of(home) != key
