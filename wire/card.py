"""The card: a person's signed list of devices and gateways, and how a new statement joins it.

    statement arriving                      what counts afterwards            verdict
    --------------------------------------  --------------------------------  ---------
    root, a higher epoch                    the new one alone; forks end      EXTENDED
    device, next seq, prev fits             the chain with it                 EXTENDED
    the same bytes as one we hold           as before                         KNOWN
    an epoch that is over                   as before                         ROLLBACK
    beyond the next seq, or prev unknown    as before; ask for what is        GAP
                                            missing
    another one at a place we hold          the one that revokes the other's  KEPT or
                                            signer, else the one that         REPLACED
                                            revokes, else the lower hash
    the same, by one signer, or each        both, as proof                    FORKED
    revokes the other's signer

A person is a root key; the root signs rarely and beats everything. Devices sign the rest, so that a
card can change while the root's private half lies in a drawer (docs/protocol.md §10.1, §10.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, auto
from typing import Final

from nacl.signing import SigningKey

from wire.codec import Value, decode, encode
from wire.errors import CardRejected, Malformed
from wire.fields import Fields
from wire.ids import DeviceId, DeviceKey, GatewayId, PersonId
from wire.kdf import hash32
from wire.signing import SIGNATURE_BYTES, sign, verify

MAX_CHAIN: Final = 64
"""Statements in one message: a chain begins anew at each root statement, so it stays short."""
MAX_STATEMENT: Final = 4096
MAX_DEVICES: Final = 10
MAX_GATEWAYS: Final = 4
MAX_PLACES: Final = 8
MAX_PLACE: Final = 300
CARD_SECONDS: Final = 90 * 86_400
"""How long a statement is fresh; a freshness note prolongs it."""
NO_PREVIOUS: Final = bytes(32)
_MAX_NUMBER: Final = (1 << 63) - 1

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


class Verdict(Enum):
    """What became of a statement; the table above says when."""

    EXTENDED = auto()
    KNOWN = auto()
    ROLLBACK = auto()
    GAP = auto()
    KEPT = auto()
    REPLACED = auto()
    FORKED = auto()


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A device in a card: the key it signs with and the key sessions are set up with."""

    key: DeviceKey
    exchange_key: bytes
    role: Role = Role.PHONE

    def __post_init__(self) -> None:
        check_exchange_key(self.exchange_key)

    @property
    def id(self) -> DeviceId:
        """The short id that items and packets carry."""
        return self.key.device


@dataclass(frozen=True, slots=True)
class GatewayEntry:
    """A gateway of the person: its key, and hints where it may be reached."""

    gateway: GatewayId
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a card stands; what contacts tell each other to notice a split view."""

    epoch: int
    seq: int
    hash: bytes


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
            epoch=fields.integer(3, low=1, high=_MAX_NUMBER),
            seq=fields.integer(4, low=0, high=_MAX_NUMBER),
            prev=fields.raw(5, size=32),
            devices=_devices(fields.list(6, limit=MAX_DEVICES)),
            person_generation=fields.integer(7, low=1, high=_MAX_NUMBER),
            person_public=fields.raw(8, size=32),
            gateways=_gateways(fields.list(9, limit=MAX_GATEWAYS)),
            issued=fields.integer(10, low=0, high=_MAX_NUMBER),
            expires=fields.integer(11, low=0, high=_MAX_NUMBER),
            signer=fields.raw(12, size=32),
            next_root=fields.raw(13, size=32) if fields.has(13) else None,
        )
        fields.end()
        check_exchange_key(statement.person_public)
        return statement


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement with its signature, and the exact bytes that were signed."""

    statement: Statement
    body: bytes
    signature: bytes

    @classmethod
    def make(cls, statement: Statement, key: SigningKey) -> "Signed":
        """Sign `statement` with the key that it names as its signer."""
        if bytes(key.verify_key) != statement.signer:
            raise ValueError("the statement names another signer")
        body = statement.body()
        return cls(statement, body, sign(key, statement.kind.domain, body))

    @property
    def hash(self) -> bytes:
        """What the next statement's `prev` must be."""
        return hash32("card", self.body)

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


