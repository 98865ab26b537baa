"""Items: the kinds there are, and the exact bytes that are signed and kept.

    kind  name        content                                    for
    1     letter      text, perhaps a file                       the reader
    2     resend      which letters did not come                 the sender's device
    3     gone        which of them cannot come any more         who asked
    4     heartbeat   nothing                                    the session heals
    5     card        statements that continue my card           whoever holds it
    6     lanes       new lanes for you                          the recipient's device
    7     reset       letters I could not open: begin again      the sender's device
    20    copy        a letter that I have sent, and to whom     my own other devices
    30    share       a share of my recovery seed                the keeper's device
    31    keeping     I keep your share, perhaps with a proof    whose seed it is
    32    rehearsal   show that you still keep it                the keeper's device
    33    give-up     erase it; or: I keep it no more            either
    40    archive-head  where my archive stands              a witness
    41    head-ask    where did you see mine stand           whoever may have seen it
    42    head-told   this head, by that device of yours     who asked

An item is decoded for showing and kept as the bytes that came, because they are what was signed.
Fields and kinds that this program does not know are kept; an item that says that one of them must
be understood is shown as "needs a newer app" (docs/protocol.md §9).
"""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from wire.codec import Value, decode, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceId, ItemId, PersonId
from wire.kdf import hash16
from wire.lanes import LaneClass, LaneSecret

VERSION: Final = 1
NONCE_BYTES: Final = 16
MAX_ITEM: Final = 1_000_000
"""Bytes of the largest item: with its envelope it fits in one parcel, for ten devices too."""
MAX_COPY: Final = MAX_ITEM + 1024
"""Bytes of an item that holds another one."""
MAX_TEXT: Final = 65_535
MAX_FILE: Final = MAX_ITEM - MAX_TEXT - 1024
"""Bytes of a file: what an item holds beside the longest text, two names and a head."""
MAX_FILE_NAME: Final = 255
MAX_FILE_TYPE: Final = 127
MAX_RANGES: Final = 64
MAX_NUMBER: Final = (1 << 63) - 1
MAX_STATEMENTS: Final = 64
MAX_STATEMENT: Final = 4096
MAX_NOTE: Final = 512
MAX_SIGNED_HEAD: Final = 600
_KNOWN_FIELDS: Final = frozenset(range(8))


class Kind(IntEnum):
    """The kinds this program knows."""

    LETTER = 1
    RESEND = 2
    GONE = 3
    HEARTBEAT = 4
    CARD = 5
    LANES = 6
    RESET = 7
    COPY = 20
    SHARE = 30
    KEEPING = 31
    REHEARSAL = 32
    GIVE_UP = 33
    ARCHIVE_HEAD = 40
    HEAD_ASK = 41
    HEAD_TOLD = 42


SHARE_BYTES: Final = 25
SET_BYTES: Final = 16
PROOF_BYTES: Final = 16
MAX_MARKS: Final = 128


class TooLong(Exception):
    """A text, a file or its name is longer than a letter holds."""

    code = "too-long"

    def __init__(self, what: str, *, size: int, limit: int) -> None:
        super().__init__(f"{what} has {size} bytes; at most {limit} fit in a letter")
        self.what = what
        self.size = size
        self.limit = limit


@dataclass(frozen=True, slots=True)
class File:
    """A file that comes with a letter; the name is only a suggestion."""

    name: str
    type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Letter:
    """A text for one person, perhaps with a file."""

    text: str = field(repr=False)
    file: File | None = None

    @classmethod
    def write(cls, text: str, file: File | None = None) -> "Letter":
        """Make a letter of what somebody typed: text in normal form C, lengths checked.

        Raises:
            TooLong: the text, the file or its name does not fit.
        """
        text = unicodedata.normalize("NFC", text)
        _fits("the text", text.encode("utf-8"), MAX_TEXT)
        if file is not None:
            name = unicodedata.normalize("NFC", file.name)
            file = File(name, file.type, file.data)
            _fits("the file's name", name.encode("utf-8"), MAX_FILE_NAME)
            _fits("the file's type", file.type.encode("utf-8"), MAX_FILE_TYPE)
            _fits("the file", file.data, MAX_FILE)
        return cls(text, file)


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `first` to `last`, both included, as one device counts towards one person."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.last <= MAX_NUMBER:
            raise Malformed(f"no range from {self.first} to {self.last}")


