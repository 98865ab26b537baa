"""The whole on a small box: little memory, few files, and everybody who means harm at once."""

import asyncio
import os
import resource
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.faults.adapter import Box, Handset, Sender, letters, open_box
from tests.faults.connection import NoAnswer, Refused
from tests.faults.here import patience, times
from tests.faults.oracle import (
    MAX_LOG,
    MAX_MEMORY,
    check_bounds,
    check_started,
    collect_and_check,
    descriptors,
)
from tests.faults.tools.cgroup import MemoryGroup, memory_group
from tests.gateway.listening import frame
from wire.frames import MAX_FRAME, Result

MIB: Final = 1 << 20
FILES: Final = 256
"""Descriptors that the process may have."""
ADDRESS_SPACE: Final = 192 * MIB
"""Bytes that it may reserve: idle it has 100 MiB, of which 60 are memory."""
ONE_HEAP: Final = {"MALLOC_ARENA_MAX": "1"}
"""As the service runs: else each thread reserves 64 MiB of addresses that it never uses."""
PROMPT: Final = 2.0 * 10
"""Seconds within which an honest phone is served: two, on a machine that does other things too."""
SMALL: Final = (
    "sh",
    "-c",
    f'ulimit -n {FILES} && ulimit -v {ADDRESS_SPACE >> 10} && exec "$@"',
    "sh",
)
"""The command that runs another one within these limits."""

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        yield opened


async def test_cr_17_everything_at_once_on_a_small_box(box: Box) -> None:
    """CR-17: 192 MiB of addresses, 256 files, every flood at once: honest phones are served."""
    await box.start("--refusals-per-minute", "300", under=SMALL, environment=ONE_HEAP)

    await flooded(box)


async def test_cr_17_everything_at_once_in_128_mib(box: Box) -> None:
    """CR-17: the same in a control group of 128 MiB; nobody is killed."""
    with memory_group(128 * MIB) as group:
        await box.start(
            *("--refusals-per-minute", "300"),
            under=(*group.under, *SMALL),
            environment=ONE_HEAP,
        )
        await flooded(box)
        assert group.kills == 0
        await box.stop()


