"""A log that was damaged in its middle is told from one that a power cut has left unfinished."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.database.write_ahead import read_write_ahead

PAGE = 1024
FRAME = 24 + PAGE


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store whose five commits all lie in its log, as a killed process leaves it."""
    return killed(tmp_path, page=PAGE)


def killed(folder: Path, *, page: int) -> Path:
    live = folder / "live" / "store"
    live.parent.mkdir()
    with closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {page}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE note (body BLOB)")
        for number in range(4):
            connection.execute("INSERT INTO note VALUES (?)", (bytes([number]) * 20_000,))
        for suffix in ("", "-wal"):
            shutil.copy(f"{live}{suffix}", folder / f"store{suffix}")
    return folder / "store"


def log_of(store: Path) -> Path:
    return store.with_name("store-wal")


def turn(store: Path, at: int) -> None:
    content = bytearray(log_of(store).read_bytes())
    content[at] ^= 1
    log_of(store).write_bytes(content)


def replayed(store: Path) -> int:
    """Return how many frames SQLite takes for whole."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(frames)


def test_a_whole_log_has_lost_nothing(store: Path) -> None:
    log = read_write_ahead(store)

    assert log.sound
    assert len(log.commits) == 5
    assert not log.lost(replayed(store))


def test_no_log_has_lost_nothing(tmp_path: Path) -> None:
    assert not read_write_ahead(tmp_path / "store").lost(-1)


@pytest.mark.parametrize("part", [0, 4, 8, 16, 24, 500, FRAME - 1])
@pytest.mark.parametrize("commit", [0, 1, 2])
def test_a_bit_turned_before_two_commits_is_noticed(store: Path, commit: int, part: int) -> None:
    before = read_write_ahead(store).commits
    turn(store, 32 + (before[commit] - 1) * FRAME + part)
    log = read_write_ahead(store)

    assert log.lost(replayed(store))


@pytest.mark.parametrize("part", range(32))
def test_a_header_that_is_not_what_was_written_is_noticed(store: Path, part: int) -> None:
    turn(store, part)
    log = read_write_ahead(store)

    assert log.lost(replayed(store))


@pytest.mark.parametrize("part", [0, 9, 16, 24])
def test_a_header_over_pages_of_an_earlier_size_is_noticed(tmp_path: Path, part: int) -> None:
    store = killed(tmp_path, page=4096)
    turn(store, part)
    log = read_write_ahead(store)

    assert len(log.commits) == 5
    assert log.lost(replayed(store))


def test_a_last_commit_that_is_torn_is_no_damage(store: Path) -> None:
    last = read_write_ahead(store).commits[-1]
    turn(store, 32 + (last - 3) * FRAME + 500)
    log = read_write_ahead(store)

    assert not log.lost(replayed(store))


@pytest.mark.parametrize("length", [0, 1, 31, 32, 40, 32 + FRAME, 32 + 7 * FRAME + 100])
def test_a_log_that_was_cut_off_is_no_damage(store: Path, length: int) -> None:
    log_of(store).write_bytes(log_of(store).read_bytes()[:length])
    log = read_write_ahead(store)

    assert not log.lost(replayed(store))


def test_commits_of_an_earlier_round_do_not_count(tmp_path: Path) -> None:
    live = tmp_path / "store"
    with closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE note (body BLOB)")
        for _ in range(5):
            connection.execute("INSERT INTO note VALUES (zeroblob(20000))")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        connection.execute("DELETE FROM note WHERE rowid = 1")
        log = read_write_ahead(live)

        assert len(log.commits) == 1
        assert not log.lost(0)
