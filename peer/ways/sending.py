"""Carries what waits here to the gateways of those it is for.

For each contact a connection of its own, opened with a lane and without login: the gateway learns
neither who sends nor which of its lanes one person writes on (docs/protocol.md §4.5).
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from peer.errors import GatewayNotThere, GatewayRefused, WrongGateway
from peer.items.kinds import Content
from peer.keys.errors import KeysError, NeedsBundles
from peer.keys.letters import Letters
from peer.me import Certificates, Me
from peer.people.contacts import Contact, Contacts
from peer.people.freshness import Freshness
from peer.people.lanes import Lanes
from peer.people.ourselves import ourselves, own_lane
from peer.store import Store
from peer.ways.connection import connect
from peer.ways.gateway_client import DepositClient
from peer.ways.outbox import Judged, Next, Random, candidates, frames, judge, next_try, worst
from peer.ways.outgoing import Outgoing, Waiting
from peer.ways.receiving import CARD_WANTED
from wire.codec import decode, encode
from wire.errors import WireError
from wire.frames import Proved, Result
from wire.ids import GatewayId, ItemId, PersonId
from wire.lanes import Lane, LaneClass
from wire.places import Place
from wire.prekeys import Bundle, Bundles

AT_A_TIME: Final = 8
"""Contacts that are tried side by side."""
CONTACT_SECONDS: Final = 120.0
"""Time for all gateways of one contact: a photo over a slow mobile uplink."""
TIDY_EVERY: Final = 86_400.0
_SYSTEM_RANDOM: Final = secrets.SystemRandom()
RENEW_EVERY: Final = 86_400.0
"""Seconds between two tries to fetch prekeys for a session that should be renewed."""


@dataclass(frozen=True, slots=True)
class State:
    """Where an item is."""

    item: ItemId
    contact: str
    waiting: bool
    text: str
    """In words: "waiting here: …", "at Ben’s gateway" or "gave up: …"."""
    trouble: str = ""
    """The code of what went wrong last."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One gateway for one contact, with a connection to it."""

    client: DepositClient
    gateway: GatewayId
    contact: Contact
    opens: Lane
    """The lane with which the connection is opened."""