@dataclass(frozen=True, slots=True)
class Card:
    """A card as one verifier holds it: `take` gives the next one.

    Attributes:
        person: whose it is.
        roots: earlier root statements that named the root now in force.
        history: the statements of this epoch, its root statement first.
        fork: two statements that cannot both be honest, until a root statement ends it.
    """

    person: PersonId
    roots: tuple[Signed, ...]
    history: tuple[Signed, ...]
    fork: tuple[Signed, Signed] | None = None

    @classmethod
    def begin(cls, person: PersonId, first: Signed) -> "Card":
        """Begin with a root statement.

        Raises:
            CardRejected: not a root statement of this person's first root.
            NotSigned: the signature does not fit.
        """
        _check_root(first, in_force=first.statement.root_key)
        if PersonId.of_root(first.statement.root_key) != person:
            raise CardRejected("it is another person’s")
        return cls(person, (), (first,))

    @classmethod
    def follow(cls, person: PersonId, chain: Sequence[bytes]) -> "Card":
        """Verify a whole chain as it was handed out.

        Raises:
            WireError: it is no unbroken chain of this person.
        """
        if not 1 <= len(chain) <= MAX_CHAIN:
            raise CardRejected(f"a chain has 1 to {MAX_CHAIN} statements")
        card = cls.begin(person, Signed.decode(chain[0]))
        for data in chain[1:]:
            card, verdict = card.take(Signed.decode(data))
            if verdict is not Verdict.EXTENDED:
                raise CardRejected(f"the chain is broken: {verdict.name.lower()}")
        return card

    @property
    def _newest(self) -> Signed:
        return self.history[-1]

    @property
    def position(self) -> Position:
        """Where the card stands."""
        statement = self._newest.statement
        return Position(statement.epoch, statement.seq, self._newest.hash)

    @property
    def root_key(self) -> bytes:
        """The root key in force (32 bytes)."""
        first = self.history[0].statement
        return first.next_root or first.root_key

    @property
    def devices(self) -> tuple[DeviceEntry, ...]:
        """The devices of the newest statement."""
        return self._newest.statement.devices

    @property
    def gateways(self) -> tuple[GatewayEntry, ...]:
        """The gateways of the newest statement, the preferred one first."""
        return self._newest.statement.gateways

    @property
    def person_generation(self) -> int:
        """Which person key is in force."""
        return self._newest.statement.person_generation

    @property
    def person_public(self) -> bytes:
        """The person key in force (X25519, 32 bytes)."""
        return self._newest.statement.person_public

    @property
    def chain(self) -> tuple[bytes, ...]:
        """What somebody who knows only the person id needs to verify this card."""
        return tuple(one.encode() for one in (*self.roots, *self.history))

    def device(self, wanted: DeviceId) -> DeviceEntry | None:
        """Return the active device with this id."""
        return next((one for one in self.devices if one.id == wanted), None)

    def sealable(self) -> tuple[DeviceEntry, ...]:
        """Return the devices that may be sealed to: in a fork, those that stand in both."""
        if self.fork is None:
            return self.devices
        ours, theirs = self.fork
        return tuple(one for one in ours.statement.devices if theirs.statement.lists(one.key.raw))

    def stale(self, now: float) -> bool:
        """Return whether the newest statement is older than it says it may be."""
        return now > self._newest.statement.expires

    def take(self, signed: Signed) -> tuple["Card", Verdict]:
        """Judge one more statement; return the card that counts from now on.

        Raises:
            CardRejected: it could not stand there whatever else is true.
            NotSigned: the signature does not fit.
        """
        if any(signed.body == one.body for one in (*self.history, *(self.fork or ()))):
            return self, Verdict.KNOWN
        if signed.statement.kind is StatementKind.ROOT:
            return self._take_root(signed)
        return self._take_device(signed)

    def _take_root(self, signed: Signed) -> tuple["Card", Verdict]:
        epoch, ours = signed.statement.epoch, self.history[0]
        if epoch < ours.statement.epoch:
            return self, Verdict.ROLLBACK
        if epoch == ours.statement.epoch:
            _check_root(signed, in_force=ours.statement.root_key)
            return replace(self, fork=(ours, signed)), Verdict.FORKED
        _check_root(signed, in_force=self.root_key)
        changed = ours.statement.next_root is not None
        roots = (*self.roots, ours) if changed else self.roots
        return Card(self.person, roots, (signed,)), Verdict.EXTENDED

    def _take_device(self, signed: Signed) -> tuple["Card", Verdict]:
        statement = signed.statement
        if statement.epoch < self._newest.statement.epoch:
            return self, Verdict.ROLLBACK
        place = statement.seq
        if statement.epoch > self._newest.statement.epoch or place > len(self.history):
            return self, Verdict.GAP
        if place < 1:
            raise CardRejected("only a root statement stands at the beginning")
        before = self.history[place - 1]
        if statement.prev != before.hash:
            return self, Verdict.GAP
        self._check_device(signed, before=before.statement)
        if self.fork is not None:
            return self, Verdict.FORKED
        if place == len(self.history):
            return replace(self, history=(*self.history, signed)), Verdict.EXTENDED
        return self._settle(signed, place=place)

    def _check_device(self, signed: Signed, *, before: Statement) -> None:
        statement = signed.statement
        signed.verify()
        if not before.lists(statement.signer):
            raise CardRejected("its signer is no active device")
        if statement.root_key != self.root_key or statement.next_root is not None:
            raise CardRejected("only the root may change the root")
        if not statement.devices:
            raise CardRejected("it leaves no device")
        if statement.person_generation < before.person_generation:
            raise CardRejected("its person key is older")
        if statement.person_generation == before.person_generation and (
            statement.person_public != before.person_public
        ):
            raise CardRejected("another person key of the same generation")

    def _settle(self, theirs: Signed, *, place: int) -> tuple["Card", Verdict]:
        ours, before = self.history[place], self.history[place - 1].statement
        mine, other = ours.statement, theirs.statement
        ours_revokes, theirs_revoke = (
            not mine.lists(other.signer),
            not other.lists(mine.signer),
        )
        if mine.signer == other.signer or (ours_revokes and theirs_revoke):
            return replace(self, fork=(ours, theirs)), Verdict.FORKED
        if ours_revokes != theirs_revoke:
            kept = ours_revokes
        elif _revokes(mine, before) != _revokes(other, before):
            kept = _revokes(mine, before)
        else:
            kept = ours.hash < theirs.hash
        if kept:
            return self, Verdict.KEPT
        return replace(self, history=(*self.history[:place], theirs)), Verdict.REPLACED


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


