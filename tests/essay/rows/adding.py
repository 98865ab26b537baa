"""Rows on a further device that comes in by the commands, as a person gives them."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demo.stage import Phone, Process
from tests.essay.ledger import row
from tests.essay.phones import Pocket
from tests.essay.rows.devices import change_devices, find_history, read_many
from tests.essay.scene import Scene

TAPS: Final = 4
DIGITS: Final = 6
"""As docs/decisions/0015-a-further-device.md has it; the checklist wishes for fewer."""
WISHED: Final = 3


@row(
    "Z9",
    about="the key has to be carried from one device to the next somehow",
    shown_by="a further device by QR, whichever of the two shows it: seconds; taps, at most 4; "
    "characters typed: the six of the check code and no others (decision 0015)",
)
async def by_picture(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    person, devices = (await anna.on()).person, 1
    for name, at in (("Tablet", None), ("Laptop", box.box.place)):
        shows = "the old device shows the QR" if at is None else "the new device shows the QR"
        new = scene.pocket(name)
        hands = await add_by_command(scene, anna, new, at=at)
        devices += 1
        scene.ledger.tell(f"{shows}: seconds", f"{hands.seconds:.1f}")
        scene.ledger.true("taps", hands.taps <= TAPS, f"{hands.taps} of at most {TAPS}")
        scene.ledger.equal("characters typed", len(hands.typed), DIGITS)
        peer = await new.on()
        scene.ledger.equal("it is hers", peer.person, person)
        scene.ledger.equal("devices that it knows", len(peer.devices), devices)
        text = f"The letter after the {name.lower()} came"
        await anna.write("Ben", ["I have a new device."])  # with it he hears of her card
        await ben.texts()
        await ben.write("Anna", [text])
        found = await new.texts()
        scene.ledger.equal("a contact’s next letter there", found[-1:], [text])
    scene.ledger.tell(
        "characters that the checklist wishes for",
        f"{WISHED}; decision 0015 fixes {DIGITS}, as whoever relays could try {WISHED} in a moment",
    )


@row(
    "Z6",
    about="people have to be able to use several devices",
    shown_by="P9 and P10 with devices that came in by the command: the tablet stands where the "
    "phone does, and all that was there before is readable on it",
)
async def with_commands(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    tablet = scene.pocket("Tablet")
    await add_by_command(scene, anna, tablet)
    await anna.write("Ben", ["I have a tablet now."])
    await ben.texts()
    await change_devices(scene, anna, tablet, ben)

    cleo, dan = await scene.household("Cleo", "Dan", gateway=box)
    texts = await read_many(scene, cleo, dan)
    laptop = scene.pocket("Laptop")
    await add_by_command(scene, cleo, laptop)
    await find_history(scene, laptop, dan, texts)


@dataclass
class Hands:
    """What a person did with two devices."""

    taps: int = 0
    typed: str = ""
    seconds: float = 0.0

    async def begin(self, phone: Phone, *words: str | Path) -> Process:
        """Begin something on a device, which is one tap."""
        self.taps += 1
        return await phone.start("device", *words)

    async def type(self, into: Process, text: str) -> None:
        """Type something, and tap once to confirm it."""
        self.taps += 1
        self.typed += text
        await into.answer({"answer": text})


async def add_by_command(
    scene: Scene, first: Pocket, new: Pocket, *, at: str | None = None
) -> Hands:
    """Make a new phone one more device of somebody, with the QR as a picture; say what it took.

    Args:
        scene: the row.
        first: a device that the person has; it is switched off, and the commands use its files.
        new: a phone on which there is nobody.
        at: where the box is, if the new one shows the code; None: the first one does.
    """
    await first.off()
    picture = scene.theatre.folder / f"{new.home.name}.png"
    here, there, hands = Phone(first.name, first.home), Phone(new.name, new.home), Hands()
    add = ("add", "--without-kit", "--name", new.name)
    join = ("join", "--role", "tablet", "--name", new.name)
    began = time.monotonic()
    if at is None:
        adding = scene.until_end(await hands.begin(here, *add, "--png", picture))
        await adding.event("code")
        joining = scene.until_end(await hands.begin(there, *join, picture))
    else:
        joining = scene.until_end(await hands.begin(there, *join, "--at", at, "--png", picture))
        await joining.event("code")
        adding = scene.until_end(await hands.begin(here, *add, picture))
    shown = await joining.event("digits")
    await adding.event("offer")
    await hands.type(adding, str(shown["digits"]).replace(" ", ""))
    for process, last in ((adding, "device-added"), (joining, "joined")):
        await process.event(last)
    hands.seconds = time.monotonic() - began
    for process in (adding, joining):
        await process.end()
    return hands
