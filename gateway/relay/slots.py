"""Rendezvous slots: where two phones that have just met leave four short messages.

    event                                     what becomes of it
    ----------------------------------------  --------------------------------------------
    the host opens a slot                     it lives ten minutes; opening again is nothing
    the first guest writes message 1 or 3     the guest's side is his from now on
    a message is written                      it stands; word for word again is nothing
    other words, another guest, a late host   SlotTaken
    ten minutes pass                          the slot and its messages are gone

Slots are in memory only. What they hold is public keys, then sealed bytes (docs/protocol.md §11).
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.errors import Refusal
from wire.errors import Malformed
from wire.ids import DeviceKey, SeatId, SlotId
from wire.rendezvous import (
    GUEST_MESSAGES,
    HOST_MESSAGES,
    MAX_MESSAGE,
    MAX_SLOTS,
    MAX_SLOTS_OF_SEAT,
    MESSAGES,
    SIDE_BYTES,
    SLOT_SECONDS,
)


class SlotGone(Refusal):
    """There is no such slot, or there is none any more."""

    code = "slot-gone"
    status = 404


class SlotTaken(Refusal):
    """Another guest has this side, or other words stand in this message."""

    code = "slot-taken"
    status = 409


class SlotsFull(Refusal):
    """The seat, or the gateway, has as many slots open as it may have; try again later."""

    code = "slots-full"
    status = 429


@dataclass(frozen=True, slots=True)
class Host:
    """The device that opened a slot, by login."""

    seat: SeatId
    device: DeviceKey


@dataclass(frozen=True, slots=True)
class Guest:
    """Whoever read the code, by the word he chose."""

    side: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.side) != SIDE_BYTES:
            raise Malformed(f"a side is named by {SIDE_BYTES} bytes")

    def is_same(self, other: "Guest") -> bool:
        """Return whether it is the same guest: the word is a secret, so not by equality."""
        return hmac.compare_digest(self.side, other.side)


@dataclass(slots=True)
class _Slot:
    host: Host
    ends: float
    guest: Guest | None = None
    messages: dict[int, bytes] = field(default_factory=dict)


class Slots:
    """All slots of a gateway. Every method takes `now`, in seconds that never go back."""

    def __init__(self) -> None:
        self._slots: dict[SlotId, _Slot] = {}

    def open(self, slot: SlotId, host: Host, *, now: float) -> None:
        """Open a slot for ten minutes.

        Raises:
            SlotTaken: another device has opened it.
            SlotsFull: too many are open.
        """
        self._close_old(now)
        if (there := self._slots.get(slot)) is not None:
            if there.host != host:
                raise SlotTaken
            return
        of_seat = sum(1 for one in self._slots.values() if one.host.seat == host.seat)
        if of_seat >= MAX_SLOTS_OF_SEAT or len(self._slots) >= MAX_SLOTS:
            raise SlotsFull
        self._slots[slot] = _Slot(host, now + SLOT_SECONDS)

    def write(
        self, slot: SlotId, number: int, message: bytes, *, by: Host | Guest, now: float
    ) -> None:
        """Write one message.

        Raises:
            SlotGone: no such slot.
            SlotTaken: it is another's to write, or stands there in other words.
            Malformed: no such message, or one of no or too many bytes.
        """
        there = self._living(slot, now)
        _check_number(number)
        if not 1 <= len(message) <= MAX_MESSAGE:
            raise Malformed(f"a message has 1 to {MAX_MESSAGE} bytes")
        self._check_writer(there, number, by)
        if there.messages.setdefault(number, message) != message:
            raise SlotTaken

    def read(self, slot: SlotId, number: int, *, now: float) -> bytes | None:
        """Return a message, None while it is not there yet.

        Raises:
            SlotGone: no such slot.
            Malformed: no such message.
        """
        _check_number(number)
        return self._living(slot, now).messages.get(number)

    def close_of(self, seat: SeatId) -> None:
        """Close the slots of a seat that was removed."""
        self._slots = {id: one for id, one in self._slots.items() if one.host.seat != seat}

    def __iter__(self) -> Iterator[SlotId]:
        return iter(tuple(self._slots))

    def _check_writer(self, there: _Slot, number: int, by: Host | Guest) -> None:
        if isinstance(by, Host):
            if by != there.host or number not in HOST_MESSAGES:
                raise SlotTaken
            return
        if number not in GUEST_MESSAGES or not (there.guest is None or there.guest.is_same(by)):
            raise SlotTaken
        there.guest = by

    def _living(self, slot: SlotId, now: float) -> _Slot:
        self._close_old(now)
        if (there := self._slots.get(slot)) is None:
            raise SlotGone
        return there

    def _close_old(self, now: float) -> None:
        self._slots = {id: one for id, one in self._slots.items() if one.ends > now}


def _check_number(number: int) -> None:
    if not 1 <= number <= MESSAGES:
        raise Malformed(f"messages are numbered 1 to {MESSAGES}")