def _check_root(signed: Signed, *, in_force: bytes) -> None:
    statement = signed.statement
    if statement.kind is not StatementKind.ROOT or statement.seq != 0:
        raise CardRejected("a chain begins with a root statement")
    if statement.signer != statement.root_key or statement.root_key != in_force:
        raise CardRejected("it is not signed by the root in force")
    if not statement.devices:
        raise CardRejected("it leaves no device")
    signed.verify()


def _revokes(statement: Statement, before: Statement) -> bool:
    return any(not statement.lists(one.key.raw) for one in before.devices)


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
        texts = tuple(one for one in places if isinstance(one, str) and len(one) <= MAX_PLACE)
        if len(texts) != len(places):
            raise Malformed("a place is a short text")
        found.append(GatewayEntry(GatewayId(fields.raw(0)), texts))
    if len({one.gateway for one in found}) != len(found):
        raise Malformed("a gateway that is listed twice")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class FreshnessNote:
    """An active device says that the card still stands as it is, and until when."""

    position: Position
    expires: int
    signer: bytes
    signature: bytes

    LIMIT = 512

    @classmethod
    def make(cls, card: Card, key: SigningKey, *, expires: int) -> "FreshnessNote":
        """Prolong `card` until `expires` (Unix seconds) as the device that holds `key`."""
        position, signer = card.position, bytes(key.verify_key)
        body = _note_body(card.person, position, expires)
        return cls(position, expires, signer, sign(key, "freshness-note", body))

    def verify(self, card: Card) -> None:
        """Check that it speaks of `card` as it stands and that an active device signed it.

        Raises:
            CardRejected: another position, or no active device.
            NotSigned: the signature does not fit.
        """
        if self.position != card.position:
            raise CardRejected("the note speaks of another statement")
        if not any(one.key.raw == self.signer for one in card.sealable()):
            raise CardRejected("its signer is no active device")
        body = _note_body(card.person, self.position, self.expires)
        verify(self.signer, "freshness-note", body=body, signature=self.signature)

    def encode(self) -> bytes:
        """Return the message."""
        where = self.position
        return encode(
            {
                0: 1,
                1: where.epoch,
                2: where.seq,
                3: where.hash,
                4: self.expires,
                5: self.signer,
                6: self.signature,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "FreshnessNote":
        """Read the message; the signature is not checked here.

        Raises:
            WireError: not a note of this version.
        """
        fields = Fields.read(data, limit=cls.LIMIT, what="freshness note")
        fields.version(0, known=1)
        epoch = fields.integer(1, low=1, high=_MAX_NUMBER)
        position = Position(
            epoch, fields.integer(2, low=0, high=_MAX_NUMBER), fields.raw(3, size=32)
        )
        note = cls(
            position,
            fields.integer(4, low=0, high=_MAX_NUMBER),
            fields.raw(5, size=32),
            fields.raw(6, size=SIGNATURE_BYTES),
        )
        fields.end()
        return note


def _note_body(person: PersonId, position: Position, expires: int) -> bytes:
    return encode([1, person.raw, position.epoch, position.seq, position.hash, expires])
