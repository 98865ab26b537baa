"""Takes deposits and tells whom they concern; whoever hung up meanwhile changes nothing of that.

A frame has up to a megabyte, and several wait in memory for each connection: so few may hand in on
one lane at a time, and the next wait for a place with their bodies unread.
"""

import asyncio
from collections import Counter as Count
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.errors import Busy
from gateway.mailbox.framed import Framed, Goodbye
from gateway.mailbox.live import Lines
from gateway.mailbox.store import MailboxStore
from wire.errors import Malformed
from wire.frames import Deposit, Frame, Outcome, Proved, Results
from wire.ids import LaneId

IDLE_SECONDS: Final = 60.0
"""Time from one deposit to the next on one connection: a batch is one after the other."""
PLACES: Final = 64
"""Connections on which deposits are taken at a time."""
PLACES_OF_LANE: Final = 4
"""Those opened with one lane: a contact has few, and fills nobody's memory but his own."""
PLACE_SECONDS: Final = 10.0
"""Time to wait for a place: a body takes a moment, and fifty may come at once."""


class Counter:
    """Where parcels are handed in.

    Args:
        store: where they are stored.
        lines: who is told.
    """

    def __init__(self, store: MailboxStore, lines: Lines) -> None:
        self._store = store
        self._lines = lines
        self._running: set[asyncio.Task[tuple[Outcome, ...]]] = set()
        self._open: set[Framed] = set()
        self._places: Count[LaneId] = Count()
        self._left = asyncio.Event()

    @asynccontextmanager
    async def place(self, lane: LaneId) -> AsyncIterator[None]:
        """Hold a place for somebody who opened his connection with `lane`.

        Raises:
            Busy: none was free in time.
        """
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                while self._is_full(lane):
                    await self._left.wait()
        except TimeoutError:
            raise Busy from None
        self._places[lane] += 1
        try:
            yield
        finally:
            self._places[lane] -= 1
            self._places += Count()  # drops what is zero
            self._left.set()
            self._left = asyncio.Event()

    def _is_full(self, lane: LaneId) -> bool:
        return self._places[lane] >= PLACES_OF_LANE or self._places.total() >= PLACES

    async def serve(self, framed: Framed) -> None:
        """Take deposits on one connection until it ends."""
        self._open.add(framed)
        try:
            await framed.run(self._take_all(framed))
        finally:
            self._open.discard(framed)

    def close(self, code: str) -> None:
        """End every connection on which deposits are taken."""
        for framed in tuple(self._open):
            framed.hang_up(code)

    async def answer(self, frame: Frame) -> Results:
        """Take a Deposit; return what became of each parcel, once it is on disk.

        Raises:
            Malformed: another frame.
        """
        if not isinstance(frame, Deposit):
            raise Malformed("what is wanted here is a Deposit frame")
        return Results(frame.tag, await self.take(frame.parcels))

    async def take(self, parcels: Sequence[Proved]) -> tuple[Outcome, ...]:
        """Store parcels; return what became of each, once it is on disk.

        The work goes on when the caller is cancelled: the recipient is told of what was stored
        although whoever deposited it has hung up.
        """
        task = asyncio.create_task(self._take(parcels))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _take(self, parcels: Sequence[Proved]) -> tuple[Outcome, ...]:
        deposited = await self._store.deposit_all(parcels)
        self._lines.arrived(deposited.arrived)
        return deposited.outcomes

    async def _take_all(self, framed: Framed) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    frame = await framed.receive()
            except TimeoutError:
                raise Goodbye("too-slow") from None
            await framed.send(await self.answer(frame))
