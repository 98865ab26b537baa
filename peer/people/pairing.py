"""Pairing with a gateway, and finding the same one again at another address.

The request is stored before it is sent, so that the same code, given again after an answer was
lost, sends it word for word and ends as it would have (docs/protocol.md §3.3).
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from peer.errors import NotTheSame
from peer.me import MAX_PLACES, Certificates, Home, Me
from peer.people.contacts import Contacts
from peer.store import Store
from peer.ways.connection import Destination, connect
from peer.ways.furnishing import furnish
from peer.ways.gateway_client import GatewayClient
from peer.ways.outgoing import Outgoing
from peer.ways.tls import look_at, named
from wire.card import GatewayEntry
from wire.codec import decode, encode
from wire.codes import GatewayCode
from wire.errors import WireError
from wire.pairing import REQUEST_LIMIT, PairingState, PairRequest
from wire.places import Place

OWNER_SECONDS: Final = 20
"""How long one question waits for the owner's yes; it is asked until the gateway has an answer."""
_REQUEST: Final = "pairing"

Ask = Callable[[int], Awaitable[bool]]
"""Shows a check number; returns whether the other screen shows the same."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What pairing needs."""

    store: Store
    me: Me
    now: Callable[[], float]

    async def pair(self, code: GatewayCode, ask: Ask) -> Home:
        """Pair this phone with the gateway whose code was read; return where it may be found.

        Raises:
            NotTheSame: the check codes differ, or the box said no.
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        certificates = Certificates(self.store)
        found, der = await look_at(code.place, named(code.gateway))
        certificates.learn(found, der)
        destination = Destination(found, (code.place,), der)
        async with connect(destination, learned=certificates.learn) as connection:
            gateway = GatewayClient(connection, self.me.signs)
            home = await self._agree(gateway, code, ask)
            self.move_in(home, anew=True)
            await furnish(self.store, self.me, gateway, now=self.now())
        return home

    async def pair_beside(self, code: GatewayCode, ask: Ask) -> Home:
        """Get a seat at a second gateway; the mailbox stays where it is.

        Raises:
            NotTheSame: the check codes differ, or the box said no.
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        certificates = Certificates(self.store)
        found, der = await look_at(code.place, named(code.gateway))
        certificates.learn(found, der)
        destination = Destination(found, (code.place,), der)
        async with connect(destination, learned=certificates.learn) as connection:
            home = await self._agree(GatewayClient(connection, self.me.signs), code, ask)
        return replace(home, places=home.places[:MAX_PLACES])

    async def move(self, place: Place) -> Home:
        """Note that our gateway is at another place now; its key is what it was.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway
        """
        home = self.me.needs_home()
        found, der = await look_at(place, named(home.gateway))
        Certificates(self.store).learn(found, der)
        others = tuple(one for one in home.places if one != place)
        moved = Home(home.gateway, (place, *others))
        self.move_in(moved, anew=False)
        return moved

    def move_in(self, home: Home, *, anew: bool) -> None:
        """Have the mailbox there from now on, and let every contact know.

        Args:
            home: the gateway.
            anew: whether it has to be told everything: the seat may be a new one.
        """
        outgoing = Outgoing(self.store, self.me, now=self.now)
        home = replace(home, places=home.places[:MAX_PLACES])
        with self.store.transaction():
            self.me.move_in(home, now=self.now())
            if anew:
                self.me.furnish_anew()
            entry = GatewayEntry(home.gateway, tuple(str(one) for one in home.places))
            self.me.state_gateway(entry, now=self.now())
            for contact in Contacts(self.store.db).all():
                if not contact.blocked:
                    outgoing.tell_card(contact)

    async def _agree(self, gateway: GatewayClient, code: GatewayCode, ask: Ask) -> Home:
        request = await self._request(gateway, code)
        answer = await gateway.pair(request)
        if answer.state is PairingState.WAITING:
            if not await ask(request.check_number(nonce=answer.nonce)):
                await gateway.refuse(request)
                raise NotTheSame(_REFUSED)
            request = replace(request, confirmed=True)
            while answer.state is PairingState.WAITING:
                answer = await gateway.pair(request, wait=OWNER_SECONDS)
        if answer.state is PairingState.REFUSED:
            raise NotTheSame(_REFUSED)
        others = tuple(Place.parse(one) for one in answer.places)
        # Where it has just answered comes first, whatever it believes of itself.
        return Home(code.gateway, (code.place, *(one for one in others if one != code.place)))

    async def _request(self, gateway: GatewayClient, code: GatewayCode) -> PairRequest:
        """Return the request for this code: the one that was sent before, if there was one."""
        channel = await gateway.channel()
        mark = hashlib.blake2b(
            code.secret + channel.gateway.raw + channel.certificate_hash, digest_size=16
        ).digest()
        if (before := self._sent_before(mark)) is not None:
            return before
        device = self.me.identity.device
        request = PairRequest.make(
            code.secret,
            channel=channel,
            device=device.key,
            exchange_key=device.exchange.public,
            chain=self.me.card.chain,
        )
        with self.store.transaction():
            self.store.keep_note(_REQUEST, encode([mark, request.encode()]))
        return request

    def _sent_before(self, mark: bytes) -> PairRequest | None:
        note = self.store.note(_REQUEST)
        try:
            match None if note is None else decode(note, limit=REQUEST_LIMIT + 64):
                case [bytes(found), bytes(request)] if found == mark:
                    return PairRequest.decode(request)
        except WireError:  # of an older program: made anew
            return None
        return None


_REFUSED: Final = (
    "the check codes were not confirmed to be the same on both sides, so nothing was paired;"
    " begin again with a new code"
)
