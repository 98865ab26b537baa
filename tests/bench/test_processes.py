"""What a process uses is seen from outside, and it is ended by its id."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bench.processes import (
    Meter,
    Processors,
    Running,
    cpu_seconds,
    figures_of,
    free_port,
    listening,
    memory,
    others_share,
    peak_memory,
    start,
    tree,
    wake_ups,
    written,
)

SERVE = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    asking, _ = server.accept()
    for _ in range(int(asking.recv(9) or 0)):
        sum(range(100_000))
    with open("file", "wb") as file:
        file.write(bytes(1 << 20))
        os.fsync(file.fileno())
    asking.sendall(b".")
    asking.close()
"""


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[tuple[Running, int]]:
    """Run a process that works and writes when it is asked."""
    port = free_port()
    command = [sys.executable, "-c", SERVE, str(port)]
    process = start(command, folder=folder, processor=Processors.here().server)
    try:
        await listening(port, process)
        yield process, port
    finally:
        await process.end(signal.SIGKILL)


async def work(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"20")
    assert await reader.read() == b"."
    writer.close()


async def test_work_costs_time_and_writes(tmp_path: Path) -> None:
    async with server(tmp_path) as (process, port):
        meter = Meter(process.pid)
        woken = wake_ups(process.pid)
        with meter.running():
            await work(port)
        used = meter.result()

        assert 0 < used.cpu < used.seconds * 1.5 + 0.1
        assert used.written >= 0
        assert wake_ups(process.pid) > woken
        assert 1_000_000 < memory(process.pid) <= peak_memory(process.pid)
        assert cpu_seconds(process.pid) > used.cpu
        assert written(process.pid) >= used.written


async def test_a_process_and_its_children_are_one(tmp_path: Path) -> None:
    process = start(["sh", "-c", "sleep 100 & sleep 100"], folder=tmp_path, processor=None)
    try:
        async with asyncio.timeout(10):
            while len(tree(process.pid)) < 3:  # noqa: ASYNC110  # nobody says when a shell forked
                await asyncio.sleep(0.01)
    finally:
        await process.end(signal.SIGKILL)

    assert process.ended is not None


async def test_a_process_that_ends_at_its_start_is_not_waited_for(tmp_path: Path) -> None:
    process = start(["false"], folder=tmp_path, processor=None)

    with pytest.raises(RuntimeError, match="ended with 1"):
        await listening(free_port(), process)


def test_what_others_used_is_what_is_left() -> None:
    assert others_share(10.0, 13.0, seconds=2.0, ours=2.0) == 0.5
    assert others_share(10.0, 11.0, seconds=2.0, ours=2.0) == 0.0


def test_a_meter_says_nothing_before_the_end() -> None:
    with pytest.raises(RuntimeError, match="not ended"):
        Meter(1).result()


def test_a_module_that_cannot_measure_says_so() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        figures_of("bench.letters", processor=Processors.here().server)
