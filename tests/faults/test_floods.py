"""Strangers and phones that send too much, too slowly, or what unpacks to a gigabyte."""

import asyncio
import os
import socket
import ssl
import struct
import time
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.faults.adapter import Box, Sender, letters, open_box
from tests.faults.connection import NoAnswer
from tests.faults.here import patience, times
from tests.faults.oracle import MAX_LOG, check_bounds, collect_and_check, memory
from wire.frames import MAX_FRAME, Result, Results, decode_frame
from wire.pairing import REQUEST_LIMIT

MIB: Final = 1 << 20
SPARE: Final = 32 * MIB
"""Memory that an attack may cost."""
PROMPT: Final = 2.0 * 5
"""Seconds within which others are served: two, on a machine that does other things too."""
FLOODER: Final = "127.0.0.66"
"""Where the trouble comes from."""

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        yield opened


class Flood:
    """Bare connections from one address.

    Args:
        box: whom they trouble.
        tls: how TLS is spoken there.
        stack: closes them.
    """

    def __init__(self, box: Box, tls: ssl.SSLContext, stack: AsyncExitStack) -> None:
        self._box, self._tls, self._stack = box, tls, stack

    async def connect(
        self, *, tls: bool = True
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect; a reset is a connection too that was turned away."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self._box.port,
            ssl=self._tls if tls else None,
            local_addr=(FLOODER, 0),
        )
        self._stack.callback(lambda: writer.transport.abort())  # keeps the writer alive
        return reader, writer

    async def send(self, data: bytes) -> asyncio.StreamReader:
        """Send bytes on a connection of their own, and leave it open."""
        reader, writer = await self.connect()
        writer.write(data)
        return reader


@pytest.fixture
async def flood(box: Box) -> AsyncIterator[Flood]:
    await box.start()
    connection = await box.connect()
    async with AsyncExitStack() as stack:
        yield Flood(box, connection.tls, stack)


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Return all that comes until the other side closes."""
    found = b""
    try:
        while piece := await reader.read(65536):
            found += piece
    except ConnectionError:
        pass
    return found


async def check_served(box: Box, senders: Iterable[Sender]) -> None:
    """Check that others are served as if nothing were."""
    begun = time.monotonic()
    assert await box.health()
    for one in senders:
        assert await one.deposit(letters(one.lane, 1)) == [Result.STORED]
    assert time.monotonic() - begun < PROMPT


def head(path: str, **headers: str) -> bytes:
    """Return the head of a POST."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n".encode()


async def test_ds_01_a_bomb_is_not_unpacked(box: Box, flood: Flood) -> None:
    """DS-01: twenty holders of a lane send what unpacks to a gigabyte; memory stays flat."""
    phone = await box.enrol()
    sender = await phone.sender()
    bomb = _compressed(zeros=times(256 * MIB, long=1024 * MIB))
    frame = struct.pack(">BBQ4x", 0xC2, 0xFF, len(bomb)) + bomb  # final, compressed, binary; masked
    start = memory(box.pid)
    readers = []
    for one in await phone.lanes(20):
        lane = (await sender.connection.opening(one))["Homepost-Lane"]
        reader, writer = await flood.connect()
        writer.write(_upgrade(lane))
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101")
        assert b"permessage-deflate" not in answer.lower()
        writer.write(frame)
        readers.append(reader)

    async with asyncio.timeout(30):
        await asyncio.gather(*map(until_closed, readers))

    assert peak_memory(box.pid) - start <= SPARE
    await check_served(box, [sender])
    await collect_and_check(box, phone)


