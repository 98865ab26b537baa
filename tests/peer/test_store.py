import multiprocessing
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from peer import sqlite
from peer.errors import CannotSeal, Locked, NewerStore, StoreUnusable
from peer.keys.errors import Damaged
from peer.keys.file_key import FileKey
from peer.schema import MIGRATIONS
from peer.store import FILE_NAME, LOCK_NAME, Store, open_store

PER_PROCESS = 40


def opened(home: Path) -> Store:
    store = open_store(home, create=True)
    assert store is not None
    return store


@pytest.fixture(name="home")
def _home(tmp_path: Path) -> Path:
    return tmp_path / "phone"


@pytest.fixture(name="store")
def _store(home: Path) -> Iterator[Store]:
    store = opened(home)
    yield store
    store.close()


def test_where_there_is_nothing_nothing_is_made_without_being_asked(home: Path) -> None:
    assert open_store(home) is None
    assert not home.exists()


def test_files_and_folder_are_for_their_user_alone(home: Path, store: Store) -> None:
    with store.transaction():
        store.keep_note("a", b"b")

    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    files = {one.name: stat.S_IMODE(one.stat().st_mode) for one in home.iterdir()}
    assert files == dict.fromkeys(
        [FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", LOCK_NAME], 0o600
    )


def test_a_file_that_others_can_read_is_closed_to_them(home: Path) -> None:
    opened(home).close()
    (home / FILE_NAME).chmod(0o644)
    opened(home).close()

    assert stat.S_IMODE((home / FILE_NAME).stat().st_mode) == 0o600


def test_what_was_committed_is_there_for_the_next(home: Path) -> None:
    store = opened(home)
    with store.transaction():
        store.keep_note("name", b"Ana")
    store.close()
    again = opened(home)

    assert again.note("name") == b"Ana"
    assert again.note("other") is None
    again.close()


def test_a_step_that_fails_leaves_nothing(store: Store) -> None:
    def fails() -> None:
        with store.transaction():
            store.keep_note("name", b"Ana")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert store.note("name") is None
    with store.transaction():  # and nothing is left open
        store.keep_note("name", b"Ben")


def test_every_commit_is_on_the_disk(store: Store) -> None:
    assert store.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store.db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store.db.execute("PRAGMA secure_delete").fetchone() == (1,)


def test_what_was_deleted_is_in_no_file_any_more(home: Path) -> None:
    store, needle = opened(home), b"a key that was used up"
    with store.transaction():
        store.keep_note("key", needle)
    with store.transaction():
        store.keep_note("key", None)
    store.close()

    assert not any(needle in one.read_bytes() for one in home.iterdir())


@pytest.mark.parametrize("key", [None, FileKey(bytes(16), bytes(32))], ids=["plain", "sealed"])
def test_processes_that_count_at_once_lose_no_step(home: Path, key: FileKey | None) -> None:
    _opened_with(home, key).close()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(home, key)) for _ in range(3)]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    store = _opened_with(home, key)

    assert [one.exitcode for one in processes] == [0, 0, 0]
    assert store.note("count") == (3 * PER_PROCESS).to_bytes(4, "big")
    assert store.db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


def _opened_with(home: Path, key: FileKey | None) -> Store:
    store = open_store(home, create=True, key=key)
    assert store is not None
    return store


def _count(home: Path, key: FileKey | None) -> None:
    for _ in range(PER_PROCESS):
        store = _opened_with(home, key)
        with store.transaction():
            count = int.from_bytes(store.note("count") or b"", "big")
            store.keep_note("count", (count + 1).to_bytes(4, "big"))
        store.close()


def test_a_new_file_with_a_key_is_sealed_and_opens_with_no_other(home: Path) -> None:
    key = FileKey.generate()
    store = _opened_with(home, key)
    with store.transaction():
        store.keep_note("name", b"a name that nobody reads")
    assert store.sealed
    assert not any(b"nobody reads" in one.read_bytes() for one in home.iterdir())
    store.close()

    with pytest.raises(Locked):
        opened(home)
    with pytest.raises(StoreUnusable, match="belongs to another file"):
        _opened_with(home, FileKey.generate())
    store = _opened_with(home, key)
    assert store.note("name") == b"a name that nobody reads"
    store.close()


