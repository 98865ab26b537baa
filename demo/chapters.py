"""The chapters of the story. Each says what happens, does it with real processes, and looks."""

import asyncio
import base64
import os
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

    async def box_that_leaps(self) -> Box:
        """Return another gateway, running, whose clock leaps three days ahead at SIGUSR1."""
        box = self._theatre.box("the box whose clock leaps", module="demo.leaping")
        await box.start()
        return box

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


async def lost(story: Story) -> None:
    """Anna's phone falls into the lake."""
    home = await story.household()
    shown = await home.anna.run("kit", "show")
    words = shown["words"]
    checking = await home.anna.start("kit", "check")
    asked = (await checking.event("asked"))["words"]
    for number in asked:
        await checking.event("question")
        await checking.answer({"answer": words[number - 1]})
    await checking.event("question")
    await checking.answer({"same": True})
    story.check(
        (await checking.event("checked"))["wiped"] and await checking.end() == 0,
        f"Anna has her kit on paper. Words {_list(asked)} are asked back, and the seed leaves the"
        " phone",
        otherwise="the kit was not taken for checked",
    )
    shutil.rmtree(home.anna.home)
    await home.ben.run("send", "Anna", SECRET)
    story.say("The phone is gone, with all that was on it. Ben writes; he knows nothing of it.")
    mistyped = [*words[:6], "acid" if words[6] != "acid" else "acne", *words[7:]]
    wrong = await home.anna.start(
        "recover", "kit", *mistyped, "--name", "Anna", "--at", home.box.place
    )
    told = (await wrong.rest())[-1]
    story.check(
        await wrong.end() == 1 and told["error"] == "mistyped-word",
        f"she mistypes a word on a new phone: “{told['sentence']}”",
        otherwise=f"a mistyped word should be named, but: {told}",
    )
    back = await home.anna.run("recover", "kit", shown["code"], "--name", "Anna")
    story.check(
        back["contacts"] == ["Ben"] and back["shut_out"] == 1,
        "with the right kit the box gives her seat to the new phone, and the one in the lake can"
        " do nothing any more; Ben is there again",
        otherwise=f"she should have come back with her contact: {back}",
    )
    await home.anna.run("read")  # it cannot be opened here, and is asked for
    await home.anna.run("send", "Ben", "It is me, with a new phone.")
    seen = await home.ben.run("read")
    story.check(
        [one["text"] for one in seen["letters"]] == ["It is me, with a new phone."]
        and "Anna" in seen["recovered"],
        "Ben reads her, without pairing again, and is told that she recovered: he may ask her"
        " whether it is really she",
        otherwise=f"Ben should see that Anna came back: {seen}",
    )
    letters = [one["text"] for one in (await home.anna.run("read", "--all"))["letters"]]
    story.check(
        SECRET in letters,
        "and what he wrote to the phone in the lake reaches the new one: his phone sent it again",
        otherwise=f"Ben's letter should have come again, but there is {letters}",
    )


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


async def friends(story: Story) -> None:
    """Cleo has lost everything, and friends help."""
    box = await story.box_that_leaps()
    cleo, dan, eve = (story.phone(name) for name in ("Cleo", "Dan", "Eve"))
    await asyncio.gather(*(one.run("new", "--name", one.name) for one in (cleo, dan, eve)))
    for phone in (cleo, dan, eve):
        await pair(box, phone)
    for phone in (dan, eve):
        await befriend(phone, cleo)
    await cleo.run("friends", "choose", "Dan", "Eve", "--need", "2", "--yes")
    await asyncio.gather(*(phone.run("friends", "list") for phone in (dan, eve)))
    keepers = (await cleo.run("friends", "list"))["keepers"]
    story.check(
        [one["confirmed"] for one in keepers] == [True, True],
        "Dan and Eve keep a share each, the box keeps a third; none of them alone has anything",
        otherwise=f"both should have said that they keep it: {keepers}",
    )
    shutil.rmtree(cleo.home)
    asking = await cleo.run("recover", "friends")
    answers = await asyncio.gather(*(_help(story, phone, asking) for phone in (dan, eve)))
    last = await cleo.run("recover", "friends", *answers, "--name", "Cleo")
    story.check(
        last["event"] == "waiting" and last["seconds_left"] > 71 * 3600,
        "both have compared and helped; the box holds its share back for 72 hours",
        otherwise=f"the box should wait, but: {last}",
    )
    alarms = (await dan.run("friends", "list"))["alarms"]
    story.check(
        [one["contact"] for one in alarms] == ["Cleo"],
        "meanwhile every friend sees that somebody asks, and so would a device that she still had",
        otherwise=f"Dan should see the alarm: {alarms}",
    )
    assert box.process is not None  # noqa: S101  # it was started above
    os.kill(box.process.pid, signal.SIGUSR1)
    back = await cleo.run("recover", "friends", "--name", "Cleo")
    story.check(
        sorted(back["contacts"]) == ["Dan", "Eve"],
        "three days later (the box’s clock leaps) she is back, and knows both of them",
        otherwise=f"she should be back: {back}",
    )
    await box.stop()


async def _help(story: Story, phone: Phone, asking: Event) -> str:
    helping = await phone.start("friends", "help", "Cleo", asking["code"])
    check = await helping.event("check")
    story.check(
        check["check"] == asking["check"],
        f"she sits with {phone.name}: both screens show {check['check']}",
        otherwise=f"the screens differ: {asking['check']} and {check['check']}",
    )
    await helping.answer({"same": True})
    code: str = (await helping.event("answer"))["code"]
    await helping.end()
    return code


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
    "lost": lost,
    "friends": friends,
}


async def tell(story: Story, name: str, *, number: int) -> None:
    """Tell one chapter, in half a minute at most."""
    chapter = CHAPTERS[name]
    title = (chapter.__doc__ or name).strip()
    print(f"\n{number}. {title}", flush=True)
    try:
        async with asyncio.timeout(240):  # a chapter takes seconds: this is what a hang would break
            await chapter(story)
    except TimeoutError:
        raise StepFailed(f"the chapter “{name}” did not end in four minutes") from None
