"""Rows on phones that stay peers: what it costs them that somebody is always away."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from bench.processes import cpu_seconds, wake_ups
from demo.meeting import befriend, pair
from demo.stage import Event, Phone
from tests.essay.ledger import row
from tests.essay.networks import SERVER, Home, NoNetworks, two_homes
from tests.essay.scene import Scene, Watched, secret_texts
from tests.essay.sockets import LOOK_EVERY, calls_of, sockets_of

LETTERS: Final = 40
WAKE_UPS: Final = 120
"""Of the idle gateway in a minute, at most: one a second for its loop, one for housekeeping."""
CLOSED_WITHIN: Final = 30.0
"""Seconds in which the last connection of a phone that has gone has to be closed."""
KNOCK_SECONDS: Final = 1.0
"""How long a call from the internet is tried; one that is refused takes less."""


@row(
    "P1",
    about="the friend I write to is not at home",
    shown_by="letters that arrive although the two phones were never on together: all of them",
)
async def nobody_at_home(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    await ben.off()
    texts, _ = secret_texts(scene.many(LETTERS, 10), of="Anna")
    waiting = await anna.write("Ben", texts)
    await anna.off()
    scene.ledger.equal("letters that wait on Anna’s phone when she goes", waiting, 0)
    await box.box.stop()
    await box.start()
    scene.ledger.tell("overnight", "the gateway was switched off and on, and both phones were off")
    ben.days = 1
    arrived = await ben.texts()
    scene.ledger.true(
        "letters delivered a day later",
        sorted(arrived) == sorted(texts),
        f"{len(set(arrived) & set(texts))} of {len(texts)}, none twice",
    )
    scene.ledger.equal("in the order they were written", arrived == texts, True)


@dataclass
class Timed:
    """A phone that is on for the length of each command, and off between them."""

    phone: Phone
    windows: list[tuple[float, float]] = field(default_factory=list)

    async def run(self, *words: str) -> Event:
        """Run a command; note when it began and ended."""
        began = time.monotonic()
        try:
            return await self.phone.run(*words)
        finally:
            self.windows.append((began, time.monotonic()))

    async def texts(self) -> list[str]:
        """Collect, and return the texts that were new."""
        return [one["text"] for one in (await self.run("read"))["letters"]]


def overlap(some: list[tuple[float, float]], others: list[tuple[float, float]]) -> float:
    """Return for how many seconds two phones were on at the same time."""
    return sum(
        max(0.0, min(end, far_end) - max(begin, far_begin))
        for begin, end in some
        for far_begin, far_end in others
    )


@row(
    "P5",
    about="two peers have to be connected at the same moment",
    shown_by="phones that are never on together: seconds of overlap 0, letters delivered: all",
)
async def never_together(scene: Scene) -> None:
    box = await scene.gateway()
    phones = [scene.phone("Anna"), scene.phone("Ben")]
    for phone in phones:
        await phone.run("new", "--name", phone.name)
        await pair(box.box, phone)
    await befriend(*phones)
    scene.ledger.tell("the two have met once", "what follows is counted from then on")
    anna, ben = (Timed(phone) for phone in phones)
    sent, arrived = 0, 0
    for turn in range(scene.many(5, 2)):
        for writer, reader in ((anna, ben), (ben, anna)):
            text = f"{writer.phone.name} writes, turn {turn}"
            await writer.run("send", reader.phone.name, text)
            sent += 1
            arrived += (await reader.texts()).count(text)
    times = len(anna.windows) + len(ben.windows)
    scene.ledger.tell("times that a phone was switched on", times)
    both = overlap(anna.windows, ben.windows)
    scene.ledger.equal("seconds in which both were on", both, 0.0)
    scene.ledger.equal("letters delivered", f"{arrived} of {sent}", f"{sent} of {sent}")


@row(
    "P7",
    about="mobile networks and home routers let no connection in",
    shown_by="two phones behind two translators each that drop what comes from outside: letters "
    "delivered both ways: all; connections that reached a phone from outside: 0",
)
async def nothing_comes_in(scene: Scene) -> None:
    async with AsyncExitStack() as ends:
        try:
            homes: tuple[Home, ...] = await ends.enter_async_context(two_homes())
        except NoNetworks as why:
            scene.ledger.tell(
                "networks", f"not available here ({why}); what is left is who called whom"
            )
            homes = ()
        await _write_both_ways(scene, homes)


async def _write_both_ways(scene: Scene, homes: tuple[Home, ...]) -> None:
    box = await scene.gateway(address=SERVER if homes else "127.0.0.1")
    insides = [home.inside for home in homes] or [(), ()]
    anna, ben = (
        scene.phone(name, inside=inside)
        for name, inside in zip(("Anna", "Ben"), insides, strict=True)
    )
    async with calls_of(box.observer.pid) as calls:
        for phone in (anna, ben):
            await phone.run("new", "--name", phone.name)
            await pair(box.box, phone)
        await befriend(anna, ben)
        watching = scene.until_end(await ben.start("watch", "--once"))
        await watching.event("here")
        listening = [one for one in sockets_of(watching.pid) if one.listens]
        await anna.run("send", "Ben", "can you hear me?")
        live = await watching.event("letter")
        await watching.end()
        await ben.run("send", "Anna", "I can")
        answer = await anna.run("read")
        knocks = [await _knock(home) for home in homes]
    texts = [live["text"], *(one["text"] for one in answer["letters"])]
    scene.ledger.equal("letters delivered, one each way", texts, ["can you hear me?", "I can"])
    scene.ledger.equal("ports on which a phone listens while it watches", len(listening), 0)
    scene.ledger.equal("connections that the gateway opened", len(calls.opened), 0)
    scene.ledger.tell("times that was looked at", calls.looks)
    _who_called(scene, box, homes)
    for home, knock in zip(homes, knocks, strict=True):
        scene.ledger.equal(f"a call from the internet to {home.outside}", knock, "no answer")
        scene.ledger.equal(f"connections that reached {home.phone}", await home.called(), 0)


def _who_called(scene: Scene, box: Watched, homes: tuple[Home, ...]) -> None:
    callers = sorted({link.caller for link in box.tap.links})
    scene.ledger.tell("connections to the gateway", len(box.tap.links))
    if homes:
        wanted = [home.outside for home in homes]
        scene.ledger.equal("opened by", callers, wanted)
    else:
        scene.ledger.equal("opened by", callers, ["127.0.0.1"])


async def _knock(home: Home) -> str:
    """Call a phone from the internet, as a stranger or a peer would."""
    try:
        async with asyncio.timeout(KNOCK_SECONDS):
            _, writer = await asyncio.open_connection(home.outside, 4433)
    except (TimeoutError, OSError):
        return "no answer"
    writer.close()
    return "an answer"


@row(
    "P8",
    about="whoever waits for connections empties the phone’s battery",
    shown_by="the gateway’s part: with all phones idle, connections open 0, bytes on the wire 0, "
    "times that its own process wakes in a minute; bytes and connections of a phone’s look",
)
async def nobody_is_there(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    texts, _ = secret_texts(10, of="Anna")
    await anna.write("Ben", texts)
    scene.ledger.equal("letters that came before", len(await ben.texts()), len(texts))

    looks = scene.many(24, 4)
    before, links = box.tap.bytes, len(box.tap.links)
    woken = wake_ups(box.observer.pid)
    for _ in range(looks):
        await ben.texts()
    passed, links = box.tap.bytes - before, len(box.tap.links) - links
    scene.ledger.true("bytes of a look into an empty mailbox", passed > 0, passed // looks)
    scene.ledger.equal("connections for each look", links / looks, 1.0)
    woken = wake_ups(box.observer.pid) - woken
    scene.ledger.true("times that the gateway wakes for one", woken >= looks, woken // looks)

    await anna.off()
    await ben.off()
    closed = await _until_closed(box)
    scene.ledger.true(
        "seconds until every connection is closed", closed < CLOSED_WITHIN, f"{closed:.1f}"
    )
    idle = await _watch_idle(box, seconds=scene.many(600, 15))
    scene.ledger.tell(
        "then nobody wants anything for", f"{idle.seconds:.0f} s, looked at {idle.looks} times"
    )
    scene.ledger.equal("connections open at the gateway meanwhile, at most", idle.sockets, 0)
    scene.ledger.equal("connections that it opened", idle.opened, 0)
    scene.ledger.equal("bytes on the wire", idle.bytes, 0)
    a_minute = idle.wake_ups / idle.seconds * 60
    scene.ledger.true(
        f"times that its process wakes in a minute, at most {WAKE_UPS}",
        a_minute <= WAKE_UPS,
        f"{a_minute:.0f}",
    )
    scene.ledger.tell("processor time in an hour", f"{idle.cpu / idle.seconds * 3600:.1f} s")
    scene.ledger.tell(
        "a phone that sleeps",
        "is not woken yet: it hears of a letter when it looks; push comes later",
    )


@dataclass(frozen=True, slots=True)
class _Idle:
    """What a gateway did while nobody wanted anything."""

    seconds: float
    looks: int
    sockets: int
    opened: int
    bytes: int
    wake_ups: int
    cpu: float


async def _watch_idle(box: Watched, *, seconds: float) -> _Idle:
    """Look at a gateway again and again for some time."""
    pid = box.observer.pid
    woken, passed, used, began = wake_ups(pid), box.tap.bytes, cpu_seconds(pid), time.monotonic()
    async with calls_of(pid) as calls:
        most = 0
        while (lasted := time.monotonic() - began) < seconds:
            most = max(most, _connections(box))
            await asyncio.sleep(LOOK_EVERY)
    return _Idle(
        seconds=lasted,
        looks=calls.looks,
        sockets=most,
        opened=len(calls.opened),
        bytes=box.tap.bytes - passed,
        wake_ups=wake_ups(pid) - woken,
        cpu=cpu_seconds(pid) - used,
    )


async def _until_closed(box: Watched) -> float:
    """Return how many seconds it takes until no connection is left at a gateway."""
    began = time.monotonic()
    # The gateway tells nobody that a connection is closed.
    while _connections(box) and time.monotonic() - began < CLOSED_WITHIN:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_EVERY)
    return time.monotonic() - began


def _connections(box: Watched) -> int:
    return sum(not one.listens for one in sockets_of(box.observer.pid))
