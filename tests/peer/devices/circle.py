"""People with several devices, for tests: one device lets another in, digits and all."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from peer.keys.grant import Offer
from peer.me import Me
from tests.peer.household import PATIENCE, Household, Phone, together
from wire.check_code import digits
from wire.codes import DeviceCode, ShownBy


@dataclass
class Introducing:
    """An old device and a new one; somebody looks at both."""

    old: Phone
    new: Phone
    shown_by: ShownBy = ShownBy.OLD
    name: str = "tablet"
    typed: str | None = None
    """What is typed instead of the digits that the new device shows."""
    code: "asyncio.Future[DeviceCode]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    digits: "asyncio.Future[int]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    offers: list[Offer] = field(default_factory=list)

    async def _on_code(self, code: DeviceCode) -> None:
        self.code.set_result(code)

    async def _show(self, number: int) -> None:
        self.digits.set_result(number)

    async def _ask(self, offer: Offer, _left: int) -> str | None:
        self.offers.append(offer)
        shown = await asyncio.shield(self.digits)
        return digits(shown) if self.typed is None else self.typed or None

    async def add(self) -> str:
        """Let the new device in, as the old one does."""
        text = None
        if self.shown_by is ShownBy.NEW:
            text = (await asyncio.shield(self.code)).text()
        return await self.old.peer.add_device(
            text, on_code=self._on_code, ask=self._ask, without_kit=True
        )

    async def join(self) -> Me:
        """Come in, as the new device does."""
        text, place = None, None
        if self.shown_by is ShownBy.OLD:
            text = (await asyncio.shield(self.code)).text()
        else:
            place = self.old.peer.me.needs_home().places[0]
        return await self.new.peer.join(
            text, place=place, on_code=self._on_code, show=self._show, name=self.name
        )

    async def hold(self) -> tuple[Any, Any]:
        """Go through with it; return the new device's name, and whose it is."""
        async with asyncio.timeout(PATIENCE):
            return await together(self.add(), self.join())

    async def outcomes(self) -> tuple[Any, Any]:
        """Go through with it; return what each side has of it, or what went wrong."""
        async with asyncio.timeout(PATIENCE):
            both = await asyncio.gather(self.add(), self.join(), return_exceptions=True)
            return both[0], both[1]


async def blank(house: Household, name: str) -> Phone:
    """Return a phone with nobody on it."""
    house._count += 1
    phone = Phone(name, house.folder / f"phone-{house._count}", house.hands)
    house._stack.push_async_callback(phone.close)
    await phone.open()
    return phone


async def another(
    house: Household, old: Phone, name: str = "tablet", *, shown_by: ShownBy = ShownBy.OLD
) -> Phone:
    """Return another device of a person."""
    new = await blank(house, old.name)
    await Introducing(old, new, shown_by, name).hold()
    return new
