"""What a QR carries: codes of different kinds that cannot be taken for each other.

A code is a prefix that names its kind, then its bytes in upper-case base32 without padding, so that
a QR stays in alphanumeric mode. Each kind is read by its own screen only: a scanner that asks for a
contact refuses a gateway's code and says so (docs/protocol.md §3.1).

    HPG1:  version, gateway key 32, secret 16, expiry 4, place                phone with gateway
    HPC1:  version, person id 32, commitment 16, slot 16, expiry 4,
           gateway fingerprint 16, place                                     a contact
    HPK1:  version, seed 16, person id 32, then gateway key 32 and at most two
           places, each after its length 1                                   a recovery kit
    HPF1:  version, ephemeral key 32                                         asks friends for help
    HPS1:  version, ephemeral key 32, sealed bytes                           a friend's answer
    HPD1:  version, who shows it 1, commitment 16, slot 16, expiry 4,
           gateway fingerprint 16, place                                     a further device
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from wire.errors import Malformed, UnknownVersion, WrongCode
from wire.ids import GatewayId, PersonId, SlotId
from wire.kdf import hash16
from wire.places import Place

VERSION: Final = 1
SECRET_BYTES: Final = 16
COMMITMENT_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 16
MAX_CODE: Final = 1280
"""Characters of the longest code that is looked at."""
SEED_BYTES: Final = 16
KEY_BYTES: Final = 32
MAX_KIT_PLACES: Final = 2
MAX_KIT_BYTES: Final = 160
"""Bytes of a kit's code with version and check: 53 modules on a side, which a phone reads from a
sheet of paper at arm's length."""
GATEWAY_CODE_SECONDS: Final = 120
CONTACT_CODE_SECONDS: Final = 600
DEVICE_CODE_SECONDS: Final = 600

_KINDS: Final = {
    "HPG1": "the code of a gateway",
    "HPC1": "the code of a person, for adding a contact",
    "HPD1": "the code of a further device",
    "HPK1": "a recovery kit",
    "HPF1": "the code of somebody who asks friends for help",
    "HPS1": "the answer of a friend who helps",
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


@dataclass(frozen=True, slots=True)
class KitCode:
    """The recovery kit: all of a person, and where her mailbox was when it was printed.

    Whoever reads it is the person. It never expires.
    """

    PREFIX = "HPK1"

    seed: bytes = field(repr=False)
    """The recovery seed, 16 bytes."""
    person: PersonId
    """Whose it is: the root key that follows from the seed must be this person's."""
    gateway: GatewayId | None = None
    places: tuple[Place, ...] = ()
    """Where the gateway was; a hint, at most two."""

    def __post_init__(self) -> None:
        _check_sizes((self.seed, SEED_BYTES), expires=0)
        if len(self.places) > MAX_KIT_PLACES or (self.places and self.gateway is None):
            raise Malformed("a kit names at most two places, of one gateway")
        if len(self._content()) + 1 + _CHECK_BYTES > MAX_KIT_BYTES:
            raise Malformed(f"a kit has at most {MAX_KIT_BYTES} bytes")

    @classmethod
    def of(
        cls,
        seed: bytes,
        person: PersonId,
        *,
        gateway: GatewayId | None = None,
        places: Iterable[Place] = (),
    ) -> "KitCode":
        """Make the kit's code, with as many of the places as it has room for."""
        kit = cls(seed, person, gateway)
        for place in places if gateway is not None else ():
            try:
                kit = cls(seed, person, gateway, (*kit.places, place))
            except Malformed:  # too long, or enough of them
                continue
        return kit

    def text(self) -> str:
        """Return the code as it is shown and copied."""
        return _text(self.PREFIX, self._content())

    @classmethod
    def parse(cls, text: str) -> "KitCode":
        """Read a code that was scanned or typed.

        Raises:
            WrongCode: a code of another kind, which is named.
            UnknownVersion: a newer code.
            Malformed: no code, or one that was cut or mistyped.
        """
        raw = _raw(text, wanted=cls.PREFIX, least=48)
        seed, person, rest = raw[:16], PersonId(raw[16:48]), raw[48:]
        if not rest:
            return cls(seed, person)
        gateway, places = GatewayId(rest[:32]), []
        rest = rest[32:]
        while rest:
            length, rest = rest[0], rest[1:]
            places.append(Place.decode(rest[:length]))
            rest = rest[length:]
        return cls(seed, person, gateway, tuple(places))

    def _content(self) -> bytes:
        raw = self.seed + self.person.raw
        if self.gateway is not None:
            raw += self.gateway.raw
        for place in map(Place.encode, self.places):
            raw += len(place).to_bytes(2, "big")[1:] + place
        return raw


@dataclass(frozen=True, slots=True)
class HelpCode:
    """Asks friends for help: a key that was made for it on a new device, and nothing else."""

    PREFIX = "HPF1"

    key: bytes
    """X25519, 32 bytes. Friends seal to it once they have seen and heard whose it is."""

    def __post_init__(self) -> None:
        _check_sizes((self.key, KEY_BYTES), expires=0)

    def text(self) -> str:
        """Return the code as it is shown and copied."""
        return _text(self.PREFIX, self.key)

    @classmethod
    def parse(cls, text: str) -> "HelpCode":
        """Read a code that was scanned or typed.

        Raises:
            WrongCode: a code of another kind, which is named.
            UnknownVersion: a newer code.
            Malformed: no code, or one that was cut or mistyped.
        """
        return cls(_raw(text, wanted=cls.PREFIX, least=KEY_BYTES))


@dataclass(frozen=True, slots=True)
class AnswerCode:
    """A friend's answer, which only the device that asked can open."""

    PREFIX = "HPS1"

    sealed: bytes

    def text(self) -> str:
        """Return the code as it is shown and copied."""
        return _text(self.PREFIX, self.sealed)

    @classmethod
    def parse(cls, text: str) -> "AnswerCode":
        """Read a code that was scanned or typed.

        Raises:
            WrongCode: a code of another kind, which is named.
            UnknownVersion: a newer code.
            Malformed: no code, or one that was cut or mistyped.
        """
        return cls(_raw(text, wanted=cls.PREFIX, least=KEY_BYTES))


class ShownBy(IntEnum):
    """Which of the two devices shows a code for a further device."""

    NEW = 1
    OLD = 2


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """Adds a device to a person: the commitment to a key still hidden, and where to meet."""

    PREFIX = "HPD1"

    shown_by: ShownBy
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
        raw = bytes([self.shown_by]) + self.commitment + self.slot.raw
        raw += self.expires.to_bytes(4, "big") + self.gateway + self.place.encode()
        return _text(self.PREFIX, raw)

    @classmethod
    def parse(cls, text: str) -> "DeviceCode":
        """Read a code that was scanned or typed.

        Raises:
            WrongCode: a code of another kind, which is named.
            UnknownVersion: a newer code.
            Malformed: no code, or one that was cut or mistyped.
        """
        raw = _raw(text, wanted=cls.PREFIX, least=53)
        if raw[0] not in set(ShownBy):
            raise Malformed("a code that neither the new nor the old device shows")
        return cls(
            ShownBy(raw[0]),
            raw[1:17],
            SlotId(raw[17:33]),
            int.from_bytes(raw[33:37], "big"),
            raw[37:53],
            Place.decode(raw[53:]),
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
