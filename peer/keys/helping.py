"""What a friend hands to a new device: sealed to the key that it shows, and to nothing else.

The key is made for this on the new device. Whoever has stolen the old one, and asks as the person
whose phone it was, gets nothing: nobody answers there (docs/protocol.md §16.5).
"""

from dataclasses import dataclass, field
from typing import Final

from peer.keys.primitives import KEY_BYTES, Exchange, Random, seal, system_random, unseal
from wire.check_code import check_number
from wire.codec import Value, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceId, GatewayId, PersonId
from wire.kdf import framed, hkdf, mac16

MAX_HELP: Final = 700
MAX_NAME: Final = 40
MAX_PLACES: Final = 2
MAX_PLACE: Final = 62


@dataclass(frozen=True, slots=True)
class Help:
    """A share, with what the device that asked has lost with everything else."""

    person: PersonId
    keeper: str
    """Who helps, by his own name."""
    set: bytes
    share: bytes = field(repr=False)
    need: int
    marks: bytes
    gateway: GatewayId | None
    places: tuple[str, ...]
    """Where the gateway may be found, as the keeper knows it."""
    devices: tuple[DeviceId, ...]
    """Of the person, as the keeper knows her card."""

    def encode(self) -> bytes:
        """Return what is sealed."""
        places: list[Value] = list(self.places)
        return encode(
            {
                0: 1,
                1: self.person.raw,
                2: self.keeper,
                3: self.set,
                4: self.share,
                5: self.need,
                6: self.marks,
                7: b"" if self.gateway is None else self.gateway.raw,
                8: places,
                9: [one.raw for one in self.devices],
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "Help":
        """Read what was sealed.

        Raises:
            WireError: the bytes are none of this version.
        """
        fields = Fields.read(data, limit=MAX_HELP, what="answer of a friend")
        fields.version(0, known=1)
        person, keeper = PersonId(fields.raw(1)), fields.text(2, limit=MAX_NAME)
        set_, share = fields.raw(3, size=16), fields.raw(4, size=25)
        need, marks = fields.integer(5, low=2, high=16), fields.raw(6, limit=128)
        gateway = fields.raw(7, limit=32)
        places = fields.list(8, limit=MAX_PLACES)
        devices = fields.list(9, limit=10)
        fields.end()
        texts = tuple(one for one in places if isinstance(one, str))
        ids = tuple(DeviceId(one) for one in devices if isinstance(one, bytes))
        if len(texts) != len(places) or len(ids) != len(devices):
            raise Malformed("places are texts, devices are ids")
        found = GatewayId(gateway) if gateway else None
        return cls(person, keeper, set_, share, need, marks, found, texts, ids)


def help_number(key: bytes) -> int:
    """Return the check number of a device that asks: both screens show it."""
    return check_number(b"recovery-help", key)


def seal_help(answer: Help, *, to: bytes, random: Random = system_random) -> bytes:
    """Return an answer that only the holder of `to` (X25519) can open.

    Raises:
        WeakKey: `to` has a low order.
    """
    ephemeral = Exchange.generate(random)
    key = _key(ephemeral.agree(to), ephemeral=ephemeral.public, to=to)
    return ephemeral.public + seal(key, answer.encode(), about=_ABOUT, random=random)


def open_help(sealed: bytes, exchange: Exchange) -> Help:
    """Open an answer to the device that asked with this key.

    Raises:
        Broken: it is for another device.
        WeakKey: it was made with a key of low order.
        WireError: what was sealed is no answer.
    """
    ephemeral, rest = sealed[:KEY_BYTES], sealed[KEY_BYTES:]
    key = _key(exchange.agree(ephemeral), ephemeral=ephemeral, to=exchange.public)
    return Help.decode(unseal(key, rest, about=_ABOUT))


def share_proof_key(share: bytes) -> bytes:
    """Return by what a share is known again, for rehearsals (32 bytes)."""
    return hkdf(share, info=b"homepost/share-rehearsal/1")


def rehearsal_proof(key: bytes, nonce: bytes) -> bytes:
    """Return the answer to a rehearsal (16 bytes)."""
    return mac16(key, "share-rehearsal", nonce)


_ABOUT: Final = b"homepost/recovery-help/1"


def _key(agreed: bytes, *, ephemeral: bytes, to: bytes) -> bytes:
    return hkdf(agreed, info=framed("recovery-help", ephemeral, to))
