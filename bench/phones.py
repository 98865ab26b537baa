"""Persons with one device or several, made of the phone's own keys and files.

Between two of them there is no gateway: each holds the other's card, and the secret that their
phones would have taken from one exchange. Sessions begin with real prekeys and are answered once,
so that what follows is what letters are made of most of the time.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from peer.devices import clock, merges, state
from peer.devices.belongings import Kind
from peer.devices.log import StateLog
from peer.devices.merges import ReadMark
from peer.items.kinds import Heartbeat, Letter
from peer.keys.birth import begin_person
from peer.keys.letters import Letters, Received, SealedLetter
from peer.keys.minting import private_bundle
from peer.keys.person import Device, Identity
from peer.keys.primitives import system_random
from peer.keys.signed_items import SignedItem, write_item
from peer.me import Me
from peer.store import Store, open_store
from wire.card import Card, DeviceEntry, Role, Signed, Statement, StatementKind
from wire.codec import Value, encode
from wire.prekeys import Bundle

NOW: Final = 1_790_000_000.0
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Phone:
    """One device of a person, with its file."""

    store: Store
    identity: Identity
    letters: Letters

    def write(self, text: str | None) -> SignedItem:
        """Sign a letter; without a text it is a heartbeat."""
        content = Heartbeat() if text is None else Letter(text)
        return write_item(content, identity=self.identity, now=NOW)

    def seal(
        self, items: Sequence[SignedItem], ends: "Ends", *, bundles: Sequence[Bundle] = ()
    ) -> list[SealedLetter]:
        """Seal some letters in one transaction."""
        with self.store.transaction():
            return [
                self.letters.seal(one, to=ends.to, own=ends.own, now=NOW, bundles=bundles)
                for one in items
            ]

    def open(self, letters: Sequence[SealedLetter], ends: "Ends") -> list[Received]:
        """Open some letters in one transaction.

        Raises:
            RuntimeError: one of them could not be opened.
        """
        found = []
        with self.store.transaction():
            for one in letters:
                received = self.letters.open(
                    one.body, parcel=one.parcel, sender=ends.own, own=ends.to, now=NOW
                )
                if not isinstance(received, Received):
                    raise RuntimeError(f"a letter was refused: {received.code}")
                found.append(received)
        return found

    def bundle(self) -> Bundle:
        """Return prekeys for whoever begins a session with this device."""
        with self.store.transaction():
            return private_bundle(self.store.vault, self.identity, now=NOW)


@dataclass(frozen=True, slots=True)
class Ends:
    """The cards of whoever writes, and of whom it is for."""

    own: Card
    to: Card

    @property
    def back(self) -> "Ends":
        """The other direction."""
        return Ends(self.to, self.own)


@dataclass(frozen=True, slots=True)
class Household:
    """A person with her devices."""

    card: Card
    phones: tuple[Phone, ...]

    def close(self) -> None:
        """Close the files."""
        for phone in self.phones:
            phone.store.close()


def make_person(folder: Path, *, devices: int) -> Household:
    """Make a person with so many devices, whose files lie in `folder`."""
    first = _store(folder / "1")
    with first.transaction():
        identity, card = begin_person(first.vault, role=Role.PHONE, now=NOW)
    phones = [Phone(first, identity, Letters(first.vault))]
    for number in range(2, devices + 1):
        store = _store(folder / str(number))
        device = Device.generate(system_random)
        other = Identity(identity.person, device, identity.person_key)
        with store.transaction():
            store.vault.keep_identity(other, seed=None)
        phones.append(Phone(store, other, Letters(store.vault)))
        card, _ = card.take(_adds(card, identity.device, device))
    return Household(card, tuple(phones))


def _store(home: Path) -> Store:
    store = open_store(home, create=True)
    if store is None:
        raise RuntimeError("no file was made")
    return store


def _adds(card: Card, signer: Device, new: Device) -> Signed:
    entry = DeviceEntry(new.key, new.exchange.public, Role.PHONE)
    return next_statement(
        card, signer, devices=tuple(sorted((*card.devices, entry), key=lambda one: one.key.raw))
    )


def next_statement(card: Card, signer: Device, *, devices: tuple[DeviceEntry, ...]) -> Signed:
    """Return a statement that continues a card with these devices."""
    before = card.newest.statement
    statement = Statement(
        StatementKind.DEVICE,
        card.root_key,
        epoch=before.epoch,
        seq=before.seq + 1,
        prev=card.newest.hash,
        devices=devices,
        person_generation=card.person_generation,
        person_public=card.person_public,
        gateways=card.gateways,
        issued=before.issued,
        expires=before.expires,
        signer=signer.key.raw,
    )
    return Signed.make(statement, signer.signing)


def meet(writer: Household, reader: Household) -> None:
    """Let two persons share a secret, and begin an answered session with each of the devices."""
    secret, transcript = os.urandom(_SECRET_BYTES), os.urandom(_SECRET_BYTES)
    for one, other in ((writer, reader), (reader, writer)):
        for phone in one.phones:
            with phone.store.transaction():
                phone.store.vault.keep_pair_secret(
                    other.card.person, transcript=transcript, secret=secret, now=NOW
                )
    ends, author = Ends(writer.card, reader.card), writer.phones[0]
    bundles = [phone.bundle() for phone in reader.phones]
    letters = author.seal([author.write("first")], ends, bundles=bundles)
    for phone in reader.phones:
        phone.open(letters, ends)
        answer(phone, author, ends)


def answer(reader: Phone, author: Phone, ends: Ends) -> None:
    """Let a reader's device say that it is there, as it does after some fifty letters."""
    author.open(reader.seal([reader.write(None)], ends.back), ends.back)


