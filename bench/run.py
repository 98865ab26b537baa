"""One run: everybody is started side by side, and each thing is measured with all of them in turn.

So what is compared happens within seconds, on the same disk and the same processor. Whoever cannot
be had is left out and named.
"""

import asyncio
import os
import shutil
import sys
import traceback
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from bench.absent import Absent
from bench.box import open_box
from bench.durability import flushes, lost_by_kill
from bench.figures import median
from bench.floors import GROUPS, disk_floor, import_floor, sqlite_floor
from bench.footprint import FIRST, at_rest, idle_connections, quiet
from bench.household import Played, furnish, make_day, play
from bench.letters import letter_figures
from bench.measures import Beside, Figures, deposit, drain, hand_in, live, live_rush
from bench.newcomers import newcomer_figures
from bench.peers.debian import unpack
from bench.peers.nats import Nats
from bench.peers.prosody import PACKAGES as PROSODY
from bench.peers.prosody import Prosody
from bench.peers.redis import PACKAGES as REDIS
from bench.peers.redis import Redis
from bench.phone_file import file_figures
from bench.processes import Processors, memory
from bench.returning import LARGE, SMALL, returning_figures
from bench.scale import FULL, Scale
from bench.slow_disk import folder_in_memory, slow_flushes
from bench.steps import step_figures
from bench.subjects import Collected, How, Ours, Subject

LITTLE: Final = 1000
"""Items held, with which a full mailbox is compared."""
MEMORY_LIMIT: Final = 512 * 1024 * 1024
"""Bytes of address space for the household's day: a small box."""
BESIDE: Final = 3
"""Mailboxes at the end that are kept for what is not handed in for people who are away."""

PEERS: Final = ("redis", "nats", "prosody")
RATE: Final = 100.0
"""Items a second to somebody who is connected."""

Say = Callable[[str], None]


