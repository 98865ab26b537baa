"""A group of processes that gets only so much memory, where this machine can make one."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.here import NotPossibleHere

MOUNTS: Final = Path("/proc/mounts")


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """A control group of Linux, of the first or second version."""

    path: Path
    limit_file: str

    @property
    def under(self) -> tuple[str, ...]:
        """The command that runs another one in this group."""
        return ("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self.path))

    def limit(self, size: int) -> None:
        """Give it so many bytes from now on; what is over has to go."""
        (self.path / self.limit_file).write_text(str(size))

    @property
    def kills(self) -> int:
        """How many processes were ended for their memory."""
        for name in ("memory.events", "memory.oom_control"):
            with suppress(OSError):
                for line in (self.path / name).read_text().splitlines():
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        return 0


@contextmanager
def memory_group(size: int) -> Iterator[MemoryGroup]:
    """Make a group of `size` bytes.

    Raises:
        NotPossibleHere: the kernel or our rights have none.
    """
    parent, limit_file = _parent()
    path = parent / f"homepost-{secrets.token_hex(4)}"
    try:
        path.mkdir()
    except OSError as error:
        raise NotPossibleHere(f"no memory control group can be made ({error.strerror})") from None
    try:
        group = MemoryGroup(path, limit_file)
        try:
            group.limit(size)
        except OSError as error:
            raise NotPossibleHere(f"memory cannot be limited ({error.strerror})") from None
        with suppress(OSError):
            (path / "memory.swap.max").write_text("0")
        yield group
    finally:
        with suppress(OSError):
            path.rmdir()


def _parent() -> tuple[Path, str]:
    """Return the folder in which memory groups are made, and the name of the file of the limit."""
    for line in MOUNTS.read_text().splitlines():
        _, where, kind, options, *_ = line.split(" ")
        if kind == "cgroup" and "memory" in options.split(","):
            return Path(where), "memory.limit_in_bytes"
        if kind == "cgroup2":
            with suppress(OSError):
                if "memory" in (Path(where) / "cgroup.controllers").read_text().split():
                    (Path(where) / "cgroup.subtree_control").write_text("+memory")
                    return Path(where), "memory.max"
    raise NotPossibleHere("this machine has no control groups for memory")
