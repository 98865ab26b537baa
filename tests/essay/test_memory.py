"""The memory of a process is read whole, or it is said that it cannot be."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.essay.memory import MemoryUnreadable, core_limit, dump, swapped
from tests.essay.needles import Needles

HOLDER = """
import sys
kept = bytearray(1 << 20)
kept[77777:77777] = bytes.fromhex(sys.stdin.readline())[::-1]
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(name="holder")
async def _holder() -> AsyncIterator[tuple[int, bytes]]:
    """Start a process that keeps a secret in its memory, and only turned round in its input."""
    secret = os.urandom(32)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLDER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(secret[::-1].hex().encode() + b"\n")
    await process.stdout.readline()
    yield process.pid, secret
    process.stdin.close()
    await process.wait()


async def test_a_secret_in_the_memory_of_a_process_is_found(holder: tuple[int, bytes]) -> None:
    pid, secret = holder
    needles = Needles({"it": secret})
    found = {hit.secret for name, heap in dump(pid) for hit in needles.find(heap, where=name)}

    assert found == {"it"}


async def test_a_process_goes_on_after_it_was_read(holder: tuple[int, bytes]) -> None:
    pid, _ = holder
    assert sum(len(heap) for _, heap in dump(pid)) > 1 << 20
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    assert state != "T"  # stopped


async def test_limits_and_swap_of_a_process_are_told(holder: tuple[int, bytes]) -> None:
    pid, _ = holder

    assert len(core_limit(pid).split()) == 2
    assert "kB" in swapped(pid) or "no swap" in swapped(pid)


def test_memory_that_cannot_be_read_is_no_memory_without_secrets() -> None:
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)

    with pytest.raises(MemoryUnreadable):
        list(dump(gone))
