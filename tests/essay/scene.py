"""What a row is played with: gateways that are watched, phones, a ledger; all gone afterwards."""

import random
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from demo.stage import Box, Phone, Process, Stage, stage
from tests.essay.ledger import Ledger
from tests.essay.needles import canary
from tests.essay.observer import PLACES, Observer, Search
from tests.essay.phones import Pocket
from tests.essay.tap import Tap, tap

TALKATIVE: Final = ("--log-level", "debug")


@dataclass
class Watched:
    """A gateway, and the observer who owns it."""

    box: Box
    tap: Tap
    observer: Observer

    async def start(self) -> None:
        """Start it; the tap learns its key, which may be a new one."""
        await self.box.start()
        self.tap.take_key()


@dataclass
class Scene:
    """One row being played."""

    theatre: Stage
    ledger: Ledger
    short: bool
    """Whether fewer letters have to do, as in `./test`."""
    seed: int
    _ends: AsyncExitStack
    _pockets: dict[str, Pocket] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311  # it chooses letters to drop, no keys

    def many(self, full: int, short: int) -> int:
        """Return how many there are to be of something."""
        return short if self.short else full

    async def gateway(
        self,
        name: str = "the box",
        *,
        module: str = "gateway.cli",
        environment: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
    ) -> Watched:
        """Start a gateway with a tap in front of it.

        Args:
            name: what it is called in messages.
            module: what is run; a gateway that misbehaves is another module.
            environment: more variables for it.
            address: where phones come in.
        """
        temporary = self.theatre.folder / f"tmp-{len(self.theatre.boxes)}"
        temporary.mkdir()
        box = self.theatre.box(
            name,
            module=module,
            flags=TALKATIVE,
            environment={**(environment or {}), "TMPDIR": str(temporary)},
        )
        wire = await self._ends.enter_async_context(
            tap(box.data / "tls.pem", port=box.port, address=address)
        )
        box.shown = f"{address}:{wire.port}"
        watched = Watched(box, wire, Observer(box, wire))
        await watched.start()
        return watched

    def pocket(self, name: str) -> Pocket:
        """Return a phone inside this process, switched off at the end at the latest."""
        pocket = Pocket(name, self._home(name))
        self._ends.push_async_callback(pocket.off)
        return pocket

    def phone(self, name: str, *, inside: tuple[str, ...] = ()) -> Phone:
        """Return a phone that is commands, each a process of its own.

        Args:
            name: whose.
            inside: a command that puts it into a network of its own.
        """
        return Phone(name, self._home(name), inside)

    def until_end(self, process: Process) -> Process:
        """Return a process that is killed at the end of the row, if it still runs then."""
        self._ends.push_async_callback(process.stop, signal.SIGKILL)
        return process

    def _home(self, name: str) -> Path:
        return self.theatre.folder / f"phone-{name.split()[0].lower()}"

    async def household(self, *names: str, gateway: Watched | None = None) -> list[Pocket]:
        """Return phones that are paired with one gateway; the first knows all the others."""
        box = gateway or await self.gateway()
        pockets = [self.pocket(name) for name in names]
        for one in pockets:
            await one.pair(box.box)
        for other in pockets[1:]:
            await pockets[0].meet(other)
        return pockets

    def report(self, search: Search) -> None:
        """Enter what an observer found into the ledger: nothing, in each place."""
        many = search.secrets
        self.ledger.true("secrets looked for", many > 0, f"{many}, each in all spellings")
        for place in PLACES:
            seen, size = search.found_in(place), search.size_of(place)
            self.ledger.true(f"hits in {place}", seen == 0, f"{seen} ({size})")
        for hit in sorted(map(str, search.hits))[:5]:
            self.ledger.tell("found", hit)


@asynccontextmanager
async def scene(ledger: Ledger, *, short: bool, seed: int) -> AsyncIterator[Scene]:
    """Set a stage for one row, and clear it whatever happens."""
    async with stage() as theatre, AsyncExitStack() as ends:
        yield Scene(theatre, ledger, short, seed, ends)


def secret_texts(number: int, *, of: str) -> tuple[list[str], dict[str, bytes]]:
    """Return letters with a canary in each, and the canaries by name."""
    words = [canary() for _ in range(number)]
    texts = [f"{of}, letter {place}: {word}" for place, word in enumerate(words, start=1)]
    return texts, {
        f"{of}, letter {place}": word.encode("ascii") for place, word in enumerate(words, start=1)
    }
