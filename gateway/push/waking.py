"""Wakes phones: a bell for each, one task that minds the time, and a few pushes under way.

What a bell decides is done here and noted. Everything that must not be lost is on the disk before
this hears of it, so a process that is killed rings at most once too often.
"""

import asyncio
import heapq
import itertools
import logging
import secrets
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, Protocol

from gateway.clock import Clock, SteadyClock
from gateway.errors import Refusal
from gateway.push.bell import (
    HERE_SECONDS,
    Action,
    Bell,
    Came,
    Changed,
    Event,
    Explain,
    Failed,
    Fetched,
    Gone,
    Holds,
    Left,
    Now,
    Push,
    Rang,
    ReadElsewhere,
    Sent,
    Tick,
    Why,
)
from gateway.push.outcomes import KEEP_SECONDS, Dead, Later, Outcome, Taken, Wrong
from gateway.push.store import PushStore, Reached
from gateway.rings import Ring, Stored
from wire.errors import WireError
from wire.ids import DeviceId, LaneId, SeatId
from wire.pushes import Address, Hours

AT_A_TIME: Final = 32
"""Pushes under way."""
TO_ONE_SERVICE: Final = 4
"""Of them to one push service, so that one that does not answer keeps no other phone waiting."""
TAKEN_UP_TOGETHER: Final = 128
EXPLAIN_SECONDS: Final = 20.0
"""After which reasons are written down: together, for they are no promise."""
MAX_UNWRITTEN: Final = 1000
"""Different reasons that wait for that."""
MAX_HEARD: Final = 4096
"""Devices whose last word is remembered."""
LONGEST_SLEEP: Final = 300.0

log = logging.getLogger(__name__)


class Message(Enum):
    """What a push is for."""

    WAKE = auto()
    DIGEST = auto()
    CONFIRM = auto()
    TEST = auto()


class Provider(Protocol):
    """A way to push."""

    @property
    def key(self) -> bytes:
        """What a device gives its push service."""
        ...

    def check(self, address: Address) -> str:
        """Return the push service of an address, or refuse it."""
        ...

    def send(self, address: Address, message: Message, token: bytes = b"") -> Awaitable[Outcome]:
        """Push once."""
        ...


class StillWaits(Protocol):
    """Tells whether there is still something to collect."""

    def __call__(self, seat: SeatId, *, after: int, up_to: int) -> Awaitable[bool]: ...


@dataclass(slots=True, eq=False)
class _Phone:
    seat: SeatId
    device: DeviceId
    address: Address
    service: str
    bell: Bell


