"""Lanes: the right to put parcels into one mailbox, and what the mailbox's owner lets it do.

A lane is a random secret that no parcel carries. For each gateway both sides derive from it an id,
which names the lane there, and a key, with which parcels are proved; what one gateway holds is
worth nothing at another (docs/protocol.md §4.1).
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Final

from wire.codec import Value
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import GatewayId, LaneId
from wire.kdf import hkdf

SECRET_BYTES: Final = 32
KEY_BYTES: Final = 32
SLOT_BYTES: Final = 2
SINGLE_BOX: Final = b"\0\0"
"""The slot of every lane on a gateway that is one machine."""


class LaneClass(IntEnum):
    """What the sender's phone puts on a lane. The gateway never learns it."""

    LETTER = 1
    MENTION = 2
    ORDINARY = 3
    THREAD = 4
    THREAD_MENTION = 5


class WakeRule(IntEnum):
    """What a parcel on a lane may do to a sleeping phone; its owner alone decides."""

    WAKE = 1
    WAKE_OUTSIDE_QUIET_HOURS = 2
    DIGEST = 3
    NEVER = 4


@dataclass(frozen=True, slots=True)
class LaneSecret:
    """The secret that a recipient hands to one contact for one class; 32 bytes."""

    raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.raw) != SECRET_BYTES:
            raise Malformed(f"a lane secret has {SECRET_BYTES} bytes")

    def at(self, gateway: GatewayId, *, slot: bytes = SINGLE_BOX) -> "Lane":
        """Return what this lane is at `gateway`: the id it goes by and the key that proves."""
        derived = hkdf(self.raw, salt=gateway.raw, info=b"homepost/lane-id/1", length=14)
        key = hkdf(self.raw, salt=gateway.raw, info=b"homepost/lane-key/1", length=KEY_BYTES)
        return Lane(LaneId(slot + derived), key)


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane at one gateway."""

    id: LaneId
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise Malformed(f"a lane key has {KEY_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class LaneRight:
    """A lane as its owner's device registers it at the gateway (docs/protocol.md §4.2)."""

    MAX_WAKES: ClassVar[int] = 10_000
    MAX_BYTES: ClassVar[int] = 1 << 40
    FIELDS: ClassVar[int] = 7

    lane: Lane
    rule: WakeRule
    wakes_per_day: int
    """How many wakes a day this lane may cause; above it parcels are stored in silence."""
    bytes_waiting: int
    """How many bytes may wait on this lane."""
    expires: int
    """Unix seconds after which the lane is dead; 0: it lives until it is revoked."""
    last_tenth: bool
    """Whether it may use the last tenth of the seat's room."""

    def to_value(self) -> Value:
        """Return the list that stands for this lane in a message."""
        return [
            self.lane.id.raw,
            self.lane.key,
            int(self.rule),
            self.wakes_per_day,
            self.bytes_waiting,
            self.expires,
            self.last_tenth,
        ]

    @classmethod
    def from_value(cls, value: Value) -> "LaneRight":
        """Read what `to_value` gave.

        Raises:
            Malformed: not such a list, or a number outside its bounds.
        """
        if not isinstance(value, list) or len(value) != cls.FIELDS:
            raise Malformed("a lane is a list of seven")
        fields = Fields(dict(enumerate(value)), what="lane")
        lane = Lane(LaneId(fields.raw(0)), fields.raw(1))
        return cls(
            lane,
            WakeRule(fields.integer(2, low=min(WakeRule), high=max(WakeRule))),
            wakes_per_day=fields.integer(3, low=0, high=cls.MAX_WAKES),
            bytes_waiting=fields.integer(4, low=0, high=cls.MAX_BYTES),
            expires=fields.integer(5, low=0, high=1 << 40),
            last_tenth=fields.boolean(6),
        )
