"""Adding a device, from the old one's side: it lets the new one in once the digits were typed.

    show    we show a code, the new device reads it
    read    the new device shows a code, we read it

Nothing secret is sealed before the digits that the new device shows were typed here; then the card
is stated, and last the grant is handed over (docs/protocol.md §14.3).
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from peer.devices.names import Names
from peer.devices.stating import state_card
from peer.errors import BadCode, KitFirst, NobodyAnswered, NotTheSame, TooManyDevices
from peer.keys.birth import Change
from peer.keys.device_exchange import OldDevice
from peer.keys.errors import KeysError
from peer.keys.grant import MAX_PLACES, Grant, Offer
from peer.keys.primitives import system_random
from peer.me import Me
from peer.store import Store
from peer.ways.gateway_client import GatewayClient, patiently
from wire.card import MAX_DEVICES, Card, DeviceEntry
from wire.check_code import digits
from wire.codes import DEVICE_CODE_SECONDS, DeviceCode, ShownBy, fingerprint
from wire.errors import WireError
from wire.ids import SlotId

TRIES: Final = 3
"""How often the digits may be typed: a slip is no attack, and three in a million is no chance."""
DECLINED: Final = b"\0"
"""Written in place of the grant: the new device need not wait."""
CLOCKS_APART: Final = 3600.0

AskDigits = Callable[[Offer, int], Awaitable[str | None]]
"""Says which device wants to come in and how many tries are left; returns the digits that were
typed, None for no."""
OnCode = Callable[[DeviceCode], Awaitable[None]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AddingDevice:
    """What the old device needs.

    Attributes:
        name: what the new device is to be called; None: what it calls itself.
        without_kit: whether to go on although the recovery seed is still on this phone.
    """

    store: Store
    me: Me
    now: Callable[[], float]
    name: str | None = None
    without_kit: bool = False

    def refuse(self) -> None:
        """Refuse what would come to nothing before anybody shows a code.

        Raises:
            KitFirst: the recovery kit should be made before there is a second device.
            TooManyDevices: ten are there.
        """
        if self.store.vault.seed() is not None and not self.without_kit:
            raise KitFirst
        if len(self.me.card.devices) >= MAX_DEVICES:
            raise TooManyDevices(f"a person has at most {MAX_DEVICES} devices; take one off first")

    async def show(self, gateway: GatewayClient, on_code: OnCode, ask: AskDigits) -> str:
        """Show a code and let in who reads it; return what the new device is called.

        Raises:
            KitFirst, TooManyDevices, NobodyAnswered, NotTheSame, BadCode
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        self.refuse()
        home = self.me.needs_home()
        side = OldDevice.showing(
            DeviceCode(
                ShownBy.OLD,
                bytes(16),
                SlotId(system_random(SlotId.size)),
                int(self.now()) + DEVICE_CODE_SECONDS,
                fingerprint(home.gateway),
                home.places[0],
            )
        )
        slot = side.code.slot
        await gateway.open_slot(slot)
        await on_code(side.code)
        opening = await _wait(lambda: gateway.read_slot(slot, 1), self._left(side.code))
        side = _heard(lambda: side.reveal(opening))
        await gateway.write_slot(slot, 2, side.revealing)
        offering = await _wait(lambda: gateway.read_slot(slot, 3), self._left(side.code))
        side = _heard(lambda: side.hear_offer(offering))
        return await self._let_in(gateway, side, ask)

    async def read(self, gateway: GatewayClient, code: DeviceCode, ask: AskDigits) -> str:
        """Answer a code that a new device shows, and let it in; return what it is called.

        Raises:
            KitFirst, TooManyDevices, NobodyAnswered, NotTheSame, BadCode
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        self.refuse()
        self._check(code)
        side = OldDevice.reading(code)
        await gateway.open_slot(code.slot)
        await gateway.write_slot(code.slot, 2, side.opening_message)
        revealing = await _wait(lambda: gateway.read_slot(code.slot, 1), self._left(code))
        side = _heard(lambda: side.hear_revealing(revealing))
        return await self._let_in(gateway, side, ask)

    def _check(self, code: DeviceCode) -> None:
        if code.shown_by is not ShownBy.NEW:
            raise BadCode(
                "this code is shown by a device that is yours already: read it on the new one"
            )
        if code.expires < self.now():
            raise BadCode("this code is over; let the new device show another")
        if code.expires > self.now() + DEVICE_CODE_SECONDS + CLOCKS_APART:
            raise BadCode("this code claims to be good for longer than any is; look at the clocks")
        if code.gateway != fingerprint(self.me.needs_home().gateway):
            raise BadCode(
                "the new device has found another box than yours; give it the address of yours"
            )

    async def _let_in(self, gateway: GatewayClient, side: OldDevice, ask: AskDigits) -> str:
        offer = side.offer
        assert offer is not None  # noqa: S101  # it was heard
        if not await self._typed(side, ask):
            with suppress(WireError):
                await gateway.write_slot(side.code.slot, 4, DECLINED)
            raise NotTheSame(
                "the digits are not those that the new device shows, so nothing was handed over;"
                " begin again with a new code"
            )
        if self.me.card.device(offer.entry.id) is None:
            await state_card(
                self.store, self.me, gateway, lambda card: _with(card, offer.entry), now=self.now()
            )
        names = Names(self.store, self.me)
        with self.store.transaction():
            name = names.free(self.name or offer.name)
            names.keep(offer.entry.id, name)
        await gateway.write_slot(side.code.slot, 4, side.granting(self._grant()))
        return name

    async def _typed(self, side: OldDevice, ask: AskDigits) -> bool:
        """Let the digits be typed while the code is good; no answer is no."""
        assert side.offer is not None  # noqa: S101  # the caller has looked
        wanted = digits(side.check).replace(" ", "")
        for left in reversed(range(TRIES)):
            typed = None
            with suppress(TimeoutError):
                async with asyncio.timeout(self._left(side.code)):
                    typed = await ask(side.offer, left)
            if typed is None:
                return False
            said = "".join(one for one in typed if one.isdecimal() and one.isascii())
            if hmac.compare_digest(said, wanted):
                return True
        return False

    def _grant(self) -> Grant:
        home, key = self.me.needs_home(), self.me.person_key
        recovery = self.store.vault.recovery_public()
        if key is None or recovery is None:
            raise BadCode("this device does not hold the person key yet; let it reach its box once")
        names = Names(self.store, self.me).all()
        return Grant(
            self.me.person,
            self.me.name,
            key,
            self.me.card.position,
            recovery,
            home.gateway,
            tuple(str(one) for one in home.places[:MAX_PLACES]),
            tuple((entry.id, name) for entry, name in names),
        )

    def _left(self, code: DeviceCode) -> float:
        latest = self.now() + DEVICE_CODE_SECONDS
        return max(1.0, min(code.expires, latest) - self.now())


def _with(card: Card, entry: DeviceEntry) -> Change:
    others = tuple(one for one in card.devices if one.key != entry.key)
    return Change(devices=(*others, entry))


def _heard(step: Callable[[], T]) -> T:
    try:
        return step()
    except (KeysError, WireError) as error:
        raise BadCode(f"the other side is not who showed the code: {error}") from None


async def _wait(read: Callable[[], Awaitable[bytes | None]], seconds: float) -> bytes:
    message = await patiently(read, seconds=seconds)
    if message is None:
        raise NobodyAnswered("the other device did not answer in time; begin with a new code")
    return message
