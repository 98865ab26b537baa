"""What comes in: parcels opened, kept and shown once, and what their items ask of this phone.

    parcel -> whose lane -> opened -> its item is kept or obeyed -> the cursor moves on

All of that is one transaction for each parcel; the gateway hears of it afterwards. After a crash it
sends again what was not acknowledged, and what was opened before is told by its number.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from peer.items.kinds import (
    CardUpdate,
    Gone,
    Heartbeat,
    Lanes,
    Letter,
    Resend,
    Reset,
    Unknown,
)
from peer.keys.letters import Letters, Received, Refused
from peer.me import Me
from peer.people.contacts import Contact, Contacts
from peer.people.lanes import Lanes as LaneBook
from peer.store import Store
from peer.ways.outgoing import Outgoing
from wire.codec import encode
from wire.frames import Cursor, Delivered, Hello
from wire.ids import CursorEpoch, ItemId, PersonId

ASK_AGAIN: Final = 3600.0
"""Seconds before the same missing letters are asked for once more."""
SILENT: Final = frozenset({"duplicate"})
"""Refusals that are no trouble: what came by another way, or again after a crash."""
BEGIN_AGAIN: Final = frozenset(
    {"session-unknown", "prekey-gone", "too-far-ahead", "number-repeated"}
)
"""Refusals after which only a new session helps; it is asked for once a day."""


class Came(Enum):
    """What a parcel turned out to be."""

    LETTER = auto()
    WORD = auto()
    """Something between the two phones that nobody has to see."""
    TROUBLE = auto()
    NOTHING = auto()
    NOT_YET = auto()
    """It comes from somebody who is being added just now: later."""


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


class Receiving:
    """Everything that comes to this phone.

    Args:
        store: the phone's file.
        me: whose phone it is.
        outgoing: for what has to be answered.
        now: returns Unix seconds.
    """

    def __init__(
        self, store: Store, me: Me, outgoing: Outgoing, *, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._me = me
        self._outgoing = outgoing
        self._now = now
        self._letters = Letters(store.vault)
        self._contacts = Contacts(store.db)
        self._lanes = LaneBook(store.db)
        self._missed: dict[PersonId, tuple[float, bytes]] = {}

    def greet(self, hello: Hello) -> None:
        """Take note of the gateway's epoch: after a reset everything is counted anew."""
        if hello.reset or self._me.cursor.epoch != hello.epoch:
            with self._store.transaction():
                self._me.forget_cursor()
                self._me.keep_cursor(Cursor.start(hello.epoch))

    def take(self, parcels: Iterable[Delivered], epoch: CursorEpoch) -> Batch:
        """Open parcels in their order; stop before one that has to wait."""
        taken, upto = list[Taken](), None
        for one in parcels:
            found = self._take(one, epoch)
            if found.came is Came.NOT_YET:
                return Batch(tuple(taken), upto, stopped=True)
            taken.append(found)
            upto = Cursor(epoch, one.seq, one.parcel.id)
        return Batch(tuple(taken), upto)

    def _take(self, delivered: Delivered, epoch: CursorEpoch) -> Taken:
        with self._store.transaction():
            found = self._open(delivered)
            if found.came is not Came.NOT_YET:
                self._me.keep_cursor(Cursor(epoch, delivered.seq, delivered.parcel.id))
        return found

    def _open(self, delivered: Delivered) -> Taken:
        parcel = delivered.parcel
        person = self._lanes.giver_of(parcel.lane)
        if person is None:
            return Taken(Came.NOTHING)
        contact = self._contacts.of(person)
        if contact is None:
            return Taken(Came.NOT_YET if self._being_added(person) else Came.NOTHING)
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
            return self._refused(contact, opened, delivered)
        return self._received(contact, opened)

    def _refused(self, contact: Contact, refused: Refused, delivered: Delivered) -> Taken:
        if refused.code in SILENT:
            return Taken(Came.NOTHING, contact)
        self._store.db.execute(
            "INSERT INTO trouble (person, parcel, code, came) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (contact.person.raw, delivered.parcel.id.raw, refused.code, self._now()),
        )
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
        ours = self._me.card.position
        if (received.ours.epoch, received.ours.seq) < (ours.epoch, ours.seq):
            self._outgoing.tell_card(contact)
        if received.heartbeat_due:
            self._outgoing.put(contact, Heartbeat())
        return taken

    def _obey(self, contact: Contact, received: Received) -> Taken:
        item = received.item
        match item.item.content:
            case Letter() | Unknown():
                self._store.db.execute(
                    "INSERT INTO item VALUES (?, ?) ON CONFLICT DO NOTHING", (item.id.raw, item.raw)
                )
                added = self._store.db.execute(
                    "INSERT INTO letter (item, person, outgoing, written, came)"
                    " VALUES (?, ?, 0, ?, ?) ON CONFLICT DO NOTHING",
                    (item.id.raw, contact.person.raw, item.item.seconds, self._now()),
                ).rowcount
                return Taken(Came.LETTER if added else Came.NOTHING, contact, item.id)
            case Resend() as resend:
                self._outgoing.answer(contact, resend)
            case Gone() as gone:
                self._letters.take_gone(contact.person, gone)
            case CardUpdate(statements):
                self._contacts.take_statements(contact, statements)
            case Lanes(lanes):
                self._lanes.take(contact.person, lanes)
            case Reset() as reset:
                obeyed = self._letters.obey_reset(
                    contact.card, received.device, reset, now=self._now()
                )
                if obeyed:
                    self._outgoing.answer(contact, Resend(reset.device, reset.ranges))
            case Heartbeat():
                pass
        return Taken(Came.WORD, contact)

    def _being_added(self, person: PersonId) -> bool:
        row = self._store.db.execute(
            "SELECT 1 FROM exchange WHERE person = ? AND expires > ?", (person.raw, self._now())
        ).fetchone()
        return row is not None

    # What did not come

    def missing(self) -> dict[PersonId, int]:
        """Return how many letters of each contact are known to be missing."""
        found = {}
        for contact in self._contacts.all():
            count = sum(
                one.last - one.first + 1
                for resend in self._letters.missing(contact.person)
                for one in resend.ranges
            )
            if count:
                found[contact.person] = count
        return found

    def ask_for_missing(self, *, after: float = 0.0) -> None:
        """Ask for what is missing, once for each set of letters and again after an hour.

        Args:
            after: seconds that it must have been missing; letters that several commands send at
                once come in any order.
        """
        now = self._now()
        for contact in self._contacts.all():
            wanted = () if contact.blocked else self._letters.missing(contact.person)
            mark = _mark(wanted) if wanted else b""
            if self._is_time(contact, mark, now=now, after=after):
                with self._store.transaction() as db:
                    db.execute(
                        "UPDATE contact SET asked = ?, asked_for = ? WHERE person = ?",
                        (now, mark, contact.person.raw),
                    )
                    for resend in wanted:
                        self._outgoing.put(contact, resend)

    def _is_time(self, contact: Contact, mark: bytes, *, now: float, after: float) -> bool:
        if not mark:
            self._missed.pop(contact.person, None)
            return False
        since, seen = self._missed.get(contact.person, (now, b""))
        if seen != mark:
            self._missed[contact.person] = since, _ = now, mark
        asked, asked_for = self._store.db.execute(
            "SELECT asked, asked_for FROM contact WHERE person = ?", (contact.person.raw,)
        ).fetchone()
        if bytes(asked_for) == mark and 0 <= now - asked < ASK_AGAIN:
            return False
        return not 0 <= now - since < after


def _mark(wanted: tuple[Resend, ...]) -> bytes:
    said = encode(
        [[one.device.raw, [[range_.first, range_.last] for range_ in one.ranges]] for one in wanted]
    )
    return hashlib.blake2b(said, digest_size=16).digest()
