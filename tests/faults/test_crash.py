"""Processes that end in the middle of something, and callers who do."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.adapter import Box, Ended, Handset, Sender, letters, open_box, pair
from tests.faults.conftest import Amount
from tests.faults.connection import NoAnswer, Refused
from tests.faults.here import patience, times
from tests.faults.oracle import (
    MAX_DESCRIPTORS,
    check_bounds,
    check_disk,
    check_started,
    collect_and_check,
    descriptors,
    look_inside,
)
from tests.faults.tools.raw import abandoned_request
from tests.faults.tools.strace import KillPoints, at, killed_at
from tests.gateway.eventually import eventually
from tests.gateway.phones import asks
from tests.gateway.sync.people import Phone
from wire.frames import MAX_PARCELS, Result
from wire.lanes import Lane
from wire.pairing import PairAnswer, PairingState, PairRequest

SENDERS = 8
START_LOG = 64 << 10
"""Bytes of the store's log after a start: a few pages, the clock's among them."""

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        yield opened


async def check_at_last(box: Box, phone: Handset) -> None:
    """Start for good, collect everything, stop, and look whether all of it was as promised."""
    check_started(await box.start())
    await collect_and_check(box, phone)
    check_bounds(box)
    assert await box.stop() == 0
    check_disk(box)
    assert look_inside(box.store).parcels == ()


async def test_cr_01_a_first_start_that_was_killed_is_made_up_for(
    tmp_path: Path, amount: Amount
) -> None:
    """CR-01: killed at the n-th write while keys and store are made; the next start serves."""
    points = KillPoints(
        [*at("pwrite64", 2, 60), *at("fdatasync", 6), *at("?rename", 1, 2)], most=400
    )
    for number, point in enumerate(points):
        async with open_box(tmp_path / str(number)) as box:
            with suppress(Ended):
                await box.start(under=killed_at(point))
                await box.stop()  # some of what it does last is reached only now
            if not points.note(await box.ended()):
                continue

            check_started(await box.start())
            phone = await box.enrol()
            sender = await phone.sender()
            await sender.deposit(letters(sender.lane, 1))
            await collect_and_check(box, phone)
            await box.stop()

    assert points.reached >= 5
    amount(f"{points.reached} kill points of a first start")


async def test_cr_01_what_was_acknowledged_survives_a_kill_at_any_call(
    box: Box, amount: Amount
) -> None:
    """CR-01: killed at the n-th write, fsync or rename while eight senders deposit."""
    await box.start()
    phone = await box.enrol()
    lanes = await phone.lanes(SENDERS)
    await box.stop()
    points = KillPoints([*at("pwrite64", 1, 21, 89, 233), *at("fdatasync", 1, 2, 4, 9)], most=300)
    for point in points:
        try:
            await box.start(under=killed_at(point))
            senders = await box.senders(lanes)
            enough = point.number + 40  # as many commits at least
            await asyncio.gather(*(one.keep_on(size=1024, most=enough) for one in senders))
            await box.stop()
        except Ended:
            pass  # it did not get as far as answering
        points.note(await box.ended())

        stored = set(look_inside(box.store).parcels)
        assert box.ledger.stored <= stored, f"lost at {point}"
        assert stored <= box.ledger.possible

    assert len(box.ledger.stored) > SENDERS
    assert points.reached >= 8
    amount(f"{points.reached} kill points of deposits, {len(stored)} acknowledged, 0 lost")
    await check_at_last(box, phone)


async def fill(box: Box, lane: Lane) -> None:
    """Start a gateway, deposit a few hundred parcels, stop it."""
    await box.start()
    sender = await box.sender(lane)
    for _ in range(6):
        await sender.deposit(letters(lane, MAX_PARCELS))
    await box.stop()


async def test_cr_02_what_was_collected_stays_gone_after_a_kill_at_any_call(
    box: Box, amount: Amount
) -> None:
    """CR-02: killed at the n-th call while a phone fetches and acknowledges."""
    await box.start()
    phone = await box.enrol()
    lane = await phone.lane()
    await box.stop()
    seen = set()
    points = KillPoints([*at("pwrite64", 12, 18, 38, 70), *at("fdatasync", 3, 4, 7)], most=150)
    for point in points:
        if len(box.ledger.owed) < 4 * MAX_PARCELS:
            await fill(box, lane)
        with suppress(Ended, NoAnswer):
            await box.start(under=killed_at(point))
            await phone.reconnect()
            while fetched := (await phone.fetch())[:7]:
                ids = {one.parcel.id for one in fetched}
                assert not ids & box.ledger.gone, f"came again after {point}"
                seen |= ids
                await phone.ack(fetched)
            await box.stop()
        points.note(await box.ended())
        stored = set(look_inside(box.store).parcels)
        assert box.ledger.owed <= stored, f"lost at {point}"
        assert not stored & box.ledger.gone

    assert seen
    assert points.reached >= 7
    amount(f"{points.reached} kill points, {len(box.ledger.gone)} collected, 0 lost, 0 came again")
    await check_at_last(box, phone)


class Pairing:
    """A pairing that has come to the phone's last word.

    Args:
        box: with which.
        confirmed: what the phone says last.
        nonce: what both check codes were made with.
    """

    def __init__(self, box: Box, confirmed: PairRequest, nonce: bytes) -> None:
        self.box, self.confirmed, self.nonce = box, confirmed, nonce

    @classmethod
    async def begin(cls, box: Box) -> "Pairing":
        """Go as far as the owner's yes."""
        id, code = await box.show()
        connection = await box.connect()
        request = asks(code, channel=connection.channel, phone=Phone())
        first = await pair(connection, request)
        await box.say(id, same=True)
        return cls(box, replace(request, confirmed=True), first.nonce)

    async def last_word(self) -> PairAnswer:
        """Say yes for the phone's holder, on a new connection."""
        return await pair(await self.box.connect(), self.confirmed)


