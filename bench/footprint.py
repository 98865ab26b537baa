"""What the gateway takes when little happens: memory, connections, its start, a quiet hour."""

import asyncio
from typing import Final

from bench.measures import Figures
from bench.processes import memory, wake_ups, written
from bench.pump import Pump
from bench.subjects import Ours, Subject
from bench.talks import Notes

SETTLED: Final = 1.0
"""Seconds after which a server that was just started has done what it does then."""
FIRST: Final = 32
"""Connections after which what is made once for all of them is there."""
HOUR: Final = 3600.0
MINUTE: Final = 60.0


async def at_rest(subject: Subject) -> Figures:
    """Measure the memory of a server that was just started."""
    await asyncio.sleep(SETTLED)
    return {"memory": float(memory(subject.pid))}


async def quiet(subject: Subject, *, after: float, seconds: float) -> Figures:
    """Measure what a server does while nobody comes.

    Args:
        subject: who is measured.
        after: seconds in which it may finish what somebody asked of it before.
        seconds: for how long it is watched.
    """
    await asyncio.sleep(after)
    woken, wrote = wake_ups(subject.pid), written(subject.pid)
    await asyncio.sleep(seconds)
    return {
        "wake_ups": (wake_ups(subject.pid) - woken) / seconds * MINUTE,
        "written": (written(subject.pid) - wrote) / seconds * HOUR,
        "seconds": seconds,
    }


async def idle_connections(gateway: Ours, *, count: int) -> Figures:
    """Measure the memory that one phone costs which is connected and silent.

    The gateway needs a seat for each, and some more.
    """
    pump, notes = Pump(), Notes()
    try:
        for one in range(FIRST):
            pump.open(gateway.address, await gateway.collector(one, notes))
        before = memory(gateway.pid)
        for one in range(FIRST, FIRST + count):
            pump.open(gateway.address, await gateway.collector(one, notes))
        await asyncio.sleep(SETTLED)
        after = memory(gateway.pid)
    finally:
        pump.close()
    return {"memory": (after - before) / count, "count": count}
