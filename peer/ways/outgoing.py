"""Items on their way out, as rows: written, sealed, claimed, stored somewhere or given up.

    written   signed and stored; the command may end here, and nothing is lost
    sealed    a parcel with a number: at once, or when prekeys for a new session could be fetched
    claimed   one process tries it; the others leave it alone until the claim is over
    stored    on the disk of a gateway of the recipient, and kept for thirty days more: whoever
              misses it asks by its number
    given up  kept as a letter, with the reason

Everything here that writes wants an open transaction (docs/protocol.md §4.5, §8.5).
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from peer.items.kinds import CardUpdate, Content, Copy, Gone, Letter, Range, Resend
from peer.keys.errors import KeysError, TooLarge
from peer.keys.letters import Letters
from peer.keys.signed_items import SignedItem, read_item, write_item
from peer.me import Me
from peer.people.contacts import Contact, Contacts
from peer.people.freshness import Freshness
from peer.people.ourselves import has_others, ourselves
from peer.store import Store
from peer.ways.outbox import KEEP_SECONDS
from wire.ids import GatewayId, ItemId, ParcelId, PersonId
from wire.kdf import hash32
from wire.lanes import Lane, LaneClass
from wire.parcel import Lifetime, Parcel
from wire.prekeys import Bundle

CLAIM_SECONDS: Final = 60.0
"""How long one process has an item to itself; longer than a try takes, short after a crash."""
MAX_RESENT: Final = 256
"""Items sent again to one contact in a day: whoever asks without end costs us no more."""
MAX_AGAIN: Final = 4
"""How often one item is sent to somebody, counting the first time; then it is gone."""
RESENT_SECONDS: Final = 86_400.0
MAX_GONE: Final = 64
CLOCKS_DIFFER: Final = 600.0
"""Seconds that another phone's clock may be ahead and be followed; no liar sets ours further."""
TICK: Final = 0.001
"""Seconds between two letters: the unit in which their time is written."""
MIN_TRIES: Final = 10
"""Tries before something is given up for its age: a clock that jumps a month has not tried."""
_SECRET_BYTES: Final = 32
_COLUMNS: Final = "number, person, item, class, again, parcel, purge, body, tries"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a parcel is made of, wherever it goes."""

    parcel: ParcelId
    purge: bytes = field(repr=False)
    body: bytes = field(repr=False)

    def on(self, lane: Lane) -> Parcel:
        """Return the parcel for a lane."""
        purge = hash32("purge", self.purge)
        return Parcel(lane.id, self.parcel, Lifetime.MONTH, purge, self.body)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An item that waits here."""

    number: int
    person: PersonId
    item: ItemId
    kind: LaneClass
    again: int
    tries: int
    sealed: Sealed | None


