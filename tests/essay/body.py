"""What a process may have, and what it holds open. Source: proc(5), prlimit(2).

Its memory, its wake-ups and what it writes are counted by `bench.processes`.
"""

import os
import resource
from pathlib import Path


def descriptors(pid: int) -> int:
    """Return how many files and sockets a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def confine(pid: int, *, core: int, limit: int) -> None:
    """Let a process have one processor core and no more than some bytes of address space."""
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})
