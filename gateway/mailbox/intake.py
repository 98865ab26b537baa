"""Takes deposits on one connection: several on their way to the disk at a time, answered in order.

    listen   takes a frame, hands its parcels to the store, takes the next while there is room
    decided  what became of a frame, told by the store after the commit
    speak    answers all frames that were decided, in their order, in one Results frame, and signs
             for what was stored if the other side asked for that

So the frames of one commit have one answer and one signature, and a sender who waits for none of
them fills every commit (docs/protocol.md §4.5).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.mailbox.framed import Framed, Goodbye
from gateway.mailbox.store import Deposited
from wire.errors import Malformed
from wire.frames import MAX_OUTCOMES, Deposit, Outcome, Proved, Result, Results
from wire.receipt import Receipt, Stored

IDLE_SECONDS: Final = 60.0
"""Time from one deposit to the next on one connection: a batch is one after the other."""
FRAMES: Final = 64
"""Frames of one connection that may be on their way to the disk."""
BYTES: Final = 2 << 20
"""Bytes of parcels that may: two of the largest frames."""

Signer: TypeAlias = Callable[[tuple[Stored, ...]], Receipt]
"""Signs for parcels as this gateway."""
HandIn: TypeAlias = Callable[[tuple[Proved, ...], Callable[[Deposited], None]], None]
"""Hands parcels to the store, which says what became of them."""


@dataclass(slots=True, eq=False)
class _Frame:
    """One deposit on its way."""

    tag: int
    parcels: tuple[Proved, ...]
    size: int
    outcomes: tuple[Outcome, ...] | None = None


class Intake:
    """The deposits of one connection.

    Args:
        framed: its socket.
        hand_in: where parcels go.
        signs: signs for what was stored, if the other side wants to hand it on.
    """

    def __init__(self, framed: Framed, hand_in: HandIn, *, signs: Signer | None = None) -> None:
        self._framed = framed
        self._hand_in = hand_in
        self._signs = signs
        self._waiting: deque[_Frame] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._heard = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Take deposits until the connection ends, from whichever side."""
        await self._framed.run(self._listen(), self._speak(), self._mind_the_time())

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            frame = await self._framed.receive()
            if not isinstance(frame, Deposit):
                raise Malformed("what is wanted here is a Deposit frame")
            self._heard = loop.time()
            self._take(frame)
            while len(self._waiting) >= FRAMES or self._bytes >= BYTES:
                self._room.clear()
                await self._room.wait()
            self._heard = loop.time()

    def _take(self, deposit: Deposit) -> None:
        size = sum([len(one.parcel.body) for one in deposit.parcels])
        frame = _Frame(deposit.tag, deposit.parcels, size)
        self._waiting.append(frame)
        self._bytes += size

        def decided(deposited: Deposited) -> None:
            frame.outcomes = deposited.outcomes
            self._news.set()

        self._hand_in(deposit.parcels, decided)

    async def _speak(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while frames := self._decided():
                outcomes = [one for frame in frames for one in frame.outcomes or ()]
                await self._framed.send(Results(frames[-1].tag, tuple(outcomes)))
                if self._signs is not None:
                    await self._sign(frames)

    def _decided(self) -> list[_Frame]:
        """Return the first frames that are decided, as many as one answer holds."""
        frames, count = list[_Frame](), 0
        while self._waiting and self._waiting[0].outcomes is not None:
            count += len(self._waiting[0].outcomes)
            if count > MAX_OUTCOMES:
                break
            frames.append(self._waiting.popleft())
            self._bytes -= frames[-1].size
        self._room.set()
        return frames

    async def _sign(self, frames: Sequence[_Frame]) -> None:
        stored = [one for frame in frames for one in stored_of(frame.parcels, frame.outcomes or ())]
        if stored and self._signs is not None:
            await self._framed.send(self._signs(tuple(stored)))

    async def _mind_the_time(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            left = self._heard + IDLE_SECONDS - loop.time()
            if left <= 0 and not self._waiting:
                raise Goodbye("too-slow")
            await asyncio.sleep(left if left > 0 else 1.0)


def stored_of(parcels: Sequence[Proved], outcomes: Sequence[Outcome]) -> list[Stored]:
    """Return the parcels that are on the disk, as a receipt names them."""
    return [
        Stored(one.parcel.id, one.parcel.body_hash)
        for one, outcome in zip(parcels, outcomes, strict=True)
        if outcome.result is Result.STORED
    ]
