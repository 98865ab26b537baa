"""Receipts: a gateway's signed word that it has stored parcels, which can be handed on.

On a connection that is pinned to the gateway's key its answer needs no signature. Whoever carries
parcels for others asks for one, so that the phone they came from can believe it
(docs/protocol.md §4.5).
"""

from dataclasses import dataclass, field

from nacl.signing import SigningKey

from wire.ids import GatewayId, ParcelId
from wire.kdf import framed
from wire.signing import sign, verify


@dataclass(frozen=True, slots=True)
class Stored:
    """A parcel that is on a gateway's disk, told by its id and its body."""

    parcel: ParcelId
    body_hash: bytes
    """`Parcel.body_hash`, 32 bytes."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one commit stored of what somebody handed in, signed by the gateway."""

    stored: tuple[Stored, ...]
    signature: bytes = field(repr=False)

    @classmethod
    def sign(cls, key: SigningKey, stored: tuple[Stored, ...]) -> "Receipt":
        """Sign for parcels as the gateway whose identity key this is."""
        return cls(stored, sign(key, "receipt", _body(stored)))

    def verify(self, gateway: GatewayId) -> None:
        """Check that `gateway` signed for just these parcels.

        Raises:
            NotSigned: it did not.
        """
        body = _body(self.stored)
        verify(gateway.raw, "receipt", body=body, signature=self.signature)


def _body(stored: tuple[Stored, ...]) -> bytes:
    return framed("receipt-body", *(one.parcel.raw + one.body_hash for one in stored))
