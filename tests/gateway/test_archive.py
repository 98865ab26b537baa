"""A backup of a running gateway is whole, and is put back only where it can do no harm."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import archive
from gateway.app import STORE_NAME
from gateway.archive import About, CannotWrite, FolderTaken, back_up, restore, verify
from gateway.backup import (
    BackupUnusable,
    DamagedBackup,
    NewerBackup,
    NoBackup,
    WrongSecret,
    seal,
    unseal,
)
from gateway.config import FILE_NAME
from gateway.control_client import NotRunning
from gateway.database.migrate import PAGE_BYTES
from gateway.errors import AlreadyRunning, FolderUnusable
from gateway.identity import KEY_NAME, TLS_NAME, VAPID_NAME
from tests.gateway.processes import pair_phone, started

SECRET = "a passphrase for tests"  # noqa: S105


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a backup `box` of the gateway in `data`, which has stopped since."""
    folder = tmp_path_factory.mktemp("made")

    async def work() -> None:
        (folder / "data").mkdir()
        (folder / "data" / FILE_NAME).write_text(
            "seat_limit = '1 MiB'\nweb_push = 'mailto:anna@example.org'\n"
        )
        async with started(folder) as gateway:
            await pair_phone(gateway)
            await asyncio.to_thread(
                back_up,
                gateway.data,
                folder / "box",
                secret=SECRET,
                settings=gateway.data / FILE_NAME,
            )

    asyncio.run(work())
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


def remade(made: Path, target: Path, change: Callable[[bytes], bytes]) -> Path:
    """Seal what is in the backup once more, with something changed; return the new file."""
    with (made / "box").open("rb") as source:
        content = b"".join(unseal(source, path=made, secret=SECRET))
    with target.open("wb") as out:
        seal([change(content)], out, secret=SECRET)
    return target


def test_what_was_backed_up_is_there_again(made: Path, tmp_path: Path) -> None:
    about = restore(made / "box", tmp_path / "data", secret=SECRET)

    before, after = contents(made / "data"), contents(tmp_path / "data")
    for name in (KEY_NAME, TLS_NAME, VAPID_NAME, FILE_NAME):
        assert after[name] == before[name]
    assert (about.seats, about.parcels) == (1, 0)
    assert set(after) == {
        KEY_NAME, TLS_NAME, VAPID_NAME, FILE_NAME, STORE_NAME, "gateway.lock",
    }  # fmt: skip
    assert not list((tmp_path / "data").glob("*/"))
    with closing(sqlite3.connect(tmp_path / "data" / STORE_NAME)) as store:
        assert store.execute("SELECT count(*), sum(confirmed) FROM device").fetchall() == [(1, 0)]


def test_only_the_owner_can_read_any_of_it(made: Path, tmp_path: Path) -> None:
    restore(made / "box", tmp_path / "data", secret=SECRET)

    files = [made / "box", *(tmp_path / "data").iterdir()]
    assert {one.stat().st_mode & 0o077 for one in files} == {0}


def test_nothing_of_a_copy_is_left_behind(made: Path) -> None:
    assert not list((made / "data").glob("*.copy*"))
    assert not list(made.glob("*.part"))


def test_checking_writes_nothing(made: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))

    assert verify(made / "box", secret=SECRET).seats == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_no_gateway_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        back_up(tmp_path, tmp_path / "box", secret=SECRET, settings=None)

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "box").write_text("yesterday's")

    with pytest.raises(CannotWrite, match="Give another name"):
        back_up(tmp_path, tmp_path / "box", secret=SECRET, settings=None)

    assert (tmp_path / "box").read_text() == "yesterday's"


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="cannot be written"):
        back_up(tmp_path, tmp_path / "none" / "box", secret=SECRET, settings=None)


@pytest.mark.parametrize(
    "name", [STORE_NAME, f"{STORE_NAME}-wal", f"{STORE_NAME}.salvaged-1", KEY_NAME]
)
def test_a_folder_that_holds_something_is_left_as_it_is(
    made: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"x" * 32)

    with pytest.raises(FolderTaken, match="move the whole folder"):
        restore(made / "box", tmp_path, secret=SECRET)

    assert set(contents(tmp_path)) == {name, "gateway.lock"}
    assert (tmp_path / name).read_bytes() == b"x" * 32


