"""A tap in front of a gateway: TLS ends here with the gateway's own key, and begins anew behind.

Whoever owns the box has its key, so nothing that travels to it is hidden from him. All bytes are
kept in the clear, both ways, with the address that opened each connection. Connections that the
gateway itself opens do not come by here; `sockets.py` sees those.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.essay.http_record import Conversation, Exchange, read_conversation

PIECE: Final = 64 * 1024


@dataclass
class Link:
    """One connection through the tap, in the clear."""

    caller: str
    """The address that opened it."""
    up: bytearray = field(default_factory=bytearray)
    """From the phone to the gateway."""
    down: bytearray = field(default_factory=bytearray)

    @property
    def conversation(self) -> Conversation:
        """What it was used for, as far as it has come."""
        return read_conversation(bytes(self.up), bytes(self.down))


class Tap:
    """Everything that passed between phones and one gateway.

    Args:
        port: where the gateway listens on 127.0.0.1.
        pem: the gateway's certificate and key; it need not exist before the first connection.
    """

    def __init__(self, port: int, pem: Path) -> None:
        self._port = port
        self._pem = pem
        self._tls = _as_gateway()
        self._open = set[asyncio.Task[None]]()
        self.links: list[Link] = []
        self.port = 0
        """Where phones come in."""

    def take_key(self) -> None:
        """Read the gateway's certificate and key, at first and whenever it has new ones."""
        self._tls.load_cert_chain(self._pem)

    @property
    def up(self) -> int:
        """Bytes that phones have sent, inside TLS."""
        return sum(len(link.up) for link in self.links)

    @property
    def down(self) -> int:
        """Bytes that phones have been sent, inside TLS."""
        return sum(len(link.down) for link in self.links)

    @property
    def bytes(self) -> int:
        """Bytes both ways."""
        return self.up + self.down

    def exchanges(self) -> list[Exchange]:
        """Return all requests and answers of all connections."""
        return [one for link in self.links for one in link.conversation.exchanges]

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        link = Link(writer.get_extra_info("peername")[0])
        self.links.append(link)
        try:
            await self._join(link, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # a side went away, as phones and killed gateways do, or the tap is closed
        finally:
            self._open.discard(task)
            writer.close()

    async def _join(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=_as_phone()
        )
        pumps = {
            asyncio.create_task(_pump(reader, far_writer, link.up)),
            asyncio.create_task(_pump(far_reader, writer, link.down)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            far_writer.close()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def close(self) -> None:
        """Cut what is still open."""
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


@asynccontextmanager
async def tap(pem: Path, *, port: int, address: str = "127.0.0.1") -> AsyncIterator[Tap]:
    """Stand in front of the gateway that listens at 127.0.0.1 on `port`, until the block ends.

    Args:
        pem: the gateway's certificate and key; `Tap.take_key` reads them once they exist.
        port: where the gateway listens.
        address: where phones come in.
    """
    wire = Tap(port, pem)
    server = await asyncio.start_server(wire._pass_on, host=address, port=0, ssl=wire._tls)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        await wire.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
) -> None:
    while data := await reader.read(PIECE):
        kept += data
        writer.write(data)
        await writer.drain()
    await writer.drain()


def _as_gateway() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    return context


def _as_phone() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
