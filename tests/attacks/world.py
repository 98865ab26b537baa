"""Two persons with devices, thieves among them, and gateways that lie: played by Hypothesis.

What is played is the real thing without a network: cards (`wire.card`), and phones whose keys lie
in SQLite in memory. Gateways are whatever the rules make of them: they show statements to whom they
like, in whatever order, again and never; forge them; hand out wrong prekeys; hold letters back,
bring them twice, altered, or to somebody else.

Checked all the time:

* nobody gets a packet whom no valid statement lists, and all who are listed get one;
* where no thief is and nobody revokes, no fork stops anybody's letters;
* one set of statements gives one card, whatever the order in which they came;
* the newest root statement counts, whatever else is said;
* what was sealed to a card does not open on a device that the card had no more;
* a letter opens at most once on each device, and is what was written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from nacl.signing import SigningKey

from peer import sqlite
from peer.items.kinds import Letter
from peer.keys.envelope import open_envelope
from peer.keys.errors import NeedsBundles, NotForUs
from peer.keys.keyring import Keyring
from peer.keys.letters import Letters, Received, Refused, SealedLetter
from peer.keys.minting import mint
from peer.keys.person import BoxKey, Device, Identity, PersonKey, root_key
from peer.keys.signed_items import write_item
from peer.keys.vault import Vault
from wire.card import (
    MAX_DEVICES,
    NO_PREVIOUS,
    Card,
    DeviceEntry,
    Role,
    Signed,
    Statement,
    StatementKind,
    Verdict,
)
from wire.errors import CardRejected, NotSigned, WireError
from wire.ids import DeviceId, DeviceKey, ItemId, PersonId
from wire.prekeys import Bundle, PrekeyKind

NOW: Final = 1_790_000_000.0
EXPIRES: Final = int(NOW) + 90 * 86_400
MOST: Final = 20
"""Statements of one epoch that the rules make; a card keeps more, and a chain has its end."""
PHONES: Final = 8
"""Devices that a person has had."""

T = TypeVar("T")
Sealing = Callable[[tuple[Bundle, ...]], SealedLetter]


def pick(some: Sequence[T], number: int) -> T:
    """Return one of some, by any number."""
    return some[number % len(some)]


def dice() -> Callable[[int], bytes]:
    """Return the randomness of one world: a world that failed can be played again."""
    return Random(0).randbytes  # noqa: S311  # a lottery of tests


class Phone:
    """A device with its keys, and what it knows of both cards."""

    def __init__(self, person: "Person", identity: Identity, *, stolen: bool) -> None:
        connection = sqlite.connect(":memory:", isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        self.person = person
        self.identity = identity
        self.stolen = stolen
        self.connection = connection
        self.vault = Vault(connection)
        with self.vault.transaction():
            self.vault.create()
            self.vault.keep_identity(identity, seed=None)
        self.letters = Letters(self.vault, random=person.random)
        self.cards: dict[PersonId, Card] = {}
        self.shown: set[ItemId] = set()
        self.held = {identity.person_key.box.public}
        """Public halves of the person keys that it has."""

    @property
    def id(self) -> DeviceId:
        return self.identity.device.id

    @property
    def own(self) -> Card:
        return self.cards[self.person.id]

    @property
    def listed(self) -> bool:
        """Whether it believes to be on its person's card."""
        return self.own.device(self.id) is not None

    def learn(self) -> None:
        """Take the person keys that were sealed to this device, last the one on its card."""
        listing = [
            one.statement
            for one in (*self.own.known, *self.own.history)
            if any(entry.id == self.id for entry in one.statement.devices)
        ]
        with self.vault.transaction():
            for statement in listing:
                self.vault.keep_person_key(self.person.keys[statement.person_public])
                self.held.add(statement.person_public)

    def bundle(self) -> Bundle:
        with self.vault.transaction():
            prekeys = mint(self.vault, self.identity, counts={}, now=NOW, random=self.person.random)
        found = {one.kind: one for one in prekeys}
        return Bundle(
            self.identity.device.key,
            found[PrekeyKind.SIGNED],
            found[PrekeyKind.LAST_RESORT],
            found[PrekeyKind.ONE_TIME],
        )

    def open(self, sent: "Sent", body: bytes | None = None) -> Received | Refused:
        with self.vault.transaction():
            return self.letters.open(
                sent.letter.body if body is None else body,
                parcel=sent.letter.parcel,
                sender=self.cards[sent.author.person.id],
                own=self.own,
                now=NOW,
            )


