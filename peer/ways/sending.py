"""Items on their way out: written, sealed, tried, kept for those who ask again.

written      signed and stored; the command may end here, and the letter is not lost
sealed       a parcel; at once, or as soon as prekeys for a new session could be fetched
stored       at a gateway of the recipient, on its disk
kept         thirty days, to be sent again when it did not arrive
"""

import random
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from peer.errors import GatewayNotThere, GatewayRefused, WrongGateway
from peer.items.kinds import CardUpdate, Content, Gone, Letter, Range, Resend
from peer.keys.errors import KeysError, NeedsBundles
from peer.keys.letters import Letters
from peer.keys.signed_items import SignedItem, read_item, write_item
from peer.me import Certificates, Me
from peer.people.contacts import Contact, Contacts
from peer.people.lanes import Lanes
from peer.store import Store
from peer.ways.gateway_client import DepositClient, connect
from peer.ways.outbox import KEEP_SECONDS, Judged, Next, candidates, judge, next_try
from wire.errors import WireError
from wire.frames import Proved
from wire.ids import GatewayId, ItemId, ParcelId, PersonId
from wire.kdf import hash32
from wire.lanes import Lane, LaneClass
from wire.parcel import Lifetime, Parcel
from wire.places import Place
from wire.prekeys import Bundle

