"""Processes that are measured: started on a processor of their own, looked at, ended by their id.

Everything is read from /proc, so this needs Linux. What is said of a process holds for all that it
started and still runs. CPU is user and system time in nanoseconds, as the scheduler counts it.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
TICKS: Final = os.sysconf("SC_CLK_TCK")
START_SECONDS: Final = 120.0
"""Some peers read a million parcels at their start."""
END_SECONDS: Final = 30.0
LOOK_EVERY: Final = 0.002
"""Seconds between two tries to connect to what is starting."""


@dataclass(frozen=True, slots=True)
class Processors:
    """Who runs where. With one processor alone both share it."""

    server: int
    load: int

    @classmethod
    def here(cls) -> "Processors":
        """Take the first processor for servers and the last for the load."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[0], allowed[-1])


def tree(pid: int) -> list[int]:
    """Return a process and all that it started and that still runs."""
    found = [pid]
    for one in found:
        for thread in _threads(one):
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{one}/task/{thread}/children").read_text(encoding="ascii")
                found += map(int, children.split())
    return found


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def _number(text: str, name: str) -> int:
    """Return the number after `name:` in a file of lines; 0 if it is not there."""
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def cpu_seconds(pid: int) -> float:
    """Return the time that a process has run."""
    total = 0.0
    for one in tree(pid):
        for thread in _threads(one):
            if text := _read(f"/proc/{one}/task/{thread}/schedstat"):
                total += int(text.split()[0]) / 1e9
        if text := _read(f"/proc/{one}/stat"):  # of children that ended
            fields = text.rpartition(")")[2].split()
            total += (int(fields[13]) + int(fields[14])) / TICKS
    return total


def memory(pid: int) -> int:
    """Return how many bytes of memory a process takes (RSS)."""
    texts = (_read(f"/proc/{one}/statm") for one in tree(pid))
    return sum(int(text.split()[1]) * PAGE for text in texts if text)


def peak_memory(pid: int) -> int:
    """Return the most bytes that a process has taken (RSS) since its start."""
    return sum(_number(_read(f"/proc/{one}/status"), "VmHWM") * 1024 for one in tree(pid))


def written(pid: int) -> int:
    """Return how many bytes a process has caused to be written to a disk."""
    return sum(_number(_read(f"/proc/{one}/io"), "write_bytes") for one in tree(pid))


def wake_ups(pid: int) -> int:
    """Return how often the threads of a process have gone to sleep: as often they were woken."""
    return sum(
        _number(_read(f"/proc/{one}/task/{thread}/status"), "voluntary_ctxt_switches")
        for one in tree(pid)
        for thread in _threads(one)
    )


def others_share(before: float, after: float, *, seconds: float, ours: float) -> float:
    """Return how much of one processor everybody else has used.

    Args:
        before: what `machine_cpu` gave then.
        after: what it gives now.
        seconds: between the two.
        ours: CPU seconds of the process that is measured and of ourselves.
    """
    return max(0.0, after - before - ours) / seconds if seconds > 0 else 0.0


def machine_cpu() -> float:
    """Return the seconds for which the processors of this machine have worked."""
    user, nice, system, _idle, _wait, *rest = map(
        int, _read("/proc/stat").split("\n")[0].split()[1:]
    )
    return (user + nice + system + sum(rest[:3])) / TICKS


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used until now."""

    cpu: float
    """Seconds."""
    written: int
    """Bytes to a disk."""
    machine: float
    """Seconds that all processors have worked, for whomever."""
    own: float
    """CPU seconds of this process of ours."""
    at: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        """Look."""
        own = time.process_time()
        return cls(cpu_seconds(pid), written(pid), machine_cpu(), own, time.perf_counter())


@dataclass(frozen=True, slots=True)
class Used:
    """What a process has used meanwhile."""

    seconds: float
    cpu: float
    written: int
    others: float
    """How much of a processor others have used: above 0.15 times are worth little."""


@dataclass(slots=True)
class Meter:
    """Says what a process uses between the beginning and the end of a block."""

    pid: int
    used: Used | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator["Meter"]:
        """Measure the block."""
        before = Usage.of(self.pid)
        yield self
        after = Usage.of(self.pid)
        seconds, cpu = after.at - before.at, after.cpu - before.cpu
        others = others_share(
            before.machine,
            after.machine,
            seconds=seconds,
            ours=cpu + after.own - before.own,
        )
        self.used = Used(seconds, cpu, after.written - before.written, others)

    def result(self) -> Used:
        """Return what was used, once the block has ended."""
        if self.used is None:
            raise RuntimeError("the block has not ended")
        return self.used


class Running:
    """A process that was started here."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its status if it has ended."""
        return self._process.poll()

    async def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait for that; kill it if it takes too long."""
        everybody = tree(self.pid)
        for one in everybody if how is signal.SIGKILL else [self.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, how)
        try:
            await asyncio.to_thread(self._process.wait, END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait, END_SECONDS)


def start(
    command: Sequence[str],
    *,
    folder: Path,
    processor: int | None,
    environment: Mapping[str, str] | None = None,
) -> Running:
    """Start a process in a session of its own.

    Args:
        command: with its arguments.
        folder: where it runs; its output goes to `log` there.
        processor: on which it runs; on any if None.
        environment: variables beside ours.
    """
    bound = ["setpriv", "--pdeathsig", "KILL"]  # nobody outlives us, however we end
    if processor is not None:
        bound += ["taskset", "-c", str(processor)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(  # commands of ours
            [*bound, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    return Running(process)


async def listening(port: int, process: Running, *, within: float = START_SECONDS) -> float:
    """Wait until somebody takes connections at a port; return the seconds that took.

    Raises:
        RuntimeError: the process ended, or time ran out.
    """
    begun = time.perf_counter()
    while time.perf_counter() - begun < within:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            if process.ended is not None:
                raise RuntimeError(f"a process ended with {process.ended} at its start") from None
            await asyncio.sleep(LOOK_EVERY)
        else:
            return time.perf_counter() - begun
    raise RuntimeError("a process takes no connections")


def figures_of(module: str, *arguments: object, processor: int) -> dict[str, float]:
    """Let a module of the bench measure in a process of its own on one core.

    Args:
        module: whose `main` prints its figures as JSON.
        arguments: of its command line.
        processor: the core.

    Raises:
        CalledProcessError: it could not.
    """
    program = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(
        ["taskset", "-c", str(processor), *program],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found
