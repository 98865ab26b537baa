"""What is said when somebody comes back: with the root key, or with friends and a gateway's share.

    RootProof        the holder of the root key asks for her card, or ends a request for the share
    Recover          a root statement that lists one new device, which signs for the connection
    Left             what a phone leaves: the gateway's share, and what must be proved to get it
    Ask, Told        friends together ask for it; how that stands, and the share once it is due
    Asked            a device, or a keeper, is told who has asked

Nothing here opens anything: a gateway compares, counts the time and hands out what it was given
(docs/protocol.md §16.2, §16.3).
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal

from nacl.signing import SigningKey

from wire.auth import NONCE_BYTES, Channel
from wire.card import MAX_DEVICES, MAX_STATEMENT, DeviceEntry, Signed, StatementKind
from wire.codec import Value, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceId, PersonId, RecoveryId
from wire.kdf import framed, hash32
from wire.signing import SIGNATURE_BYTES, sign, verify
from wire.statements import check_exchange_key

RELEASE_SECONDS: Final = 72 * 3600
"""For which the gateway keeps its share back after it was asked: time to see the alarm and say no.
No setting shortens it."""
MAX_SHARE: Final = 64
"""Bytes of the gateway's share; twenty words are 25."""
MAX_ASKED: Final = 4
"""Requests for one share that may wait at a time."""
KEY_BYTES: Final = 32
NOTICE_BYTES: Final = 16
PROOF_LIMIT: Final = 512
RECOVER_LIMIT: Final = MAX_STATEMENT + 512
LEFT_LIMIT: Final = MAX_SHARE + 256
ASK_LIMIT: Final = 1024

Purpose = Literal["recover-card", "recovery-cancel"]


