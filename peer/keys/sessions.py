"""How a session between two devices begins, and when a new one takes its place.

The initiator needs nobody awake: it takes the responder's prekeys, agrees with each of them and
encapsulates a secret for the ML-KEM key, and all of that goes into one derivation.

    DH1 = ik_a, SPK_b     DH2 = EK, ik_b     DH3 = EK, SPK_b     DH4 = EK, OTK_b (if there is one)
    secret = HKDF(0xFF * 32 || DH1 || DH2 || DH3 || DH4 || KEM secret, info = ... transcript hash)

The transcript names both persons, all keys of both sides, the KEM key, its ciphertext and the
version; it also stands in the associated data of every message, so that no part of the set-up can
be exchanged, left out or taken from elsewhere (docs/protocol.md §6.5).

Source: Marlinspike, Perrin, "X3DH", revision 1, §3; Kret, Schmidt, "PQXDH", revision 3, §3.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from peer.keys.errors import Broken, Downgraded
from peer.keys.primitives import (
    KEM_CIPHERTEXT_BYTES,
    KEY_BYTES,
    Encapsulation,
    Exchange,
    Random,
    encapsulate,
)
from peer.keys.ratchet import MAX_SKIPPED
from wire.codec import Value, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceKey, Id, PersonId
from wire.kdf import domain, framed, hash16, hkdf
from wire.prekeys import MAX_KEY_ID, Bundle, PrekeyKind

VERSION: Final = 1
DAY: Final = 86_400.0
SESSION_SECONDS: Final = 30 * DAY
"""After it a new set-up renews the post-quantum secret, which the ratchet's steps do not."""
FRESH_AFTER: Final = 500
"""Unanswered letters after which a new session is begun: half of what the other side bridges."""
HEARTBEAT_AFTER: Final = 50
"""Letters received without an answer after which an empty one is sent, else nothing heals."""
SET_UP_LIMIT: Final = 1280


@dataclass(frozen=True, slots=True, repr=False)
class SessionId(Id):
    """A session, by the hash of its set-up."""


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a session: a device of a person, as the person's card has it."""

    person: PersonId
    device: DeviceKey
    exchange: bytes
    """The public half of ik."""


@dataclass(frozen=True, slots=True)
class Prekeys:
    """The responder's public prekeys that one set-up uses: number and key of each."""

    signed: tuple[int, bytes]
    kem: tuple[int, bytes]
    kem_kind: PrekeyKind
    one_time: tuple[int, bytes] | None

    @classmethod
    def of(cls, bundle: Bundle) -> "Prekeys":
        """Take them out of a bundle, which must have been verified."""
        one_time = bundle.one_time
        return cls(
            (bundle.signed.id, bundle.signed.public),
            (bundle.kem.id, bundle.kem.public),
            bundle.kem.kind,
            None if one_time is None else (one_time.id, one_time.public),
        )


@dataclass(frozen=True, slots=True)
class SetUp:
    """What the responder must be told: sent with each letter until one was answered."""

    ephemeral: bytes
    signed: int
    kem_kind: PrekeyKind
    kem: int
    ciphertext: bytes
    one_time: int | None

    def encode(self) -> bytes:
        """Return the bytes that stand before the first ratchet message."""
        value: dict[int, Value] = {
            0: VERSION,
            1: self.ephemeral,
            2: self.signed,
            3: int(self.kem_kind),
            4: self.kem,
            5: self.ciphertext,
        }
        if self.one_time is not None:
            value[6] = self.one_time
        return encode(value)

    @classmethod
    def decode(cls, data: bytes) -> "SetUp":
        """Read a set-up.

        Raises:
            Downgraded: the post-quantum half is missing.
            WireError: no set-up of this version.
        """
        fields = Fields.read(data, limit=SET_UP_LIMIT, what="set-up")
        fields.version(0, known=VERSION)
        ephemeral = fields.raw(1, size=KEY_BYTES)
        signed = fields.integer(2, low=0, high=MAX_KEY_ID)
        if not all(fields.has(key) for key in (3, 4, 5)):
            raise Downgraded("a session begun without the post-quantum half")
        kem_kind = PrekeyKind(fields.integer(3, low=2, high=4))
        if kem_kind is PrekeyKind.ONE_TIME:
            raise Malformed("a set-up whose ML-KEM key is none")
        kem = fields.integer(4, low=0, high=MAX_KEY_ID)
        ciphertext = fields.raw(5, size=KEM_CIPHERTEXT_BYTES)
        one_time = fields.integer(6, low=0, high=MAX_KEY_ID) if fields.has(6) else None
        fields.end()
        return cls(ephemeral, signed, kem_kind, kem, ciphertext, one_time)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both ends of a set-up know."""

    secret: bytes = field(repr=False)
    transcript: bytes
    """SHA-256 over everything that went into it."""

    @property
    def id(self) -> SessionId:
        """The session's name in packets."""
        return SessionId(hash16("session-id", self.transcript))


def initiate(
    device: Exchange, *, initiator: Party, responder: Party, prekeys: Prekeys, random: Random
) -> tuple[SetUp, Agreement]:
    """Begin a session with a device whose prekeys were verified.

    Args:
        device: the initiator's ik.
        initiator: ourselves.
        responder: the other device, from its card.
        prekeys: of a bundle that was verified against `responder.device`.
        random: where the ephemeral key comes from.

    Raises:
        WeakKey: a key of the other side has a low order or is none.
    """
    ephemeral = Exchange.generate(random)
    kem_secret, ciphertext = encapsulate(prekeys.kem[1])
    set_up = SetUp(
        ephemeral.public,
        prekeys.signed[0],
        prekeys.kem_kind,
        prekeys.kem[0],
        ciphertext,
        None if prekeys.one_time is None else prekeys.one_time[0],
    )
    agreed = [
        device.agree(prekeys.signed[1]),
        ephemeral.agree(responder.exchange),
        ephemeral.agree(prekeys.signed[1]),
    ]
    if prekeys.one_time is not None:
        agreed.append(ephemeral.agree(prekeys.one_time[1]))
    transcript = _transcript(set_up, initiator, responder, prekeys)
    return set_up, _agreement([*agreed, kem_secret], transcript)


