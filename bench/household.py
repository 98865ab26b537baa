"""A household's day in accelerated time: who posts when, who looks when, and what that costs.

    day = make_day(Household(), seed=1)                    # pure: the same for the same seed
    home = await furnish(data, address, day.household)     # seats and lanes at a running gateway
    played = await play(day, home, speed=100)              # 864 seconds for all of it

Every contact posts as often as we do, and each post goes to each of his contacts: so a seat gets
contacts x posts parcels a day, and a gateway of 25 seats 375,000. What our own phones post goes to
the gateways of others and costs this one nothing.

A post is handed in alone, as from a phone that has just written it. How long that takes is counted
from when it was due, so that what waits for us counts too. Connections are kept between posts; in
real time most would come on a new one, which `fresh` makes so for a part of them.
"""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from bench.deposits import Posts, ready
from bench.figures import percentile
from bench.links import Address, Lost, Refused
from bench.processes import Meter, peak_memory
from bench.recipients import open_mailbox
from bench.seats import Seat, pair, pid_of
from bench.talks import NotStored
from wire.frames import NOWHERE, Cursor

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
WEIGHTS: Final = (1, 1, 0, 0, 0, 1, 3, 6, 6, 5, 5, 5, 6, 6, 5, 5, 5, 6, 7, 8, 8, 7, 4, 2)
"""How the posts of a day are spread over its hours: an evening has twice the mean."""
SIZES: Final = ((512, 60), (1024, 25), (2048, 10), (16_384, 5))
"""Bytes of a body, and its share in percent: texts, and a thumbnail in every twentieth."""
DEPOSITORS: Final = 48
"""Posts that are handed in at a time: fewer than a gateway has places for."""
FAREWELL: Final = 60.0
"""Seconds to wait at the end for what is on its way."""


@dataclass(frozen=True, slots=True)
class Household:
    """How many live there and how busy their friends are."""

    seats: int = 25
    contacts: int = 150
    """Of each seat."""
    posts: int = 100
    """Of each contact, in a day."""
    looks: int = 40
    """How often in a day somebody looks at his phone."""
    look_seconds: float = 300.0
    """For how long."""


@dataclass(frozen=True, slots=True, order=True)
class Post:
    """A contact posts something, and his phone hands in the parcel for one seat."""

    at: float
    """Seconds since midnight."""
    seat: int
    contact: int
    size: int
    """Bytes of the body."""


@dataclass(frozen=True, slots=True, order=True)
class Look:
    """Somebody looks at his phone: it is connected for a while."""

    at: float
    seat: int
    until: float


@dataclass(frozen=True, slots=True)
class Day:
    """All that happens, in order."""

    household: Household
    posts: tuple[Post, ...]
    looks: tuple[Look, ...]

    def part(self, start: float, end: float) -> "Day":
        """Return what begins between two times, in seconds since midnight."""
        return Day(
            self.household,
            self.posts[_first(self.posts, start) : _first(self.posts, end)],
            self.looks[_first(self.looks, start) : _first(self.looks, end)],
        )


def _first(events: Sequence[Post] | Sequence[Look], at: float) -> int:
    return bisect_left(events, at, key=lambda one: one.at)


def make_day(household: Household, *, seed: int) -> Day:
    """Return a day, always the same one for a seed."""
    random = Random(seed)  # noqa: S311  # a schedule is no secret
    sizes, shares = zip(*SIZES, strict=True)
    posts = [
        Post(at, seat, contact, random.choices(sizes, shares)[0])
        for seat in range(household.seats)
        for contact in range(household.contacts)
        for at in _times(random, household.posts)
    ]
    looks = [
        Look(at, seat, at + household.look_seconds)
        for seat in range(household.seats)
        for at in _times(random, household.looks)
    ]
    return Day(household, tuple(sorted(posts)), tuple(sorted(looks)))


def _times(random: Random, count: int) -> Iterator[float]:
    for hour in random.choices(range(24), WEIGHTS, k=count):
        yield (hour + random.random()) * HOUR


@dataclass(frozen=True, slots=True)
class Home:
    """A household at a running gateway."""

    data: Path
    address: Address
    seats: tuple[Seat, ...]
    """Each with a lane for each of its contacts."""


async def furnish(
    data: Path, door: Address, household: Household, *, address: Address | None = None
) -> Home:
    """Pair a phone for each seat, and give each of its contacts a lane.

    Args:
        data: the gateway's folder.
        door: where it listens with TLS.
        household: how many.
        address: where it is spoken to afterwards, if that is elsewhere.
    """
    seats = []
    for _ in range(household.seats):
        seat = await pair(data, door, address=address)
        await seat.mint(household.contacts)
        seats.append(seat)
    return Home(data, address or door, tuple(seats))


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it."""

    posts: int
    stored: int
    refused: dict[str, int]
    """How many posts came to nothing, by why."""
    collected: int
    """Parcels that phones got while they were looked at."""
    bytes_in: int
    """Bytes of bodies that were stored."""
    p50: float
    """Seconds from when a post was due until it was stored."""
    p95: float
    p99: float
    seconds: float
    """That it took."""
    day_share: float
    """Which part of a day's posts this was."""
    cpu: float
    """CPU seconds of the gateway."""
    written: int
    """Bytes that the gateway had written to its disk."""
    peak_memory: int
    """The most bytes of memory the gateway ever took."""
    others: float
    """How much of a processor others used meanwhile."""


