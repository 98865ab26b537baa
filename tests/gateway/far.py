"""A server out there: HTTPS on 127.0.0.1 with a name of its own, which answers as it is told."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import h11
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NAME = "push.example.net"
OTHER_NAME = "other.example.net"


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Asked], bytes | Awaitable[bytes]]
"""Returns the whole answer as it goes over the line."""


def said(status: int, *headers: str, body: bytes = b"") -> bytes:
    """Return an answer."""
    lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Far:
    """The server."""

    port: int
    trust: ssl.SSLContext
    asked: list[Asked] = field(default_factory=list)
    answer: Answer = lambda asked: said(201)
    connections: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """An address there."""
        return f"https://{NAME}:{self.port}/push/abc"

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return that every name is here: for an `Outbound` that has these names for its own."""
        return ["127.0.0.1"]

    async def until(self, count: int) -> list[Asked]:
        """Wait until so many requests came; return them."""
        async with asyncio.timeout(10):
            while len(self.asked) < count:
                self.news.clear()
                await self.news.wait()
        return self.asked


@cache
def _certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somewhere")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.DNSName(NAME),
                    x509.DNSName(OTHER_NAME),
                    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return made.public_bytes(serialization.Encoding.PEM), secret


@asynccontextmanager
async def open_far(folder: Path) -> AsyncIterator[Far]:
    """Let it listen; `folder` holds its certificate meanwhile."""
    certificate, secret = _certificate()
    path = folder / "far.pem"
    path.write_bytes(certificate + secret)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.load_verify_locations(cadata=certificate.decode())
    talking = set[asyncio.Task[None]]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        far.connections += 1
        with suppress(OSError, ssl.SSLError, asyncio.CancelledError):
            asked = await _request(reader)
            far.asked.append(asked)
            far.news.set()
            answer = far.answer(asked)
            writer.write(answer if isinstance(answer, bytes) else await answer)
            await writer.drain()
        writer.close()
        with suppress(OSError, ssl.SSLError, asyncio.CancelledError):
            await writer.wait_closed()
        talking.discard(task)

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    far = Far(server.sockets[0].getsockname()[1], trust)
    try:
        yield far
    finally:
        server.close()
        for task in tuple(talking):
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> Asked:
    http = h11.Connection(our_role=h11.SERVER)
    head: h11.Request | None = None
    body = b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        else:
            assert head is not None
            headers = {name.decode(): value.decode() for name, value in head.headers}
            return Asked(head.target.decode(), headers, body)
