"""The state log: what a person's devices tell each other through their gateway, sealed and signed.

    batch       changes of one device, numbered by it from 1 without a gap
    snapshot    all that counted once its maker had taken certain batches of each device
    vector      for each device, up to which of its batches somebody has come

A gateway sees which device, which number and how long; what is inside is sealed under the person
key of the generation that is named (docs/protocol.md §15.3).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nacl.signing import SigningKey

from wire.codec import Value, decode, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceId, DeviceKey
from wire.signing import SIGNATURE_BYTES, sign, verify

MAX_BATCH: Final = 64 * 1024
"""Bytes of one batch."""
MAX_SNAPSHOT: Final = 4 << 20
"""Bytes of one snapshot: some ten thousand contacts and threads."""
MAX_VECTOR: Final = 64
"""Devices in a vector: ten at a time, and those that were revoked over the years."""
MAX_BATCHES: Final = 256
"""Batches in one message."""
MAX_MESSAGE: Final = 1 << 20
"""Bytes of batches in one message; one batch at least."""
MESSAGE_LIMIT: Final = MAX_MESSAGE + MAX_BATCH + 64 * 1024
MAX_SEQ: Final = (1 << 53) - 1
MAX_GENERATION: Final = (1 << 32) - 1
ASK_LIMIT: Final = 4096

Vector = Mapping[DeviceId, int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes of one device."""

    device: DeviceId
    seq: int
    generation: int
    sealed: bytes
    signature: bytes

    @classmethod
    def sign(
        cls, key: SigningKey, *, device: DeviceId, seq: int, generation: int, sealed: bytes
    ) -> "Batch":
        """Sign what was sealed as the batch of a number."""
        body = _batch_body(device, seq, generation, sealed)
        return cls(device, seq, generation, sealed, sign(key, "state-batch", body))

    def verify(self, device: DeviceKey) -> None:
        """Check that `device` made it.

        Raises:
            NotSigned: another one, or other bytes.
        """
        body = _batch_body(self.device, self.seq, self.generation, self.sealed)
        key = device.raw if device.device == self.device else bytes(32)
        verify(key, "state-batch", body=body, signature=self.signature)

    def encode(self) -> bytes:
        """Return the batch as it is stored and sent."""
        return encode([1, self.device.raw, self.seq, self.generation, self.sealed, self.signature])

    @classmethod
    def decode(cls, data: bytes) -> "Batch":
        """Read a batch; its signature is not checked by that.

        Raises:
            Malformed: it is none.
        """
        match decode(data, limit=MAX_BATCH):
            case [
                int(version),
                bytes(device),
                int(seq),
                int(generation),
                bytes(sealed),
                bytes(signature),
            ]:
                _check(version, 1, 1)
                _check(seq, 1, MAX_SEQ)
                _check(generation, 1, MAX_GENERATION)
                _check(len(signature), SIGNATURE_BYTES, SIGNATURE_BYTES)
                return cls(DeviceId(device), seq, generation, sealed, signature)
        raise Malformed("a batch has another form")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that counts, as one device knew it."""

    device: DeviceId
    generation: int
    vector: Vector
    sealed: bytes
    signature: bytes

    @classmethod
    def sign(
        cls, key: SigningKey, *, device: DeviceId, generation: int, vector: Vector, sealed: bytes
    ) -> "Snapshot":
        """Sign what was sealed as all that counts up to `vector`."""
        body = _snapshot_body(device, generation, vector, sealed)
        return cls(device, generation, vector, sealed, sign(key, "state-snapshot", body))

    def verify(self, device: DeviceKey) -> None:
        """Check that `device` made it.

        Raises:
            NotSigned: another one, or other bytes.
        """
        body = _snapshot_body(self.device, self.generation, self.vector, self.sealed)
        key = device.raw if device.device == self.device else bytes(32)
        verify(key, "state-snapshot", body=body, signature=self.signature)

    def encode(self) -> bytes:
        """Return the snapshot as it is stored and sent."""
        return encode(
            [
                1,
                self.device.raw,
                self.generation,
                vector_value(self.vector),
                self.sealed,
                self.signature,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> "Snapshot":
        """Read a snapshot; its signature is not checked by that.

        Raises:
            Malformed: it is none.
        """
        match decode(data, limit=MAX_SNAPSHOT):
            case [
                int(version),
                bytes(device),
                int(generation),
                list(vector),
                bytes(sealed),
                bytes(signature),
            ]:
                _check(version, 1, 1)
                _check(generation, 1, MAX_GENERATION)
                _check(len(signature), SIGNATURE_BYTES, SIGNATURE_BYTES)
                known = vector_from(vector)
                return cls(DeviceId(device), generation, known, sealed, signature)
        raise Malformed("a snapshot has another form")


@dataclass(frozen=True, slots=True)
class Head:
    """What a gateway has of one device's batches: those above `floor`, the newest of them."""

    device: DeviceId
    newest: int
    floor: int


