"""A person's phones come to a running gateway: a further one is added, one comes back with the kit.

    python -m bench.newcomers FOLDER DATA COUNT

DATA is the gateway's folder. What an owner and two screens would show each other goes from one to
the other at once: what hands and eyes take comes to it. The phones are in one process, whose
processor time is theirs; the gateway has its own.
"""

import asyncio
import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import median
from bench.letters import Taken, timed
from bench.processes import figures_of
from bench.seats import ask_owner
from bench.shelf import write_letters
from peer.app import Peer, open_peer
from peer.keys.grant import Offer
from peer.store import open_store
from wire.check_code import digits
from wire.codes import DeviceCode, KitCode

ADDED: Final = 3
"""Devices that are added one after the other; the middle counts."""

Figures = dict[str, float]


async def begin(peer: Peer, data: Path) -> None:
    """Make a person on a phone, and pair it with the gateway of a folder."""
    peer.begin("Ana")
    shown = await ask_owner(data, "POST", "/pair")

    async def same(_number: int) -> bool:
        await ask_owner(data, "POST", f"/pair/{shown['id']}", same=True)
        return True

    await peer.pair(shown["code"], same)


@dataclass(frozen=True, slots=True)
class Screens:
    """What the two devices show each other."""

    code: asyncio.Future[DeviceCode]
    number: asyncio.Future[int]

    async def show_code(self, code: DeviceCode) -> None:
        """Show the code."""
        self.code.set_result(code)

    async def show(self, number: int) -> None:
        """Show the digits on the new device."""
        self.number.set_result(number)

    async def typed(self, _offer: Offer, _left: int) -> str:
        """Type them into the old one."""
        return digits(await self.number)


async def add(old: Peer, folder: Path) -> Taken:
    """Add a device whose file lies in `folder`; return what that took of both."""
    loop, taken = asyncio.get_running_loop(), Taken()
    screens = Screens(loop.create_future(), loop.create_future())
    async with open_peer(folder, create=True) as new:

        async def join() -> None:
            await new.join(
                (await screens.code).text(),
                place=None,
                on_code=screens.show_code,
                show=screens.show,
                name="tablet",
            )

        with timed(taken):
            async with asyncio.TaskGroup() as both:
                both.create_task(join())
                both.create_task(
                    old.add_device(
                        None, on_code=screens.show_code, ask=screens.typed, without_kit=True
                    )
                )
        if new.person != old.person:
            raise RuntimeError("the new device is somebody else's")
    return taken


async def added(folder: Path, data: Path) -> Figures:
    """Measure how long it takes to add a device."""
    async with open_peer(folder / "phone", create=True) as old:
        await begin(old, data)
        found = [await add(old, folder / f"tablet-{number}") for number in range(ADDED)]
        if len(old.devices) != 1 + ADDED:
            raise RuntimeError("not all devices were added")
    return {
        "added.seconds": median([one.seconds for one in found]),
        "added.cpu": median([one.cpu for one in found]),
    }


async def destroyed(folder: Path, data: Path, *, count: int) -> KitCode:
    """Fill the archive of a phone, destroy the phone, and return what is left: the kit."""
    async with open_peer(folder, create=True) as old:
        await begin(old, data)
        kit = old.kit.make().code
    store = open_store(folder)
    if store is None:
        raise RuntimeError("no file was made")
    write_letters(store, count)
    store.close()
    async with open_peer(folder) as old:
        while old.archive_status()["waiting"]:
            await old.try_state()
    shutil.rmtree(folder)
    return kit


async def back(folder: Path, kit: KitCode, *, count: int) -> Figures:
    """Come back with the kit on a new device, and read until everything is there."""
    taken, first = Taken(), 0.0
    async with open_peer(folder, create=True) as new:
        with timed(taken):
            began = time.perf_counter()
            await new.come_back(kit, name="Ana")
            seated = time.perf_counter() - began
            if new.archive_status()["kept"]:
                first = seated
            async for step in new.restore_archive():
                if step.letters and not first:
                    first = time.perf_counter() - began
        found = len((await new.read(everything=True)).letters)
    if found != count:
        raise RuntimeError(f"{found} of {count} letters came back")
    return {
        "kit.seated": seated,
        "kit.first": first,
        "kit.all": taken.seconds,
        "kit.cpu": taken.cpu,
    }


async def measure(folder: Path, data: Path, *, count: int) -> Figures:
    """Measure both, in files below `folder`, at the gateway of the folder `data`."""
    kit = await destroyed(folder / "old", data, count=count)
    return {**await added(folder, data), **await back(folder / "new", kit, count=count)}


def newcomer_figures(folder: Path, data: Path, *, count: int, processor: int) -> Figures:
    """Measure in a process of its own on one core."""
    return figures_of("bench.newcomers", folder, data, count, processor=processor)


def main(arguments: list[str]) -> int:
    """Measure and print the figures as JSON."""
    match arguments:
        case [folder, data, count]:
            figures = asyncio.run(measure(Path(folder), Path(data), count=int(count)))
            print(json.dumps(figures, indent=1))
            return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
