"""Conversations that are measured: depositing and collecting, with us or with a peer.

    Depositor   hands in one deposit after the other, `window` at a time; the next follows as soon
                as one is stored, from a supply that several share
    Collector   takes what comes and acknowledges it

What a deposit is, each of them knows for itself; the notes count items.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

ID_BYTES: Final = 16


class NotStored(Exception):
    """A deposit was refused; the text says why."""


@dataclass(frozen=True, slots=True)
class Work:
    """A deposit that only has to be sent."""

    data: bytes
    """As the kind of depositor wants it."""
    ids: tuple[bytes, ...]
    """Of its items."""


@dataclass(slots=True)
class Notes:
    """What is noted while items are handed in and taken out."""

    stored: int = 0
    """Items that were acknowledged."""
    took: list[float] = field(default_factory=list)
    """Seconds from handing in to acknowledgement, one for each deposit."""
    sent: dict[bytes, float] | None = None
    """When each item was handed in, if that is wanted."""
    kept: list[bytes] | None = None
    """The items that were acknowledged, if that is wanted."""
    got: dict[bytes, float] = field(default_factory=dict)
    """When each item came to whoever collects."""

    def hand_in(self, work: Work, now: float) -> None:
        """Note that a deposit begins."""
        if self.sent is not None:
            for one in work.ids:
                self.sent[one] = now

    def store(self, work: Work, *, took: float) -> None:
        """Note that all of a deposit was acknowledged."""
        self.stored += len(work.ids)
        self.took.append(took)
        if self.kept is not None:
            self.kept += work.ids

    @property
    def delays(self) -> list[float]:
        """Seconds from handing in to collecting, of each item that came, rising."""
        sent = self.sent or {}
        return sorted(at - sent[one] for one, at in self.got.items() if one in sent)


class Depositor(ABC):
    """Hands in deposits on one connection.

    Args:
        notes: where they are noted.
        supply: where they come from.
        window: how many at a time, if the next is to follow by itself; 0: only when told.
    """

    greeted = True

    def __init__(self, notes: Notes, supply: Iterator[Work], *, window: int = 1) -> None:
        self.notes = notes
        self.window = window
        self._supply = supply

    def hello(self) -> bytes:
        """Return what is said first."""
        return b""

    @abstractmethod
    def heard(self, data: bytes, now: float) -> bytes:
        """Take what came; return the next deposits."""

    @abstractmethod
    def hand_in(self, work: Work, now: float) -> bytes:
        """Return what hands in a deposit."""

    def more(self, now: float, *, count: int = 1) -> bytes:
        """Return the next deposits; less or nothing when the supply is at its end."""
        said = []
        for _ in range(count):
            if (work := next(self._supply, None)) is None:
                break
            self.notes.hand_in(work, now)
            said.append(self.hand_in(work, now))
        return said[0] if len(said) == 1 else b"".join(said)

    def stored(self, work: Work, *, since: float, now: float) -> bytes:
        """Note that a deposit was stored; return the next, if it follows by itself."""
        self.notes.store(work, took=now - since)
        return self.more(now) if self.window else b""
