"""Introductions: what two persons tell each other about themselves, in a channel of their own.

An introduction is signed by the speaking device together with everything that was said before, so
that nobody can pass on another's card as his own, and it is padded to the size of a whole message
(docs/protocol.md §7.3, §7.4).
"""

from dataclasses import dataclass, field
from typing import Final

from peer.items.kinds import lanes_from_value
from peer.keys.errors import TooLarge, WrongAuthor
from peer.keys.person import Device, Identity
from peer.keys.primitives import KEM_CIPHERTEXT_BYTES, SEAL_BYTES, Random, seal, unseal
from peer.keys.vault import Vault
from wire.card import MAX_CHAIN, Card
from wire.check_code import check_number
from wire.codec import Value, decode, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceKey, PersonId
from wire.kdf import framed, hash32, hkdf
from wire.lanes import LaneClass, LaneSecret
from wire.prekeys import Bundle
from wire.rendezvous import MAX_MESSAGE
from wire.signing import SIGNATURE_BYTES, sign, verify

VERSION: Final = 1
MAX_NAME: Final = 200
"""Bytes of the name that a person calls herself: fifty characters of four."""
_SIDES: Final = {"guest": b"\x01", "host": b"\x02"}
_OVERHEAD: Final = {"guest": 12 + KEM_CIPHERTEXT_BYTES, "host": 8}
"""CBOR around what messages 3 and 4 carry, rounded up."""
_MAX_NUMBER: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Opening:
    """What the check code is made of: the code as text and the first two messages."""

    code: bytes
    one: bytes
    two: bytes

    @property
    def check(self) -> int:
        """The number that both screens show."""
        return check_number(self.code, self.one, self.two)


@dataclass(frozen=True, slots=True)
class Introduction:
    """What one person gives the other: who she is, and how to write to her."""

    card: Card
    device: DeviceKey
    """Which of the card's devices speaks."""
    lanes: tuple[tuple[LaneClass, LaneSecret], ...] = field(repr=False)
    """Lanes minted for the other."""
    bundle: Bundle | None
    """Prekeys for the other's first letter alone; left out where the card needs the room."""
    name: str
    """What she calls herself."""
    number: int
    """The number that her device's next letter to the other will have."""

    def to_value(self, *, with_bundle: bool) -> dict[int, Value]:
        """Return the map that is signed."""
        value: dict[int, Value] = {
            0: VERSION,
            1: self.card.person.raw,
            2: list(self.card.chain),
            3: self.device.raw,
            4: [[int(one), secret.raw] for one, secret in self.lanes],
            5: self.name,
            6: self.number,
        }
        if self.bundle is not None and with_bundle:
            value[7] = self.bundle.to_value()
        return value


@dataclass(frozen=True, slots=True)
class Met:
    """What an exchange leaves: the other's introduction, and S."""

    introduction: Introduction
    shared: bytes = field(repr=False)
    """S, 32 bytes."""
    transcript: bytes
    """The hash (32 bytes) that orders exchanges that crossed."""

    @property
    def person(self) -> PersonId:
        """Whom we met."""
        return self.introduction.card.person


SIZES: Final = (4096, 8192, 16_384, MAX_MESSAGE)
"""Bytes of the message with an introduction: they tell roughly how long a card is, no more."""