def test_a_plain_file_stays_plain_whatever_key_is_at_hand(home: Path) -> None:
    opened(home).close()
    store = _opened_with(home, FileKey.generate())

    assert not store.sealed
    store.close()


def test_where_nothing_can_seal_a_sealed_file_is_left_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = FileKey.generate()
    _opened_with(home, key).close()
    monkeypatch.setattr(sqlite, "CAN_SEAL", False)

    with pytest.raises(CannotSeal, match="Encrypt its disk"):
        _opened_with(home, key)


def test_a_newer_file_is_refused_and_left_as_it_is(home: Path) -> None:
    store = opened(home)
    store.db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    store.close()
    before = (home / FILE_NAME).read_bytes()

    with pytest.raises(NewerStore, match="update this program"):
        opened(home)
    assert (home / FILE_NAME).read_bytes() == before


def test_another_programs_file_is_refused_and_left_as_it_is(home: Path) -> None:
    home.mkdir()
    with sqlite.connect(home / FILE_NAME) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = (home / FILE_NAME).read_bytes()

    with pytest.raises(StoreUnusable, match="belongs to another program"):
        opened(home)
    assert (home / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("length", [60, 4096])
def test_a_file_that_is_no_database_is_called_damaged(home: Path, length: int) -> None:
    home.mkdir()
    (home / FILE_NAME).write_bytes(b"?" * length)

    with pytest.raises(StoreUnusable, match="is damaged and was left as it is"):
        opened(home)
    assert (home / FILE_NAME).read_bytes() == b"?" * length


def test_a_file_that_was_cut_is_called_damaged(home: Path) -> None:
    opened(home).close()
    with (home / FILE_NAME).open("r+b") as file:
        file.truncate(4096)

    with pytest.raises(StoreUnusable, match="is damaged"):
        opened(home)


def test_keys_that_nobody_can_have_written_are_called_damage(store: Store) -> None:
    with pytest.raises(StoreUnusable, match="is damaged"), store.transaction():
        raise Damaged("a session has another form")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StoreUnusable, match="choose another folder with --home"):
        open_store(tmp_path / "file" / "phone", create=True)


def test_a_file_of_another_user_is_refused_in_words() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own let nobody else pass
        home = Path(folder) / "phone"
        opened(home).close()
        (home / FILE_NAME).chmod(0o400)
        (home / LOCK_NAME).chmod(0o666)
        for one in (home.parent, home):
            one.chmod(0o755)
        said = _said_by(AS_NOBODY, home)

    assert "cannot be written; run this as its owner" in said


AS_NOBODY = """
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    open_store(home)
except StoreUnusable as error:
    print(error)
"""


def test_a_full_disk_is_said_and_changes_nothing(home: Path) -> None:
    store = opened(home)
    with store.transaction():
        store.keep_note("name", b"Ana")
    store.close()
    said, notes = _said_by(ON_A_FULL_DISK, home).splitlines()

    assert "there is no space left" in said
    assert "nothing was changed" in said
    assert notes == "b'Ana' b'still works'"


ON_A_FULL_DISK = """
store = open_store(home)
(pages,) = store.db.execute("PRAGMA page_count").fetchone()
store.db.execute(f"PRAGMA max_page_count = {pages + 2}")
try:
    with store.transaction():
        store.keep_note("name", b"Ben")
        store.keep_note("much", bytes(4 << 20))
except StoreUnusable as error:
    print(error)
with store.transaction():
    store.keep_note("small", b"still works")
print(store.note("name"), store.note("small"))
store.close()
"""

BEFORE = """
import os, pathlib, sys
from peer.errors import StoreUnusable
from peer.store import open_store
home = pathlib.Path(sys.argv[1])
"""


def _said_by(program: str, home: Path) -> str:
    """Run a program in a process of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + program, str(home)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
