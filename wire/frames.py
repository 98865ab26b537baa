"""Frames: what travels inside one binary WebSocket message, or one body of the polling fallback.

The first byte says which frame it is; everything after it is fixed. A message holds exactly one
frame (docs/protocol.md §5.2).

    device → gateway, logged in     Resume 0x10   Ack 0x11   Pong 0x13
    gateway → device, logged in     Hello 0x01    Parcels 0x02   Ping 0x03   Bye 0x0F
    anybody with a lane → gateway   Deposit 0x20
    gateway → that one              Results 0x21  Receipt 0x22  Bye 0x0F
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from wire.errors import Malformed
from wire.ids import CursorEpoch, ParcelId
from wire.parcel import (
    HEADER_BYTES,
    MAX_BODY,
    PROOF_BYTES,
    Parcel,
    pack_header,
    read_parcel,
)
from wire.receipt import Receipt, Stored
from wire.signing import SIGNATURE_BYTES

MAX_PARCELS: Final = 64
"""Parcels in one frame: enough that a commit is shared, few enough that one frame is bounded."""
MAX_OUTCOMES: Final = 1024
"""Outcomes in one frame: those of several deposits that one commit held."""
MAX_FRAME: Final = (1 << 20) + (1 << 16)
"""Bytes of the largest frame: one parcel of the largest size, or many small ones."""

_CURSOR: Final = struct.Struct(">16sQ16s")
_SEQ: Final = struct.Struct(">Q")
_TAG_COUNT: Final = struct.Struct(">IH")
_COUNT: Final = struct.Struct(">H")
_COUNT_PARCELS: Final = struct.Struct(">BH")
_RESULT: Final = struct.Struct(">16sBI")
_STORED: Final = struct.Struct(">16s32s")
_HELLO: Final = struct.Struct(">16sQB")
MAX_SEQ: Final = (1 << 63) - 1


class Result(IntEnum):
    """What became of one parcel of a deposit; the names are the codes of docs/protocol.md §12."""

    STORED = 0
    LANE_REFUSED = 1
    ID_TAKEN = 2
    MAILBOX_FULL = 3
    BUSY = 4
    DISK_FULL = 5
    PARCEL_TOO_LARGE = 6
    TOO_MANY_REQUESTS = 7
    STORAGE_FAILED = 8

    @property
    def code(self) -> str:
        """The stable code in words, as everywhere else in the protocol."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one device has collected: the last parcel it holds, by number and by id.

    `seq` 0 with an all-zero id is the beginning of an epoch.
    """

    epoch: CursorEpoch
    seq: int
    parcel: ParcelId

    def __post_init__(self) -> None:
        if not 0 <= self.seq <= MAX_SEQ:
            raise Malformed("no cursor stands there")

    def encode(self) -> bytes:
        """Return epoch (16), seq (8, big-endian) and parcel id (16)."""
        return _CURSOR.pack(self.epoch.raw, self.seq, self.parcel.raw)

    @classmethod
    def decode(cls, data: bytes) -> "Cursor":
        """Read forty bytes.

        Raises:
            Malformed: another length, or a number out of bounds.
        """
        if len(data) != _CURSOR.size:
            raise Malformed(f"a cursor has {_CURSOR.size} bytes")
        epoch, seq, parcel = _CURSOR.unpack(data)
        return cls(CursorEpoch(epoch), seq, ParcelId(parcel))

    @classmethod
    def start(cls, epoch: CursorEpoch) -> "Cursor":
        """Return the beginning of `epoch`, before its first parcel."""
        return cls(epoch, 0, ParcelId(bytes(16)))


NOWHERE: Final = Cursor.start(CursorEpoch(bytes(16)))
"""The cursor of a device that has never collected: of no epoch at all."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The device holds everything up to `cursor`; send what comes after."""

    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Ack:
    """The device has committed everything up to `cursor` to its own disk."""

    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Pong:
    """The device's answer to a Ping: somebody is really there."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The gateway's answer to Resume: the epoch in force and the newest number in it.

    `reset` says that the device's cursor was not good here and that everything held is sent again.
    """

    epoch: CursorEpoch
    newest: int
    reset: bool


@dataclass(frozen=True, slots=True)
class Delivered:
    """One parcel on its way to a device, with its number."""

    seq: int
    parcel: Parcel


