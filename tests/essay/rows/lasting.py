"""Rows on a service that has to last: under load, killed, switched off, and for a week."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

from bench.household import HOUR, Day, Home, Household, Played, furnish, make_day, play
from bench.links import Address
from bench.processes import memory
from gateway.control_client import ControlClient
from tests.essay.body import confine, descriptors
from tests.essay.ledger import row
from tests.essay.mail import Mail
from tests.essay.phones import Pocket
from tests.essay.scene import Scene, Watched
from tests.faults.here import NotPossibleHere
from tests.faults.tools.faketime import WallClock, wall_clock

SMALL_BOX: Final = 512 << 20
"""Bytes of memory of the box that is imagined: a Pi 3, half of whose memory others have."""
SPEED: Final = 100.0
SHORT_SPEED: Final = 5.0
"""In the short form others use the machine too: what cannot keep up measures only them."""
EVENING: Final = 20 * HOUR
SLICE: Final = HOUR / 72
ACCEPTED_WITHIN: Final = 0.050
"""Seconds in which 95 of 100 posts are stored."""
BUSY: Final = 10
"""In the short form the machine is busy with other tests: so much longer may it take."""
HOURS: Final = 24
MORE_MEMORY: Final = 8 << 20
"""Bytes that a process may grow in a day after its first hours: a cache that fills, no leak."""
MORE_FILES: Final = 2


@row(
    "C4",
    about="one big service is simpler to scale than many small boxes",
    shown_by="a household of 25 with 150 contacts each, 100 posts a day from each of them, at a "
    "hundred times the speed, on one core and in 512 MiB: stored within 50 ms, 95 of 100",
)
async def busy_day(scene: Scene) -> None:
    box = scene.theatre.box("the small box")
    await box.start()
    assert box.process is not None
    core = min(os.sched_getaffinity(0))
    confine(box.process.pid, core=core, limit=SMALL_BOX)
    scene.ledger.tell("what it may have", f"core {core} alone, {SMALL_BOX >> 20} MiB to address")
    # In the short form nobody looks for long: it would have to be waited for.
    household = Household(look_seconds=25.0) if scene.short else Household()
    day = make_day(household, seed=scene.seed)
    home = await furnish(box.data, Address(box.port, tls=True), day.household)
    scene.ledger.equal("posts of a whole day", len(day.posts), 25 * 150 * 100)
    limit = ACCEPTED_WITHIN * (BUSY if scene.short else 1)
    played = await _play(scene, day, home, limit=limit)
    scene.ledger.true("posts played", played.posts > 0, f"{played.posts}, {played.day_share:.1%}")
    scene.ledger.equal(
        "stored", f"{played.stored} of {played.posts}", f"{played.posts} of {played.posts}"
    )
    scene.ledger.equal("refused", played.refused, {})
    scene.ledger.true(
        f"95 of 100 stored within {limit * 1000:.0f} ms",
        played.p95 < limit,
        f"{played.p95 * 1000:.1f} ms (half of them {played.p50 * 1000:.1f}, "
        f"99 of 100 {played.p99 * 1000:.1f}; others took {played.others:.1f} processors)",
    )
    scene.ledger.true(
        "the most memory that it took", played.peak_memory < SMALL_BOX, _size(played.peak_memory)
    )
    held = sum(one.stat().st_size for one in box.data.iterdir() if one.is_file())
    scene.ledger.tell("collected by phones meanwhile", f"{played.collected} parcels")
    scene.ledger.tell("its data folder afterwards", _size(held))
    for what, amount in (
        ("bytes of parcels in a day, at this rate", played.bytes_in),
        ("bytes written to the disk in a day, at this rate", played.written),
    ):
        scene.ledger.tell(what, _size(amount / played.day_share))
    minutes = played.cpu / played.day_share / 60
    each = played.cpu / played.posts
    busiest = len(day.part(EVENING, EVENING + HOUR).posts) / HOUR * SPEED
    scene.ledger.tell("processor time in a day", f"{minutes:.1f} minutes")
    scene.ledger.tell(
        f"processors that its busiest hour would take at {SPEED:.0f} times the speed",
        f"{each * busiest:.2f}, at {each * 1000:.2f} ms for a post and {busiest:.0f} a second",
    )


async def _play(scene: Scene, day: Day, home: Home, *, limit: float) -> Played:
    """Play the whole day, or in the short form a little of its evening, at most three times."""
    if not scene.short:
        scene.ledger.tell("times the speed of life", SPEED)
        return await play(day, home, speed=SPEED, seed=scene.seed)
    scene.ledger.tell("times the speed of life", f"{SHORT_SPEED}; in the long form {SPEED}")
    for start in (EVENING, EVENING + SLICE, EVENING + 2 * SLICE):
        part = day.part(start, start + SLICE)
        played = await play(part, home, speed=SHORT_SPEED, seed=scene.seed)
        if played.p95 < limit:
            break
        scene.ledger.tell(
            "a try in which others had the machine",
            f"{played.p95 * 1000:.0f} ms, others took {played.others:.1f} processors",
        )
    return played


def _size(amount: float) -> str:
    return f"{amount / 1e6:.1f} MB"


@row(
    "C12",
    about="the service is down for a day",
    shown_by="what two people write meanwhile waits on their phones, and to a friend with another "
    "gateway goes on; letters lost or shown twice once it is back: 0",
)
async def down_for_a_day(scene: Scene) -> None:
    clock = _clock(scene)
    box = await scene.gateway(environment=clock.environment if clock else None)
    elsewhere = await scene.gateway("a friend’s box")
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    cara = scene.pocket("Cara")
    await cara.pair(elsewhere.box)
    await anna.meet(cara)
    phones, mail = (anna, ben, cara), Mail()
    await mail.write(anna, ben, count=3)  # these are on the gateway when it stops

    await box.box.stop()
    step = HOURS // scene.many(24, 6)
    for _ in range(0, HOURS, step):
        _live(step, phones, clock)
        await mail.write(anna, ben)
        await mail.write(ben, anna)
        await mail.write(anna, cara)
        await mail.look(cara)
        await anna.off()  # what waits is on the phone's disk
    before = {way: len(texts) for way, texts in mail.arrived.items()}
    waiting = mail.lost
    scene.ledger.tell("hours without the gateway", HOURS)
    scene.ledger.true("letters that wait", waiting > 0, waiting)
    scene.ledger.equal(
        "letters to the friend with another gateway that arrived meanwhile",
        before.get(("Anna", "Cara"), 0),
        len(mail.written["Anna", "Cara"]),
    )
    through = sum(before.values()) - before.get(("Anna", "Cara"), 0)
    scene.ledger.equal("letters that arrived through the stopped one", through, 0)
    began = time.monotonic()
    await box.start()
    rounds = await mail.settle(*phones)
    scene.ledger.tell("looks of everybody until all was there", rounds)
    scene.ledger.tell(
        "seconds from its start to the last letter", f"{time.monotonic() - began:.1f}"
    )
    mail.report(scene.ledger)
    await _tell_age(scene, box, clock)
    scene.ledger.tell("on one network", "phones do not find each other without a gateway yet")


@row(
    "C14",
    about="the service has to be there, whatever happens to it",
    shown_by="killed again and again while letters pass: letters lost 0, shown twice 0, missing "
    "though said to be stored 0; seconds until it is back",
)
async def killed(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    mail, over = Mail(), asyncio.Event()
    began = time.monotonic()
    writing = [
        asyncio.create_task(_keep_writing(mail, phone, other, over))
        for phone, other in ((anna, ben), (ben, anna))
    ]
    back: list[float] = []
    least, seconds = scene.many(200, 15), scene.many(3600, 0)
    while len(back) < least or time.monotonic() - began < seconds:
        with suppress(TimeoutError):  # a moment that nothing of ours has chosen
            await asyncio.wait_for(asyncio.shield(writing[0]), scene.dice.uniform(0.05, 0.6))
        await box.box.stop(signal.SIGKILL)
        killed_at = time.monotonic()
        await box.start()
        back.append(time.monotonic() - killed_at)
    over.set()
    await asyncio.gather(*writing)
    rounds = await mail.settle(anna, ben)
    scene.ledger.true("times it was killed", len(back) >= least, len(back))
    scene.ledger.tell("for", f"{time.monotonic() - began:.0f} s")
    hit = mail.away + mail.waited
    scene.ledger.true("times that a phone was cut off or found nobody", hit > 0, hit)
    mail.report(scene.ledger)
    scene.ledger.tell("looks until all was there at the end", rounds)
    scene.ledger.tell(
        "seconds until it was back",
        f"half of the times {median(back):.2f}, at most {max(back):.2f}",
    )


async def _keep_writing(mail: Mail, phone: Pocket, other: Pocket, over: asyncio.Event) -> None:
    while not over.is_set():
        await mail.write(phone, other, count=3)
        await mail.look(phone)


@row(
    "F2",
    about="a server is a target that one can rely on",
    shown_by="a week on a clock of its own, restarted every night: looks that found nobody but "
    "then: 0; letters lost: 0; memory and open files at the end of a day as at its beginning",
)
async def for_a_week(scene: Scene) -> None:
    clock = _clock(scene)
    box = await scene.gateway(environment=clock.environment if clock else None)
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    phones, mail = (anna, ben), Mail()
    days, step = scene.many(7, 2), scene.many(1, 3)
    nights = 0
    for day in range(1, days + 1):
        seen: list[_State] = []
        for _ in range(0, HOURS, step):
            _live(step, phones, clock)
            for phone, other in ((anna, ben), (ben, anna)):
                await mail.write(phone, other, count=scene.dice.randint(0, 3))
                await mail.look(other)
            seen.append(_State.of(box.observer.pid))
        by_day, nights = mail.away - nights, mail.away
        scene.ledger.equal(f"day {day}: looks that found nobody", by_day, 0)
        first, last = seen[1], seen[-1]
        scene.ledger.true(
            f"day {day}: memory, in the morning and at night",
            last.memory - first.memory <= MORE_MEMORY,
            f"{_size(first.memory)}, {_size(last.memory)}",
        )
        scene.ledger.true(
            f"day {day}: open files, in the morning and at night",
            last.files - first.files <= MORE_FILES,
            f"{first.files}, {last.files}",
        )
        await box.box.stop()
        await mail.write(anna, ben)
        await mail.look(ben)
        nights = mail.away
        await box.start()
        await mail.settle(*phones)
    answered = mail.looks - mail.away
    scene.ledger.tell(
        "looks that were answered", f"{answered} of {mail.looks}, {answered / mail.looks:.2%}"
    )
    scene.ledger.tell("times that something had to wait for another try", mail.waited)
    mail.report(scene.ledger)
    await _tell_age(scene, box, clock)


@dataclass(frozen=True, slots=True)
class _State:
    """How a process is at some moment."""

    memory: int
    files: int

    @classmethod
    def of(cls, pid: int) -> "_State":
        return cls(memory(pid), descriptors(pid))


@dataclass
class _Clock:
    """The wall clock of a gateway, moved by hand; phones have their own."""

    wall: WallClock
    now: datetime
    began: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.now

    @property
    def environment(self) -> dict[str, str]:
        """What a process has to see so that it lives by this clock."""
        return self.wall.environment()

    def go_on(self, hours: float) -> None:
        """Let some hours pass."""
        self.now += timedelta(hours=hours)
        self.wall.set(f"{self.now:%Y-%m-%d %H:%M:%S}")


def _clock(scene: Scene) -> _Clock | None:
    """Return a clock for a gateway; None, and a line that says why, where there is none."""
    now = datetime.now(UTC)
    try:
        wall = wall_clock(scene.theatre.folder, f"{now:%Y-%m-%d %H:%M:%S}")
    except NotPossibleHere as why:
        scene.ledger.tell("the gateway’s clock", f"cannot be moved here ({why}); the phones’ are")
        return None
    return _Clock(wall, now)


def _live(hours: float, phones: tuple[Pocket, ...], clock: _Clock | None) -> None:
    """Let hours pass for everybody."""
    for phone in phones:
        phone.days += hours / 24
    if clock is not None:
        clock.go_on(hours)


async def _tell_age(scene: Scene, box: Watched, clock: _Clock | None) -> None:
    """Say by how much the gateway itself believes to be older; with a clock of ours it has to."""
    if clock is None:
        return
    said = datetime.fromisoformat(
        (await ControlClient(box.box.data).ask("GET", "/status"))["clock"]["now"]
    )
    lived, wanted = said - clock.began, clock.now - clock.began
    scene.ledger.true(
        "hours that the gateway has lived, by its own account",
        lived >= wanted - timedelta(minutes=2),
        f"{lived / timedelta(hours=1):.1f} of {wanted / timedelta(hours=1):.0f}",
    )
