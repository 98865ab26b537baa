"""Becoming a device of a person, from the new one's side: it shows public keys, and digits.

    read    an old device shows a code, we read it
    show    we show a code, and an old device reads it; where its box is was typed in

What the old device grants is believed; of what lies at the gateway only a card that is no older
than the grant says, and the person key that this card names (docs/protocol.md §14.3).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from peer.devices.names import Names, short_name
from peer.errors import BadCode, GatewayRefused, NobodyAnswered, NotTheSame
from peer.keys.device_exchange import NewDevice
from peer.keys.errors import KeysError
from peer.keys.grant import Grant, Offer
from peer.keys.person import Device, Identity
from peer.keys.person_records import learn
from peer.keys.primitives import system_random
from peer.me import MAX_PLACES, Certificates, Home, Me
from peer.store import Store
from peer.ways.connection import Connection, Destination, connect
from peer.ways.furnishing import furnish
from peer.ways.gateway_client import DepositClient, GatewayClient, patiently
from peer.ways.tls import look_at, with_fingerprint
from wire.auth import Channel, Joining, Login
from wire.card import Card, DeviceEntry, Role
from wire.codes import DEVICE_CODE_SECONDS, DeviceCode, ShownBy, fingerprint
from wire.errors import WireError
from wire.ids import SlotId
from wire.places import Place
from wire.rendezvous import SIDE_BYTES

DECLINED: Final = b"\0"
NOT_OPEN_SECONDS: Final = 0.5
"""Pause while nobody has read the code: with the pause between two questions, one a second."""
MORE_SECONDS: Final = 60.0
"""How much longer than the code is good for the grant may take: the card is stated before it."""

Show = Callable[[int], Awaitable[None]]
"""Shows the check number, to be typed into the old device."""
OnCode = Callable[[DeviceCode], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class JoiningDevice:
    """What the new device needs: a file with nobody on it."""

    store: Store
    now: Callable[[], float]
    name: str
    role: Role

    async def read(self, code: DeviceCode, show: Show) -> Me:
        """Answer a code that an old device shows; return whose device this is now.

        Raises:
            NobodyAnswered, NotTheSame, BadCode, GatewayNotThere, WrongGateway, GatewayRefused
        """
        if code.shown_by is not ShownBy.OLD:
            raise BadCode("this code is shown by a new device: read it on one that you have")
        if code.expires < self.now():
            raise BadCode("this code is over; let the other device show another")
        found, der = await look_at(code.place, with_fingerprint(code.gateway))
        destination = self._known(Destination(found, (code.place,), der))
        device, side, word = Device.generate(system_random), NewDevice.reading(code), _word()
        async with self._connected(destination) as connection:
            slot = DepositClient(connection)
            await slot.write_slot(code.slot, 1, side.opening_message, side=word)
            revealing = await self._wait(slot, code, 2)
            side = _heard(lambda: side.hear_revealing(revealing))
            offering = side.offering(self._offer(device), device=device)
            await slot.write_slot(code.slot, 3, offering, side=word)
            await show(side.check)
            grant = await self._granted(slot, side)
        return await self._arrive(grant, device, destination)

    async def show(self, place: Place, on_code: OnCode, show: Show) -> Me:
        """Show a code and wait for the old device that reads it; return whose device this is.

        Args:
            place: where the person's box is.
            on_code: shows the code.
            show: shows the check digits.

        Raises:
            NobodyAnswered, NotTheSame, BadCode, GatewayNotThere, WrongGateway, GatewayRefused
        """
        found, der = await look_at(place, lambda _gateway: True)
        destination = self._known(Destination(found, (place,), der))
        expires = int(self.now()) + DEVICE_CODE_SECONDS
        slot_id = SlotId(system_random(SlotId.size))
        device, word = Device.generate(system_random), _word()
        side = NewDevice.showing(
            DeviceCode(ShownBy.NEW, bytes(16), slot_id, expires, fingerprint(found), place)
        )
        async with self._connected(destination) as connection:
            slot = DepositClient(connection)
            await on_code(side.code)
            opening = await self._wait(slot, side.code, 2)
            side = _heard(lambda: side.reveal(opening, self._offer(device), device=device))
            await slot.write_slot(slot_id, 1, side.revealing, side=word)
            await show(side.check)
            grant = await self._granted(slot, side)
        return await self._arrive(grant, device, destination)

    async def _granted(self, slot: DepositClient, side: NewDevice) -> Grant:
        message = await self._wait(slot, side.code, 4, more=MORE_SECONDS)
        if message == DECLINED:
            raise NotTheSame(
                "the digits were not typed in as they are here, so nothing was handed over; begin"
                " again with a new code"
            )
        return _heard(lambda: side.open_grant(message))

    async def _arrive(self, grant: Grant, device: Device, at: Destination) -> Me:
        """Fetch what the grant leads to, and have it all in the file at once."""
        if grant.gateway != at.gateway:
            raise BadCode("the other device has moved to another box meanwhile; begin again")

        def signs(*, channel: Channel, nonce: bytes) -> Login:
            return Login.sign(device.signing, channel=channel, nonce=nonce)

        def joins(*, channel: Channel, nonce: bytes) -> Joining:
            return Joining.sign(device.signing, person=grant.person, channel=channel, nonce=nonce)

        async with self._connected(self._known(at)) as connection:
            gateway = GatewayClient(connection, signs, joins)
            chain = await gateway.card()
            card = _heard(lambda: Card.follow(grant.person, chain))
            _check_card(card, grant, device)
            records = await gateway.person_keys()
            places = _places(at.places, grant.places)
            identity = Identity(grant.person, device, grant.person_key)
            with self.store.transaction():
                me = Me.arrive(
                    self.store,
                    identity=identity,
                    card=card,
                    name=grant.name,
                    home=Home(grant.gateway, places),
                    recovery=grant.recovery,
                )
                learn(self.store.vault, card, records)
                for id, name in grant.names:
                    Names(self.store, me).keep(id, short_name(name))
            me = Me(self.store)
            await furnish(self.store, me, gateway, now=self.now())
        return me

    def _offer(self, device: Device) -> Offer:
        return Offer(
            DeviceEntry(device.key, device.exchange.public, self.role), short_name(self.name)
        )

    def _known(self, destination: Destination) -> Destination:
        certificates = Certificates(self.store)
        if destination.certificate is not None:
            certificates.learn(destination.gateway, destination.certificate)
        return certificates.of(destination.gateway, destination.places)

    def _connected(self, destination: Destination) -> AbstractAsyncContextManager[Connection]:
        return connect(destination, learned=Certificates(self.store).learn)

    async def _wait(
        self, slot: DepositClient, code: DeviceCode, number: int, *, more: float = 0.0
    ) -> bytes:
        """Wait for a message while the code is good; a slot that is not open yet is no refusal."""

        async def read() -> bytes | None:
            try:
                return await slot.read_slot(code.slot, number)
            except GatewayRefused as refused:
                if refused.reason != "slot-gone" or code.shown_by is not ShownBy.NEW:
                    raise
                await asyncio.sleep(NOT_OPEN_SECONDS)
                return None

        left = max(1.0, min(code.expires - self.now(), DEVICE_CODE_SECONDS)) + more
        message = await patiently(read, seconds=left)
        if message is None:
            raise NobodyAnswered("the other device did not answer in time; begin with a new code")
        return message


def _check_card(card: Card, grant: Grant, device: Device) -> None:
    """Refuse a card that is older than the grant, or another, or lists us no more."""
    where, least = card.position, grant.position
    older = (where.epoch, where.seq) < (least.epoch, least.seq)
    other = (where.epoch, where.seq) == (least.epoch, least.seq) and where.hash != least.hash
    if older or other or card.device(device.id) is None:
        raise BadCode(
            "the box hands out another card than the one on which this device stands; look at your"
            " devices on the other one before you try again"
        )


def _places(answered: tuple[Place, ...], told: tuple[str, ...]) -> tuple[Place, ...]:
    """Return where the box may be: first where it has just answered."""
    places = list(answered)
    for one in told:
        with suppress(WireError):
            places.append(Place.parse(one))
    return tuple(dict.fromkeys(places))[:MAX_PLACES]


def _word() -> bytes:
    return system_random(SIDE_BYTES)


T = TypeVar("T")


def _heard(step: Callable[[], T]) -> T:
    try:
        return step()
    except (KeysError, WireError) as error:
        raise BadCode(f"the other side is not who showed the code: {error}") from None