class Run:
    """What is measured, what was found, and what could not be.

    Args:
        scale: how much of everything.
        columns: `plain`, `tls`.
        cache: where peers are unpacked.
        scratch: where servers keep their files.
        say: told what is done next.
        peers: whom to compare with.
    """

    def __init__(
        self,
        scale: Scale,
        *,
        columns: Sequence[str],
        cache: Path,
        scratch: Path,
        say: Say,
        peers: Sequence[str] = PEERS,
    ) -> None:
        self.scale = scale
        self.columns = columns
        self.peers = peers
        self.cache = cache
        self.scratch = scratch
        self.say = say
        self.processors = Processors.here()
        self.absent: dict[str, str] = {}
        self._found: dict[str, list[float]] = defaultdict(list)

    @property
    def figures(self) -> Figures:
        """The middle of all that was found, by name."""
        return {name: median(values) for name, values in self._found.items()}

    @property
    def busy(self) -> float:
        """How much of a processor others used, in the worst of all measurements."""
        return max(
            (one for name, one in self.figures.items() if name.endswith(".others")), default=0.0
        )

    @property
    def away(self) -> range:
        """The mailboxes whose owners stay away."""
        return range(max(1, self.scale.mailboxes - BESIDE))

    # Noting

    def note(self, group: str, figures: Figures) -> None:
        """Note figures of a group, such as `tls.batch`."""
        for name, value in figures.items():
            self._found[f"{group}.{name}"].append(value)

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Go on without something that cannot be had, or that fails, and remember why."""
        self.say(what)
        try:
            yield
        except Absent as absent:
            self.absent[what] = str(absent)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self.absent[what] = f"it failed: {error!r}"

    async def measure(self, group: str, figures: Awaitable[Figures]) -> None:
        """Note what something gives, unless it fails."""
        with self.trying(group):
            self.note(group, await figures)

    def _beside(self, scratch: Path) -> Beside:
        return Beside(scratch, self.processors.server, self.scale.floor_seconds)

    # All of it

    async def all(self) -> None:
        """Measure everything."""
        os.sched_setaffinity(0, {self.processors.load})
        self._floors()
        self._letters()
        self._returning()
        await self._newcomers()
        await self._at_rest()
        await self._side_by_side()
        await self._slow_disk()
        await self._held()
        await self._connections()
        await self._household()

    def _floors(self) -> None:
        server = self.processors.server
        with self.trying("floors"):
            taken, seconds = import_floor(processor=server)
            self.note("imports", {"memory": taken, "seconds": seconds})
            self.note("disk", {"flush": disk_floor(self.scratch, count=300, processor=server)})
            for rows in GROUPS:
                floor = sqlite_floor(
                    self.scratch, rows=rows, seconds=self.scale.floor_seconds, processor=server
                )
                self.note(f"sqlite.{rows}", {"rate": floor.rate, "cpu": floor.cpu})

    def _letters(self) -> None:
        """Measure phones, which need no gateway for this."""
        for place, folder in (("memory", folder_in_memory()), ("disk", nullcontext(self.scratch))):
            with self.trying(f"{place}: letters"), folder as within:
                figures = letter_figures(
                    within / "letters", count=self.scale.letters, processor=self.processors.server
                )
                self.note(place, figures)
                self.note(
                    place,
                    file_figures(
                        within / "file", count=self.scale.letters, processor=self.processors.server
                    ),
                )
                steps = step_figures(
                    within / "steps", changes=self.scale.changes, processor=self.processors.server
                )
                self.note(f"{place}.steps", steps)

    def _returning(self) -> None:
        """Measure how long a phone that is gone is missed; the large archive in the long form."""
        for place, folder in (("memory", folder_in_memory()), ("disk", nullcontext(self.scratch))):
            with self.trying(f"{place}: coming back"), folder as within:
                for name, count in self._archives():
                    figures = returning_figures(
                        within / f"back-{count}", count=count, processor=self.processors.server
                    )
                    self.note(f"{place}.back.{name}", figures)

    def _archives(self) -> list[tuple[str, int]]:
        """Return how many letters are in the archives of phones that are gone."""
        large = [("large", LARGE)] if self.scale.letters >= FULL.letters else []
        return [("small", min(SMALL, self.scale.letters)), *large]

    async def _newcomers(self) -> None:
        """Measure phones that come to a gateway: a further one, and one in place of another."""
        for place, folder in (("memory", folder_in_memory()), ("disk", nullcontext(self.scratch))):
            with self.trying(f"{place}: newcomers"), folder as within:
                async with self._gateway("tls", f"newcomers-{place}") as gateway:
                    await gateway.start()
                    for name, count in self._archives():
                        figures = newcomer_figures(
                            within / f"newcomers-{count}",
                            gateway.box.data,
                            count=count,
                            processor=self.processors.load,
                        )
                        self.note(f"{place}.newcomers.{name}", figures)

    async def _at_rest(self) -> None:
        async with AsyncExitStack() as stack:
            gateways = []
            for column in self.columns:
                gateway = await stack.enter_async_context(self._gateway(column, "rest"))
                with self.trying(f"{column}.rest"):
                    await gateway.start()
                    await gateway.kill()  # its first start made keys, which the next ones read
                    self.note(f"{column}.rest", {"start": await gateway.start()})
                    self.note(f"{column}.rest", await at_rest(gateway))
                    await gateway.furnish(self.scale.mailboxes)
                    gateways.append(gateway)
            after, seconds = self.scale.quiet_after, self.scale.quiet_seconds
            await asyncio.gather(
                *(
                    self.measure(f"{one.name}.quiet", quiet(one, after=after, seconds=seconds))
                    for one in gateways
                )
            )

    async def _side_by_side(self) -> None:
        """Measure what is compared with peers, all of which run meanwhile."""
        async with AsyncExitStack() as stack:
            ours = [await self._start_ours(stack, one, "fast") for one in self.columns]
            peers = [await self._start_peer(stack, one, self.scratch) for one in self.peers]
            gateways = [one for one in ours if one is not None]
            everybody = [*gateways, *(one for one in peers if one is not None)]
            for _ in range(self.scale.repeats):
                await self._deposits(everybody)
                for one in everybody:
                    if isinstance(one, Ours | Redis | Nats):
                        await self._deliveries(one)
            for gateway in gateways:
                await self._promises(gateway)

    async def _deposits(self, everybody: Sequence[Subject]) -> None:
        counts = {
            How.BATCH: self.scale.batches,
            How.ONE: self.scale.one,
            How.POST: self.scale.posts,
        }
        for how, count in counts.items():
            for one in everybody:
                if isinstance(one, Ours) or how is How.ONE:
                    await self.measure(
                        f"{one.name}.{how.value}",
                        deposit(
                            one,
                            how,
                            count=self.scale.posts if isinstance(one, Prosody) else count,
                            to=self.away,
                            beside=self._beside(self.scratch),
                        ),
                    )

    async def _deliveries(self, one: Collected) -> None:
        scale, last = self.scale, self.scale.mailboxes - 1
        await self.measure(
            f"{one.name}.live", live(one, How.ONE, count=scale.live, rate=RATE, mailbox=last)
        )
        await self.measure(
            f"{one.name}.rush", live_rush(one, How.BATCH, count=scale.rush, mailbox=last - 1)
        )
        await self.measure(
            f"{one.name}.drain", drain(one, How.BATCH, count=scale.drain, mailbox=last - 2)
        )

    async def _promises(self, gateway: Ours) -> None:
        await self.measure(
            f"{gateway.name}.flushes",
            flushes(
                gateway, How.BATCH, count=self.scale.flushes, to=self.away, scratch=self.scratch
            ),
        )
        await self.measure(
            f"{gateway.name}.kill",
            lost_by_kill(gateway, How.BATCH, mailboxes=self.away, seconds=self.scale.kill_seconds),
        )

    async def _slow_disk(self) -> None:
        """Measure on a disk that takes 5 ms to flush."""
        with self.trying("slow disk"), folder_in_memory() as folder:
            slow = slow_flushes(self.cache)
            async with AsyncExitStack() as stack:
                ours = [
                    await self._start_ours(stack, one, "slow", within=folder, environment=slow)
                    for one in self.columns
                ]
                redis = await self._start_peer(stack, "redis", folder, environment=slow)
                for one in [*ours, redis]:
                    if isinstance(one, Ours | Redis):
                        await self._slowly(one, scratch=folder)

    async def _slowly(self, one: Collected, *, scratch: Path) -> None:
        scale = self.scale
        await self.measure(
            f"{one.name}.slow",
            deposit(one, How.BATCH, count=scale.slow, to=self.away, beside=self._beside(scratch)),
        )
        mailbox = scale.mailboxes - 1
        await self.measure(
            f"{one.name}.slow_live",
            live(one, How.ONE, count=scale.live, rate=RATE, mailbox=mailbox),
        )

    async def _held(self) -> None:
        """Measure with full mailboxes."""
        scale = self.scale
        for column in self.columns:
            async with self._gateway(column, "held") as gateway:
                with self.trying(f"{column}.held"):
                    await gateway.start()
                    await gateway.furnish(scale.mailboxes)
                    await hand_in(gateway, How.BATCH, count=min(LITTLE, scale.held), to=self.away)
                    before = memory(gateway.pid)
                    await self._at_level(gateway, "few")
                    await hand_in(gateway, How.BATCH, count=scale.held, to=self.away)
                    taken = memory(gateway.pid) - before
                    await self._at_level(gateway, "many")
                    await gateway.kill()
                    start = await gateway.start()
                    figures = {"memory": taken, "start": start, "count": scale.held}
                    self.note(f"{column}.held", figures)
        if "nats" not in self.peers:
            return
        with self.trying("nats.held"):
            nats = Nats(self.scratch / "nats-held", processor=self.processors.server, always=False)
            try:
                await nats.start()
                await nats.furnish(scale.mailboxes)
                await hand_in(nats, How.ONE, count=scale.held, to=self.away)
                await nats.kill()
                self.note("nats.held", {"start": await nats.start()})
            finally:
                await nats.kill()

    async def _at_level(self, gateway: Ours, name: str) -> None:
        os.sync()
        await self.measure(
            f"{gateway.name}.{name}",
            deposit(
                gateway,
                How.BATCH,
                count=self.scale.batches // 2,
                to=self.away,
                beside=self._beside(self.scratch),
            ),
        )

    async def _connections(self) -> None:
        """Measure phones that are connected and silent."""
        count = self.scale.connections
        for column in self.columns:
            async with self._gateway(column, "connections") as gateway:
                with self.trying(f"{column}.connections"):
                    await gateway.start()
                    await gateway.furnish(FIRST + count)
                    await gateway.kill()
                    await gateway.start()
                    found = await idle_connections(gateway, count=count)
                    self.note(f"{column}.connections", found)

    async def _household(self) -> None:
        """Play a day on a small box."""
        scale = self.scale
        day = make_day(scale.household, seed=1).part(*scale.hours)
        for column in self.columns:
            async with self._gateway(column, "household") as gateway:
                with self.trying(f"{column}.household"):
                    box = gateway.box
                    await box.start(under=["prlimit", f"--as={MEMORY_LIMIT}"])
                    home = await furnish(box.data, box.door, scale.household, address=box.address)
                    played = await play(day, home, speed=scale.speed)
                    self.note(f"{column}.household", per_day(played))

    # Starting

    @asynccontextmanager
    async def _gateway(
        self, column: str, name: str, *, within: Path | None = None
    ) -> AsyncIterator[Ours]:
        """Give a gateway that was not started yet; end it and remove its files after the block."""
        folder = (within or self.scratch) / f"{name}-{column}"
        server = self.processors.server
        async with open_box(folder, tls=column == "tls", processor=server) as box:
            yield Ours(box)
        shutil.rmtree(folder, ignore_errors=True)

    async def _start_ours(
        self,
        stack: AsyncExitStack,
        column: str,
        name: str,
        *,
        within: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> Ours | None:
        gateway = await stack.enter_async_context(self._gateway(column, name, within=within))
        with self.trying(f"{column}: {name}"):
            await gateway.start(environment=environment)
            await gateway.furnish(self.scale.mailboxes)
            return gateway
        return None

    async def _start_peer(
        self,
        stack: AsyncExitStack,
        name: str,
        within: Path,
        *,
        environment: dict[str, str] | None = None,
    ) -> Subject | None:
        with self.trying(name):
            peer = self._peer(name, within / name)
            stack.push_async_callback(peer.kill)
            await peer.start(environment=environment)
            await peer.furnish(self.scale.mailboxes)
            return peer
        return None

    def _peer(self, name: str, folder: Path) -> Redis | Nats | Prosody:
        """Return a peer that was not started yet.

        Raises:
            Absent: it cannot be had here.
        """
        server = self.processors.server
        if name not in self.peers:
            raise Absent("it is not wanted")
        match name:
            case "redis":
                return Redis(unpack(REDIS, self.cache / name), folder, processor=server)
            case "prosody":
                return Prosody(unpack(PROSODY, self.cache / name), folder, processor=server)
            case _:
                return Nats(folder, processor=server)


def per_day(played: Played) -> Figures:
    """Return what a whole day costs, if a part of one was played."""
    share = played.day_share
    return {
        "p50": played.p50,
        "p95": played.p95,
        "p99": played.p99,
        "memory": played.peak_memory,
        "refused": sum(played.refused.values()),
        "cpu": played.cpu / share,
        "written": played.written / share,
        "bytes": played.bytes_in / share,
        "others": played.others,
    }