class Person:
    """Somebody, with her root key, all devices she ever had, and all that was signed about her."""

    def __init__(self, name: str, random: Callable[[int], bytes]) -> None:
        self.random = random
        self.root = root_key(random(16))
        self.id = PersonId.of_root(bytes(self.root.verify_key))
        self.name = name
        self.phones: list[Phone] = []
        self.keys: dict[bytes, PersonKey] = {}
        self.statements: list[Signed] = []
        self.forged: list[Signed] = []
        self.ghosts: set[DeviceKey] = set()
        self.epoch = 1
        self.disputed = False
        """Whether a thief or a revocation makes a fork possible in this epoch."""

    @property
    def root_public(self) -> bytes:
        return bytes(self.root.verify_key)

    def new_key(self, generation: int) -> PersonKey:
        key = PersonKey.generate(generation, self.random)
        self.keys[key.box.public] = key
        return key

    def state(self, devices: Sequence[DeviceEntry], key: PersonKey) -> Signed:
        """Let the root say which devices there are."""
        statement = Statement(
            StatementKind.ROOT,
            self.root_public,
            epoch=self.epoch,
            seq=0,
            prev=NO_PREVIOUS,
            devices=in_order(devices),
            person_generation=key.generation,
            person_public=key.box.public,
            gateways=(),
            issued=int(NOW),
            expires=EXPIRES,
            signer=self.root_public,
        )
        return Signed.make(statement, self.root)

    @property
    def crowded(self) -> bool:
        """Whether this epoch has had enough statements."""
        return sum(one.statement.epoch == self.epoch for one in self.statements) >= MOST


@dataclass(frozen=True, slots=True)
class Sent:
    """A letter on its way, with what its author knew of whom it is for."""

    letter: SealedLetter
    author: Phone
    to: Person
    item: ItemId
    text: str
    devices: frozenset[DeviceId] = field(repr=False)
    """Those of the recipient on the card that it was sealed to."""
    person_public: bytes = field(repr=False)


def in_order(devices: Sequence[DeviceEntry]) -> tuple[DeviceEntry, ...]:
    return tuple(sorted(devices, key=lambda one: one.key.raw))


def entry_of(device: Device) -> DeviceEntry:
    return DeviceEntry(device.key, device.exchange.public, Role.PHONE)


def on_top(
    card: Card,
    devices: Sequence[DeviceEntry],
    signing: SigningKey,
    *,
    key: PersonKey | None = None,
    expires: int = EXPIRES,
) -> Signed:
    """Return a statement on top of a card, signed by whoever it may be."""
    before = card.newest.statement
    statement = replace(
        before,
        kind=StatementKind.DEVICE,
        seq=before.seq + 1,
        prev=card.newest.hash,
        devices=in_order(devices),
        person_generation=key.generation if key else card.person_generation,
        person_public=key.box.public if key else card.person_public,
        expires=expires,
        signer=bytes(signing.verify_key),
        next_root=None,
    )
    return Signed.make(statement, signing)


def settled(card: Card, statements: Sequence[Signed]) -> Card:
    """Tell everything again and again until nothing changes."""
    while True:
        before = card
        for one in statements:
            try:
                card, _ = card.take(one)
            except CardRejected:
                continue  # signed by a device that was no more where it put its statement
        if card == before:
            return card


NUMBER = st.integers(0, 1 << 16)


