"""Steady time goes on across restarts and crashes."""

import asyncio
from pathlib import Path

import pytest

from gateway.clock import MAX_GAP
from gateway.database import open_database
from gateway.database.steady import run_steady_clock
from tests.gateway.hands import Hands

DAY = 86_400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def run(path: Path, hands: Hands, *, days: float = 0.0) -> float:
    """Run a gateway's clock for some days and return what it says at the end."""
    async with (
        open_database(path, on_fatal=lambda reason: None, now=hands.now()) as database,
        run_steady_clock(database, hands) as clock,
    ):
        hands.live(days * DAY)
        return clock.now()


async def test_a_clean_stop_loses_no_time(path: Path) -> None:
    hands = Hands()
    first = await run(path, hands, days=3)
    hands.live(3600)

    assert await run(path, hands) == first + 3600


async def test_a_wrong_date_at_the_next_start_adds_a_day_at_most(path: Path) -> None:
    hands = Hands()
    first = await run(path, hands)
    hands.wall += 50_000 * DAY

    assert await run(path, hands) == first + MAX_GAP


async def test_1970_at_the_next_start_takes_nothing_back(path: Path) -> None:
    hands = Hands()
    first = await run(path, hands, days=2)
    hands.wall, hands.steady = 30.0, 1.0

    assert await run(path, hands) == first


async def test_marks_are_kept_while_it_runs(path: Path) -> None:
    hands = Hands()
    async with open_database(path, on_fatal=lambda reason: None, now=hands.now()) as database:
        async with run_steady_clock(database, hands, mark_every=0.001) as clock:
            hands.live(5 * DAY)
            begun = database.commits
            async with asyncio.timeout(10):
                while database.commits < begun + 2:
                    await database.read(lambda store: store.execute_fetchall("SELECT 1"))
            rows = await database.read(
                lambda store: store.execute_fetchall("SELECT steady, wall FROM clock_mark")
            )

        assert [tuple(row) for row in rows] == [(clock.now(), hands.now())]
