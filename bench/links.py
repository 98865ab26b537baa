<<<<<<< HEAD
"""Connections with little between us and the socket: HTTP/1.1 and WebSocket over asyncio.
=======
"""Connections over asyncio with little between us and the socket: HTTP/1.1, then WebSocket.
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279

A client that costs as much as the server would measure itself. So requests are written as ready
bytes, answers are cut out of one buffer, and nothing is checked that a gateway of ours does right.
"""

import asyncio
<<<<<<< HEAD
import base64
=======
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

<<<<<<< HEAD
from wire.auth import Channel
from wire.ids import GatewayId
=======
from bench.framing import CLOSE, PING, PONG, Answer, Cutter, message, take_answer, upgrade
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279

CONNECT_SECONDS: Final = 30.0
TLS_BUFFER: Final = 16 * 1024
"""Bytes that TLS is read into; asyncio would take 256 KiB for each connection."""
<<<<<<< HEAD
_BINARY, _CLOSE, _PING, _PONG = 0x2, 0x8, 0x9, 0xA
_KEY: Final = base64.b64encode(b"sixteen bytes...").decode()
_NO_MASK: Final = bytes(4)
"""A mask that changes nothing. The server unmasks as always, and we need not mask."""
=======
SWITCHED: Final = 101
"""Status of an answer after which a connection is a WebSocket."""
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279


class Lost(Exception):
    """The connection ended first: perhaps it was done, perhaps not."""


class Refused(Exception):
    """The gateway understood and said no."""

<<<<<<< HEAD
    def __init__(self, answer: "Answer") -> None:
=======
    def __init__(self, answer: Answer) -> None:
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
        super().__init__(f"{answer.status}: {answer.body[:200]!r}")
        self.status = answer.status


@dataclass(frozen=True, slots=True)
<<<<<<< HEAD
class Answer:
    """What came back of a request."""

    status: int
    head: bytes
    """The lines above the body, as they came."""
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header; None if it is not there."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip()
        return None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gateway listens, and how it is spoken to there."""
=======
class Address:
    """Where somebody listens, and how he is spoken to there."""
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279

    port: int
    tls: bool = True
    host: str = "127.0.0.1"


<<<<<<< HEAD
def spelled(data: bytes) -> str:
    """Return bytes as they stand in a header (docs/protocol.md §1)."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def read_spelled(text: bytes) -> bytes:
    """Return the bytes that stand in a header."""
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def request(method: str, path: str, body: bytes = b"", *, headers: str = "") -> bytes:
    """Return a request as it travels.

    Args:
        method: of HTTP.
        path: with its query.
        body: what follows the head.
        headers: further lines, each with its end.
    """
    head = f"{method} {path} HTTP/1.1\r\nHost: box\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("ascii") + body


def message(payload: bytes, *, kind: int = _BINARY) -> bytes:
    """Return a WebSocket message of one frame, as clients send it. Source: RFC 6455 §5.2."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | kind, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([0x80 | kind, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | kind, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + _NO_MASK + payload