async def test_cr_06_a_phone_that_did_not_hear_of_its_seat_is_told_again(
    box: Box, amount: Amount
) -> None:
    """CR-06: killed between the pairing's commit and its answer; the phone asks again."""
    paired = told_again = 0
    await box.start()
    await box.stop()
    points = KillPoints([*at("pwrite64", 17), *at("fdatasync", 4, 5, 6)], most=400)
    for point in points:
        pairing = None
        with suppress(Ended, NoAnswer):
            await box.start(under=killed_at(point))
            pairing = await Pairing.begin(box)
            await pairing.last_word()
            await box.stop()
        if not points.note(await box.ended()):
            paired += 1
            continue
        devices = look_inside(box.store).devices
        if pairing is None:
            continue

        check_started(await box.start())
        try:
            again = await pairing.last_word()
        except Refused:  # nothing was stored: the code died with the process
            assert devices == paired
        else:
            assert (again.state, again.nonce) == (PairingState.PAIRED, pairing.nonce)
            assert devices == paired + 1
            assert await pairing.last_word() == again
            paired += 1
            told_again += 1
        await box.stop()
        assert look_inside(box.store).devices == paired

    assert told_again
    amount(f"{points.reached} kill points of a pairing, {told_again} of them after its commit")


async def test_cr_06_a_phone_that_hung_up_before_the_answer_has_its_seat(box: Box) -> None:
    """CR-06: the phone's connection breaks as it says yes; asking again gives the same seat."""
    await box.start()
    pairing = await Pairing.begin(box)
    connection = await box.connect()
    await abandoned_request(connection, "/v1/pair", pairing.confirmed.encode())

    answers = [await pairing.last_word() for _ in range(3)]
    await box.kill()
    await box.start()
    answers.append(await pairing.last_word())

    assert {one.state for one in answers} == {PairingState.PAIRED}
    assert {one.nonce for one in answers} == {pairing.nonce}
    await box.stop()
    assert look_inside(box.store).devices == 1


