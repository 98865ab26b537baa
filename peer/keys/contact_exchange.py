"""Adding a contact: four messages through a slot, and both persons hold each other's card and S.

    host (shows the code)                                      guest (reads it)
    code: commitment to x_h, kem_h      -- seen on the screen -->
                                <-- 1: x_g (X25519)
    2: x_h (X25519), kem_h (ML-KEM) -->                        does it fit the commitment?
          both screens show the check code over code, 1 and 2
                                <-- 3: KEM ciphertext, sealed introduction of the guest
    4: sealed introduction of the host -->

The host is bound by the code before it sees the guest's key, the guest by its key before the host
shows its own: whoever stands between them has to guess the check code, once, at one in a million.
Everything is a value: a step gives the next state, which is saved before its message is sent, so
that a message that was lost is repeated word for word (docs/protocol.md §7).
"""

import hmac
from dataclasses import dataclass, field, replace
from typing import Final

from peer.keys.errors import CommitmentBroken, Damaged, OtherPerson, OutOfTurn
from peer.keys.introduction import Channel, Introduction, Met, Opening
from peer.keys.person import Device
from peer.keys.primitives import (
    KEM_CIPHERTEXT_BYTES,
    KEM_PUBLIC_BYTES,
    KEM_SEED_BYTES,
    KEY_BYTES,
    Encapsulation,
    Exchange,
    Random,
    encapsulate,
    system_random,
)
from wire.codec import Value, decode, encode
from wire.codes import ContactCode
from wire.errors import WireError
from wire.fields import Fields
from wire.kdf import hash16
from wire.rendezvous import MAX_MESSAGE

VERSION: Final = 1
_STATE_LIMIT: Final = 4 * MAX_MESSAGE


@dataclass(frozen=True, slots=True)
class Host:
    """The side that shows the code."""

    code: ContactCode
    exchange: Exchange
    kem: Encapsulation
    one: bytes | None = None
    three: bytes | None = None
    four: bytes | None = None

    @classmethod
    def begin(cls, code: ContactCode, *, random: Random = system_random) -> "Host":
        """Make new keys and put the commitment to them into `code`; `.code` is then shown."""
        exchange, kem = Exchange.generate(random), Encapsulation.generate(random)
        committed = replace(code, commitment=_commitment(exchange.public, kem.public))
        return cls(committed, exchange, kem)

    def hear_one(self, message: bytes) -> "Host":
        """Take message 1.

        Raises:
            OutOfTurn: another message 1 was taken before.
            WireError: it is no message 1.
        """
        if self.one is not None and self.one != message:
            raise OutOfTurn("somebody else answered this code as well: show a new one")
        _read_one(message)
        return replace(self, one=message)

    @property
    def message_two(self) -> bytes:
        """Message 2, not to be shown before message 1 has come."""
        if self.one is None:
            raise OutOfTurn("message 2 answers message 1")
        return encode({0: VERSION, 1: self.exchange.public, 2: self.kem.public})

    @property
    def check(self) -> int:
        """The check code to show (`wire.check_code`)."""
        return self._opening.check

    def hear_three(self, message: bytes) -> tuple["Host", Met]:
        """Take message 3.

        Raises:
            OutOfTurn: another message 3 was taken before.
            Broken, WrongAuthor, WireError: it was not made in this exchange by this person.
            OtherPerson: it is our own card.
        """
        if self.three is not None and self.three != message:
            raise OutOfTurn("message 3 came again with other bytes")
        channel, sealed = self._channel(message)
        theirs = channel.open(sealed, side="guest")
        if theirs.card.person == self.code.person:
            raise OtherPerson("this is your own card")
        return replace(self, three=message), Met(theirs, channel.shared, channel.transcript)

    def introduce(
        self, introduction: Introduction, *, device: Device, random: Random = system_random
    ) -> "Host":
        """Prepare message 4, which is `.four` of the new state.

        Raises:
            OutOfTurn: message 3 has not come.
            TooLarge: the card does not fit.
        """
        if self.three is None:
            raise OutOfTurn("message 4 answers message 3")
        if self.four is not None:
            return self
        channel, _sealed = self._channel(self.three)
        answer = channel.seal(introduction, side="host", device=device, random=random)
        return replace(self, four=encode({0: VERSION, 1: answer}))

    def _channel(self, three: bytes) -> tuple[Channel, bytes]:
        fields = Fields.read(three, limit=MAX_MESSAGE, what="message 3")
        fields.version(0, known=VERSION)
        text = fields.raw(1, size=KEM_CIPHERTEXT_BYTES)
        sealed = fields.raw(2, limit=MAX_MESSAGE)
        fields.end()
        opening = self._opening
        agreed = self.exchange.agree(_read_one(opening.one))
        return Channel.of(opening, agreed=agreed, kem_secret=self.kem.open(text), text=text), sealed

    def save(self) -> bytes:
        """Return the state; it holds secrets."""
        told = {4: self.one, 5: self.three, 6: self.four}
        return _saved(self.code, {2: self.exchange.secret, 3: self.kem.seed, **told})

    @classmethod
    def load(cls, data: bytes) -> "Host":
        """Return what `save` gave.

        Raises:
            Damaged: it is no such state.
        """
        code, there = _state(data)
        if len(there.get(2, b"")) != KEY_BYTES or len(there.get(3, b"")) != KEM_SEED_BYTES:
            raise Damaged("the state of an exchange lacks its keys")
        exchange, kem = Exchange(there[2]), Encapsulation(there[3])
        return cls(code, exchange, kem, there.get(4), there.get(5), there.get(6))

    @property
    def _opening(self) -> Opening:
        two = self.message_two
        return Opening(_code_bytes(self.code), self.one or b"", two)


