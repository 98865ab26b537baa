"""Somebody at a gateway's address: a TLS server of our own, which writes down every byte it gets.

TLS is driven by hand over plain sockets, so that each connection is seen from its first byte to its
end, also one that is given up in the middle of the handshake.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from nacl.signing import SigningKey

from gateway.tls_certificate import make_certificate
from peer.ways.connection import Connection, Destination, connect
from wire.auth import NONCE_BYTES, Channel
from wire.codec import encode
from wire.codes import GatewayCode
from wire.ids import GatewayId
from wire.places import Place

T = TypeVar("T")

PATIENCE: Final = 20.0
_PIECE: Final = 1 << 16


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    head: bytes
    body: bytes

    @property
    def name(self) -> str:
        """Method and path, without the question."""
        return f"{self.method} {self.path.partition('?')[0]}"


Answer = bytes | AsyncIterator[bytes] | None
"""What is answered: bytes as they are, bytes without end, or nothing but the end."""
Answers = Callable[[Asked], Answer]


@dataclass
class Visit:
    """One connection, from its first byte to its end."""

    agreed: bool = False
    """Whether the handshake came to its end."""
    heard: bytes = b""
    """What came inside TLS."""


class Stranger:
    """A TLS server with a certificate of a test's choice.

    Args:
        pem: certificate and key.
        answers: what it says to each request; None: it only listens.
    """

    def __init__(self, pem: Path, answers: Answers | None) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._tls.load_cert_chain(pem)
        self._answers = answers
        self._tasks = set[asyncio.Task[None]]()
        self.der = ssl.PEM_cert_to_DER_cert(pem.read_text().partition("-----BEGIN PRIVATE")[0])
        self.visits: list[Visit] = []
        self.asked: list[Asked] = []
        self.sent = 0
        """Bytes that it was able to send inside TLS."""
        self.port = 0

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place("127.0.0.1", self.port)

    async def heard(self) -> bytes:
        """Wait until every connection has ended; return all that came inside TLS."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._tasks)
        return b"".join(one.heard for one in self.visits)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        visit = Visit()
        self.visits.append(visit)
        end = _End(self._tls, reader, writer)
        try:
            await end.agree()
            visit.agreed = True
            await self._listen(end, visit)
        except (ssl.SSLError, OSError, asyncio.CancelledError):
            pass  # the other side has gone, or does not like our certificate; or the test is over
        finally:
            writer.transport.abort()

    async def _listen(self, end: "_End", visit: Visit) -> None:
        waiting = b""
        while True:
            if not (piece := await end.read()):
                return
            visit.heard += piece
            waiting += piece
            while self._answers is not None and (asked := _request(waiting)) is not None:
                waiting = waiting[len(asked.head) + len(asked.body) :]
                self.asked.append(asked)
                if not await self._answer(end, self._answers(asked)):
                    return

    async def _answer(self, end: "_End", answer: Answer) -> bool:
        if answer is None:
            return False
        if isinstance(answer, bytes):
            await end.write(answer)
            self.sent += len(answer)
            return True
        async for piece in answer:
            await end.write(piece)
            self.sent += len(piece)
        return False

    async def close(self) -> None:
        """End what is open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _End:
    """The server's end of one TLS connection."""

    def __init__(
        self, tls: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader, self._writer = reader, writer
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._in, self._out, server_side=True)

    async def agree(self) -> None:
        """Do the handshake."""
        await self._do(self._tls.do_handshake)

    async def read(self) -> bytes:
        """Return what comes next, nothing at the end."""
        with suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return await self._do(lambda: self._tls.read(_PIECE))
        return b""

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            await self._do(lambda piece=piece: self._tls.write(piece))  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    async def _do(self, step: Callable[[], T]) -> T:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._reader.read(_PIECE)
                self._in.write(data) if data else self._in.write_eof()
            else:
                await self._flush()
                return done

    async def _flush(self) -> None:
        if data := self._out.read():
            self._writer.write(data)
            await self._writer.drain()


def _request(data: bytes) -> Asked | None:
    """Return the first request in `data` if it is whole."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None
    line, *fields = head.decode("latin-1").split("\r\n")
    lengths = [one for one in fields if one.lower().startswith("content-length:")]
    length = int(lengths[0].partition(":")[2]) if lengths else 0
    if len(rest) < length:
        return None
    method, path, _ = line.split(" ")
    return Asked(method, path, head + found, rest[:length])


def http(status: int = 200, body: bytes = b"", *, kind: str = "application/cbor") -> bytes:
    """Return an answer as HTTP writes it."""
    head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


@asynccontextmanager
async def stranger(
    pem: Path, answers: Answers | None = None, *, port: int = 0
) -> AsyncIterator[Stranger]:
    """Let somebody listen on 127.0.0.1."""
    one = Stranger(pem, answers)
    opened = socket.create_server(("127.0.0.1", port))
    server = await asyncio.start_server(one._meet, sock=opened)
    one.port = opened.getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        await one.close()
        await server.wait_closed()


@dataclass
class Keys:
    """A gateway's identity key, and certificates that it vouches for."""

    folder: Path
    key: SigningKey = field(default_factory=SigningKey.generate)
    made: int = 0

    @property
    def gateway(self) -> GatewayId:
        """The public half."""
        return GatewayId(bytes(self.key.verify_key))

    def certificate(self) -> Path:
        """Make a new certificate."""
        self.made += 1
        pem = self.folder / f"{self.gateway.raw.hex()[:8]}-{self.made}.pem"
        pem.write_bytes(make_certificate(self.key, self.folder))
        return pem

    def code(self, place: Place, *, expires: int) -> str:
        """Return a pairing code that names this gateway at a place."""
        return GatewayCode(self.gateway, bytes(16), expires, place).text()

    def channel(self, der: bytes) -> Channel:
        """What answers on connections with this certificate are bound to."""
        return Channel.over(self.gateway, certificate=der)


def lets_in(beyond: Answers) -> Answers:
    """Give good answers to challenge and login, and those of `beyond` to everything else."""

    def answer(asked: Asked) -> Answer:
        match asked.name:
            case "POST /v1/challenge":
                return http(body=bytes(NONCE_BYTES))
            case "POST /v1/login":
                return http(body=encode({0: 1, 1: bytes(32), 2: 3600}))
            case _:
                return beyond(asked)

    return answer


async def endless(piece: bytes) -> AsyncIterator[bytes]:
    """Give the same bytes again and again, as long as somebody takes them."""
    while True:
        yield piece


async def once(data: bytes) -> AsyncIterator[bytes]:
    """Give some bytes, and then the end of the connection."""
    yield data


def to(keys: Keys, *places: Place, certificate: bytes | None = None) -> Destination:
    """Return how to reach the gateway."""
    return Destination(keys.gateway, places, certificate)


def nothing_new(gateway: GatewayId, certificate: bytes) -> None:
    """Be told of a certificate where none should be learned."""
    raise AssertionError("a certificate was learned")


@asynccontextmanager
async def asking(keys: Keys, there: Stranger) -> AsyncIterator[Connection]:
    """Connect to whoever is there, whose certificate is known."""
    destination = to(keys, there.place, certificate=there.der)
    async with connect(destination, learned=nothing_new) as connection:
        yield connection
