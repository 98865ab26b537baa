"""Stays at the mailbox: letters as they come, and the outbox whenever something is due.

    the mailbox    a WebSocket; when the gateway goes away it is tried again, slower each time
    the outbox     every second what is due, whether our own gateway is there or not: what waits may
                   be for another one
    missing        asked for once they have been missing for some seconds
    the state      heard before a letter is told, so that what was read elsewhere is not told here;
                   told soon after something was read or changed
    the archive    what came and went is added to it; what is older is read, the newest first

What happens is told in one stream of events.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from peer.devices.archive import Archive, Pace, Progress
from peer.devices.notices import unshown_notices
from peer.devices.spares import Spares
from peer.devices.witness import Witness, keep_archive
from peer.errors import GatewayNotThere, GatewayRefused, WrongGateway
from peer.items.kinds import Letter
from peer.letterbox import Letterbox, Shown, Trouble, content_of
from peer.me import Home, Me
from peer.people.contacts import Contacts
from peer.people.news import Noticed
from peer.recovery.guarding import Alarmed, Guard
from peer.store import Store
from peer.ways.furnishing import (
    at_home,
    at_left_home,
    furnish_what_it_takes,
    keep_in_step,
)
from peer.ways.gateway_client import GatewayClient, LiveMailbox
from peer.ways.missing import Gaps
from peer.ways.notifying import Notifications
from peer.ways.receiving import Batch, Came, Receiving
from peer.ways.sending import Sending, State
from wire.errors import WireError
from wire.frames import Hello
from wire.ids import GatewayId, ItemId, ParcelId

AWAY: Final = (GatewayNotThere, WrongGateway)
RECONNECT_FIRST: Final = 1.0
RECONNECT_LONGEST: Final = 60.0
"""Seconds between tries to reach a gateway that is away."""
OUTBOX_EVERY: Final = 1.0
"""Seconds between two looks at what is due: another command may have left something."""
LEFT_EVERY: Final = 300.0
"""Seconds between two looks into a mailbox at a gateway that was left."""
MISSING_AFTER: Final = 5.0
"""Seconds after which a letter counts as missing; several commands send in any order."""
ARCHIVE_EVERY: Final = 10.0
"""Seconds between two looks whether something is to be archived: letters share a segment."""
NOT_YET_SECONDS: Final = 1.0
"""Seconds to wait for an addition to end whose first letter is here already."""
STATE_EVERY: Final = 30.0
"""Seconds between two questions what other devices have changed, while nothing comes."""
ALONE_EVERY: Final = 300.0
"""Seconds between two times that a person's only device leaves its changes at the gateway."""
FINAL: Final = frozenset({"revoked", "login-refused", "pair-again", "replaced"})
"""What a gateway may say after which trying again is no use."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A letter came."""

    letter: Shown


@dataclass(frozen=True, slots=True)
class Missing:
    """Letters are known to be missing; they are asked for."""

    contact: str
    count: int


@dataclass(frozen=True, slots=True)
class Moved:
    """One of our letters is at a gateway of whom it is for."""

    state: State


@dataclass(frozen=True, slots=True)
class Away:
    """Our gateway cannot be reached just now."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Here:
    """Our gateway answers."""


@dataclass(frozen=True, slots=True)
class Restoring:
    """Older letters are coming from the archive; what is here can be read meanwhile."""

    letters: int
    """Those that came so far."""
    bytes: int
    of_bytes: int
    seconds_left: int | None
    over: bool


@dataclass(frozen=True, slots=True)
class ArchiveOlder:
    """By a contact's word our archive went further than what the gateway gives of it."""

    contact: str
    seen: int
    here: int


Event = (
    ArchiveOlder | Arrived | Missing | Trouble | Moved | Away | Here | Alarmed | Restoring | Noticed
)


async def read_archive(
    archive: Archive, gateway: GatewayClient
) -> AsyncGenerator[tuple[Restoring, tuple[ItemId, ...]], None]:
    """Read all of the archive that is not here; yield how far it has come, and letters to show.

    Raises:
        GatewayNotThere, WrongGateway, GatewayRefused: what was read until then is kept.
    """
    pace = Pace(time.monotonic(), archive.progress().bytes)
    while archive.to_read:
        progress = await archive.keep(gateway)
        if progress is None:  # another process reads it
            return
        yield _restoring(progress, pace), progress.fresh