def _compressed(*, zeros: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = bytes(16 * MIB)
    packed = b"".join(packer.compress(piece) for _ in range(zeros // len(piece)))
    return (packed + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]  # as RFC 7692 §7.2.1 has it


def _upgrade(lane: str) -> bytes:
    return head(
        "/v1/deposit",
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Extensions="permessage-deflate",
        Homepost_Lane=lane,
    ).replace(b"POST", b"GET", 1)


def peak_memory(pid: int) -> int:
    """Return the most memory that a process ever held, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise ProcessLookupError(pid)


async def test_ds_03_idle_connections_of_one_shut_nobody_out(box: Box, flood: Flood) -> None:
    """DS-03: 300 connections that say nothing or dribble, from one address; others are served."""
    phone = await box.enrol()
    sender = await phone.sender()
    logged = box.log.stat().st_size
    for _ in range(200):
        await flood.connect(tls=False)
    for n in range(100):
        try:
            await flood.send(head("/v1/login")[: 10 + n % 40])
        except (ConnectionError, ssl.SSLError):
            continue  # turned away: that address has as many as it may
        await check_served(box, [sender] if n % 20 == 0 else [])

    await check_served(box, [sender])
    assert await box.enrol()
    assert box.log.stat().st_size - logged <= MAX_LOG
    check_bounds(box)
    await collect_and_check(box, phone)


async def test_ds_04_sockets_up_to_the_cap_and_beyond(box: Box) -> None:
    """DS-04: holders of lanes open more sockets than there may be; the rest is served."""
    await box.start("--connections", "60", "--connections-per-address", "30")
    phone = await box.enrol()
    lanes = await phone.lanes(50)
    sender = await phone.sender()
    crowd = await box.connect(source=FLOODER)
    opened, refused = [], 0
    for lane in lanes:
        try:
            opened.append(
                await crowd.websocket("/v1/deposit", await sender.connection.opening(lane))
            )
        except NoAnswer:
            refused += 1

    assert (len(opened), refused) == (30, 20)
    await check_served(box, [sender])
    await opened.pop().close()
    headers = await sender.connection.opening(lanes[-1])
    last = await crowd.websocket("/v1/deposit", headers)
    assert await deposit_on(last, await box.sender(lanes[-1])) is Result.STORED
    check_bounds(box)
    for one in (*opened, last):
        await one.close()
    await collect_and_check(box, phone)


async def test_ds_04_who_keeps_the_places_of_his_lane_keeps_no_others(box: Box) -> None:
    """DS-04: a contact opens all the sockets his lane allows, and more; other lanes are served."""
    await box.start()
    phone = await box.enrol()
    greedy, sender = await phone.sender(), await phone.sender()
    waiting = [asyncio.create_task(_open(greedy)) for _ in range(20)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)

    await check_served(box, [sender])

    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    check_bounds(box)
    await collect_and_check(box, phone)


async def _open(sender: Sender) -> aiohttp.ClientWebSocketResponse:
    return await sender.connection.websocket(
        "/v1/deposit", await sender.connection.opening(sender.lane)
    )


async def deposit_on(socket: aiohttp.ClientWebSocketResponse, sender: Sender) -> Result:
    """Deposit one parcel on a socket that is open; return what became of it."""
    parcels = letters(sender.lane, 1)
    sender.ledger.offer(parcels)
    await socket.send_bytes(sender.frame(parcels))
    results = decode_frame((await socket.receive()).data)
    assert isinstance(results, Results)
    result = results.outcomes[0].result
    sender.ledger.answer(parcels[0].id, stored=result is Result.STORED)
    return result


async def test_ds_05_bodies_that_come_half_cost_little(box: Box, flood: Flood) -> None:
    """DS-05: sixty half-sent bodies of the largest size; memory stays flat, all soon closed."""
    phone = await box.enrol()
    sender = await phone.sender()
    start = memory(box.pid)
    sizes = {"/v1/deposit": MAX_FRAME, "/v1/prekeys": MIB, "/v1/card": MIB, "/v1/login": 256}
    readers = []
    for n in range(60):
        path, size = list(sizes.items())[n % len(sizes)]
        half = os.urandom(size // 2)
        readers.append(await flood.send(head(path, Content_Length=str(size)) + half))
    await check_served(box, [sender])

    async with asyncio.timeout(15 + PROMPT):
        answers = await asyncio.gather(*map(until_closed, readers))

    assert {one.split(b" ")[1] for one in answers if one} <= {b"401", b"403", b"408", b"413"}
    assert peak_memory(box.pid) - start <= SPARE
    await check_served(box, [sender])
    await collect_and_check(box, phone)


async def test_ds_05_half_pairings_cost_little(box: Box, flood: Flood) -> None:
    """DS-05: sixty half-sent pairings, the largest thing that a stranger may send at all."""
    phone = await box.enrol()
    sender = await phone.sender()
    start = memory(box.pid)
    half = os.urandom(REQUEST_LIMIT // 2)
    for _ in range(60):
        await flood.send(head("/v1/pair", Content_Length=str(REQUEST_LIMIT)) + half)

    await check_served(box, [sender])
    assert peak_memory(box.pid) - start <= SPARE
    await collect_and_check(box, phone)


PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""How a client of HTTP/2 begins, with an empty SETTINGS frame. Source: RFC 9113 §3.4, §6.5."""


def h2(kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
    """Return one frame of HTTP/2. Source: RFC 9113 §4.1."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


RESETS: Final = b"".join(
    h2(1, stream, b"\x82\x84\x87\x41\x01x", flags=4) + h2(3, stream, bytes(4))
    for stream in range(1, 40_001, 2)
)
"""Twenty thousand requests, each taken back at once (CVE-2023-44487)."""
CONTINUATIONS: Final = h2(1, 1, b"\x82") + h2(9, 1, bytes(16_000)) * 200
"""A head that does not end (CVE-2024-27316)."""


@pytest.mark.parametrize("frames", [RESETS, CONTINUATIONS], ids=["resets", "continuations"])
async def test_ds_07_nobody_speaks_http_2_here(box: Box, flood: Flood, frames: bytes) -> None:
    """DS-07: rapid resets and endless heads, on TLS that offers h2 and in plain: h2 is off."""
    await box.stop()
    plain = free_port()
    await box.start("--plain-port", str(plain))
    sender = await (await box.enrol()).sender()
    offering = ssl.create_default_context()
    offering.check_hostname, offering.verify_mode = False, ssl.CERT_NONE
    offering.set_alpn_protocols(["h2"])
    start = memory(box.pid)

    for port, tls in ((box.port, offering), (plain, None)):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, local_addr=(FLOODER, 0)
        )
        chosen = writer.get_extra_info("ssl_object")
        assert chosen is None or chosen.selected_alpn_protocol() is None
        writer.write(PREFACE + frames)
        begun = time.monotonic()
        answer = await until_closed(reader)
        assert answer[:12] in (b"", b"HTTP/1.1 505")  # whoever goes on talking may not hear it
        assert await box.health()
        assert time.monotonic() - begun < PROMPT / 2
        writer.transport.abort()

    assert peak_memory(box.pid) - start <= SPARE
    await check_served(box, [sender])


def free_port() -> int:
    """Return a port that nobody uses just now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


async def test_ds_03_who_guesses_and_knocks_is_not_listened_to_for_a_while(
    box: Box, flood: Flood
) -> None:
    """DS-03: one address guesses logins and breaks off handshakes; then it is turned away."""
    await box.stop()
    await box.start("--refusals-per-minute", "60")
    sender = await (await box.enrol()).sender()
    for _ in range(20):
        reader, writer = await flood.connect()
        writer.write(head("/v1/login", Content_Length="5") + b"guess")
        assert (await reader.read(12)) == b"HTTP/1.1 400"
        writer.transport.abort()
    for _ in range(60):
        _, writer = await flood.connect(tls=False)
        writer.transport.abort()

    with pytest.raises((ConnectionError, ssl.SSLError)):
        await flood.connect()
    await check_served(box, [sender])
    assert "is not listened to for now" in box.logged
    assert box.log.stat().st_size <= MAX_LOG
