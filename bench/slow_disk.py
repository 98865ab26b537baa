"""A disk that takes its time: every flush of a process sleeps, as on an SD card.

A small library is compiled once and loaded before others; files lie in memory, so that its delay is
all that counts. It does nothing to programs that do not flush through the C library.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.absent import Absent, need_program

FLUSH_SECONDS: Final = 0.005
"""What a card takes, or a stick: between 2 and 50 ms."""
MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a folder of our own is made in it
_SOURCE: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_for_the_disk(void) {
    static long microseconds = -1;
    if (microseconds < 0) {
        const char *told = getenv("SLOW_FLUSH_US");
        microseconds = told ? atol(told) : 0;
    }
    struct timespec pause = {microseconds / 1000000, microseconds % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    int result = real(file);
    wait_for_the_disk();
    return result;
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    int result = real(file);
    wait_for_the_disk();
    return result;
}
"""


def slow_flushes(cache: Path) -> dict[str, str]:
    """Return the environment in which a process flushes slowly.

    Args:
        cache: where the library is kept.

    Raises:
        Absent: there is no C compiler.
    """
    compiler = need_program("gcc", "cc")
    library = cache / "slow_flush.so"
    if not library.exists():
        cache.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O2", "-x", "c", "-", "-o", str(library), "-ldl"],
            input=_SOURCE,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Absent(f"the C compiler failed: {done.stderr.strip()[-200:]}")
    return {"LD_PRELOAD": str(library), "SLOW_FLUSH_US": str(int(FLUSH_SECONDS * 1e6))}


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Give a folder on a file system in memory, and remove it afterwards.

    Raises:
        Absent: there is none.
    """
    mounted = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    if [str(MEMORY), "tmpfs"] not in mounted:
        raise Absent(f"{MEMORY} is no file system in memory")
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="homepost-bench-") as folder:
        yield Path(folder)
