"""Breaks a program's system calls: one that fails, or one that is its last. Source: strace(1).

strace counts the calls of each thread for itself, so the n-th call is nearly always one of the
thread that writes the store.
"""

import subprocess
from typing import Final

from tests.faults.here import NotPossibleHere, need_program

DURABLE: Final = "pwrite64,fdatasync,fsync,ftruncate,fallocate,?unlink,unlinkat,?rename,renameat2"
"""Calls that change what is on the disk. A ? marks those that only some machines have."""


def killed_at(point: int, *, calls: str = DURABLE) -> tuple[str, ...]:
    """Return the command that runs another one and kills it at the `point`-th such call.

    Raises:
        NotPossibleHere: nothing can be traced here.
    """
    return broken(calls, f"signal=KILL:when={point}")


def broken(calls: str, fault: str) -> tuple[str, ...]:
    """Return the command that runs another one whose `calls` go wrong as `fault` says.

    Raises:
        NotPossibleHere: nothing can be traced here.
    """
    # Not with --seccomp-bpf: strace 6.1 then counts no further than one.
    trace = (need_program("strace"), "-f", "-qq", "-o", "/dev/null")
    tried = subprocess.run([*trace, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise NotPossibleHere(f"strace may not trace: {tried.stderr.strip()}")
    return (*trace, "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}")
