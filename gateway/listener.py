"""Puts hypercorn before the gateway, and does all that hypercorn has no switch for.

    what we do                        because
    --------------------------------  ------------------------------------------------------------
    TLS 1.3 only, no session tickets  before 1.3 our certificate travels in the clear and names the
                                      box; a ticket would tell whose phone comes without login
    HTTP/1.1 only                     nobody needs HTTP/2 here, nor its floods; h2c has no switch
    requests that can be read in one  CL with TE, two lengths, bare line feeds: two programs read
    way only                          them differently; hypercorn answers some of them twice
    no permessage-deflate             a megabyte would unpack to a gigabyte before any limit
    a message too long ends it all    hypercorn says so and goes on collecting
    who stops reading is cut off      hypercorn waits for ever
    caps, before TLS begins           hypercorn counts nothing, and without descriptors asyncio
                                      spins and fills the disk with tracebacks
    16 KiB to read TLS into           asyncio takes 256 KiB for each connection
    libraries say little in the log   whoever sends rubbish must not be able to fill a disk

Made for the hypercorn that pyproject.toml pins; tests/gateway/test_listener.py fails when a newer
one does any of this differently.
"""

import asyncio
import logging
import re
import socket
import ssl
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import h11
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr
from wsproto.utilities import ProtocolError

from gateway.door import Caps, Door, Entrance
from gateway.visit import STATE, Visit
from wire.frames import MAX_FRAME

HANDSHAKE_SECONDS: Final = 10.0
"""Time for TLS to be agreed on; a phone on a bad network takes two."""
IDLE_SECONDS: Final = 20.0
"""Time for a request's head to come, on a new connection and after an answer."""
PIECE: Final = 64 * 1024
"""Bytes that are written at a time, and held for one connection before the next have to wait."""
STALL_SECONDS: Final = 30.0
"""Time for the other side to take one piece: 17 kbit/s."""
FAREWELL_SECONDS: Final = 5.0
"""Time for the other side to say that it heard the end of a TLS connection."""
MAX_HEAD: Final = 16 * 1024
"""Bytes of a request's head; ours have some hundred."""
TLS_BUFFER: Final = 16 * 1024
"""Bytes that TLS is read into: one record. 304 kB for each idle connection become 59 kB."""
QUEUED: Final = 2
"""Pieces of a body, of at most 64 KiB, that wait for whoever reads it."""
LINES_A_MINUTE: Final = 20
"""What one library may say in the log: at some hundred bytes a line, a megabyte in an hour."""