async def test_cr_18_who_hangs_up_changes_nothing_of_what_is_stored(
    box: Box, amount: Amount
) -> None:
    """CR-18: senders hang up after their last byte; all or nothing, and the writer goes on."""
    await box.start()
    phone = await box.enrol()
    sender = await phone.sender()
    batches = [letters(sender.lane, 3) for _ in range(times(100, long=1000))]
    amount(f"{len(batches)} that hang up")
    gate = asyncio.Semaphore(SENDERS)

    async def hang_up(batch: bytes, *, at_once: bool) -> None:
        async with gate:
            headers = await sender.connection.opening(sender.lane)
            await abandoned_request(
                sender.connection, "/v1/deposit", batch, headers=headers, at_once=at_once
            )

    box.ledger.offer(one for batch in batches for one in batch)
    await asyncio.gather(
        *(hang_up(sender.frame(batch), at_once=bool(n % 2)) for n, batch in enumerate(batches))
    )
    async with asyncio.timeout(1.0 * 10):  # the writer is not stuck behind those who left
        await sender.deposit(letters(sender.lane, 1))

    for batch in batches:
        assert await sender.deposit(batch) == [Result.STORED] * 3
    found = await collect_and_check(box, phone)
    assert [one.seq for one in found] == list(range(1, 3 * len(batches) + 2))
    places = {one.parcel.id: one.seq for one in found}
    for batch in batches:  # each batch was one transaction: its numbers stand together
        first = places[batch[0].id]
        assert [places[one.id] for one in batch] == [first, first + 1, first + 2]
    check_bounds(box)


async def test_cr_19_failing_deposits_take_nothing_of_their_neighbours_along(box: Box) -> None:
    """CR-19: good deposits beside as many that fail; not one of the acknowledged is missing."""
    await box.start()
    phone = await box.enrol()
    sender = await phone.sender()
    other = await phone.sender()
    [known] = letters(sender.lane, 1)
    await sender.deposit([known])
    each = times(200, long=500) // SENDERS
    refused = list[Result]()

    async def good(one: Sender) -> None:
        for parcel in letters(one.lane, each):
            assert await one.deposit([parcel]) == [Result.STORED]

    async def bad(one: Sender) -> None:
        for n in range(each):
            [stranger] = letters(other.lane, 1)  # proved with the key of another lane
            parcel = (replace(known, body=secrets.token_bytes(256)), stranger)[n % 2]
            refused.extend(await one.deposit([parcel]))

    ours = await box.senders(await phone.lanes(SENDERS))
    theirs = await box.senders([sender.lane] * SENDERS)
    await asyncio.gather(*map(good, ours), *map(bad, theirs))

    assert len(box.ledger.stored) == SENDERS * each + 1
    assert len(refused) == SENDERS * each
    assert set(refused) == {Result.LANE_REFUSED, Result.ID_TAKEN}
    await box.kill()
    await check_at_last(box, phone)


async def test_cr_20_an_end_in_the_middle_of_deposits_is_orderly(box: Box) -> None:
    """CR-20: SIGTERM with fifty deposits on their way: each is stored, refused or unanswered."""
    await box.start()
    phone = await box.enrol()
    senders = await box.senders(await phone.lanes(50))
    working = [asyncio.create_task(one.keep_on(size=1024, batch=4)) for one in senders]
    await box.ledger.until_stored(200)

    os.kill(box.pid, signal.SIGTERM)
    status = await box.ended(within=10.0)
    endings = await asyncio.gather(*working)

    assert status == 0
    assert set(endings) <= {"no answer", "busy"}, endings
    assert box.ledger.stored <= set(look_inside(box.store).parcels) <= box.ledger.possible
    await check_at_last(box, phone)


async def test_cr_21_kills_and_starts_under_load_cost_nothing(box: Box, amount: Amount) -> None:
    """CR-21: killed and started again and again while senders deposit; no start is slow."""
    await box.start()
    phone = await box.enrol()
    lanes = await phone.lanes(SENDERS)
    log = box.store.with_name(box.store.name + "-wal")
    cycles = times(6, long=100)
    amount(f"{cycles} kills and starts")
    for _ in range(cycles):
        senders = await box.senders(lanes)
        before = len(box.ledger.stored)
        working = [asyncio.create_task(one.keep_on(size=4096)) for one in senders]
        await box.ledger.until_stored(before + 40)
        assert descriptors(box.pid) <= MAX_DESCRIPTORS
        await box.kill()
        await asyncio.gather(*working)
        check_started(await box.start())
        check_bounds(box)
        await eventually(lambda: log.stat().st_size <= START_LOG)  # it does not grow with each kill
    await box.stop()

    assert box.ledger.stored <= set(look_inside(box.store).parcels) <= box.ledger.possible
    await check_at_last(box, phone)
