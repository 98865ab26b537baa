"""Card statements: what one says, how it is signed, and what no statement may say.

Every statement lists everything; nothing is inherited from the one before. What is checked here
needs that one statement alone; `card.py` judges where it may stand (docs/protocol.md §10.1).
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from nacl.signing import SigningKey

from wire.codec import Value, decode, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceId, DeviceKey, GatewayId
from wire.kdf import hash32
from wire.signing import SIGNATURE_BYTES, sign, verify

MAX_CHAIN: Final = 64
"""Statements in one message: a chain begins anew at each root statement, so it stays short."""
MAX_STATEMENT: Final = 4096
MAX_DEVICES: Final = 10
MAX_GATEWAYS: Final = 4
MAX_PLACES: Final = 8
MAX_PLACE: Final = 300
"""Bytes of the longest place in text: a host name has at most 253."""
CARD_SECONDS: Final = 90 * 86_400
"""How long a statement is fresh; a freshness note prolongs it."""
NO_PREVIOUS: Final = bytes(32)
MAX_NUMBER: Final = (1 << 63) - 1

_LOW_ORDER: Final = frozenset(
    bytes.fromhex(text)
    for text in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)
"""X25519 public keys with which any secret gives the same result (RFC 7748 §6.1)."""


class StatementKind(IntEnum):
    """Who signed: the root, or a device of the statement before."""

    ROOT = 0
    DEVICE = 1

    @property
    def domain(self) -> str:
        """What it is signed as."""
        return f"card-{self.name.lower()}"


class Role(IntEnum):
    """What a device is, for the list that people look at."""

    PHONE = 1
    TABLET = 2
    COMPUTER = 3


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A device in a card: the key it signs with and the key sessions are set up with."""

    key: DeviceKey
    exchange_key: bytes
    role: Role = Role.PHONE
    id: DeviceId = field(init=False, compare=False)
    """The short id that items and packets carry."""

    def __post_init__(self) -> None:
        check_exchange_key(self.exchange_key)
        object.__setattr__(self, "id", self.key.device)


