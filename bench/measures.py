"""What is done to everybody who is measured: deposit, deliver at once, drain.

Each returns figures by name. Times are in seconds, CPU in seconds for one item, sizes in bytes.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Final

from bench.figures import percentile
from bench.floors import Floor, sqlite_floor
from bench.processes import Meter, Used
from bench.pump import Pump
from bench.subjects import Collected, How, Subject
from bench.talks import Depositor, Notes

Figures = dict[str, float]

FLOOR_ROWS: Final = 32
WARM_UP: Final = 256
"""Items that are handed in before it is measured."""
SETTLE: Final = 0.3
"""Seconds in which a server may finish what follows the last answer: what it does then counts."""


def open_all(pump: Pump, subject: Subject, talks: Sequence[Depositor]) -> None:
    """Connect all depositors and let each hand in as many as it may at a time."""
    lines = [pump.open(subject.address, one) for one in talks]
    now = time.perf_counter()
    for line, talk in zip(lines, talks, strict=True):
        pump.say(line, talk.more(now, count=talk.window))


async def hand_in(
    subject: Subject, how: How, *, count: int, to: Sequence[int], notes: Notes | None = None
) -> Notes:
    """Hand in items as fast as they are taken; return what was noted."""
    notes = notes or Notes()
    before = notes.stored
    talks = await subject.depositors(how, notes, count=count, to=to)
    pump = Pump()
    try:
        open_all(pump, subject, talks)
        pump.run(lambda: notes.stored - before >= count)
    finally:
        pump.close()
    return notes


@dataclass(frozen=True, slots=True)
class Beside:
    """Where the floor is measured that stands beside a rate."""

    scratch: Path
    """A folder on the same disk."""
    processor: int
    seconds: float

    def floor(self) -> Floor:
        """Measure it."""
        return sqlite_floor(
            self.scratch, rows=FLOOR_ROWS, seconds=self.seconds, processor=self.processor
        )


async def deposit(
    subject: Subject, how: How, *, count: int, to: Sequence[int], beside: Beside
) -> Figures:
    """Measure deposits into mailboxes whose owners are away, beside the floor of that minute.

    Args:
        subject: who is measured.
        how: in which way items are handed in.
        count: of items.
        to: the mailboxes.
        beside: where the floor is measured, before and after.
    """
    await hand_in(subject, how, count=min(WARM_UP, count), to=to)
    before = beside.floor()
    os.sync()  # so that nobody else's pages are waited for
    notes, meter = Notes(), Meter(subject.pid)
    talks = await subject.depositors(how, notes, count=count, to=to)
    pump = Pump()
    try:
        with meter.running():
            began = time.perf_counter()
            open_all(pump, subject, talks)
            pump.run(lambda: notes.stored >= count)
            took = time.perf_counter() - began
            await asyncio.sleep(SETTLE)
    finally:
        pump.close()
    floor = before.mean(beside.floor())
    return {
        "rate": count / took,
        **_delays("", sorted(notes.took)),
        **_spent(meter.result(), items=count),
        "floor_rate": floor.rate,
        "floor_cpu": floor.cpu,
    }


def _delays(name: str, sorted_values: list[float]) -> Figures:
    return {
        f"{name}p50": percentile(sorted_values, 0.50),
        f"{name}p99": percentile(sorted_values, 0.99),
    }


def _spent(used: Used, *, items: int) -> Figures:
    return {"cpu": used.cpu / items, "written": used.written / items, "others": used.others}


async def live(subject: Collected, how: How, *, count: int, rate: float, mailbox: int) -> Figures:
    """Measure how long items take to somebody who is connected, at a steady rate.

    Args:
        subject: who is measured.
        how: in which way items are handed in.
        count: of items.
        rate: items a second.
        mailbox: whose owner is there.
    """
    notes = Notes(sent={})
    pump = Pump()
    try:
        pump.open(subject.address, await subject.collector(mailbox, notes))
        talks = await subject.depositors(how, notes, count=count, to=[mailbox], by_itself=False)
        lines = [pump.open(subject.address, one) for one in talks]
        begin = time.perf_counter() + 0.1

        turn = cycle(zip(lines, talks, strict=True))

        def send() -> None:
            line, talk = next(turn)
            pump.say(line, talk.more(time.perf_counter()))

        for number in range(count):
            pump.at(begin + number / rate, send)
        meter = Meter(subject.pid)
        with meter.running():
            pump.run(lambda: notes.stored >= count and len(notes.got) >= count)
    finally:
        pump.close()
    return {**_delays("", notes.delays), **_spent(meter.result(), items=count)}


async def live_rush(subject: Collected, how: How, *, count: int, mailbox: int) -> Figures:
    """Measure deposits as fast as they are taken, for somebody who is connected."""
    notes = Notes(sent={})
    pump = Pump()
    try:
        pump.open(subject.address, await subject.collector(mailbox, notes))
        talks = await subject.depositors(how, notes, count=count, to=[mailbox])
        meter = Meter(subject.pid)
        with meter.running():
            began = time.perf_counter()
            open_all(pump, subject, talks)
            pump.run(lambda: notes.stored >= count and len(notes.got) >= count)
            took = time.perf_counter() - began
            await asyncio.sleep(SETTLE)
    finally:
        pump.close()
    return {"rate": count / took, **_spent(meter.result(), items=count)}


async def drain(subject: Collected, how: How, *, count: int, mailbox: int) -> Figures:
    """Measure how long somebody who comes back takes to collect what waits."""
    await hand_in(subject, how, count=count, to=[mailbox])
    notes, pump, meter = Notes(), Pump(), Meter(subject.pid)
    collector = await subject.collector(mailbox, notes)
    try:
        with meter.running():
            began = time.perf_counter()
            pump.open(subject.address, collector)
            pump.run(lambda: len(notes.got) >= count)
            took = max(notes.got.values()) - began
            await asyncio.sleep(SETTLE)
    finally:
        pump.close()
    return {"seconds": took, **_spent(meter.result(), items=count)}