class Sending:
    """Everything that leaves this phone.

    Args:
        store: the phone's file.
        me: whose phone it is.
        now: returns Unix seconds.
        on_stored: told of each item that a gateway has stored.
        random: for the jitter between tries, a number from 0 to 1.
    """

    def __init__(
        self,
        store: Store,
        me: Me,
        *,
        now: Callable[[], float],
        on_stored: Callable[[ItemId], None] = lambda _item: None,
        random: Random = _SYSTEM_RANDOM.random,
    ) -> None:
        self._store = store
        self._me = me
        self._now = now
        self._on_stored = on_stored
        self._random = random
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._letters = Letters(store.vault)
        self._contacts = Contacts(store.db)
        self._lanes = Lanes(store.db)
        self._certificates = Certificates(store)
        self.outgoing = Outgoing(store, me, now=now)

    def write(self, to: Contact, content: Content) -> ItemId:
        """Sign an item and put it on its way, in one transaction of its own; return its id.

        Raises:
            TooLarge: it does not fit in one parcel.
        """
        with self._store.transaction():
            return self.outgoing.put(to, content, claim=True)

    async def deliver(self, *, due_only: bool = False) -> int:
        """Try everything that waits here; return how much of it still does.

        Args:
            due_only: leave alone what is planned for later.
        """
        self._tidy()
        by_person: dict[PersonId, list[Waiting]] = {}
        if self.outgoing.count():
            with self._store.transaction():
                claimed = self.outgoing.claim(due_only=due_only)
            for one in claimed:
                by_person.setdefault(one.person, []).append(one)
        try:
            async with asyncio.TaskGroup() as group:
                for person, waiting in by_person.items():
                    group.create_task(self._in_turn(person, waiting))
        finally:
            if by_person:
                with self._store.transaction():
                    self.outgoing.release()
        return self.outgoing.count()

    async def _in_turn(self, person: PersonId, waiting: list[Waiting]) -> None:
        """Try one contact's gateways; however slow they are, others are not kept waiting."""
        async with self._turns:
            try:
                async with asyncio.timeout(CONTACT_SECONDS):
                    await self._deliver(person, waiting)
            except TimeoutError:
                slow = Judged(Next.LATER, GatewayNotThere.code)
                self._plan(self.outgoing.again(waiting), slow)

    async def _deliver(self, person: PersonId, waiting: list[Waiting]) -> None:
        contact = self._contact(person)
        if contact is None or contact.blocked:
            with self._store.transaction():
                for one in waiting:
                    self.outgoing.give_up(one, "no-such-contact" if contact is None else "blocked")
            return
        judged: list[Judged] = []
        for gateway, places in self._destinations(contact):
            verdict, waiting = await self._try(contact, waiting, gateway, places)
            judged.append(verdict)
            if not waiting:
                return
        if not contact.card.gateways:
            judged = [Judged(Next.LATER, "no-gateway")]
        self._plan(waiting, worst(judged))

    def _contact(self, person: PersonId) -> Contact | None:
        return ourselves(self._me) if person == self._me.person else self._contacts.of(person)

    async def _try(
        self,
        contact: Contact,
        waiting: list[Waiting],
        gateway: GatewayId,
        places: tuple[Place, ...],
    ) -> tuple[Judged, list[Waiting]]:
        """Try one gateway; return what it came to and what is left to try elsewhere."""
        if contact.person == self._me.person:
            opens = own_lane(self._me, gateway=gateway)
        else:
            opens = self._lanes.to(contact.person, LaneClass.LETTER, gateway=gateway)
        if opens is None:
            return Judged(Next.OTHER_GATEWAY, "no-lane"), waiting
        destination = self._certificates.of(gateway, places)
        try:
            async with connect(destination, learned=self._certificates.learn) as connection:
                way = _Way(DepositClient(connection), gateway, contact, opens)
                return await self._deposit(way, waiting)
        except GatewayRefused as refused:
            return _refused(refused), self.outgoing.again(waiting)
        except (GatewayNotThere, WrongGateway) as trouble:
            return Judged(Next.OTHER_GATEWAY, trouble.code), self.outgoing.again(waiting)
        except WireError as trouble:  # a gateway that answers what is no answer
            return Judged(Next.OTHER_GATEWAY, trouble.code), self.outgoing.again(waiting)

    async def _deposit(self, way: _Way, waiting: list[Waiting]) -> tuple[Judged, list[Waiting]]:
        """Deposit what is sealed, then what had to wait for prekeys."""
        last = await self._deposit_sealed(way, waiting)
        left = self.outgoing.again(waiting)
        if any(one.sealed is None for one in left):
            trouble = await self._seal(way, left)
            last = await self._deposit_sealed(way, self.outgoing.again(left)) or last
            last = trouble or last
            left = self.outgoing.again(left)
        await self._renew_session(way)
        return last or Judged(Next.DONE), left

    async def _deposit_sealed(self, way: _Way, waiting: Sequence[Waiting]) -> Judged | None:
        """Deposit what is sealed; return the last refusal, None if there was none."""
        refused: Judged | None = None
        by_parcel = {one.sealed.parcel: one for one in waiting if one.sealed is not None}
        proved = [self._proved(way, one) for one in by_parcel.values()]
        for frame in frames(proved):
            judged = [
                (one, judge(outcome.result, retry_after=outcome.retry_after))
                for outcome in await way.client.deposit(way.opens, frame)
                if (one := by_parcel.get(outcome.parcel)) is not None
            ]
            self._note(way, judged)
            for _, verdict in judged:
                refused = refused if verdict.next is Next.DONE else verdict
        return refused

    def _proved(self, way: _Way, one: Waiting) -> Proved:
        assert one.sealed is not None  # noqa: S101  # the caller has looked
        lane = self._lanes.to(way.contact.person, one.kind, gateway=way.gateway) or way.opens
        parcel = one.sealed.on(lane)
        return Proved(parcel.proof(lane, gateway=way.gateway), parcel)

    def _note(self, way: _Way, judged: Sequence[tuple[Waiting, Judged]]) -> None:
        """Note what one answer of a gateway said, in one transaction; then tell of it."""
        with self._store.transaction():
            for one, verdict in judged:
                match verdict.next:
                    case Next.DONE:
                        self.outgoing.stored(one, way.gateway)
                        self._keep_way(way)
                    case Next.GIVE_UP:
                        self.outgoing.give_up(one, verdict.trouble)
                    case Next.SEAL_ANEW:
                        self.outgoing.renew(one)
        for one, verdict in judged:
            if verdict.next is Next.DONE:
                self._on_stored(one.item)

    # Prekeys, where a session must begin or should be renewed

    async def fetch_cards(self) -> bool:
        """Fetch the cards of contacts from whom an unknown device has written, from their gateways.

        Returns:
            whether there were any: what waits for them can be opened now, or never will be.
        """
        wanted = [
            contact
            for contact in self._contacts.all()
            if self._store.note(CARD_WANTED + contact.person.text) == b""
        ]
        for contact in wanted:
            await self._fetch_card(contact)
            with self._store.transaction():
                name, when = CARD_WANTED + contact.person.text, int(self._now())
                self._store.keep_note(name, when.to_bytes(8, "big"))
        return bool(wanted)

    async def _fetch_card(self, contact: Contact) -> None:
        for gateway, places in self._destinations(contact):
            lane = self._lanes.to(contact.person, LaneClass.LETTER, gateway=gateway)
            if lane is None:
                return
            destination = self._certificates.of(gateway, places)
            with suppress(GatewayNotThere, WrongGateway, GatewayRefused):
                async with connect(destination, learned=self._certificates.learn) as connection:
                    found = await DepositClient(connection).bundles(lane)
                    self._keep_bundles(contact, found)
                    return

    def _keep_bundles(self, contact: Contact, found: Bundles) -> None:
        with self._store.transaction():
            card = self._contacts.take_statements(contact, found.chain)
            for bundle in found.bundles:
                entry = card.device(bundle.device.device)
                if entry is None or entry.key != bundle.device:
                    continue
                self._store.vault.prekeys.keep_bundle(
                    contact.person, bundle.device, bundle=encode(bundle.to_value()), now=self._now()
                )

    async def _seal(self, way: _Way, waiting: Sequence[Waiting]) -> Judged | None:
        """Seal what is not sealed, with prekeys if need be; return what stood against it."""
        try:
            if not self._seal_all(way.contact, waiting, bundles=()):
                found = await way.client.bundles(way.opens)
                self._take_statements(way.contact, found.chain)
                contact = self._contact(way.contact.person) or way.contact
                self._seal_all(contact, waiting, bundles=found.bundles, partly=True)
        except GatewayRefused as refused:
            return self._seal_for_some(way.contact, waiting) or _refused(refused)
        except (KeysError, WireError) as trouble:  # what no device of the contact has signed
            return Judged(Next.LATER, trouble.code)
        return None

    def _seal_for_some(self, contact: Contact, waiting: Sequence[Waiting]) -> Judged | None:
        """Seal for those devices with which there are sessions; None if there is no such."""
        with suppress(KeysError, WireError):
            self._seal_all(contact, waiting, bundles=(), partly=True, must=True)
            return Judged(Next.DONE)
        return None

    def _take_statements(self, contact: Contact, chain: tuple[bytes, ...]) -> None:
        with self._store.transaction():
            if contact.person == self._me.person:
                self._me.take_statements(chain)
            else:
                self._contacts.take_statements(contact, chain)

    def _seal_all(
        self,
        contact: Contact,
        waiting: Sequence[Waiting],
        *,
        bundles: Sequence[Bundle],
        partly: bool = False,
        must: bool = False,
    ) -> bool:
        """Seal what is not sealed; return whether these prekeys were enough, else do nothing."""
        try:
            with self._store.transaction():
                for one in waiting:
                    if one.sealed is None:
                        self.outgoing.seal(one, contact, bundles, partly=partly)
        except NeedsBundles:
            if bundles or must:
                raise
            return False
        return True

    async def _renew_session(self, way: _Way) -> None:
        """Fetch prekeys for the next letter where a session has served long enough."""
        now, name = self._now(), f"renewed/{way.contact.person.text}"
        tried = int.from_bytes(self._store.note(name) or b"", "big")
        wanted = self._letters.wants_bundles(way.contact.card, now=now)
        if not wanted or 0 <= now - tried < RENEW_EVERY:
            return
        with self._store.transaction():
            self._store.keep_note(name, int(now).to_bytes(8, "big"))
        try:
            found = await way.client.bundles(way.opens)
            good = [one for one in found.bundles if one.device.device in wanted]
            for bundle in good:
                bundle.verify()
        except (GatewayRefused, WireError):
            return  # the session serves on; another day
        with self._store.transaction():
            for bundle in good:
                value = encode(bundle.to_value())
                self._store.vault.prekeys.keep_bundle(
                    way.contact.person, bundle.device, bundle=value, now=now
                )

    # Where to

    def _destinations(self, contact: Contact) -> list[tuple[GatewayId, tuple[Place, ...]]]:
        home = self._me.home
        places = {entry.gateway: _places(entry.places) for entry in contact.card.gateways}
        if home is not None:  # of our own gateway we know best where it is
            hints = places.get(home.gateway, ())
            places[home.gateway] = tuple(dict.fromkeys((*home.places, *hints)))
        wanted = candidates(
            [entry.gateway for entry in contact.card.gateways],
            worked=self._way_that_worked(contact),
            ours=home.gateway if home else None,
        )
        return [(one, places[one]) for one in wanted if one in places]

    def _keep_way(self, way: _Way) -> None:
        """Remember where an item was stored, if the contact's card names another gateway first."""
        gateways = way.contact.card.gateways
        name, value = f"way/{way.contact.person.text}", None
        if not gateways or gateways[0].gateway != way.gateway:
            value = encode([way.gateway.raw, way.contact.card.position.hash])
        if self._store.note(name) != value:
            self._store.keep_note(name, value)

    def _way_that_worked(self, contact: Contact) -> GatewayId | None:
        note = self._store.note(f"way/{contact.person.text}")
        match None if note is None else decode(note, limit=128):
            case [bytes(gateway), bytes(position)] if position == contact.card.position.hash:
                return GatewayId(gateway)
        return None

    # Bookkeeping

    def state(self, item: ItemId) -> State:
        """Return where an item is."""
        row = self._store.db.execute(
            "SELECT outgoing.person, trouble, 1 FROM outgoing WHERE item = ?1"
            " UNION ALL SELECT person, ended, 2 FROM letter WHERE item = ?1 AND ended <> ''"
            " UNION ALL SELECT person, '', 3 FROM sent WHERE item = ?1"
            " UNION ALL SELECT person, '', 4 FROM letter WHERE item = ?1 AND outgoing"
            " AND device IS NOT NULL",
            (item.raw,),
        ).fetchone()
        contact = self._contacts.of(PersonId(row[0])) if row else None
        name = contact.name if contact else "somebody"
        match row:
            case (_, trouble, 1):
                return State(item, name, True, waiting_because(trouble, name), trouble)
            case (_, trouble, 2):
                return State(item, name, False, gave_up_because(trouble, name), trouble)
            case (_, _, 4):
                return State(item, name, False, "sent from another device of yours")
        return State(item, name, False, f"at {name}’s gateway")

    def _plan(self, waiting: Sequence[Waiting], judged: Judged) -> None:
        now = self._now()
        with self._store.transaction():
            for one in waiting:
                tries = one.tries + 1
                when = next_try(tries, now=now, at_least=judged.wait, random=self._random)
                self.outgoing.plan(one, when=when, trouble=judged.trouble)

    def _tidy(self) -> None:
        now = self._now()
        last = int.from_bytes(self._store.note("tidied") or b"", "big")
        if 0 <= now - last < TIDY_EVERY:
            return
        with self._store.transaction():
            self.outgoing.tidy()
            if Freshness(self._store, self._me, now=self._now).renew():
                for contact in self._contacts.all():
                    if not contact.blocked:
                        self.outgoing.tell_card(contact)
            self._store.vault.tidy(now)
            self._store.keep_note("tidied", int(now).to_bytes(8, "big"))