@dataclass(frozen=True, slots=True)
class SnapshotHead:
    """A snapshot that a gateway has."""

    device: DeviceId
    generation: int
    vector: Vector


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """What a gateway has for a device that has come as far as it said."""

    heads: tuple[Head, ...]
    snapshots: tuple[SnapshotHead, ...]
    batches: tuple[bytes, ...]
    more: bool
    """Whether to ask again, having taken these."""

    def encode(self) -> bytes:
        """Return the answer's bytes."""
        heads: list[Value] = [[one.device.raw, one.newest, one.floor] for one in self.heads]
        snapshots: list[Value] = [
            [one.device.raw, one.generation, vector_value(one.vector)] for one in self.snapshots
        ]
        return encode({0: 1, 1: heads, 2: snapshots, 3: list(self.batches), 4: self.more})

    @classmethod
    def decode(cls, data: bytes) -> "LogAnswer":
        """Read an answer; its batches are not looked into.

        Raises:
            WireError: it is none.
        """
        fields = Fields.read(data, limit=MESSAGE_LIMIT, what="state answer")
        fields.version(0, known=1)
        heads, snapshots = list[Head](), list[SnapshotHead]()
        for one in fields.list(1, limit=MAX_VECTOR):
            match one:
                case [bytes(device), int(newest), int(floor)]:
                    heads.append(Head(DeviceId(device), newest, floor))
                case _:
                    raise Malformed("a head names a device and two numbers")
        for one in fields.list(2, limit=MAX_VECTOR):
            match one:
                case [bytes(device), int(generation), list(vector)]:
                    known = vector_from(vector)
                    snapshots.append(SnapshotHead(DeviceId(device), generation, known))
                case _:
                    raise Malformed("the head of a snapshot has another form")
        batches = _byte_strings(fields.list(3, limit=MAX_BATCHES))
        more = fields.boolean(4)
        fields.end()
        return cls(tuple(heads), tuple(snapshots), batches, more)


def encode_ask(vector: Vector) -> bytes:
    """Return the question what there is beyond a vector."""
    return encode({0: 1, 1: vector_value(vector)})


def decode_ask(data: bytes) -> dict[DeviceId, int]:
    """Read the question.

    Raises:
        WireError: it is none.
    """
    fields = Fields.read(data, limit=ASK_LIMIT, what="state question")
    fields.version(0, known=1)
    vector = vector_from(fields.list(1, limit=MAX_VECTOR))
    fields.end()
    return vector


def encode_batches(batches: Sequence[bytes]) -> bytes:
    """Return the message that hands batches over."""
    return encode({0: 1, 1: list(batches)})


def decode_batches(data: bytes) -> tuple[bytes, ...]:
    """Read the message that hands batches over; they are not looked into.

    Raises:
        WireError: it is none.
    """
    fields = Fields.read(data, limit=MESSAGE_LIMIT, what="batches")
    fields.version(0, known=1)
    batches = _byte_strings(fields.list(1, limit=MAX_BATCHES))
    fields.end()
    return batches


def vector_value(vector: Vector) -> list[Value]:
    """Return what stands for a vector in a message: its devices in order."""
    return [[one.raw, vector[one]] for one in sorted(vector, key=lambda one: one.raw)]


def vector_from(value: Value) -> dict[DeviceId, int]:
    """Read a vector.

    Raises:
        Malformed: it is none, or its devices are not each once and in order.
    """
    if not isinstance(value, list) or len(value) > MAX_VECTOR:
        raise Malformed(f"a vector names at most {MAX_VECTOR} devices")
    found = dict[DeviceId, int]()
    for one in value:
        match one:
            case [bytes(device), int(seq)]:
                _check(seq, 0, MAX_SEQ)
                found[DeviceId(device)] = seq
            case _:
                raise Malformed("a vector names devices and numbers")
    if vector_value(found) != value:
        raise Malformed("a vector's devices stand in order, each once")
    return found


def covers(vector: Vector, other: Vector) -> bool:
    """Return whether who has come to `vector` has all that `other` names."""
    return all(vector.get(device, 0) >= seq for device, seq in other.items())


def _batch_body(device: DeviceId, seq: int, generation: int, sealed: bytes) -> bytes:
    return encode([1, device.raw, seq, generation, sealed])


def _snapshot_body(device: DeviceId, generation: int, vector: Vector, sealed: bytes) -> bytes:
    return encode([1, device.raw, generation, vector_value(vector), sealed])


def _byte_strings(values: Iterable[Value]) -> tuple[bytes, ...]:
    found = [one for one in values if isinstance(one, bytes)]
    if len(found) != len(list(values)):
        raise Malformed("a batch is a byte string")
    return tuple(found)


def _check(number: int, low: int, high: int) -> None:
    if isinstance(number, bool) or not low <= number <= high:
        raise Malformed(f"no number from {low} to {high}")
