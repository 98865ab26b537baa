"""Coming back with a recovery seed: a new device takes the seat, and brings everything along.

    the card is fetched with the root key   a wrong kit ends here, and nothing was made of it
    a root statement lists this device      the gateway takes the seat from all others
    it is stored                            cut off before, the next try goes one epoch further
    old person keys are opened              with the kit's box key, from the records at the gateway
    state, lanes, contacts                  as on every phone that comes to its gateway

Where the gateway is gone the person is all that comes back from a kit; she pairs with another one.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from peer.errors import GatewayRefused, NoPerson, PersonExists, WrongGateway, WrongKit
from peer.items.kinds import Lanes as LanesItem
from peer.keys.returning import Returning, Root, earlier_keys
from peer.me import MAX_PLACES, Certificates, Home, Me
from peer.people.contacts import Contacts
from peer.people.lanes import Lanes
from peer.store import Store
from peer.ways.connection import Connection, Destination, connect
from peer.ways.furnishing import at_home
from peer.ways.gateway_client import GatewayClient
from peer.ways.outgoing import Outgoing
from peer.ways.recovery_client import RecoveryClient
from peer.ways.tls import look_at
from wire.card import Card, Role
from wire.errors import WireError
from wire.ids import GatewayId, PersonId
from wire.places import Place


@dataclass(frozen=True, slots=True)
class Where:
    """Where the mailbox was: the gateway's key if the kit says it, and places."""

    gateway: GatewayId | None
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Back:
    """What came back."""

    person: PersonId
    shut_out: int
    """Devices that were on the card before."""
    contacts: tuple[str, ...]
    person_keys: int
    """Generations of the person key from before, which open what was sealed under them."""
    lacking: tuple[str, ...]
    """Sentences that say what did not come back."""


class ComingBack:
    """Takes a person in on a phone on which there is nobody.

    Args:
        store: the phone's file.
        now: returns Unix seconds.
        role: what this device is.
    """

    def __init__(self, store: Store, *, now: Callable[[], float], role: Role) -> None:
        self._store = store
        self._now = now
        self._role = role

    async def at_gateway(self, seed: bytes, where: Where, *, name: str) -> Back:
        """Come back to the gateway that holds the mailbox.

        Raises:
            PersonExists, EmptyName
            WrongKit: nobody with this kit has a mailbox there; nothing was made.
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        self.nobody_here()
        root, now = Root(seed), self._now()
        async with self._reach(where) as (home, connection):
            client = RecoveryClient(connection)
            before = await fetch_card(client, root)
            if where.gateway is None and not _names(before, home.gateway):
                raise WrongGateway(
                    "your card does not name the gateway that answers there, so nothing was left to"
                    " it; look at the address"
                )
            returning = Returning.begin(root, before, role=self._role, now=now)
            await client.recover(returning.answer)
            home = _at_all_places(home, before)
            with self._store.transaction():
                me = Me.come_back(self._store, returning, name=name, home=home)
            gateway = GatewayClient(connection, me.signs)
            keys = earlier_keys(root, await gateway.person_keys())
            with self._store.transaction():
                for key in keys:
                    self._store.vault.keep_person_key(key)
                self._store.vault.expect_known(before.person_generation)
        return await self._arrived(len(before.devices), len(keys))

    def without_gateway(self, seed: bytes, *, name: str) -> Back:
        """Come back where no gateway is left: the person is what the kit restores.

        Raises:
            PersonExists, EmptyName
        """
        self.nobody_here()
        root = Root(seed)
        returning = Returning.begin(root, None, role=self._role, now=self._now())
        with self._store.transaction():
            Me.come_back(self._store, returning, name=name, home=None)
        return Back(root.person, 0, (), 0, (_NO_GATEWAY, _NO_CONTACTS, _NO_OLD_KEYS))

    async def _arrived(self, shut_out: int, keys: int) -> Back:
        """Bring everything along, let contacts know, and say what is lacking."""
        me = Me(self._store)
        lacking = [_OLD_PHONE]
        async with at_home(self._store, me, now=self._now()):
            pass  # card, person key, state, lanes, prekeys
        with self._store.transaction():
            tell_contacts(self._store, me, now=self._now)
        async with at_home(self._store, me, now=self._now()):
            pass  # the new lanes
        contacts = tuple(one.name for one in Contacts(self._store.db).all())
        if not contacts:
            lacking.append(_NO_CONTACTS)
        if not keys:
            lacking.append(_NO_OLD_KEYS)
        return Back(me.person, shut_out, contacts, keys, tuple(lacking))

    def nobody_here(self) -> None:
        """Check that nobody is on this phone.

        Raises:
            PersonExists: somebody is.
        """
        with suppress(NoPerson):
            Me(self._store)
            raise PersonExists("there is a person on this phone already; use another --home")

    @asynccontextmanager
    async def _reach(self, where: Where) -> AsyncIterator[tuple[Home, Connection]]:
        certificates = Certificates(self._store)
        gateway, der = where.gateway, None
        if gateway is None:
            gateway, der = await look_at(where.places[0], lambda _found: True)
        home = Home(gateway, where.places)
        destination = Destination(gateway, where.places, der)
        async with connect(destination, learned=certificates.learn) as connection:
            yield home, connection


async def fetch_card(client: RecoveryClient, root: Root) -> Card:
    """Return the card of whose root key this is, as her gateway holds it.

    Raises:
        WrongKit: the gateway knows nobody with this root key.
        GatewayNotThere, WrongGateway, GatewayRefused
    """
    try:
        return Card.follow(root.person, await client.card(root.proof))
    except GatewayRefused as refused:
        if refused.reason != "recovery-refused":
            raise
        raise WrongKit(
            "nobody with this kit has a mailbox at this gateway, and nothing was made of it; look"
            " whether it is your kit and your box"
        ) from None
    except WireError:
        raise GatewayRefused("malformed", {}) from None


def tell_contacts(store: Store, me: Me, *, now: Callable[[], float]) -> None:
    """Put our card and new lanes on their way to every contact, inside a transaction.

    They are known to nobody who has taken the lost device.
    """
    outgoing, lanes = Outgoing(store, me, now=now), Lanes(store.db)
    for contact in Contacts(store.db).all():
        if not contact.blocked:
            outgoing.tell_card(contact)
            outgoing.put(contact, LanesItem(lanes.renew(contact.person, now=now())))


def _names(card: Card, gateway: GatewayId) -> bool:
    return any(one.gateway == gateway for one in card.gateways)


def _at_all_places(home: Home, card: Card) -> Home:
    """Return where the gateway may be: where it answered first, then where the card says."""
    stated = next((one for one in card.gateways if one.gateway == home.gateway), None)
    places = list(home.places)
    for text in () if stated is None else stated.places:
        with suppress(WireError):  # a hint that we cannot read is no hint
            places.append(Place.parse(text))
    return Home(home.gateway, tuple(dict.fromkeys(places))[:MAX_PLACES])


_OLD_PHONE: Final = (
    "What only the lost phone had does not come back: letters that were in no archive, and drafts."
    " Letters that wait for it are asked for again, from those who wrote them."
)
_NO_CONTACTS: Final = (
    "Your contacts did not come back. Add them again: they know you by your key and keep their"
    " side of what you wrote."
)
_NO_OLD_KEYS: Final = (
    "Nothing that was sealed before can be opened: the gateway holds no key of yours for this kit."
)
_NO_GATEWAY: Final = (
    "Without the gateway the kit restores who you are, and nothing else. Pair with a box, then meet"
    " your contacts."
)
