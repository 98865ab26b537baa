"""What a mailbox takes, keeps and drops: numbers in, decisions out.

    a parcel goes    when every live device, and at least one, has acknowledged it;
                     at the end of its life;
                     or, before a deposit is refused for space, once some device has acknowledged it
    a deposit fits   if its lane has room, and the seat has: nine tenths of it for most lanes, the
                     last tenth only for those that may use it (letters)
    a cursor proves  a restore, if it names what this mailbox has never said (docs/protocol.md §5.5)

Times are steady seconds, sizes bytes.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from wire.frames import Cursor
from wire.ids import CursorEpoch, LaneId, ParcelId
from wire.parcel import DAY, HEADER_BYTES, Lifetime, Parcel

LIVE_SECONDS: Final = 14 * DAY
"""A device that has not collected for so long holds nothing back: it catches up by other means."""

REMEMBER_SECONDS: Final = 30 * DAY
"""A deposit is answered alike for so long, or for its life if that is shorter."""

_REMEMBERED: Final = tuple(min(one.seconds, REMEMBER_SECONDS) for one in Lifetime)

MAX_REMEMBERED: Final = 50_000
"""Deposits that are remembered for one lane, some 6 MB: what waits is bounded by its bytes, and
this bounds what was collected at once. A contact who writes every minute of a month stays below."""

MAX_LANES: Final = 10_000
"""Lanes of one seat: five for each of two thousand contacts."""


@dataclass(frozen=True, slots=True)
class Room:
    """A place with a limit, and what is used of it."""

    used: int
    limit: int

    def missing(self, size: int) -> int:
        """Return how many bytes must go before `size` more fit."""
        return max(0, self.used + size - self.limit)


@dataclass(frozen=True, slots=True)
class Missing:
    """How much room a deposit lacks; both 0 if it fits."""

    seat: int
    lane: int

    @property
    def nothing(self) -> bool:
        """Whether the deposit fits."""
        return self.seat == 0 and self.lane == 0


@dataclass(frozen=True, slots=True)
class Held:
    """A parcel that lies in the mailbox, without its body."""

    number: int
    lane: LaneId
    size: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one device has come, and when it was last here."""

    acknowledged: int
    collected_at: float


class Verdict(Enum):
    """What a device's cursor says about this mailbox."""

    GOOD = auto()
    """Go on after it."""
    START_OVER = auto()
    """It is of no epoch or of one that is over: everything held is sent again."""
    RESTORED = auto()
    """It names what we have never said: our file is older than the device. A new epoch begins."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the gateway knows when it judges a cursor."""

    epoch: CursorEpoch
    past: AbstractSet[CursorEpoch]
    last_seq: int
    acknowledged: int
    """How far this device had come, by our own file."""
    parcel_there: ParcelId | None
    """The parcel with the cursor's number; None if it is gone and we no longer know."""


def size_of(parcel: Parcel) -> int:
    """Return what a parcel is counted as: all that is stored and delivered of it."""
    return HEADER_BYTES + len(parcel.body)


_SUMMED: Final = struct.Struct(">16sQ16s16sB32sd")


def checksum(
    seat: bytes,
    seq: int,
    lane: bytes,
    id: bytes,
    lifetime: int,
    purge: bytes,
    body: bytes,
    dies_at: float,
) -> int:
    """Return what is stored beside a parcel, to notice a bit that the disk has turned (CRC-32).

    It is held against what is read before a device is given that.
    """
    begin = _SUMMED.pack(seat, seq, lane, id, lifetime, purge, dies_at)
    return zlib.crc32(body, zlib.crc32(begin))


def missing_room(size: int, *, seat: Room, lane: Room, last_tenth: bool) -> Missing:
    """Return how much must go before a parcel of `size` fits.

    Args:
        size: of the parcel.
        seat: the whole seat's room.
        lane: the lane's part of it.
        last_tenth: whether the lane may use the last tenth of the seat's.
    """
    allowed = seat.limit if last_tenth else seat.limit - seat.limit // 10
    return Missing(seat=Room(seat.used, allowed).missing(size), lane=lane.missing(size))


def make_room(missing: Missing, *, lane: LaneId, droppable: Iterable[Held]) -> list[Held] | None:
    """Choose what goes so that a deposit on `lane` fits; None if that is not enough.

    Args:
        missing: what the deposit lacks.
        lane: where it comes.
        droppable: parcels that some device has acknowledged, oldest first.
    """
    seat_missing, lane_missing, chosen = missing.seat, missing.lane, []
    for held in droppable:
        if seat_missing <= 0 and lane_missing <= 0:
            break
        on_lane = held.lane == lane
        if seat_missing > 0 or (on_lane and lane_missing > 0):
            chosen.append(held)
            seat_missing -= held.size
            lane_missing -= held.size if on_lane else 0
    return chosen if seat_missing <= 0 and lane_missing <= 0 else None


def a_few(parcels: Iterable[Held], *, at_most: int) -> Iterator[Held]:
    """Yield the first parcels, one at least, until `at_most` bytes are reached."""
    total = 0
    for held in parcels:
        yield held
        total += held.size
        if total >= at_most:
            return


def end_of_life(lifetime: Lifetime, *, now: float) -> float:
    """Return when a parcel that arrives `now` is deleted, collected or not."""
    return now + lifetime.seconds


def forget_day(lifetime: Lifetime, *, now: float) -> int:
    """Return the steady day on which a deposit is forgotten.

    Rounded up to whole days, so that what is remembered does not tell when it arrived.
    """
    return int(-(-(now + _REMEMBERED[lifetime]) // DAY))


def is_live(collected_at: float, *, now: float) -> bool:
    """Return whether parcels are kept for a device that last collected then."""
    return now - collected_at < LIVE_SECONDS


def deletable_up_to(devices: Sequence[Progress], *, now: float) -> int:
    """Return the number up to which every live device, and at least one, has acknowledged."""
    live = [one.acknowledged for one in devices if is_live(one.collected_at, now=now)]
    return min(live) if live else acknowledged_by_some(devices)


def acknowledged_by_some(devices: Sequence[Progress]) -> int:
    """Return the number up to which at least one device has acknowledged."""
    return max((one.acknowledged for one in devices), default=0)


def judge(cursor: Cursor, known: Known) -> Verdict:
    """Return what a device's cursor says about this mailbox (docs/protocol.md §5.5).

    A number above what the device acknowledged, whose parcel we know nothing of, counts as proof:
    going on after it could step over parcels that came since a restore, and those would be lost.
    """
    if cursor.epoch != known.epoch:
        nowhere = not any(cursor.epoch.raw)
        return Verdict.START_OVER if nowhere or cursor.epoch in known.past else Verdict.RESTORED
    if cursor.seq > known.last_seq:
        return Verdict.RESTORED
    if cursor.seq == 0:
        return Verdict.GOOD
    if known.parcel_there is None:
        return Verdict.RESTORED if cursor.seq > known.acknowledged else Verdict.GOOD
    return Verdict.GOOD if cursor.parcel == known.parcel_there else Verdict.RESTORED