@dataclass(frozen=True, slots=True)
class Parcels:
    """Parcels in the order of their numbers; numbers may be missing, never repeated."""

    parcels: tuple[Delivered, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? The device answers Pong."""


@dataclass(frozen=True, slots=True)
class Bye:
    """The gateway closes; `code` is one of docs/protocol.md §12."""

    code: str


@dataclass(frozen=True, slots=True)
class Proved:
    """A parcel with the proof for the gateway that it is offered to."""

    proof: bytes
    parcel: Parcel


@dataclass(frozen=True, slots=True)
class Deposit:
    """Parcels for one gateway; `tag` comes back with the results."""

    tag: int
    parcels: tuple[Proved, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one parcel. `retry_after` is in seconds, 0 where trying again is no use."""

    parcel: ParcelId
    result: Result
    retry_after: int


@dataclass(frozen=True, slots=True)
class Results:
    """One outcome for each parcel, in their order, after the commit that holds them.

    It answers the deposit `tag` and all before it on this connection that were not answered yet.
    """

    tag: int
    outcomes: tuple[Outcome, ...]


Frame = Resume | Ack | Pong | Hello | Parcels | Ping | Bye | Deposit | Results | Receipt

_RESUME, _ACK, _PONG = 0x10, 0x11, 0x13
_HELLO_TYPE, _PARCELS, _PING, _BYE = 0x01, 0x02, 0x03, 0x0F
_DEPOSIT, _RESULTS, _RECEIPT = 0x20, 0x21, 0x22
_MAX_CODE = 40
_CODE_CHARACTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz-")


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of `frame`, its type first.

    Raises:
        ValueError: nobody could read it: too many parcels or bytes, none at all, or no code.
    """
    data = _encode(frame)
    match frame:
        case Parcels(several) | Deposit(_, several):
            allowed = 1 <= len(several) <= MAX_PARCELS and len(data) <= MAX_FRAME
        case Results(_, several) | Receipt(several, _):
            allowed = 1 <= len(several) <= MAX_OUTCOMES
        case Bye():
            allowed = _is_code(data[1:])
        case _:
            allowed = True
    if not allowed:
        raise ValueError("a frame that nobody could read")
    return data


def _encode(frame: Frame) -> bytes:
    match frame:
        case Resume(cursor):
            return bytes([_RESUME]) + cursor.encode()
        case Ack(cursor):
            return bytes([_ACK]) + cursor.encode()
        case Pong():
            return bytes([_PONG])
        case Ping():
            return bytes([_PING])
        case Hello(epoch, newest, reset):
            return bytes([_HELLO_TYPE]) + _HELLO.pack(epoch.raw, newest, reset)
        case Bye(code):
            return bytes([_BYE]) + code.encode("ascii")
        case Parcels(parcels):
            pieces = [bytes([_PARCELS]), _COUNT.pack(len(parcels))]
            pieces += [_SEQ.pack(one.seq) + one.parcel.encode() for one in parcels]
            return b"".join(pieces)
        case Deposit(tag, proved):
            pieces = [bytes([_DEPOSIT]), _TAG_COUNT.pack(tag, len(proved))]
            pieces += [one.proof + one.parcel.encode() for one in proved]
            return b"".join(pieces)
        case Results(tag, outcomes):
            pieces = [bytes([_RESULTS]), _TAG_COUNT.pack(tag, len(outcomes))]
            pieces += [_RESULT.pack(o.parcel.raw, o.result, o.retry_after) for o in outcomes]
            return b"".join(pieces)
        case Receipt(stored, signature):
            pieces = [bytes([_RECEIPT]), _COUNT.pack(len(stored))]
            pieces += [_STORED.pack(one.parcel.raw, one.body_hash) for one in stored]
            return b"".join([*pieces, signature])


StoredRow: TypeAlias = tuple[int, bytes, bytes, int, bytes, bytes]
"""A parcel as a store has it: number, lane, parcel id, lifetime, purge hash, body."""


def encode_stored(rows: Sequence[StoredRow]) -> bytes:
    """Return the Parcels frame of parcels that were checked when they were stored.

    It saves making objects of them only to take these apart again.
    """
    pieces = [_COUNT_PARCELS.pack(_PARCELS, len(rows))]
    for seq, lane, parcel, lifetime, purge, body in rows:
        pieces += (_SEQ.pack(seq), pack_header(lane, parcel, lifetime, purge, len(body)), body)
    return b"".join(pieces)


def in_a_row(*frames: Frame) -> bytes:
    """Return frames for one body: each after its length in four bytes, big-endian."""
    encoded = [encode_frame(one) for one in frames]
    return b"".join(len(one).to_bytes(4, "big") + one for one in encoded)


def decode_frame(data: bytes) -> Frame:
    """Read one frame.

    Raises:
        Malformed: not exactly one frame.
        UnknownVersion: a parcel of another version in it.
    """
    if not 1 <= len(data) <= MAX_FRAME:
        raise Malformed(f"no frame has {len(data)} bytes")
    rest = data[1:]
    match data[0]:
        case 0x10:
            return Resume(Cursor.decode(rest))
        case 0x11:
            return Ack(Cursor.decode(rest))
        case 0x13:
            return _empty(Pong(), rest)
        case 0x03:
            return _empty(Ping(), rest)
        case 0x01:
            return _hello(rest)
        case 0x0F:
            return _bye(rest)
        case 0x02:
            return _parcels(data)
        case 0x20:
            return _deposit(data)
        case 0x21:
            return _results(rest)
        case 0x22:
            return _receipt(rest)
        case unknown:
            raise Malformed(f"no frame begins with {unknown:#04x}")


def frame_size(parcel: Parcel) -> int:
    """Return how many bytes `parcel` takes in a Parcels or Deposit frame, at most."""
    return PARCEL_OVERHEAD + len(parcel.body)


PARCEL_OVERHEAD: Final = HEADER_BYTES + max(PROOF_BYTES, _SEQ.size)
"""Bytes that a parcel takes in a frame beside its body, at most."""
MAX_PARCELS_BYTES: Final = MAX_FRAME - 16
"""Bytes that the parcels of one frame may take together."""


def fits(size: int, count: int) -> bool:
    """Return whether a frame may hold `count` parcels that take `size` bytes together."""
    return count <= MAX_PARCELS and size <= MAX_PARCELS_BYTES


def _empty(frame: Ping | Pong, rest: bytes) -> Frame:
    if rest:
        raise Malformed("bytes after a frame that has none")
    return frame


def _hello(rest: bytes) -> Hello:
    if len(rest) != _HELLO.size:
        raise Malformed("a Hello of another length")
    epoch, newest, reset = _HELLO.unpack(rest)
    if newest > MAX_SEQ or reset > 1:
        raise Malformed("a Hello with a number out of bounds")
    return Hello(CursorEpoch(epoch), newest, bool(reset))


def _bye(rest: bytes) -> Bye:
    if not _is_code(rest):
        raise Malformed("a Bye without a code")
    return Bye(rest.decode("ascii"))


def _is_code(text: bytes) -> bool:
    return 1 <= len(text) <= _MAX_CODE and set(text) <= _CODE_CHARACTERS


def _count(count: int) -> int:
    if not 1 <= count <= MAX_PARCELS:
        raise Malformed(f"a frame holds 1 to {MAX_PARCELS} parcels, not {count}")
    return count


def _parcels(data: bytes) -> Parcels:
    if len(data) < 1 + _COUNT.size:
        raise Malformed("a frame that ends inside its count")
    count = _count(_COUNT.unpack_from(data, 1)[0])
    offset, last, found = 1 + _COUNT.size, 0, []
    for _ in range(count):
        if len(data) - offset < _SEQ.size:
            raise Malformed("a frame that ends inside a number")
        seq = _SEQ.unpack_from(data, offset)[0]
        if not last < seq <= MAX_SEQ:
            raise Malformed("numbers that do not rise")
        parcel, offset = read_parcel(data, offset + _SEQ.size)
        found.append(Delivered(seq, parcel))
        last = seq
    if offset != len(data):
        raise Malformed("bytes after the last parcel")
    return Parcels(tuple(found))


def _deposit(data: bytes) -> Deposit:
    if len(data) < 1 + _TAG_COUNT.size:
        raise Malformed("a frame that ends inside its count")
    tag, count = _TAG_COUNT.unpack_from(data, 1)
    offset, found = 1 + _TAG_COUNT.size, []
    for _ in range(_count(count)):
        if len(data) - offset < PROOF_BYTES:
            raise Malformed("a frame that ends inside a proof")
        proof = data[offset : offset + PROOF_BYTES]
        parcel, offset = read_parcel(data, offset + PROOF_BYTES)
        found.append(Proved(proof, parcel))
    if offset != len(data):
        raise Malformed("bytes after the last parcel")
    return Deposit(tag, tuple(found))


def _many(count: int) -> int:
    if not 1 <= count <= MAX_OUTCOMES:
        raise Malformed(f"a frame holds 1 to {MAX_OUTCOMES} outcomes, not {count}")
    return count


def _receipt(rest: bytes) -> Receipt:
    if len(rest) < _COUNT.size:
        raise Malformed("a frame that ends inside its count")
    count = _many(_COUNT.unpack_from(rest)[0])
    end = _COUNT.size + count * _STORED.size
    if len(rest) != end + SIGNATURE_BYTES:
        raise Malformed("a receipt of another length than its count says")
    rows = _STORED.iter_unpack(rest[_COUNT.size : end])
    stored = tuple(Stored(ParcelId(parcel), body_hash) for parcel, body_hash in rows)
    return Receipt(stored, rest[end:])


def _results(rest: bytes) -> Results:
    if len(rest) < _TAG_COUNT.size:
        raise Malformed("a frame that ends inside its count")
    tag, count = _TAG_COUNT.unpack_from(rest)
    _many(count)
    if len(rest) != _TAG_COUNT.size + count * _RESULT.size:
        raise Malformed("results of another length than their count says")
    outcomes = []
    for parcel, result, retry in _RESULT.iter_unpack(rest[_TAG_COUNT.size :]):
        if result > max(Result):
            raise Malformed(f"no result {result}")
        outcomes.append(Outcome(ParcelId(parcel), Result(result), retry))
    return Results(tag, tuple(outcomes))


assert MAX_BODY + HEADER_BYTES + 64 <= MAX_FRAME  # noqa: S101  # one largest parcel must fit
