"""Two people with a key store each, in real files, and what they do to each other in tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from peer import sqlite
from peer.items.kinds import Content, Letter
from peer.keys.birth import begin_person
from peer.keys.contact_exchange import Guest, Host
from peer.keys.introduction import Introduction, Met, introduce, remember
from peer.keys.letters import Letters, Received, Refused, SealedLetter
from peer.keys.minting import mint, private_bundle
from peer.keys.person import Identity
from peer.keys.primitives import system_random
from peer.keys.signed_items import SignedItem, write_item
from peer.keys.vault import Vault
from wire.card import Card, Role
from wire.codes import ContactCode
from wire.ids import PersonId, SlotId
from wire.lanes import LaneClass, LaneSecret
from wire.places import Place
from wire.prekeys import Bundle, PrekeyKind

NOW = 1_790_000_000.0
DAY = 86_400.0


@dataclass
class Person:
    """A person with one device, whose clock stands where the test puts it."""

    file: Path
    connection: sqlite.Connection
    vault: Vault
    identity: Identity
    card: Card
    letters: Letters
    now: float = NOW

    @contextmanager
    def step(self) -> Iterator[None]:
        with self.vault.transaction():
            yield

    def write(self, content: Content | str = "hello") -> SignedItem:
        if isinstance(content, str):
            content = Letter.write(content)
        return write_item(content, identity=self.identity, now=self.now)

    def seal(
        self,
        to: "Person",
        content: Content | str = "hello",
        *,
        bundles: tuple[Bundle, ...] = (),
        again: int = 0,
    ) -> SealedLetter:
        item = self.write(content)
        with self.step():
            return self.letters.seal(
                item, to=to.card, own=self.card, now=self.now, bundles=bundles, again=again
            )

    def open(self, sender: "Person", letter: SealedLetter) -> Received | Refused:
        with self.step():
            return self.letters.open(
                letter.body, parcel=letter.parcel, sender=sender.card, own=self.card, now=self.now
            )

    def read(self, sender: "Person", letter: SealedLetter) -> str:
        received = self.open(sender, letter)
        assert isinstance(received, Received), received
        assert isinstance(received.item.item.content, Letter)
        return received.item.item.content.text

    def refuses(self, sender: "Person", letter: SealedLetter) -> str:
        refused = self.open(sender, letter)
        assert isinstance(refused, Refused), refused
        return refused.code

    def bundle(self, *, one_time: bool = True, one_time_kem: bool = True) -> Bundle:
        """Return what this person's gateway would hand out."""
        with self.step():
            prekeys = mint(self.vault, self.identity, counts={}, now=self.now)
        found = {one.kind: one for one in prekeys}
        kem = PrekeyKind.ONE_TIME_KEM if one_time_kem else PrekeyKind.LAST_RESORT
        return Bundle(
            self.identity.device.key,
            found[PrekeyKind.SIGNED],
            found[kem],
            found[PrekeyKind.ONE_TIME] if one_time else None,
        )

    def state(self) -> dict[str, list[tuple[object, ...]]]:
        """Return every row of the key store, but for the note of which numbers were seen."""
        tables = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: self.connection.execute(
                f"SELECT * FROM {name} ORDER BY 1, 2"  # noqa: S608  # names from the file itself
            ).fetchall()
            for (name,) in tables.fetchall()
            if name != "senders"
        }

    def close(self) -> None:
        self.connection.close()


def connect(file: Path) -> sqlite.Connection:
    connection = sqlite.connect(file, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = OFF")  # what fsync proves is proved elsewhere
    return connection


def person(folder: Path, name: str) -> Person:
    file = folder / f"{name}.sqlite"
    connection = connect(file)
    vault = Vault(connection)
    with vault.transaction():
        vault.create()
        identity, card = begin_person(vault, role=Role.PHONE, now=NOW)
    return Person(file, connection, vault, identity, card, Letters(vault))


def reopened(other: Person, file: Path) -> Person:
    """Return the same person on a copied file: a clone, or a phone set back."""
    connection = connect(file)
    vault = Vault(connection)
    return Person(file, connection, vault, other.identity, other.card, Letters(vault), other.now)


def contact_code(person: Person) -> ContactCode:
    slot = SlotId(system_random(16))
    place = Place("192.0.2.7")
    return ContactCode(person.identity.person, bytes(16), slot, int(NOW) + 600, bytes(16), place)


def meet(host: Person, guest: Person, *, bundles: bool = True) -> tuple[Met, Met]:
    """Let two people add each other; return what the host and what the guest got."""
    showing = Host.begin(contact_code(host))
    reading = Guest.begin(ContactCode.parse(showing.code.text()))
    showing = showing.hear_one(reading.message_one)
    reading = reading.hear_two(showing.message_two)
    assert showing.check == reading.check
    with guest.step():
        ours = introduction(guest, reading.code.person, bundle=bundles)
    reading = reading.introduce(ours, device=guest.identity.device)
    assert reading.three is not None
    showing, host_met = showing.hear_three(reading.three)
    with host.step():
        ours = introduction(host, host_met.person, bundle=bundles)
        remember(host.vault, host_met, now=host.now)
    showing = showing.introduce(ours, device=host.identity.device)
    assert showing.four is not None
    guest_met = reading.hear_four(showing.four)
    with guest.step():
        remember(guest.vault, guest_met, now=guest.now)
    return host_met, guest_met


def introduction(speaker: Person, to: PersonId, *, bundle: bool = True) -> Introduction:
    """Return how `speaker` introduces herself, inside a transaction."""
    lanes = (
        (LaneClass.LETTER, LaneSecret(system_random(32))),
        (LaneClass.ORDINARY, LaneSecret(system_random(32))),
    )
    prekeys = None
    if bundle:
        prekeys = private_bundle(speaker.vault, speaker.identity, now=speaker.now)
    return introduce(
        speaker.vault,
        speaker.identity,
        card=speaker.card,
        to=to,
        lanes=lanes,
        bundle=prekeys,
        name=speaker.file.stem,
    )


def two(folder: Path) -> tuple[Person, Person]:
    """Return Ana and Ben, who are contacts."""
    ana, ben = person(folder, "ana"), person(folder, "ben")
    meet(ana, ben)
    return ana, ben
