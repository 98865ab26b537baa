"""Puts hypercorn before the gateway, and does all that hypercorn has no switch for.

    what we do                        because
    --------------------------------  ------------------------------------------------------------
    TLS 1.3 only, no session tickets  before 1.3 our certificate travels in the clear and names the
                                      box; a ticket would tell whose phone comes without login
    HTTP/1.1 only                     nobody needs HTTP/2 here, nor its floods; h2c has no switch
    no web pages, no made-up hosts    a page can point its own name at a box at home, and ask it
    requests that can be read in one  CL with TE, two lengths, bare line feeds: two programs read
    way only                          them differently; hypercorn answers some of them twice
    no permessage-deflate             a megabyte would unpack to a gigabyte before any limit
    a message too long ends it all    hypercorn says so and goes on collecting
    a flood of frames ends it all     empty fragments and pings cost work, and add up to no length
    who stops reading is cut off      hypercorn waits for ever
    who is gone is forgotten at once  hypercorn keeps all of him in memory until he had been idle
    caps, before TLS begins           hypercorn counts nothing, and without descriptors asyncio
                                      spins and fills the disk with tracebacks
    an answer is one piece            hypercorn sends its head alone: two records, two calls
    one timer for who is idle         hypercorn starts and ends two tasks for it at each request
    refusals are counted              guessing keys or paths costs us what it costs the guesser
    a proxy's connection is told      many visitors come on it: no cap is for it, and what one
    from a visitor's                  request showed says nothing of the next
    16 KiB to read TLS into,          asyncio takes 256 KiB for each connection, and keeps as much
    16 and 32 KiB that wait           again and 128 KiB that nobody has asked for yet
    libraries say little in the log   whoever sends rubbish must not be able to fill a disk

Made for the hypercorn that pyproject.toml pins; tests/gateway/test_listener.py fails when a newer
one does any of this differently.
"""

import asyncio
import json
import logging
import re
import socket
import ssl
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import h11
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Request as StreamRequest
from hypercorn.protocol.events import Response as StreamResponse
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState as FramesState
from wsproto.events import CloseConnection, Message, Ping, Pong
from wsproto.events import Event as FrameEvent
from wsproto.utilities import ProtocolError

from gateway.door import Caps, Door, Entrance, Guest
from gateway.errors import Refusal, TooManyRequests
from gateway.introduction import MAX_LINE, begins, read_line
from gateway.logs import quiet_libraries
from gateway.names import WrongHost, is_ours
from gateway.visit import STATE, Visit
from wire.errors import Malformed
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
READ_BUFFER: Final = 32 * 1024
"""Bytes after which a connection is not read any more until some are wanted; asyncio takes twice
that before it stops."""
MAX_FRAGMENTS: Final = 256
"""Frames of one message: the largest in pieces of 4 KiB. Ours are whole."""
CONTROL_FRAMES: Final = 120
"""Pings and pongs of a WebSocket in a minute: one a second is a nervous client."""
FRAMES_IN_TURN: Final = 64
"""Frames of one connection that are read before others have their turn: a millisecond."""
MAX_TOLD: Final = 8
"""Foreign hosts that the log names, each once: for an owner who forgot to set `hosts`."""
REFUSED_SECONDS: Final = 60
"""What is told to whoever was refused too often."""
LOCAL_CONNECTIONS: Final = 16
"""On the owner's socket: a script that forgets to close them would take the files of phones."""
QUEUED: Final = 2
"""Pieces of a body, of at most 64 KiB, that wait for whoever reads it."""