@dataclass
class _Notes:
    """What is noted while a day is played."""

    took: list[float] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    bytes_in: int = 0
    collected: int = 0

    def refuse(self, why: str) -> None:
        self.refused[why] = self.refused.get(why, 0) + 1

    def took_parcel(self, _id: bytes) -> None:
        self.collected += 1


async def play(
    day: Day, home: Home, *, speed: float = 100.0, fresh: float = 0.0, seed: int = 1
) -> Played:
    """Let a day, or a part of one, happen at a gateway.

    Args:
        day: what happens; it begins with its first post.
        home: where.
        speed: how many times as fast as in life.
        fresh: which part of the posts come on a connection of their own.
        seed: picks those.
    """
    notes, meter = _Notes(), Meter(pid_of(home.data))
    start = min(day.posts[0].at, day.looks[0].at if day.looks else DAY)
    begun = time.perf_counter() + 0.2

    def due(at: float) -> float:
        return begun + (at - start) / speed

    with meter.running():
        looking = asyncio.create_task(_Looking(home, notes, due=due).run(day.looks))
        posting = _Posting(home, notes, due=due, fresh=fresh, random=Random(seed))  # noqa: S311
        await posting.run(day.posts)
        await asyncio.wait_for(looking, FAREWELL + day.household.look_seconds / speed)
    used, took = meter.result(), sorted(notes.took)
    whole = day.household.seats * day.household.contacts * day.household.posts
    return Played(
        posts=len(day.posts),
        stored=len(took),
        refused=notes.refused,
        collected=notes.collected,
        bytes_in=notes.bytes_in,
        p50=percentile(took, 0.50),
        p95=percentile(took, 0.95),
        p99=percentile(took, 0.99),
        seconds=used.seconds,
        day_share=len(day.posts) / whole,
        cpu=used.cpu,
        written=used.written,
        peak_memory=peak_memory(meter.pid),
        others=used.others,
    )


Due = Callable[[float], float]
"""Returns when a time of the day has come, on the clock of `perf_counter`."""


async def _until(moment: float) -> None:
    if (left := moment - time.perf_counter()) > 0:
        await asyncio.sleep(left)


class _Posting:
    """All contacts, with a few connections between them."""

    def __init__(
        self, home: Home, notes: _Notes, *, due: Due, fresh: float, random: Random
    ) -> None:
        self._home = home
        self._notes = notes
        self._due = due
        self._fresh = fresh
        self._random = random
        self._waiting: asyncio.Queue[Post | None] = asyncio.Queue()

    async def run(self, posts: Sequence[Post]) -> None:
        """Hand in every post when it is due; return when all are answered."""
        workers = [asyncio.create_task(self._work()) for _ in range(DEPOSITORS)]
        for post in posts:
            await _until(self._due(post.at))
            self._waiting.put_nowait(post)
        for _ in workers:
            self._waiting.put_nowait(None)
        await asyncio.gather(*workers)

    async def _work(self) -> None:
        kept = self._sender()
        try:
            while (post := await self._waiting.get()) is not None:
                if self._random.random() < self._fresh:
                    once = self._sender()
                    await self._hand_in(post, once)
                    once.close()
                else:
                    await self._hand_in(post, kept)
        finally:
            kept.close()

    def _sender(self) -> Posts:
        return Posts(self._home.address, self._home.seats[0].channel)

    async def _hand_in(self, post: Post, sender: Posts) -> None:
        seat = self._home.seats[post.seat]
        wanted = ready(seat.lanes[post.contact], channel=seat.channel, size=post.size)
        try:
            await sender.deposit(wanted)
        except NotStored as error:
            self._notes.refuse(str(error))
        except Refused as error:
            self._notes.refuse(str(error.status))
        except (Lost, OSError):
            self._notes.refuse("no answer")
        else:
            self._notes.took.append(time.perf_counter() - self._due(post.at))
            self._notes.bytes_in += post.size


class _Looking:
    """All phones of the household, which come and go."""

    def __init__(self, home: Home, notes: _Notes, *, due: Due) -> None:
        self._home = home
        self._notes = notes
        self._due = due
        self._cursors: dict[int, Cursor] = {}
        self._connected: set[int] = set()

    async def run(self, looks: Sequence[Look]) -> None:
        """Let everybody look when it is time."""
        running = []
        for look in looks:
            await _until(self._due(look.at))
            if look.seat not in self._connected:  # looking on is not looking twice
                self._connected.add(look.seat)
                running.append(asyncio.create_task(self._look(look)))
        await asyncio.gather(*running)

    async def _look(self, look: Look) -> None:
        cursor = self._cursors.get(look.seat, NOWHERE)
        try:
            recipient = await open_mailbox(
                self._home.seats[look.seat], self._notes.took_parcel, cursor=cursor
            )
            await _until(self._due(look.until))
            self._cursors[look.seat] = recipient.cursor
            recipient.close()
        except (Refused, Lost, OSError):
            self._notes.refuse("mailbox not opened")
        finally:
            self._connected.discard(look.seat)
