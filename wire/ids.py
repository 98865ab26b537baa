"""Names for persons, devices, gateways and parcels: fixed-length bytes that know what they name.

Two ids of different kinds are never equal, whatever their bytes, so that a device can never pass
for a key or a lane for a parcel (CVE-2022-39250 was such a mix-up).
"""

import base64
from dataclasses import dataclass
from typing import ClassVar, Self

from wire.errors import Malformed
from wire.kdf import hash16, hash32


@dataclass(frozen=True, slots=True)
class Id:
    """An identifier of exactly `size` bytes.

    Raises:
        Malformed: `raw` has another length.
    """

    raw: bytes

    size: ClassVar[int] = 16

    def __post_init__(self) -> None:
        if len(self.raw) != self.size:
            raise Malformed(f"{type(self).__name__} has {self.size} bytes, not {len(self.raw)}")

    @property
    def text(self) -> str:
        """The whole id in lower-case base32 without padding (docs/protocol.md §2.5)."""
        return base64.b32encode(self.raw).decode("ascii").rstrip("=").lower()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `text` printed; no other spelling of the same bytes is taken.

        Raises:
            Malformed: not base32, another length, or a spelling `text` would not print.
        """
        try:
            raw = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
        except ValueError as error:
            raise Malformed(f"not an id: {error}") from None
        found = cls(raw)
        if found.text != text:
            raise Malformed("not an id: another spelling of the same bytes")
        return found

    def __str__(self) -> str:
        return f"{self.text[:8]}…"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


@dataclass(frozen=True, slots=True, repr=False)
class PersonId(Id):
    """Who somebody is: the hash of the person's first root key. It never changes."""

    size: ClassVar[int] = 32

    @classmethod
    def of_root(cls, root_key: bytes) -> "PersonId":
        """Return the id of the person whose first root key (Ed25519, 32 bytes) is `root_key`."""
        return cls(hash32("person-id", root_key))


@dataclass(frozen=True, slots=True, repr=False)
class DeviceKey(Id):
    """The Ed25519 public key `dk` with which a device signs."""

    size: ClassVar[int] = 32

    @property
    def device(self) -> "DeviceId":
        """The short id that items and packets carry."""
        return DeviceId(hash16("device-id", self.raw))


@dataclass(frozen=True, slots=True, repr=False)
class DeviceId(Id):
    """A device, by the hash of its signing key."""


@dataclass(frozen=True, slots=True, repr=False)
class GatewayId(Id):
    """The Ed25519 public identity key of a gateway."""

    size: ClassVar[int] = 32


@dataclass(frozen=True, slots=True, repr=False)
class ParcelId(Id):
    """A parcel, by sixteen random bytes that its sender chose."""


@dataclass(frozen=True, slots=True, repr=False)
class LaneId(Id):
    """A lane at one gateway: slot (2) and fourteen derived bytes (docs/protocol.md §4.1)."""


@dataclass(frozen=True, slots=True, repr=False)
class ItemId(Id):
    """An item, by the hash of its signed bytes."""


@dataclass(frozen=True, slots=True, repr=False)
class SeatId(Id):
    """A seat on one gateway; random, and known to that gateway and its holder only."""


@dataclass(frozen=True, slots=True, repr=False)
class SlotId(Id):
    """A rendezvous slot: sixteen random bytes from a contact code."""


@dataclass(frozen=True, slots=True, repr=False)
class CursorEpoch(Id):
    """One life of a mailbox's numbering; random, new after every restore."""


@dataclass(frozen=True, slots=True, repr=False)
class RecoveryId(Id):
    """A request for a gateway's share of a seed; random, and chosen by that gateway."""