def restored(archive: Archive) -> Restoring:
    """Return how far reading the archive has come by now."""
    now = archive.progress()
    return Restoring(now.letters, now.bytes, now.of_bytes, 0 if now.over else None, now.over)


def _restoring(progress: Progress, pace: Pace) -> Restoring:
    left = pace.seconds_left(progress, now=time.monotonic())
    return Restoring(progress.letters, progress.bytes, progress.of_bytes, left, progress.over)


class Watch:
    """Carries letters both ways until it is stopped.

    Args:
        store: the phone's file.
        me: whose phone it is.
        now: returns Unix seconds.
    """

    def __init__(self, store: Store, me: Me, *, now: Callable[[], float]) -> None:
        self._store = store
        self._me = me
        self._now = now
        self._sending = Sending(store, me, now=now, on_stored=self._stored)
        self._gaps = Gaps(store, self._sending.outgoing, now=now)
        self._letterbox = Letterbox(store, me, self._sending)
        self._archive = Archive(store, me, now=now)
        self._witness = Witness(store, me, self._sending.outgoing, now=now)
        self._older: set[str] = set()
        self._spares = Spares(store, me, now=now)
        self._contacts = Contacts(store.db)
        self._guard = Guard(store, me, now=now)
        self._events: asyncio.Queue[Event | ItemId] = asyncio.Queue()
        self._read = asyncio.Event()
        self._told: dict[str, int] = {}
        self._asked: set[ParcelId] = set()
        self._live_gateway: GatewayClient | None = None
        self._stepping = asyncio.Lock()
        self._delay = RECONNECT_FIRST

    async def run(self) -> AsyncGenerator[Event, None]:
        """Yield what happens; ends only by being closed, or with what cannot be helped.

        Raises:
            GatewayRefused: this phone may not use the gateway any more, or another one watches.
            StoreUnusable
        """
        self._me.needs_home()
        loops = (
            self._mailbox(),
            self._outbox(),
            self._state(),
            self._left_behind(),
            self._archiving(),
            self._reading(),
        )
        works = [asyncio.create_task(one) for one in loops]
        try:
            while True:
                event = asyncio.create_task(self._events.get())
                await asyncio.wait({event, *works}, return_when=asyncio.FIRST_COMPLETED)
                if event.done():
                    for one in self._shown(event.result()):
                        yield one
                        if isinstance(one, Arrived):
                            self._read.set()
                    continue
                event.cancel()
                for work in works:
                    if work.done():
                        work.result()
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    async def once(self) -> AsyncGenerator[Event, None]:
        """Collect what waits, send what can be sent, and end.

        Raises:
            GatewayNotThere, WrongGateway, GatewayRefused: what was done until then is kept.
        """
        try:
            await self.collect(tell=True)
        finally:
            await self._sending.deliver()
            self._look_for_missing()
            self._look_for_older()
            while not self._events.empty():
                for event in self._shown(self._events.get_nowait()):
                    yield event

    async def _reading(self) -> None:
        """Tell the gateway what was read here, so that no other device rings for it."""
        while True:
            await self._read.wait()
            self._read.clear()
            await Notifications(self._store, self._me, now=self._now).tell_read()

    async def collect(self, *, tell: bool = False) -> None:
        """Collect all that waits in the mailbox by asking for it.

        Args:
            tell: whether letters are shown as events, and count as seen by that.

        Raises:
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        async with at_home(self._store, self._me, now=self._now()) as gateway:
            await self._guard.look(gateway)
            receiving = self._receiving()
            first = True
            while await self._collect_some(gateway, receiving, tell=tell, first=first):
                first = False
            await keep_archive(self._store, self._me, gateway, now=self._now())
            await self._spares.copy_all(gateway)
        await self._collect_left_behind(tell=tell)
        await self._guard.look_for_friends()
        if tell:
            self._tell_all(self._guard.untold())
        self._gaps.ask()

    def missing(self) -> tuple[Missing, ...]:
        """Return how many letters of each contact are known to be missing."""
        counts = self._gaps.counts()
        contacts = [one for one in self._contacts.all() if one.person in counts]
        return tuple(Missing(one.name, counts[one.person]) for one in contacts)

    def _shown(self, told: Event | ItemId) -> list[Event]:
        """Return what is yielded now. A letter counts as seen from here on, and no earlier."""
        if isinstance(told, ItemId):
            return [Arrived(one) for one in self._letterbox.unshown_item(told)]
        return [told]

    async def _collect_left_behind(self, *, tell: bool) -> None:
        """Empty the mailboxes at gateways that were left, now and then, if they still answer."""
        for home in self._me.left_homes(now=self._now()):
            if not self._is_time_for(home):
                continue
            receiving = self._receiving(at=home.gateway)
            with suppress(*AWAY, GatewayRefused, WireError):
                async with at_left_home(self._store, self._me, home) as gateway:
                    while await self._collect_some(gateway, receiving, tell=tell):
                        pass

    def _is_time_for(self, home: Home) -> bool:
        name, now = f"looked-at/{home.gateway.text}", self._now()
        looked = int.from_bytes(self._store.note(name) or b"", "big")
        if 0 <= now - looked < LEFT_EVERY:
            return False
        with self._store.transaction():
            self._store.keep_note(name, int(now).to_bytes(8, "big"))
        return True

    def _receiving(self, *, at: GatewayId | None = None) -> Receiving:
        outgoing = self._sending.outgoing
        asked = self._asked if at is None else None
        return Receiving(self._store, self._me, outgoing, now=self._now, at=at, asked=asked)

    async def _collect_some(
        self, gateway: GatewayClient, receiving: Receiving, *, tell: bool, first: bool = False
    ) -> bool:
        """Collect one frame; return whether there may be more.

        Args:
            gateway: whose mailbox it is.
            receiving: takes what is in it.
            tell: whether letters are shown as events.
            first: whether to say that our gateway is here, once it has answered.
        """
        hello, parcels = await gateway.collect(receiving.cursor)
        if first:
            self._tell(Here())
        if receiving.greet(hello):
            await furnish_what_it_takes(self._store, self._me, gateway, now=self._now())
        if parcels is None:
            return False
        batch = receiving.take(parcels.parcels, hello.epoch)
        if tell:
            self._tell_of(batch)
        if batch.upto is not None:
            try:
                await gateway.acknowledge(batch.upto)
            except GatewayRefused as refused:
                if refused.reason != "cursor-unknown":
                    raise
                receiving.begin_anew()  # what it still holds comes once more
        if batch.learn:
            await self._hear_others(gateway)
            return True
        return not batch.stopped or await self._sending.fetch_cards()

    # While it runs

    async def _mailbox(self) -> None:
        while True:
            try:
                await self._live()
            except AWAY as trouble:
                self._tell(Away(str(trouble)))
            except GatewayRefused as refused:
                if refused.reason in FINAL:
                    raise
                if refused.reason == "cursor-unknown":
                    self._receiving().begin_anew()
                else:
                    self._tell(Away(str(refused)))
            await asyncio.sleep(self._delay)
            self._delay = min(RECONNECT_LONGEST, self._delay * 2)

    async def _live(self) -> None:
        async with at_home(self._store, self._me, now=self._now()) as gateway:
            await self._guard.look(gateway, at_once=True)
            self._tell_all(self._guard.untold())
            receiving = self._receiving()
            async with gateway.mailbox(receiving.cursor) as mailbox:
                hello = await mailbox.next()
                if isinstance(hello, Hello):
                    self._delay = RECONNECT_FIRST
                    self._tell(Here())
                    if receiving.greet(hello):
                        await furnish_what_it_takes(self._store, self._me, gateway, now=self._now())
                    self._live_gateway = gateway
                    try:
                        await self._as_they_come(gateway, mailbox, receiving, hello)
                    finally:
                        self._live_gateway = None

    async def _as_they_come(
        self, gateway: GatewayClient, mailbox: LiveMailbox, receiving: Receiving, hello: Hello
    ) -> None:
        while True:
            found = await mailbox.next()
            if found is None or isinstance(found, Hello):
                return
            batch = receiving.take(found, hello.epoch)
            if not self._is_alone:
                await self._hear_others(gateway)  # before it is told: it may have been read there
            self._tell_of(batch)
            if batch.upto is not None:
                await mailbox.acknowledge(batch.upto)
            if batch.stopped:
                if not await self._sending.fetch_cards():
                    await asyncio.sleep(NOT_YET_SECONDS)
                return

    async def _state(self) -> None:
        """Tell soon what was changed here, and hear now and then what was changed elsewhere."""
        heard = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(OUTBOX_EVERY)
            since = asyncio.get_running_loop().time() - heard
            if self._is_alone:
                due = since >= ALONE_EVERY and self._me.belongings.has_untold()
            else:
                due = since >= STATE_EVERY or self._me.belongings.has_untold()
            if due and (gateway := self._live_gateway) is not None:
                heard += since
                with suppress(*AWAY, GatewayRefused):  # whoever holds the mailbox says so
                    await self._hear_others(gateway)

    @property
    def _is_alone(self) -> bool:
        return len(self._me.card.devices) == 1 and self._me.belongings.has_begun()

    async def _hear_others(self, gateway: GatewayClient) -> None:
        async with self._stepping:
            await keep_in_step(self._store, self._me, gateway, now=self._now())

    async def _outbox(self) -> None:
        while True:
            await self._sending.deliver(due_only=True)
            self._gaps.ask(after=MISSING_AFTER)
            self._look_for_missing()
            self._look_for_older()
            await asyncio.sleep(OUTBOX_EVERY)

    async def _left_behind(self) -> None:
        while True:
            await self._collect_left_behind(tell=True)
            await self._guard.look_for_friends()
            self._tell_all(self._guard.untold())
            await asyncio.sleep(LEFT_EVERY)

    async def _archiving(self) -> None:
        delay = OUTBOX_EVERY  # what a new device lacks is not waited for
        while True:
            await asyncio.sleep(delay)
            delay = ARCHIVE_EVERY
            if self._archive.is_due or self._spares.due():
                with suppress(*AWAY, GatewayRefused, WireError):
                    async with at_home(self._store, self._me, now=self._now()) as gateway:
                        await self._read_archive(gateway)
                        await self._spares.copy_all(gateway)

    async def _read_archive(self, gateway: GatewayClient) -> None:
        """Read what of the archive is not here, as long as this process is the one that does it."""
        async for event, fresh in read_archive(self._archive, gateway):
            self._tell(event)
            for item in fresh:
                self._events.put_nowait(item)

    # What is told

    def _tell_of(self, batch: Batch) -> None:
        came = [one.item for one in batch.taken if one.came is Came.LETTER and one.item is not None]
        for item in self._letterbox.in_order(came):
            self._events.put_nowait(item)
        if any(one.came is Came.TROUBLE for one in batch.taken):
            self._tell_all(self._letterbox.troubles())
        self._tell_all(unshown_notices(self._store, self._me))

    def _stored(self, item: ItemId) -> None:
        row = self._store.db.execute("SELECT raw FROM item WHERE item = ?", (item.raw,)).fetchone()
        if row is not None and isinstance(content_of(row[0]), Letter):
            self._tell(Moved(self._sending.state(item)))

    def _look_for_missing(self) -> None:
        found = {one.contact: one.count for one in self.missing()}
        for name, count in found.items():
            if self._told.get(name) != count:
                self._tell(Missing(name, count))
        self._told = found

    def _look_for_older(self) -> None:
        for one in self._witness.older():
            if one.contact not in self._older:
                self._older.add(one.contact)
                self._tell(ArchiveOlder(one.contact, one.seen, one.here))

    def _tell(self, event: Event) -> None:
        self._events.put_nowait(event)

    def _tell_all(self, events: Iterable[Event]) -> None:
        for event in events:
            self._tell(event)
