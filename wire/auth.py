"""Who may ask: a device's login, a new one's joining, and a lane's proof without any login.

All answer a challenge, a nonce that the gateway gives out once, and all bind the certificate of
the TLS connection they travel on, so that an answer that is caught opens nothing elsewhere
(docs/protocol.md §3.4, §4.5, §14.2).
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final, Literal

from nacl.signing import SigningKey

from wire.codec import Value, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceKey, GatewayId, LaneId, PersonId
from wire.kdf import framed, mac16
from wire.lanes import Lane
from wire.signing import SIGNATURE_BYTES, sign, verify

NONCE_BYTES: Final = 32
BEARER_BYTES: Final = 32
BEARER_SECONDS: Final = 900
"""How long a login is good: a stolen bearer is worth a quarter of an hour."""
CHALLENGE_SECONDS: Final = 60
CERTIFICATE_HASH_BYTES: Final = 32
LOGIN_LIMIT: Final = 256
"""Bytes of the largest login message."""

Purpose = Literal["deposit", "prekeys"]


@dataclass(frozen=True, slots=True)
class Channel:
    """Where an answer is good: at this gateway, on connections with this certificate."""

    gateway: GatewayId
    certificate_hash: bytes

    @classmethod
    def over(cls, gateway: GatewayId, *, certificate: bytes) -> "Channel":
        """Return the channel for a DER-encoded certificate (hashed with SHA-256)."""
        return cls(gateway, hashlib.sha256(certificate).digest())


@dataclass(frozen=True, slots=True)
class Login:
    """A device's answer to a challenge (docs/protocol.md §3.4)."""

    device: DeviceKey
    nonce: bytes
    signature: bytes

    @classmethod
    def sign(cls, key: SigningKey, *, channel: Channel, nonce: bytes) -> "Login":
        """Answer `nonce` as the device that holds `key`."""
        device = DeviceKey(bytes(key.verify_key))
        return cls(device, nonce, sign(key, "login", _login_body(device, channel, nonce)))

    def verify(self, channel: Channel) -> None:
        """Check the signature.

        Raises:
            NotSigned: another key, gateway, certificate or nonce.
        """
        body = _login_body(self.device, channel, self.nonce)
        verify(self.device.raw, "login", body=body, signature=self.signature)

    def encode(self) -> bytes:
        """Return the message."""
        return encode({0: 1, 1: self.device.raw, 2: self.nonce, 3: self.signature})

    @classmethod
    def decode(cls, data: bytes) -> "Login":
        """Read the message.

        Raises:
            WireError: the bytes are no login of this version.
        """
        fields = Fields.read(data, limit=LOGIN_LIMIT, what="login")
        fields.version(0, known=1)
        login = cls(
            DeviceKey(fields.raw(1)),
            fields.raw(2, size=NONCE_BYTES),
            fields.raw(3, size=SIGNATURE_BYTES),
        )
        fields.end()
        return login


def _login_body(device: DeviceKey, channel: Channel, nonce: bytes) -> bytes:
    return framed("login-body", channel.gateway.raw, channel.certificate_hash, nonce, device.raw)


@dataclass(frozen=True, slots=True)
class Joining:
    """A new device's answer to a challenge: on whose card it is (docs/protocol.md §14.2)."""

    person: PersonId
    device: DeviceKey
    nonce: bytes
    signature: bytes

    @classmethod
    def sign(
        cls, key: SigningKey, *, person: PersonId, channel: Channel, nonce: bytes
    ) -> "Joining":
        """Answer `nonce` as the device of `person` that holds `key`."""
        device = DeviceKey(bytes(key.verify_key))
        return cls(
            person, device, nonce, sign(key, "join", _join_body(person, device, channel, nonce))
        )

    def verify(self, channel: Channel) -> None:
        """Check the signature.

        Raises:
            NotSigned: another key, person, gateway, certificate or nonce.
        """
        body = _join_body(self.person, self.device, channel, self.nonce)
        verify(self.device.raw, "join", body=body, signature=self.signature)

    def encode(self) -> bytes:
        """Return the message."""
        who: dict[int, Value] = {0: 1, 1: self.person.raw, 2: self.device.raw}
        return encode({**who, 3: self.nonce, 4: self.signature})

    @classmethod
    def decode(cls, data: bytes) -> "Joining":
        """Read the message.

        Raises:
            WireError: the bytes are no such message of this version.
        """
        fields = Fields.read(data, limit=LOGIN_LIMIT, what="joining")
        fields.version(0, known=1)
        joining = cls(
            PersonId(fields.raw(1)),
            DeviceKey(fields.raw(2)),
            fields.raw(3, size=NONCE_BYTES),
            fields.raw(4, size=SIGNATURE_BYTES),
        )
        fields.end()
        return joining


def _join_body(person: PersonId, device: DeviceKey, channel: Channel, nonce: bytes) -> bytes:
    where = channel.gateway.raw, channel.certificate_hash
    return framed("join-body", *where, nonce, device.raw, person.raw)


@dataclass(frozen=True, slots=True)
class LaneOpening:
    """A lane's answer to a challenge: 64 bytes, sent in base64url as one header."""

    SIZE = 16 + NONCE_BYTES + 16

    lane: LaneId
    nonce: bytes
    proof: bytes = field(repr=False)

    @classmethod
    def make(cls, lane: Lane, *, channel: Channel, nonce: bytes, purpose: Purpose) -> "LaneOpening":
        """Answer `nonce` as a holder of `lane`."""
        return cls(lane.id, nonce, _opening(lane, channel=channel, nonce=nonce, purpose=purpose))

    def proved_by(self, lane: Lane, *, channel: Channel, purpose: Purpose) -> bool:
        """Return whether the answer was made with the key of `lane`, in constant time."""
        wanted = _opening(lane, channel=channel, nonce=self.nonce, purpose=purpose)
        return hmac.compare_digest(self.proof, wanted)

    def encode(self) -> bytes:
        """Return lane id, nonce and proof, one after the other."""
        return self.lane.raw + self.nonce + self.proof

    @classmethod
    def decode(cls, data: bytes) -> "LaneOpening":
        """Read what `encode` gave.

        Raises:
            Malformed: another length.
        """
        if len(data) != cls.SIZE:
            raise Malformed(f"a lane's opening has {cls.SIZE} bytes, not {len(data)}")
        return cls(LaneId(data[:16]), data[16:48], data[48:])


def _opening(lane: Lane, *, channel: Channel, nonce: bytes, purpose: Purpose) -> bytes:
    return mac16(
        lane.key,
        "lane-opening",
        purpose.encode("ascii"),
        channel.gateway.raw,
        channel.certificate_hash,
        lane.id.raw,
        nonce,
    )