class World(RuleBasedStateMachine):
    """Ana and Ben, each other's contacts."""

    @initialize()
    def meet(self) -> None:
        self.random = dice()
        self.people = [Person(name, self.random) for name in ("ana", "ben")]
        self.letters: list[Sent] = []
        secret, transcript = self.random(32), self.random(32)
        for person in self.people:
            key = person.new_key(1)
            device = Device.generate(self.random)
            phone = Phone(person, Identity(person.id, device, key), stolen=False)
            person.statements.append(person.state([entry_of(device)], key))
            person.phones.append(phone)
        for person in self.people:
            phone = person.phones[0]
            with phone.vault.transaction():
                other = self.other(person)
                phone.vault.keep_pair_secret(
                    other.id, transcript=transcript, secret=secret, now=NOW
                )
                begun = other.statements[0].statement
                box = BoxKey(other.id, begun.person_generation, begun.person_public)
                phone.vault.keep_box(box, now=NOW)
            for one in self.people:
                phone.cards[one.id] = Card.begin(one.id, one.statements[0])
        self.secret, self.transcript = secret, transcript

    def other(self, person: Person) -> Person:
        return self.people[1 - self.people.index(person)]

    # What persons and thieves do to cards

    def _signer(self, who: int, by: int) -> tuple[Person, Phone] | None:
        person = pick(self.people, who)
        phone = pick(person.phones, by)
        phone.learn()
        able = phone.listed and phone.own.fork is None and not person.crowded
        return (person, phone) if able else None

    def _say(self, person: Person, phone: Phone, statement: Signed) -> None:
        person.statements.append(statement)
        phone.cards[person.id], verdict = phone.own.take(statement)
        assert verdict is Verdict.EXTENDED
        phone.learn()

    @rule(who=NUMBER, by=NUMBER)
    def add_a_device(self, who: int, by: int) -> None:
        found = self._signer(who, by)
        if found is None:
            return
        person, signer = found
        card = signer.own
        held = card.person_public in signer.held
        if not held or len(card.devices) >= MAX_DEVICES or len(person.phones) >= PHONES:
            return
        device = Device.generate(self.random)
        self._say(
            person,
            signer,
            on_top(card, [*card.devices, entry_of(device)], signer.identity.device.signing),
        )
        key = person.keys[card.person_public]
        phone = Phone(person, Identity(person.id, device, key), stolen=signer.stolen)
        phone.cards = dict(signer.cards)
        with phone.vault.transaction():
            phone.vault.keep_pair_secret(
                self.other(person).id, transcript=self.transcript, secret=self.secret, now=NOW
            )
            for box in signer.vault.boxes(self.other(person).id):
                phone.vault.keep_box(box, now=NOW)
        phone.learn()
        person.phones.append(phone)

    @rule(who=NUMBER, by=NUMBER, victim=NUMBER)
    def revoke_a_device(self, who: int, by: int, victim: int) -> None:
        found = self._signer(who, by)
        if found is None:
            return
        person, signer = found
        card, gone = signer.own, pick(signer.own.devices, victim)
        if gone.id == signer.id or len(card.devices) < 2:
            return
        person.disputed = True
        key = person.new_key(card.person_generation + 1)
        rest = [one for one in card.devices if one.id != gone.id]
        statement = on_top(card, rest, signer.identity.device.signing, key=key)
        self._say(person, signer, statement)

    @rule(who=NUMBER, which=NUMBER)
    def steal_a_device(self, who: int, which: int) -> None:
        pick(pick(self.people, who).phones, which).stolen = True

    @rule(who=NUMBER, by=NUMBER)
    def sign_twice_with_a_stolen_device(self, who: int, by: int) -> None:
        found = self._signer(who, by)
        if found is None or not found[1].stolen:
            return
        person, thief = found
        person.disputed = True
        card, signing = thief.own, thief.identity.device.signing
        for expires in (EXPIRES - 1, EXPIRES - 2):
            person.statements.append(on_top(card, card.devices, signing, expires=expires))

    @rule(who=NUMBER, kept=st.integers(1, (1 << PHONES) - 1))
    def state_with_the_root(self, who: int, kept: int) -> None:
        person = pick(self.people, who)
        honest = [phone for phone in person.phones if not phone.stolen]
        staying = [phone for place, phone in enumerate(honest) if kept >> place & 1]
        if not staying or person.epoch > MOST:
            return
        person.epoch += 1
        person.disputed = False
        generation = 1 + max(key.generation for key in person.keys.values())
        key = person.new_key(generation)
        devices = [entry_of(phone.identity.device) for phone in staying]
        person.statements.append(person.state(devices, key))

    @rule(who=NUMBER, by=NUMBER)
    def add_a_ghost(self, who: int, by: int) -> None:
        """The gateway adds a device of its own, in all the ways that it has (A1)."""
        person = pick(self.people, who)
        card, ghost = pick(person.phones, by).own, Device.generate(self.random)
        if len(card.devices) >= MAX_DEVICES:
            return
        person.ghosts.add(ghost.key)
        devices = [*card.devices, entry_of(ghost)]
        signed = on_top(card, devices, ghost.signing)
        first = replace(
            person.statements[0].statement,
            epoch=person.epoch + 1,
            devices=in_order([entry_of(ghost)]),
        )
        named = replace(first, root_key=ghost.key.raw, signer=ghost.key.raw)
        person.forged += [
            signed,
            replace(signed, signature=card.newest.signature),
            Signed(first, first.body(), bytes(64)),
            Signed.make(named, ghost.signing),
        ]

    # What gateways show

    @rule(who=NUMBER, whom=NUMBER, of=NUMBER, count=st.integers(1, 6), order=NUMBER)
    def show(self, who: int, whom: int, of: int, count: int, order: int) -> None:
        """Show some statements, in whatever order, to one device; the rest is withheld."""
        phone = pick(pick(self.people, who).phones, whom)
        person = pick(self.people, of)
        shown = Random(order).sample(  # noqa: S311  # a lottery of tests
            [*person.statements, *person.forged], k=min(count, len(person.statements))
        )
        for one in shown:
            before = phone.cards[person.id]
            try:
                phone.cards[person.id], verdict = before.take(one)
            except (CardRejected, NotSigned):
                continue
            assert verdict is not Verdict.ROLLBACK or phone.cards[person.id] == before
            assert phone.cards[person.id].position.epoch >= before.position.epoch
            if any(one is forged for forged in person.forged):
                assert phone.cards[person.id] == before

    @rule(who=NUMBER, whom=NUMBER)
    def show_everything(self, who: int, whom: int) -> None:
        phone = pick(pick(self.people, who).phones, whom)
        for person in self.people:
            phone.cards[person.id] = settled(phone.cards[person.id], person.statements)
            self._newest_root_counts(person, phone.cards[person.id])
        phone.learn()

    @rule(of=NUMBER, order=NUMBER)
    def compare_two_verifiers(self, of: int, order: int) -> None:
        """One rule gives one card, whatever the order; it may lead over earlier epochs or not."""
        person, cards = pick(self.people, of), []
        for lottery in (order, order + 1):
            told = list(person.statements)
            Random(lottery).shuffle(told)  # noqa: S311  # a lottery of tests
            cards.append(settled(Card.begin(person.id, person.statements[0]), told))
        assert cards[0] == cards[1]
        assert Card.restore(person.id, cards[0].kept) == cards[0]
        self._newest_root_counts(person, cards[0])

    def _newest_root_counts(self, person: Person, card: Card) -> None:
        assert card.position.epoch == person.epoch
        [root] = [
            one
            for one in person.statements
            if one.statement.epoch == person.epoch and one.statement.kind is StatementKind.ROOT
        ]
        assert card.history[0] == root

    # Letters

    @rule(who=NUMBER, by=NUMBER, lying=st.booleans())
    def write(self, who: int, by: int, lying: bool) -> None:
        person = pick(self.people, who)
        self._write(pick(person.phones, by), lying=lying)

    def _write(self, author: Phone, *, lying: bool) -> Sent | None:
        author.learn()
        to = self.other(author.person)
        card, text = author.cards[to.id], f"letter {len(self.letters)}"
        item = write_item(Letter(text), identity=author.identity, now=NOW, random=self.random)

        def seal(bundles: tuple[Bundle, ...]) -> SealedLetter:
            with author.vault.transaction():
                return author.letters.seal(item, to=card, own=author.own, now=NOW, bundles=bundles)

        try:
            letter = seal(())
        except NeedsBundles as needed:
            if not card.sealable():
                return None  # in the worst of forks it waits
            at = {phone.id: phone for phone in to.phones}
            if lying:
                self._lie(seal, [at[one] for one in needed.devices])
            letter = seal(tuple(at[one].bundle() for one in needed.devices))
        devices = frozenset(one.id for one in card.devices)
        self._look_at_packets(author, to, card, letter)
        sent = Sent(letter, author, to, item.id, text, devices, card.person_public)
        self.letters.append(sent)
        return sent

    def _lie(self, seal: Sealing, wanted: Sequence[Phone]) -> None:
        """Hand out prekeys that the wanted devices did not sign (A2)."""
        if not wanted:
            return
        victim, ghost = wanted[0].bundle(), Device.generate(self.random)
        other = Phone(
            wanted[0].person,
            Identity(wanted[0].person.id, ghost, wanted[0].identity.person_key),
            stolen=True,
        ).bundle()
        for wrong in (other, replace(other, device=victim.device), replace(victim, kem=other.kem)):
            try:
                seal((wrong,))
            except (NotSigned, NeedsBundles, WireError):
                continue
            raise AssertionError("it was sealed with prekeys that their device has not signed")

    def _look_at_packets(self, author: Phone, to: Person, card: Card, letter: SealedLetter) -> None:
        with author.vault.transaction():
            keys = list(Keyring(author.vault).pair_keys(card, own=author.own, now=NOW))
        envelope = open_envelope(
            letter.body, keys=keys, sender=author.person.id, recipient=to.id, parcel=letter.parcel
        )
        got = {packet.device for packet in envelope.packets}
        listed = {one.id for one in card.devices}
        mine = {one.id for one in author.own.devices} - {author.id}
        assert listed <= got <= listed | mine
        assert not got & {ghost.device for ghost in (*to.ghosts, *author.person.ghosts)}

    @rule(which=NUMBER, whom=NUMBER)
    def deliver(self, which: int, whom: int) -> None:
        """Bring a letter to one of the recipient's devices, for the first time or again."""
        if not self.letters:
            return
        sent = pick(self.letters, which)
        self._deliver(sent, pick(sent.to.phones, whom))

    def _deliver(self, sent: Sent, phone: Phone) -> Received | Refused:
        opened = phone.open(sent)
        if isinstance(opened, Refused):
            if sent.person_public not in phone.held:
                assert opened.code == NotForUs.code
            return opened
        assert phone.id in sent.devices, "it opens on a device that its author knew to be revoked"
        assert sent.person_public in phone.held
        assert phone.cards[sent.author.person.id].device(sent.author.id) is not None
        assert opened.item.item.content == Letter(sent.text)
        assert opened.item.id == sent.item
        assert sent.item not in phone.shown, "it is shown a second time"
        phone.shown.add(sent.item)
        return opened

    @rule(which=NUMBER, whom=NUMBER, place=NUMBER, bit=st.integers(0, 7))
    def alter(self, which: int, whom: int, place: int, bit: int) -> None:
        if not self.letters:
            return
        sent = pick(self.letters, which)
        body = bytearray(sent.letter.body)
        body[place % len(body)] ^= 1 << bit
        assert isinstance(pick(sent.to.phones, whom).open(sent, bytes(body)), Refused)

    @rule(which=NUMBER, whom=NUMBER)
    def bring_to_the_wrong_person(self, which: int, whom: int) -> None:
        """Back to its author, as if the recipient had written it (L4)."""
        if not self.letters:
            return
        sent = pick(self.letters, which)
        phone = pick(sent.author.person.phones, whom)
        with phone.vault.transaction():
            opened = phone.letters.open(
                sent.letter.body,
                parcel=sent.letter.parcel,
                sender=phone.cards[sent.to.id],
                own=phone.own,
                now=NOW,
            )
        assert isinstance(opened, Refused)

    @rule(who=NUMBER, by=NUMBER, whom=NUMBER)
    def talk(self, who: int, by: int, whom: int) -> None:
        """Where both know everything and nothing is in dispute, a letter arrives."""
        person = pick(self.people, who)
        author, reader = pick(person.phones, by), pick(self.other(person).phones, whom)
        for phone in (author, reader):
            for one in self.people:
                phone.cards[one.id] = settled(phone.cards[one.id], one.statements)
            phone.learn()
        if any(card.fork is not None for card in author.cards.values()):
            return
        if not (author.listed and reader.listed):
            return
        sent = self._write(author, lying=False)
        assert sent is not None
        opened = self._deliver(sent, reader)
        note(f"{opened}")
        assert isinstance(opened, Received)

    # What holds at all times

    @invariant()
    def no_ghost_is_on_any_card(self) -> None:
        for person in self.people:
            for phone in person.phones:
                for one in self.people:
                    card = phone.cards[one.id]
                    assert not one.ghosts & {entry.key for entry in card.devices}

    @invariant()
    def without_thief_and_revocation_nothing_is_disputed(self) -> None:
        for person in self.people:
            for phone in person.phones:
                for one in self.people:
                    card = phone.cards[one.id]
                    if not one.disputed and card.position.epoch == one.epoch:
                        assert card.fork is None
                        assert card.sealable()

    def teardown(self) -> None:
        for person in getattr(self, "people", ()):
            for phone in person.phones:
                phone.connection.close()
