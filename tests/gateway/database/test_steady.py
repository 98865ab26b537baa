"""Steady time goes on across restarts and crashes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from gateway.clock import MAX_GAP, SteadyClock
from gateway.database import Database, open_database
from gateway.database.steady import run_steady_clock
from gateway.errors import DiskFull, FolderUnusable
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


class Full:
    """A store on a disk that has no room."""

    def __init__(self, store: Database) -> None:
        self.read = store.read

    async def write(self, _work: object) -> None:
        raise DiskFull


@asynccontextmanager
async def full(path: Path, hands: Hands) -> AsyncIterator[SteadyClock]:
    """Run the clock where nothing can be stored."""
    async with (
        open_database(path, on_fatal=lambda reason: None, now=hands.now()) as database,
        run_steady_clock(cast("Database", Full(database)), hands) as clock,
    ):
        yield clock


async def test_on_a_full_disk_time_goes_on_from_the_last_mark(path: Path) -> None:
    hands = Hands()
    first = await run(path, hands)
    hands.live(3600)
    async with full(path, hands) as clock:
        assert clock.now() == first + 3600
        hands.live(3600)

    assert await run(path, hands) == first + 7200


async def test_without_room_for_a_first_mark_nothing_begins(path: Path) -> None:
    with pytest.raises(FolderUnusable, match="no space left"):
        async with full(path, Hands()):
            pass
