"""A full disk still lets owners collect and delete."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from gateway.database.reserve import RESERVE_BYTES, Reserve

SMALL_DISK = 'mount -t tmpfs -o size=64m none "$1" && exec "$2" -m "$3" "$4"'


def test_the_reserve_is_real_room_and_is_given_back(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "store.sqlite")

    assert reserve.make()
    assert reserve.make()
    assert reserve.path.stat().st_blocks * 512 >= RESERVE_BYTES
    reserve.give_back()
    reserve.give_back()
    assert not reserve.path.exists()


def on_a_small_disk(tmp_path: Path, program: str) -> dict[str, Any]:
    """Run a program on a disk of its own; return what it found."""
    disk = tmp_path / "disk"
    disk.mkdir()
    # A mount of our own, in a namespace of our own: nothing of it is left behind.
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, "sh"]
    result = subprocess.run(
        [
            *command,
            disk,
            sys.executable,
            f"tests.gateway.database.{program}",
            disk / "store.sqlite",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_real_disk_that_is_full_takes_deletions_and_then_deposits_again(tmp_path: Path) -> None:
    found = on_a_small_disk(tmp_path, "fill")

    assert found["acknowledged"]
    assert found["reserve_given"]
    assert found["freed"] == found["refused"] > 300
    assert found["reserve_back"]
    assert found["again"] > 0
    assert found["failures"] == []


def test_a_store_is_opened_on_a_full_disk_by_giving_back_its_reserve(tmp_path: Path) -> None:
    """Others filled the disk while the gateway was off: what waits can be collected all the same.

    Without a reserve it is the disk that is full, and not the store that is damaged.
    """
    found = on_a_small_disk(tmp_path, "start_full")

    assert found["cleared"] == 20
    assert found["reserve_given"]
    assert "no space left" in found["why"]
    assert found["after"] == [200]