@dataclass(frozen=True, slots=True)
class Channel:
    """The keys that both ends have after message 3's ciphertext is known."""

    transcript: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, opening: Opening, *, agreed: bytes, kem_secret: bytes, text: bytes) -> "Channel":
        """Derive the channel from both shared secrets and all that was said in the open."""
        transcript = hash32("contact-transcript", opening.code, opening.one, opening.two, text)
        secret = hkdf(agreed + kem_secret, info=framed("contact-exchange", transcript))
        return cls(transcript, secret)

    def key(self, side: str) -> bytes:
        """Return the key under which one side's introduction is sealed."""
        return hkdf(self.secret, info=f"homepost/contact-{side}/1".encode("ascii"))

    @property
    def shared(self) -> bytes:
        """S: what stays when the exchange is over."""
        return hkdf(self.secret, info=b"homepost/contact-shared/1")

    def seal(
        self, introduction: Introduction, *, side: str, device: Device, random: Random
    ) -> bytes:
        """Return the sealed introduction, filled so that its message has one of four lengths."""
        rooms = [size - _OVERHEAD[side] - SEAL_BYTES - 4 for size in SIZES]
        inner = self._signed(introduction, side, device, with_bundle=True)
        if len(inner) > rooms[-1]:
            inner = self._signed(introduction, side, device, with_bundle=False)
        room = next((one for one in rooms if len(inner) <= one), None)
        if room is None:
            raise TooLarge(size=len(inner), limit=rooms[-1])
        padded = len(inner).to_bytes(4, "big") + inner + bytes(room - len(inner))
        return seal(self.key(side), padded, about=self.transcript, random=random)

    def _signed(
        self, introduction: Introduction, side: str, device: Device, *, with_bundle: bool
    ) -> bytes:
        body = encode(introduction.to_value(with_bundle=with_bundle))
        signature = sign(device.signing, "introduction", self._about(side, body))
        return encode([body, signature])

    def open(self, sealed: bytes, *, side: str) -> Introduction:
        """Open and verify the introduction of the other side.

        Raises:
            Broken: it was not sealed in this exchange.
            WireError: card, signature or bundle is not what it must be.
            WrongAuthor: the speaking device or the bundle is not of this card.
        """
        padded = unseal(self.key(side), sealed, about=self.transcript)
        length = int.from_bytes(padded[:4], "big")
        inner, rest = padded[4 : 4 + length], padded[4 + length :]
        if len(inner) != length or any(rest):
            raise Malformed("an introduction that was not padded with zeros")
        fields = Fields(dict(enumerate(_pair(inner))), what="signed introduction")
        body, signature = fields.raw(0), fields.raw(1, size=SIGNATURE_BYTES)
        introduction = _introduction(body)
        about = self._about(side, body)
        verify(introduction.device.raw, "introduction", body=about, signature=signature)
        return introduction

    def _about(self, side: str, body: bytes) -> bytes:
        return framed("introduction-body", self.transcript, _SIDES[side], body)


def _pair(inner: bytes) -> list[Value]:
    value = decode(inner, limit=MAX_MESSAGE)
    if not isinstance(value, list) or len(value) != 2:
        raise Malformed("a signed introduction is a list of two")
    return value


def _introduction(body: bytes) -> Introduction:
    fields = Fields.read(body, limit=MAX_MESSAGE, what="introduction")
    fields.version(0, known=VERSION)
    person = PersonId(fields.raw(1))
    chain = [one if isinstance(one, bytes) else b"" for one in fields.list(2, limit=MAX_CHAIN)]
    card, device = Card.follow(person, chain), DeviceKey(fields.raw(3))
    lanes = lanes_from_value(fields.list(4, limit=len(LaneClass)))
    name = fields.text(5, limit=MAX_NAME)
    number = fields.integer(6, low=1, high=_MAX_NUMBER)
    bundle = Bundle.from_value(fields.list(7, limit=4)) if fields.has(7) else None
    fields.end()
    if card.device(device.device) is None:
        raise WrongAuthor("the introduction comes from a device that is not on the card")
    if bundle is not None:
        bundle.verify()
        if bundle.device != device:
            raise WrongAuthor("the prekeys are another device's")
    return Introduction(card, device, lanes, bundle, name, number)


def introduce(
    vault: Vault,
    identity: Identity,
    *,
    card: Card,
    to: PersonId,
    lanes: tuple[tuple[LaneClass, LaneSecret], ...],
    bundle: Bundle | None,
    name: str,
) -> Introduction:
    """Return what to tell `to` about ourselves; `bundle` is of `minting.private_bundle`."""
    number = vault.numbers.last_number(to) + 1
    return Introduction(card, identity.device.key, lanes, bundle, name, number)


def remember(vault: Vault, met: Met, *, now: float) -> None:
    """Keep what an exchange gave, inside the transaction that makes the person a contact."""
    introduction, person = met.introduction, met.person
    vault.keep_pair_secret(person, transcript=met.transcript, secret=met.shared, now=now)
    vault.keep_known(person, vault.identity().person_key.generation)
    device = introduction.device
    vault.numbers.expect_from(person, device.device, first=introduction.number)
    if introduction.bundle is not None:
        # Whoever has forgotten us lacks our sessions: the next letter begins one with the bundle.
        vault.sessions.close(person, device)
        value = encode(introduction.bundle.to_value())
        vault.prekeys.keep_bundle(person, device, bundle=value, now=now)
