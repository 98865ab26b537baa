"""A day at a blind gateway: what matters rings, what does not is silent, and what that saves.

Letters and mentions come among two thousand items; the phone sleeps, collects when it is woken, and
sleeps again. The gateway decides by lanes alone: with the bodies exchanged it decides alike.
"""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.mailbox.store import MailboxStore
from gateway.push.outcomes import KEEP_SECONDS, Outcome, Taken
from gateway.push.pending import PendingWakes
from gateway.push.sealing import seal
from gateway.push.store import PushStore
from gateway.push.waking import Message, Waking
from tests.gateway.mailbox.house import GATEWAY, House, at, open_house, parcel, prove
from tests.gateway.push.service import Receiver
from wire.frames import NOWHERE, Cursor
from wire.ids import DeviceId, SeatId
from wire.lanes import Lane, WakeRule
from wire.pushes import Address

ITEMS, MATTER = 2000, 20
EVERY = 120.0
"""Seconds between two items."""


@dataclass
class Counting:
    """A push service that counts."""

    key: bytes = bytes(65)
    pushes: list[float] = field(default_factory=list)
    size: int = 0
    house: House | None = None

    def check(self, address: Address) -> str:
        """Take every address."""
        return "https://push.example.net"

    async def send(self, address: Address, message: Message, token: bytes = b"") -> Outcome:
        """Count a push."""
        if message is not Message.CONFIRM:
            assert self.house is not None
            self.pushes.append(self.house.hands.steady)
            self.size += len(seal(b"", public=address.public, auth=address.auth))
        return Taken(KEEP_SECONDS)


@dataclass
class Sleeper:
    """A phone that sleeps, at a gateway."""

    house: House
    waking: Waking
    service: Counting
    seat: SeatId
    device: DeviceId
    cursor: Cursor = NOWHERE

    async def put(self, lane: Lane, *, size: int = 256) -> None:
        """Let an item come."""
        done = await self.house.store.deposit_all([prove(lane, parcel(lane, size=size))])
        self.waking.arrived(done.arrived)
        await self.waking.settled()

    async def collect(self) -> None:
        """Collect everything, as a phone that was woken does."""
        resumed = await self.house.store.resume(self.device, self.cursor)
        self.waking.fetched(self.seat, self.device, resumed.after)
        found = await self.house.store.collect(self.seat, after=resumed.after)
        while found:
            self.cursor = at(resumed.epoch, found[-1])
            found = await self.house.store.collect(self.seat, after=found[-1].seq)
        await self.house.store.acknowledge(self.device, self.cursor)
        self.waking.holds(self.seat, self.device, self.cursor.seq)

    def live(self, seconds: float) -> None:
        """Let time pass."""
        self.house.hands.live(seconds)


@asynccontextmanager
async def sleeper(folder: Path) -> AsyncIterator[Sleeper]:
    """Give a phone with a confirmed address."""
    async with open_house(folder / "store") as house:
        pending, service = PendingWakes(), Counting(house=house)
        house.store = MailboxStore(
            house.database, clock=house.clock, gateway=GATEWAY, beside=pending
        )
        pushes = PushStore(house.database, clock=house.clock, pending=pending)
        waking = Waking(
            pushes,
            provider=service,
            still_waits=house.store.waits,
            clock=house.hands,
            steady=house.clock,
        )
        async with waking.running():
            seat = await house.seat()
            device = await house.device(seat)
            address = Receiver("https://push.example.net/phone").address
            token = await pushes.propose(seat, device, address)
            assert token is not None
            await waking.confirm(device, token)
            yield Sleeper(house, waking, service, seat, device)


@pytest.mark.parametrize("seed", [1])
async def test_z14_twenty_of_two_thousand_items_ring_and_they_are_the_right_ones(
    tmp_path: Path, seed: int
) -> None:
    """Z14, Z16, Z17: and what pushing everything would have cost."""
    dice = random.Random(seed)  # noqa: S311  # the same day each time
    matter = set(dice.sample(range(ITEMS), MATTER))
    async with sleeper(tmp_path) as phone:
        letter = await phone.house.lane(phone.seat)
        mention = await phone.house.lane(phone.seat)
        ordinary = [await phone.house.lane(phone.seat, rule=WakeRule.NEVER) for _ in range(50)]
        right = 0
        for number in range(ITEMS):
            rings = number in matter
            lane = dice.choice((letter, mention)) if rings else dice.choice(ordinary)
            await phone.put(lane)
            right += rings
            assert len(phone.service.pushes) == right, number
            if rings:
                await phone.collect()
            phone.live(EVERY)
            await phone.waking.settled()

    assert len(phone.service.pushes) == MATTER
    days = ITEMS * EVERY / 86_400
    print(
        f"{MATTER} pushes of {phone.service.size} bytes for {ITEMS} items in {days:.1f} days;"
        f" pushing everything: {ITEMS}, {ITEMS // MATTER} times as many"
    )
    assert ITEMS / len(phone.service.pushes) == 100


async def test_after_the_end_nothing_is_pushed_any_more(tmp_path: Path) -> None:
    async with sleeper(tmp_path) as phone:
        lane = await phone.house.lane(phone.seat)
        done = await phone.house.store.deposit_all([prove(lane, parcel(lane))])
    phone.waking.arrived(done.arrived)
    phone.waking.left(phone.seat, phone.device)

    assert phone.service.pushes == []


async def test_z15_a_stranger_with_a_thousand_pictures_rings_nobody(tmp_path: Path) -> None:
    """Z15: also when she says that each of them is urgent, for there is nowhere to say it."""
    async with sleeper(tmp_path) as phone:
        pictures = await phone.house.lane(phone.seat, rule=WakeRule.NEVER)
        for _ in range(1000):
            await phone.put(pictures)
        phone.live(30 * 86_400)
        await phone.waking.settled()

        assert phone.service.pushes == []


async def test_z18_with_the_bodies_exchanged_the_gateway_decides_alike(tmp_path: Path) -> None:
    """Z18: it depends on no content, and not on its size."""
    pushes = []
    for number, sizes in enumerate(((256, 65_536), (65_536, 256))):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with sleeper(folder) as phone:
            mention = await phone.house.lane(phone.seat)
            cats = await phone.house.lane(phone.seat, rule=WakeRule.NEVER)
            began = phone.house.hands.steady
            for _ in range(10):
                await phone.put(mention, size=sizes[0])
                await phone.collect()
                await phone.put(cats, size=sizes[1])
                phone.live(EVERY)
            pushes.append([when - began for when in phone.service.pushes])

    assert pushes[0] == pushes[1]
    assert len(pushes[0]) == 10