@dataclass(frozen=True, slots=True)
class Guest:
    """The side that reads the code."""

    code: ContactCode
    exchange: Exchange
    two: bytes | None = None
    text: bytes | None = None
    kem_secret: bytes | None = field(default=None, repr=False)
    three: bytes | None = None

    @classmethod
    def begin(cls, code: ContactCode, *, random: Random = system_random) -> "Guest":
        """Answer a code that was read."""
        return cls(code, Exchange.generate(random))

    @property
    def message_one(self) -> bytes:
        """Message 1."""
        return encode({0: VERSION, 1: self.exchange.public})

    def hear_two(self, message: bytes) -> "Guest":
        """Take message 2.

        Raises:
            CommitmentBroken: its keys are not those that the code promised.
            OutOfTurn: another message 2 was taken before.
            WireError: it is no message 2.
        """
        if self.two is not None and self.two != message:
            raise OutOfTurn("message 2 came again with other bytes")
        public, kem = _read_two(message)
        if not hmac.compare_digest(_commitment(public, kem), self.code.commitment):
            raise CommitmentBroken("somebody else answered than who showed the code")
        if self.text is not None:
            return replace(self, two=message)
        kem_secret, text = encapsulate(kem)
        return replace(self, two=message, text=text, kem_secret=kem_secret)

    @property
    def check(self) -> int:
        """The check code to show (`wire.check_code`)."""
        return self._opening.check

    def introduce(
        self, introduction: Introduction, *, device: Device, random: Random = system_random
    ) -> "Guest":
        """Prepare message 3, which is `.three` of the new state.

        Raises:
            OutOfTurn: message 2 has not come.
            OtherPerson: the code is our own.
            TooLarge: the card does not fit.
        """
        if introduction.card.person == self.code.person:
            raise OtherPerson("this code is your own")
        if self.three is not None:
            return self
        channel, text = self._channel
        sealed = channel.seal(introduction, side="guest", device=device, random=random)
        return replace(self, three=encode({0: VERSION, 1: text, 2: sealed}))

    def hear_four(self, message: bytes) -> Met:
        """Take message 4.

        Raises:
            OtherPerson: the card is not that of the person in the code.
            OutOfTurn: message 3 was not sent.
            Broken, WrongAuthor, WireError: it was not made in this exchange by this person.
        """
        if self.three is None:
            raise OutOfTurn("message 4 answers message 3")
        fields = Fields.read(message, limit=MAX_MESSAGE, what="message 4")
        fields.version(0, known=VERSION)
        sealed = fields.raw(1, limit=MAX_MESSAGE)
        fields.end()
        channel, _text = self._channel
        theirs = channel.open(sealed, side="host")
        if theirs.card.person != self.code.person:
            raise OtherPerson("the card is not that of the person whose code was read")
        return Met(theirs, channel.shared, channel.transcript)

    def save(self) -> bytes:
        """Return the state; it holds secrets."""
        told = {3: self.two, 4: self.text, 5: self.kem_secret, 6: self.three}
        return _saved(self.code, {2: self.exchange.secret, **told})

    @classmethod
    def load(cls, data: bytes) -> "Guest":
        """Return what `save` gave.

        Raises:
            Damaged: it is no such state.
        """
        code, there = _state(data)
        if len(there.get(2, b"")) != KEY_BYTES:
            raise Damaged("the state of an exchange lacks its key")
        return cls(code, Exchange(there[2]), there.get(3), there.get(4), there.get(5), there.get(6))

    @property
    def _opening(self) -> Opening:
        if self.two is None:
            raise OutOfTurn("message 2 has not come")
        return Opening(_code_bytes(self.code), self.message_one, self.two)

    @property
    def _channel(self) -> tuple[Channel, bytes]:
        opening = self._opening
        if self.text is None or self.kem_secret is None:
            raise OutOfTurn("message 2 has not come")
        public, _kem = _read_two(opening.two)
        agreed = self.exchange.agree(public)
        return Channel.of(
            opening, agreed=agreed, kem_secret=self.kem_secret, text=self.text
        ), self.text


def _commitment(public: bytes, kem: bytes) -> bytes:
    return hash16("contact-commitment", public, kem)


def _code_bytes(code: ContactCode) -> bytes:
    return code.text().encode("ascii")


def _read_one(message: bytes) -> bytes:
    fields = Fields.read(message, limit=MAX_MESSAGE, what="message 1")
    fields.version(0, known=VERSION)
    public = fields.raw(1, size=KEY_BYTES)
    fields.end()
    return public


def _read_two(message: bytes) -> tuple[bytes, bytes]:
    fields = Fields.read(message, limit=MAX_MESSAGE, what="message 2")
    fields.version(0, known=VERSION)
    public, kem = fields.raw(1, size=KEY_BYTES), fields.raw(2, size=KEM_PUBLIC_BYTES)
    fields.end()
    return public, kem


def _saved(code: ContactCode, values: dict[int, bytes | None]) -> bytes:
    there: dict[int, Value] = {key: one for key, one in values.items() if one is not None}
    return encode({0: VERSION, 1: code.text(), **there})


def _state(data: bytes) -> tuple[ContactCode, dict[int, bytes]]:
    try:
        value = decode(data, limit=_STATE_LIMIT)
        if isinstance(value, dict) and value.get(0) == VERSION and isinstance(value.get(1), str):
            there = {key: one for key, one in value.items() if isinstance(one, bytes)}
            return ContactCode.parse(str(value[1])), there
    except WireError as error:
        raise Damaged(f"the state of an exchange is not readable: {error}") from None
    raise Damaged("the state of an exchange has another form")
