"""Adding a device: two phones of one person agree, and the old one hands over the person key.

    one shows a code: a commitment to x_a, kem_a      -- read from its screen -->  the other
                                           <-- opening: x_b (X25519)
    revealing: x_a (X25519), kem_a (ML-KEM)  -->                     does it fit the commitment?
        the new device shows the check digits; they are typed into the old one, which compares
    offer, from the new device: its public keys, what it is, its name
    grant, from the old one, after the digits: the person key, and where the mailbox is

Either may show the code. Where the new device does, its offer goes with the revealing; else with
the ciphertext for kem_a. Whoever shows is bound before it sees the other's key, and the other
before it sees that one's: who stands between them has to guess the digits. Nothing secret is sealed
before they were typed, so that a code somebody slips in gets nothing (docs/protocol.md §14.3).
"""

import hmac
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from peer.keys.errors import CommitmentBroken, OutOfTurn
from peer.keys.grant import Grant, Offer
from peer.keys.person import Device
from peer.keys.primitives import (
    KEM_CIPHERTEXT_BYTES,
    KEM_PUBLIC_BYTES,
    KEY_BYTES,
    Encapsulation,
    Exchange,
    Random,
    encapsulate,
    system_random,
)
from wire.check_code import check_number
from wire.codec import encode
from wire.codes import DeviceCode
from wire.fields import Fields
from wire.kdf import framed, hash16, hkdf
from wire.rendezvous import MAX_MESSAGE

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class _Side:
    """What both sides hold: their own keys, and what was said so far."""

    code: DeviceCode
    exchange: Exchange
    kem: Encapsulation | None
    """Of whoever shows the code."""
    opening: bytes = b""
    revealing: bytes = b""
    text: bytes = b""
    """The ciphertext for the key of whoever shows the code."""
    kem_secret: bytes = field(default=b"", repr=False)

    @property
    def shows(self) -> bool:
        """Whether this side shows the code."""
        return self.kem is not None

    @property
    def opening_message(self) -> bytes:
        """What whoever has read the code says first."""
        return encode({0: VERSION, 1: self.exchange.public})

    @property
    def check(self) -> int:
        """The check number: shown on the new device, typed into the old one."""
        if not self.opening or not self.revealing:
            raise OutOfTurn("the check digits are made of what both have said")
        return check_number(b"device", self._code, self.opening, self.revealing)

    @property
    def _code(self) -> bytes:
        return self.code.text().encode("ascii")

    @property
    def _agreed(self) -> bytes:
        if self.shows:
            return self.exchange.agree(_read_opening(self.opening))
        return self.exchange.agree(_read_revealing(self.revealing)[0])

    def _early(self, public: bytes, kem: bytes) -> bytes:
        """Return the key of an offer that goes with the revealing: what it says is public."""
        info = framed("device-early", self._code, self.opening, public, kem)
        return hkdf(self._agreed, info=info)

    def _key(self, what: str) -> bytes:
        """Return the key of an offer or a grant, once everything was said."""
        said = self._code, self.opening, self.revealing, self.text
        return hkdf(self._agreed + self.kem_secret, info=framed(f"device-{what}", *said))


@dataclass(frozen=True, slots=True)
class NewDevice(_Side):
    """The device that comes in.

    The code's commitment is of no meaning until `shows` has put it in.
    """

    @classmethod
    def showing(cls, code: DeviceCode, *, random: Random = system_random) -> "NewDevice":
        """Make keys and put the commitment to them into `code`; `.code` is then shown."""
        exchange, kem = Exchange.generate(random), Encapsulation.generate(random)
        return cls(_committed(code, exchange, kem), exchange, kem)

    @classmethod
    def reading(cls, code: DeviceCode, *, random: Random = system_random) -> "NewDevice":
        """Answer a code that an old device shows."""
        return cls(code, Exchange.generate(random), None)

    def reveal(
        self, opening: bytes, offer: Offer, *, device: Device, random: Random = system_random
    ) -> "NewDevice":
        """Hear who has read our code; `.revealing` of the new state is what to answer.

        Raises:
            WireError: it is no opening.
            WeakKey: its key is of low order.
        """
        assert self.kem is not None  # noqa: S101  # who shows a code has one
        opened = replace(self, opening=opening)
        public, kem = self.exchange.public, self.kem.public
        key = opened._early(public, kem)
        sealed = offer.seal(device, key=key, random=random)
        return replace(opened, revealing=encode({0: VERSION, 1: public, 2: kem, 3: sealed}))

    def hear_revealing(self, revealing: bytes) -> "NewDevice":
        """Hear who shows the code that we read.

        Raises:
            CommitmentBroken: the keys are not those that the code promised.
            WireError: it is no revealing.
        """
        return _heard(self, revealing)

    def offering(self, offer: Offer, *, device: Device, random: Random = system_random) -> bytes:
        """Return the message with our offer, for an old device that shows the code."""
        sealed = offer.seal(device, key=self._key("offer"), random=random)
        return encode({0: VERSION, 1: self.text, 2: sealed})

    def open_grant(self, message: bytes) -> Grant:
        """Read what the old device hands over.

        Raises:
            Broken: it was not sealed in this exchange.
            WireError: it is no grant.
        """
        text, sealed = _read_sealed(message)
        here = self
        if self.kem is not None:
            here = replace(self, text=text, kem_secret=self.kem.open(text))
        return Grant.unseal(sealed, key=here._key("grant"))


