"""Who is measured: a server that keeps items for mailboxes, and how it is spoken to."""

from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from bench.box import Box
from bench.deposits import CHALLENGE, opening
from bench.links import Address, connect
from bench.ours import Collector, PostDepositor, SocketDepositor, frames, messages
from bench.pump import Talk
from bench.talks import Depositor, Notes, Work

IN_FLIGHT: Final = 64
"""Items on their way at a time, with everybody."""
BATCH: Final = 32
"""Parcels in a frame of a batch."""
SOCKETS: Final = 8
"""WebSockets on which one parcel a frame is handed in: a few phones, each with many to send."""


PREPARED: Final = 60_000
"""Items that are made before they are handed in; more would not fit in our memory."""


def prepared(works: Iterator[Work], count: int) -> Iterator[Work]:
    """Return deposits that were made beforehand, so that making them is not what is measured."""
    return iter(list(works)) if count <= PREPARED else works


class How(Enum):
    """In which way items are handed in."""

    BATCH = "batch"
    """Frames of 32 parcels over a WebSocket."""
    ONE = "one"
    """Frames of one parcel over a WebSocket; with a peer, whatever it offers for one item."""
    POST = "post"
    """A request for each parcel."""


class Subject(Protocol):
    """A server that is measured."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def address(self) -> Address:
        """Where it listens."""

    @property
    def folder(self) -> Path:
        """Where its files are."""

    @property
    def pid(self) -> int:
        """Its process."""

    async def start(self, *, environment: dict[str, str] | None = None) -> float:
        """Start it; return the seconds until it answers."""

    async def kill(self) -> None:
        """End it as a power cut would, but for what the kernel still writes."""

    async def furnish(self, mailboxes: int) -> None:
        """Make mailboxes whose owners are away."""

    async def depositors(
        self, how: How, notes: Notes, *, count: int, to: Sequence[int], by_itself: bool = True
    ) -> list[Depositor]:
        """Return those who hand in `count` items together, `IN_FLIGHT` at a time.

        Args:
            how: in which way.
            notes: where it is noted.
            count: of items.
            to: the mailboxes, in turn.
            by_itself: whether the next follows as soon as one is stored.
        """


class Collected(Subject, Protocol):
    """One whose mailboxes can be emptied here too."""

    async def collector(self, mailbox: int, notes: Notes) -> Talk:
        """Return somebody who takes all out of a mailbox."""


class Ours:
    """Our gateway. Each mailbox is a seat with one lane."""

    def __init__(self, box: Box) -> None:
        self.box = box

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return "tls" if self.address.tls else "plain"

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.box.address

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.box.folder

    @property
    def pid(self) -> int:
        """Its process."""
        return self.box.pid

    async def start(self, *, environment: dict[str, str] | None = None) -> float:
        """Start it; return the seconds until it says that it stores."""
        return await self.box.start(environment=environment)

    async def kill(self) -> None:
        """End it at once."""
        await self.box.kill()

    async def furnish(self, mailboxes: int) -> None:
        """Pair phones that then stay away."""
        await self.box.furnish(mailboxes - len(self.box.seats))

    async def depositors(
        self, how: How, notes: Notes, *, count: int, to: Sequence[int], by_itself: bool = True
    ) -> list[Depositor]:
        """Return those who hand in."""
        lanes, channel = [self.box.seats[one].lanes[0] for one in to], self.box.seats[0].channel
        batch = BATCH if how is How.BATCH else 1
        supply = prepared(frames(lanes, count, channel=channel, batch=batch), count)
        if how is How.POST:
            return [
                PostDepositor(
                    notes,
                    supply,
                    lane=self.box.seats[one % len(self.box.seats)].lanes[0],
                    channel=channel,
                    window=int(by_itself),
                )
                for one in range(IN_FLIGHT)
            ]
        sockets = IN_FLIGHT // BATCH if how is How.BATCH else SOCKETS
        window = IN_FLIGHT // sockets // batch * by_itself
        ready = prepared(messages(supply), count)
        return [
            SocketDepositor(notes, ready, headers=await self._opening(one), window=window)
            for one in range(sockets)
        ]

    async def _opening(self, number: int) -> str:
        """Return what opens a WebSocket, with another lane each time: one lane has few places."""
        seat = self.box.seats[number % len(self.box.seats)]
        link = await connect(self.address)
        nonce = (await link.must(CHALLENGE)).body
        link.close()
        return opening(seat.lanes[0], channel=seat.channel, nonce=nonce)

    async def collector(self, mailbox: int, notes: Notes) -> Collector:
        """Return a seat's phone."""
        link = await connect(self.address)
        headers = await self.box.seats[mailbox].login(link)
        link.close()
        return Collector(notes, headers=headers)