async def test_cr_17_who_is_killed_for_his_memory_has_lost_nothing(box: Box) -> None:
    """CR-17: 96 MiB, then less and less under load until the kernel kills; the oracle holds."""
    with memory_group(96 * MIB) as group:
        await box.start(under=group.under, environment=ONE_HEAP)
        phone = await box.enrol()
        senders = await box.senders(await phone.lanes(4))
        await asyncio.gather(*(one.deposit(letters(one.lane, 4)) for one in senders))
        working = [asyncio.create_task(one.keep_on(size=MIB // 8, batch=4)) for one in senders]
        await squeeze(group, box)
        await asyncio.gather(*working)
        assert await box.ended() == -9

    check_started(await box.start())
    await collect_and_check(box, phone)
    check_bounds(box)


async def squeeze(group: MemoryGroup, box: Box) -> None:
    """Take memory away until the process is killed."""
    size = 96 * MIB
    ended = asyncio.create_task(box.ended())
    while not ended.done():
        size = max(size - 2 * MIB, 4 * MIB)
        with suppress(OSError):  # all of it is in use just now
            group.limit(size)
        await asyncio.wait({ended}, timeout=0.2)


async def test_cr_17_who_gets_no_memory_says_so_and_goes_on(box: Box) -> None:
    """CR-17: no address space is left while many send much: refused, not dead, then as before."""
    await box.start(environment=ONE_HEAP)
    phone = await box.enrol()
    senders = await box.senders(await phone.lanes(12))
    for one in senders:
        assert await one.deposit(letters(one.lane, 1)) == [Result.STORED]
    pid = box.pid

    resource.prlimit(pid, resource.RLIMIT_AS, (address_space(pid) + 12 * MIB, -1))
    ends = await asyncio.gather(*map(one_large, senders))
    resource.prlimit(pid, resource.RLIMIT_AS, (-1, -1))

    assert any(one != "stored" for one in ends), "there was memory for all of it"
    assert box.pid == pid
    assert await box.health()
    for one in senders:
        assert await one.deposit(letters(one.lane, 1)) == [Result.STORED]
    await collect_and_check(box, phone)
    assert box.log.stat().st_size <= MAX_LOG


async def one_large(sender: Sender) -> str:
    """Deposit the largest parcel there is; return what became of it."""
    try:
        async with asyncio.timeout(PROMPT):
            return (await sender.deposit(letters(sender.lane, 1, size=MIB)))[0].code
    except (Refused, NoAnswer, TimeoutError) as error:
        return type(error).__name__


def address_space(pid: int) -> int:
    """Return how many bytes of addresses a process has reserved."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmSize:"):
            return int(line.split()[1]) << 10
    raise ProcessLookupError(pid)


# Everything at once


class Crowd:
    """Strangers and contacts who mean harm, each from an address of his own.

    Args:
        box: whom they trouble.
        tls: how TLS is spoken there.
        opening: gives a contact the right to open one WebSocket.
    """

    def __init__(
        self, box: Box, tls: ssl.SSLContext, opening: Callable[[], Awaitable[str]]
    ) -> None:
        self._box, self._tls, self._opening = box, tls, opening
        self._stack = AsyncExitStack()
        self.tried: dict[str, int] = {}

    async def close(self) -> None:
        """Hang up everywhere."""
        await self._stack.aclose()

    async def connect(
        self, number: int, *, tls: bool = True
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect from an address."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self._box.port,
            ssl=self._tls if tls else None,
            local_addr=(f"127.0.0.{100 + number}", 0),
        )
        self._stack.callback(lambda: writer.transport.abort())  # keeps the writer alive
        return reader, writer

    async def idle(self) -> None:
        """Connect and say nothing, or dribble."""
        reader, writer = await self.connect(1, tls=self.tried["idle"] % 2 == 0)
        writer.write(b"POST /v1/login HT")
        await reader.read()

    async def broken(self) -> None:
        """Connect and go away."""
        _, writer = await self.connect(2, tls=False)
        writer.transport.abort()

    async def no_tls(self) -> None:
        """Say something that is no TLS."""
        reader, writer = await self.connect(3, tls=False)
        writer.write(os.urandom(600))
        await reader.read()

    async def half(self) -> None:
        """Send half of the largest body."""
        reader, writer = await self.connect(4)
        writer.write(_head("/v1/pair", length=200_000) + bytes(100_000))
        await reader.read()

    async def guess(self) -> None:
        """Guess a login, a lane, a path."""
        reader, writer = await self.connect(5)
        for path in ("/v1/login", "/v1/deposit", "/v1/pair", "/admin"):
            writer.write(_head(path, length=150) + os.urandom(150))
        await reader.read()

    async def deaf(self) -> None:
        """Ask and ask, and never read."""
        _, writer = await self.connect(6)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # of a reading transport
        while True:
            writer.write(_head("/v1/challenge", length=0) * 100)
            await writer.drain()

    async def bomb(self) -> None:
        """Send what unpacks to much, as a contact."""
        reader, writer = await self._socket(7)
        writer.write(BOMB)
        await reader.read()

    async def pieces(self) -> None:
        """Send a message that never ends, in nothing but pieces."""
        reader, writer = await self._socket(8)
        writer.write(PIECES)
        await reader.read()

    async def ping(self) -> None:
        """Ping without end."""
        reader, writer = await self._socket(9)
        writer.write(frame(bytes(125), opcode=9) * 2000)
        await reader.read()

    async def long(self) -> None:
        """Send a frame that is longer than any may be."""
        reader, writer = await self._socket(10)
        writer.write(LONG)
        await reader.read()

    async def _socket(self, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self.connect(number)
        writer.write(_upgrade(await self._opening()))
        await reader.readuntil(b"\r\n\r\n")
        return reader, writer

    async def keep_on(self, name: str) -> None:
        """Do one thing again and again."""
        what: Callable[[], Awaitable[None]] = getattr(self, name)
        while True:
            self.tried[name] = self.tried.get(name, 0) + 1
            try:
                async with asyncio.timeout(5):
                    await what()
            except (OSError, EOFError, NoAnswer, Refused, ssl.SSLError):
                pass  # turned away
            await asyncio.sleep(0.1)  # they share the machine with the box


WAYS: Final = (
    "idle", "broken", "no_tls", "half", "guess", "deaf", "bomb", "pieces", "ping", "long",
)  # fmt: skip
"""What a crowd does."""
OF_EACH: Final = times(3, long=12)
"""How many do each of it at a time."""
BOMB: Final = frame(zlib.compress(bytes(64 * MIB), 9), rsv1=True)
PIECES: Final = frame(b"", fin=False) + frame(b"", opcode=0, fin=False) * 20_000
LONG: Final = frame(bytes(MAX_FRAME), fin=False) + frame(bytes(MAX_FRAME), opcode=0)


async def flooded(box: Box) -> None:
    """Let everybody do his worst while phones go about their day; check what it cost."""
    phone = await box.enrol()
    sender, contact = await phone.sender(), await phone.sender()
    pid = box.pid

    async def opening() -> str:
        return (await contact.connection.opening(contact.lane))["Homepost-Lane"]

    crowd = Crowd(box, contact.connection.tls, opening)
    at_work = [asyncio.create_task(crowd.keep_on(name)) for name in WAYS for _ in range(OF_EACH)]
    try:
        slowest = 0.0
        for _ in range(times(6, long=300)):
            begun = time.monotonic()
            await ordinary_work(box, phone, sender)
            slowest = max(slowest, time.monotonic() - begun)
            assert descriptors(pid) <= FILES
    finally:
        for one in at_work:
            one.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
        await crowd.close()

    assert slowest <= PROMPT
    assert set(crowd.tried) == set(WAYS)
    assert box.pid == pid
    assert most_memory(pid) <= MAX_MEMORY
    assert box.log.stat().st_size <= MAX_LOG, box.logged[-2000:]
    check_bounds(box)
    await collect_and_check(box, phone)


async def ordinary_work(box: Box, phone: Handset, sender: Sender) -> None:
    """Send, collect and look, as on any day."""
    parcels = letters(sender.lane, 2)
    assert await sender.deposit(parcels) == [Result.STORED] * 2
    assert {one.parcel.id for one in await phone.fetch()} >= {one.id for one in parcels}
    assert (await phone.ask("GET", "/v1/status")).status == 200
    await phone.drain()
    assert await box.health()


def most_memory(pid: int) -> int:
    """Return the most memory that a process ever held, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise ProcessLookupError(pid)


def _head(path: str, *, length: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode()


def _upgrade(lane: str) -> bytes:
    return (
        "GET /v1/deposit HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Extensions: permessage-deflate\r\nHomepost-Lane: {lane}\r\n\r\n"
    ).encode()
