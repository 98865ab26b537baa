"""Opening what came: find the session, take the step, check what is inside, and only then store.

    pair key -> envelope -> number -> session -> key packet -> body -> item -> everything is kept

A failure at any place leaves every key as it was (docs/protocol.md §8.4).
"""

from dataclasses import dataclass
from functools import partial

from peer.keys.envelope import (
    Envelope,
    Packet,
    PacketKind,
    open_body,
    open_envelope,
    split_first_packet,
)
from peer.keys.errors import (
    Damaged,
    DeviceUnknown,
    Duplicate,
    FirstLetterReplayed,
    KeysError,
    NumberRepeated,
    SessionUnknown,
    WrongAuthor,
)
from peer.keys.keyring import Keyring
from peer.keys.primitives import Encapsulation, Exchange
from peer.keys.ratchet import Opened, Ratchet
from peer.keys.sessions import (
    HEARTBEAT_AFTER,
    Party,
    PrekeySecrets,
    Session,
    SessionId,
    SetUp,
    about,
    respond,
)
from peer.keys.signed_items import SignedItem, read_item
from wire.card import Card, Position
from wire.errors import UnknownVersion, WireError
from wire.ids import DeviceId, ParcelId
from wire.kdf import hash16, hash32
from wire.prekeys import PrekeyKind


@dataclass(frozen=True, slots=True)
class Received:
    """An item that was opened, and what its envelope said besides."""

    item: SignedItem
    device: DeviceId
    number: int
    again: int
    """The number under which it was sent before, 0 if it was not."""
    theirs: Position
    """Where the author's card stands: further than ours means that we lack statements."""
    ours: Position
    """Where the author believes our card to stand."""
    began: bool
    """Whether a new session began with it."""
    last_resort: bool
    """Whether it began with no one-time key: the pool at the gateway is empty."""
    heartbeat_due: bool
    """Whether it is time to send an empty item, so that the session can heal."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a parcel was not opened; nothing of it can be shown."""

    code: str
    text: str
    device: DeviceId | None = None
    """The author's device, if the envelope could be opened."""
    number: int | None = None
    theirs: Position | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """A session after a message in it was opened, and what that used up."""

    session: Session
    opened: Opened
    accepted: SetUp | None = None
    accepted_hash: bytes = b""


