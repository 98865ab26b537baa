"""A row on a phone that is stolen while it is unlocked, and taken off from another device."""

import asyncio
import time
from contextlib import suppress
from typing import Final

from peer.app import Peer
from peer.errors import GatewayRefused, PeerError
from tests.essay.ledger import row
from tests.essay.phones import Pocket
from tests.essay.scene import Scene
from wire.check_code import digits
from wire.codes import DeviceCode

WITHIN: Final = 30.0
"""Seconds in which the thief is to be cut off everywhere."""
MONEY: Final = "It is me, send money."


@row(
    "Z10b",
    about="the device is stolen while it is unlocked",
    shown_by="taken off by another device of hers: its connection ends, it collects nothing more,"
    " and what it writes is shown to nobody who has heard of that; seconds until then: at most 30",
)
async def stolen(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    tablet = scene.pocket("Tablet")
    await _join(anna, tablet)
    thief, hers = await anna.on(), await tablet.on()
    await hers.read()
    await ben.write("Anna", ["before"])
    scene.ledger.equal("read by the thief before", await anna.texts(), ["before"])
    watching = asyncio.create_task(_until_refused(thief))
    [name] = [one.name for one in hers.devices if not one.this]

    began = time.monotonic()
    await hers.revoke_device(name)
    why = await asyncio.wait_for(watching, WITHIN)
    cut = time.monotonic() - began
    scene.ledger.true("its connection ends", cut < WITHIN, f"after {cut:.2f} s: {why}")
    reading = await thief.read()
    scene.ledger.true("it collects nothing", reading.away is not None, reading.away or "it did")

    await hers.send("Ben", "My phone was stolen.")
    scene.ledger.equal("Ben hears of it", await ben.texts(), ["My phone was stolen."])
    known = time.monotonic() - began
    scene.ledger.true("seconds until then", known < WITHIN, f"{known:.2f}")
    with suppress(PeerError):
        await thief.send("Ben", MONEY)
    scene.ledger.equal("what it writes is shown to Ben", await ben.texts(), [])
    await ben.write("Anna", ["after"])
    with suppress(PeerError):
        await thief.read()
    there = [one.text for one in (await thief.read(everything=True)).letters]
    scene.ledger.equal("it has of what came later", [one for one in there if one == "after"], [])
    scene.ledger.equal("her tablet has it", (await tablet.texts())[-1:], ["after"])


async def _join(first: Pocket, new: Pocket) -> None:
    """Make a phone one more device of somebody, as two screens do it."""
    shown: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    typed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    here, there = await first.on(), await new.on_empty()

    async def on_code(code: DeviceCode) -> None:
        shown.set_result(code.text())

    async def show(number: int) -> None:
        typed.set_result(digits(number))

    async def ask(_offer: object, _left: int) -> str | None:
        return await typed

    async def join() -> None:
        await there.join(await shown, place=None, on_code=on_code, show=show, name=new.name)

    adding = here.add_device(None, on_code=on_code, ask=ask, without_kit=True)
    await asyncio.gather(adding, join())


async def _until_refused(phone: Peer) -> str:
    """Stay connected until the box hangs up for good; return what it said."""
    try:
        async for _ in phone.watch():
            pass
    except GatewayRefused as refused:
        return refused.reason
    return "it ended by itself"
