"""Boxes without a clock battery: they wake up in 1970, and jump when the network tells the date."""

import asyncio
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from gateway.clock import BUILD_DATE
from peer.errors import BadCode
from tests.essay.ledger import Ledger
from tests.essay.scene import scene
from tests.faults.adapter import Box, letters, open_box
from tests.faults.connection import Connection
from tests.faults.here import patience, times
from tests.faults.oracle import check_bounds, collect_and_check, look_inside
from tests.faults.tools.faketime import wall_clock
from tests.gateway.served import open_served
from wire.parcel import Lifetime

BIRTH = "1970-01-01 00:01:00"
TODAY = "2027-03-01 12:00:00"
AN_HOUR_AGO = "2027-03-01 11:00:00"
LATER = "2031-03-01 12:00:00"
AROUND = {
    BIRTH: {"before": 1e6},
    AN_HOUR_AGO: {"after": 1e9, "before": 1_803_902_000.0},
    TODAY: {"after": 1_803_902_000.0, "before": 1.9e9},
    LATER: {"after": 1.9e9},
}
"""Between which Unix seconds each of these is."""

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


async def test_ck_05_phones_whose_clocks_are_a_day_off_write_and_read_at_once() -> None:
    """CK-05: one is a day ahead, one a day behind: paired, letters at once; adding says why not."""
    async with scene(Ledger(), short=True, seed=1) as stage:
        box = await stage.gateway()
        anna, ben = stage.pocket("Anna"), stage.pocket("Ben")
        anna.days, ben.days = 1.0, -1.0
        for one in (anna, ben):
            await one.pair(box.box)
        with pytest.raises(BadCode, match="look at the clocks of both phones"):
            await anna.meet(ben)  # a code that is good for two days is none
        anna.days = ben.days = 0.0
        await anna.meet(ben)
        anna.days, ben.days = 1.0, -1.0
        await anna.write("Ben", ["from tomorrow"])
        await ben.write("Anna", ["from yesterday"])

        assert await ben.texts() == ["from tomorrow"]
        assert await anna.texts() == ["from yesterday"]
        assert await ben.watched() == []


async def test_ck_05_a_phone_is_told_the_gateways_time(box: Box) -> None:
    """CK-05: a phone that wonders how late it is finds it in every answer, and in its status."""
    await box.start()
    phone = await box.enrol()
    before = time.time()

    status = (await phone.ask("GET", "/v1/status")).json()

    assert before - 2 <= status["time"] <= time.time() + 2
    assert before - 2 <= await date_of(phone.connection) <= time.time() + 2


async def test_ck_08_while_the_wall_clock_stands_still_timers_run(box: Box, tmp_path: Path) -> None:
    """CK-08: the date stands still: codes end, polls return, letters come; then it leaps about."""
    clock = wall_clock(tmp_path, TODAY)
    clock.set(TODAY, stopped=True)
    await box.start(environment=clock.environment())
    phone = await box.enrol()
    sender = await phone.sender()
    id, _ = await box.show(seconds=1)
    begun = time.monotonic()
    assert await phone.fetch(wait=1) == ()  # returns by itself
    ended = await box.owner.ask("GET", f"/pair/{id}?wait=30", wait=30)
    assert ended["state"] == "expired"
    assert time.monotonic() - begun >= 1.0
    first = await date_of(phone.connection)
    await sender.deposit(letters(sender.lane, 2, life=Lifetime.DAY))
    assert await date_of(phone.connection) == first

    for date in (LATER, AN_HOUR_AGO, BIRTH, TODAY):
        clock.set(date)
        await until_date(phone.connection, **AROUND[date])
        await sender.deposit(letters(sender.lane, 1, life=Lifetime.DAY))
        live = await phone.live()
        await live.close()

    found = await collect_and_check(box, phone)
    assert len(found) == 6
    check_bounds(box)


async def test_ck_08_lives_end_by_the_steady_clock_alone(tmp_path: Path) -> None:
    """CK-08: the date stands still for two days, or leaps a year: a life of a day lasts a day."""
    async with open_served(tmp_path / "box") as served:
        phone = await served.enrolled()
        lane = await phone.lane()
        sender = await phone.served.visitor()
        [short] = letters(lane, 1, life=Lifetime.DAY)
        [long] = letters(lane, 1, life=Lifetime.WEEK)
        await sender.deposit(lane, short, long)

        served.hands.wall += 365 * 86_400.0
        await phone.login()
        assert [one.parcel for one in (await phone.collect())[1].parcels] == [short, long]
        served.hands.wall -= 365 * 86_400.0
        served.hands.steady += 2 * 86_400.0
        await phone.login()
        assert [one.parcel for one in (await phone.collect())[1].parcels] == [long]
