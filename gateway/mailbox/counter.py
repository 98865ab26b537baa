"""Where parcels are handed in: who may hand in at a time, and who is told of what came.

A frame has up to a megabyte, and several wait in memory for each connection: so few may hand in on
one lane at a time, and the next wait for a place with their bodies unread.
"""

import asyncio
from collections import Counter as Count
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.errors import Busy
from gateway.mailbox.framed import Framed
from gateway.mailbox.intake import Intake, Signer, stored_of
from gateway.mailbox.live import Lines
from gateway.mailbox.store import Deposited, MailboxStore
from wire.errors import Malformed
from wire.frames import Deposit, Frame, Proved, Results
from wire.ids import LaneId
from wire.receipt import Receipt

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
        signs: signs for parcels as this gateway.
    """

    def __init__(self, store: MailboxStore, lines: Lines, *, signs: Signer) -> None:
        self._store = store
        self._lines = lines
        self._signs = signs
        self._open: set[Framed] = set()
        self._places: Count[LaneId] = Count()
        self._left = asyncio.Event()

    @asynccontextmanager
    async def place(self, lane: LaneId) -> AsyncIterator[None]:
        """Hold a place for somebody who opened his connection with `lane`.

        Raises:
            Busy: none was free in time.
        """
        if self._is_full(lane):
            await self._until_somebody_left(lane)
        self._places[lane] += 1
        try:
            yield
        finally:
            self._places[lane] -= 1
            if not self._places[lane]:
                del self._places[lane]
            self._left.set()
            self._left = asyncio.Event()

    async def _until_somebody_left(self, lane: LaneId) -> None:
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                while self._is_full(lane):
                    await self._left.wait()
        except TimeoutError:
            raise Busy from None

    def _is_full(self, lane: LaneId) -> bool:
        return self._places[lane] >= PLACES_OF_LANE or self._places.total() >= PLACES

    async def serve(self, framed: Framed, *, signed: bool) -> None:
        """Take deposits on one connection until it ends.

        Args:
            framed: its socket.
            signed: whether what is stored is signed for.
        """
        self._open.add(framed)
        try:
            await Intake(framed, self.hand_in, signs=self._signs if signed else None).run()
        finally:
            self._open.discard(framed)

    def close(self, code: str) -> None:
        """End every connection on which deposits are taken."""
        for framed in tuple(self._open):
            framed.hang_up(code)

    async def answer(self, frame: Frame, *, signed: bool) -> tuple[Results, Receipt | None]:
        """Take a Deposit; return what became of each parcel, once it is on disk.

        Args:
            frame: the Deposit.
            signed: whether what is stored is signed for.

        Raises:
            Malformed: another frame.
        """
        if not isinstance(frame, Deposit):
            raise Malformed("what is wanted here is a Deposit frame")
        decided: asyncio.Future[Results] = asyncio.get_running_loop().create_future()

        def answer(deposited: Deposited) -> None:
            if not decided.done():
                decided.set_result(Results(frame.tag, deposited.outcomes))

        self.hand_in(frame.parcels, answer)
        results = await decided
        stored = stored_of(frame.parcels, results.outcomes) if signed else []
        return results, self._signs(tuple(stored)) if stored else None

    def hand_in(self, parcels: Sequence[Proved], answer: Callable[[Deposited], None]) -> None:
        """Store parcels; `answer` is told what became of each, once it is on disk.

        The recipients are told too, although whoever deposited may have hung up.
        """

        def decided(deposited: Deposited) -> None:
            self._lines.arrived(deposited.arrived)
            answer(deposited)

        self._store.hand_in(parcels, decided)
