"""The seam between mailboxes and pushes: what a stored parcel may do to each device of its seat.

    in the transaction   `InTransaction` is told of each parcel, and of each device that collects
    after the commit     `Attention` is told what was stored, who is here and what they hold

So a parcel is never stored without what it may do to a phone, nor the other way round; and a
mailbox works the same whether anybody is woken or not.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from wire.ids import DeviceId, LaneId, SeatId
from wire.lanes import WakeRule


@dataclass(frozen=True, slots=True)
class Ring:
    """What one parcel may do to one device."""

    device: DeviceId
    asked: WakeRule
    """By the rule of its lane, or the device's own for that lane."""
    granted: WakeRule
    """Less than that where the lane has used up its wakes for the day."""


class Stored(Protocol):
    """A parcel that was stored, as far as it matters here."""

    @property
    def seat(self) -> SeatId: ...
    @property
    def seq(self) -> int: ...
    @property
    def lane(self) -> LaneId: ...
    @property
    def rings(self) -> Sequence[Ring]: ...


class InTransaction(Protocol):
    """Works in the writer's thread, in the transaction of what it is told of.

    It is a memory as in `gateway/database/writer.py`: `settle` comes before the commit.
    """

    def stored(
        self,
        connection: sqlite3.Connection,
        *,
        seat: SeatId,
        seq: int,
        lane: LaneId,
        rule: WakeRule,
        wakes_per_day: int,
        now: float,
    ) -> Sequence[Ring]:
        """Note a parcel; return what it may do to each device that can be woken."""
        ...

    def fetched(self, connection: sqlite3.Connection, device: DeviceId) -> None:
        """Note that a device collects: a wake that was under way has been answered."""
        ...

    def settle(self, connection: sqlite3.Connection) -> None:
        """Write what changed."""
        ...

    def forget(self) -> None:
        """Know nothing any more."""
        ...


class Attention(Protocol):
    """Is told in the loop, once it is true on the disk. Nothing of it waits or raises."""

    def arrived(self, parcels: Sequence[Stored]) -> None:
        """Parcels were stored."""
        ...

    def here(self, seat: SeatId, device: DeviceId) -> None:
        """A device has connected."""
        ...

    def left(self, seat: SeatId, device: DeviceId) -> None:
        """Its connection has ended."""
        ...

    def fetched(self, seat: SeatId, device: DeviceId, up_to: int) -> None:
        """A device asks for what comes after `up_to`, all of which it holds."""
        ...

    def holds(self, seat: SeatId, device: DeviceId, up_to: int) -> None:
        """A device has acknowledged everything up to a number."""
        ...

    def gone(self, devices: Iterable[DeviceId]) -> None:
        """Devices were revoked."""
        ...

    def seat_gone(self, seat: SeatId) -> None:
        """A seat was removed."""
        ...


class NobodyRings:
    """For a gateway that wakes nobody: keeps nothing and costs nothing."""

    def stored(
        self,
        connection: sqlite3.Connection,
        *,
        seat: SeatId,
        seq: int,
        lane: LaneId,
        rule: WakeRule,
        wakes_per_day: int,
        now: float,
    ) -> Sequence[Ring]:
        """Do nothing."""
        return ()

    def fetched(self, connection: sqlite3.Connection, device: DeviceId) -> None:
        """Do nothing."""

    def settle(self, connection: sqlite3.Connection) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Do nothing."""


class NobodyListens:
    """For a gateway that wakes nobody."""

    def arrived(self, parcels: Sequence[Stored]) -> None:
        """Do nothing."""

    def here(self, seat: SeatId, device: DeviceId) -> None:
        """Do nothing."""

    def left(self, seat: SeatId, device: DeviceId) -> None:
        """Do nothing."""

    def fetched(self, seat: SeatId, device: DeviceId, up_to: int) -> None:
        """Do nothing."""

    def holds(self, seat: SeatId, device: DeviceId, up_to: int) -> None:
        """Do nothing."""

    def gone(self, devices: Iterable[DeviceId]) -> None:
        """Do nothing."""

    def seat_gone(self, seat: SeatId) -> None:
        """Do nothing."""
