"""What a segment of the archive holds: letters in and out, and the card of the person who wrote it.

    content   {0: 1, 1: [card statements], 2: [letters]}
    letter    [item, person, outgoing, written, came, device, number]

Items are the signed bytes as they came; times are milliseconds. With the card in it a segment can
be judged alone: its chain begins with the person's root and lists the device that signed the head.
Keys of devices, sessions and prekeys have no place here (docs/protocol.md §17.3).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from peer.items.kinds import MAX_NUMBER, Item, item_id
from wire.archive import MAX_BODY
from wire.card import MAX_CHAIN, MAX_STATEMENT
from wire.codec import Value, decode, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceId, ItemId, PersonId

VERSION: Final = 1
MAX_LETTERS: Final = 4096
BATCH_BYTES: Final = 64 * 1024
"""Bytes of items in one segment, unless the first alone is larger."""
MAX_CARD: Final = 20 * 1024
"""Bytes of a chain that still goes with each segment; a longer one is left to the gateway."""
_NO_DEVICE: Final = b""


@dataclass(frozen=True, slots=True)
class Kept:
    """A letter as it lies in the archive."""

    item: ItemId
    raw: bytes = field(repr=False)
    """Exactly as signed."""
    person: PersonId
    """Who it is from, or to."""
    outgoing: bool
    written: float
    """Unix seconds by its author's clock."""
    came: float
    """Unix seconds by the clock of the device that kept it."""
    device: DeviceId | None = None
    """Its author's device; None for one that this device wrote."""
    counted: int | None = None
    """That device's number for it; in place of one, the time of a letter of our own."""

    def to_value(self) -> Value:
        """Return it as it stands in a segment."""
        device = _NO_DEVICE if self.device is None else self.device.raw
        times: list[Value] = [_milliseconds(self.written), _milliseconds(self.came)]
        return [self.raw, self.person.raw, self.outgoing, *times, device, self.counted or 0]

    @classmethod
    def from_value(cls, value: Value, *, owner: PersonId) -> Self:
        """Read it, and see that its author is who it must be.

        Raises:
            Malformed: it is no letter, or another person's than it says.
        """
        if not isinstance(value, list) or len(value) != 7:
            raise Malformed("a letter in the archive is a list of seven")
        fields = Fields(dict(enumerate(value)), what="letter in the archive")
        raw, person = fields.raw(0), PersonId(fields.raw(1))
        outgoing = fields.boolean(2)
        written, came = (fields.integer(key, low=0, high=MAX_NUMBER) / 1000 for key in (3, 4))
        device, counted = fields.raw(5, limit=16), fields.integer(6, low=0, high=MAX_NUMBER)
        body = _body(raw)
        item = Item.decode(body)
        if item.author != (owner if outgoing else person):
            raise Malformed("a letter in the archive has another author")
        if outgoing:  # those of one device stand in the order of its clock
            device, counted = item.device.raw, item.time >> 16
        return cls(
            item_id(body),
            raw,
            person,
            outgoing,
            written,
            came,
            DeviceId(device) if device else None,
            counted or None,
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """All that one segment holds."""

    chain: tuple[bytes, ...]
    """The card of the person when it was written."""
    letters: tuple[Kept, ...]

    def encode(self) -> bytes:
        """Return the bytes to seal."""
        letters = [one.to_value() for one in self.letters]
        return encode({0: VERSION, 1: list(self.chain), 2: letters})

    @classmethod
    def decode(cls, data: bytes, *, owner: PersonId) -> Self:
        """Read what was sealed. Fields that a newer program has added are passed over.

        Raises:
            Malformed, UnknownVersion
        """
        fields = Fields.read(data, limit=MAX_BODY, what="content of a segment")
        fields.version(0, known=VERSION)
        chain = fields.list(1, limit=MAX_CHAIN)
        if not all(isinstance(one, bytes) and len(one) <= MAX_STATEMENT for one in chain):
            raise Malformed("a card in the archive is a list of byte strings")
        letters = fields.list(2, limit=MAX_LETTERS)
        return cls(
            tuple(one for one in chain if isinstance(one, bytes)),
            tuple(Kept.from_value(one, owner=owner) for one in letters),
        )


def small_enough(chain: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return a card's chain if it goes with each segment, else nothing."""
    found = tuple(chain)
    return found if sum(map(len, found)) <= MAX_CARD else ()


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _body(raw: bytes) -> bytes:
    match decode(raw, limit=MAX_BODY):
        case [bytes(body), bytes()]:
            return body
    raise Malformed("an item in the archive has another form")
