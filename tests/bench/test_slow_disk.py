"""A process whose disk is made slow waits for each flush."""

import os
import subprocess
import sys
from pathlib import Path

from bench.slow_disk import FLUSH_SECONDS, folder_in_memory, slow_flushes

FLUSH = """
import os, sys, time
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY, 0o600)
began = time.perf_counter()
for flush in (os.fsync, os.fdatasync):
    os.write(file, b"x")
    flush(file)
print(time.perf_counter() - began)
"""


def test_each_flush_takes_as_long_as_is_said(tmp_path: Path) -> None:
    environment = slow_flushes(tmp_path)
    with folder_in_memory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", FLUSH, folder / "file"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )

        assert float(done.stdout) >= 2 * FLUSH_SECONDS
    assert not folder.exists()


def test_the_library_is_made_once(tmp_path: Path) -> None:
    first = Path(slow_flushes(tmp_path)["LD_PRELOAD"])
    made = first.stat().st_mtime_ns

    assert Path(slow_flushes(tmp_path)["LD_PRELOAD"]).stat().st_mtime_ns == made
