"""Boxes without a clock battery: they wake up in 1970, and jump when the network tells the date."""

import asyncio
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from gateway.clock import BUILD_DATE
from tests.faults.adapter import Box, letters, open_box
from tests.faults.connection import Connection
from tests.faults.here import patience, times
from tests.faults.oracle import check_bounds, collect_and_check, look_inside
from tests.faults.tools.faketime import wall_clock
from wire.parcel import Lifetime

BIRTH = "1970-01-01 00:01:00"
TODAY = "2027-03-01 12:00:00"
AN_HOUR_AGO = "2027-03-01 11:00:00"
LATER = "2031-03-01 12:00:00"

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        yield opened


async def date_of(connection: Connection) -> float:
    """Return the date with which the gateway answers, Unix seconds."""
    answer = await connection.ask("GET", "/healthz")
    [text] = [value for name, value in answer.headers if name.lower() == "date"]
    return parsedate_to_datetime(text).timestamp()


async def until_date(connection: Connection, *, after: float = 0, before: float = 1e10) -> None:
    """Return as soon as the gateway's date lies between two."""
    async with asyncio.timeout(30):
        # A clock tells nobody that it was set.
        while not after < await date_of(connection) < before:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_ck_01_a_box_that_wakes_up_in_1970_serves(box: Box, tmp_path: Path) -> None:
    """CK-01: without a date it works, and counts from the day this program was built."""
    clock = wall_clock(tmp_path, BIRTH)
    await box.start(environment=clock.environment())
    phone = await box.enrol()
    assert await date_of(phone.connection) < 86_400  # it really lives then
    sender = await phone.sender()
    await sender.deposit(letters(sender.lane, 5, life=Lifetime.DAY))

    await box.stop()
    assert all(end >= BUILD_DATE + 86_400 for end in look_inside(box.store).ends)
    await box.start(environment=clock.environment())
    await collect_and_check(box, phone)
    check_bounds(box)


async def test_ck_02_what_came_in_1970_outlives_the_first_date(box: Box, tmp_path: Path) -> None:
    """CK-02: parcels come in 1970, then the date arrives; none dies early, the order is kept."""
    clock = wall_clock(tmp_path, BIRTH)
    await box.start(environment=clock.environment())
    phone = await box.enrol()
    sender = await phone.sender()
    day = letters(sender.lane, 4, life=Lifetime.DAY)
    week = letters(sender.lane, 4, life=Lifetime.WEEK)
    await sender.deposit([*day, *week])
    clock.set(TODAY)
    await until_date(sender.connection, after=BUILD_DATE)
    late = letters(sender.lane, 4)
    await sender.deposit(late)
    assert [one.parcel for one in await phone.fetch()] == [*day, *week, *late]

    await box.stop()
    await box.start(environment=clock.environment())
    await phone.reconnect()
    assert [one.parcel for one in await phone.fetch()] == [*day, *week, *late]

    clock.set(LATER)
    await box.kill()  # what it knew of the date is gone, and a start adds a day at most
    await box.start(environment=clock.environment())
    await phone.reconnect()
    found = [one.parcel for one in await phone.fetch()]
    assert found in ([*week, *late], [*day, *week, *late])


async def test_ck_04_a_clock_that_goes_back_changes_nothing(box: Box, tmp_path: Path) -> None:
    """CK-04: back by an hour under load; numbers rise, nothing repeats, logins and lives go on."""
    clock = wall_clock(tmp_path, TODAY)
    await box.start(environment=clock.environment())
    phone = await box.enrol()
    senders = [await phone.sender() for _ in range(4)]
    working = [asyncio.create_task(one.keep_on()) for one in senders]
    await box.ledger.until_stored(times(30, long=2000))
    before = await date_of(phone.connection)

    clock.set(AN_HOUR_AGO)
    await until_date(phone.connection, before=before - 3000)
    await box.ledger.until_stored(len(box.ledger.stored) + 30)
    first = await phone.fetch()
    await phone.ack(first)
    await box.kill()
    await asyncio.gather(*working)
    await box.start(environment=clock.environment())
    rest = await collect_and_check(box, phone)

    numbers = [one.seq for one in (*first, *rest)]
    assert numbers == sorted(set(numbers))
    ids = {one.parcel.id for one in (*first, *rest)}
    assert box.ledger.stored <= ids
    check_bounds(box)
