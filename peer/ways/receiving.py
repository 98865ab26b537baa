"""What comes in: parcels opened, kept and shown once, and what their items ask of this phone.

    parcel -> whose lane -> opened -> its item is kept or obeyed -> the cursor moves on

All of that is one transaction for some parcels together; the gateway hears of it afterwards. After
a crash it sends again what was not acknowledged, and what was opened before is told by its number.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from peer import sqlite
from peer.devices.witness import Witness
from peer.items.kinds import (
    ArchiveHead,
    CardUpdate,
    Copy,
    GiveUp,
    Gone,
    HeadAsk,
    HeadTold,
    Heartbeat,
    Keeping,
    KeptShare,
    Lanes,
    Letter,
    Range,
    Rehearsal,
    Resend,
    Reset,
    Unknown,
)
from peer.keys.errors import KeysError
from peer.keys.letters import Letters, Received, Refused
from peer.keys.signed_items import read_item
from peer.me import Me
from peer.people.contacts import Contact, Contacts
from peer.people.freshness import Freshness
from peer.people.keepers import Keepers
from peer.people.lanes import Lanes as LaneBook
from peer.people.ourselves import is_own_lane, ourselves
from peer.store import Store
from peer.ways.outgoing import Outgoing
from wire.card import Position
from wire.errors import WireError
from wire.frames import NOWHERE, Cursor, Delivered, Hello
from wire.ids import CursorEpoch, GatewayId, ItemId, ParcelId, PersonId

TOGETHER: Final = 32
"""Parcels that are opened in one transaction; others who want the file wait some milliseconds."""
SILENT: Final = frozenset({"duplicate"})
"""Refusals that are no trouble: what came by another way, or again after a crash."""
BEGIN_AGAIN: Final = frozenset(
    {"session-unknown", "prekey-gone", "too-far-ahead", "number-repeated"}
)
"""Refusals after which only a new session helps; it is asked for once a day."""


NO_USE: Final = frozenset(
    {"unknown-version", "malformed", "wrong-author", "not-signed", "body-swapped"}
)
"""Refusals of what its author has made wrongly: sent again it would be no better."""


CARD_WANTED: Final = "card-wanted/"
"""Before a person's id: empty while her card is to be fetched, then when that was tried."""
CARD_EVERY: Final = 3600.0