@dataclass(frozen=True, slots=True)
class Stepping:
    """A device that keeps in step with another one of its person."""

    store: Store
    me: Me

    @property
    def log(self) -> StateLog:
        """Its state log."""
        return StateLog(self.store, self.me)

    def mark(self, read: dict[bytes, int]) -> int:
        """Mark threads as read up to a number, in one batch; return how long that is."""
        with self.store.transaction():
            for name, upto in read.items():
                value = ReadMark(upto).encode()
                self.me.belongings.change(Kind.READ, name, change=lambda _, value=value: value)  # type: ignore[misc]  # mypy #12557: defaults
        before = self.log.vector()
        self.log.seal()
        return sum(len(one) for one in self.log.beyond(before))

    def batches(self) -> list[bytes]:
        """Return all its batches."""
        return self.log.beyond({})

    def take(self, batches: Sequence[bytes]) -> None:
        """Take another device's batches."""
        self.log.take(batches)

    def snapshot(self) -> bytes:
        """Return all that counts, as a gateway would be given it."""
        return self.log.snapshot().encode()

    def state(self) -> set[tuple[bytes, bytes | None]]:
        """Return what counts."""
        return {(one.key, one.value) for one in self.me.belongings.all() if one.key[0] == Kind.READ}

    def close(self) -> None:
        """Close its file."""
        self.store.close()


def make_stepping(folder: Path) -> tuple[Stepping, Stepping]:
    """Return two devices of one person; what was set before is told already."""
    household = make_person(folder, devices=2)
    found = []
    for phone in household.phones:
        with phone.store.transaction():
            chain: list[Value] = list(household.card.chain)
            phone.store.keep_note("card", encode(chain))
            me = Me(phone.store)
            me.belongings.begin()
        found.append(Stepping(phone.store, me))
    return found[0], found[1]


def core_lines() -> int:
    """Return how many lines of code decide which of two changes counts."""
    modules = (clock, merges, state)
    texts = [Path(str(one.__file__)).read_text(encoding="utf-8") for one in modules]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return sum(1 for line in lines if line and not line.startswith("#"))