@dataclass(frozen=True, slots=True)
class OldDevice(_Side):
    """The device that lets another one in."""

    offer: Offer | None = None

    @classmethod
    def showing(cls, code: DeviceCode, *, random: Random = system_random) -> "OldDevice":
        """Make keys and put the commitment to them into `code`; `.code` is then shown."""
        exchange, kem = Exchange.generate(random), Encapsulation.generate(random)
        return cls(_committed(code, exchange, kem), exchange, kem)

    @classmethod
    def reading(cls, code: DeviceCode, *, random: Random = system_random) -> "OldDevice":
        """Answer a code that a new device shows."""
        return cls(code, Exchange.generate(random), None)

    def reveal(self, opening: bytes) -> "OldDevice":
        """Hear who has read our code; `.revealing` of the new state is what to answer.

        Raises:
            WireError: it is no opening.
        """
        _read_opening(opening)
        assert self.kem is not None  # noqa: S101  # who shows a code has one
        said = encode({0: VERSION, 1: self.exchange.public, 2: self.kem.public})
        return replace(self, opening=opening, revealing=said)

    def hear_revealing(self, revealing: bytes) -> "OldDevice":
        """Hear the new device whose code we read; its `.offer` is known then.

        Raises:
            CommitmentBroken: the keys are not those that the code promised.
            Broken, NotSigned: the offer was not made in this exchange.
            WireError: it is no revealing.
        """
        heard = _heard(self, revealing)
        public, kem, sealed = _read_revealing(revealing)
        return replace(heard, offer=Offer.unseal(sealed, key=heard._early(public, kem)))

    def hear_offer(self, message: bytes) -> "OldDevice":
        """Hear the new device that has read our code.

        Raises:
            Broken, NotSigned: the offer was not made in this exchange.
            WireError: it is no offer.
        """
        assert self.kem is not None  # noqa: S101  # who shows a code has one
        text, sealed = _read_sealed(message)
        heard = replace(self, text=text, kem_secret=self.kem.open(text))
        return replace(heard, offer=Offer.unseal(sealed, key=heard._key("offer")))

    def granting(self, grant: Grant, *, random: Random = system_random) -> bytes:
        """Return the message that hands everything over: not before the digits were typed."""
        sealed = grant.seal(key=self._key("grant"), random=random)
        return encode({0: VERSION, 1: self.text, 2: sealed})


S = TypeVar("S", bound=_Side)


def _heard(side: S, revealing: bytes) -> S:
    public, kem, _ = _read_revealing(revealing)
    if not hmac.compare_digest(_commitment(public, kem), side.code.commitment):
        raise CommitmentBroken("somebody else answered than who showed the code")
    kem_secret, text = encapsulate(kem)
    return replace(
        side,
        opening=side.opening_message,
        revealing=revealing,
        text=text,
        kem_secret=kem_secret,
    )


def _committed(code: DeviceCode, exchange: Exchange, kem: Encapsulation) -> DeviceCode:
    return replace(code, commitment=_commitment(exchange.public, kem.public))


def _commitment(public: bytes, kem: bytes) -> bytes:
    return hash16("device-commitment", public, kem)


def _read_opening(message: bytes) -> bytes:
    fields = Fields.read(message, limit=MAX_MESSAGE, what="opening")
    fields.version(0, known=VERSION)
    public = fields.raw(1, size=KEY_BYTES)
    fields.end()
    return public


def _read_revealing(message: bytes) -> tuple[bytes, bytes, bytes]:
    fields = Fields.read(message, limit=MAX_MESSAGE, what="revealing")
    fields.version(0, known=VERSION)
    public, kem = fields.raw(1, size=KEY_BYTES), fields.raw(2, size=KEM_PUBLIC_BYTES)
    sealed = fields.raw(3, limit=MAX_MESSAGE) if fields.has(3) else b""
    fields.end()
    return public, kem, sealed


def _read_sealed(message: bytes) -> tuple[bytes, bytes]:
    fields = Fields.read(message, limit=MAX_MESSAGE, what="sealed message")
    fields.version(0, known=VERSION)
    text, sealed = fields.raw(1, size=KEM_CIPHERTEXT_BYTES), fields.raw(2, limit=MAX_MESSAGE)
    fields.end()
    return text, sealed