class Came(Enum):
    """What a parcel turned out to be."""

    LETTER = auto()
    WORD = auto()
    """Something between the two phones that nobody has to see."""
    TROUBLE = auto()
    NOTHING = auto()
    NOT_YET = auto()
    """It comes from somebody who is being added just now: later."""
    NOT_KNOWN = auto()
    """It comes on a lane of which only another device of ours has told: once that was heard."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one parcel."""

    came: Came
    contact: Contact | None = None
    item: ItemId | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of the parcels of one frame."""

    taken: tuple[Taken, ...]
    upto: Cursor | None
    """What to acknowledge: up to here all is on our disk."""
    stopped: bool = False
    """Whether one has to wait, and with it those behind it."""
    learn: bool = False
    """Whether it waits for the state to be heard."""


_WAITS: Final = frozenset({Came.NOT_YET, Came.NOT_KNOWN})
"""What is not acknowledged, and comes again."""


class Receiving:
    """Everything that comes to this phone.

    Args:
        store: the phone's file.
        me: whose phone it is.
        outgoing: for what has to be answered.
        now: returns Unix seconds.
        at: the gateway whose mailbox it is; ours, if not said.
        asked: parcels on unknown lanes since which the state was asked for; None where it is not.

    Raises:
        NotPaired: there is none.
    """

    def __init__(
        self,
        store: Store,
        me: Me,
        outgoing: Outgoing,
        *,
        now: Callable[[], float],
        at: GatewayId | None = None,
        asked: set[ParcelId] | None = None,
    ) -> None:
        self._asked = asked
        self._store = store
        self._me = me
        self._outgoing = outgoing
        self._now = now
        self._letters = Letters(store.vault)
        self._contacts = Contacts(store.db)
        self._lanes = LaneBook(store.db)
        self._keepers = Keepers(store.db)
        self._witness = Witness(store, me, outgoing, now=now)
        self._at = me.needs_home().gateway if at is None else at

    def greet(self, hello: Hello) -> bool:
        """Take note of the gateway's epoch: after a reset everything is counted anew.

        Returns:
            whether the gateway has to be told everything again: it may be an older copy of itself.
        """
        before = self.cursor
        if not hello.reset and before.epoch == hello.epoch:
            return False
        older = before != NOWHERE and before.epoch != hello.epoch
        with self._store.transaction():
            self._me.forget_cursor(at=self._at)
            self._me.keep_cursor(Cursor.start(hello.epoch), at=self._at)
            if older and self._at == self._me.needs_home().gateway:
                self._me.furnish_anew()
                return True
        return False

    @property
    def cursor(self) -> Cursor:
        """How far the mailbox has been collected."""
        return self._me.cursor_at(self._at)

    def begin_anew(self) -> None:
        """Collect everything once more: the gateway does not know the cursor."""
        with self._store.transaction():
            self._me.forget_cursor(at=self._at)

    def take(self, parcels: Iterable[Delivered], epoch: CursorEpoch) -> Batch:
        """Open parcels in their order; stop before one that has to wait."""
        waiting, taken, upto = list(parcels), list[Taken](), None
        for start in range(0, len(waiting), TOGETHER):
            some = self._take(waiting[start : start + TOGETHER], epoch)
            taken += some.taken
            upto = some.upto or upto
            if some.stopped:
                return replace(some, taken=tuple(taken), upto=upto)
        return Batch(tuple(taken), upto)

    def _take(self, parcels: Sequence[Delivered], epoch: CursorEpoch) -> Batch:
        """Open some parcels in one transaction.

        One over which this program fails undoes nothing but itself: those before it are kept.
        """
        taken, upto = list[Taken](), None
        stopped: Came | None = None
        failed: Exception | None = None
        with self._store.transaction():
            for one in parcels:
                try:
                    with self._store.vault.all_or_nothing():
                        found = self._open(one)
                except sqlite.Error:
                    raise  # it may have undone the transaction
                except Exception as error:
                    failed = error
                    break
                if found.came in _WAITS:
                    stopped = found.came
                    break
                taken.append(found)
                upto = Cursor(epoch, one.seq, one.parcel.id)
            if any(one.came is Came.LETTER for one in taken):
                self._me.belongings.read_elsewhere()
            if upto is not None:
                self._me.keep_cursor(upto, at=self._at)
        if failed is not None:
            with self._store.transaction():  # which says it in words
                raise failed
        learn = stopped is Came.NOT_KNOWN
        return Batch(tuple(taken), upto, stopped=stopped is not None, learn=learn)

    def _open(self, delivered: Delivered) -> Taken:
        parcel = delivered.parcel
        person = self._lanes.giver_of(parcel.lane, at=self._at)
        own = person is None and is_own_lane(self._me, parcel.lane, at=self._at)
        if own:
            person = self._me.person
        contact = None if person is None else self._contacts.of(person)
        if own:
            contact = ourselves(self._me)
        if contact is None:
            if person is not None and self._being_added(person):
                return Taken(Came.NOT_YET)
            return Taken(Came.NOT_KNOWN if self._may_be_learned(parcel.id) else Came.NOTHING)
        if contact.blocked:
            return Taken(Came.NOTHING)
        opened = self._letters.open(
            parcel.body,
            parcel=parcel.id,
            sender=contact.card,
            own=self._me.card,
            now=self._now(),
        )
        if isinstance(opened, Refused):
            if self._waits_for_card(contact, opened):
                return Taken(Came.NOT_YET, contact)
            return self._refused(contact, opened, delivered)
        self._lanes.used(contact.person, parcel.lane, at=self._at, now=self._now())
        return self._received(contact, opened)

    def _waits_for_card(self, contact: Contact, refused: Refused) -> bool:
        """Return whether to fetch a contact's card first: she may have come back with a new device.

        Only her own gateway can tell then. It is asked once an hour; what comes meanwhile from a
        device that nobody knows is refused.
        """
        theirs, held = refused.theirs, contact.card.position
        if refused.code != "device-unknown" or theirs is None:
            return False
        if (theirs.epoch, theirs.seq) <= (held.epoch, held.seq):
            return False
        name = CARD_WANTED + contact.person.text
        asked = self._store.note(name)
        if asked is not None and 0 <= self._now() - int.from_bytes(asked, "big") < CARD_EVERY:
            return False
        self._store.keep_note(name, b"")
        return True

    def _refused(self, contact: Contact, refused: Refused, delivered: Delivered) -> Taken:
        if refused.code in SILENT:
            return Taken(Came.NOTHING, contact)
        if refused.code == "not-for-us" and refused.device is not None:
            return Taken(Came.NOTHING, contact)  # sealed before this device was there: asked for
        if contact.person == self._me.person:
            return Taken(Came.NOTHING, contact)  # the archive has it
        self._store.db.execute(
            "INSERT INTO trouble (person, parcel, code, came) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (contact.person.raw, delivered.parcel.id.raw, refused.code, self._now()),
        )
        if refused.code in NO_USE and refused.device is not None and refused.number is not None:
            gone = Gone(refused.device, (Range(refused.number, refused.number),))
            self._letters.take_gone(contact.person, gone)
        if refused.code in BEGIN_AGAIN and refused.device is not None:
            repeated = [refused.number] if refused.number is not None else []
            reset = self._letters.ask_reset(
                contact.card,
                refused.device,
                repeated=repeated if refused.code == "number-repeated" else (),
                now=self._now(),
            )
            if reset is not None:
                self._outgoing.put(contact, reset)
        return Taken(Came.TROUBLE, contact, code=refused.code)

    def _received(self, contact: Contact, received: Received) -> Taken:
        taken = self._obey(contact, received)
        if contact.person == self._me.person:
            return taken
        ours = self._me.card.position
        if received.ours != ours and (received.ours.epoch, received.ours.seq) <= (
            ours.epoch,
            ours.seq,
        ):
            self._outgoing.tell_card(contact)
        asks = self._compare_cards(contact.person, received.theirs)
        if (received.heartbeat_due or asks) and not self._outgoing.waits_for(contact):
            self._outgoing.put(contact, Heartbeat())
        return taken

    def _compare_cards(self, person: PersonId, theirs: Position) -> bool:
        """Return whether to ask for a card that we lack: somebody may be withholding it.

        Their device says where its card stands. What we send then says where we see it, and is
        answered with the card.
        """
        contact, name = self._contacts.of(person), f"behind/{person.text}"
        if contact is None:
            return False
        held, before = contact.card.position, self._store.note(name)
        lacking = theirs != held and (theirs.epoch, theirs.seq) >= (held.epoch, held.seq)
        if not lacking:
            if before is not None:
                self._store.keep_note(name, None)
            return False
        self._store.keep_note(name, theirs.hash)
        return before != theirs.hash

    def _obey(self, contact: Contact, received: Received) -> Taken:
        item = received.item
        match item.item.content:
            case Letter() | Unknown():
                self._store.db.execute(
                    "INSERT INTO item VALUES (?, ?) ON CONFLICT DO NOTHING", (item.id.raw, item.raw)
                )
                added = self._store.db.execute(
                    "INSERT INTO letter (item, person, outgoing, written, came, device, counted)"
                    " VALUES (?, ?, 0, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (
                        item.id.raw,
                        contact.person.raw,
                        item.item.seconds,
                        self._now(),
                        received.device.raw,
                        received.again or received.number,
                    ),
                ).rowcount
                return Taken(Came.LETTER if added else Came.NOTHING, contact, item.id)
            case Resend() as resend:
                self._outgoing.answer(contact, resend)
            case Gone() as gone:
                self._letters.take_gone(contact.person, gone)
            case CardUpdate(statements, fresh):
                if contact.person == self._me.person:
                    self._me.take_statements(statements)
                    return Taken(Came.WORD, contact)
                card = self._contacts.take_statements(contact, statements)
                Freshness(self._store, self._me, now=self._now).take(card, fresh)
            case Lanes(lanes):
                self._lanes.take(contact.person, lanes)
            case Reset() as reset:
                obeyed = self._letters.obey_reset(
                    contact.card, received.device, reset, now=self._now()
                )
                if obeyed:
                    self._outgoing.answer(contact, Resend(reset.device, reset.ranges))
            case KeptShare() as share:
                self._outgoing.put(
                    contact, self._keepers.keep(contact.person, share, now=self._now())
                )
            case Keeping() as keeping:
                self._keepers.heard(contact.person, keeping, now=self._now())
            case Rehearsal() as rehearsal:
                self._keepers.asked(contact.person, rehearsal)
            case GiveUp(of):
                self._keepers.erase(contact.person, of=of)
                self._keepers.given_up(contact.person, of, now=self._now())
            case ArchiveHead(head):
                self._witness.take(contact, head, said=item.item.time)
            case HeadAsk():
                self._witness.answer(contact)
            case HeadTold(head, statements):
                self._witness.hear(contact, head, statements)
            case Copy(person, raw) if contact.person == self._me.person:
                return self._take_copy(person, raw, received)
            case Heartbeat() | Copy():
                pass
        return Taken(Came.WORD, contact)

    def _may_be_learned(self, parcel: ParcelId) -> bool:
        """Return whether another device of ours may have told of its lane since we last heard."""
        alone = len(self._me.card.devices) == 1 and self._me.belongings.has_begun()
        if alone or self._asked is None or parcel in self._asked:
            return False
        self._asked.add(parcel)
        return True

    def _take_copy(self, person: PersonId, raw: bytes, received: Received) -> Taken:
        """Keep a letter that another device of ours has sent."""
        try:
            item = read_item(raw, card=self._me.card)
        except (KeysError, WireError):
            return Taken(Came.NOTHING)
        if not isinstance(item.item.content, Letter | Unknown):
            return Taken(Came.NOTHING)
        self._store.db.execute(
            "INSERT INTO item VALUES (?, ?) ON CONFLICT DO NOTHING", (item.id.raw, item.raw)
        )
        self._store.db.execute(
            "INSERT INTO letter (item, person, outgoing, written, came, shown, device)"
            " VALUES (?, ?, 1, ?, ?, 1, ?) ON CONFLICT DO NOTHING",
            (item.id.raw, person.raw, item.item.seconds, self._now(), received.device.raw),
        )
        return Taken(Came.WORD)

    def _being_added(self, person: PersonId) -> bool:
        row = self._store.db.execute(
            "SELECT 1 FROM exchange WHERE person = ? AND expires > ?", (person.raw, self._now())
        ).fetchone()
        return row is not None
