"""The card: a person's signed list of devices and gateways, and how a new statement joins it.

    statement arriving                      what counts afterwards            verdict
    --------------------------------------  --------------------------------  ---------
    root, a higher epoch                    the new one alone; forks end      EXTENDED
    device, on top of the newest            the chain with it                 EXTENDED
    the same bytes as one we hold           as before                         KNOWN
    an epoch that is over                   as before                         ROLLBACK
    on top of one we do not hold            as before; ask for what is        GAP
                                            missing
    another one on top of the same          the side that revokes a signer    KEPT or
    statement                               of the other, else the one that   REPLACED
                                            revokes, else the lower hash
    the same, by one signer, or each side   what nobody disputes, until a     FORKED
    revokes a signer of the other; or a     root statement of a higher epoch
    second root statement in one epoch

A side is a statement and all that stands on it: a device that was revoked later cannot undo that
with a statement at an earlier place. All statements of the epoch are kept, also those that do not
count, and what counts is computed from the set of them; therefore the order in which they arrive
does not matter.

A person is a root key; the root signs rarely and beats everything. Devices sign the rest, so that a
card can change while the root's private half lies in a drawer (docs/protocol.md §10.1, §10.2).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from nacl.signing import SigningKey

from wire.codec import encode
from wire.errors import CardRejected
from wire.fields import Fields
from wire.ids import DeviceId, PersonId
from wire.rivals import Tree, revoked
from wire.signing import SIGNATURE_BYTES, sign, verify
from wire.statements import (
    CARD_SECONDS,
    MAX_CHAIN,
    MAX_DEVICES,
    MAX_NUMBER,
    MAX_PLACE,
    MAX_STATEMENT,
    NO_PREVIOUS,
    DeviceEntry,
    GatewayEntry,
    Role,
    Signed,
    Statement,
    StatementKind,
    check_exchange_key,
)

__all__ = [
    "CARD_SECONDS",
    "MAX_CHAIN",
    "MAX_DEVICES",
    "MAX_PLACE",
    "MAX_STATEMENT",
    "NO_PREVIOUS",
    "Card",
    "DeviceEntry",
    "FreshnessNote",
    "GatewayEntry",
    "Position",
    "Role",
    "Signed",
    "Statement",
    "StatementKind",
    "Verdict",
    "check_exchange_key",
]

MAX_KEPT: Final = 128
"""Statements of one epoch that are kept, counting or not: who disputes without end is cut short.
What stands on top of the newest is taken beyond that, up to the length of a chain."""


class Verdict(Enum):
    """What became of a statement; the table above says when."""

    EXTENDED = auto()
    KNOWN = auto()
    ROLLBACK = auto()
    GAP = auto()
    KEPT = auto()
    REPLACED = auto()
    FORKED = auto()


@dataclass(frozen=True, slots=True)
class Position:
    """Where a card stands; what contacts tell each other to notice a split view."""

    epoch: int
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Card:
    """A card as one verifier holds it: `take` gives the next one.

    Attributes:
        person: whose it is.
        roots: earlier root statements that named the root now in force.
        known: every statement of this epoch that we hold, by number and hash.
        history: those that count, the root statement first; in a fork, those before it.
        fork: two statements that cannot both be honest, until a root statement ends it.
    """

    person: PersonId
    roots: tuple[Signed, ...]
    known: tuple[Signed, ...]
    history: tuple[Signed, ...] = field(init=False)
    fork: tuple[Signed, Signed] | None = field(init=False)
    devices: tuple[DeviceEntry, ...] = field(init=False)
    """The active devices: those of the newest statement, in a fork those that no side disputes."""

    def __post_init__(self) -> None:
        tree = Tree(self.known)
        forks = list(tree.forks())
        history = tuple(tree.counting())
        devices = history[-1].statement.devices
        for group in (group for group, _ in forks):
            for one in tree.below(group):
                devices = tuple(entry for entry in devices if _has(one.statement, entry))
        object.__setattr__(self, "history", history)
        object.__setattr__(self, "fork", forks[0][1] if forks else None)
        object.__setattr__(self, "devices", devices)

    @classmethod
    def begin(cls, person: PersonId, first: Signed) -> "Card":
        """Begin with a root statement.

        Raises:
            CardRejected: not a root statement of this person's first root.
            NotSigned: the signature does not fit.
        """
        if first.statement.kind is not StatementKind.ROOT:
            raise CardRejected("a chain begins with a root statement")
        if PersonId.of_root(first.statement.root_key) != person:
            raise CardRejected("it is another person’s")
        first.verify()
        return cls(person, (), (first,))

    @classmethod
    def follow(cls, person: PersonId, chain: Sequence[bytes]) -> "Card":
        """Verify a whole chain as it was handed out.

        Raises:
            WireError: it is no unbroken chain of this person.
        """
        if not 1 <= len(chain) <= MAX_CHAIN:
            raise CardRejected(f"a chain has 1 to {MAX_CHAIN} statements")
        card = cls.begin(person, Signed.decode(chain[0]))
        above: list[Signed] = []
        for data in chain[1:]:
            signed = Signed.decode(data)
            if card._on_top(signed, above):
                above.append(signed)
                continue
            card, verdict = card._with(above).take(signed)
            if verdict is not Verdict.EXTENDED:
                raise CardRejected(f"the chain is broken: {verdict.name.lower()}")
            above = []
        return card._with(above)

    @classmethod
    def restore(cls, person: PersonId, kept: Sequence[bytes]) -> "Card":
        """Return the card of which `kept` was put away, disputes and all.

        Raises:
            WireError: it was not kept as it was given.
        """
        if not kept:
            raise CardRejected("nothing was kept")
        card = cls.begin(person, Signed.decode(kept[0]))
        above: list[Signed] = []
        for data in kept[1:]:
            signed = Signed.decode(data)
            if card._on_top(signed, above):
                above.append(signed)
                continue
            card, above = card._with(above), []
            if signed.statement.epoch > card.position.epoch:
                card, _ = card.take(signed)
            else:
                card._check_place(signed)  # without the bounds, which depend on the order
                card = cls(person, card.roots, _in_order((*card.known, signed)))
        card = card._with(above)
        if len(set(kept)) != len(kept) or card.kept != tuple(kept):
            raise CardRejected("this is not what was kept")
        return card

    @property
    def chain(self) -> tuple[bytes, ...]:
        """What somebody who knows only the person id needs to verify this card."""
        return tuple(one.encode() for one in (*self.roots, *self.history))

    @property
    def kept(self) -> tuple[bytes, ...]:
        """What to put away for `restore`: a fork must outlive a restart."""
        return tuple(one.encode() for one in (*self.roots, *self.known))

    @property
    def newest(self) -> Signed:
        """The newest statement that counts."""
        return self.history[-1]

    @property
    def position(self) -> Position:
        """Where the card stands."""
        statement = self.newest.statement
        return Position(statement.epoch, statement.seq, self.newest.hash)

    @property
    def root_key(self) -> bytes:
        """The root key in force (32 bytes)."""
        return _root_after(self.history[0].statement)

    @property
    def gateways(self) -> tuple[GatewayEntry, ...]:
        """The gateways of the newest statement, the preferred one first."""
        return self.newest.statement.gateways

    @property
    def person_generation(self) -> int:
        """Which person key is in force."""
        return self.newest.statement.person_generation

    @property
    def person_public(self) -> bytes:
        """The person key in force (X25519, 32 bytes)."""
        return self.newest.statement.person_public

    def device(self, wanted: DeviceId) -> DeviceEntry | None:
        """Return the active device with this id."""
        return next((one for one in self.devices if one.id == wanted), None)

    def sealable(self) -> tuple[DeviceEntry, ...]:
        """Return the devices that may be sealed to; none in the worst of forks: then wait."""
        return self.devices

    def stale(self, now: float, *, note: "FreshnessNote | None" = None) -> bool:
        """Return whether the newest statement is older than it, or a verified note, says."""
        expires = self.newest.statement.expires
        if note is not None and note.position == self.position:
            expires = max(expires, note.expires)
        return now > expires

    def take(self, signed: Signed) -> tuple["Card", Verdict]:
        """Judge one more statement; return the card that counts from now on.

        Raises:
            CardRejected: it could not stand there whatever else is true, or too much is disputed.
            NotSigned: the signature does not fit.
        """
        if any(signed.body == one.body for one in self.known):
            return self, Verdict.KNOWN
        if signed.statement.epoch < self.position.epoch:
            return self, Verdict.ROLLBACK
        signed.verify()
        if signed.statement.kind is StatementKind.ROOT:
            return self._take_root(signed)
        return self._take_device(signed)

    def _take_root(self, signed: Signed) -> tuple["Card", Verdict]:
        statement, epoch = signed.statement, self.position.epoch
        if statement.epoch == epoch:
            self._check_place(signed)
            return self._keep(signed)
        begins = [one for one in self.known if one.statement.kind is StatementKind.ROOT]
        before = [one for one in begins if _root_after(one.statement) == statement.root_key]
        if not before and statement.epoch > epoch + 1:
            return self, Verdict.GAP  # one that we have not seen may have named this root
        if not before:
            raise CardRejected("it is not signed by the root in force")
        named = before[0].statement.next_root is not None
        roots = (*self.roots, before[0]) if named else self.roots
        if len(roots) >= MAX_CHAIN:
            raise CardRejected("the chain is full")
        return Card(self.person, roots, (signed,)), Verdict.EXTENDED

    def _take_device(self, signed: Signed) -> tuple["Card", Verdict]:
        if signed.statement.epoch > self.position.epoch or self._before(signed) is None:
            return self, Verdict.GAP
        self._check_place(signed)
        return self._keep(signed)

    def _on_top(self, signed: Signed, above: Sequence[Signed]) -> bool:
        """Return whether a verified statement continues a card of one line, with those `above` it.

        A chain is read link by link; to weigh rivals after each would cost its length squared.

        Raises:
            CardRejected: it stands there, and may not.
        """
        last = above[-1] if above else self.known[-1]
        one_line = len(self.known) == len(self.history)
        after = signed.statement
        if not one_line or after.prev != last.hash or after.epoch != last.statement.epoch:
            return False
        if after.kind is StatementKind.ROOT:
            return False
        self._check_step(last, signed)
        return True

    def _with(self, above: Sequence[Signed]) -> "Card":
        return Card(self.person, self.roots, (*self.known, *above)) if above else self

    def _before(self, signed: Signed) -> Signed | None:
        return next((one for one in self.known if one.hash == signed.statement.prev), None)

    def _check_place(self, signed: Signed) -> None:
        """Refuse a statement of this epoch that could stand nowhere in it."""
        if signed.statement.kind is StatementKind.ROOT:
            if signed.statement.root_key != self.history[0].statement.root_key:
                raise CardRejected("it is not signed by the root in force")
            return
        before = self._before(signed)
        if before is None:
            raise CardRejected("it stands on nothing")
        self._check_step(before, signed)

    def _check_step(self, before: Signed, signed: Signed) -> None:
        _check_step(before.statement, signed.statement)
        if len(self.roots) + signed.statement.seq >= MAX_CHAIN:
            raise CardRejected("the chain is full; a root statement begins a new one")

    def _keep(self, signed: Signed) -> tuple["Card", Verdict]:
        on_top = self.fork is None and signed.statement.prev == self.newest.hash
        if len(self.known) >= MAX_KEPT and not on_top:
            raise CardRejected("too much is disputed; a root statement ends it")
        card = Card(self.person, self.roots, _in_order((*self.known, signed)))
        if card.fork is not None:
            return card, Verdict.FORKED
        if card.history == (*self.history, signed):
            return card, Verdict.EXTENDED
        return card, Verdict.KEPT if card.history == self.history else Verdict.REPLACED


def _in_order(statements: Iterable[Signed]) -> tuple[Signed, ...]:
    return tuple(sorted(statements, key=lambda one: (one.statement.seq, one.hash)))


def _check_step(before: Statement, after: Statement) -> None:
    """Refuse a device statement that may not stand on `before`, whatever else is true.

    Raises:
        CardRejected: why not.
    """
    kept = {one.key.raw: one.exchange_key for one in before.devices}
    if after.seq != before.seq + 1:
        raise CardRejected("its number does not follow")
    if after.signer not in kept:
        raise CardRejected("its signer is no active device")
    if after.root_key != _root_after(before):
        raise CardRejected("only the root may change the root")
    if any(kept.get(one.key.raw, one.exchange_key) != one.exchange_key for one in after.devices):
        raise CardRejected("a device has another exchange key than before")
    if after.person_generation < before.person_generation:
        raise CardRejected("its person key is older")
    same_key = after.person_public == before.person_public
    if (after.person_generation == before.person_generation) != same_key:
        raise CardRejected("a person key and its generation change together")
    if same_key and revoked(after, before=before):
        raise CardRejected("it revokes a device and keeps the person key")


def _root_after(statement: Statement) -> bytes:
    return statement.next_root or statement.root_key


def _has(statement: Statement, entry: DeviceEntry) -> bool:
    return any(
        one.key == entry.key and one.exchange_key == entry.exchange_key for one in statement.devices
    )


@dataclass(frozen=True, slots=True)
class FreshnessNote:
    """An active device says that the card still stands as it is, and until when."""

    position: Position
    expires: int
    signer: bytes
    signature: bytes

    LIMIT = 512

    @classmethod
    def make(cls, card: Card, key: SigningKey, *, expires: int) -> "FreshnessNote":
        """Prolong `card` until `expires` (Unix seconds) as the device that holds `key`."""
        position, signer = card.position, bytes(key.verify_key)
        body = _note_body(card.person, position, expires)
        return cls(position, expires, signer, sign(key, "freshness-note", body))

    def verify(self, card: Card) -> None:
        """Check that it speaks of `card` as it stands and that an active device signed it.

        Raises:
            CardRejected: another position, or no active device.
            NotSigned: the signature does not fit.
        """
        if self.position != card.position:
            raise CardRejected("the note speaks of another statement")
        if not any(one.key.raw == self.signer for one in card.devices):
            raise CardRejected("its signer is no active device")
        body = _note_body(card.person, self.position, self.expires)
        verify(self.signer, "freshness-note", body=body, signature=self.signature)

    def encode(self) -> bytes:
        """Return the message."""
        where = self.position
        return encode(
            {
                0: 1,
                1: where.epoch,
                2: where.seq,
                3: where.hash,
                4: self.expires,
                5: self.signer,
                6: self.signature,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "FreshnessNote":
        """Read the message; the signature is not checked here.

        Raises:
            WireError: not a note of this version.
        """
        fields = Fields.read(data, limit=cls.LIMIT, what="freshness note")
        fields.version(0, known=1)
        epoch = fields.integer(1, low=1, high=MAX_NUMBER)
        position = Position(
            epoch, fields.integer(2, low=0, high=MAX_NUMBER), fields.raw(3, size=32)
        )
        note = cls(
            position,
            fields.integer(4, low=0, high=MAX_NUMBER),
            fields.raw(5, size=32),
            fields.raw(6, size=SIGNATURE_BYTES),
        )
        fields.end()
        return note


def _note_body(person: PersonId, position: Position, expires: int) -> bytes:
    return encode([1, person.raw, position.epoch, position.seq, position.hash, expires])