MAX_RESENT: Final = 256
"""Items sent again in answer to one request."""
CLAIM_SECONDS: Final = 30.0
"""How long one process has an item to itself; if it dies, another one tries after that."""
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class State:
    """Where an item is."""

    item: ItemId
    contact: str
    waiting: bool
    text: str
    """In words: "waiting here …" or "at Ben’s gateway"."""
    trouble: str = ""
    """The code of what went wrong last."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    number: int
    person: PersonId
    item: ItemId
    raw: bytes
    again: int
    parcel: ParcelId | None
    purge: bytes
    body: bytes
    tries: int


class Sending:
    """Everything that leaves this phone.

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
        self._lanes = Lanes(store.db)
        self._certificates = Certificates(store)

    # Writing

    def write(self, to: Contact, content: Content) -> ItemId:
        """Sign an item and put it on its way, in one transaction of its own; return its id."""
        with self._store.transaction():
            return self.put(to, content)

    def put(self, to: Contact, content: Content) -> ItemId:
        """As `write`, inside the transaction of the caller."""
        now = self._now()
        item = write_item(content, identity=self._me.identity, now=now)
        if isinstance(content, Letter):
            self._store.db.execute(
                "INSERT INTO letter (item, person, outgoing, raw, written, came, shown)"
                " VALUES (?, ?, 1, ?, ?, ?, 1)",
                (item.id.raw, to.person.raw, item.raw, item.item.seconds, now),
            )
        self._queue(to.person, item, again=0)
        return item.id

    def answer(self, to: Contact, resend: Resend) -> None:
        """Send again what a contact misses, or say that it is gone; inside a transaction."""
        if resend.device != self._me.identity.device.id:
            return
        gone, budget = [], MAX_RESENT
        for wanted in resend.ranges:
            rows = self._store.db.execute(
                "SELECT number, raw FROM sent WHERE person = ? AND number BETWEEN ? AND ?"
                " ORDER BY number LIMIT ?",
                (to.person.raw, wanted.first, wanted.last, budget),
            ).fetchall()
            for number, raw in rows:
                self._queue(to.person, read_item(raw, card=self._me.card), again=number)
            budget -= len(rows)
            if budget <= 0:
                break
            gone += _without(wanted, [number for number, _ in rows])
        if gone:
            self.put(to, Gone(resend.device, tuple(gone[:64])))

    def tell_card(self, to: Contact) -> None:
        """Send my card as it stands, once for each of its positions; inside a transaction."""
        card, name = self._me.card, f"card-to/{to.person.text}"
        if self._store.note(name) != card.position.hash:
            self._store.keep_note(name, card.position.hash)
            self.put(to, CardUpdate(card.chain))

    def _queue(self, person: PersonId, item: SignedItem, *, again: int) -> None:
        there = self._store.db.execute(
            "SELECT 1 FROM outgoing WHERE person = ? AND item = ?", (person.raw, item.id.raw)
        ).fetchone()
        if there is not None:  # asked for while it is still on its way
            return
        cursor = self._store.db.execute(
            "INSERT INTO outgoing (person, item, raw, again, made, claimed, claimed_by)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                person.raw,
                item.id.raw,
                item.raw,
                again,
                self._now(),
                self._now() + CLAIM_SECONDS,
                self._claimer,
            ),
        )
        number = cursor.lastrowid
        contact = self._contacts.of(person)
        if number is not None and contact is not None:
            with suppress(NeedsBundles):  # sealed when the contact's gateway gave prekeys
                self._seal(number, item, contact, again=again, bundles=())

    def _seal(
        self,
        number: int,
        item: SignedItem,
        contact: Contact,
        *,
        again: int,
        bundles: Sequence[Bundle],
    ) -> None:
        now = self._now()
        sealed = self._letters.seal(
            item, to=contact.card, own=self._me.card, now=now, bundles=bundles, again=again
        )
        purge = hash32("purge", secrets.token_bytes(_SECRET_BYTES))
        self._store.db.execute(
            "UPDATE outgoing SET parcel = ?, purge = ?, body = ? WHERE number = ?",
            (sealed.parcel.raw, purge, sealed.body, number),
        )
        self._store.db.execute(
            "INSERT INTO sent (person, number, item, raw, made) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (contact.person.raw, sealed.number, item.id.raw, item.raw, now),
        )

    # Trying

    async def deliver(self, *, due_only: bool = False) -> int:
        """Try everything that waits here; return how much of it still does.

        Args:
            due_only: leave alone what is planned for later.
        """
        self._tidy()
        by_person: dict[PersonId, list[_Waiting]] = {}
        for one in self._claim(due_only=due_only):
            by_person.setdefault(one.person, []).append(one)
        for person, waiting in by_person.items():
            contact = self._contacts.of(person)
            if contact is None:
                self._give_up(waiting, "no-such-contact")
            else:
                await self._deliver(contact, waiting)
        return self.count_waiting()

    async def _deliver(self, contact: Contact, waiting: list[_Waiting]) -> None:
        judged = Judged(Next.LATER, "gateway-not-there")
        left = waiting
        for gateway, places in self._destinations(contact):
            judged, left = await self._try(contact, left, gateway, places)
            if not left:
                return
        self._plan(left, judged)

    async def _try(
        self,
        contact: Contact,
        waiting: list[_Waiting],
        gateway: GatewayId,
        places: tuple[Place, ...],
    ) -> tuple[Judged, list[_Waiting]]:
        """Try one gateway; return what it came to and what is left to try elsewhere."""
        lane = self._lanes.to(contact.person, LaneClass.LETTER, gateway=gateway)
        if lane is None:
            return Judged(Next.LATER, "no-lane"), waiting
        destination = self._certificates.of(gateway, places)
        try:
            async with connect(destination, learned=self._certificates.learn) as connection:
                client = DepositClient(connection)
                ready = await self._all_sealed(client, lane, contact, waiting)
                return await self._deposit(client, lane, gateway, ready)
        except GatewayRefused as refused:
            return Judged(Next.LATER, refused.reason), waiting
        except (GatewayNotThere, WrongGateway) as trouble:
            return Judged(Next.LATER, trouble.code), waiting
        except (WireError, KeysError) as trouble:  # a gateway that hands out what nobody signed
            return Judged(Next.LATER, trouble.code), waiting

    async def _all_sealed(
        self, client: DepositClient, lane: Lane, contact: Contact, waiting: list[_Waiting]
    ) -> list[_Waiting]:
        """Seal what is not sealed yet, with prekeys fetched for it."""
        open_ones = [one for one in waiting if one.parcel is None]
        if open_ones:
            found = await client.bundles(lane)
            with self._store.transaction():
                card = self._contacts.take_statements(contact, found.chain)
            listed = {one.key for one in card.sealable()}
            bundles = [one for one in found.bundles if one.device in listed]
            held = self._contacts.of(contact.person)
            for one in open_ones:
                with self._store.transaction():
                    item = read_item(one.raw, card=self._me.card)
                    self._seal(one.number, item, held or contact, again=one.again, bundles=bundles)
        return self._rows({one.number for one in waiting})

    async def _deposit(
        self, client: DepositClient, lane: Lane, gateway: GatewayId, waiting: list[_Waiting]
    ) -> tuple[Judged, list[_Waiting]]:
        left, last = [], Judged(Next.LATER)
        for one in waiting:
            if one.parcel is None:
                left.append(one)
                continue
            parcel = Parcel(lane.id, one.parcel, Lifetime.MONTH, one.purge, one.body)
            proof = parcel.proof(lane, gateway=gateway)
            (outcome,) = await client.deposit(lane, [Proved(proof, parcel)])
            last = judge(outcome.result, retry_after=outcome.retry_after)
            match last.next:
                case Next.DONE:
                    self._stored(one, gateway)
                case Next.GIVE_UP:
                    self._give_up([one], last.trouble)
                case _:
                    left.append(one)
        return last, left

    def _destinations(self, contact: Contact) -> list[tuple[GatewayId, tuple[Place, ...]]]:
        home = self._me.home
        places = {entry.gateway: tuple(_places(entry.places)) for entry in contact.card.gateways}
        if home is not None:
            places.setdefault(home.gateway, home.places)
        wanted = candidates(
            [entry.gateway for entry in contact.card.gateways],
            ours=home.gateway if home else None,
            before=[],
        )
        return [(one, places[one]) for one in wanted]

    # Bookkeeping

    def state(self, item: ItemId) -> State:
        """Return where an item is."""
        row = self._store.db.execute(
            "SELECT person, trouble FROM outgoing WHERE item = ?", (item.raw,)
        ).fetchone()
        if row is not None:
            contact = self._contacts.of(PersonId(row[0]))
            name = contact.name if contact else "somebody"
            return State(item, name, True, waiting_because(row[1]), row[1])
        row = self._store.db.execute(
            "SELECT person, gateway FROM sent WHERE item = ? ORDER BY number DESC", (item.raw,)
        ).fetchone()
        contact = self._contacts.of(PersonId(row[0])) if row else None
        name = contact.name if contact else "somebody"
        if row is None or row[1] is None:
            return State(item, name, True, "given up", "given-up")
        return State(item, name, False, f"at {name}’s gateway")

    def count_waiting(self) -> int:
        """Return how many items wait here."""
        (count,) = self._store.db.execute("SELECT count(*) FROM outgoing").fetchone()
        return int(count)

    def next_due(self) -> float | None:
        """Return when the next item is to be tried again, Unix seconds; None if none waits."""
        (due,) = self._store.db.execute("SELECT min(next_try) FROM outgoing").fetchone()
        return None if due is None else float(due)

    def _claim(self, *, due_only: bool) -> list[_Waiting]:
        """Take what nobody else is trying just now, for `CLAIM_SECONDS`."""
        now = self._now()
        before = now if due_only else float("inf")
        with self._store.transaction() as db:
            rows = db.execute(
                "UPDATE outgoing SET claimed = ?1 WHERE next_try <= ?2"
                " AND (claimed < ?3 OR claimed > ?1 OR claimed_by = ?4)"
                " RETURNING number",
                (now + CLAIM_SECONDS, before, now, self._claimer),
            ).fetchall()
            db.executemany(
                "UPDATE outgoing SET claimed_by = ? WHERE number = ?",
                [(self._claimer, number) for (number,) in rows],
            )
        return self._rows({number for (number,) in rows})

    def _rows(self, numbers: set[int]) -> list[_Waiting]:
        rows = self._store.db.execute(
            "SELECT number, person, item, raw, again, parcel, purge, body, tries FROM outgoing"
            " ORDER BY number"
        )
        return [
            _Waiting(
                number,
                PersonId(person),
                ItemId(item),
                raw,
                again,
                None if parcel is None else ParcelId(parcel),
                purge or b"",
                body or b"",
                tries,
            )
            for number, person, item, raw, again, parcel, purge, body, tries in rows
            if number in numbers
        ]

    def _stored(self, one: _Waiting, gateway: GatewayId) -> None:
        with self._store.transaction() as db:
            db.execute("DELETE FROM outgoing WHERE number = ?", (one.number,))
            db.execute(
                "UPDATE sent SET gateway = ? WHERE person = ? AND item = ?",
                (gateway.raw, one.person.raw, one.item.raw),
            )

    def _plan(self, waiting: list[_Waiting], judged: Judged) -> None:
        now = self._now()
        with self._store.transaction() as db:
            for one in waiting:
                # Not for secrets: the jitter only keeps phones from coming all at once.
                when = next_try(
                    one.tries + 1,
                    now=now,
                    at_least=judged.wait,
                    random=random.random,
                )
                db.execute(
                    "UPDATE outgoing SET tries = tries + 1, next_try = ?, trouble = ?, claimed = 0"
                    " WHERE number = ?",
                    (when, judged.trouble, one.number),
                )

    def _give_up(self, waiting: list[_Waiting], trouble: str) -> None:
        with self._store.transaction() as db:
            for one in waiting:
                db.execute("DELETE FROM outgoing WHERE number = ?", (one.number,))
                db.execute(
                    "UPDATE letter SET shown = -1 WHERE item = ? AND ? <> ''",
                    (one.item.raw, trouble),
                )

    def _tidy(self) -> None:
        before = self._now() - KEEP_SECONDS
        with self._store.transaction() as db:
            db.execute("DELETE FROM sent WHERE made < ?", (before,))
            db.execute("DELETE FROM outgoing WHERE made < ?", (before,))


def waiting_because(trouble: str) -> str:
    """Say in words that an item waits here, and why."""
    why = {
        "": "waiting here",
        "gateway-not-there": "waiting here: the gateway does not answer",
        "wrong-gateway": "waiting here: somebody else answers where the gateway should be",
        "lane-refused": "waiting here: the gateway does not take it (any more)",
        "mailbox-full": "waiting here: the mailbox is full",
        "disk-full": "waiting here: the gateway’s disk is full",
        "no-prekeys": "waiting here: the other phone has to come online once",
    }
    return why.get(trouble, f"waiting here: {trouble}")


def _places(texts: Sequence[str]) -> list[Place]:
    found = []
    for text in texts:
        try:
            found.append(Place.parse(text))
        except WireError:
            continue  # a hint that we cannot read is no hint
    return found


def _without(wanted: Range, there: list[int]) -> list[Range]:
    ranges, expected = [], wanted.first
    for number in there:
        if number > expected:
            ranges.append(Range(expected, number - 1))
        expected = number + 1
    if expected <= wanted.last:
        ranges.append(Range(expected, wanted.last))
    return ranges