_HEAD_END: Final = b"\r\n\r\n"
_ODD_LINES: Final = re.compile(rb"(?<!\r)\n|\n[ \t]|\0")
_TOLD_LENGTHS: Final = re.compile(rb"\n(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)

_CODES: Final = {431: "too-large", 505: "unknown-version"}
"""What is told for a request that cannot be read, where it is not `malformed`."""

__all__ = ["Caps", "serve_local", "serve_phones"]

log = logging.getLogger(__name__)


class FromWebPage(Refusal):
    """A page in a browser asked; nobody wants that here."""

    code = "web-page"
    status = 403


async def serve_phones(
    app: Any,
    *,
    sockets: Sequence[socket.socket],
    tls: Path,
    caps: Caps,
    stop: Callable[[], Awaitable[object]],
    grace: float,
    plain: Sequence[socket.socket] = (),
    names: Collection[str] = (),
) -> None:
    """Serve `app` with TLS until `stop` returns.

    Args:
        app: an ASGI application.
        sockets: bound and listening; they are closed when this returns.
        tls: PEM file with certificate and key.
        caps: how many connections there may be.
        stop: returns when it is time to end.
        grace: seconds that requests have then to finish.
        plain: the same, for a proxy on this machine that ends TLS itself.
        names: names of this box beside its addresses and those of the home network.
    """
    SSLProtocol.max_size = TLS_BUFFER
    with Door(caps) as door, quiet_libraries():
        house, context = _House(door=door, names=names), tls_context(tls)
        behind = _House(door=door, names=names, is_plain=True)
        await asyncio.gather(
            _serve(app, _entrances(sockets, door), house, context=context, stop=stop, grace=grace),
            _serve(app, _entrances(plain, door), behind, context=None, stop=stop, grace=grace),
        )
        door.hang_up()


def _entrances(sockets: Sequence[socket.socket], door: Door) -> list[Entrance]:
    return [Entrance(one, door) for one in sockets]


async def serve_local(
    app: Any, *, sock: socket.socket, stop: Callable[[], Awaitable[object]], grace: float
) -> None:
    """Serve `app` on a Unix socket, without TLS, until `stop` returns."""
    house = _House(most=LOCAL_CONNECTIONS)
    await _serve(app, [sock], house, context=None, stop=stop, grace=grace)


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
    house: "_House",
    *,
    context: ssl.SSLContext | None,
    stop: Callable[[], Awaitable[object]],
    grace: float,
) -> None:
    """Answer on `sockets` until `stop` returns, then finish what is begun."""
    loop, worker, settings = asyncio.get_running_loop(), WorkerContext(None), _settings()
    running = set[asyncio.Task[Any]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if house.most is not None and len(running) >= house.most:
            _cut(writer.transport)
            return
        if task := asyncio.current_task():
            running.add(task)
            task.add_done_callback(running.discard)
        try:
            await _Connection(house, ASGIWrapper(app), loop, settings, worker, {}, reader, writer)
        except asyncio.CancelledError:  # at our end; asyncio would write a traceback about it
            _cut(writer.transport)
        except Exception as error:
            if not _is_their_doing(error):
                log.error("a connection was dropped", exc_info=error)
            _cut(writer.transport)

    patience: dict[str, Any] = {}
    if context is not None:
        patience["ssl_handshake_timeout"] = HANDSHAKE_SECONDS
        patience["ssl_shutdown_timeout"] = FAREWELL_SECONDS
    servers = [
        await asyncio.start_server(connected, sock=one, ssl=context, limit=READ_BUFFER, **patience)
        for one in sockets
    ]
    try:
        await stop()
    finally:
        await worker.terminated.set()
        for server in servers:
            server.close()
        for connection in tuple(house.idle):
            connection.leave()
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


@dataclass
class _House:
    """What holds for all connections of one listener."""

    door: Door | None = None
    """Who counts them; nobody on the owner's socket."""
    most: int | None = None
    """How many there may be, where nobody counts them."""
    names: Collection[str] | None = None
    """Our names beside those that nobody outside can own; None where any name will do."""
    is_plain: bool = False
    """Whether a proxy ends TLS for its visitors: a connection may be many visitors' then."""
    idle: set["_Connection"] = field(default_factory=set)
    """Connections of which nothing is asked just now."""
    _told: set[str] = field(default_factory=set)

    def guest(self, descriptor: int) -> Guest | None:
        return self.door.guest(descriptor) if self.door else None

    def check(self, request: h11.Request, guest: Guest | None) -> None:
        """Check who asks, and for whom he takes us.

        Raises:
            TooManyRequests, FromWebPage, WrongHost
        """
        if self.door and guest and not self.door.is_patient_with(guest):
            raise TooManyRequests(retry_after=REFUSED_SECONDS)
        headers = dict(request.headers)  # of Host there is exactly one, or h11 would have refused
        if b"origin" in headers or headers.get(b"sec-fetch-site", b"none") != b"none":
            raise FromWebPage
        if self.names is not None and not is_ours(headers[b"host"], self.names):
            self._tell(headers[b"host"].decode("latin-1"))
            raise WrongHost

    def answered(self, guest: Guest | None, status: int) -> None:
        """Note how somebody was answered."""
        if self.door is None or guest is None:
            return
        guest.was_answered = True
        if 400 <= status < 500:
            self.door.refused(guest)

    def _tell(self, host: str) -> None:
        if host not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(host)
            log.warning(
                "somebody asked for the host %s and was refused; if that is this box, put it into "
                "the setting hosts",
                host[:80],
            )


class StrictRequests(h11.Connection):
    """Reads only requests that there is one way to read. Source: RFC 9112 §2.2, §3.2, §6.3."""

    refusal: Refusal | None = None
    """Why the last request was refused, if it could be read."""
    check: Callable[[h11.Request], None] | None = None
    """Raises the refusal of a request that can be read."""

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
            self._check(event)
        return event

    def _check(self, request: h11.Request) -> None:
        try:
            if self.check is not None:
                self.check(request)
        except Refusal as refusal:
            self.refusal = refusal
            raise h11.RemoteProtocolError(
                refusal.code, error_status_hint=refusal.status
            ) from refusal


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


class _Requests(H11Protocol):
    """HTTP/1.1 without the ways out of it.

    Args:
        visit: returns what the next request is part of.
        check: raises the refusal of a request that is none of ours.
        answered: told the status of each answer.
        arguments: of hypercorn.
    """

    def __init__(
        self,
        *arguments: Any,
        visit: Callable[[], Visit],
        check: Callable[[h11.Request], None],
        answered: Callable[[int], None],
    ) -> None:
        super().__init__(*arguments)
        limit = self.config.h11_max_incomplete_size
        self.connection = self._reading = StrictRequests(
            h11.SERVER, max_incomplete_event_size=limit
        )
        self._reading.check = check
        self._visit = visit
        self._answered = answered
        self._head = b""

    async def handle(self, event: Event) -> None:
        await super().handle(event)
        if isinstance(self.stream, _Messages) and self.stream.is_too_much:
            self.connection_state[STATE].abort()
            await super().handle(Closed())

    async def stream_send(self, event: Any) -> None:
        if isinstance(event, StreamResponse):
            self._answered(event.status_code)
        await super().stream_send(event)

    async def _send_h11_event(self, event: Any) -> None:
        """Send the head of an answer together with what follows it: one record of TLS, one call."""
        data, self._head = self._head, b""
        try:
            data += self.connection.send(event) or b""
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR and not data:
                raise
        if isinstance(event, h11.Response):
            self._head = data
        elif data:
            await self.send(RawData(data=data))

    async def _check_protocol(self, event: h11.Request) -> None:
        """Go over to HTTP/2 for nobody."""

    async def _create_stream(self, request: h11.Request) -> None:
        self.connection_state[STATE] = self._visit()
        kind = _Messages if _wants_websocket(request) else HTTPStream
        self.stream = kind(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        if kind is _Messages:
            self.connection = H11WSConnection(self._reading)
        await self.stream.handle(
            StreamRequest(
                stream_id=STREAM_ID,
                headers=[one for one in request.headers if one[0] != b"sec-websocket-extensions"],
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1

    async def _send_error_response(self, status_code: int) -> None:
        """Say why a request was refused, in the words of docs/protocol.md §12."""
        self._answered(status_code)
        refusal = self._reading.refusal
        code = refusal.code if refusal else _CODES.get(status_code, "malformed")
        facts = refusal.facts() if refusal else {"limit": MAX_HEAD} if status_code == 431 else {}
        content = json.dumps({"error": code, **facts}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        with suppress(h11.LocalProtocolError):  # an answer to HEAD has no content
            await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
            await self._send_h11_event(h11.Data(data=content))
            await self._send_h11_event(h11.EndOfMessage())


def _wants_websocket(request: h11.Request) -> bool:
    headers = dict(request.headers)
    tokens = headers.get(b"connection", b"").lower().split(b",")
    return (
        request.method == b"GET"
        and b"upgrade" in (one.strip() for one in tokens)
        and headers.get(b"upgrade", b"").strip().lower() == b"websocket"
    )


class _Messages(WSStream):
    """A WebSocket that ends when its frames are more than its messages need."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.is_too_much = False
        self._fragments = 0
        self._control = 0
        self._since = time.monotonic()

    async def _handle_events(self) -> None:
        frames: Frames = self.connection
        for number, event in enumerate(frames.events(), 1):
            self._count(event)
            if self.is_too_much:
                return
            if number % FRAMES_IN_TURN == 0:
                await asyncio.sleep(0)
            if isinstance(event, Message):
                await self._take(event)
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                if frames.state is FramesState.REMOTE_CLOSING:
                    await self._send_wsproto_event(event.response())
                await self.send(StreamClosed(stream_id=self.stream_id))

    async def _take(self, event: Message[Any]) -> None:
        try:
            self.buffer.extend(event)
        except FrameTooLargeError:
            self.is_too_much = True
            return
        if event.message_finished and self.app_put is not None:
            await self.app_put(self.buffer.to_message())
            self.buffer.clear()

    def _count(self, event: FrameEvent) -> None:
        if isinstance(event, Message):
            self._fragments += event.frame_finished
            if event.message_finished:
                self._fragments = 0
        elif isinstance(event, Ping | Pong):
            if time.monotonic() - self._since >= 60.0:
                self._since, self._control = time.monotonic(), 0
            self._control += 1
        if self._fragments > MAX_FRAGMENTS or self._control > CONTROL_FRAMES:
            self.is_too_much = True


class _Connection(TCPServer):
    """One connection, from its first byte to its end.

    Args:
        house: what holds for it.
        arguments: of hypercorn.
    """

    def __init__(self, house: _House, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._house = house
        self._is_gone = False
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        transport = self.writer.transport
        transport.set_write_buffer_limits(high=PIECE)
        if over_tls := transport.get_extra_info("ssl_object") is not None:
            transport.set_read_buffer_limits(high=TLS_BUFFER)  # type: ignore[attr-defined]  # of TLS
        connection = self.writer.get_extra_info("socket")
        try:
            guest = self._house.guest(connection.fileno())
            client = parse_socket_addr(connection.family, connection.getpeername())
            introduced, begun = await self._introduction(guest)
            async with TaskGroup(self.loop) as tasks:
                self._task_group = tasks
                self.protocol = _Requests(  # type: ignore[assignment]  # same methods as its wrapper
                    self.app,
                    self.config,
                    self.context,
                    tasks,
                    ConnectionState({}),
                    over_tls,
                    (introduced, 0) if introduced else client,
                    parse_socket_addr(connection.family, connection.getsockname()),
                    self.protocol_send,
                    visit=self._visits(is_one=bool(introduced) or not self._house.is_plain),
                    check=partial(self._house.check, guest=guest),
                    answered=partial(self._house.answered, guest),
                )
                await self.protocol.initiate()
                self._become(idle=True)
                if begun:
                    await self.protocol.handle(RawData(begun))
                await self._read_data()
                self._is_gone = True
                self._become(idle=False)  # else all of this stays until it would have ended
        finally:
            self._become(idle=False)
            await self._close()

    def _become(self, *, idle: bool) -> None:
        """Have it ended in a while if nothing is asked on it, or not any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._house.idle.discard(self)
        if idle:
            patience = 0.0 if self.context.terminated.is_set() else IDLE_SECONDS
            self._timer = self.loop.call_later(patience, self.leave)
            self._house.idle.add(self)

    def leave(self) -> None:
        """End a connection on which nothing is asked."""
        self._become(idle=False)
        self._task_group.spawn(self._initiate_server_close)

    def _visits(self, *, is_one: bool) -> Callable[[], Visit]:
        """Return what gives each request its visit: all the same, or each its own."""
        abort = partial(_cut, self.writer.transport)
        one = Visit(abort)
        return (lambda: one) if is_one else (lambda: Visit(abort))

    async def _introduction(self, guest: Guest | None) -> tuple[str | None, bytes]:
        """Let a trusted proxy say for whom it comes; return that address, and what came after.

        Raises:
            ConnectionError: it says so in another form, not at all, or for one too many.
        """
        door, data = self._house.door, b""
        if not self._house.is_plain or door is None or guest is None or guest.network is not None:
            return None, b""
        with _their_doing():
            async with asyncio.timeout(IDLE_SECONDS):
                while (is_one := begins(data)) is None or (is_one and read_line(data) is None):
                    if not (piece := await self.reader.read(MAX_LINE)):
                        raise ConnectionResetError
                    data += piece
        if not is_one or (found := read_line(data)) is None:
            return None, data
        address, size = found
        if address is not None and not door.introduced(guest, address):
            raise ConnectionRefusedError
        return address, data[size:]

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Updated):
            self._become(idle=event.idle and not self._is_gone)
            return
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        try:
            async with self.send_lock:
                await self._write(memoryview(event.data))
        except TimeoutError:
            _cut(self.writer.transport)
            await self.protocol.handle(Closed())
        except (OSError, RuntimeError):  # OSError: of the connection, or of TLS
            await self.protocol.handle(Closed())

    async def _write(self, data: memoryview) -> None:
        """Write in pieces: asyncio does not count the first write when it asks for patience."""
        for start in range(0, len(data), PIECE):
            self.writer.write(data[start : start + PIECE])
            if self.writer.transport.get_write_buffer_size() < PIECE:
                await self.writer.drain()  # which does not wait then, and needs no timer
                continue
            async with asyncio.timeout(STALL_SECONDS):
                await self.writer.drain()

    async def _close(self) -> None:
        """Close, and do not wait for ever until the last bytes are taken.

        Whoever is still sending spoils TLS's farewell (an `SSLError`): that is his end of it.
        """
        with suppress(OSError):  # which a timeout is, too
            async with asyncio.timeout(FAREWELL_SECONDS):
                await super()._close()
        _cut(self.writer.transport)


@contextmanager
def _their_doing() -> Iterator[None]:
    """Take what goes wrong in the block for the end of a connection."""
    try:
        yield
    except (Malformed, TimeoutError) as error:
        raise ConnectionAbortedError from error