@dataclass(frozen=True, slots=True)
class Resend:
    """These letters of `device` did not come: send them again, or say that they are gone."""

    device: DeviceId
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Gone:
    """These letters of `device` cannot come any more: expired, withdrawn or lost."""

    device: DeviceId
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """I am here; says nothing, and lets the session take a step."""


@dataclass(frozen=True, slots=True)
class CardUpdate:
    """Signed statements that continue the author's card, and how long it is fresh."""

    statements: tuple[bytes, ...]
    fresh: bytes = b""
    """A freshness note of the newest of them; empty where their own time is enough."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """Lanes on which the recipient may write to the author from now on."""

    lanes: tuple[tuple[LaneClass, LaneSecret], ...]


@dataclass(frozen=True, slots=True)
class Reset:
    """I cannot open what your device sends: begin a new session and send these again.

    `highest` is the highest number seen of that device; it counts on from there.
    """

    device: DeviceId
    highest: int
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class KeptShare:
    """A share of the author's recovery seed, for the recipient to keep."""

    set: bytes
    """Names all shares that were made at one time (16 bytes)."""
    share: bytes = field(repr=False)
    need: int
    """How many of them are needed, with the gateway's."""
    marks: bytes
    """Eight bytes of each share of the set: who hands out another one is seen by them."""
    notice: bytes = field(repr=False)
    """What to show at the author's gateway to be told when somebody asks (16 bytes)."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """The author keeps a share of the recipient's seed."""

    set: bytes
    proof: bytes = b""
    """Answers a rehearsal; empty where there was none."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Show that you still keep my share."""

    set: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The share of this set is to be erased, or is kept no more."""

    set: bytes


@dataclass(frozen=True, slots=True)
class ArchiveHead:
    """Where the author's archive stands: remember it for me."""

    head: bytes
    """Signed by one of the author's devices (docs/protocol.md §17.1)."""


@dataclass(frozen=True, slots=True)
class HeadAsk:
    """Where did you last see my archive stand? I had to begin on a new device."""


@dataclass(frozen=True, slots=True)
class HeadTold:
    """The newest head of your archive that I was told; both empty: I was told none."""

    head: bytes
    statements: tuple[bytes, ...]
    """Your card as I held it then: it lists the device that signed the head."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A letter that another device of mine has sent: so it stands on all of them."""

    person: PersonId
    """To whom it went."""
    item: bytes = field(repr=False)
    """The signed item, word for word."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something a newer app has written; kept until this one is new enough."""

    kind: int
    value: Value = field(repr=False)


Witnessing = ArchiveHead | HeadAsk | HeadTold
Content = (
    Letter
    | Resend
    | Gone
    | Heartbeat
    | CardUpdate
    | Lanes
    | Reset
    | Copy
    | KeptShare
    | Keeping
    | Rehearsal
    | GiveUp
    | Witnessing
    | Unknown
)


@dataclass(frozen=True, slots=True)
class Item:
    """What is signed: who says what, and when by the author's clock.

    `time` is a hybrid logical clock: milliseconds since 1970, and a counter in the lowest 16 bits;
    below 2**63, so that every store can hold it.
    """

    author: PersonId
    device: DeviceId
    time: int
    nonce: bytes
    content: Content

    @property
    def seconds(self) -> float:
        """When it was written, in Unix seconds by the author's clock."""
        return (self.time >> 16) / 1000

    def encode(self) -> bytes:
        """Return the bytes to sign.

        Raises:
            ValueError: a text is not in normal form C.
        """
        kind, value = _written(self.content)
        return encode(
            {
                0: VERSION,
                1: kind,
                2: self.author.raw,
                3: self.device.raw,
                4: self.time,
                5: self.nonce,
                6: value,
            }
        )

    @classmethod
    def decode(cls, body: bytes) -> "Item":
        """Read signed bytes. Fields 0 to 5 keep their meaning in every version.

        Raises:
            Malformed: they are no item, or a known kind with another content.
        """
        value = decode(body, limit=MAX_COPY)
        fields = Fields(value, what="item")
        version = fields.integer(0, low=1, high=255)
        kind = fields.integer(1, low=0, high=MAX_NUMBER)
        author, device = PersonId(fields.raw(2)), DeviceId(fields.raw(3))
        time = fields.integer(4, low=0, high=MAX_NUMBER)
        nonce = fields.raw(5, size=NONCE_BYTES)
        content = value.get(6) if isinstance(value, dict) else None
        must = fields.list(7, limit=64) if fields.has(7) else []
        if version != VERSION or kind not in _READERS or not _understood(must):
            return cls(author, device, time, nonce, Unknown(kind, content))
        return cls(author, device, time, nonce, _READERS[kind](Fields(content, what="content")))


