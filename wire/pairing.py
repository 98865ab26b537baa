"""Pairing a phone with a gateway: what the phone sends, and what both screens then compare.

The phone proves that it read the code (a MAC under the code's secret, which is never sent) over the
gateway's key, the certificate it sees and its own keys. The gateway answers with a nonce, both
screens show a check code over all of it, and both sides must say yes (docs/protocol.md §3.3).
"""

import hmac
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from wire.auth import Channel
from wire.card import MAX_CHAIN, MAX_PLACE, MAX_STATEMENT
from wire.check_code import check_number
from wire.codec import encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceKey
from wire.kdf import framed, hash32

MAC_BYTES: Final = 32
NONCE_BYTES: Final = 16
MAX_PLACES: Final = 16
"""Places in an answer: a phone keeps the first few."""
MAX_TRIES: Final = 5
"""Wrong guesses after which a code is burnt."""
REQUEST_LIMIT: Final = MAX_CHAIN * MAX_STATEMENT + 1024


class PairingState(IntEnum):
    """Where a pairing stands, as the gateway tells the phone."""

    WAITING = 1
    """Somebody still has to compare the check code."""
    PAIRED = 2
    REFUSED = 3
    """The codes differed, or nobody answered in time."""


@dataclass(frozen=True, slots=True)
class PairRequest:
    """A phone asks for a seat. Sent again word for word, it gets the same answer."""

    device: DeviceKey
    exchange_key: bytes
    """The X25519 public key `ik` of the device, 32 bytes."""
    chain: tuple[bytes, ...]
    """The person's card statements, oldest first, each as signed."""
    mac: bytes
    confirmed: bool
    """Whether the phone's holder has said that both screens show the same check code."""

    @classmethod
    def make(
        cls,
        secret: bytes,
        *,
        channel: Channel,
        device: DeviceKey,
        exchange_key: bytes,
        chain: tuple[bytes, ...],
        confirmed: bool = False,
    ) -> "PairRequest":
        """Prove with the code's `secret` (16 bytes) that the code was read."""
        mac = _mac(secret, channel=channel, device=device, exchange_key=exchange_key, chain=chain)
        return cls(device, exchange_key, chain, mac, confirmed)

    def made_with(self, secret: bytes, *, channel: Channel) -> bool:
        """Return whether the request was made with `secret` for `channel`, in constant time."""
        wanted = _mac(
            secret,
            channel=channel,
            device=self.device,
            exchange_key=self.exchange_key,
            chain=self.chain,
        )
        return hmac.compare_digest(self.mac, wanted)

    def check_number(self, *, nonce: bytes) -> int:
        """Return the number that both screens show, once the gateway gave `nonce` (16 bytes)."""
        return check_number(b"pair", self.mac, self.device.raw, nonce)

    def encode(self) -> bytes:
        """Return the message."""
        return encode(
            {
                0: 1,
                1: self.device.raw,
                2: self.exchange_key,
                3: list(self.chain),
                4: self.mac,
                5: self.confirmed,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "PairRequest":
        """Read the message.

        Raises:
            WireError: the bytes are no such request of this version.
        """
        fields = Fields.read(data, limit=REQUEST_LIMIT, what="pairing")
        fields.version(0, known=1)
        device, exchange_key = DeviceKey(fields.raw(1)), fields.raw(2, size=32)
        chain = fields.list(3, limit=MAX_CHAIN)
        mac, confirmed = fields.raw(4, size=MAC_BYTES), fields.boolean(5)
        fields.end()
        if not chain:
            raise Malformed("a pairing without a card")
        return cls(device, exchange_key, tuple(_statement(one) for one in chain), mac, confirmed)


@dataclass(frozen=True, slots=True)
class PairAnswer:
    """Where the pairing stands, and the nonce that the check code is made with."""

    LIMIT = 8192

    state: PairingState
    nonce: bytes
    places: tuple[str, ...]
    """Where phones should look for this gateway, best first; empty until paired."""

    def encode(self) -> bytes:
        """Return the message."""
        return encode({0: 1, 1: int(self.state), 2: self.nonce, 3: list(self.places)})

    @classmethod
    def decode(cls, data: bytes) -> "PairAnswer":
        """Read the message.

        Raises:
            WireError: the bytes are no such answer of this version.
        """
        fields = Fields.read(data, limit=cls.LIMIT, what="pairing answer")
        fields.version(0, known=1)
        state = PairingState(fields.integer(1, low=min(PairingState), high=max(PairingState)))
        nonce, places = fields.raw(2, size=NONCE_BYTES), fields.list(3, limit=MAX_PLACES)
        fields.end()
        texts = [one for one in places if isinstance(one, str) and len(one.encode()) <= MAX_PLACE]
        if len(texts) != len(places):
            raise Malformed("a place is a text")
        return cls(state, nonce, tuple(texts))


def _statement(value: object) -> bytes:
    if not isinstance(value, bytes) or not 1 <= len(value) <= MAX_STATEMENT:
        raise Malformed("a card statement is a short byte string")
    return value


def _mac(
    secret: bytes,
    *,
    channel: Channel,
    device: DeviceKey,
    exchange_key: bytes,
    chain: tuple[bytes, ...],
) -> bytes:
    proved = framed(
        "pair",
        channel.gateway.raw,
        channel.certificate_hash,
        device.raw,
        exchange_key,
        hash32("pair-chain", *chain),
    )
    return hmac.digest(secret, proved, "sha256")
