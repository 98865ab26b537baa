"""A clock that several devices agree on although theirs do not: a hybrid logical clock.

    time    48 bits of milliseconds since 1970, 16 bits of count within one
    tick    later than everything written or seen before, and no earlier than our own clock
    seen    whatever another device's clock says is taken; nothing is ever rejected

A device that rejects a time which is too far ahead never hears of that change, and the devices
part for good. So a clock that runs a year ahead carries all others along; what undoes that is the
next sync epoch, in which every clock begins anew and each change beats all earlier ones
(docs/protocol.md §15.1).
"""

from dataclasses import dataclass
from typing import Final

from wire.ids import DeviceId

COUNT_BITS: Final = 16
LATEST: Final = (1 << 64) - 1
"""The latest time that can be written; a clock that stands there has no later one to give."""
TURN_BITS: Final = 16
"""Sync epoch = generation of the person key, then so many bits for turns within it."""
LAST_TURN: Final = (1 << TURN_BITS) - 1
MAX_EPOCH: Final = (1 << 63) - 1


def generation_of(epoch: int) -> int:
    """Return the generation of the person key that opened an epoch."""
    return epoch >> TURN_BITS


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """When a change was made, and where: no two changes of honest devices have the same.

    Attributes:
        epoch: the sync epoch.
        time: of the hybrid clock.
        device: who made it (16 bytes); decides between changes that were made at one time.
        seq: in which of this device's batches it stands.
    """

    epoch: int
    time: int
    device: bytes
    seq: int

    @property
    def author(self) -> DeviceId:
        """Who made it."""
        return DeviceId(self.device)


@dataclass(frozen=True, slots=True)
class Clock:
    """How far this device has come."""

    epoch: int
    time: int

    @classmethod
    def of_generation(cls, generation: int) -> "Clock":
        """Return the clock at the beginning of the epoch that a person key opens."""
        return cls(generation << TURN_BITS, 0)

    def seen(self, epoch: int, time: int) -> "Clock":
        """Return the clock after a change was seen, whatever its time."""
        return max(self, Clock(epoch, time), key=lambda one: (one.epoch, one.time))

    def tick(self, milliseconds: float) -> "Clock":
        """Return the clock at the next change, when our own says `milliseconds` since 1970."""
        own = min(max(int(milliseconds), 0) << COUNT_BITS, LATEST)
        if self.time < LATEST:
            return Clock(self.epoch, max(own, self.time + 1))
        turned = self.turned()  # nothing is later than this: only a turn undoes it
        return self if turned == self else Clock(turned.epoch, min(own, LATEST - 1))

    def turned(self) -> "Clock":
        """Return the clock at the beginning of the next epoch: earlier times no longer count.

        The last turn of a generation has none after it; then a new person key is the way on.
        """
        if self.epoch & LAST_TURN == LAST_TURN:
            return self
        return Clock(self.epoch + 1, 0)

    def ahead(self, milliseconds: float) -> float:
        """Return by how many seconds the devices' common time is ahead of our own."""
        return ((self.time >> COUNT_BITS) - milliseconds) / 1000