def item_id(body: bytes) -> ItemId:
    """Return the id of an item by its signed bytes: whoever holds them gets the same."""
    return ItemId(hash16("item-id", body))


def now_as_time(now: float) -> int:
    """Return the clock value for `now` in Unix seconds."""
    return max(0, int(now * 1000)) << 16


def _fits(what: str, data: bytes, limit: int) -> None:
    if len(data) > limit:
        raise TooLong(what, size=len(data), limit=limit)


def _understood(must: list[Value]) -> bool:
    return all(type(one) is int and one in _KNOWN_FIELDS for one in must)


def _written(content: Content) -> tuple[int, Value]:
    match content:
        case Letter(text, None):
            return Kind.LETTER.value, {0: text}
        case Letter(text, File(name, type_, data)):
            return Kind.LETTER.value, {0: text, 1: [name, type_, data]}
        case Resend(device, ranges):
            return Kind.RESEND.value, {0: device.raw, 1: _range_values(ranges)}
        case Gone(device, ranges):
            return Kind.GONE.value, {0: device.raw, 1: _range_values(ranges)}
        case Heartbeat():
            return Kind.HEARTBEAT.value, {}
        case CardUpdate(statements, b""):
            return Kind.CARD.value, {0: list(statements)}
        case CardUpdate(statements, fresh):
            return Kind.CARD.value, {0: list(statements), 1: fresh}
        case Lanes(lanes):
            return Kind.LANES.value, {0: [[int(one), secret.raw] for one, secret in lanes]}
        case Reset(device, highest, ranges):
            return Kind.RESET.value, {0: device.raw, 1: highest, 2: _range_values(ranges)}
        case Copy(person, item):
            return Kind.COPY.value, {0: person.raw, 1: item}
        case KeptShare(set, share, need, marks, notice):
            return Kind.SHARE.value, {0: set, 1: share, 2: need, 3: marks, 4: notice}
        case Keeping(set, proof):
            return Kind.KEEPING.value, {0: set, 1: proof}
        case Rehearsal(set, nonce):
            return Kind.REHEARSAL.value, {0: set, 1: nonce}
        case GiveUp(set):
            return Kind.GIVE_UP.value, {0: set}
        case ArchiveHead(head):
            return Kind.ARCHIVE_HEAD.value, {0: head}
        case HeadAsk():
            return Kind.HEAD_ASK.value, {}
        case HeadTold(head, statements):
            return Kind.HEAD_TOLD.value, {0: head, 1: list(statements)}
        case Unknown(kind, value):
            return kind, value
    raise TypeError(f"a {type(content).__name__} is no content")


def _range_values(ranges: Iterable[Range]) -> list[Value]:
    return [[one.first, one.last] for one in ranges]


def _ranges(fields: Fields, key: int) -> tuple[Range, ...]:
    found = []
    for value in fields.list(key, limit=MAX_RANGES):
        match value:
            case [int(first), int(last)] if not isinstance(first, bool):
                found.append(Range(first, last))
            case _:
                raise Malformed("a range is a list of two numbers")
    return tuple(found)


def _letter(fields: Fields) -> Letter:
    text = fields.text(0, limit=MAX_TEXT)
    if not fields.has(1):
        return Letter(text)
    file = Fields(dict(enumerate(fields.list(1, limit=3))), what="file")
    return Letter(
        text,
        File(
            file.text(0, limit=MAX_FILE_NAME),
            file.text(1, limit=MAX_FILE_TYPE),
            file.raw(2, limit=MAX_ITEM),
        ),
    )


