"""How two values that were made without knowledge of each other become one.

    register        the later one by its stamp
    member          the later one; at exactly the same time a removal wins
    block, draft    `Dotted`: what one side holds and the other has never seen stays
    read marks      `ReadMark`: what was read on any device is read, but for what was put back

Each is commutative, associative and idempotent, so that devices which have seen the same changes
hold the same, in whatever order these came (docs/protocol.md §15.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wire.codec import Value, decode, encode
from wire.errors import Malformed

MAX_VALUE: Final = 512 * 1024
"""Bytes of one value: a card with its rivals is the largest."""
MAX_HELD: Final = 1024
MAX_MISSING: Final = 4096

Dot = tuple[bytes, int]
"""A device, and which of its changes of this value."""


@dataclass(frozen=True, slots=True)
class Dotted:
    """Values side by side, each of which stays until somebody who has seen it takes it away.

    Attributes:
        seen: how many changes of each device went into this.
        held: what stands, by the change that made it.
    """

    seen: Mapping[bytes, int] = field(default_factory=dict)
    held: Mapping[Dot, bytes] = field(default_factory=dict)

    def put(self, device: bytes, value: bytes) -> "Dotted":
        """Return this with `value` in place of all that stands."""
        count = self.seen.get(device, 0) + 1
        return Dotted({**self.seen, device: count}, {(device, count): value})

    def add(self, device: bytes, value: bytes) -> "Dotted":
        """Return this with `value` beside what stands."""
        count = self.seen.get(device, 0) + 1
        return Dotted({**self.seen, device: count}, {**self.held, (device, count): value})

    def without(self, value: bytes) -> "Dotted":
        """Return this without a value that stands."""
        return Dotted(self.seen, {dot: one for dot, one in self.held.items() if one != value})

    def cleared(self) -> "Dotted":
        """Return this with nothing standing: what is lifted is named by having been seen."""
        return Dotted(self.seen, {})

    def merge(self, other: "Dotted") -> "Dotted":
        """Return what stands after both."""
        devices = {*self.seen, *other.seen}
        seen = {one: max(self.seen.get(one, 0), other.seen.get(one, 0)) for one in devices}
        return Dotted(seen, {**self._left_by(other), **other._left_by(self)})

    def _left_by(self, other: "Dotted") -> dict[Dot, bytes]:
        return {
            dot: value
            for dot, value in self.held.items()
            if dot in other.held or dot[1] > other.seen.get(dot[0], 0)
        }

    def to_value(self) -> Value:
        """Return what stands for it in a message."""
        seen: list[Value] = [[one, self.seen[one]] for one in sorted(self.seen)]
        held: list[Value] = [[*dot, self.held[dot]] for dot in sorted(self.held)]
        return [seen, held]

    @classmethod
    def from_value(cls, value: Value) -> "Dotted":
        """Read what stands for it.

        Raises:
            Malformed: nothing does.
        """
        match value:
            case [list(seen), list(held)] if len(seen) <= MAX_HELD and len(held) <= MAX_HELD:
                pass
            case _:
                raise Malformed("a dotted value is two short lists")
        counts, standing = dict[bytes, int](), dict[Dot, bytes]()
        for one in seen:
            match one:
                case [bytes(device), int(count)]:
                    counts[device] = count
                case _:
                    raise Malformed("a dotted value names devices and counts")
        for one in held:
            match one:
                case [bytes(device), int(count), bytes(held_value)]:
                    standing[device, count] = held_value
                case _:
                    raise Malformed("a dotted value holds what a device has put")
        return cls(counts, standing)


@dataclass(frozen=True, slots=True)
class ReadMark:
    """What was read of one device's letters, by the numbers that it gave them.

    Attributes:
        upto: everything up to this number was read,
        missing: but for these,
        unread: and for those that somebody put back, which stay so until they are read anew.
    """

    upto: int = 0
    missing: frozenset[int] = frozenset()
    unread: Dotted = field(default_factory=Dotted)

    def covers(self, number: int) -> bool:
        """Return whether a letter was read."""
        return self._came_to(number) and _number(number) not in self.unread.held.values()

    def merge(self, other: "ReadMark") -> "ReadMark":
        """Return what was read on either of two devices."""
        unsure = self.missing | other.missing
        missing = {one for one in unsure if not (self._came_to(one) or other._came_to(one))}
        upto = max(self.upto, other.upto)
        return ReadMark(upto, frozenset(missing), self.unread.merge(other.unread))

    def with_read(self, upto: int, missing: frozenset[int]) -> "ReadMark":
        """Return this with more that was read."""
        more = self.merge(ReadMark(upto, missing))
        unread = more.unread
        for value in set(unread.held.values()):
            number = int.from_bytes(value, "big")
            if number <= upto and number not in missing:
                unread = unread.without(value)
        return ReadMark(more.upto, more.missing, unread)

    def with_unread(self, device: bytes, number: int) -> "ReadMark":
        """Return this with one letter put back among those that were not read."""
        return ReadMark(self.upto, self.missing, self.unread.add(device, _number(number)))

    def _came_to(self, number: int) -> bool:
        return number <= self.upto and number not in self.missing

    def encode(self) -> bytes:
        """Return the mark as it is kept."""
        if not self.unread.seen:
            return encode([self.upto, *sorted(self.missing)])
        return encode([self.unread.to_value(), self.upto, *sorted(self.missing)])

    @classmethod
    def decode(cls, data: bytes) -> "ReadMark":
        """Read a mark.

        Raises:
            Malformed: it is none.
        """
        value = decode(data, limit=MAX_VALUE)
        match value:
            case [list() as unread, int(upto), *missing]:
                dotted = Dotted.from_value(unread)
            case [int(upto), *missing]:
                dotted = Dotted()
            case _:
                raise Malformed("a read mark has another form")
        numbers = frozenset(one for one in missing if isinstance(one, int))
        if len(numbers) != len(missing) or len(numbers) > MAX_MISSING:
            raise Malformed("what a read mark lacks are numbers")
        return cls(upto, numbers, dotted)


def _number(number: int) -> bytes:
    return number.to_bytes(8, "big")


def merged_marks(one: bytes, other: bytes) -> bytes:
    """Return two encoded read marks as one."""
    return ReadMark.decode(one).merge(ReadMark.decode(other)).encode()


def merged_dotted(one: bytes, other: bytes) -> bytes:
    """Return two encoded records of one person, each with a dotted value, as one."""
    person, mine = dotted_of(one)
    _, theirs = dotted_of(other)
    return encode([person, mine.merge(theirs).to_value()])


def dotted_of(data: bytes) -> tuple[bytes, Dotted]:
    """Read a record of a person with a dotted value.

    Raises:
        Malformed: it is none.
    """
    match decode(data, limit=MAX_VALUE):
        case [bytes(person), value]:
            return person, Dotted.from_value(value)
    raise Malformed("a record with a dotted value has another form")
