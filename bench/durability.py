"""What an answer is worth: flushes for each parcel, and what is there after a kill in full run."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.absent import Absent, need_program
from bench.links import Lost
from bench.measures import Figures, hand_in, open_all
from bench.pump import Pump
from bench.subjects import Collected, How, Subject
from bench.talks import Notes

FLUSHES: Final = ("fsync", "fdatasync", "sync_file_range", "msync")
ATTACH_SECONDS: Final = 15.0
DRAIN_SECONDS: Final = 60.0
_PLENTY: Final = 10_000_000
"""More items than can be handed in before the kill."""
_ROW: Final = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.MULTILINE)


def counted(table: str) -> int:
    """Return how many flushes a table of strace's counts."""
    return sum(int(calls) for calls, name in _ROW.findall(table) if name in FLUSHES)


async def flushes(
    subject: Subject, how: How, *, count: int, to: Sequence[int], scratch: Path
) -> Figures:
    """Count the flushes while `count` items are stored; return how many there are for each.

    Raises:
        Absent: nobody may look into a process here.
    """
    result = scratch / "flushes"
    looking = _look_into(need_program("strace"), subject.pid, result)
    try:
        await _attached(subject.pid, looking)
        await hand_in(subject, how, count=count, to=to)
    finally:
        looking.send_signal(signal.SIGINT)
        await asyncio.to_thread(looking.communicate, timeout=ATTACH_SECONDS)
    return {"flushes": counted(result.read_text(encoding="ascii")) / count}


def _look_into(strace: str, pid: int, result: Path) -> "subprocess.Popen[bytes]":
    traced = f"trace={','.join(FLUSHES)}"
    return subprocess.Popen(
        [strace, "-f", "-c", "-qq", "-e", traced, "-o", str(result), "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


async def _attached(pid: int, looking: "subprocess.Popen[bytes]") -> None:
    """Wait until somebody looks into all threads of a process."""
    deadline = time.monotonic() + ATTACH_SECONDS
    while time.monotonic() < deadline:
        threads = Path(f"/proc/{pid}/task").iterdir()
        texts = [(one / "status").read_text(encoding="utf-8") for one in threads]
        if not any("TracerPid:\t0\n" in text for text in texts):
            return
        if looking.poll() is not None:
            _, said = looking.communicate()
            raise Absent(f"strace failed: {said.decode(errors='replace').strip()[-200:]}")
        await asyncio.sleep(0.01)
    raise Absent("strace does not get into the process")


async def lost_by_kill(
    subject: Collected, how: How, *, mailboxes: Sequence[int], seconds: float
) -> Figures:
    """Kill a server while it stores; return what it had acknowledged and then did not have.

    It is started again, and everything is collected.
    """
    notes = await _hand_in_until_killed(subject, how, to=mailboxes, seconds=seconds)
    await subject.start()
    kept = set(notes.kept or ())
    found = await _collect_all(subject, mailboxes, wanted=kept)
    return {"acknowledged": len(kept), "lost": len(kept - found)}


async def _hand_in_until_killed(
    subject: Subject, how: How, *, to: Sequence[int], seconds: float
) -> Notes:
    notes, pump, pid = Notes(kept=[]), Pump(), subject.pid
    talks = await subject.depositors(how, notes, count=_PLENTY, to=to)
    try:
        open_all(pump, subject, talks)
        pump.at(time.perf_counter() + seconds, lambda: os.kill(pid, signal.SIGKILL))
        with contextlib.suppress(Lost):
            pump.run(lambda: False)
    finally:
        pump.close()
    await subject.kill()
    return notes


async def _collect_all(
    subject: Collected, mailboxes: Sequence[int], *, wanted: set[bytes]
) -> set[bytes]:
    """Empty mailboxes until all that is wanted came, or nothing comes any more."""
    notes, pump = Notes(), Pump()
    try:
        for one in mailboxes:
            pump.open(subject.address, await subject.collector(one, notes))
        state = {"count": 0, "since": time.perf_counter()}

        def done() -> bool:
            now = time.perf_counter()
            if len(notes.got) != state["count"]:
                state.update(count=len(notes.got), since=now)
            return wanted <= notes.got.keys() or now - state["since"] > DRAIN_SECONDS

        pump.run(done)
    finally:
        pump.close()
    return set(notes.got)