def _resend(fields: Fields) -> Resend:
    return Resend(DeviceId(fields.raw(0)), _ranges(fields, 1))


def _gone(fields: Fields) -> Gone:
    return Gone(DeviceId(fields.raw(0)), _ranges(fields, 1))


def _heartbeat(_fields: Fields) -> Heartbeat:
    return Heartbeat()


def _card(fields: Fields) -> CardUpdate:
    note = fields.raw(1, limit=MAX_NOTE) if fields.has(1) else b""
    return CardUpdate(_statements(fields, 0), note)


def _archive_head(fields: Fields) -> ArchiveHead:
    return ArchiveHead(fields.raw(0, limit=MAX_SIGNED_HEAD))


def _head_ask(_fields: Fields) -> HeadAsk:
    return HeadAsk()


def _head_told(fields: Fields) -> HeadTold:
    return HeadTold(fields.raw(0, limit=MAX_SIGNED_HEAD), _statements(fields, 1))


def _statements(fields: Fields, key: int) -> tuple[bytes, ...]:
    statements = []
    for value in fields.list(key, limit=MAX_STATEMENTS):
        if not isinstance(value, bytes) or len(value) > MAX_STATEMENT:
            raise Malformed("a statement is a byte string of at most 4096 bytes")
        statements.append(value)
    return tuple(statements)


def _lanes(fields: Fields) -> Lanes:
    return Lanes(lanes_from_value(fields.list(0, limit=len(LaneClass))))


def lanes_from_value(value: list[Value]) -> tuple[tuple[LaneClass, LaneSecret], ...]:
    """Read lanes as they stand in an item or in an introduction: class and secret of each.

    Raises:
        Malformed: no lane, or two of one class.
    """
    found: dict[LaneClass, LaneSecret] = {}
    for one in value:
        match one:
            case [int(number), bytes(secret)] if number in set(LaneClass):
                found[LaneClass(number)] = LaneSecret(secret)
            case _:
                raise Malformed("a lane is a class and a secret")
    if len(found) != len(value):
        raise Malformed("two lanes of one class")
    return tuple(found.items())


def _reset(fields: Fields) -> Reset:
    device = DeviceId(fields.raw(0))
    highest = fields.integer(1, low=0, high=MAX_NUMBER)
    return Reset(device, highest, _ranges(fields, 2))


def _copy(fields: Fields) -> Copy:
    return Copy(PersonId(fields.raw(0)), fields.raw(1, limit=MAX_COPY))


def _share(fields: Fields) -> KeptShare:
    set, share = fields.raw(0, size=SET_BYTES), fields.raw(1, size=SHARE_BYTES)
    need = fields.integer(2, low=2, high=16)
    return KeptShare(
        set, share, need, fields.raw(3, limit=MAX_MARKS), fields.raw(4, size=SET_BYTES)
    )


def _keeping(fields: Fields) -> Keeping:
    set, proof = fields.raw(0, size=SET_BYTES), fields.raw(1, limit=PROOF_BYTES)
    if proof and len(proof) != PROOF_BYTES:
        raise Malformed("a proof of a share has 16 bytes")
    return Keeping(set, proof)


def _rehearsal(fields: Fields) -> Rehearsal:
    return Rehearsal(fields.raw(0, size=SET_BYTES), fields.raw(1, size=PROOF_BYTES))


def _give_up(fields: Fields) -> GiveUp:
    return GiveUp(fields.raw(0, size=SET_BYTES))


_READERS: Final[dict[int, Callable[[Fields], Content]]] = {
    Kind.LETTER: _letter,
    Kind.RESEND: _resend,
    Kind.GONE: _gone,
    Kind.HEARTBEAT: _heartbeat,
    Kind.CARD: _card,
    Kind.LANES: _lanes,
    Kind.RESET: _reset,
    Kind.COPY: _copy,
    Kind.SHARE: _share,
    Kind.KEEPING: _keeping,
    Kind.REHEARSAL: _rehearsal,
    Kind.GIVE_UP: _give_up,
    Kind.ARCHIVE_HEAD: _archive_head,
    Kind.HEAD_ASK: _head_ask,
    Kind.HEAD_TOLD: _head_told,
}
