"""Sealing an item for a contact: a packet for each device, all of it in one envelope."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from peer.keys.envelope import (
    Envelope,
    Packet,
    PacketKind,
    first_packet,
    seal_body,
    seal_envelope,
)
from peer.keys.errors import NeedsBundles, NotForUs, TooLarge
from peer.keys.keyring import Keyring
from peer.keys.primitives import Random
from peer.keys.ratchet import Ratchet
from peer.keys.sessions import Choice, Party, Prekeys, Session, about, choose, initiate
from peer.keys.signed_items import SignedItem
from wire.card import Card, DeviceEntry
from wire.codec import decode
from wire.errors import NotSigned
from wire.ids import DeviceId, DeviceKey, ParcelId, PersonId
from wire.prekeys import BUNDLE_LIMIT, Bundle


@dataclass(frozen=True, slots=True)
class SealedLetter:
    """What goes into a parcel, and the number under which to keep the item for `resend`."""

    parcel: ParcelId
    body: bytes = field(repr=False)
    number: int


@dataclass(frozen=True, slots=True)
class _Made:
    """A packet, and the session as it is after it."""

    packet: Packet
    session: Session
    begun: bool = False
    """Whether the session begins with it and has used up the device's prekeys."""


@dataclass(frozen=True, slots=True)
class _Target:
    """A device to make a packet for, and the session to make it in."""

    party: Party
    choice: Choice
    bundle: Bundle | None
    """Verified prekeys, if a new session is to begin."""


class Sealer:
    """Seals with the keys of one device; every call wants an open transaction."""

    def __init__(self, keys: Keyring, *, ratchet: Ratchet, random: Random) -> None:
        self._keys = keys
        self._ratchet = ratchet
        self._random = random

    def wants_bundles(self, to: Card, *, now: float) -> tuple[DeviceId, ...]:
        """Return the devices of a contact with which it is time to begin a new session."""
        return tuple(
            entry.id
            for entry in to.sealable()
            if entry.key != self._keys.party.device
            and self._choice(to.person, entry, now=now).renew
            and self._keys.vault.prekeys.bundle(to.person, entry.key) is None
        )

    def seal(
        self,
        item: SignedItem,
        *,
        to: Card,
        own: Card,
        now: float,
        bundles: Sequence[Bundle] = (),
        again: int = 0,
        partly: bool = False,
    ) -> SealedLetter:
        """Seal an item for all devices of a contact, or for our own others, inside a transaction.

        Args:
            item: what `write_item` gave.
            to: the contact's card as we hold it.
            own: our card.
            now: Unix seconds.
            bundles: prekeys fetched for devices with which a session must begin.
            again: the number under which the same item was sent before, in answer to `resend`.
            partly: whether devices without a session are left out, as long as one has one: they
                have left no prekeys yet, and ask for what they miss when they have.

        Raises:
            NeedsBundles: a session must begin first; its devices are named, nothing was changed.
            NotSigned, Malformed, WeakKey: a bundle is not what its device signed.
            NotForUs: no key is shared with this person.
            TooLarge: it does not fit in one parcel.
        """
        given = {one.device: one for one in bundles}
        targets = self._targets(to, given, now=now, partly=partly)
        key = next(self._keys.pair_keys(to, own=own, now=now), None)
        if key is None:
            raise NotForUs("no key is shared with this person: add the contact again")
        plaintext, body = seal_body(item.raw, author=own.person, random=self._random)
        made = [self._packet(plaintext, target, now=now) for target in targets]
        number = self._keys.vault.numbers.next_number(to.person)
        envelope = Envelope(
            own.person,
            self._keys.identity.device.id,
            number,
            tuple(one.packet for one in made),
            body,
            mine=own.position,
            yours=to.position,
            again=again,
        )
        parcel = ParcelId(self._random(ParcelId.size))
        try:
            sealed = seal_envelope(
                envelope, key=key, recipient=to.person, parcel=parcel, random=self._random
            )
        except TooLarge:
            self._keys.vault.numbers.give_back(to.person, number)
            raise
        self._keep(made)
        return SealedLetter(parcel, sealed, number)

    def _keep(self, made: Sequence[_Made]) -> None:
        """Store what was used up: last of all, so that a refusal before has changed nothing."""
        vault = self._keys.vault
        for one in made:
            vault.sessions.keep(one.session)
            if one.begun:
                vault.prekeys.use_bundle(one.session.person, one.session.device)

    def _targets(
        self, to: Card, given: Mapping[DeviceKey, Bundle], *, now: float, partly: bool
    ) -> list[_Target]:
        """Return for whom to make a packet: devices that the card lists, and not this one."""
        found, needed = [], []
        for entry in to.sealable():
            if entry.key == self._keys.party.device:
                continue
            choice = self._choice(to.person, entry, now=now)
            bundle = self._bundle(to.person, entry, given) if choice.renew else None
            if choice.session is not None or bundle is not None:
                party = Party(to.person, entry.key, entry.exchange_key)
                found.append(_Target(party, choice, bundle))
            else:
                needed.append(entry.id)
        if not found or (needed and not partly):
            raise NeedsBundles(tuple(needed))
        return found

    def _choice(self, person: PersonId, entry: DeviceEntry, *, now: float) -> Choice:
        return choose(self._keys.vault.sessions.of_device(person, entry.key), now=now)

    def _bundle(
        self, person: PersonId, entry: DeviceEntry, given: Mapping[DeviceKey, Bundle]
    ) -> Bundle | None:
        """Return verified prekeys of a device: those given, else those kept from the exchange."""
        bundle = given.get(entry.key)
        if bundle is None:
            kept = self._keys.vault.prekeys.bundle(person, entry.key)
            if kept is None:
                return None
            bundle = Bundle.from_value(decode(kept, limit=BUNDLE_LIMIT))
        if bundle.device != entry.key:
            raise NotSigned("the prekeys are another device's")
        bundle.verify()
        return bundle

    def _packet(self, plaintext: bytes, target: _Target, *, now: float) -> _Made:
        if target.bundle is not None:
            return self._first_packet(plaintext, target.party, target.bundle, now=now)
        assert target.choice.session is not None  # noqa: S101  # _targets lets nothing else pass
        return self._further_packet(plaintext, target.party, target.choice.session)

    def _first_packet(self, plaintext: bytes, them: Party, bundle: Bundle, *, now: float) -> _Made:
        us, prekeys = self._keys.party, Prekeys.of(bundle)
        set_up, agreed = initiate(
            self._keys.identity.device.exchange,
            initiator=us,
            responder=them,
            prekeys=prekeys,
            random=self._random,
        )
        sealed = self._ratchet.begin(
            agreed.secret,
            their_key=prekeys.signed[1],
            plaintext=plaintext,
            about=about(agreed.transcript, sender=us, recipient=them),
        )
        written = set_up.encode()
        session = Session(
            agreed.id,
            them.person,
            them.device,
            agreed.transcript,
            written,
            sealed.state,
            made=now,
            unanswered=1,
        )
        packet = first_packet(written, sealed.message)
        return _Made(Packet(them.device.device, PacketKind.FIRST, packet), session, begun=True)

    def _further_packet(self, plaintext: bytes, them: Party, session: Session) -> _Made:
        bound = about(session.transcript, sender=self._keys.party, recipient=them)
        sealed = self._ratchet.seal(session.state, plaintext, about=bound)
        kind, packet = PacketKind.ONGOING, session.id.raw + sealed.message
        if session.set_up is not None:
            kind, packet = PacketKind.FIRST, first_packet(session.set_up, sealed.message)
        return _Made(Packet(them.device.device, kind, packet), session.sent(sealed.state))