class Waking:
    """All phones that can be woken. It is the `Attention` of `gateway/rings.py`.

    Args:
        store: what is kept of them.
        provider: the way to push.
        still_waits: looks into a mailbox.
        clock: the machine's clocks.
        steady: for durations.
    """

    def __init__(
        self,
        store: PushStore,
        *,
        provider: Provider,
        still_waits: StillWaits,
        clock: Clock,
        steady: SteadyClock,
    ) -> None:
        self.store = store
        self.provider = provider
        self._still_waits = still_waits
        self._clock = clock
        self._steady = steady
        self._phones: dict[DeviceId, _Phone] = {}
        self._by_seat: dict[SeatId, set[DeviceId]] = {}
        self._connected: dict[SeatId, Counter[DeviceId]] = {}
        self._heard: dict[DeviceId, tuple[SeatId, float]] = {}
        self._dues: list[tuple[float, int, DeviceId]] = []
        self._count = itertools.count()
        self._news = asyncio.Event()
        self._queues: dict[str, deque[tuple[_Phone, Push]]] = {}
        self._under_way: Counter[str] = Counter()
        self._gates: dict[str, float] = {}
        self._pushing: set[asyncio.Task[None]] = set()
        self._whys: Counter[tuple[DeviceId, int, Why, LaneId | None]] = Counter()
        self._complained: set[tuple[str, str]] = set()
        self._ends = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take up what was pending, and wake phones until the block ends."""
        for number, reached in enumerate(await self.store.everybody()):
            self._add(reached)
            if number % TAKEN_UP_TOGETHER == 0:
                await asyncio.sleep(0)  # the first are pushed to while the others are taken up
        tasks = [
            asyncio.create_task(self._mind_the_time(), name="wakes"),
            asyncio.create_task(self._write_whys(), name="reasons of wakes"),
        ]
        try:
            yield
        finally:
            self._ends = True  # what is pending rings after the next start
            for task in (*tasks, *self._pushing):
                task.cancel()
            await asyncio.gather(*tasks, *self._pushing, return_exceptions=True)
            with suppress(Refusal):
                await self.write_whys()

    def look(self) -> None:
        """Look at the clock again; it may have been set."""
        self._news.set()

    async def settled(self) -> None:
        """Return when everything that is due was done, as far as that can be had now."""
        while True:
            await asyncio.sleep(0)
            self._ring_what_is_due()
            if not self._pushing:
                return
            await asyncio.wait(self._pushing)

    # Attention

    def arrived(self, parcels: Sequence[Stored]) -> None:
        """Parcels were stored."""
        rung: dict[int, tuple[Ring, Stored, int]] = {}
        for parcel in parcels:
            for ring in parcel.rings:  # parcels of one commit on one lane have the same
                _, _, times = rung.get(id(ring), (ring, parcel, 0))
                rung[id(ring)] = (ring, parcel, times + 1)
        for ring, newest, times in rung.values():
            phone = self._phones.get(ring.device)
            if phone is not None:
                others = self._others_here(newest.seat, ring.device)
                self._tell(
                    phone, Rang(newest.seq, newest.lane, ring.asked, ring.granted, others, times)
                )

    def here(self, seat: SeatId, device: DeviceId) -> None:
        """A device has connected."""
        self._connected.setdefault(seat, Counter())[device] += 1
        self._tell_device(device, Came())

    def left(self, seat: SeatId, device: DeviceId) -> None:
        """Its connection has ended."""
        connected = self._connected.get(seat, Counter())
        connected[device] -= 1
        if connected[device] <= 0:
            del connected[device]
        if not connected:
            self._connected.pop(seat, None)
        self._tell_device(device, Left())

    def fetched(self, seat: SeatId, device: DeviceId, up_to: int) -> None:
        """A device asks for what comes after a number."""
        self._hear(seat, device)
        self._tell_device(device, Fetched(up_to))

    def holds(self, seat: SeatId, device: DeviceId, up_to: int) -> None:
        """A device has acknowledged everything up to a number."""
        self._hear(seat, device)
        self._tell_device(device, Holds(up_to))

    # What devices ask for

    async def read(self, seat: SeatId, device: DeviceId, up_to: int) -> None:
        """Note that the holder has read everything up to a number on `device`."""
        others = [one for one in self._by_seat.get(seat, ()) if one != device]
        if others:
            await self.store.read(others, up_to=up_to)
            for one in others:
                self._tell_device(one, ReadElsewhere(up_to))

    async def propose(self, seat: SeatId, device: DeviceId, address: Address) -> Outcome | None:
        """Keep an address and push to it what must come back; None: it is confirmed already.

        Raises:
            Malformed, AddressRefused
        """
        self.provider.check(address)
        token = await self.store.propose(seat, device, address)
        if token is None:
            return None
        return await self.provider.send(address, Message.CONFIRM, token)

    async def confirm(self, device: DeviceId, token: bytes) -> None:
        """Take what came through a proposed address.

        Raises:
            ConfirmationWrong
        """
        reached, lost = await self.store.confirm(device, token)
        for one in lost:
            self._remove(one)
        self._add(reached)

    async def drop(self, device: DeviceId) -> None:
        """Push to a device no more."""
        await self.store.drop(device)
        self._remove(device)

    def reaches(self, device: DeviceId) -> bool:
        """Return whether a device has an address that it is pushed to at."""
        return device in self._phones

    async def test(self, device: DeviceId) -> Outcome | None:
        """Push a test all the way; None: the device has no address."""
        phone = self._phones.get(device)
        return None if phone is None else await self.provider.send(phone.address, Message.TEST)

    async def set_hours(self, device: DeviceId, hours: Hours) -> None:
        """Set when a device is not to be woken."""
        await self.store.set_hours(device, hours)
        self._tell_device(device, Changed(hours))

    def gone(self, devices: Iterable[DeviceId]) -> None:
        """Devices were revoked: what is kept of them is gone by now."""
        for device in devices:
            self._remove(device)

    def seat_gone(self, seat: SeatId) -> None:
        """A seat was removed."""
        self.gone(tuple(self._by_seat.get(seat, ())))

    async def write_whys(self) -> None:
        """Write down the reasons of the last seconds."""
        whys, self._whys = self._whys, Counter()
        if whys:
            await self.store.explain(whys)

    async def expire(self) -> None:
        """Forget reasons of more than seven days ago, and addresses that nobody confirmed."""
        await self.store.expire(wall=self._clock.now())

    # Inside

    def _now(self) -> Now:
        wall = self._clock.now() if self._steady.wall_is_plausible() else None
        return Now(self._steady.now(), wall)

    def _add(self, reached: Reached) -> None:
        try:
            service = self.provider.check(reached.address)
        except (Refusal, WireError):  # the owner has changed where may be asked
            log.warning("a phone's push address may not be used any more; it is not woken")
            return
        self._remove(reached.device)
        bell = Bell(reached.row, reached.hours)
        phone = _Phone(reached.seat, reached.device, reached.address, service, bell)
        self._phones[reached.device] = phone
        self._by_seat.setdefault(reached.seat, set()).add(reached.device)
        for _ in range(self._connected.get(reached.seat, Counter())[reached.device]):
            self._tell(phone, Came())
        self._tell(phone, Tick())

    def _remove(self, device: DeviceId) -> None:
        phone = self._phones.pop(device, None)
        if phone is not None:
            devices = self._by_seat[phone.seat]
            devices.discard(device)
            if not devices:
                del self._by_seat[phone.seat]

    def _hear(self, seat: SeatId, device: DeviceId) -> None:
        if len(self._heard) >= MAX_HEARD:
            since = self._steady.now() - HERE_SECONDS
            self._heard = {one: said for one, said in self._heard.items() if said[1] >= since}
        self._heard[device] = (seat, self._steady.now())

    def _others_here(self, seat: SeatId, device: DeviceId) -> bool:
        if any(one != device for one in self._connected.get(seat, ())):
            return True
        since = self._steady.now() - HERE_SECONDS
        return any(
            said[0] == seat and one != device and said[1] >= since
            for one, said in self._heard.items()
        )

    def _tell_device(self, device: DeviceId, event: Event) -> None:
        phone = self._phones.get(device)
        if phone is not None:
            self._tell(phone, event)

    def _tell(self, phone: _Phone, event: Event) -> None:
        now, before = self._now(), phone.bell.due()
        for action in phone.bell.handle(event, now):
            self._do(phone, action)
        due = phone.bell.due()
        if due is not None and due != before:
            if len(self._dues) > 1024 + 4 * len(self._phones):  # most of them are over by now
                self._dues = [one for one in self._dues if self._is_due(one[2]) == one[0]]
                heapq.heapify(self._dues)
            heapq.heappush(self._dues, (due, next(self._count), phone.device))
            self._news.set()

    def _do(self, phone: _Phone, action: Action) -> None:
        match action:
            case Push() as push:
                self._queues.setdefault(phone.service, deque()).append((phone, push))
                self._start(phone.service)
            case Explain(why, lane, times):
                if len(self._whys) < MAX_UNWRITTEN:
                    hour = int(self._clock.now() // 3600)
                    self._whys[phone.device, hour, why, lane] += times

    # Time

    def _is_due(self, device: DeviceId) -> float | None:
        phone = self._phones.get(device)
        return None if phone is None else phone.bell.due()

    async def _mind_the_time(self) -> None:
        while True:
            self._news.clear()
            self._ring_what_is_due()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sleep()):
                    await self._news.wait()

    def _sleep(self) -> float:
        if not self._dues:
            return LONGEST_SLEEP
        return min(max(0.0, self._dues[0][0] - self._steady.now()), LONGEST_SLEEP)

    def _ring_what_is_due(self) -> None:
        now = self._steady.now()
        while self._dues and self._dues[0][0] <= now:
            _, _, device = heapq.heappop(self._dues)
            due = self._is_due(device)
            if due is not None and due <= now:
                self._tell_device(device, Tick())

    async def _write_whys(self) -> None:
        while True:
            await asyncio.sleep(EXPLAIN_SECONDS)
            with suppress(Refusal):
                await self.write_whys()

    # Pushing

    def _start(self, service: str) -> None:
        queue = self._queues.get(service)
        room = self._under_way[service] < TO_ONE_SERVICE and len(self._pushing) < AT_A_TIME
        if not queue or not room or self._ends:
            return
        phone, push = queue.popleft()
        if not queue:
            del self._queues[service]
        self._under_way[service] += 1
        task = asyncio.create_task(self._push(phone, push), name="a push")
        self._pushing.add(task)
        task.add_done_callback(lambda done: self._ended(done, service))
        self._start(service)

    def _ended(self, task: asyncio.Task[None], service: str) -> None:
        self._pushing.discard(task)
        self._under_way[service] -= 1
        if not self._under_way[service]:
            del self._under_way[service]
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("a push went wrong", exc_info=error)
        for waiting in tuple(self._queues):
            self._start(waiting)

    async def _push(self, phone: _Phone, push: Push) -> None:
        row = phone.bell.row
        after, newest = max(row.held, row.read), max(row.wake, row.outside, row.digest)
        try:
            if not await self._still_waits(phone.seat, after=after, up_to=newest):
                await self.store.read([phone.device], up_to=newest)
                self._tell(phone, Gone(newest))
                return
            outcome = await self._send(phone, push)
        except Refusal:  # the store answers nobody just now
            outcome = Later(None)
        except Exception:
            self._tell(phone, Failed(None, _dice()))
            raise
        await self._note(phone, push, outcome)

    async def _send(self, phone: _Phone, push: Push) -> Outcome:
        closed = self._gates.get(phone.service, 0.0) - self._steady.now()
        if closed > 0:
            return Later(closed)
        message = Message.WAKE if push.urgent else Message.DIGEST
        return await self.provider.send(phone.address, message)

    async def _note(self, phone: _Phone, push: Push, outcome: Outcome) -> None:
        match outcome:
            case Taken(kept):
                await self._sent(phone, push, kept)
            case Wrong(what):
                self._complain(phone.service, what)
                await self._sent(phone, push, KEEP_SECONDS)  # not again before its time
            case Later(wait, everybody):
                if everybody and wait is not None:
                    self._gates[phone.service] = self._steady.now() + wait
                self._tell(phone, Failed(wait, _dice()))
            case Dead():
                self._tell(phone, Failed(None, _dice()))
                with suppress(Refusal):
                    there = await self.store.drop(phone.device, only=phone.address)
                    if there and self._phones.get(phone.device) is phone:
                        self._remove(phone.device)

    async def _sent(self, phone: _Phone, push: Push, kept: float) -> None:
        self._tell(phone, Sent(kept))
        with suppress(Refusal):  # a full disk: after a restart it rings once more
            await self.store.pushed(phone.device, replace(phone.bell.row), lane=push.lane)

    def _complain(self, service: str, what: str) -> None:
        """Say once to the owner what a push service has against us, and nothing of the phone."""
        if (service, what) not in self._complained and len(self._complained) < 64:
            self._complained.add((service, what))
            log.warning("the push service %s %s", service, what)


def _dice() -> float:
    """Return a number from 0 to 1 that spreads tries."""
    return secrets.randbits(32) / (1 << 32)
