"""How two screens are brought together: a phone with a box, and a phone with a phone."""

from dataclasses import dataclass

from demo.stage import Box, Phone, StepFailed, start


@dataclass(frozen=True, slots=True)
class Compared:
    """The check code on the one screen and on the other."""

    here: str
    there: str

    @property
    def same(self) -> bool:
        """What the people in front of the screens say."""
        return self.here == self.there


async def pair(box: Box, phone: Phone) -> Compared:
    """Pair `phone` with `box` by the code that the box shows.

    Raises:
        StepFailed: a command ended, or the codes were compared and refused.
    """
    console = await start(f"{box.name}: pair", "gateway.cli", "pair", "--data", box.data, "--json")
    shown = await console.event("open")
    device = await phone.start("pair", shown["code"])
    there, here = await device.event("check"), await console.event("compare")
    compared = Compared(here=here["check"], there=there["check"])
    await console.answer({"same": compared.same})
    await device.answer({"same": compared.same})
    for name, process in (("the box", console), (phone.name, device)):
        if await process.end() != 0:
            raise StepFailed(f"pairing failed at {name}: {process.errors.strip()}")
    return compared


async def befriend(host: Phone, guest: Phone) -> Compared:
    """Let `host` show a code and `guest` read it.

    Raises:
        StepFailed: a command ended, or the codes were compared and refused.
    """
    showing = await host.start("card")
    shown = await showing.event("code")
    reading = await guest.start("add", shown["code"])
    here, there = await showing.event("check"), await reading.event("check")
    compared = Compared(here=here["check"], there=there["check"])
    await showing.answer({"same": compared.same})
    await reading.answer({"same": compared.same})
    for name, process in ((host.name, showing), (guest.name, reading)):
        if await process.end() != 0:
            raise StepFailed(f"adding failed at {name}’s phone: {process.errors.strip()}")
    return compared
