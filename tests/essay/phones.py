"""Phones inside this process, for rows with more letters than commands could carry in time.

They are the library that the command line is made of, on files of their own. What a person would
do with eyes and thumbs, two screens and a check code, is done here by asking both sides.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack, aclosing, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gateway.control_client import ControlClient
from peer import sqlite
from peer.app import Arrived, Peer, Reading, open_peer
from peer.items.kinds import Content, Letter
from peer.keys.ratchet_state import State
from peer.me import Me
from peer.store import FILE_NAME, open_store
from peer.ways.sending import Sending
from tests.essay.needles import LEAST
from wire.check_code import digits
from wire.codes import ContactCode
from wire.ids import GatewayId
from wire.lanes import LaneSecret


class Paired(Protocol):
    """A gateway that phones are paired with; its owner asks it through its folder."""

    @property
    def data(self) -> Path:
        """The data folder."""
        ...


@dataclass
class Pocket:
    """A phone in somebody's pocket: on when it is opened, off when it is closed."""

    name: str
    home: Path
    days: float = 0.0
    """How far its clock is ahead: a day can be lived in a moment."""
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)
    _peer: Peer | None = None

    def now(self) -> float:
        """Return the phone's clock, Unix seconds."""
        return time.time() + self.days * 86_400

    async def on(self) -> Peer:
        """Switch it on; the first time it becomes this person's."""
        if self._peer is None:
            new = not (self.home / FILE_NAME).exists()
            opening = open_peer(self.home, create=new, now=self.now)
            self._peer = await self._open.enter_async_context(opening)
            if new:
                self._peer.begin(self.name)
        return self._peer

    async def on_empty(self) -> Peer:
        """Switch it on for the first time, and let it become nobody's."""
        opening = open_peer(self.home, create=True, now=self.now)
        self._peer = await self._open.enter_async_context(opening)
        return self._peer

    async def off(self) -> None:
        """Switch it off: no connection and no open file is left."""
        self._peer = None
        await self._open.aclose()
        self._open = AsyncExitStack()

    async def pair(self, box: Paired) -> None:
        """Pair it with a box; both screens are compared, and the answer is what they show."""
        peer, owner = await self.on(), ControlClient(box.data)
        shown = await owner.ask("POST", "/pair")

        async def compare(number: int) -> bool:
            look = f"/pair/{shown['id']}?wait=10"
            there = await owner.ask("GET", look, wait=10)
            same = bool(there["check"] == digits(number))
            await owner.ask("POST", f"/pair/{shown['id']}", body={"same": same})
            return same

        await peer.pair(shown["code"], compare)

    async def meet(self, other: "Pocket") -> None:
        """Let this phone show a code and the other read it; both compare."""
        host, guest = await self.on(), await other.on()
        code = asyncio.get_running_loop().create_future()
        screens = [asyncio.get_running_loop().create_future() for _ in range(2)]

        async def show(made: ContactCode) -> None:
            code.set_result(made.text())

        def compares(which: int) -> Callable[[int], Any]:
            async def compare(number: int) -> bool:
                screens[which].set_result(number)
                return bool(await screens[1 - which] == number)

            return compare

        async def read() -> None:
            await guest.add(await code, compares(1))

        await asyncio.gather(host.show_card(show, compares(0)), read())

    async def put(self, name: str, contents: Iterable[Content]) -> int:
        """Send items of any kind to a contact; return how many still wait on the phone."""
        peer = await self.on()
        store = open_store(self.home)
        assert store is not None
        with closing(store):
            sending = Sending(store, Me(store), now=self.now)
            for content in contents:
                sending.write(peer.contacts.named(name), content)
            return await sending.deliver()

    async def write(self, name: str, texts: Iterable[str]) -> int:
        """Write letters and send them over as few connections as it takes.

        Returns:
            how many still wait on the phone.
        """
        return await self.put(name, [Letter.write(text) for text in texts])

    async def read(self) -> Reading:
        """Collect, and return what is shown."""
        return await (await self.on()).read()

    async def texts(self) -> list[str]:
        """Collect, and return the texts that are shown for the first time."""
        return [one.text for one in (await self.read()).letters]

    async def stream(self, name: str) -> list[str]:
        """Return the texts of all letters of a contact, as a look at everything shows them."""
        reading = await (await self.on()).read(name, everything=True)
        return [one.text for one in reading.letters if not one.outgoing]

    async def watched(self) -> list[str]:
        """Stay connected until the mailbox is empty; return the texts that came meanwhile."""
        peer, found = await self.on(), list[str]()
        async with aclosing(peer.watch(until_idle=True)) as events:
            async for event in events:
                if isinstance(event, Arrived):
                    found.append(event.letter.text)
        return found

    def lanes_at(self, gateway: GatewayId) -> set[bytes]:
        """Return the ids that the lanes this phone gave away have at a gateway."""
        with closing(sqlite.connect(self.home / FILE_NAME)) as file:
            rows = file.execute("SELECT secret FROM lane_given").fetchall()
        return {LaneSecret(secret).at(gateway).id.raw for (secret,) in rows}

    def secrets(self) -> dict[str, bytes]:
        """Return every private key on this phone, by what it is called."""
        found = {}
        with closing(sqlite.connect(self.home / FILE_NAME)) as file:
            for table, name, value in _SECRETS:
                for label, secret in file.execute(f"SELECT {name}, {value} FROM {table}"):  # noqa: S608  # constants
                    called = label.hex() if isinstance(label, bytes) else str(label)
                    if table != "own_keys" or called not in _PUBLIC:
                        found[f"{self.name}: {table} {called}"] = bytes(secret)
            for number, (state,) in enumerate(file.execute("SELECT state FROM sessions")):
                for place, key in enumerate(_ratchet_keys(state)):
                    found[f"{self.name}: session {number}, key {place}"] = key
        return {name: secret for name, secret in found.items() if len(secret) >= LEAST}


def _ratchet_keys(saved: bytes) -> Iterator[bytes]:
    """Yield the keys in the state of a session, but for the other side's public one."""
    state = State.load(saved)
    yield state.own
    for chain in (state.root, state.sending, state.receiving):
        if chain is not None and chain.length:
            yield chain.key


_SECRETS = (
    ("own_keys", "name", "value"),
    ("pair_secrets", "transcript", "secret"),
    ("own_prekeys", "kind || '/' || id", "secret"),
    ("skipped_keys", "number", "key"),
    ("lane_given", "lane", "secret"),
    ("lane_taken", "person", "secret"),
)
_PUBLIC = frozenset({"person", "generation", "recovery"})
