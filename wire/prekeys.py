"""Prekeys: public keys that a device leaves at its gateway for first letters.

Each is signed by the device under the name of its kind, so that none can stand in for another
(docs/protocol.md §10).

    kind  name                        bytes   used
    1     signed prekey (X25519)         32   until the next rotation, a week
    2     last-resort ML-KEM-768       1184   until the next rotation, a week
    3     one-time X25519                32   once
    4     one-time ML-KEM-768          1184   once
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from nacl.signing import SigningKey

from wire.card import MAX_CHAIN, MAX_DEVICES, MAX_STATEMENT, check_exchange_key
from wire.codec import Value, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceKey
from wire.kdf import framed
from wire.signing import SIGNATURE_BYTES, sign, verify

X25519_BYTES: Final = 32
MLKEM_BYTES: Final = 1184
MAX_KEY_ID: Final = (1 << 32) - 1
MAX_UPLOAD: Final = 128
"""Prekeys in one upload."""
UPLOAD_LIMIT: Final = 192 * 1024
BUNDLE_LIMIT: Final = 8192


class PrekeyKind(IntEnum):
    """What a prekey is for."""

    SIGNED = 1
    LAST_RESORT = 2
    ONE_TIME = 3
    ONE_TIME_KEM = 4

    @property
    def size(self) -> int:
        """Bytes of the public key."""
        return X25519_BYTES if self in (PrekeyKind.SIGNED, PrekeyKind.ONE_TIME) else MLKEM_BYTES

    @property
    def domain(self) -> str:
        """What it is signed as."""
        return f"prekey-{self.name.lower().replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class Prekey:
    """One public prekey, signed by its device."""

    kind: PrekeyKind
    id: int
    public: bytes
    signature: bytes

    @classmethod
    def sign(cls, key: SigningKey, *, kind: PrekeyKind, id: int, public: bytes) -> "Prekey":
        """Sign `public` as a prekey of `kind` of the device that holds `key`."""
        device = DeviceKey(bytes(key.verify_key))
        return cls(kind, id, public, sign(key, kind.domain, _body(device, id, public)))

    def verify(self, device: DeviceKey) -> None:
        """Check that `device` signed it as what it is.

        Raises:
            NotSigned: another device, kind, id or key.
        """
        body = _body(device, self.id, self.public)
        verify(device.raw, self.kind.domain, body=body, signature=self.signature)

    def to_value(self) -> Value:
        """Return the list that stands for this prekey in a message."""
        return [int(self.kind), self.id, self.public, self.signature]

    @classmethod
    def from_value(cls, value: Value) -> "Prekey":
        """Read what `to_value` gave; the signature is not checked here.

        Raises:
            Malformed: not such a list, or an X25519 key of low order.
        """
        if not isinstance(value, list) or len(value) != 4:
            raise Malformed("a prekey is a list of four")
        fields = Fields(dict(enumerate(value)), what="prekey")
        kind = PrekeyKind(fields.integer(0, low=min(PrekeyKind), high=max(PrekeyKind)))
        number, public = fields.integer(1, low=0, high=MAX_KEY_ID), fields.raw(2, size=kind.size)
        if kind.size == X25519_BYTES:
            check_exchange_key(public)
        return cls(kind, number, public, fields.raw(3, size=SIGNATURE_BYTES))


def _body(device: DeviceKey, id: int, public: bytes) -> bytes:
    return framed("prekey-body", device.raw, id.to_bytes(4, "big"), public)


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a sender gets of one device: enough to begin a session with it."""

    device: DeviceKey
    signed: Prekey
    kem: Prekey
    """A one-time ML-KEM key, or the last resort when there is none left."""
    one_time: Prekey | None
    """Missing when none is left."""

    def verify(self) -> None:
        """Check every signature and that each key stands where its kind belongs.

        Raises:
            NotSigned: a signature does not fit.
            Malformed: a key of the wrong kind.
        """
        allowed = {PrekeyKind.LAST_RESORT, PrekeyKind.ONE_TIME_KEM}
        if self.signed.kind is not PrekeyKind.SIGNED or self.kem.kind not in allowed:
            raise Malformed("a prekey of another kind than its place")
        if self.one_time is not None and self.one_time.kind is not PrekeyKind.ONE_TIME:
            raise Malformed("a prekey of another kind than its place")
        for prekey in (self.signed, self.kem, self.one_time):
            if prekey is not None:
                prekey.verify(self.device)

    def to_value(self) -> Value:
        """Return the list that stands for this bundle in a message."""
        one_time = None if self.one_time is None else self.one_time.to_value()
        return [self.device.raw, self.signed.to_value(), self.kem.to_value(), one_time]

    @classmethod
    def from_value(cls, value: Value) -> "Bundle":
        """Read what `to_value` gave; nothing is verified here.

        Raises:
            Malformed: not such a list.
        """
        if not isinstance(value, list) or len(value) != 4 or not isinstance(value[0], bytes):
            raise Malformed("a bundle is a list of four")
        one_time = None if value[3] is None else Prekey.from_value(value[3])
        signed, kem = Prekey.from_value(value[1]), Prekey.from_value(value[2])
        return cls(DeviceKey(value[0]), signed, kem, one_time)


def encode_upload(prekeys: tuple[Prekey, ...]) -> bytes:
    """Return the message with which a device leaves prekeys at its gateway."""
    return encode({0: 1, 1: [one.to_value() for one in prekeys]})


def decode_upload(data: bytes) -> tuple[Prekey, ...]:
    """Read an upload; the signatures are not checked here.

    Raises:
        WireError: the bytes are no upload of this version.
    """
    fields = Fields.read(data, limit=UPLOAD_LIMIT, what="prekeys")
    fields.version(0, known=1)
    found = fields.list(1, limit=MAX_UPLOAD)
    fields.end()
    return tuple(Prekey.from_value(one) for one in found)


@dataclass(frozen=True, slots=True)
class Bundles:
    """What a sender is given: a bundle for each device, and the card that lists those devices."""

    bundles: tuple[Bundle, ...]
    chain: tuple[bytes, ...]


def encode_bundles(bundles: tuple[Bundle, ...], *, chain: tuple[bytes, ...]) -> bytes:
    """Return the answer to a sender: one bundle for each device of the seat, and its card."""
    return encode({0: 1, 1: [one.to_value() for one in bundles], 2: list(chain)})


def decode_bundles(data: bytes) -> Bundles:
    """Read bundles; neither their signatures nor the card are checked here.

    Raises:
        WireError: the bytes are no such answer of this version.
    """
    limit = MAX_DEVICES * BUNDLE_LIMIT + MAX_CHAIN * MAX_STATEMENT
    fields = Fields.read(data, limit=limit, what="bundles")
    fields.version(0, known=1)
    found = fields.list(1, limit=MAX_DEVICES)
    chain = fields.list(2, limit=MAX_CHAIN)
    fields.end()
    statements = tuple(one for one in chain if isinstance(one, bytes))
    if len(statements) != len(chain):
        raise Malformed("a statement is a byte string")
    bundles = tuple(Bundle.from_value(one) for one in found)
    if len({one.device for one in bundles}) != len(bundles):
        raise Malformed("two bundles of one device")
    return Bundles(bundles, statements)
