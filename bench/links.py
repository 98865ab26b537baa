"""Connections over asyncio with little between us and the socket: HTTP/1.1, then WebSocket.

A client that costs as much as the server would measure itself. So requests are written as ready
bytes, answers are cut out of one buffer, and nothing is checked that a gateway of ours does right.
"""

import asyncio
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from bench.framing import CLOSE, PING, PONG, Answer, Cutter, message, take_answer, upgrade

CONNECT_SECONDS: Final = 30.0
TLS_BUFFER: Final = 16 * 1024
"""Bytes that TLS is read into; asyncio would take 256 KiB for each connection."""
SWITCHED: Final = 101
"""Status of an answer after which a connection is a WebSocket."""


class Lost(Exception):
    """The connection ended first: perhaps it was done, perhaps not."""


class Refused(Exception):
    """The gateway understood and said no."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}: {answer.body[:200]!r}")
        self.status = answer.status


@dataclass(frozen=True, slots=True)
class Address:
    """Where somebody listens, and how he is spoken to there."""

    port: int
    tls: bool = True
    host: str = "127.0.0.1"


class Link(asyncio.Protocol):
    """One connection: first of requests and answers, then perhaps of frames."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answers: deque[asyncio.Future[Answer]] = deque()
        self._cutter = Cutter()
        self._on_frame: Callable[[bytes], None] | None = None
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # What asyncio tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # streams only
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._on_frame is None:
            self._hand_out_answers()
        else:
            self._hand_out_frames(self._on_frame)

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

    def _hand_out_answers(self) -> None:
        while self._answers and (answer := take_answer(self._received)) is not None:
            waiting = self._answers.popleft()
            if not waiting.done():
                waiting.set_result(answer)
            if answer.status == SWITCHED:  # what follows are frames
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
        answer = await self.ask(upgrade(path, headers=headers))
        if answer.status != SWITCHED:
            raise Refused(answer)
        self._on_frame = on_frame
        self._hand_out_frames(on_frame)

    def send(self, data: bytes) -> None:
        """Send what `message` gave; nothing happens if the connection has ended."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _hand_out_frames(self, on_frame: Callable[[bytes], None]) -> None:
        for kind, payload in self._cutter.take(self._received):
            if kind == PING:
                self.send(message(payload, kind=PONG))
            elif kind == CLOSE:
                self.close()
            elif kind != PONG:
                on_frame(payload)

    # The end

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def certificate(self) -> bytes:
        """Return the other side's certificate in DER; empty without TLS."""
        assert self._transport is not None  # noqa: S101  # only asked after connect
        tls = self._transport.get_extra_info("ssl_object")
        return b"" if tls is None else tls.getpeercert(binary_form=True)


@cache
def tls_context() -> ssl.SSLContext:
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
            Link, address.host, address.port, ssl=tls_context() if address.tls else None
        )
    return link
