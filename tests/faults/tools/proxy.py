"""A network that misbehaves on command: stands before a gateway and passes bytes on, until armed.

    fault.lose_reply        the request arrives, the connection dies at the answer's first byte
    fault.reset_after = n   reset once n more bytes have gone up
    fault.flip_up = n       the n-th byte from now has another bit when it goes up
    fault.flip_down = n     the same on its way down

A fault strikes once and is noted in `struck`. What passes is TLS, which the proxy cannot read.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.control_socket import short_address

PIECE: Final = 1024
_RESET: Final = struct.pack("ii", 1, 0)
"""Linger for no time at all: a close is a reset. Source: socket(7)."""


@dataclass
class Fault:
    """What happens next, counted from when this was made."""

    lose_reply: bool = False
    reset_after: int | None = None
    flip_up: int | None = None
    flip_down: int | None = None
    struck: bool = False
    up: int = 0
    down: int = 0

    def going_up(self, data: bytes) -> bytes:
        """Return what of `data` arrives above; raises `ConnectionResetError` when it is cut."""
        before, self.up = self.up, self.up + len(data)
        if self.reset_after is not None and self.up > self.reset_after:
            self.struck = True
            raise _Cut(data[: self.reset_after - before])
        return self._flipped(data, before, self.flip_up)

    def coming_down(self, data: bytes) -> bytes:
        """Return what of `data` arrives below; raises `_Cut` when the connection ends here."""
        before, self.down = self.down, self.down + len(data)
        if self.lose_reply:
            self.struck = True
            raise _Cut(b"")
        return self._flipped(data, before, self.flip_down)

    def _flipped(self, data: bytes, before: int, at: int | None) -> bytes:
        if at is None or not before <= at < before + len(data):
            return data
        self.struck = True
        changed = bytearray(data)
        changed[at - before] ^= 0x10
        return bytes(changed)


class _Cut(Exception):
    """The connection ends after these bytes."""

    def __init__(self, rest: bytes) -> None:
        super().__init__()
        self.rest = rest


class Proxy:
    """Passes connections on to a port of 127.0.0.1, or to the control socket in a data folder.

    Args:
        target: the port or the folder; it may be changed for later connections.
    """

    def __init__(self, target: int | Path) -> None:
        self.target = target
        self.port = 0
        self.fault = Fault()
        self._open = set[asyncio.Task[None]]()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a connection with one of our own to the target, until either ends or is cut."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        ends = [writer]
        try:
            far_reader, far_writer = await self._connect()
            ends.append(far_writer)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(reader, far_writer, lambda one: self.fault.going_up(one)))
                pumps.create_task(
                    _pump(far_reader, writer, lambda one: self.fault.coming_down(one))
                )
        except* (OSError, _Cut):
            for end in ends:
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        finally:
            for end in ends:
                end.transport.abort()
            self._open.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, int):
            return await asyncio.open_connection("127.0.0.1", self.target)
        with short_address(self.target) as address:
            return await asyncio.open_unix_connection(address)

    async def close(self) -> None:
        """Cut what is still open."""
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


@asynccontextmanager
async def proxy(target: int | Path) -> AsyncIterator[Proxy]:
    """Stand before a port of 127.0.0.1, or the control socket in a folder, until the block ends."""
    made = Proxy(target)
    server = await asyncio.start_server(made.pass_on, host="127.0.0.1", port=0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, through: Callable[[bytes], bytes]
) -> None:
    while data := await reader.read(PIECE):
        try:
            writer.write(through(data))
        except _Cut as cut:
            writer.write(cut.rest)
            with suppress(OSError):
                await writer.drain()
            raise
        await writer.drain()
    raise ConnectionResetError  # one side ended: so does the other