@dataclass(frozen=True, slots=True)
class GatewayEntry:
    """A gateway of the person: its key, and hints where it may be reached."""

    gateway: GatewayId
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a statement says. Every statement lists everything; nothing is inherited."""

    kind: StatementKind
    root_key: bytes
    """The root key in force (32 bytes)."""
    epoch: int
    seq: int
    prev: bytes
    """The hash of the statement before, zeros where there is none."""
    devices: tuple[DeviceEntry, ...]
    person_generation: int
    person_public: bytes
    """The person key of this generation: X25519, 32 bytes."""
    gateways: tuple[GatewayEntry, ...]
    issued: int
    expires: int
    signer: bytes
    """The root key or the device key that signs (32 bytes)."""
    next_root: bytes | None = None
    """A root that takes over after this statement; root statements only."""

    def body(self) -> bytes:
        """Return the bytes that are signed."""
        value: dict[int, Value] = {
            0: 1,
            1: int(self.kind),
            2: self.root_key,
            3: self.epoch,
            4: self.seq,
            5: self.prev,
            6: [[one.key.raw, one.exchange_key, int(one.role)] for one in self.devices],
            7: self.person_generation,
            8: self.person_public,
            9: [[one.gateway.raw, list(one.places)] for one in self.gateways],
            10: self.issued,
            11: self.expires,
            12: self.signer,
        }
        if self.next_root is not None:
            value[13] = self.next_root
        return encode(value)

    def lists(self, key: bytes) -> bool:
        """Return whether the device with this signing key is active."""
        return any(one.key.raw == key for one in self.devices)

    @classmethod
    def from_body(cls, body: bytes) -> "Statement":
        """Read the signed bytes.

        Raises:
            WireError: not a statement of this version.
        """
        fields = Fields.read(body, limit=MAX_STATEMENT, what="card statement")
        fields.version(0, known=1)
        statement = cls(
            StatementKind(fields.integer(1, low=0, high=1)),
            fields.raw(2, size=32),
            epoch=fields.integer(3, low=1, high=MAX_NUMBER),
            seq=fields.integer(4, low=0, high=MAX_NUMBER),
            prev=fields.raw(5, size=32),
            devices=_devices(fields.list(6, limit=MAX_DEVICES)),
            person_generation=fields.integer(7, low=1, high=MAX_NUMBER),
            person_public=fields.raw(8, size=32),
            gateways=_gateways(fields.list(9, limit=MAX_GATEWAYS)),
            issued=fields.integer(10, low=0, high=MAX_NUMBER),
            expires=fields.integer(11, low=0, high=MAX_NUMBER),
            signer=fields.raw(12, size=32),
            next_root=fields.raw(13, size=32) if fields.has(13) else None,
        )
        fields.end()
        check_exchange_key(statement.person_public)
        statement._check_shape()
        return statement

    def _check_shape(self) -> None:
        """Refuse what no statement may be, wherever it stands."""
        if not self.devices:
            raise Malformed("a card statement that leaves no device")
        if self.kind is StatementKind.ROOT:
            if self.seq != 0 or self.prev != NO_PREVIOUS or self.signer != self.root_key:
                raise Malformed("a root statement begins an epoch and is signed by its root")
        elif self.seq == 0 or self.next_root is not None:
            raise Malformed("a device statement continues an epoch and names no root")


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement with its signature, and the exact bytes that were signed."""

    statement: Statement
    body: bytes
    signature: bytes
    hash: bytes = field(init=False, repr=False, compare=False)
    """What the next statement's `prev` must be."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", hash32("card", self.body))

    @classmethod
    def make(cls, statement: Statement, key: SigningKey) -> "Signed":
        """Sign `statement` with the key that it names as its signer.

        Raises:
            ValueError: it names another signer, or nobody could read it.
        """
        if bytes(key.verify_key) != statement.signer:
            raise ValueError("the statement names another signer")
        body = statement.body()
        signed = cls(statement, body, sign(key, statement.kind.domain, body))
        try:
            unchanged = cls.decode(signed.encode()) == signed
        except Malformed as error:
            raise ValueError(f"no such statement: {error}") from None
        if not unchanged:
            raise ValueError("the statement would be read as another one")
        return signed

    def encode(self) -> bytes:
        """Return the message."""
        return encode([self.body, self.signature])

    @classmethod
    def decode(cls, data: bytes) -> "Signed":
        """Read the message and check that its signer signed it; not yet whether he may.

        Raises:
            WireError: not a statement of this version.
            NotSigned: the signature does not fit.
        """
        value = decode(data, limit=MAX_STATEMENT)
        if not isinstance(value, list) or len(value) != 2:
            raise Malformed("a signed statement is a list of two")
        body, signature = value
        if not isinstance(body, bytes) or not isinstance(signature, bytes):
            raise Malformed("a signed statement is two byte strings")
        if len(signature) != SIGNATURE_BYTES:
            raise Malformed(f"a signature has {SIGNATURE_BYTES} bytes")
        signed = cls(Statement.from_body(body), body, signature)
        signed.verify()
        return signed

    def verify(self) -> None:
        """Check the signature.

        Raises:
            NotSigned: it does not fit.
        """
        statement = self.statement
        verify(statement.signer, statement.kind.domain, body=self.body, signature=self.signature)


def check_exchange_key(key: bytes) -> None:
    """Refuse an X25519 public key that makes every shared secret the same.

    Raises:
        Malformed: not 32 bytes, or a point of low order.
    """
    if len(key) != 32:
        raise Malformed("an X25519 key has 32 bytes")
    # The top bit is ignored by X25519, so both spellings are the same point.
    if bytes([*key[:31], key[31] & 0x7F]) in _LOW_ORDER:
        raise Malformed("an X25519 key of low order")


def _devices(values: list[Value]) -> tuple[DeviceEntry, ...]:
    found = []
    for value in values:
        if not isinstance(value, list) or len(value) != 3:
            raise Malformed("a device is a list of three")
        fields = Fields(dict(enumerate(value)), what="device")
        role = Role(fields.integer(2, low=min(Role), high=max(Role)))
        found.append(DeviceEntry(DeviceKey(fields.raw(0)), fields.raw(1, size=32), role))
    keys = [one.key.raw for one in found]
    if keys != sorted(set(keys)):
        raise Malformed("devices that are not in the order of their keys, each once")
    return tuple(found)


def _gateways(values: list[Value]) -> tuple[GatewayEntry, ...]:
    found = []
    for value in values:
        if not isinstance(value, list) or len(value) != 2:
            raise Malformed("a gateway is a list of two")
        fields = Fields(dict(enumerate(value)), what="gateway")
        places = fields.list(1, limit=MAX_PLACES)
        texts = tuple(
            one for one in places if isinstance(one, str) and len(one.encode()) <= MAX_PLACE
        )
        if len(texts) != len(places):
            raise Malformed("a place is a short text")
        found.append(GatewayEntry(GatewayId(fields.raw(0)), texts))
    if len({one.gateway for one in found}) != len(found):
        raise Malformed("a gateway that is listed twice")
    return tuple(found)