class Opener:
    """Opens with the keys of one device; every call wants an open transaction."""

    def __init__(self, keys: Keyring, *, ratchet: Ratchet) -> None:
        self._keys = keys
        self._ratchet = ratchet

    def open(
        self, body: bytes, *, parcel: ParcelId, sender: Card, own: Card, now: float
    ) -> Received | Refused:
        """Open a parcel that came on a lane of a contact, inside a transaction.

        Args:
            body: the parcel's body.
            parcel: the parcel's id.
            sender: the card of the contact to whom the lane was given.
            own: our card.
            now: Unix seconds.
        """
        try:
            envelope = open_envelope(
                body,
                keys=self._keys.pair_keys(sender, own=own, now=now),
                sender=sender.person,
                recipient=own.person,
                parcel=parcel,
            )
        except Damaged:
            raise
        except (KeysError, WireError) as error:
            return Refused(error.code, str(error))
        try:
            opened = self._open(envelope, hash16("received", body), sender=sender, now=now)
        except Damaged:
            raise
        except (KeysError, WireError) as error:
            if sender.device(envelope.device) is not None:  # else anybody's word makes endless rows
                self._keys.vault.numbers.saw_number(sender.person, envelope.device, envelope.number)
            return Refused(error.code, str(error), envelope.device, envelope.number, envelope.mine)
        if envelope.yours == own.position:  # a revoked device of ours can seal, but not open this
            self._keys.keep_known(sender.person, own.person_generation)
        return opened

    def _open(self, envelope: Envelope, received: bytes, *, sender: Card, now: float) -> Received:
        """Open an envelope; all that may refuse it comes before the first key is changed."""
        device = sender.device(envelope.device)
        if device is None:
            raise DeviceUnknown("it comes from a device that is not on the card")
        self._refuse_repeated(envelope, received)
        packet = envelope.packet_for(self._keys.identity.device.id)
        them = Party(sender.person, device.key, device.exchange_key)
        step = self._step(packet, them, now=now)
        raw = open_body(step.opened.plaintext, envelope.body, author=envelope.author)
        item = read_item(raw, card=sender, vouched=envelope.again != 0)
        if envelope.again == 0 and item.item.device != envelope.device:
            raise WrongAuthor("the item names another device than its envelope")
        session = self._keep_step(step, now=now)
        self._keep_numbers(envelope, received, now=now)
        return Received(
            item,
            envelope.device,
            envelope.number,
            envelope.again,
            theirs=envelope.mine,
            ours=envelope.yours,
            began=step.accepted is not None,
            last_resort=step.accepted is not None and step.accepted.one_time is None,
            heartbeat_due=session.unsaid >= HEARTBEAT_AFTER,
        )

    def _refuse_repeated(self, envelope: Envelope, received: bytes) -> None:
        known = self._keys.vault.numbers.received(envelope.author, envelope.device, envelope.number)
        if known == received:
            raise Duplicate("this letter was opened before")
        if known:
            raise NumberRepeated("another letter came under this number before")

    def _step(self, packet: Packet, them: Party, *, now: float) -> _Step:
        if packet.kind == PacketKind.ONGOING:
            session = self._keys.vault.sessions.find(SessionId(packet.raw[: SessionId.size]))
            return self._go_on(session, packet.raw[SessionId.size :], them)
        if packet.kind == PacketKind.FIRST:
            written, message = split_first_packet(packet.raw)
            set_up, fingerprint = SetUp.decode(written), hash32("set-up", written)
            known = self._keys.vault.prekeys.first_letter(set_up.ephemeral)
            if known is None:
                return self._accept(set_up, fingerprint, message, them, now=now)
            if known[0] != fingerprint:
                raise FirstLetterReplayed("another session was begun with the same key")
            session = self._keys.vault.sessions.find(known[1])
            if session is None:
                raise FirstLetterReplayed("the session that it began is over")
            return self._go_on(session, message, them)
        raise UnknownVersion("a key packet", version=packet.kind)

    def _go_on(self, session: Session | None, message: bytes, them: Party) -> _Step:
        if session is None or (session.person, session.device) != (them.person, them.device):
            raise SessionUnknown("it goes on with a session that is not here")
        opened = self._ratchet.open(
            session.state,
            message,
            about=about(session.transcript, sender=them, recipient=self._keys.party),
            skipped=partial(self._keys.vault.sessions.skipped, session.id),
        )
        return _Step(session, opened)

    def _accept(
        self, set_up: SetUp, fingerprint: bytes, message: bytes, them: Party, *, now: float
    ) -> _Step:
        us = self._keys.party
        secret = self._keys.vault.prekeys.secret
        signed = Exchange(secret(PrekeyKind.SIGNED, set_up.signed))
        kem = Encapsulation(secret(set_up.kem_kind, set_up.kem))
        one_time = None
        if set_up.one_time is not None:
            one_time = Exchange(secret(PrekeyKind.ONE_TIME, set_up.one_time))
        agreed = respond(
            self._keys.identity.device.exchange,
            initiator=them,
            responder=us,
            set_up=set_up,
            secrets=PrekeySecrets(signed, kem, one_time),
        )
        bound = about(agreed.transcript, sender=them, recipient=us)
        opened = self._ratchet.accept(agreed.secret, own_key=signed, message=message, about=bound)
        session = Session(
            agreed.id,
            them.person,
            them.device,
            agreed.transcript,
            None,
            opened.state,
            made=now,
        )
        return _Step(session, opened, accepted=set_up, accepted_hash=fingerprint)

    def _keep_step(self, step: _Step, *, now: float) -> Session:
        session = step.session.answered(step.opened.state, now=now)
        self._keys.vault.sessions.keep(session)
        self._keys.vault.sessions.keep_skipped(session.id, step.opened.skipped, now=now)
        if step.opened.used is not None:
            self._keys.vault.sessions.use_skipped(session.id, step.opened.used)
        if step.accepted is not None:
            self._use_up(step.accepted, step.accepted_hash, session.id)
        return session

    def _use_up(self, set_up: SetUp, fingerprint: bytes, session: SessionId) -> None:
        prekeys = self._keys.vault.prekeys
        prekeys.keep_first_letter(
            set_up.ephemeral, set_up=fingerprint, session=session, signed=set_up.signed
        )
        if set_up.one_time is not None:
            prekeys.use(PrekeyKind.ONE_TIME, set_up.one_time)
        if set_up.kem_kind is PrekeyKind.ONE_TIME_KEM:
            prekeys.use(PrekeyKind.ONE_TIME_KEM, set_up.kem)

    def _keep_numbers(self, envelope: Envelope, received: bytes, *, now: float) -> None:
        numbers, author, device = self._keys.vault.numbers, envelope.author, envelope.device
        numbers.keep_received(author, device, number=envelope.number, parcel=received, now=now)
        if envelope.again:
            numbers.keep_received(author, device, number=envelope.again, parcel=b"", now=now)
