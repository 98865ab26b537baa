"""What a phone and its gateway say to each other about waking (docs/protocol.md §19).

All times of day are minutes after midnight in the time zone of the hours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from wire.codec import Value, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import LaneId
from wire.lanes import WakeRule

MAX_ENDPOINT: Final = 1000
"""Bytes of the address that a push service gave. Source: UnifiedPush, Android 3.0.0."""
PUBLIC_BYTES: Final = 65
"""An uncompressed point of P-256."""
AUTH_BYTES: Final = 16
TOKEN_BYTES: Final = 16
"""What is pushed to an address, and brought back by whoever receives there."""
TOKEN_SECONDS: Final = 600
"""Time for that: a phone may have to be picked up."""
DAY_MINUTES: Final = 24 * 60
MAX_DIGESTS: Final = 24
MAX_ZONE: Final = 64
MAX_RULES: Final = 256
"""Rules of one device in a request."""
MAX_WHYS: Final = 4096
"""Lines of an answer about the last seven days."""
MESSAGE_LIMIT: Final = 16 * 1024
ANSWER_LIMIT: Final = 512 * 1024
_MAX_NUMBER: Final = (1 << 63) - 1


class AddressKind(IntEnum):
    """By which way a device is pushed to."""

    WEB_PUSH = 1
    """RFC 8030; UnifiedPush as well."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a device is pushed to, and with what a push is sealed for it."""

    kind: AddressKind
    endpoint: str = field(repr=False)
    public: bytes = field(repr=False)
    auth: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the message that registers it."""
        return encode({0: 1, 1: int(self.kind), 2: self.endpoint, 3: self.public, 4: self.auth})

    @classmethod
    def decode(cls, data: bytes) -> "Address":
        """Read what `encode` gave.

        Raises:
            Malformed, UnknownVersion
        """
        fields = Fields.read(data, limit=MESSAGE_LIMIT, what="push address")
        fields.version(0, known=1)
        kind = fields.integer(1, low=0, high=255)
        if kind not in set(AddressKind):
            raise Malformed("no kind of push that this program knows")
        address = cls(
            AddressKind(kind),
            fields.text(2, limit=MAX_ENDPOINT),
            fields.raw(3, size=PUBLIC_BYTES),
            fields.raw(4, size=AUTH_BYTES),
        )
        fields.end()
        return address


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When a device's holder does not want to be woken."""

    zone: str = "UTC"
    """Its name in the tz database."""
    quiet: tuple[int, int] | None = None
    """Begin and end; over midnight where the end is smaller."""
    snooze_until: int = 0
    """Unix seconds until which nothing wakes, not even what passes quiet hours."""
    digests: tuple[int, ...] = ()
    """When what did not wake is told of; empty: never."""

    def to_value(self) -> Value:
        """Return the list that stands for it in a message."""
        quiet: list[Value] = list(self.quiet or ())
        return [self.zone, quiet, self.snooze_until, list(self.digests)]

    @classmethod
    def from_value(cls, value: Value) -> "Hours":
        """Read what `to_value` gave.

        Raises:
            Malformed: no such list, or a time that no day has.
        """
        if not isinstance(value, list) or len(value) != 4:
            raise Malformed("hours are a list of four")
        fields = Fields(dict(enumerate(value)), what="hours")
        zone = fields.text(0, limit=MAX_ZONE)
        quiet = _minutes(fields.list(1, limit=2))
        until = fields.integer(2, low=0, high=1 << 40)
        digests = _minutes(fields.list(3, limit=MAX_DIGESTS))
        if len(quiet) == 1:
            raise Malformed("quiet hours have a begin and an end")
        return cls(
            zone=zone,
            quiet=(quiet[0], quiet[1]) if quiet else None,
            snooze_until=until,
            digests=digests,
        )

    def encode(self) -> bytes:
        """Return the message that sets them."""
        return encode({0: 1, 1: self.to_value()})

    @classmethod
    def decode(cls, data: bytes) -> "Hours":
        """Read what `encode` gave.

        Raises:
            Malformed, UnknownVersion
        """
        fields = Fields.read(data, limit=MESSAGE_LIMIT, what="hours")
        fields.version(0, known=1)
        hours = cls.from_value(fields.list(1, limit=4))
        fields.end()
        return hours


