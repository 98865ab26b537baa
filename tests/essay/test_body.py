"""What a process holds open is counted, and it can be confined while it runs."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from tests.essay.body import confine, descriptors


def test_a_file_that_is_opened_is_counted(tmp_path: Path) -> None:
    before = descriptors(os.getpid())
    with (tmp_path / "file").open("w"):
        assert descriptors(os.getpid()) == before + 1


def test_a_confined_process_has_one_core_and_a_limit() -> None:
    waits = [sys.executable, "-c", "input()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE) as process:
        confine(process.pid, core=0, limit=512 << 20)

        assert os.sched_getaffinity(process.pid) == {0}
        assert resource.prlimit(process.pid, resource.RLIMIT_AS) == (512 << 20, 512 << 20)
        process.kill()