def test_a_restore_that_was_cut_off_is_repeated(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = list[str]()

    def interrupted(folder: Path) -> None:
        moved.append(folder.name)
        if len(moved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(archive, "sync_folder", interrupted)
    with pytest.raises(KeyboardInterrupt):
        restore(made / "box", tmp_path, secret=SECRET)
    assert not (tmp_path / STORE_NAME).exists()
    monkeypatch.undo()

    restore(made / "box", tmp_path, secret=SECRET)

    assert (tmp_path / STORE_NAME).exists()


def test_settings_that_are_there_stay(made: Path, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("port = 5000\n")

    restore(made / "box", tmp_path, secret=SECRET)

    assert (tmp_path / FILE_NAME).read_text() == "port = 5000\n"


async def test_a_folder_on_which_a_gateway_runs_is_refused(made: Path, tmp_path: Path) -> None:
    async with started(tmp_path) as gateway:
        with pytest.raises(AlreadyRunning):
            await asyncio.to_thread(restore, made / "box", gateway.data, secret=SECRET)


def test_another_secret_changes_nothing(made: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongSecret):
        restore(made / "box", tmp_path / "data", secret="x" * 12)
    with pytest.raises(WrongSecret):
        verify(made / "box", secret="x" * 12)

    assert list(tmp_path.iterdir()) == []


def test_a_damaged_backup_puts_nothing_back(made: Path, tmp_path: Path) -> None:
    file = remade(made, tmp_path / "box", lambda content: content + bytes(1 << 17))
    content = bytearray(file.read_bytes())
    content[-20] ^= 1  # behind pieces that were read and are whole
    file.write_bytes(content)

    with pytest.raises(BackupUnusable):
        verify(tmp_path / "box", secret=SECRET)
    with pytest.raises(BackupUnusable):
        restore(tmp_path / "box", tmp_path / "data", secret=SECRET)

    assert set(contents(tmp_path / "data")) == {"gateway.lock"}


def about_of(content: bytes) -> tuple[About, bytes]:
    size = int.from_bytes(content[:4], "big")
    return About.decode(content[4 : 4 + size]), content[4 + size :]


def newer(content: bytes) -> bytes:
    about, rest = about_of(content)
    return replace(about, schema=99).encode() + rest


def others_key(content: bytes) -> bytes:
    about, rest = about_of(content)
    return about.encode() + b"k" * 32 + rest[32:]


def spoilt(content: bytes) -> bytes:
    return content[: -20 * PAGE_BYTES] + b"?" * (20 * PAGE_BYTES)


def longer(content: bytes) -> bytes:
    return content + b"more"


def shorter(content: bytes) -> bytes:
    return content[:-1]


def stranger(content: bytes) -> bytes:
    return b"\xff" * 4 + content


def unreadable(content: bytes) -> bytes:
    return (4).to_bytes(4, "big") + b"{}{}" + content


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (newer, NewerBackup),
        (others_key, BackupUnusable),
        (longer, DamagedBackup),
        (shorter, DamagedBackup),
        (stranger, NoBackup),
        (unreadable, NoBackup),
    ],
)
def test_content_that_is_not_a_backups_is_refused(
    made: Path,
    tmp_path: Path,
    change: Callable[[bytes], bytes],
    error: type[BackupUnusable],
) -> None:
    file = remade(made, tmp_path / "box", change)

    with pytest.raises(error):
        verify(file, secret=SECRET)
    with pytest.raises(error):
        restore(file, tmp_path / "data", secret=SECRET)

    assert not (tmp_path / "data" / STORE_NAME).exists()


def test_a_store_that_is_damaged_inside_is_not_put_back(made: Path, tmp_path: Path) -> None:
    file = remade(made, tmp_path / "box", spoilt)

    with pytest.raises(BackupUnusable, match=r"cannot be used \("):
        restore(file, tmp_path / "data", secret=SECRET)

    assert set(contents(tmp_path / "data")) == {"gateway.lock"}


@pytest.mark.parametrize(
    "files",
    [
        [],
        [["identity.key", 32]],
        [["gateway.sqlite", 1], ["identity.key", 32]],
        [["identity.key", 32], ["../evil", 1], ["gateway.sqlite", 1]],
        [["identity.key", 32], ["gateway.sqlite", "1"]],
        [["identity.key", 32], ["identity.key", 32], ["gateway.sqlite", 1]],
    ],
)
def test_a_backup_names_no_other_files(files: list[list[object]]) -> None:
    about = About("1", 1, 0, "x", 0, 0, tuple(tuple(one) for one in files))  # type: ignore[misc]  # wrong on purpose

    with pytest.raises(ValueError, match="backup"):
        About.decode(about.encode()[4:])


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FolderUnusable, match="cannot be used"):
        verify(tmp_path / "box", secret=SECRET)