@dataclass(frozen=True, slots=True)
class Reach:
    """How a gateway wakes a device, as it tells the device."""

    vapid: bytes
    """The key with which it signs pushes, to be given to the push service; empty: it pushes to
    nobody, and a phone hears of letters while it is connected."""
    address: int
    """The kind of address that is confirmed; 0: none is."""
    waits: bool
    """Whether another waits to be confirmed."""
    hours: Hours

    def encode(self) -> bytes:
        """Return the answer."""
        return encode(
            {0: 1, 1: self.vapid, 2: self.address, 3: self.waits, 4: self.hours.to_value()}
        )

    @classmethod
    def decode(cls, data: bytes) -> "Reach":
        """Read what `encode` gave.

        Raises:
            Malformed, UnknownVersion
        """
        fields = Fields.read(data, limit=MESSAGE_LIMIT, what="reach")
        fields.version(0, known=1)
        reach = cls(
            fields.raw(1, limit=PUBLIC_BYTES),
            fields.integer(2, low=0, high=255),
            fields.boolean(3),
            Hours.from_value(fields.list(4, limit=4)),
        )
        fields.end()
        return reach


@dataclass(frozen=True, slots=True)
class WhyLine:
    """How often something was decided in one hour."""

    hour: int
    """Unix seconds at which it began."""
    why: str
    """One of the words of docs/protocol.md §19.5, or of a newer program."""
    lane: LaneId | None
    times: int


def encode_whys(lines: Sequence[WhyLine]) -> bytes:
    """Return the answer about the last seven days."""
    values: list[Value] = [
        [one.hour, one.why, one.lane.raw if one.lane else b"", one.times] for one in lines
    ]
    return encode({0: 1, 1: values})


def decode_whys(data: bytes) -> tuple[WhyLine, ...]:
    """Read what `encode_whys` gave.

    Raises:
        Malformed, UnknownVersion
    """
    fields = Fields.read(data, limit=ANSWER_LIMIT, what="whys")
    fields.version(0, known=1)
    lines = tuple(_why(one) for one in fields.list(1, limit=MAX_WHYS))
    fields.end()
    return lines


def encode_rules(rules: Mapping[LaneId, WakeRule | None]) -> bytes:
    """Return the message that sets one device's own rules; None: that of the lane."""
    return encode({0: 1, 1: [[lane.raw, int(rule or 0)] for lane, rule in rules.items()]})


def decode_rules(data: bytes) -> dict[LaneId, WakeRule | None]:
    """Read what `encode_rules` gave.

    Raises:
        Malformed, UnknownVersion
    """
    fields = Fields.read(data, limit=MESSAGE_LIMIT, what="rules")
    fields.version(0, known=1)
    rules: dict[LaneId, WakeRule | None] = {}
    for one in fields.list(1, limit=MAX_RULES):
        match one:
            case [bytes(lane), int(rule)] if type(rule) is int and 0 <= rule <= max(WakeRule):
                rules[LaneId(lane)] = WakeRule(rule) if rule else None
            case _:
                raise Malformed("a rule is a lane and a number")
    fields.end()
    return rules


def encode_number(number: int) -> bytes:
    """Return the message that names a place in the mailbox."""
    return encode({0: 1, 1: number})


def decode_number(data: bytes) -> int:
    """Read what `encode_number` gave.

    Raises:
        Malformed, UnknownVersion
    """
    fields = Fields.read(data, limit=MESSAGE_LIMIT, what="number")
    fields.version(0, known=1)
    number = fields.integer(1, low=0, high=_MAX_NUMBER)
    fields.end()
    return number


def _minutes(values: Sequence[Value]) -> tuple[int, ...]:
    found = [one for one in values if type(one) is int and 0 <= one < DAY_MINUTES]
    if len(found) != len(values):
        raise Malformed("a time of day is a number of minutes after midnight")
    return tuple(found)


def _why(value: Value) -> WhyLine:
    if not isinstance(value, list) or len(value) != 4:
        raise Malformed("a line is a list of four")
    fields = Fields(dict(enumerate(value)), what="line")
    lane = fields.raw(2, limit=LaneId.size)
    return WhyLine(
        fields.integer(0, low=0, high=1 << 40),
        fields.text(1, limit=32),
        LaneId(lane) if lane else None,
        fields.integer(3, low=0, high=_MAX_NUMBER),
    )