class Outgoing:
    """All that this phone has to send.

    Args:
        store: the phone's file.
        me: whose phone it is.
        now: returns Unix seconds.
    """

    def __init__(self, store: Store, me: Me, *, now: Callable[[], float]) -> None:
        self._store = store
        self._me = me
        self._now = now
        self._claimer = secrets.token_bytes(8)
        self._letters = Letters(store.vault)
        self._contacts = Contacts(store.db)

    # Writing

    def put(self, to: Contact, content: Content, *, claim: bool = False) -> ItemId:
        """Sign an item and put it on its way; return its id.

        Args:
            to: for whom.
            content: what it says.
            claim: whether this process tries it first, so that it can say what came of that.

        Raises:
            TooLarge: it does not fit in one parcel.
        """
        now = self._now()
        item = write_item(content, identity=self._me.identity, now=self._after_all_seen(now))
        self._keep_item(item)
        kind = LaneClass.LETTER if isinstance(content, Letter) else LaneClass.ORDINARY
        if isinstance(content, Letter):
            self._store.db.execute(
                "INSERT INTO letter (item, person, outgoing, written, came, shown)"
                " VALUES (?, ?, 1, ?, ?, 1)",
                (item.id.raw, to.person.raw, item.item.seconds, now),
            )
        self._queue(to, item, kind=kind, again=0, claim=claim)
        if isinstance(content, Letter):
            self._copy(to, item)
        return item.id

    def _copy(self, to: Contact, item: SignedItem) -> None:
        """Put a letter of ours on its way to our other devices."""
        if has_others(self._me):
            self.put(ourselves(self._me), Copy(to.person, item.raw))

    def _after_all_seen(self, now: float) -> float:
        """Return a time later than that of every letter here, if that is not far from now.

        So an answer stands after its question on every phone, whichever clock is slow.
        """
        (newest,) = self._store.db.execute(
            "SELECT max(written) FROM letter WHERE written < ?", (now + CLOCKS_DIFFER,)
        ).fetchone()
        return now if newest is None else max(now, float(newest) + TICK)

    def answer(self, to: Contact, resend: Resend) -> None:
        """Send again what a contact misses, or say that it is gone."""
        if resend.device != self._me.identity.device.id:
            return
        gone, budget = list[Range](), self._resends_left(to)
        for wanted in resend.ranges:
            rows = self._store.db.execute(
                "SELECT number, raw, class, (SELECT count(*) FROM sent AS all_sent WHERE"
                " all_sent.person = sent.person AND all_sent.item = sent.item)"
                " FROM sent JOIN item USING (item)"
                " WHERE person = ? AND number BETWEEN ? AND ? ORDER BY number LIMIT ?",
                (to.person.raw, wanted.first, wanted.last, budget),
            ).fetchall()
            here = [row for row in rows if row[3] <= MAX_AGAIN]
            for number, raw, kind, _times in here:
                item = read_item(raw, card=self._me.card)
                self._queue(to, item, kind=LaneClass(kind), again=number)
            budget -= len(rows)
            if budget <= 0:  # the rest is asked for again
                break
            gone += without(wanted, [row[0] for row in here])
        self._note_resends(to, left=budget)
        if gone:
            self.put(to, Gone(resend.device, tuple(gone[:MAX_GONE])))

    def _resends_left(self, to: Contact) -> int:
        note = self._store.note(f"resent/{to.person.text}") or b""
        since, left = int.from_bytes(note[:8], "big"), int.from_bytes(note[8:], "big")
        return left if 0 <= self._now() - since < RESENT_SECONDS else MAX_RESENT

    def _note_resends(self, to: Contact, *, left: int) -> None:
        name = f"resent/{to.person.text}"
        note = self._store.note(name) or b""
        since = int.from_bytes(note[:8], "big")
        if not 0 <= self._now() - since < RESENT_SECONDS:
            since = int(self._now())
        value = since.to_bytes(8, "big") + max(0, left).to_bytes(4, "big")
        self._store.keep_note(name, value)

    def waits_for(self, to: Contact) -> bool:
        """Return whether something is on its way to a contact already."""
        row = self._store.db.execute(
            "SELECT 1 FROM outgoing WHERE person = ?", (to.person.raw,)
        ).fetchone()
        return row is not None

    def tell_card(self, to: Contact) -> None:
        """Send my card as it stands, once for each of its positions and as often as prolonged."""
        card, name = self._me.card, f"card-to/{to.person.text}"
        fresh = Freshness(self._store, self._me, now=self._now).mine
        mark = card.position.hash + fresh[-16:]
        if self._store.note(name) != mark:
            self._store.keep_note(name, mark)
            self.put(to, CardUpdate(card.chain, fresh))

    def seal(
        self,
        waiting: Waiting,
        contact: Contact,
        bundles: Sequence[Bundle],
        *,
        partly: bool = False,
    ) -> None:
        """Seal an item that waits for prekeys, unless another process has done it meanwhile.

        Args:
            waiting: which.
            contact: for whom.
            bundles: prekeys of their devices.
            partly: whether devices that have left none are left out.

        Raises:
            NeedsBundles: these are not the ones.
            NotSigned, Malformed, WeakKey: they are not what their device signed.
        """
        row = self._store.db.execute(
            "SELECT raw FROM outgoing JOIN item USING (item) WHERE number = ? AND parcel IS NULL",
            (waiting.number,),
        ).fetchone()
        if row is not None:
            item = read_item(row[0], card=self._me.card)
            self._seal(
                waiting.number, item, contact, again=waiting.again, bundles=bundles, partly=partly
            )

    def _keep_item(self, item: SignedItem) -> None:
        self._store.db.execute(
            "INSERT INTO item VALUES (?, ?) ON CONFLICT DO NOTHING", (item.id.raw, item.raw)
        )

    def _queue(
        self, to: Contact, item: SignedItem, *, kind: LaneClass, again: int, claim: bool = False
    ) -> None:
        now = self._now()
        until = now + CLAIM_SECONDS if claim else 0.0
        row = self._store.db.execute(
            "INSERT INTO outgoing (person, item, class, again, made, claimed, claimed_by)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING number",
            (to.person.raw, item.id.raw, int(kind), again, now, until, self._claimer),
        ).fetchone()
        if row is None:  # asked for while it is still on its way
            return
        try:
            self._seal(row[0], item, to, again=again, bundles=())
        except TooLarge:
            raise
        except KeysError:
            return  # sealed before it is sent, with prekeys from the contact's gateway

    def _seal(
        self,
        number: int,
        item: SignedItem,
        contact: Contact,
        *,
        again: int,
        bundles: Sequence[Bundle],
        partly: bool = False,
    ) -> None:
        now, purge = self._now(), secrets.token_bytes(_SECRET_BYTES)
        sealed = self._letters.seal(
            item,
            to=contact.card,
            own=self._me.card,
            now=now,
            bundles=bundles,
            again=again,
            partly=partly,
        )
        self._store.db.execute(
            "UPDATE outgoing SET parcel = ?, purge = ?, body = ? WHERE number = ?",
            (sealed.parcel.raw, purge, sealed.body, number),
        )
        self._store.db.execute(
            "INSERT INTO sent (person, number, item, class, purge, made)"
            " SELECT person, ?, item, class, ?, ? FROM outgoing WHERE number = ?",
            (sealed.number, purge, now, number),
        )

    # Trying

    def claim(self, *, due_only: bool) -> list[Waiting]:
        """Take what no other process is trying just now, in the order in which it was written.

        Args:
            due_only: leave alone what is planned for later.
        """
        now = self._now()
        rows = self._store.db.execute(
            f"UPDATE outgoing SET claimed = ?1, claimed_by = ?2 WHERE next_try <= ?3"  # noqa: S608  # constants
            f" AND (claimed < ?4 OR claimed > ?1 OR claimed_by = ?2) RETURNING {_COLUMNS}",
            (now + CLAIM_SECONDS, self._claimer, now if due_only else float("inf"), now),
        ).fetchall()
        return sorted(map(_waiting, rows), key=lambda one: one.number)

    def again(self, waiting: Iterable[Waiting]) -> list[Waiting]:
        """Return what is left of some, as it is now."""
        found = (
            self._store.db.execute(
                f"SELECT {_COLUMNS} FROM outgoing WHERE number = ?",  # noqa: S608  # constants
                (one.number,),
            ).fetchone()
            for one in waiting
        )
        return [_waiting(row) for row in found if row is not None]

    def release(self) -> None:
        """Let others try what this process has claimed and did not get to."""
        self._store.db.execute(
            "UPDATE outgoing SET claimed = 0 WHERE claimed_by = ?", (self._claimer,)
        )

    def stored(self, one: Waiting, gateway: GatewayId) -> None:
        """Note that a gateway has it on its disk."""
        self._store.db.execute(
            "UPDATE sent SET gateway = ? WHERE person = ? AND item = ?",
            (gateway.raw, one.person.raw, one.item.raw),
        )
        self._store.db.execute("DELETE FROM outgoing WHERE number = ?", (one.number,))

    def renew(self, one: Waiting) -> None:
        """Let it be sealed anew, under another id and number: this id is taken."""
        self._store.db.execute(
            "UPDATE outgoing SET parcel = NULL, purge = NULL, body = NULL WHERE number = ?",
            (one.number,),
        )

    def plan(self, one: Waiting, *, when: float, trouble: str) -> None:
        """Note when to try again, and what went wrong."""
        self._store.db.execute(
            "UPDATE outgoing SET tries = tries + 1, next_try = ?, trouble = ?, claimed = 0"
            " WHERE number = ?",
            (when, trouble, one.number),
        )

    def give_up(self, one: Waiting, trouble: str) -> None:
        """Try it no more; a letter stays, and says why."""
        self._store.db.execute(
            "UPDATE letter SET ended = ? WHERE item = ? AND outgoing", (trouble, one.item.raw)
        )
        self._store.db.execute("DELETE FROM outgoing WHERE number = ?", (one.number,))

    def tidy(self) -> None:
        """Give up what could not be sent in thirty days; forget what nobody may ask for now."""
        before = self._now() - KEEP_SECONDS
        db = self._store.db
        db.execute(
            "UPDATE letter SET ended = 'too-old' WHERE outgoing AND item IN"
            " (SELECT item FROM outgoing WHERE made < ? AND tries >= ?)",
            (before, MIN_TRIES),
        )
        db.execute("DELETE FROM outgoing WHERE made < ? AND tries >= ?", (before, MIN_TRIES))
        db.execute(
            "DELETE FROM sent WHERE made < ?1 AND NOT EXISTS (SELECT 1 FROM outgoing"
            " WHERE outgoing.person = sent.person AND outgoing.item = sent.item)",
            (before,),
        )
        db.execute(DROP_UNUSED_ITEMS)

    # Looking

    def count(self) -> int:
        """Return how many items wait here."""
        (count,) = self._store.db.execute("SELECT count(*) FROM outgoing").fetchone()
        return int(count)

    def letters_waiting(self) -> int:
        """Return how many of them are letters."""
        (count,) = self._store.db.execute(
            "SELECT count(*) FROM outgoing WHERE item IN (SELECT item FROM letter)"
        ).fetchone()
        return int(count)

    def next_due(self) -> float | None:
        """Return when the next item is to be tried again, Unix seconds; None if none waits."""
        (due,) = self._store.db.execute("SELECT min(next_try) FROM outgoing").fetchone()
        return None if due is None else float(due)


DROP_UNUSED_ITEMS: Final = (
    "DELETE FROM item WHERE item NOT IN (SELECT item FROM letter)"
    " AND item NOT IN (SELECT item FROM outgoing) AND item NOT IN (SELECT item FROM sent)"
)


def _waiting(row: Sequence[object]) -> Waiting:
    match row:
        case (
            int(number),
            bytes(person),
            bytes(item),
            int(kind),
            int(again),
            bytes() | None as parcel,
            bytes() | None as purge,
            bytes() | None as body,
            int(tries),
        ):
            sealed = None
            if parcel is not None and purge is not None and body is not None:
                sealed = Sealed(ParcelId(parcel), purge, body)
            return Waiting(
                number,
                PersonId(person),
                ItemId(item),
                LaneClass(kind),
                again=again,
                tries=tries,
                sealed=sealed,
            )
    raise ValueError("a row of outgoing has another form")


def without(wanted: Range, there: Sequence[int]) -> list[Range]:
    """Return the parts of a range that are not `there`, which rises."""
    ranges, expected = [], wanted.first
    for number in there:
        if number > expected:
            ranges.append(Range(expected, number - 1))
        expected = number + 1
    if expected <= wanted.last:
        ranges.append(Range(expected, wanted.last))
    return ranges
