"""Rows on one person who has several devices."""

import time
from contextlib import aclosing, closing
from pathlib import Path
from typing import Final

from peer.devices import clock, merges, state
from peer.store import open_store
from tests.essay.ledger import row
from tests.essay.phones import Paired, Pocket
from tests.essay.scene import Scene
from tests.peer.devices import fuzz
from tests.peer.devices.two_phones import begin_second
from wire.lanes import LaneClass, WakeRule

CORE: Final = (clock, merges, state)
"""The modules that decide which of two changes counts."""


@row(
    "P9",
    about="people change from one device to another in the middle of something",
    shown_by="half a thread read on the phone: after one exchange the tablet stands at the same "
    "letter, with the same draft and the same rule for what may ring",
)
async def changing_devices(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    tablet = await second_device(scene, anna, box.box)
    await get_to_know(anna, tablet, ben)
    await change_devices(scene, anna, tablet, ben)


async def change_devices(scene: Scene, first: Pocket, tablet: Pocket, friend: Pocket) -> None:
    """Read half a thread on one device, and the other half on the other one."""
    half = scene.many(100, 10)
    await friend.write(first.name, [f"letter {number}" for number in range(half)])
    scene.ledger.equal("letters read on the phone", len(await first.texts()), half)
    await friend.write(first.name, [f"letter {number}" for number in range(half, 2 * half)])
    phone = await first.on()
    draft = f"Dear {friend.name}, about Sunday"
    phone.keep_draft(friend.name, draft)
    to_me = phone.contacts.named(friend.name), LaneClass.LETTER
    await phone.notifications.set_rule(*to_me, WakeRule.NEVER)
    await phone.try_state()

    began = time.monotonic()
    shown = await tablet.texts()
    scene.ledger.tell("seconds until the tablet had all of it", f"{time.monotonic() - began:.2f}")
    scene.ledger.equal("letters that are new on the tablet", len(shown), half)
    scene.ledger.equal("the first of them", shown[:1], [f"letter {half}"])
    other = await tablet.on()
    drafts = [one.text for one in other.drafts(friend.name)]
    scene.ledger.equal("drafts on the tablet", drafts, [draft])
    lines = [one for one in await other.notifications.rules() if one.kind is LaneClass.LETTER]
    rules = [one.rule.name for one in lines]
    scene.ledger.equal(f"rule for {friend.name} there", rules, ["NEVER"])
    await other.try_state()
    scene.ledger.equal("letters that are new on the phone then", await first.texts(), [])


@row(
    "P10",
    about="what is on one device will not be on the next",
    shown_by="a tablet added after 500 letters: all 500 are readable there, and what is read or "
    "not is the same",
)
async def history_on_a_new_device(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    texts = await read_many(scene, anna, ben)
    tablet = await second_device(scene, anna, box.box)
    await find_history(scene, tablet, ben, texts)


async def read_many(scene: Scene, first: Pocket, friend: Pocket) -> list[str]:
    """Read many letters on the first device, which puts them into the archive; return them."""
    many = scene.many(500, 40)
    texts = [f"letter {number}" for number in range(many)]
    await friend.write(first.name, texts)
    scene.ledger.equal("letters read on the phone", len(await first.texts()), many)
    await first.read()  # puts them into the archive
    return texts


async def find_history(scene: Scene, tablet: Pocket, friend: Pocket, texts: list[str]) -> None:
    """Look on a new device for letters that were read on the first one."""
    other = await tablet.on()
    await other.try_state()
    began = time.monotonic()
    async with aclosing(other.restore_archive()) as steps:
        async for _ in steps:
            pass
    scene.ledger.tell("seconds to fetch them", f"{time.monotonic() - began:.2f}")
    new = await tablet.texts()
    there = await tablet.stream(friend.name)
    scene.ledger.equal("of them readable on the tablet", len(set(there) & set(texts)), len(texts))
    scene.ledger.equal("of them shown as new there", len(set(new) & set(texts)), 0)


@row(
    "P11",
    about="several devices would make a program much more complicated",
    shown_by="lines of code that merge, fewer than 400; 200 runs of devices with wrong clocks, "
    "loss, reordering, repetition and crashes: that differ in the end 0, changes lost 0",
)
async def not_much_more(scene: Scene) -> None:
    lines = {one.__name__: code_lines(Path(str(one.__file__))) for one in CORE}
    told = ", ".join(f"{name} {count}" for name, count in lines.items())
    scene.ledger.tell("lines of code", told)
    scene.ledger.true("that merge", sum(lines.values()) < 400, sum(lines.values()))
    outcomes = [fuzz.play(scene.seed * 1_000 + number) for number in range(scene.many(200, 40))]
    scene.ledger.tell("runs", len(outcomes))
    scene.ledger.equal("that differ in the end", sum(one.diverged for one in outcomes), 0)
    scene.ledger.equal("changes lost", sum(one.lost for one in outcomes), 0)


def code_lines(path: Path) -> int:
    """Return how many lines of a module are neither empty nor comments alone."""
    text = path.read_text(encoding="utf-8").splitlines()
    return sum(1 for line in text if line.strip() and not line.strip().startswith("#"))


async def second_device(scene: Scene, first: Pocket, box: Paired) -> Pocket:
    """Return a tablet of the person whose phone is `first`, paired with the box."""
    phone = await first.on()
    tablet = scene.pocket("Tablet")
    here, there = open_store(first.home), open_store(tablet.home, create=True)
    assert here is not None
    assert there is not None
    with closing(here), closing(there):
        begin_second(here, there, now=first.now())
    await phone.try_state()
    await tablet.pair(box)
    return tablet


async def get_to_know(first: Pocket, tablet: Pocket, *others: Pocket) -> None:
    """Let others learn that there is a tablet, and the tablet all that the first device knows."""
    for other in others:
        for number in range(2):
            await first.write(other.name, [f"to {other.name} {number}"])
            await other.read()
            await other.write(first.name, [f"to {first.name} {number}"])
            await first.read()
    await (await tablet.on()).try_state()
    await tablet.read()
    await (await first.on()).try_state()
