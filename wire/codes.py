"""What a QR carries: codes of different kinds that cannot be taken for each other.

A code is a prefix that names its kind, then its bytes in upper-case base32 without padding, so that
a QR stays in alphanumeric mode. Each kind is read by its own screen only: a scanner that asks for a
contact refuses a gateway's code and says so (docs/protocol.md §3.1).

    HPG1:  version, gateway key 32, secret 16, expiry 4, place                phone with gateway
    HPC1:  version, person id 32, commitment 16, slot 16, expiry 4,
           gateway fingerprint 16, place                                     a contact
    HPD1:  reserved for a further device          HPK1:  reserved for the recovery kit
"""

import base64
import re
from dataclasses import dataclass, field
from typing import Final

from wire.errors import Malformed, UnknownVersion, WrongCode
from wire.ids import GatewayId, PersonId, SlotId
from wire.kdf import hash16
from wire.places import Place

VERSION: Final = 1
SECRET_BYTES: Final = 16
COMMITMENT_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 16
MAX_CODE: Final = 512
"""Characters of the longest code that is looked at."""
GATEWAY_CODE_SECONDS: Final = 120
CONTACT_CODE_SECONDS: Final = 600

_KINDS: Final = {
    "HPG1": "the code of a gateway",
    "HPC1": "the code of a person, for adding a contact",
    "HPD1": "the code of a further device",
    "HPK1": "a recovery kit",
}
_SHAPE: Final = re.compile(r"(HP[A-Z]1):([A-Z2-7]+)")


def fingerprint(gateway: GatewayId) -> bytes:
    """Return sixteen bytes that stand for a gateway's key where the key itself is too long."""
    return hash16("gateway-fingerprint", gateway.raw)


@dataclass(frozen=True, slots=True)
class GatewayCode:
    """Pairs a phone with a gateway: who it is, the one-time secret, until when, and where."""

    PREFIX = "HPG1"

    gateway: GatewayId
    secret: bytes = field(repr=False)
    expires: int
    """Unix seconds."""
    place: Place

    def __post_init__(self) -> None:
        _check_sizes((self.secret, SECRET_BYTES), expires=self.expires)

    def text(self) -> str:
        """Return the code as it is shown and copied."""
        raw = self.gateway.raw + self.secret + self.expires.to_bytes(4, "big")
        return _text(self.PREFIX, raw + self.place.encode())

    @classmethod
    def parse(cls, text: str) -> "GatewayCode":
        """Read a code that was scanned or typed.

        Raises:
            WrongCode: a code of another kind, which is named.
            UnknownVersion: a newer code.
            Malformed: no code, or one that was cut or mistyped.
        """
        raw = _raw(text, wanted=cls.PREFIX, least=52)
        return cls(
            GatewayId(raw[:32]),
            raw[32:48],
            int.from_bytes(raw[48:52], "big"),
            Place.decode(raw[52:]),
        )


@dataclass(frozen=True, slots=True)
class ContactCode:
    """Adds a contact: who, the commitment to a key still hidden, and where to meet."""

    PREFIX = "HPC1"

    person: PersonId
    commitment: bytes
    slot: SlotId = field(repr=False)
    expires: int
    """Unix seconds."""
    gateway: bytes
    """The fingerprint of the gateway's key: whoever else answers there is sent nothing."""
    place: Place

    def __post_init__(self) -> None:
        sizes = (self.commitment, COMMITMENT_BYTES), (self.gateway, FINGERPRINT_BYTES)
        _check_sizes(*sizes, expires=self.expires)

    def text(self) -> str:
        """Return the code as it is shown and copied."""
        raw = self.person.raw + self.commitment + self.slot.raw + self.expires.to_bytes(4, "big")
        return _text(self.PREFIX, raw + self.gateway + self.place.encode())

    @classmethod
    def parse(cls, text: str) -> "ContactCode":
        """Read a code that was scanned or typed.

        Raises:
            WrongCode: a code of another kind, which is named.
            UnknownVersion: a newer code.
            Malformed: no code, or one that was cut or mistyped.
        """
        raw = _raw(text, wanted=cls.PREFIX, least=84)
        return cls(
            PersonId(raw[:32]),
            raw[32:48],
            SlotId(raw[48:64]),
            int.from_bytes(raw[64:68], "big"),
            raw[68:84],
            Place.decode(raw[84:]),
        )


def looks_like_code(text: str) -> bool:
    """Return whether `text` begins like one of our codes, of whatever kind."""
    return _SHAPE.match(text.strip().upper()) is not None


def kind_of(text: str) -> str | None:
    """Return in words what kind of code `text` begins like, None if like none of ours."""
    shape = _SHAPE.match(text.strip().upper())
    return _KINDS.get(shape[1]) if shape else None


def _check_sizes(*parts: tuple[bytes, int], expires: int) -> None:
    if any(len(part) != size for part, size in parts) or not 0 <= expires < 1 << 32:
        raise Malformed("a code with a part of another size")


def _text(prefix: str, raw: bytes) -> str:
    encoded = base64.b32encode(bytes([VERSION]) + raw + _check(prefix, raw))
    return f"{prefix}:{encoded.decode('ascii').rstrip('=')}"


def _raw(text: str, *, wanted: str, least: int) -> bytes:
    compact = "".join(text.split()).upper()
    shape = _SHAPE.fullmatch(compact) if len(compact) <= MAX_CODE else None
    if shape is None:
        raise Malformed("this is no Homepost code, or not all of it")
    prefix, encoded = shape[1], shape[2]
    if prefix != wanted:
        found = _KINDS.get(prefix, "a code of an unknown kind")
        raise WrongCode(wanted=_KINDS[wanted], found=found)
    try:
        data = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
    except ValueError:
        raise Malformed("this code was cut or mistyped") from None
    raw, check = data[1:-_CHECK_BYTES], data[-_CHECK_BYTES:]
    if check != _check(prefix, raw) or _spelling(data) != encoded:
        raise Malformed("this code was cut or mistyped")
    if data[0] != VERSION:  # the check is the same in all versions, so this was not mistyped
        raise UnknownVersion("a code", version=data[0])
    if len(raw) < least:
        raise Malformed("this code is too short")
    return raw


_CHECK_BYTES: Final = 2


def _check(prefix: str, raw: bytes) -> bytes:
    """Two bytes that catch a mistyped character; they protect nothing against an attacker."""
    return hash16("code-check", prefix.encode("ascii"), raw)[:_CHECK_BYTES]


def _spelling(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=")
