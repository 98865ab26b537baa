"""A listener with a small application behind it, and connections of which every byte is ours."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey

from gateway.listener import Caps, serve_phones
from gateway.tls_certificate import make_certificate

ROOMY = Caps(connections=100, per_address=100, refusals=100_000)
GET = b"GET / HTTP/1.1\r\nHost: box\r\n\r\n"
UPGRADE = (
    b"GET /socket HTTP/1.1\r\nHost: box\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class Small:
    """An ASGI application that answers `ok`, and takes in and gives out WebSocket messages."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    give: bytes = b""
    """Sent on every WebSocket, once it is open."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.requests.append(scope)
        if scope["type"] == "websocket":
            await self._talk(receive, send)
            return
        if scope["path"] == "/slow":
            await self.gate.wait()
        if scope["path"] == "/broken":
            raise RuntimeError("on purpose")
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async def _talk(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "headers": []})
        if self.give:
            await send({"type": "websocket.send", "bytes": self.give, "text": None})
        while True:
            message = await receive()
            self.messages.append(message)
            if message["type"] == "websocket.disconnect":
                return

    @property
    def transport(self) -> Any:
        """The transport of the newest connection, on the listener's side."""
        return self.requests[-1]["state"]["homepost.visit"].abort.args[0]


@dataclass
class Listening:
    """What a test needs of a listener."""

    app: Small
    port: int
    certificate: str
    stop: asyncio.Event
    serving: asyncio.Task[None]
    stack: AsyncExitStack
    plain_port: int

    def tls(self) -> ssl.SSLContext:
        """Return how a phone speaks TLS."""
        context = ssl.create_default_context(cadata=self.certificate)
        context.check_hostname = False
        return context

    async def connect(
        self, *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1"
    ) -> "Wire":
        """Connect with TLS."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=tls or self.tls(), local_addr=(address, 0)
        )
        self.stack.callback(lambda: writer.transport.abort())  # keeps the writer alive
        return Wire(reader, writer)

    async def connect_plain(self, *, address: str = "127.0.0.1") -> "Wire":
        """Connect without TLS, as a proxy on the same machine does."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.plain_port, local_addr=(address, 0)
        )
        self.stack.callback(lambda: writer.transport.abort())
        return Wire(reader, writer)

    async def say(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own; return all that comes until it is closed."""
        wire = await self.connect()
        await wire.send(data)
        return await wire.rest()

    async def finish(self) -> None:
        """End as a gateway does that is told to stop."""
        self.stop.set()
        await self.serving


@dataclass
class Wire:
    """The other end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send bytes; a connection that is closed already is no error."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            return

    async def head(self) -> bytes:
        """Return the head of the next answer."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def rest(self, *, within: float = 10.0) -> bytes:
        """Return all that comes until the connection is closed."""
        found = b""
        async with asyncio.timeout(within):
            while piece := await self._some():
                found += piece
        return found

    async def _some(self) -> bytes:
        try:
            return await self.reader.read(1 << 16)
        except (ConnectionError, ssl.SSLError):
            return b""


def frame(
    payload: bytes, *, opcode: int = 2, fin: bool = True, rsv1: bool = False, masked: bool = True
) -> bytes:
    """Return one WebSocket frame. Source: RFC 6455 §5.2."""
    first = opcode | (0x80 if fin else 0) | (0x40 if rsv1 else 0)
    size = len(payload)
    mask_bit = 0x80 if masked else 0
    if size < 126:
        length = bytes([mask_bit | size])
    elif size < 1 << 16:
        length = bytes([mask_bit | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([mask_bit | 127]) + size.to_bytes(8, "big")
    return bytes([first]) + length + (bytes(4) if masked else b"") + payload  # a mask of zeros


@asynccontextmanager
async def listening(
    folder: Path,
    *,
    caps: Caps = ROOMY,
    grace: float = 1.0,
    behind: Any = None,
    names: tuple[str, ...] = (),
) -> AsyncIterator[Listening]:
    """Let a small application listen, or the one given as `behind`."""
    pem = folder / "tls.pem"
    pem.write_bytes(make_certificate(SigningKey.generate(), folder))
    opened, plain = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    app, stop = Small(), asyncio.Event()
    port, plain_port = opened.getsockname()[1], plain.getsockname()[1]
    serving = asyncio.create_task(
        serve_phones(
            behind or app,
            sockets=[opened],
            tls=pem,
            caps=caps,
            stop=stop.wait,
            grace=grace,
            plain=[plain],
            names=names,
        )
    )
    certificate = pem.read_text().partition("-----BEGIN PRIVATE")[0]
    try:
        async with AsyncExitStack() as stack:
            yield Listening(app, port, certificate, stop, serving, stack, plain_port)
    finally:
        app.gate.set()
        stop.set()
        await serving
