"""Contacts who send or ask too much, and a household on a small machine."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from tests.faults.adapter import Box, Handset, Sender, letters, open_box
from tests.faults.conftest import Amount
from tests.faults.connection import Refused
from tests.faults.here import need_program, patience, times
from tests.faults.oracle import check_bounds
from wire.frames import Result
from wire.parcel import MAX_BODY
from wire.prekeys import Bundle, PrekeyKind, decode_bundles, encode_upload

T = TypeVar("T")
MIB: Final = 1 << 20
SLACK: Final = 10.0
"""How much slower a machine may be that runs other tests meanwhile."""

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        yield opened


async def timed(work: Awaitable[T], into: list[float]) -> T:
    """Wait for something; add how many seconds it took."""
    begun = time.monotonic()
    found = await work
    into.append(time.monotonic() - begun)
    return found


def slowest(seconds: Sequence[float]) -> float:
    """Return what all but one in a hundred stay below."""
    return sorted(seconds)[int(len(seconds) * 0.99)]


async def flood(sender: Sender, until: asyncio.Event) -> list[Result]:
    """Deposit as much as goes, large and small; return how it was answered."""
    found = list[Result]()
    dice = random.Random(8)  # noqa: S311  # the same sizes every time
    while not until.is_set():
        size = dice.choice((256, 256, 256, MAX_BODY))
        count = 1 if size == MAX_BODY else 16
        with suppress(Refused):  # his lane has as many depositors as it may
            found += await sender.deposit(letters(sender.lane, count, size=size))
    return found


async def test_ds_08_who_floods_his_lane_fills_no_other(box: Box, amount: Amount) -> None:
    """DS-08: a contact deposits all he can, small and maximal; only his own lane fills."""
    await box.start()
    phone, neighbour = await box.enrol(), await box.enrol()
    lane = await phone.lane(bytes_waiting=8 * MIB)
    greedy = await box.senders([lane] * 3)
    others = [await phone.sender(), await neighbour.sender()]
    enough, took = asyncio.Event(), list[float]()
    flooding = [asyncio.create_task(flood(one, enough)) for one in greedy]

    for _ in range(times(60, long=3000)):
        for one in others:
            assert await timed(one.deposit(letters(one.lane, 1)), took) == [Result.STORED]
    enough.set()
    results = [one for found in await asyncio.gather(*flooding) for one in found]

    assert set(results) == {Result.STORED, Result.MAILBOX_FULL}
    assert slowest(took) <= 1.0 * SLACK
    status = await status_of(phone)
    assert status["bytes"] <= 9 * MIB
    check_bounds(box)
    amount(f"{len(results)} parcels of the flood, p99 of the others {slowest(took):.2f} s")
    found = await phone.drain() + await neighbour.drain()
    assert {one.parcel.id for one in found} == box.ledger.stored


async def status_of(phone: Handset) -> dict[str, Any]:
    """Return what a gateway tells a phone about its mailbox."""
    answer = await phone.ask("GET", "/v1/status")
    found: dict[str, Any] = answer.json()
    return found


async def test_ds_10_a_full_mailbox_says_so_and_goes_on_once_it_is_drained(box: Box) -> None:
    """DS-10: full: refused by name, its reader is told how full, drained it takes again."""
    await box.start("--seat-limit", "3MiB")
    phone = await box.enrol()
    sender, neighbour = await phone.sender(), await (await box.enrol()).sender()

    assert await sender.keep_on(size=65_536, batch=4) == "mailbox-full"
    assert await sender.deposit(letters(sender.lane, 1, size=65_536)) == [Result.MAILBOX_FULL]
    assert await neighbour.deposit(letters(neighbour.lane, 1)) == [Result.STORED]
    full = await status_of(phone)
    assert full["limit_bytes"] == 3 * MIB
    assert full["bytes"] > full["limit_bytes"] * 0.9
    owed = len(box.ledger.owed) - 1  # one is the neighbour's

    refused = [one for one in box.ledger.offered.values() if one.id in box.ledger.refused]
    first = await phone.drain()
    assert len(first) == owed
    assert (await status_of(phone))["bytes"] == 0
    await sender.insist(refused)
    assert {one.parcel.id for one in await phone.drain()} == {one.id for one in refused}
    check_bounds(box)


async def bundle_for(sender: Sender) -> Bundle:
    """Ask for prekeys on a lane."""
    opening = await sender.connection.opening(sender.lane, "prekeys")
    data = await sender.connection.must("POST", "/v1/prekeys/fetch", headers=opening)
    [found] = decode_bundles(data).bundles
    return found


async def test_ds_11_a_contact_who_asks_for_all_prekeys_gets_one(box: Box, amount: Amount) -> None:
    """DS-11: asked again and again: one an hour; others get theirs, the last resort shows."""
    await box.start()
    phone = await box.enrol()
    prekeys = phone.phone.prekeys(one_time=2, kem=2)
    await phone.must("POST", "/v1/prekeys", encode_upload(tuple(prekeys)))
    greedy, *others = [await phone.sender() for _ in range(4)]

    given = [await bundle_for(greedy)]
    requests = times(60, long=1000)
    for _ in range(requests):
        with pytest.raises(Refused, match="too-many-requests"):
            await bundle_for(greedy)
    given += [await bundle_for(one) for one in others]

    amount(f"{requests} requests")
    kinds = [one.kem.kind for one in given]
    assert kinds == [PrekeyKind.ONE_TIME_KEM] * 2 + [PrekeyKind.LAST_RESORT] * 2
    assert [one.one_time is None for one in given] == [False, False, True, True]
    assert len({(one.kem.kind, one.kem.id) for one in given}) == 3
    check_bounds(box)


class Resident:
    """One of a household: a phone that collects, and a lane to somebody."""

    def __init__(self, phone: Handset, sender: Sender, seed: int) -> None:
        self.phone, self._sender = phone, sender
        self._dice = random.Random(seed)  # noqa: S311  # the same day every time
        self.took = list[float]()
        self.results = set[Result]()

    async def live(self, until: float) -> None:
        """Write, send pictures, look what came, and wait for a while; again and again."""
        while time.monotonic() < until:
            size, count = self._dice.choice(((256, 1), (1024, 3), (4096, 1), (100_352, 1)))
            parcels = letters(self._sender.lane, count, size=size)
            self.results |= set(await timed(self._sender.deposit(parcels), self.took))
            if self._dice.random() < 0.5 and (fetched := await self.phone.fetch()):
                await self.phone.ack(fetched)
            if self._dice.random() < 0.2:
                await self.phone.fetch(wait=1)


async def test_ds_16_a_household_lives_on_one_core_and_little_memory(
    box: Box, amount: Amount
) -> None:
    """DS-16: twenty people write, send pictures and collect, on one core and in 256 MiB."""
    cage = (need_program("taskset"), "-c", "0", need_program("prlimit"), f"--data={256 * MIB}")
    await box.start(under=cage)
    phones = [await box.enrol() for _ in range(20)]
    senders = [await phone.sender() for phone in phones]
    people = [
        Resident(phone, senders[(n + 1) % len(senders)], seed=n) for n, phone in enumerate(phones)
    ]
    lasts = times(6, long=1800)

    until = time.monotonic() + lasts
    await asyncio.gather(*(one.live(until) for one in people))

    took = [seconds for one in people for seconds in one.took]
    assert {result for one in people for result in one.results} == {Result.STORED}
    assert slowest(took) <= 2.0 * SLACK
    amount(f"{lasts} s, {len(took)} deposits, p99 {slowest(took):.2f} s")
    check_bounds(box)
    for phone in phones:
        await phone.drain()
    assert box.ledger.owed == set()
    assert await box.stop() == 0
