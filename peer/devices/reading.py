"""How a chain of segments is read from its newest end: what is taken, refused or missing.

    asked for          came                                  becomes
    -----------------  ------------------------------------  --------------------------------
    segment N          N, as N+1 named it                    opened; N-1 is expected by its word
                       N, and N+1 named another              `swapped`
                       another number in its place           `swapped`
                       none                                  `missing`, on to what came
                       bytes that are no segment             `malformed`, `not-signed`, …
                       a head whose body the gateway lost    `lost`

Whatever is refused stands alone: what is below is read, and checked against what is above it as far
as that could be read. Nothing here decides what a segment holds (docs/protocol.md §17.4).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from wire.archive import Head, Segment, SignedHead
from wire.codec import Value, decode, encode
from wire.errors import Malformed, WireError
from wire.ids import PersonId

_ANY = b""
"""The hash that is expected where nothing that could be read names one."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Segments that are still to be read: from `next` down to the one above `floor`."""

    next: int
    expected: bytes
    """Hash of the head at `next`; empty: unknown."""
    floor: int
    """The highest that we know from before; 0 for none."""
    floor_hash: bytes

    @classmethod
    def below(cls, newest: Head, known: Head | None) -> Self:
        """Return what is to be read when `newest` is told, and `known` was read before."""
        floor, hash = (0, _ANY) if known is None else (known.seq, known.hash)
        return cls(newest.seq, newest.hash, floor, hash)

    @property
    def over(self) -> bool:
        """Whether all of it was read."""
        return self.next <= self.floor

    @property
    def parts(self) -> bool:
        """Whether, at its end, it does not join what was known before."""
        return bool(self.over and self.floor and self.expected not in (_ANY, self.floor_hash))

    def to_value(self) -> Value:
        """Return it as it is kept."""
        return [self.next, self.expected, self.floor, self.floor_hash]


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at one number."""

    seq: int
    segment: Segment | None
    """None: nothing that can be used."""
    trouble: str = ""
    """The code of why not."""


def look(
    stretch: Stretch, answer: Iterable[bytes], *, person: PersonId
) -> tuple[list[Found], Stretch]:
    """Judge one answer of the gateway; return what was found, and what is left to read.

    Args:
        stretch: what was asked for.
        answer: segments as they came, newest first; if none came, none is there.
        person: whose archive it is.
    """
    placed, unplaced = _placed(stretch, answer)
    if not placed and not unplaced:
        missing = Found(stretch.next, None, "missing")
        return [missing], replace(stretch, next=stretch.floor, expected=_ANY)
    lowest = min([*placed, stretch.next + 1 - len(placed) - len(unplaced)])
    found, expected = list[Found](), stretch.expected
    for seq in range(stretch.next, max(lowest, stretch.floor + 1) - 1, -1):
        segment = placed.get(seq)
        if segment is None:
            trouble = unplaced.pop(0) if unplaced else "missing"
            found.append(Found(seq, None, trouble))
            expected = _ANY
        elif trouble := _wrong(segment, expected, person=person):
            found.append(Found(seq, None, trouble))
            expected = _ANY
        else:
            found.append(Found(seq, segment, "lost" if segment.lost else ""))
            expected = segment.head.before
    return found, replace(stretch, next=found[-1].seq - 1, expected=expected)


def _placed(stretch: Stretch, answer: Iterable[bytes]) -> tuple[dict[int, Segment], list[str]]:
    """Return the segments by the number that each says it has, and what is wrong with others."""
    placed, unplaced = dict[int, Segment](), list[str]()
    for raw in answer:
        try:
            segment = Segment.decode(raw)
        except WireError as error:
            unplaced.append(error.code)
            continue
        seq = segment.head.seq
        if stretch.floor < seq <= stretch.next and seq not in placed:
            placed[seq] = segment
        elif seq > stretch.floor:
            unplaced.append("swapped")
    return placed, unplaced


def _wrong(segment: Segment, expected: bytes, *, person: PersonId) -> str:
    """Return the code of why a segment cannot stand at its number; empty if it can."""
    if segment.head.person != person:
        return "foreign"
    return "" if expected in (_ANY, segment.head.hash) else "swapped"


def write_stretches(stretches: Iterable[Stretch]) -> bytes:
    """Return what is still to be read as it is kept, what comes first first."""
    return encode([one.to_value() for one in stretches])


def read_stretches(data: bytes) -> list[Stretch]:
    """Read it back.

    Raises:
        Malformed: it was never kept like this.
    """
    value = decode(data, limit=1 << 16)
    found = []
    for one in value if isinstance(value, list) else []:
        match one:
            case [int(next_), bytes(expected), int(floor), bytes(floor_hash)]:
                found.append(Stretch(next_, expected, floor, floor_hash))
            case _:
                raise Malformed("the record of what is to be read has another form")
    return found


def same(one: SignedHead | None, other: SignedHead | None) -> bool:
    """Return whether two heads say the same."""
    return (one and one.head) == (other and other.head)
