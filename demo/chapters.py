"""The chapters of the story. Each says what happens, does it with real processes, and looks."""

import asyncio
import base64
import shutil
import signal
import sqlite3
import textwrap
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from demo.meeting import befriend, pair
from demo.stage import Box, Event, Phone, Stage, StepFailed

SECRET: Final = "The spare key is under the third flower pot."  # noqa: S105  # it is prose
MANY: Final = 12
MAX_WIDTH: Final = 100
"""Columns beyond which a line is hard to read."""


@dataclass
class Household:
    """A gateway and two people who know each other."""

    box: Box
    anna: Phone
    ben: Phone


class Story:
    """What the chapters share: the stage, the household, and how many things were checked."""

    def __init__(self, theatre: Stage) -> None:
        self._theatre = theatre
        self._household: Household | None = None
        self._box: Box | None = None
        self.checks = 0

    def say(self, sentence: str) -> None:
        """Tell the reader something."""
        print(_lines(sentence, mark="  "), flush=True)

    def check(self, truth: bool, seen: str, *, otherwise: str) -> None:
        """Tell what was seen if it holds.

        Raises:
            StepFailed: it does not.
        """
        if not truth:
            raise StepFailed(otherwise)
        self.checks += 1
        print(_lines(seen, mark="  ✓ "), flush=True)

    async def box(self) -> Box:
        """Return the household's gateway, running."""
        if self._box is None:
            self._box = self._theatre.box("the box in the hall")
        if self._box.process is None:
            await self._box.start()
        return self._box

    def phone(self, name: str) -> Phone:
        """Return a new phone."""
        return self._theatre.phone(name)

    async def household(self) -> Household:
        """Return two people who have paired and met, making them if a chapter is told alone."""
        if self._household is None:
            box = await self.box()
            anna, ben = self.phone("Anna"), self.phone("Ben")
            for phone in (anna, ben):
                await phone.run("new", "--name", phone.name)
                await pair(box, phone)
            await befriend(anna, ben)
            self._household = Household(box, anna, ben)
        await self.box()
        return self._household

    def keep(self, household: Household) -> None:
        """Let the chapters that follow go on with these people."""
        self._household = household


def _lines(text: str, *, mark: str) -> str:
    """Break a text where the terminal ends, under what stands before it."""
    width = min(shutil.get_terminal_size().columns, MAX_WIDTH)
    return textwrap.fill(
        text, width, initial_indent=mark, subsequent_indent=" " * len(mark), break_on_hyphens=False
    )


async def a_box(story: Story) -> None:
    """A box is switched on."""
    box = await story.box()
    story.say(
        "A small computer starts a gateway. It makes itself a key, a certificate that this key "
        "vouches for, and an empty store on its disk."
    )
    first = await box.command("status")
    story.check(
        first["seats"] == 0,
        f"it runs at {box.place}, and nobody is paired with it yet",
        otherwise=f"a new gateway should have no seats: {first}",
    )
    await box.stop()
    await box.start()
    again = await box.command("status")
    story.check(
        again["gateway"] == first["gateway"],
        "switched off and on, it is still the same gateway with the same key",
        otherwise="the gateway came back with another key",
    )


async def pairing(story: Story) -> None:
    """Anna and Ben pair their phones with it."""
    box = await story.box()
    anna, ben = story.phone("Anna"), story.phone("Ben")
    for phone in (anna, ben):
        await phone.run("new", "--name", phone.name)
        check = await pair(box, phone)
        story.check(
            check.here == check.there,
            f"{phone.name}’s phone and the box both show {check.here}; both sides say yes",
            otherwise=f"the phone shows {check.here}, the box {check.there}",
        )
    story.say("Now they meet. Anna’s phone shows a code, Ben’s reads it.")
    check = await befriend(anna, ben)
    story.check(
        check.here == check.there,
        f"both phones show {check.here}; they are contacts now, and nobody stood between them",
        otherwise=f"Anna’s phone shows {check.here}, Ben’s {check.there}",
    )
    story.keep(Household(box, anna, ben))


