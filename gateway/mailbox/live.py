"""Carries mailboxes to the devices that are connected: drives the courier over a WebSocket.

One task reads, one writes. The writer takes parcels from the store a frame at a time and waits for
the socket before the next, so a slow phone costs one frame of memory (docs/protocol.md §5.3).
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final, Protocol

from gateway.auth import Caller
from gateway.clock import Clock
from gateway.errors import Refusal
from gateway.mailbox.deposits import Arrived
from gateway.mailbox.store import MailboxStore
from wire.delivery import Acked, Answered, Ask, Connected, Courier, HangUp, Send, Sent, Stored, Tick
from wire.delivery import Action as CourierAction
from wire.errors import Malformed, WireError
from wire.frames import (
    Ack,
    Bye,
    Frame,
    Hello,
    Parcels,
    Ping,
    Pong,
    Resume,
    decode_frame,
    encode_frame,
)
from wire.ids import SeatId

FIRST_FRAME_SECONDS: Final = 15.0
"""Time for a device to say how far it has come."""


class Socket(Protocol):
    """A WebSocket, as far as we use it."""

    async def receive(self) -> bytes | str: ...

    async def send(self, data: bytes) -> None: ...


class Goodbye(Exception):
    """The line ends, and the device is told why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Lines:
    """All devices that are connected or wait for news, by seat."""

    def __init__(self) -> None:
        self._lines: dict[SeatId, set[Line]] = defaultdict(set)
        self._news: dict[SeatId, asyncio.Event] = {}

    def arrived(self, parcels: Iterable[Arrived]) -> None:
        """Tell everybody concerned what was stored; it is on disk by now."""
        newest: dict[SeatId, int] = {}
        for one in parcels:
            newest[one.seat] = max(one.seq, newest.get(one.seat, 0))
        for seat, seq in newest.items():
            for line in tuple(self._lines.get(seat, ())):
                line.stored(seq)
            if (news := self._news.pop(seat, None)) is not None:
                news.set()

    def news(self, seat: SeatId) -> asyncio.Event:
        """Return what is set as soon as something more is stored for a seat.

        Ask for it before looking into the mailbox: what comes in between is not missed then.
        """
        return self._news.setdefault(seat, asyncio.Event())

    def join(self, line: "Line") -> None:
        """Add a line; an older one of the same device ends."""
        self.hang_up(lambda caller: caller.device == line.caller.device, code="replaced")
        self._lines[line.caller.seat].add(line)

    def leave(self, line: "Line") -> None:
        """Take a line out again."""
        self._lines[line.caller.seat].discard(line)
        if not self._lines[line.caller.seat]:
            del self._lines[line.caller.seat]

    def hang_up(self, which: Callable[[Caller], bool], *, code: str) -> None:
        """End the lines of every caller for whom `which` is true."""
        for lines in tuple(self._lines.values()):
            for line in tuple(lines):
                if which(line.caller):
                    line.hang_up(code)


class Line:
    """One device's connection.

    Args:
        caller: the device, logged in.
        socket: accepted.
        store: where its mailbox is.
        clock: whose monotonic time the courier lives by.
    """

    def __init__(
        self, caller: Caller, socket: Socket, *, store: MailboxStore, clock: Clock
    ) -> None:
        self.caller = caller
        self._socket = socket
        self._store = store
        self._clock = clock
        self._courier = Courier()
        self._newest = 0
        self._outgoing: asyncio.Queue[Send | Frame] = asyncio.Queue()
        self._ending: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def stored(self, seq: int) -> None:
        """The mailbox has a new parcel."""
        self._newest = max(self._newest, seq)
        self._do(self._courier.handle(Stored(seq), now=self._clock.monotonic()))

    def hang_up(self, code: str) -> None:
        """End the line and say why."""
        if not self._ending.done():
            self._ending.set_result(code)

    async def run(self, lines: Lines) -> None:
        """Carry the mailbox until the connection ends, from whichever side."""
        lines.join(self)  # before looking: what is stored meanwhile is heard of
        try:
            await self._greet()
            await self._until_one_ends(self._read(), self._write(), self._watch())
        except Goodbye as goodbye:
            await self._say_goodbye(goodbye.code)
        except (WireError, Refusal) as error:
            await self._say_goodbye(error.code)
        finally:
            lines.leave(self)

    async def _greet(self) -> None:
        try:
            async with asyncio.timeout(FIRST_FRAME_SECONDS):
                frame = await self._receive()
        except TimeoutError:
            raise Goodbye("too-slow") from None
        if not isinstance(frame, Resume):
            raise Malformed("the first frame says how far the device has come")
        resumed = await self._store.resume(self.caller.device.device, frame.cursor)
        hello = Hello(resumed.epoch, resumed.newest, resumed.reset)
        await self._socket.send(encode_frame(hello))
        newest = max(resumed.newest, self._newest)
        self._courier = Courier(newest=newest, acked=resumed.after)
        now = self._clock.monotonic()
        self._do(self._courier.handle(Connected(resumed.after), now=now))

    async def _until_one_ends(self, *works: Awaitable[None]) -> None:
        tasks = {asyncio.ensure_future(one) for one in works}
        ends: set[asyncio.Future[None] | asyncio.Future[str]] = {*tasks, self._ending}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            if self._ending.done():
                raise Goodbye(self._ending.result())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            frame = await self._receive()
            now = self._clock.monotonic()
            match frame:
                case Ack(cursor):
                    actions = self._courier.handle(Acked(cursor.seq), now=now)
                    if not await self._store.acknowledge(self.caller.device.device, cursor):
                        raise Goodbye("cursor-unknown")
                    self._do(actions)
                case Pong():
                    self._do(self._courier.handle(Answered(), now=now))
                case _:
                    raise Malformed("a device sends Ack and Pong once it has resumed")

    async def _write(self) -> None:
        while True:
            match await self._outgoing.get():
                case Send() as wanted:
                    await self._send_parcels(wanted)
                case frame:
                    await self._socket.send(encode_frame(frame))

    async def _send_parcels(self, wanted: Send) -> None:
        limit = wanted.last - wanted.first + 1
        found = await self._store.collect(self.caller.seat, after=wanted.first - 1, limit=limit)
        sent = Sent(wanted.first, tuple(one.seq for one in found))
        actions = self._courier.handle(sent, now=self._clock.monotonic())
        if found:
            await self._socket.send(encode_frame(Parcels(found)))
        self._do(actions)

    async def _watch(self) -> None:
        while (due := self._courier.due()) is not None:
            await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
            self._do(self._courier.handle(Tick(), now=self._clock.monotonic()))

    async def _receive(self) -> Frame:
        data = await self._socket.receive()
        if isinstance(data, str):
            raise Malformed("frames are binary")
        return decode_frame(data)

    def _do(self, actions: Iterable[CourierAction]) -> None:
        for action in actions:
            match action:
                case Send() as wanted:
                    self._outgoing.put_nowait(wanted)
                case Ask():
                    self._outgoing.put_nowait(Ping())
                case HangUp():
                    self.hang_up("too-slow")
                case _:  # Forget: the store deletes when a cursor is acknowledged
                    pass

    async def _say_goodbye(self, code: str) -> None:
        with suppress(TimeoutError, ConnectionError, RuntimeError):
            async with asyncio.timeout(5.0):
                await self._socket.send(encode_frame(Bye(code)))
