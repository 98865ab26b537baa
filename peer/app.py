"""A person's phone as a library: what the command line calls, and any other face later.

    async with open_peer(home) as peer:
        await peer.send("Ben", "Soup is on the stove.")

Everything a person asks for is stored before anything is sent; what could not be sent is tried
again by every later call, and by `watch` while it runs.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from peer.errors import (
    BadCode,
    GatewayNotThere,
    GatewayRefused,
    NoPerson,
    NotTheSame,
    TooLarge,
    WrongGateway,
)
from peer.items.kinds import File, Letter, TooLong, Unknown
from peer.keys.signed_items import read_item
from peer.me import Certificates, Home, Me
from peer.people.adding import Adding, Ask
from peer.people.contacts import Contact, Contacts
from peer.people.lanes import Lanes
from peer.store import Store, open_store
from peer.ways.furnishing import furnish
from peer.ways.gateway_client import (
    Destination,
    GatewayClient,
    LiveMailbox,
    connect,
)
from peer.ways.receiving import Came, Receiving, Taken
from peer.ways.sending import Sending, State
from peer.ways.tls import look_at, named
from wire.card import GatewayEntry, Role
from wire.codes import ContactCode, GatewayCode
from wire.errors import WireError, WrongCode
from wire.frames import Hello
from wire.ids import ItemId, PersonId
from wire.pairing import PairingState, PairRequest
from wire.places import Place

AWAY: Final = (GatewayNotThere, WrongGateway)
RECONNECT_FIRST: Final = 1.0
RECONNECT_LONGEST: Final = 60.0
"""Seconds between tries to reach a gateway that is away, while `watch` runs."""
NOT_YET_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Shown:
    """A letter as it is shown."""

    number: int
    contact: str
    outgoing: bool
    text: str
    file: File | None
    written: float
    came: float
    unknown: bool = False
    """Whether it is something that only a newer app can show."""
    state: str = ""
    """Where it is, if it is ours."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A letter came."""

    letter: Shown


@dataclass(frozen=True, slots=True)
class Missing:
    """Letters are known to be missing; they were asked for."""

    contact: str
    count: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something came that could not be opened; nothing of it is shown."""

    contact: str
    code: str


@dataclass(frozen=True, slots=True)
class Moved:
    """One of our letters has got somewhere."""

    state: State


@dataclass(frozen=True, slots=True)
class Away:
    """The gateway cannot be reached just now."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Here:
    """The gateway can be reached."""


Event = Arrived | Missing | Trouble | Moved | Away | Here


@dataclass(frozen=True, slots=True)
class Reading:
    """What a look into the mailbox brought."""

    letters: tuple[Shown, ...]
    missing: tuple[Missing, ...]
    troubles: tuple[Trouble, ...]
    away: str | None
    """Why the gateway could not be asked, if it could not."""


@asynccontextmanager
async def open_peer(
    home: Path, *, create: bool = False, now: Callable[[], float] = time.time
) -> AsyncIterator["Peer"]:
    """Open the phone in the folder `home`.

    Args:
        home: where its file lies.
        create: whether to make one; `Peer.begin` then makes the person.
        now: returns Unix seconds.

    Raises:
        NoPerson: there is no phone there, and none was to be made.
        StoreUnusable, NewerStore
    """
    store = open_store(home, create=create)
    if store is None:
        raise NoPerson
    try:
        yield Peer(store, now=now)
    finally:
        store.close()