@dataclass(frozen=True, slots=True)
class PrekeySecrets:
    """The responder's secret halves for one set-up."""

    signed: Exchange
    kem: Encapsulation
    one_time: Exchange | None


def respond(
    device: Exchange, *, initiator: Party, responder: Party, set_up: SetUp, secrets: PrekeySecrets
) -> Agreement:
    """Take up a session that `initiator` began.

    Args:
        device: the responder's ik.
        initiator: the other device, from its card.
        responder: ourselves.
        set_up: what came.
        secrets: the prekeys it names.

    Raises:
        WeakKey: a key of the other side has a low order.
        Broken: a one-time key is named and not given, or the reverse.
    """
    if (set_up.one_time is None) != (secrets.one_time is None):
        raise Broken("another one-time key than the set-up names")
    agreed = [
        secrets.signed.agree(initiator.exchange),
        device.agree(set_up.ephemeral),
        secrets.signed.agree(set_up.ephemeral),
    ]
    one_time = None
    if secrets.one_time is not None and set_up.one_time is not None:
        agreed.append(secrets.one_time.agree(set_up.ephemeral))
        one_time = (set_up.one_time, secrets.one_time.public)
    prekeys = Prekeys(
        (set_up.signed, secrets.signed.public),
        (set_up.kem, secrets.kem.public),
        set_up.kem_kind,
        one_time,
    )
    kem_secret = secrets.kem.open(set_up.ciphertext)
    return _agreement([*agreed, kem_secret], _transcript(set_up, initiator, responder, prekeys))


def about(transcript: bytes, *, sender: Party, recipient: Party) -> bytes:
    """Return what every message of a session is bound to; it differs in the two directions."""
    return framed(
        "packet",
        transcript,
        sender.person.raw,
        sender.device.raw,
        recipient.person.raw,
        recipient.device.raw,
    )


def _transcript(set_up: SetUp, initiator: Party, responder: Party, prekeys: Prekeys) -> bytes:
    one_time = b"" if prekeys.one_time is None else _numbered(*prekeys.one_time)
    everything = framed(
        "session-transcript",
        bytes([VERSION]),
        initiator.person.raw,
        initiator.device.raw,
        initiator.exchange,
        responder.person.raw,
        responder.device.raw,
        responder.exchange,
        set_up.ephemeral,
        _numbered(*prekeys.signed),
        one_time,
        bytes([prekeys.kem_kind]) + _numbered(*prekeys.kem),
        set_up.ciphertext,
    )
    return hashlib.sha256(everything).digest()


def _numbered(number: int, public: bytes) -> bytes:
    return number.to_bytes(4, "big") + public


def _agreement(parts: list[bytes], transcript: bytes) -> Agreement:
    ikm = b"\xff" * KEY_BYTES + b"".join(parts)
    return Agreement(hkdf(ikm, info=domain("session") + transcript), transcript)


@dataclass(frozen=True, slots=True)
class Session:
    """A session with one other device, as the key store has it. Times are Unix seconds."""

    id: SessionId
    person: PersonId
    device: DeviceKey
    transcript: bytes
    set_up: bytes | None
    """What to send along until the other side has answered; None once it has, or if it began."""
    state: bytes = field(repr=False)
    made: float
    heard: float | None = None
    """When a message of the other side was last opened in it."""
    unanswered: int = 0
    """Messages sent since then."""
    unsaid: int = 0
    """Messages received since we last sent one."""
    closed: bool = False
    """Whether nothing is to be sent in it any more; what comes is still opened."""

    def sent(self, state: bytes) -> "Session":
        """Return the session after a message was sent in it."""
        return self._after(state, self.set_up, self.heard, self.unanswered + 1, unsaid=0)

    def answered(self, state: bytes, *, now: float) -> "Session":
        """Return the session after a message of the other side was opened in it."""
        return self._after(state, None, now, 0, unsaid=self.unsaid + 1)

    def _after(
        self,
        state: bytes,
        set_up: bytes | None,
        heard: float | None,
        unanswered: int,
        *,
        unsaid: int,
    ) -> "Session":
        return Session(  # `replace` would take three times as long, and every letter comes here
            self.id,
            self.person,
            self.device,
            self.transcript,
            set_up,
            state,
            made=self.made,
            heard=heard,
            unanswered=unanswered,
            unsaid=unsaid,
            closed=self.closed,
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """In which session to send, and whether it is time to begin another."""

    session: Session | None
    renew: bool


def choose(sessions: Iterable[Session], *, now: float) -> Choice:
    """Return the session to send in: where the other side was heard last, or the newest.

    A session is renewed after 30 days or 500 unanswered letters. Where the prekeys for a new one
    cannot be had it serves on, up to the thousand that the other side can bridge.
    """
    usable = [one for one in sessions if not one.closed and one.unanswered < MAX_SKIPPED]
    good = [
        one for one in usable if one.unanswered < FRESH_AFTER and now - one.made < SESSION_SECONDS
    ]
    best = max(good or usable, key=lambda one: (one.heard or one.made, one.id.raw), default=None)
    return Choice(best, renew=not good)