=======
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
class Link(asyncio.Protocol):
    """One connection: first of requests and answers, then perhaps of frames."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answers: deque[asyncio.Future[Answer]] = deque()
<<<<<<< HEAD
        self._on_frame: Callable[[bytes], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._pieces = bytearray()
=======
        self._cutter = Cutter()
        self._on_frame: Callable[[bytes], None] | None = None
        self._transport: asyncio.Transport | None = None
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # What asyncio tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # streams only
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._on_frame is None:
<<<<<<< HEAD
            self._cut_answers()
        if self._on_frame is not None:
            self._cut_frames(self._on_frame)
=======
            self._hand_out_answers()
        else:
            self._hand_out_frames(self._on_frame)
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279

    def connection_lost(self, error: Exception | None) -> None:
        for waiting in self._answers:
            if not waiting.done():
                waiting.set_exception(Lost())
        self._answers.clear()
        if not self.ended.done():
            self.ended.set_result(None)

    # Requests

    async def ask(self, data: bytes) -> Answer:
        """Send a request and return whatever comes back.

        Raises:
            Lost: nothing, or not all of it.
        """
        if self._transport is None or self.ended.done():
            raise Lost
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        self._transport.write(data)
        return await answer

    async def must(self, data: bytes) -> Answer:
        """Send a request for what should be granted.

        Raises:
            Refused, Lost
        """
        answer = await self.ask(data)
        if answer.status >= 400:
            raise Refused(answer)
        return answer

<<<<<<< HEAD
    def _cut_answers(self) -> None:
        while self._answers and self._on_frame is None:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._received[:end])
            answer = Answer(int(head[9:12]), head, b"")
            size = int(answer.header(b"content-length") or 0)
            if len(self._received) < end + 4 + size:
                return
            body = bytes(self._received[end + 4 : end + 4 + size])
            del self._received[: end + 4 + size]
            waiting = self._answers.popleft()
            if not waiting.done():
                waiting.set_result(Answer(answer.status, head, body))
            if answer.status == 101:
=======
    def _hand_out_answers(self) -> None:
        while self._answers and (answer := take_answer(self._received)) is not None:
            waiting = self._answers.popleft()
            if not waiting.done():
                waiting.set_result(answer)
            if answer.status == SWITCHED:  # what follows are frames
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
                return

    # Frames

    async def upgrade(self, path: str, on_frame: Callable[[bytes], None], *, headers: str) -> None:
        """Make a WebSocket of the connection.

        Args:
            path: where.
            on_frame: is given each binary message.
            headers: further lines of the request.

        Raises:
            Refused, Lost
        """
<<<<<<< HEAD
        wanted = (
            f"GET {path} HTTP/1.1\r\nHost: box\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY}\r\n{headers}\r\n"
        )
        answer = await self.ask(wanted.encode("ascii"))
        if answer.status != 101:
            raise Refused(answer)
        self._on_frame = on_frame
        self._cut_frames(on_frame)
=======
        answer = await self.ask(upgrade(path, headers=headers))
        if answer.status != SWITCHED:
            raise Refused(answer)
        self._on_frame = on_frame
        self._hand_out_frames(on_frame)
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279

    def send(self, data: bytes) -> None:
        """Send what `message` gave; nothing happens if the connection has ended."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

<<<<<<< HEAD
    def _cut_frames(self, on_frame: Callable[[bytes], None]) -> None:
        received = self._received
        while len(received) >= 2:
            size, start = received[1] & 0x7F, 2
            if size >= 126:
                start = 4 if size == 126 else 10
                if len(received) < start:
                    return
                size = int.from_bytes(received[2:start], "big")
            if len(received) < start + size:
                return
            kind, final = received[0] & 0x0F, received[0] & 0x80
            payload = bytes(received[start : start + size])
            del received[: start + size]
            if kind == _PING:
                self.send(message(payload, kind=_PONG))
            elif kind == _CLOSE:
                self.close()
            elif kind != _PONG:
                self._pieces += payload
                if final:
                    whole, self._pieces = bytes(self._pieces), bytearray()
                    on_frame(whole)
=======
    def _hand_out_frames(self, on_frame: Callable[[bytes], None]) -> None:
        for kind, payload in self._cutter.take(self._received):
            if kind == PING:
                self.send(message(payload, kind=PONG))
            elif kind == CLOSE:
                self.close()
            elif kind != PONG:
                on_frame(payload)
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279

    # The end

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

<<<<<<< HEAD
    def abort(self) -> None:
        """Hang up without a word."""
        if self._transport is not None:
            self._transport.abort()

=======
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
    def certificate(self) -> bytes:
        """Return the other side's certificate in DER; empty without TLS."""
        assert self._transport is not None  # noqa: S101  # only asked after connect
        tls = self._transport.get_extra_info("ssl_object")
        return b"" if tls is None else tls.getpeercert(binary_form=True)


@cache
<<<<<<< HEAD
def _context() -> ssl.SSLContext:
=======
def tls_context() -> ssl.SSLContext:
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
    """Return how TLS is spoken: without checking who is there, for we have started it."""
    SSLProtocol.max_size = TLS_BUFFER
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


async def connect(address: Address) -> Link:
    """Open a connection.

    Raises:
        OSError, TimeoutError: nobody is there.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        _, link = await loop.create_connection(
<<<<<<< HEAD
            Link, address.host, address.port, ssl=_context() if address.tls else None
        )
    return link


async def channel_of(gateway: GatewayId, address: Address) -> Channel:
    """Return what answers at an address are bound to (docs/protocol.md §3.4)."""
    link = await connect(address)
    try:
        return Channel.over(gateway, certificate=link.certificate())
    finally:
        link.close()
=======
            Link, address.host, address.port, ssl=tls_context() if address.tls else None
        )
    return link
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
