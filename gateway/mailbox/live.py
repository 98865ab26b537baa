"""Carries mailboxes to the devices that are connected: drives the courier over a WebSocket.

One task listens, one speaks, one minds the time. The speaker takes parcels from the store a frame
at a time, but for those that came a moment ago (`fresh.py`), and waits for the socket before the
next, so that a slow phone costs one frame of memory (docs/protocol.md §5.3).
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.auth import Caller
from gateway.clock import Clock
from gateway.mailbox.deposits import Arrived
from gateway.mailbox.framed import Framed, Goodbye
from gateway.mailbox.fresh import Fresh
from gateway.mailbox.store import MailboxStore
from gateway.rings import Attention, NobodyListens
from wire.delivery import (
    Acked,
    Action,
    Answered,
    Ask,
    Connected,
    Courier,
    Event,
    HangUp,
    Send,
    Sent,
    Stored,
    Tick,
)
from wire.errors import Malformed
from wire.frames import Ack, Frame, Hello, Ping, Pong, Resume, encode_stored
from wire.ids import SeatId

FIRST_FRAME_SECONDS: Final = 15.0
"""Time for a device to say how far it has come."""


class Lines:
    """All devices that are connected or wait for news, by seat.

    Args:
        attention: who else is told of what is stored and of who is here.
    """

    def __init__(self, attention: Attention | None = None) -> None:
        self._lines: dict[SeatId, set[Line]] = defaultdict(set)
        self._news: dict[SeatId, asyncio.Event] = {}
        self.attention = attention or NobodyListens()

    def arrived(self, parcels: Sequence[Arrived]) -> None:
        """Tell everybody concerned what was stored; it is on disk by now."""
        self.attention.arrived(parcels)
        if not self._lines and not self._news:
            return
        by_seat: dict[SeatId, list[Arrived]] = {}
        for one in parcels:
            by_seat.setdefault(one.seat, []).append(one)
        for seat, arrived in by_seat.items():
            for line in tuple(self._lines.get(seat, ())):
                line.stored(arrived)
            if (news := self._news.pop(seat, None)) is not None:
                news.set()

    def news(self, seat: SeatId) -> asyncio.Event:
        """Return what is set as soon as something more is stored for a seat, or somebody hangs up.

        Ask for it before looking into the mailbox: what comes in between is not missed then.
        """
        return self._news.setdefault(seat, asyncio.Event())

    def join(self, line: "Line") -> None:
        """Add a line; an older one of the same device ends."""
        self.hang_up(lambda caller: caller.device == line.caller.device, code="replaced")
        self._lines[line.caller.seat].add(line)
        self.attention.here(line.caller.seat, line.caller.device.device)

    def leave(self, line: "Line") -> None:
        """Take a line out again."""
        self._lines[line.caller.seat].discard(line)
        self.attention.left(line.caller.seat, line.caller.device.device)
        if not self._lines[line.caller.seat]:
            del self._lines[line.caller.seat]

    def hang_up(self, which: Callable[[Caller], bool], *, code: str) -> None:
        """End the lines of every caller for whom `which` is true."""
        for lines in tuple(self._lines.values()):
            for line in tuple(lines):
                if which(line.caller):
                    line.framed.hang_up(code)

    def stop_waiting(self) -> None:
        """Let everybody who waits for news look again whether that is still their right."""
        waiting, self._news = self._news, {}
        for news in waiting.values():
            news.set()


class Line:
    """One device's connection.

    Args:
        caller: the device, logged in.
        framed: its socket.
        store: where its mailbox is.
        clock: whose monotonic time the courier lives by.
    """

    def __init__(
        self, caller: Caller, framed: Framed, *, store: MailboxStore, clock: Clock
    ) -> None:
        self.caller = caller
        self.framed = framed
        self._store = store
        self._clock = clock
        self._courier = Courier()
        self._newest = 0
        self._fresh = Fresh()
        self._outgoing: asyncio.Queue[Send | Frame] = asyncio.Queue()
        self._greeted = asyncio.Event()

    def stored(self, parcels: Sequence[Arrived]) -> None:
        """The mailbox has new parcels, in the order of their numbers."""
        for one in parcels:
            self._fresh.add(one.seq, one.parcel)
        self._newest = max(self._newest, parcels[-1].seq)
        self._tell(Stored(self._newest))

    async def run(self, lines: Lines) -> None:
        """Carry the mailbox until the connection ends, from whichever side."""
        lines.join(self)  # before looking: what is stored meanwhile is heard of
        try:
            await self.framed.run(self._listen(lines), self._speak(), self._mind_the_time())
        finally:
            lines.leave(self)

    async def _listen(self, lines: Lines) -> None:
        device = self.caller.device.device
        lines.attention.fetched(self.caller.seat, device, await self._greet())
        while True:
            match await self.framed.receive():
                case Ack(cursor):
                    self._tell(Acked(cursor.seq))
                    if not await self._store.acknowledge(device, cursor):
                        raise Goodbye("cursor-unknown")
                    lines.attention.holds(self.caller.seat, device, cursor.seq)
                case Pong():
                    self._tell(Answered())
                case _:
                    raise Malformed("a device sends Ack and Pong once it has resumed")

    async def _greet(self) -> int:
        """Learn how far the device has come, greet it, and return that."""
        try:
            async with asyncio.timeout(FIRST_FRAME_SECONDS):
                frame = await self.framed.receive()
        except TimeoutError:
            raise Goodbye("too-slow") from None
        if not isinstance(frame, Resume):
            raise Malformed("the first frame says how far the device has come")
        resumed = await self._store.resume(self.caller.device.device, frame.cursor)
        self._outgoing.put_nowait(Hello(resumed.epoch, resumed.newest, resumed.reset))
        newest = max(resumed.newest, self._newest)
        self._courier = Courier(newest=newest, acked=resumed.after)
        self._tell(Connected(resumed.after))
        self._greeted.set()
        return resumed.after

    async def _speak(self) -> None:
        while True:
            match await self._outgoing.get():
                case Send() as wanted:
                    await self._send_parcels(wanted)
                case frame:
                    await self.framed.send(frame)

    async def _send_parcels(self, wanted: Send) -> None:
        numbers, frame = await self._parcels(wanted)
        actions = self._hear(Sent(wanted.first, numbers))
        if numbers:
            await self.framed.send_bytes(frame)
            self._tell(Answered())  # it took the frame: over a slow network that took a while
        self._do(actions)

    async def _parcels(self, wanted: Send) -> tuple[tuple[int, ...], bytes]:
        """Return numbers and frame of the next parcels: from memory, or else from the store."""
        if rows := self._fresh.take(wanted.first, wanted.last):
            return tuple([row[0] for row in rows]), encode_stored(rows)
        limit = wanted.last - wanted.first + 1
        return await self._store.collect_frame(
            self.caller.seat, after=wanted.first - 1, limit=limit
        )

    async def _mind_the_time(self) -> None:
        await self._greeted.wait()
        while (due := self._courier.due()) is not None:
            await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
            self._tell(Tick())

    def _tell(self, event: Event) -> None:
        self._do(self._hear(event))

    def _hear(self, event: Event) -> list[Action]:
        return self._courier.handle(event, now=self._clock.monotonic())

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Send() as wanted:
                    self._outgoing.put_nowait(wanted)
                case Ask():
                    self._outgoing.put_nowait(Ping())
                case HangUp():
                    self.framed.hang_up("too-slow")
                case _:  # Forget: the store deletes when a cursor is acknowledged
                    pass
