"""The data folder belongs to one process and to nobody else's eyes."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.database.folder import LOCK_NAME, hold_folder, unusable
from gateway.errors import AlreadyRunning, FolderUnusable


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_missing_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with hold_folder(tmp_path / "a" / "data") as folder:
        (folder / "file").touch()

        assert mode(folder) == 0o700
        assert mode(folder / LOCK_NAME) == 0o600
        assert mode(folder / "file") == 0o600


def test_a_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)

    with hold_folder(tmp_path / "data") as folder:
        assert mode(folder) == 0o700


def test_a_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    with (
        hold_folder(tmp_path),
        pytest.raises(AlreadyRunning, match=f"process id {os.getpid()}") as refused,
        hold_folder(tmp_path),
    ):
        raise AssertionError("two processes hold one folder")

    assert refused.value.pid == os.getpid()


def test_a_folder_whose_holder_was_killed_is_free(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from gateway.database.folder import hold_folder\n"
        "with hold_folder(pathlib.Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    result = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)

    assert result.returncode == -9
    with hold_folder(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_a_file_in_the_folders_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").touch()

    with pytest.raises(FolderUnusable, match="is not a folder: choose another"):
        hold_folder(tmp_path / "data").__enter__()


@pytest.mark.parametrize(
    ("number", "advice"),
    [(13, "run as its owner"), (28, "free some"), (30, "mount it writable"), (5, "cannot be used")],
)
def test_errors_of_the_system_become_advice(number: int, advice: str) -> None:
    error = OSError(number, os.strerror(number))

    assert advice in str(unusable(Path("/data"), error))
    assert "/data" in str(unusable(Path("/data"), error))
