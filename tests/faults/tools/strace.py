"""Breaks a program's system calls: one that fails, or one that is its last. Source: strace(1).

strace counts the calls of each thread and of each kind for themselves, so the n-th call is nearly
always one of the thread that writes the store.
"""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.faults.here import NotPossibleHere, is_long, need_program, times

DURABLE: Final = (
    "pwrite64", "fdatasync", "fsync", "ftruncate", "fallocate",
    "?unlink", "unlinkat", "?rename", "renameat2",
)  # fmt: skip
"""Calls that change what is on the disk. A ? marks those that only some machines have."""


@dataclass(frozen=True, slots=True)
class Point:
    """The n-th call of a kind, counted from 1: instead of making it, the process dies."""

    call: str
    number: int


def at(call: str, *numbers: int) -> list[Point]:
    """Return some points of one kind."""
    return [Point(call, number) for number in numbers]


class KillPoints:
    """Where a process is killed, one point after another, with a count of those it came to.

    In a long form these are the first `most` calls of each kind. Whoever iterates notes how each
    run ended: a kind of which there are no more calls is done with.

    Args:
        short: the points of a short form.
        most: calls of a kind, in a long form.
    """

    def __init__(self, short: Sequence[Point], *, most: int) -> None:
        self._short = short
        self._most = times(1, long=most)
        self._over = False
        self.reached = 0

    def __iter__(self) -> Iterator[Point]:
        if not is_long():
            yield from self._short
            return
        for call in DURABLE:
            self._over = False
            for number in range(1, self._most + 1):
                yield Point(call, number)
                if self._over:
                    break

    def note(self, status: int) -> bool:
        """Take note of a run's exit status; return whether it was killed at its point."""
        killed = status == -signal.SIGKILL
        self.reached += killed
        self._over = not killed
        return killed


def killed_at(point: Point) -> tuple[str, ...]:
    """Return the command that runs another one and kills it at a point.

    Raises:
        NotPossibleHere: nothing can be traced here.
    """
    return broken(point.call, f"signal=KILL:when={point.number}")


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
