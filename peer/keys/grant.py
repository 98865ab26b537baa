"""What a new device offers, and what the old one grants it: the two sealed words of an exchange."""

from dataclasses import dataclass, field
from typing import Final

from peer.keys.person import Device, PersonKey
from peer.keys.primitives import KEY_BYTES, Random, seal, unseal
from wire.card import DeviceEntry, Position, Role
from wire.codec import Value, decode, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceId, DeviceKey, GatewayId, PersonId
from wire.kdf import framed, hash32
from wire.signing import SIGNATURE_BYTES, sign, verify
from wire.statements import MAX_DEVICES, MAX_NUMBER

VERSION: Final = 1
MAX_NAME: Final = 160
"""Bytes of a device's name: forty characters of any script."""
MAX_PERSON_NAME: Final = 240
MAX_PLACES: Final = 4
MAX_PLACE: Final = 300
_OFFER_LIMIT: Final = 512
_GRANT_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Offer:
    """What a new device says of itself; all of it is public."""

    entry: DeviceEntry
    name: str

    def seal(self, device: Device, *, key: bytes, random: Random) -> bytes:
        """Return it signed by the device: nobody can offer another's keys as his own."""
        entry = self.entry
        body = encode(
            {
                0: VERSION,
                1: entry.key.raw,
                2: entry.exchange_key,
                3: int(entry.role),
                4: self.name,
            }
        )
        signed = encode([body, sign(device.signing, "device-offer", _offered(key, body))])
        return seal(key, signed, about=b"", random=random)

    @classmethod
    def unseal(cls, data: bytes, *, key: bytes) -> "Offer":
        """Read it.

        Raises:
            Broken: it was sealed under another key.
            NotSigned: the device did not sign it, or did so in another exchange.
            Malformed, UnknownVersion: it is no offer.
        """
        match decode(unseal(key, data, about=b""), limit=_OFFER_LIMIT):
            case [bytes(body), bytes(signature)] if len(signature) == SIGNATURE_BYTES:
                pass
            case _:
                raise Malformed("an offer is its bytes and a signature")
        fields = Fields.read(body, limit=_OFFER_LIMIT, what="offer")
        fields.version(0, known=VERSION)
        device, exchange = DeviceKey(fields.raw(1)), fields.raw(2, size=KEY_BYTES)
        role = Role(fields.integer(3, low=min(Role), high=max(Role)))
        name = fields.text(4, limit=MAX_NAME)
        fields.end()
        verify(device.raw, "device-offer", body=_offered(key, body), signature=signature)
        return cls(DeviceEntry(device, exchange, role), name)


def _offered(key: bytes, body: bytes) -> bytes:
    """Return what is signed: the offer in this exchange, whose key is told to nobody."""
    return framed("device-offer-body", hash32("device-offer-key", key), body)


@dataclass(frozen=True, slots=True)
class Grant:
    """What makes a device one of a person's; the rest lies sealed at the gateway."""

    person: PersonId
    name: str
    """What the person calls herself."""
    person_key: PersonKey = field(repr=False)
    position: Position
    """Where her card stands, with the new device on it: no older one is believed."""
    recovery: bytes
    """The public half of the recovery box key, 32 bytes."""
    gateway: GatewayId
    places: tuple[str, ...]
    names: tuple[tuple[DeviceId, str], ...]
    """What her devices are called."""

    def seal(self, *, key: bytes, random: Random) -> bytes:
        """Return it sealed."""
        where, names = self.position, list[Value]()
        names += [[one.raw, name] for one, name in self.names]
        plain = encode(
            {
                0: VERSION,
                1: self.person.raw,
                2: self.name,
                3: self.person_key.generation,
                4: self.person_key.seed,
                5: [where.epoch, where.seq, where.hash],
                6: self.recovery,
                7: self.gateway.raw,
                8: list(self.places),
                9: names,
            }
        )
        return seal(key, plain, about=b"", random=random)

    @classmethod
    def unseal(cls, data: bytes, *, key: bytes) -> "Grant":
        """Read it.

        Raises:
            Broken: it was sealed under another key.
            Malformed, UnknownVersion: it is no grant.
        """
        plain = unseal(key, data, about=b"")
        fields = Fields.read(plain, limit=_GRANT_LIMIT, what="grant")
        fields.version(0, known=VERSION)
        grant = cls(
            PersonId(fields.raw(1)),
            fields.text(2, limit=MAX_PERSON_NAME),
            PersonKey(fields.integer(3, low=1, high=MAX_NUMBER), fields.raw(4, size=KEY_BYTES)),
            _position(fields.list(5, limit=3)),
            fields.raw(6, size=KEY_BYTES),
            GatewayId(fields.raw(7)),
            _places(fields.list(8, limit=MAX_PLACES)),
            _names(fields.list(9, limit=MAX_DEVICES)),
        )
        fields.end()
        return grant


def _position(values: list[Value]) -> Position:
    fields = Fields(dict(enumerate(values)), what="position")
    epoch, seq = (
        fields.integer(0, low=1, high=MAX_NUMBER),
        fields.integer(1, low=0, high=MAX_NUMBER),
    )
    return Position(epoch, seq, fields.raw(2, size=32))


def _places(values: list[Value]) -> tuple[str, ...]:
    found = tuple(one for one in values if isinstance(one, str) and len(one.encode()) <= MAX_PLACE)
    if len(found) != len(values):
        raise Malformed("a place is a short text")
    return found


def _names(values: list[Value]) -> tuple[tuple[DeviceId, str], ...]:
    found = []
    for value in values:
        match value:
            case [bytes(device), str(name)] if len(name.encode()) <= MAX_NAME:
                found.append((DeviceId(device), name))
            case _:
                raise Malformed("a device's name is its id and a short text")
    return tuple(found)
