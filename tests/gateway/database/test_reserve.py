"""A full disk still lets owners collect and delete."""

import json
import subprocess
import sys
from pathlib import Path

from gateway.database.reserve import RESERVE_BYTES, Reserve

SMALL_DISK = 'mount -t tmpfs -o size=64m none "$1" && exec "$2" -m tests.gateway.database.fill "$3"'


def test_the_reserve_is_real_room_and_is_given_back(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "store.sqlite")

    assert reserve.make()
    assert reserve.make()
    assert reserve.path.stat().st_blocks * 512 >= RESERVE_BYTES
    reserve.give_back()
    reserve.give_back()
    assert not reserve.path.exists()


def test_a_real_disk_that_is_full_takes_deletions_and_then_deposits_again(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    # A mount of our own, in a namespace of our own: nothing of it is left behind.
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, "sh"]
    result = subprocess.run(
        [*command, str(disk), sys.executable, str(disk / "store.sqlite")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["acknowledged"]
    assert found["reserve_given"]
    assert found["freed"] == found["refused"] > 300
    assert found["reserve_back"]
    assert found["again"] > 0
    assert found["failures"] == []