async def away(story: Story) -> None:
    """Ben is away when Anna writes."""
    home = await story.household()
    story.say("Ben’s phone is off. Anna writes, and switches hers off too.")
    sent = await home.anna.run("send", "Ben", SECRET)
    story.check(
        "gateway" in sent["state"],
        f"her phone says where the letter is: {sent['state']}",
        otherwise=f"the letter should be at Ben’s gateway, but: {sent}",
    )
    story.say("Hours later Ben’s phone wakes up. The two were never on at the same time.")
    letters = await read(home.ben)
    story.check(
        [one["text"] for one in letters] == [SECRET],
        f"Ben reads: “{SECRET}”",
        otherwise=f"Ben should read one letter, but read {letters}",
    )
    there = (await home.ben.run("status"))["mailbox"]
    story.check(
        await read(home.ben) == [] and there["waiting"] == 0,
        "the box has nothing more for him: what is collected is deleted there",
        otherwise=f"the letter came a second time, or is still at the box: {there}",
    )


async def killed(story: Story) -> None:
    """The plug is pulled while letters arrive."""
    home = await story.household()
    story.say(f"Anna writes {MANY} letters. In the middle somebody pulls the box’s plug.")
    states = []
    for number in range(MANY):
        if number == MANY // 2:
            await home.box.stop(signal.SIGKILL)
        sent = await home.anna.run("send", "Ben", f"letter {number + 1}")
        states.append(sent["state"])
    waiting = [state for state in states if "waiting here" in state]
    story.check(
        len(waiting) == MANY - MANY // 2,
        f"{MANY // 2} are at the box; {len(waiting)} wait on Anna’s phone, which says so",
        otherwise=f"the letters’ places are {states}",
    )
    await home.box.start()
    story.say("The box comes back. Anna’s phone tries again by itself with its next command.")
    await home.anna.run("status")
    letters = await read(home.ben)
    texts = [one["text"] for one in letters]
    story.check(
        sorted(texts) == sorted(f"letter {number + 1}" for number in range(MANY)),
        f"Ben has all {MANY}, none lost and none twice",
        otherwise=f"Ben has {texts}",
    )


async def blind(story: Story) -> None:
    """The owner of the box looks into it."""
    home = await story.household()
    await home.anna.run("send", "Ben", SECRET)
    story.say(
        "A letter waits in the box. Its owner is curious, and it is his box: he opens the disk."
    )
    needle = SECRET.encode()
    files = [path for path in home.box.data.rglob("*") if path.is_file()]
    story.check(
        not any(needle in path.read_bytes() for path in files),
        f"he searches {len(files)} files for Anna’s words and finds nothing",
        otherwise="the letter’s text stands on the gateway’s disk",
    )
    anna = base64.b32decode((await home.anna.run("status"))["person"].upper() + "====")
    waiting = _waiting(home.box)
    story.check(
        len(waiting) == 1 and len(waiting[0]) > 256 and anna not in waiting[0],
        f"he finds one sealed parcel of {len(waiting[0])} bytes, and no sender on it",
        otherwise=f"there should be one sealed parcel on the disk, not {len(waiting)}",
    )
    await read(home.ben)
    story.check(
        _waiting(home.box) == [],
        "Ben collects it, and the box forgets it",
        otherwise="the parcel is still there after Ben collected it",
    )


def _waiting(box: Box) -> list[bytes]:
    """Return all that the store knows of each parcel, one byte string a parcel."""
    for path in box.data.glob("*.sqlite"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT * FROM parcel").fetchall()
            return [b"".join(one for one in row if isinstance(one, bytes)) for row in rows]
    raise StepFailed("the gateway’s store is not where it should be")


async def read(phone: Phone) -> list[Event]:
    """Collect, and return the letters that were new."""
    found = await phone.run("read")
    letters: list[Event] = found["letters"]
    return letters


Chapter = Callable[[Story], Awaitable[None]]

CHAPTERS: Final[dict[str, Chapter]] = {
    "box": a_box,
    "pair": pairing,
    "away": away,
    "killed": killed,
    "blind": blind,
}


async def tell(story: Story, name: str, *, number: int) -> None:
    """Tell one chapter, in half a minute at most."""
    chapter = CHAPTERS[name]
    title = (chapter.__doc__ or name).strip()
    print(f"\n{number}. {title}", flush=True)
    try:
        async with asyncio.timeout(120):  # a chapter takes seconds: this is what a hang would break
            await chapter(story)
    except TimeoutError:
        raise StepFailed(f"the chapter “{name}” did not end in two minutes") from None