@dataclass(frozen=True, slots=True)
class RootProof:
    """The holder of a person's root key asks for something, on this connection."""

    person: PersonId
    root_key: bytes
    """The root key in force (32 bytes)."""
    nonce: bytes
    about: bytes
    """What it is about: nothing, or a request's id."""
    signature: bytes

    @classmethod
    def make(
        cls,
        key: SigningKey,
        *,
        person: PersonId,
        channel: Channel,
        nonce: bytes,
        purpose: Purpose,
        about: bytes = b"",
    ) -> "RootProof":
        """Answer `nonce` as the holder of the root key."""
        body = _proof_body(person, channel, nonce, about)
        return cls(person, bytes(key.verify_key), nonce, about, sign(key, purpose, body))

    def verify(self, channel: Channel, *, purpose: Purpose) -> None:
        """Check the signature; not yet whose root key it is.

        Raises:
            NotSigned: another key, gateway, certificate, nonce or purpose.
        """
        body = _proof_body(self.person, channel, self.nonce, self.about)
        verify(self.root_key, purpose, body=body, signature=self.signature)

    def encode(self) -> bytes:
        """Return the message."""
        return encode(
            {
                0: 1,
                1: self.person.raw,
                2: self.root_key,
                3: self.nonce,
                4: self.about,
                5: self.signature,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "RootProof":
        """Read the message.

        Raises:
            WireError: no proof of this version.
        """
        fields = Fields.read(data, limit=PROOF_LIMIT, what="root proof")
        fields.version(0, known=1)
        proof = cls(
            PersonId(fields.raw(1)),
            fields.raw(2, size=KEY_BYTES),
            fields.raw(3, size=NONCE_BYTES),
            fields.raw(4, limit=64),
            fields.raw(5, size=SIGNATURE_BYTES),
        )
        fields.end()
        return proof


def _proof_body(person: PersonId, channel: Channel, nonce: bytes, about: bytes) -> bytes:
    return framed(
        "root-proof-body",
        channel.gateway.raw,
        channel.certificate_hash,
        nonce,
        person.raw,
        about,
    )


@dataclass(frozen=True, slots=True)
class Recover:
    """A person takes her seat again with one new device; every other device loses its place."""

    person: PersonId
    statement: bytes
    """A root statement, signed, that lists the new device alone."""
    nonce: bytes
    signature: bytes
    """By the new device, for this connection."""

    @classmethod
    def make(
        cls, key: SigningKey, *, person: PersonId, statement: Signed, channel: Channel, nonce: bytes
    ) -> "Recover":
        """Answer `nonce` as the device that holds `key` and stands in `statement`."""
        data = statement.encode()
        body = _recover_body(person, data, channel, nonce)
        return cls(person, data, nonce, sign(key, "recover", body))

    def verify(self, channel: Channel) -> tuple[Signed, DeviceEntry]:
        """Return the statement and its device, both signatures checked; not yet whose root it is.

        Raises:
            WireError: no root statement of one device, or a signature that does not fit.
        """
        signed = Signed.decode(self.statement)
        if signed.statement.kind is not StatementKind.ROOT:
            raise Malformed("who comes back brings a root statement")
        if len(signed.statement.devices) != 1:
            raise Malformed("who comes back lists one device")
        [device] = signed.statement.devices
        body = _recover_body(self.person, self.statement, channel, self.nonce)
        verify(device.key.raw, "recover", body=body, signature=self.signature)
        return signed, device

    def encode(self) -> bytes:
        """Return the message."""
        return encode(
            {0: 1, 1: self.person.raw, 2: self.statement, 3: self.nonce, 4: self.signature}
        )

    @classmethod
    def decode(cls, data: bytes) -> "Recover":
        """Read the message.

        Raises:
            WireError: the bytes are none of this version.
        """
        fields = Fields.read(data, limit=RECOVER_LIMIT, what="recovery")
        fields.version(0, known=1)
        found = cls(
            PersonId(fields.raw(1)),
            fields.raw(2, limit=MAX_STATEMENT),
            fields.raw(3, size=NONCE_BYTES),
            fields.raw(4, size=SIGNATURE_BYTES),
        )
        fields.end()
        return found


def _recover_body(person: PersonId, statement: bytes, channel: Channel, nonce: bytes) -> bytes:
    return framed(
        "recover-body",
        channel.gateway.raw,
        channel.certificate_hash,
        nonce,
        person.raw,
        hash32("recover-statement", statement),
    )


@dataclass(frozen=True, slots=True)
class Left:
    """What a phone leaves at its gateway: one part of two that together are the seed."""

    proof_key: bytes = field(repr=False)
    """A hash of the friends' secret (32 bytes): whoever asks proves that he knows it."""
    share: bytes = field(repr=False)
    notice: bytes = field(repr=False)
    """What keepers show to be told of a request (16 bytes); it is the same for all of them."""

    def encode(self) -> bytes:
        """Return the message."""
        return encode({0: 1, 1: self.proof_key, 2: self.share, 3: self.notice})

    @classmethod
    def decode(cls, data: bytes) -> "Left":
        """Read the message.

        Raises:
            WireError: the bytes are none of this version.
        """
        fields = Fields.read(data, limit=LEFT_LIMIT, what="share")
        fields.version(0, known=1)
        left = cls(
            fields.raw(1, size=KEY_BYTES),
            fields.raw(2, limit=MAX_SHARE),
            fields.raw(3, size=NOTICE_BYTES),
        )
        fields.end()
        return left


@dataclass(frozen=True, slots=True)
class Ask:
    """Friends' shares together ask for the gateway's; repeated, it asks how that stands."""

    person: PersonId
    exchange_key: bytes
    """The new device's ephemeral key (X25519): a request is known by it."""
    lost: tuple[DeviceId, ...]
    """Devices that are lost: these may not stop it."""
    nonce: bytes
    proof: bytes

    @classmethod
    def make(
        cls,
        proof_key: bytes,
        *,
        person: PersonId,
        exchange_key: bytes,
        lost: tuple[DeviceId, ...],
        channel: Channel,
        nonce: bytes,
    ) -> "Ask":
        """Answer `nonce` as somebody who knows the friends' secret."""
        lost = tuple(sorted(set(lost), key=lambda one: one.raw))
        body = _ask_body(person, exchange_key, lost, channel, nonce)
        return cls(person, exchange_key, lost, nonce, _proof(proof_key, body))

    def proved_by(self, proof_key: bytes, *, channel: Channel) -> bool:
        """Return whether it was made with `proof_key`, in constant time."""
        body = _ask_body(self.person, self.exchange_key, self.lost, channel, self.nonce)
        return hmac.compare_digest(self.proof, _proof(proof_key, body))

    def encode(self) -> bytes:
        """Return the message."""
        return encode(
            {
                0: 1,
                1: self.person.raw,
                2: self.exchange_key,
                3: [one.raw for one in self.lost],
                4: self.nonce,
                5: self.proof,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "Ask":
        """Read the message.

        Raises:
            WireError: the bytes are none of this version.
        """
        fields = Fields.read(data, limit=ASK_LIMIT, what="request for a share")
        fields.version(0, known=1)
        person, exchange_key = PersonId(fields.raw(1)), fields.raw(2, size=KEY_BYTES)
        check_exchange_key(exchange_key)
        lost = _devices(fields.list(3, limit=MAX_DEVICES))
        ask = cls(
            person, exchange_key, lost, fields.raw(4, size=NONCE_BYTES), fields.raw(5, size=32)
        )
        fields.end()
        return ask


def _ask_body(
    person: PersonId,
    exchange_key: bytes,
    lost: tuple[DeviceId, ...],
    channel: Channel,
    nonce: bytes,
) -> bytes:
    return framed(
        "recovery-ask",
        channel.gateway.raw,
        channel.certificate_hash,
        nonce,
        person.raw,
        exchange_key,
        *(one.raw for one in lost),
    )


def _proof(key: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(body, key=key, digest_size=32).digest()


class Stage(IntEnum):
    """How a request stands."""

    WAITING = 0
    RELEASED = 1
    CANCELLED = 2


@dataclass(frozen=True, slots=True)
class Told:
    """How a request stands, for whoever made it."""

    request: RecoveryId
    stage: Stage
    left: int
    """Seconds until the share is due."""
    share: bytes = field(repr=False, default=b"")
    """Empty until it is due."""

    def encode(self) -> bytes:
        """Return the message."""
        return encode(
            {
                0: 1,
                1: self.request.raw,
                2: int(self.stage),
                3: self.left,
                4: self.share,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "Told":
        """Read the message.

        Raises:
            WireError: the bytes are none of this version.
        """
        fields = Fields.read(data, limit=LEFT_LIMIT, what="state of a request")
        fields.version(0, known=1)
        told = cls(
            RecoveryId(fields.raw(1)),
            Stage(fields.integer(2, low=0, high=2)),
            fields.integer(3, low=0, high=RELEASE_SECONDS),
            fields.raw(4, limit=MAX_SHARE),
        )
        fields.end()
        return told


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody has asked for the gateway's share: what each device and each keeper is told."""

    request: RecoveryId
    exchange_key: bytes
    """Of whoever asks: the check code follows from it."""
    stage: Stage
    left: int
    """Seconds until the share is due."""
    lost: tuple[DeviceId, ...]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Whether a share lies at the gateway, and who has asked for it in the last thirty days."""

    kept: bool
    asked: tuple[Asked, ...]

    LIMIT = 16_384

    def encode(self) -> bytes:
        """Return the message."""
        values: list[Value] = [
            [
                one.request.raw,
                one.exchange_key,
                int(one.stage),
                one.left,
                [device.raw for device in one.lost],
            ]
            for one in self.asked
        ]
        return encode({0: 1, 1: self.kept, 2: values})

    @classmethod
    def decode(cls, data: bytes) -> "Alarm":
        """Read the message.

        Raises:
            WireError: the bytes are none of this version.
        """
        fields = Fields.read(data, limit=cls.LIMIT, what="requests for a share")
        fields.version(0, known=1)
        kept, asked = fields.boolean(1), []
        for value in fields.list(2, limit=64):
            if not isinstance(value, list) or len(value) != 5:
                raise Malformed("a request is a list of five")
            one = Fields(dict(enumerate(value)), what="request")
            asked.append(
                Asked(
                    RecoveryId(one.raw(0)),
                    one.raw(1, size=KEY_BYTES),
                    Stage(one.integer(2, low=0, high=2)),
                    one.integer(3, low=0, high=RELEASE_SECONDS),
                    _devices(one.list(4, limit=MAX_DEVICES)),
                )
            )
        fields.end()
        return cls(kept, tuple(asked))


def _devices(values: list[Value]) -> tuple[DeviceId, ...]:
    found = [DeviceId(one) for one in values if isinstance(one, bytes)]
    raw = [one.raw for one in found]
    if len(found) != len(values) or raw != sorted(set(raw)):
        raise Malformed("devices are ids in their order, each once")
    return tuple(found)
