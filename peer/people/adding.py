"""Adding a contact: carries the four messages of an exchange through a slot at a gateway.

Every state is stored before its message leaves, so a lost answer is repeated word for word, and a
command that was ended goes on where it stood when the same code is given again
(docs/protocol.md §7, §11).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from peer.errors import BadCode, NobodyAnswered, NotTheSame
from peer.keys.contact_exchange import Guest, Host
from peer.keys.errors import KeysError
from peer.keys.introduction import Introduction, Met, introduce, remember
from peer.keys.minting import private_bundle
from peer.keys.primitives import system_random
from peer.me import Certificates, Me
from peer.people.contacts import Contact, Contacts, follow
from peer.people.freshness import Freshness
from peer.people.lanes import Lanes
from peer.store import Store
from peer.ways.connection import Destination, connect
from peer.ways.furnishing import furnish
from peer.ways.gateway_client import DepositClient, GatewayClient, patiently
from peer.ways.outgoing import Outgoing
from peer.ways.tls import look_at, with_fingerprint
from wire.codes import CONTACT_CODE_SECONDS, ContactCode, fingerprint
from wire.errors import WireError
from wire.ids import PersonId, SlotId
from wire.rendezvous import SIDE_BYTES

DECLINED: Final = b"\0"
"""Written in place of message 3 or 4 by a side whose screen showed another check code: the other
need not wait. Who forges it can only do what a gateway that says nothing can do as well."""
KEPT_SECONDS: Final = 3600.0
"""How long a state is kept once its code is over."""
CLOCKS_APART: Final = 3600.0
"""By how much the clock of the phone that shows a code may be ahead of ours. A code that has been
over for longer is more likely one of a phone whose clock is behind."""
GOOD_SECONDS: Final = CONTACT_CODE_SECONDS / 2
"""How long a code that nobody has answered must still be good to be shown again."""
ANSWER_SECONDS: Final = 120.0
"""How long the other phone may take for its next message: two people compare six digits."""

T = TypeVar("T")

Ask = Callable[[int], Awaitable[bool]]
"""Shows a check number; returns whether the other screen shows the same."""
OnCode = Callable[[ContactCode], Awaitable[None]]
"""Shows a code."""


@dataclass(frozen=True, slots=True)
class Adding:
    """What both sides of an addition need."""

    store: Store
    me: Me
    now: Callable[[], float]

    # The host: shows a code, and is paired with the gateway it names

    async def begin(self, gateway: GatewayClient, *, go_on: bool) -> Host:
        """Return the host of a code that can be shown: the slot that it names is open.

        Args:
            gateway: ours, logged in.
            go_on: whether to go on with an addition that was cut off: one that somebody had
                answered, or whose code is good for a while; no, while another process of this phone
                may be at it.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        host = (self._cut_off() if go_on else None) or self._new_host()
        await gateway.open_slot(host.code.slot)
        return host

    def _new_host(self) -> Host:
        home = self.me.needs_home()
        code = ContactCode(
            self.me.person,
            bytes(16),
            SlotId(system_random(SlotId.size)),
            int(self.now()) + CONTACT_CODE_SECONDS,
            fingerprint(home.gateway),
            home.places[0],
        )
        host = Host.begin(code)
        with self.store.transaction():
            self._keep(host.code, host.save())
        return host

    def _cut_off(self) -> Host | None:
        """Return our newest addition that somebody had answered when it was cut off.

        Else one whose code is still good for a while: whoever ends the command and calls it again
        would otherwise soon hold as many slots open as a seat may.
        """
        home = self.me.needs_home()
        rows = self.store.db.execute(
            "SELECT state FROM exchange WHERE person IS NULL AND expires > ? ORDER BY expires DESC",
            (self.now(),),
        ).fetchall()
        hosts = [Host.load(state) for (state,) in rows]
        here = [one for one in hosts if one.code.gateway == fingerprint(home.gateway)]
        fresh = [
            one
            for one in here
            if one.code.expires - self.now() > GOOD_SECONDS and one.code.place == home.places[0]
        ]
        return next((one for one in (*(one for one in here if one.one), *fresh)), None)

    async def show(self, gateway: GatewayClient, host: Host, *, ask: Ask | None) -> Contact:
        """Wait for whoever reads the code, and make them a contact.

        Args:
            gateway: ours, logged in.
            host: of `begin`.
            ask: compares the check codes; None: nobody does, and the contact is unverified.

        Raises:
            NobodyAnswered: nobody came in time.
            NotTheSame: the check codes differ.
            BadCode: the other side did not keep to the exchange.
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        try:
            return await self._show(gateway, host, ask=ask)
        except (NobodyAnswered, BadCode):
            self._forget(host.code)  # the next code is a new one
            raise

    async def _show(self, gateway: GatewayClient, host: Host, *, ask: Ask | None) -> Contact:
        slot = host.code.slot
        one = await self._wait(lambda: gateway.read_slot(slot, 1), self._left(host.code))
        host = self._hear(lambda: host.hear_one(one))
        with self.store.transaction():
            self._keep(host.code, host.save())
        await gateway.write_slot(slot, 2, host.message_two)
        if not await self._same(host.code, host.check, ask):
            await gateway.write_slot(slot, 4, DECLINED)
            raise self._refused(host.code)
        three = await self._wait(lambda: gateway.read_slot(slot, 3), ANSWER_SECONDS)
        if three == DECLINED:
            raise self._refused(host.code)
        host, met = self._hear(lambda: host.hear_three(three))
        contact, host = self._meet_as_host(host, met, verified=ask is not None)
        await furnish(self.store, self.me, gateway, now=self.now(), in_step=False)
        assert host.four is not None  # noqa: S101  # introduce made it
        await gateway.write_slot(slot, 4, host.four)
        self._forget(host.code)
        return contact

    def _meet_as_host(self, host: Host, met: Met, *, verified: bool) -> tuple[Contact, Host]:
        held = Contacts(self.store.db).of(met.person)
        if host.four is not None and held is not None:
            return held, host  # we met before this was cut off, and letters may have come since
        with self.store.transaction():
            self._refuse_blocked(met.person, compared=verified)
            ours = self._introduction(met.person)
            contact = self._remember(met, verified=verified)
            ready = host.introduce(ours, device=self.me.identity.device)
            self._keep(ready.code, ready.save())
        return contact, ready

    # The guest: has read a code, and need not be paired with anybody

    async def read(
        self, code: ContactCode, *, gateway: GatewayClient | None, ask: Ask | None
    ) -> Contact:
        """Answer a code, and make whoever shows it a contact.

        Args:
            code: as read.
            gateway: ours, logged in; None if this phone has none yet.
            ask: compares the check codes; None: nobody does, and the contact is unverified.

        Raises:
            NobodyAnswered, NotTheSame, BadCode, GatewayNotThere, WrongGateway, GatewayRefused
        """
        if code.expires + CLOCKS_APART < self.now():
            raise BadCode(
                "this code was over more than an hour ago; if it was shown just now, look at the"
                " clocks of both phones, then ask for a new one"
            )
        if code.expires < self.now():
            raise BadCode("this code is over; ask for a new one")
        if code.expires > self.now() + CONTACT_CODE_SECONDS + CLOCKS_APART:
            raise BadCode(
                "this code claims to be good for longer than any is; look at the clocks of both"
                " phones, then ask for a new one"
            )
        if code.person == self.me.person:
            raise BadCode("this code is your own; let the other phone read it")
        self._refuse_blocked(code.person, compared=ask is not None)
        found, der = await look_at(code.place, with_fingerprint(code.gateway))
        certificates = Certificates(self.store)
        certificates.learn(found, der)
        destination = Destination(found, (code.place,), der)
        async with connect(destination, learned=certificates.learn) as connection:
            return await self._answer(DepositClient(connection), code, gateway, ask)

    async def _answer(
        self,
        slot: DepositClient,
        code: ContactCode,
        gateway: GatewayClient | None,
        ask: Ask | None,
    ) -> Contact:
        guest, side = self._begin_or_go_on(code)
        await slot.write_slot(code.slot, 1, guest.message_one, side=side)
        two = await self._wait(lambda: slot.read_slot(code.slot, 2), self._left(code))
        guest = self._guest_step(lambda: guest.hear_two(two), side=side)
        if not await self._same(code, guest.check, ask):
            await slot.write_slot(code.slot, 3, DECLINED, side=side)
            raise self._refused(code)
        with self.store.transaction():
            ours = self._introduction(code.person)
            guest = guest.introduce(ours, device=self.me.identity.device)
            self._keep(code, guest.save(), side=side)
        if gateway is not None:  # before the other can write on them
            await furnish(self.store, self.me, gateway, now=self.now(), in_step=False)
        assert guest.three is not None  # noqa: S101  # introduce made it
        await slot.write_slot(code.slot, 3, guest.three, side=side)
        four = await self._wait(lambda: slot.read_slot(code.slot, 4), ANSWER_SECONDS)
        if four == DECLINED:
            raise self._refused(code)
        met = self._hear(lambda: guest.hear_four(four))
        with self.store.transaction():
            contact = self._remember(met, verified=ask is not None)
        self._forget(code)
        return contact

    def _begin_or_go_on(self, code: ContactCode) -> tuple[Guest, bytes]:
        row = self.store.db.execute(
            "SELECT state, side FROM exchange WHERE slot = ?", (code.slot.raw,)
        ).fetchone()
        if row is not None and row[1] is not None:
            guest = Guest.load(row[0])
            if guest.code != code:
                raise BadCode(
                    "another code with this place to meet was read before; ask for a new one"
                )
            return guest, bytes(row[1])
        guest, side = Guest.begin(code), system_random(SIDE_BYTES)
        with self.store.transaction():
            self._keep(code, guest.save(), side=side)
        return guest, side

    # Both

    def _introduction(self, to: PersonId) -> Introduction:
        vault, identity = self.store.vault, self.me.identity
        return introduce(
            vault,
            identity,
            card=self.me.card,
            to=to,
            lanes=Lanes(self.store.db).give(to),
            bundle=private_bundle(vault, identity, now=self.now()),
            name=self.me.name,
        )

    def _remember(self, met: Met, *, verified: bool) -> Contact:
        now, theirs = self.now(), met.introduction
        contacts = Contacts(self.store.db)
        self._refuse_revoked(theirs, held=contacts.of(met.person))
        remember(self.store.vault, met, now=now)
        Lanes(self.store.db).take(met.person, theirs.lanes)
        contact = contacts.add(theirs.card, introduced=theirs.name, verified=verified, now=now)
        if Freshness(self.store, self.me, now=self.now).mine:  # the exchange has no room for it
            Outgoing(self.store, self.me, now=self.now).tell_card(contact)
        return contact

    def _refuse_blocked(self, person: PersonId, *, compared: bool) -> None:
        """Refuse lanes to somebody who is blocked, unless two people stand there and compare."""
        held = Contacts(self.store.db).of(person)
        if held is not None and held.blocked and not compared:
            raise BadCode(
                f"you have blocked {held.name}; add them again with check codes compared if you"
                " want to hear of them"
            )

    def _refuse_revoked(self, theirs: Introduction, *, held: Contact | None) -> None:
        """Refuse a phone that was taken off the card: it shows the card as it was before."""
        if held is None:
            return
        card = follow(held.card, theirs.card.chain)
        if card.device(theirs.device.device) is None:
            raise BadCode(f"this phone was taken off the card of {held.name}: nobody was added")

    def _keep(self, code: ContactCode, state: bytes, *, side: bytes | None = None) -> None:
        """Store an exchange; `side` is the guest's."""
        db = self.store.db
        db.execute("DELETE FROM exchange WHERE expires < ?", (self.now() - KEPT_SECONDS,))
        person = None if side is None else code.person.raw
        db.execute(
            "INSERT INTO exchange (slot, person, side, state, expires) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (slot) DO UPDATE SET state = excluded.state",
            (code.slot.raw, person, side, state, min(code.expires, self._latest())),
        )

    def _forget(self, code: ContactCode) -> None:
        with self.store.transaction() as db:
            db.execute("DELETE FROM exchange WHERE slot = ?", (code.slot.raw,))

    def _refused(self, code: ContactCode) -> NotTheSame:
        self._forget(code)
        return NotTheSame(
            "the check codes were not confirmed to be the same, so nobody was added;"
            " begin again with a new code"
        )

    async def _same(self, code: ContactCode, number: int, ask: Ask | None) -> bool:
        """Let the check codes be compared while the code is good; no answer is no."""
        if ask is None:
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._left(code)):
                return await ask(number)
        return False

    def _left(self, code: ContactCode) -> float:
        return max(1.0, min(code.expires, self._latest()) - self.now())

    def _latest(self) -> float:
        """Return when an addition that begins now is over; the other side's word is no limit."""
        return self.now() + CONTACT_CODE_SECONDS

    async def _wait(self, read: Callable[[], Awaitable[bytes | None]], seconds: float) -> bytes:
        message = await patiently(read, seconds=seconds)
        if message is None:
            raise NobodyAnswered("the other phone did not answer in time; begin with a new code")
        return message

    def _guest_step(self, step: Callable[[], Guest], *, side: bytes) -> Guest:
        guest = self._hear(step)
        with self.store.transaction():
            self._keep(guest.code, guest.save(), side=side)
        return guest

    def _hear(self, step: Callable[[], T]) -> T:
        try:
            return step()
        except (KeysError, WireError) as error:
            raise BadCode(f"the other side is not who showed the code: {error}") from None