_HEAD_END: Final = b"\r\n\r\n"
_ODD_LINES: Final = re.compile(rb"(?<!\r)\n|\n[ \t]|\0")
_TOLD_LENGTHS: Final = re.compile(rb"\n(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)

__all__ = ["Caps", "serve_local", "serve_phones"]

log = logging.getLogger(__name__)


async def serve_phones(
    app: Any,
    *,
    sockets: Sequence[socket.socket],
    tls: Path,
    caps: Caps,
    stop: Callable[[], Awaitable[object]],
    grace: float,
) -> None:
    """Serve `app` with TLS until `stop` returns.

    Args:
        app: an ASGI application.
        sockets: bound and listening; they are closed when this returns.
        tls: PEM file with certificate and key.
        caps: how many connections there may be.
        stop: returns when it is time to end.
        grace: seconds that requests have then to finish.
    """
    SSLProtocol.max_size = TLS_BUFFER
    with Door(caps) as door, quiet_libraries():
        await _serve(
            app,
            [Entrance(one, door) for one in sockets],
            context=tls_context(tls),
            stop=stop,
            grace=grace,
        )
        door.hang_up()


async def serve_local(
    app: Any, *, sock: socket.socket, stop: Callable[[], Awaitable[object]], grace: float
) -> None:
    """Serve `app` on a Unix socket, without TLS and caps, until `stop` returns."""
    await _serve(app, [sock], context=None, stop=stop, grace=grace)


def tls_context(pem: Path) -> ssl.SSLContext:
    """Return how TLS is spoken here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(pem)
    return context


async def _serve(
    app: Any,
    sockets: Sequence[socket.socket],
    *,
    context: ssl.SSLContext | None,
    stop: Callable[[], Awaitable[object]],
    grace: float,
) -> None:
    """Answer on `sockets` until `stop` returns, then finish what is begun."""
    loop, worker, settings = asyncio.get_running_loop(), WorkerContext(None), _settings()
    running = set[asyncio.Task[Any]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            running.add(task)
            task.add_done_callback(running.discard)
        try:
            await _Connection(ASGIWrapper(app), loop, settings, worker, {}, reader, writer)
        except Exception as error:
            if not _is_their_doing(error):
                log.error("a connection was dropped", exc_info=error)
            _cut(writer.transport)

    patience: dict[str, Any] = {}
    if context is not None:
        patience["ssl_handshake_timeout"] = HANDSHAKE_SECONDS
        patience["ssl_shutdown_timeout"] = FAREWELL_SECONDS
    servers = [
        await asyncio.start_server(connected, sock=one, ssl=context, **patience) for one in sockets
    ]
    try:
        await stop()
    finally:
        await worker.terminated.set()
        for server in servers:
            server.close()
        await _finish(running, grace=grace)


async def _finish(running: set[asyncio.Task[Any]], *, grace: float) -> None:
    """Let requests finish, then end those that have not."""
    if running:
        await asyncio.wait(tuple(running), timeout=grace)
    for task in tuple(running):
        task.cancel()
    if running:
        await asyncio.wait(tuple(running), timeout=FAREWELL_SECONDS / 2)


def _settings() -> Config:
    settings = Config()
    settings.include_server_header = False
    settings.accesslog = None  # addresses and lanes have no place in a log
    settings.errorlog = logging.getLogger("hypercorn.error")
    settings.keep_alive_timeout = IDLE_SECONDS
    settings.h11_max_incomplete_size = MAX_HEAD
    settings.websocket_max_message_size = MAX_FRAME
    settings.max_app_queue_size = QUEUED
    return settings


def _is_their_doing(error: Exception) -> bool:
    """Return whether a connection broke because of the other side, or of the network."""
    if isinstance(error, ExceptionGroup):
        return all(_is_their_doing(one) for one in error.exceptions)
    return isinstance(error, OSError | h11.ProtocolError | ProtocolError)


def _cut(transport: asyncio.WriteTransport) -> None:
    """End a connection at once.

    In Python 3.11.2, which Debian 12 has, a TLS transport that has ended already raises
    AttributeError here; 3.11.7 does nothing.
    """
    with suppress(AttributeError):
        transport.abort()


# What happens on one connection


class StrictRequests(h11.Connection):
    """Reads only requests that there is one way to read. Source: RFC 9112 §2.2, §3.2, §6.3."""

    def next_event(self) -> Any:
        """Return the next event.

        Raises:
            h11.RemoteProtocolError: the request could be read differently, or is none of ours.
        """
        if self.their_state is h11.IDLE:
            _check_head(self.trailing_data[0])
        event = super().next_event()
        if isinstance(event, h11.Request):
            _check_request(event)
        return event


def _check_head(received: bytes) -> None:
    end = received.find(_HEAD_END)
    head = received if end < 0 else received[: end + 2]
    if _ODD_LINES.search(head):
        raise h11.RemoteProtocolError("lines that end in their own way")
    if len(_TOLD_LENGTHS.findall(head)) > 1:
        raise h11.RemoteProtocolError("a body with two lengths")


def _check_request(request: h11.Request) -> None:
    if request.http_version != b"1.1":
        raise h11.RemoteProtocolError("another version of HTTP", error_status_hint=505)
    if not request.target.startswith(b"/"):  # as proxies and CONNECT have it
        raise h11.RemoteProtocolError("a target that is no path")
    if any(name == b"origin" for name, _ in request.headers):
        raise h11.RemoteProtocolError("a web page has no business here", error_status_hint=403)


class _Requests(H11Protocol):
    """HTTP/1.1 without the ways out of it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        limit = self.config.h11_max_incomplete_size
        self.connection = StrictRequests(h11.SERVER, max_incomplete_event_size=limit)

    async def handle(self, event: Event) -> None:
        await super().handle(event)
        stream = self.stream
        if isinstance(stream, WSStream) and stream.buffer.length > stream.buffer.max_length:
            self.connection_state[STATE].abort()
            await super().handle(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        """Go over to HTTP/2 for nobody."""

    async def _create_stream(self, request: h11.Request) -> None:
        kept = [one for one in request.headers if one[0] != b"sec-websocket-extensions"]
        await super()._create_stream(
            h11.Request(
                method=request.method,
                headers=kept,
                target=request.target,
                http_version=request.http_version,
            )
        )


class _Connection(TCPServer):
    """One connection, from its first byte to its end."""

    async def run(self) -> None:
        transport = self.writer.transport
        transport.set_write_buffer_limits(high=PIECE)
        visit = Visit(partial(_cut, transport))
        connection = self.writer.get_extra_info("socket")
        try:
            async with TaskGroup(self.loop) as tasks:
                self._task_group = tasks
                self.protocol = _Requests(  # type: ignore[assignment]  # same methods as its wrapper
                    self.app,
                    self.config,
                    self.context,
                    tasks,
                    ConnectionState({STATE: visit}),
                    transport.get_extra_info("ssl_object") is not None,
                    parse_socket_addr(connection.family, connection.getpeername()),
                    parse_socket_addr(connection.family, connection.getsockname()),
                    self.protocol_send,
                )
                await self.protocol.initiate()
                await self.idle_task.restart(tasks, self._idle_timeout)
                await self._read_data()
        finally:
            await self._close()

    async def protocol_send(self, event: Event) -> None:
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        try:
            async with self.send_lock:
                await self._write(memoryview(event.data))
        except (ConnectionError, RuntimeError):
            await self.protocol.handle(Closed())
        except TimeoutError:
            _cut(self.writer.transport)
            await self.protocol.handle(Closed())

    async def _write(self, data: memoryview) -> None:
        """Write in pieces: asyncio does not count the first write when it asks for patience."""
        for start in range(0, len(data), PIECE):
            self.writer.write(data[start : start + PIECE])
            async with asyncio.timeout(STALL_SECONDS):
                await self.writer.drain()


# What libraries may say


class Sparing(logging.Filter):
    """Passes a few records a minute, and tells how many it has kept back.

    Args:
        lines: how many in a minute.
        now: returns seconds that never go back.
    """

    def __init__(self, lines: int, *, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._lines = lines
        self._now = now
        self._since = now()
        self._passed = 0
        self._kept_back = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written."""
        if self._now() - self._since >= 60.0:
            self._since, self._passed = self._now(), 0
        if self._passed >= self._lines:
            self._kept_back += 1
            return False
        self._passed += 1
        if self._kept_back:
            record.msg = f"{record.getMessage()} (and {self._kept_back} more that were not written)"
            record.args = None
            self._kept_back = 0
        return True


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what strangers can make others say within bounds, until the block ends."""
    spoken = [
        (logging.getLogger(name), Sparing(LINES_A_MINUTE))
        for name in ("asyncio", "hypercorn.error", __name__, "gateway.answers")
    ]
    for logger, sparing in spoken:
        logger.addFilter(sparing)
    try:
        yield
    finally:
        for logger, sparing in spoken:
            logger.removeFilter(sparing)