class Peer:
    """A phone that is open. Get one from `open_peer`."""

    def __init__(self, store: Store, *, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self.contacts = Contacts(store.db)
        self._certificates = Certificates(store)

    # The person

    def begin(self, name: str, *, role: Role = Role.COMPUTER) -> None:
        """Make a new person on this phone.

        Raises:
            PersonExists: there is one.
        """
        with self._store.transaction():
            Me.begin(self._store, name=" ".join(name.split()), role=role, now=self._now())

    @property
    def me(self) -> Me:
        """Whose phone this is.

        Raises:
            NoPerson: nobody's yet.
        """
        return Me(self._store)

    @property
    def name(self) -> str:
        """What the person calls herself."""
        return self.me.name

    @property
    def person(self) -> PersonId:
        """Who the person is."""
        return self.me.person

    # The gateway

    async def pair(self, text: str, ask: Ask) -> tuple[Place, ...]:
        """Pair this phone with the gateway whose code was read; return where it may be found.

        The same code again, after an answer was lost, ends as it would have.

        Raises:
            BadCode: no gateway's code, or one that is over.
            NotTheSame: the check codes differ, or the box said no.
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        code, me = _parse(GatewayCode.parse, text), self.me
        found, der = await look_at(code.place, named(code.gateway))
        self._certificates.learn(found, der)
        destination = Destination(found, (code.place,), der)
        async with self._client(destination) as gateway:
            request = await self._request(gateway, code, me, confirmed=False)
            answer = await gateway.pair(request)
            if answer.state is PairingState.WAITING:
                same = await ask(request.check_number(nonce=answer.nonce))
                if not same:
                    await gateway.refuse(request)
                    raise NotTheSame(_REFUSED)
                request = await self._request(gateway, code, me, confirmed=True)
                while answer.state is PairingState.WAITING:
                    answer = await gateway.pair(request, wait=20)
            if answer.state is PairingState.REFUSED:
                raise NotTheSame(_REFUSED)
            places = tuple(Place.parse(one) for one in answer.places) or (code.place,)
            if code.place not in places:
                places = (code.place, *places)
            self._move_in(Home(code.gateway, places))
            await furnish(self._store, me, gateway, now=self._now())
        await self.try_outbox()
        return places

    async def _request(
        self, gateway: GatewayClient, code: GatewayCode, me: Me, *, confirmed: bool
    ) -> PairRequest:
        device = me.identity.device
        return PairRequest.make(
            code.secret,
            channel=await gateway.channel(),
            device=device.key,
            exchange_key=device.exchange.public,
            chain=me.card.chain,
            confirmed=confirmed,
        )

    def _move_in(self, home: Home) -> None:
        """Have the mailbox there, and let every contact know."""
        with self._store.transaction():
            me = self.me
            me.move_in(home)
            entry = GatewayEntry(home.gateway, tuple(str(one) for one in home.places))
            me.state_gateway(entry, now=self._now())
            sending = self._sending(me)
            for contact in self.contacts.all():
                if not contact.blocked:
                    sending.tell_card(contact)

    async def move_gateway(self, text: str) -> Place:
        """Correct where the gateway is; its key stays what it was.

        Raises:
            BadCode: no address.
            NotPaired, GatewayNotThere, WrongGateway
        """
        place, me = _parse(Place.parse, text), self.me
        home = me.needs_home()
        found, der = await look_at(place, named(home.gateway))
        self._certificates.learn(found, der)
        others = tuple(one for one in home.places if one != place)
        self._move_in(Home(home.gateway, (place, *others)))
        await self.try_outbox()
        return place

    # Contacts

    async def show_card(
        self, on_code: Callable[[ContactCode], Awaitable[None]], ask: Ask | None
    ) -> Contact:
        """Show a code, wait for whoever reads it, and make them a contact.

        Args:
            on_code: shows the code.
            ask: compares the check codes; None: nobody does, and the contact is unverified.

        Raises:
            NotPaired, NobodyAnswered, NotTheSame, BadCode
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        adding = self._adding()
        async with self._home() as gateway:
            host = await adding.new_code(gateway)
            await on_code(host.code)
            contact = await adding.show(gateway, host, ask=ask)
        await self.try_outbox()
        return contact

    async def add(self, text: str, ask: Ask | None) -> Contact:
        """Answer a code that somebody shows, and make them a contact.

        Raises:
            BadCode: no contact's code, our own, or one that is over.
            NobodyAnswered, NotTheSame, GatewayNotThere, WrongGateway, GatewayRefused
        """
        code, adding = _parse(ContactCode.parse, text), self._adding()
        if self.me.home is None:
            contact = await adding.read(code, gateway=None, ask=ask)
        else:
            async with self._home() as gateway:
                contact = await adding.read(code, gateway=gateway, ask=ask)
        await self.try_outbox()
        return contact

    def rename(self, name: str, new_name: str) -> Contact:
        """Call a contact something else; return the contact."""
        with self._store.transaction():
            return self.contacts.rename(self.contacts.named(name), new_name)

    async def block(self, name: str) -> bool:
        """Take nothing more from a contact; return whether the gateway knows by now."""
        with self._store.transaction():
            contact = self.contacts.named(name)
            self.contacts.block(contact)
            Lanes(self._store.db).revoke(contact.person)
        return await self._tell_gateway()

    async def forget(self, name: str) -> bool:
        """Forget a contact altogether; return whether the gateway knows by now."""
        with self._store.transaction():
            contact = self.contacts.named(name)
            lanes = Lanes(self._store.db)
            lanes.revoke(contact.person)
            lanes.forget(contact.person)
            self._store.vault.forget(contact.person)
            self.contacts.forget(contact)
        return await self._tell_gateway()

    async def _tell_gateway(self) -> bool:
        if self.me.home is None:
            return True
        try:
            async with self._home():
                return True
        except (*AWAY, GatewayRefused):
            return False

    # Letters

    async def send(self, name: str, text: str, file: File | None = None) -> State:
        """Write to a contact; return where the letter is now.

        It is stored before anything is sent, and never lost because something could not be.

        Raises:
            NoSuchContact: nobody of this name.
            TooLarge: it does not fit into a letter.
            StoreUnusable
        """
        contact = self.contacts.named(name)
        try:
            letter = Letter.write(text, file)
        except TooLong as error:
            raise TooLarge(f"{error}; larger media cannot be sent yet") from None
        me = self.me
        sending = self._sending(me)
        item = sending.write(contact, letter)
        await sending.deliver()
        return sending.state(item)

    async def try_outbox(self) -> int:
        """Try everything that waits here; return how much still does."""
        return await self._sending(self.me).deliver()

    async def read(self, name: str | None = None, *, everything: bool = False) -> Reading:
        """Collect what waits, and return letters: those not shown yet, or all.

        Args:
            name: of this contact only.
            everything: the ones shown before and our own as well.
        """
        only = self.contacts.named(name).person if name else None
        away: str | None = None
        if self.me.home is not None:
            try:
                await self._collect_all()
            except (*AWAY, GatewayRefused) as trouble:
                away = str(trouble)
        await self.try_outbox()
        return Reading(
            tuple(self._letters(only, everything=everything)),
            tuple(self._missing()),
            tuple(self._troubles()),
            away,
        )

    async def _collect_all(self) -> None:
        me = self.me
        receiving = self._receiving(me)
        async with self._home() as gateway:
            while True:
                hello, parcels = await gateway.collect(me.cursor)
                receiving.greet(hello)
                if parcels is None:
                    return
                taken = receiving.take(parcels.parcels, hello.epoch)
                await gateway.acknowledge(me.cursor)
                if taken[-1].came is Came.NOT_YET:
                    return

    async def watch(
        self, *, once: bool = False, until_idle: bool = False
    ) -> AsyncGenerator[Event, None]:
        """Carry letters both ways as they come, until the caller stops.

        Args:
            once: stop after the first letter.
            until_idle: stop when nothing is left to collect or to send.
        """
        delay = RECONNECT_FIRST
        while True:
            try:
                async for event in self._live(until_idle=until_idle):
                    delay = RECONNECT_FIRST
                    yield event
                    if once and isinstance(event, Arrived):
                        return
                if until_idle:
                    return
            except (*AWAY, GatewayRefused) as trouble:
                yield Away(str(trouble))
                if until_idle:
                    return
            await self._sending(self.me).deliver(due_only=True)
            await asyncio.sleep(delay)
            delay = min(RECONNECT_LONGEST, delay * 2)

    async def _live(self, *, until_idle: bool) -> AsyncIterator[Event]:
        me = self.me
        receiving, sending = self._receiving(me), self._sending(me)
        async with self._home() as gateway, gateway.mailbox(me.cursor) as mailbox:
            yield Here()
            hello = await mailbox.next()
            if not isinstance(hello, Hello):
                return
            receiving.greet(hello)
            outbox = asyncio.create_task(self._keep_sending(sending))
            try:
                async for event in self._as_they_come(
                    mailbox, receiving, hello, idle=sending if until_idle else None
                ):
                    yield event
            finally:
                outbox.cancel()
                with suppress(asyncio.CancelledError):
                    await outbox

    async def _as_they_come(
        self,
        mailbox: LiveMailbox,
        receiving: Receiving,
        hello: Hello,
        *,
        idle: Sending | None,
    ) -> AsyncIterator[Event]:
        me = self.me
        while True:
            if idle is not None and me.cursor.seq >= hello.newest:
                await idle.deliver()
                return
            found = await mailbox.next()
            if found is None or isinstance(found, Hello):
                return
            taken = receiving.take(found, hello.epoch)
            await mailbox.acknowledge(me.cursor)
            for event in self._events(taken):
                yield event
            if taken and taken[-1].came is Came.NOT_YET:
                await asyncio.sleep(NOT_YET_SECONDS)
                return

    async def _keep_sending(self, sending: Sending) -> None:
        """Try what waits whenever its time has come, as long as the phone watches."""
        while True:
            await sending.deliver(due_only=True)
            due = sending.next_due()
            pause = 1.0 if due is None else max(0.2, min(1.0, due - self._now()))
            await asyncio.sleep(pause)

    def _events(self, taken: list[Taken]) -> list[Event]:
        events: list[Event] = []
        for one in taken:
            if one.came is Came.LETTER and one.item is not None:
                letter = self._letter(one.item)
                if letter is not None:
                    events.append(Arrived(letter))
            elif one.came is Came.TROUBLE and one.contact is not None:
                events.append(Trouble(one.contact.name, one.code))
        if any(one.came is not Came.NOTHING for one in taken):
            events += self._missing()
        return events

    # What is shown

    def _letters(self, only: PersonId | None, *, everything: bool) -> list[Shown]:
        rows = self._store.db.execute(
            "SELECT number, person, outgoing, raw, written, came FROM letter"
            " WHERE (?1 IS NULL OR person = ?1) AND (?2 OR (shown = 0 AND NOT outgoing))"
            " ORDER BY number",
            (None if only is None else only.raw, everything),
        ).fetchall()
        letters = [self._shown(*row) for row in rows]
        with self._store.transaction() as db:
            db.executemany(
                "UPDATE letter SET shown = 1 WHERE number = ?", [(row[0],) for row in rows]
            )
        return letters

    def _letter(self, item: ItemId) -> Shown | None:
        with self._store.transaction() as db:
            row = db.execute(
                "UPDATE letter SET shown = 1 WHERE item = ? AND shown = 0"
                " RETURNING number, person, outgoing, raw, written, came",
                (item.raw,),
            ).fetchone()
        return None if row is None else self._shown(*row)

    def _shown(
        self, number: int, person: bytes, outgoing: int, raw: bytes, written: float, came: float
    ) -> Shown:
        contact = self.contacts.of(PersonId(person))
        name = contact.name if contact else "somebody who was forgotten"
        card = self.me.card if outgoing else (contact.card if contact else None)
        content = None if card is None else read_item(raw, card=card).item.content
        match content:
            case Letter(text, file):
                return Shown(number, name, bool(outgoing), text, file, written, came)
            case Unknown():
                return Shown(number, name, False, "", None, written, came, unknown=True)
            case _:
                return Shown(number, name, bool(outgoing), "", None, written, came, unknown=True)

    def _missing(self) -> list[Missing]:
        counts = self._receiving(self.me).missing()
        return [
            Missing(one.name, counts[one.person])
            for one in self.contacts.all()
            if one.person in counts
        ]

    def _troubles(self) -> list[Trouble]:
        with self._store.transaction() as db:
            rows = db.execute("SELECT person, code FROM trouble WHERE NOT shown").fetchall()
            db.execute("UPDATE trouble SET shown = 1")
        found = []
        for person, code in rows:
            contact = self.contacts.of(PersonId(person))
            found.append(Trouble(contact.name if contact else "somebody", code))
        return found

    async def status(self) -> dict[str, Any]:
        """Return how this phone is, and whether its gateway answers."""
        me = self.me
        home, gateway, mailbox = me.home, "none", None
        if home is not None:
            try:
                async with self._home() as client:
                    mailbox, gateway = await client.status(), "answers"
            except (*AWAY, GatewayRefused) as trouble:
                gateway = str(trouble)
        waiting = await self.try_outbox()
        return {
            "name": me.name,
            "person": me.person.text,
            "gateway": gateway,
            "places": [str(one) for one in home.places] if home else [],
            "mailbox": mailbox,
            "contacts": len(self.contacts.all()),
            "waiting": waiting,
            "missing": {one.contact: one.count for one in self._missing()},
            "given_up": [],
        }

    # Inside

    def _adding(self) -> Adding:
        return Adding(self._store, self.me, self._now)

    def _sending(self, me: Me) -> Sending:
        return Sending(self._store, me, now=self._now)

    def _receiving(self, me: Me) -> Receiving:
        return Receiving(self._store, me, self._sending(me), now=self._now)

    @asynccontextmanager
    async def _client(self, destination: Destination) -> AsyncIterator[GatewayClient]:
        async with connect(destination, learned=self._certificates.learn) as connection:
            yield GatewayClient(connection, self.me.signs)

    @asynccontextmanager
    async def _home(self) -> AsyncIterator[GatewayClient]:
        """Give our own gateway, furnished."""
        me = self.me
        home = me.needs_home()
        async with self._client(self._certificates.of(home.gateway, home.places)) as gateway:
            await furnish(self._store, me, gateway, now=self._now())
            yield gateway


T = TypeVar("T")


def _parse(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except WrongCode as error:
        raise BadCode(f"{error}.") from None
    except WireError as error:
        raise BadCode(f"{error}") from None


_REFUSED: Final = (
    "the check codes were not confirmed to be the same on both sides, so nothing was paired;"
    " begin again with a new code"
)
