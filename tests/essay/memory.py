"""Reads the memory of a process, as a debugger or a thief with root would. Source: proc(5).

Pages that were swapped out are read back in, so a dump covers the swap too.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PIECE: Final = 16 << 20
"""Bytes that are held at a time."""
OVERLAP: Final = 4096
"""Bytes of a piece that the next one begins with, so that nothing falls between two."""
_NO_MEMORY: Final = ("[vvar]", "[vvar_vclock]", "[vsyscall]")
"""Pages of the kernel that no program can write to."""


class MemoryUnreadable(Exception):
    """The kernel does not let us read the process; nothing can be said about its memory."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the address space that can be read."""

    start: int
    end: int
    name: str


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process, so that nothing moves while it is read."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def regions(pid: int) -> list[Region]:
    """Return the readable parts of a process' memory."""
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights, _, _, _, *name = line.split(maxsplit=5)
        start, end = (int(one, 16) for one in span.split("-"))
        called = name[0] if name else "nameless memory"
        if rights.startswith("r") and called not in _NO_MEMORY:
            found.append(Region(start, end, called))
    return found


def dump(pid: int) -> Iterator[tuple[str, bytes]]:
    """Yield all memory of a process in pieces, each with the name of its region.

    Raises:
        MemoryUnreadable: the kernel refuses.
    """
    try:
        with frozen(pid), Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for region in regions(pid):
                for start in range(region.start, region.end, PIECE - OVERLAP):
                    memory.seek(start)
                    yield region.name, memory.read(min(PIECE, region.end - start))
    except OSError as error:
        raise MemoryUnreadable(
            f"the memory of process {pid} cannot be read ({error.strerror}): run this as root, or "
            "with kernel.yama.ptrace_scope at 0 or 1"
        ) from error


def core_limit(pid: int) -> str:
    """Return how large a core file of the process may grow, as the kernel puts it."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max core file size"):
            return " ".join(line.removeprefix("Max core file size").split()[:2])
    raise MemoryUnreadable(f"process {pid} has no limits")


def swapped(pid: int) -> str:
    """Return how much of the process lies in swap, such as "0 kB"."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmSwap:"):
            return " ".join(line.split()[1:])
    return "none: this kernel has no swap"