def waiting_because(trouble: str, name: str) -> str:
    """Say in words that an item waits here, and why."""
    why = {
        "": "",
        "gateway-not-there": f"{name}’s gateway does not answer",
        "wrong-gateway": f"somebody else answers where {name}’s gateway should be",
        "lane-refused": f"{name}’s gateway takes no letters from you just now",
        "no-gateway": f"{name} has no gateway yet",
        "no-lane": f"{name} has no gateway yet",
        "mailbox-full": f"{name}’s mailbox is full",
        "disk-full": f"the disk of {name}’s gateway is full",
        "no-prekeys": f"{name}’s phone has to come online once",
        "needs-bundles": f"{name}’s phone has to come online once",
        "not-signed": f"{name}’s gateway gave out keys that {name} has not signed",
        "too-many-requests": f"{name}’s gateway wants us to come later",
        "busy": f"{name}’s gateway has too much to do",
    }.get(trouble, trouble)
    return f"waiting here: {why}" if why else "waiting here"


def gave_up_because(trouble: str, name: str) -> str:
    """Say in words that an item was given up, and why."""
    why = {
        "too-old": "it could not be sent in thirty days",
        "parcel-too-large": f"it is too large for {name}’s gateway",
        "blocked": f"you have blocked {name}",
        "no-such-contact": "you have forgotten this contact",
    }
    return f"gave up: {why.get(trouble, trouble)}"


def _refused(refused: GatewayRefused) -> Judged:
    wait = refused.facts.get("retry_after")
    other = refused.reason == Result.LANE_REFUSED.code
    return Judged(
        Next.OTHER_GATEWAY if other else Next.LATER,
        refused.reason,
        float(wait) if isinstance(wait, int) else 0.0,
    )


def _places(texts: Sequence[str]) -> tuple[Place, ...]:
    found = []
    for text in texts:
        try:
            found.append(Place.parse(text))
        except WireError:
            continue  # a hint that we cannot read is no hint
    return tuple(found)
