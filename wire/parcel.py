"""The parcel: a small outer header, and a body that nobody on the way can open.

    as it is stored and delivered          in a deposit, before it
    version (1)   1                        proof (16)
    lane (16)
    parcel id (16)
    lifetime bucket (1)   0..3
    purge hash (32)
    body length (4, big-endian)
    body

There is no sender, no recipient, no class and no time in it. The proof is made for one gateway and
is not stored, so that one parcel may be offered to several (docs/protocol.md §4.3, §4.4).
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Final

from wire.errors import Malformed, UnknownVersion
from wire.ids import GatewayId, LaneId, ParcelId
from wire.kdf import framed, preceded
from wire.lanes import Lane
from wire.padding import padded_length

VERSION: Final = 1
PROOF_BYTES: Final = 16
PURGE_BYTES: Final = 32
MIN_BODY: Final = 256
"""Bytes of the smallest body: a reaction and a short letter look alike."""
MAX_BODY: Final = 1 << 20
"""Bytes of the largest body: a photo at 2048 pixels fits; more is a blob, not a parcel."""

_HEADER: Final = struct.Struct(">B16s16sB32sI")
HEADER_BYTES: Final = _HEADER.size
DAY: Final = 86_400


class Lifetime(IntEnum):
    """How long a gateway keeps a parcel that nobody collects. Four values say little."""

    DAY = 0
    WEEK = 1
    MONTH = 2
    HALF_YEAR = 3

    @property
    def seconds(self) -> int:
        """The life in seconds: 1, 7, 30 or 180 days."""
        return _SECONDS[self]


_LIFETIMES: Final = tuple(Lifetime)
_SECONDS: Final = tuple(days * DAY for days in (1, 7, 30, 180))


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a gateway stores and forwards.

    Raises:
        Malformed: the purge hash or the body has a length that no parcel has.
    """

    lane: LaneId
    id: ParcelId
    lifetime: Lifetime
    purge: bytes = field(repr=False)
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.purge) != PURGE_BYTES:
            raise Malformed(f"a purge hash has {PURGE_BYTES} bytes")
        size = len(self.body)
        if not MIN_BODY <= size <= MAX_BODY or padded_length(size) != size:
            raise Malformed(f"no body has {size} bytes: its length is no padded length")

    def header(self) -> bytes:
        """Return the header (70 bytes) as it stands before the body."""
        size = len(self.body)
        return pack_header(self.lane.raw, self.id.raw, self.lifetime, self.purge, size)

    def encode(self) -> bytes:
        """Return header and body."""
        return self.header() + self.body

    @property
    def body_hash(self) -> bytes:
        """BLAKE2b-256 of the body: what a repeated deposit is compared by."""
        return hashlib.blake2b(self.body, digest_size=32).digest()

    def proof(self, lane: Lane, *, gateway: GatewayId, body_hash: bytes | None = None) -> bytes:
        """Return the proof (16 bytes) with which `gateway` takes this parcel on `lane`.

        Args:
            lane: whose key proves it.
            gateway: where it is offered.
            body_hash: `body_hash`, if it was computed already.
        """
        about = _proof_begins(gateway.raw) + preceded(self.header())
        about += preceded(body_hash or self.body_hash)
        return hashlib.blake2b(about, digest_size=PROOF_BYTES, key=lane.key).digest()

    def proved_by(
        self, proof: bytes, lane: Lane, *, gateway: GatewayId, body_hash: bytes | None = None
    ) -> bool:
        """Return whether `proof` fits, in a time that does not depend on where it differs."""
        wanted = self.proof(lane, gateway=gateway, body_hash=body_hash)
        return hmac.compare_digest(proof, wanted)


def pack_header(lane: bytes, parcel: bytes, lifetime: int, purge: bytes, size: int) -> bytes:
    """Return the header (70 bytes) of a parcel with a body of `size` bytes."""
    return _HEADER.pack(VERSION, lane, parcel, lifetime, purge, size)


@lru_cache(maxsize=8)
def _proof_begins(gateway: bytes) -> bytes:
    return framed("parcel-proof", gateway)


def read_parcel(data: bytes, offset: int = 0) -> tuple[Parcel, int]:
    """Read the parcel that begins at `offset`; return it and where it ends.

    Raises:
        Malformed: cut short, or a field outside its bounds.
        UnknownVersion: a parcel of another version.
    """
    if len(data) - offset < HEADER_BYTES:
        raise Malformed("a parcel that ends inside its header")
    version, lane, parcel, bucket, purge, size = _HEADER.unpack_from(data, offset)
    if version != VERSION:
        raise UnknownVersion("a parcel", version=version)
    if bucket >= len(_LIFETIMES):
        raise Malformed(f"no lifetime bucket {bucket}")
    start = offset + HEADER_BYTES
    if not MIN_BODY <= size <= MAX_BODY or len(data) - start < size:
        raise Malformed("a parcel whose body is not all there")
    end = start + size
    body = data[start:end]
    return Parcel(LaneId(lane), ParcelId(parcel), _LIFETIMES[bucket], purge, body), end
