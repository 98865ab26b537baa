"""What a returned write promises, whoever fails, leaves or waits."""

import asyncio
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.database import Limits
from gateway.database.writer import Work
from gateway.errors import Busy, DiskFull, StorageFailed
from tests.gateway.database.notes import add, open_notes, stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def size(file: Path) -> int:
    return file.stat().st_size


class Gate:
    """A job that holds the writer until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()

    def work(self, connection: sqlite3.Connection) -> None:
        self.entered.set()
        assert self._open.wait(30)

    async def wait_until_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, 30)

    def open(self) -> None:
        self._open.set()


async def test_a_returned_write_is_there_for_another_process(path: Path) -> None:
    async with open_notes(path) as database:
        assert await database.write(add(1)) == 1
        assert stored(path) == {1}


async def test_many_waiting_writes_share_a_few_commits(path: Path) -> None:
    async with open_notes(path) as database:
        before = database.commits
        await asyncio.gather(*(database.write(add(number)) for number in range(200)))

        assert stored(path) == set(range(200))
        assert database.commits - before <= 10


async def test_a_lone_write_waits_for_no_timer(path: Path) -> None:
    async with open_notes(path) as database:
        before = database.commits
        for number in range(5):
            await database.write(add(number))

        assert database.commits - before == 5


async def test_good_writes_are_kept_among_as_many_that_fail(path: Path) -> None:
    async with open_notes(path, limits=Limits(waiting_pages=100_000)) as database:
        await database.write(add(-1))
        outcomes = await asyncio.gather(
            *(database.write(add(number if number % 2 == 0 else -1)) for number in range(1000)),
            return_exceptions=True,
        )

    acked = {outcome for outcome in outcomes if isinstance(outcome, int)}
    assert acked == set(range(0, 1000, 2))
    assert sum(isinstance(outcome, sqlite3.IntegrityError) for outcome in outcomes) == 500
    assert stored(path) == acked | {-1}


async def test_half_a_write_is_no_write(path: Path) -> None:
    def stumble(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO note VALUES (1, x'00')")
        raise ValueError("stumbled")

    async with open_notes(path) as database:
        with pytest.raises(ValueError, match="stumbled"):
            await database.write(stumble)

        assert stored(path) == set()


async def test_a_thousand_callers_who_leave_leave_whole_writes_behind(path: Path) -> None:
    def pair(number: int) -> Work[None]:
        def work(connection: sqlite3.Connection) -> None:
            add(2 * number)(connection)
            add(2 * number + 1)(connection)

        return work

    async with open_notes(path, limits=Limits(waiting_pages=100_000)) as database:
        gate = Gate()
        held = asyncio.create_task(database.write(gate.work))
        await gate.wait_until_entered()
        callers = [asyncio.create_task(database.write(pair(number))) for number in range(1000)]
        await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
        gate.open()
        await held
        results = await asyncio.gather(*callers, return_exceptions=True)
        await database.write(add(-1))

    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert stored(path) == set(range(2000)) | {-1}


async def test_writes_queued_at_the_end_are_still_committed(path: Path) -> None:
    gate = Gate()
    async with open_notes(path) as database:
        held = asyncio.create_task(database.write(gate.work))
        await gate.wait_until_entered()
        late = [asyncio.create_task(database.write(add(number))) for number in range(50)]
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.05, gate.open)  # when the closing has begun
    await held
    assert await asyncio.gather(*late) == list(range(50))
    assert stored(path) == set(range(50))


async def test_a_group_under_way_when_the_file_is_found_broken_is_not_committed(
    path: Path,
) -> None:
    failures: list[str] = []
    async with open_notes(path, failures=failures) as database:
        gate = Gate()
        held = asyncio.create_task(database.write(gate.work))
        await gate.wait_until_entered()
        database._writer.fail("a reader met a broken page")
        gate.open()

        with pytest.raises(StorageFailed):
            await held
        with pytest.raises(StorageFailed):
            await database.write(add(1))
        assert database.commits == 0
        assert failures == ["a reader met a broken page"]


async def test_a_queue_that_is_full_is_a_refusal_at_once(path: Path) -> None:
    async with open_notes(path, limits=Limits(waiting_pages=32)) as database:
        gate = Gate()
        held = asyncio.create_task(database.write(gate.work))
        await gate.wait_until_entered()
        waiting = [asyncio.create_task(database.write(add(number))) for number in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await database.write(add(4))
        gate.open()
        await asyncio.gather(held, *waiting)

        assert await database.write(add(5)) == 5
        assert stored(path) == {0, 1, 2, 3, 5}


async def test_one_write_larger_than_the_queue_gets_its_turn(path: Path) -> None:
    async with open_notes(path, limits=Limits(waiting_pages=1)) as database:
        assert await database.write(add(1), carries=1 << 20) == 1


async def test_a_full_disk_is_a_refusal_and_heals_without_a_restart(path: Path) -> None:
    def bound(pages: int) -> Work[None]:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages}")

        return work

    failures: list[str] = []
    limits = Limits(full_retry_after=0.0)
    async with open_notes(path, limits=limits, failures=failures) as database:
        await database.write(add(0))
        await database.write(bound(1))  # SQLite's own full disk: it takes what the file has now
        outcomes = await asyncio.gather(
            *(database.write(add(number, bytes(9000))) for number in range(1, 4)),
            return_exceptions=True,
        )
        held_then = stored(path)
        await database.write(bound(100_000))
        await database.write(add(9, bytes(9000)))

        assert [type(outcome) for outcome in outcomes] == [DiskFull] * 3
        assert held_then == {0}
        assert stored(path) == {0, 9}
        assert failures == []


async def test_on_a_full_disk_only_what_frees_room_is_tried(path: Path) -> None:
    def remove(store: sqlite3.Connection) -> int:
        return store.execute("DELETE FROM note WHERE number = 0").rowcount

    async with open_notes(path, limits=Limits(full_retry_after=3600.0)) as database:
        await database.write(add(0))
        await database.write(lambda store: store.execute("PRAGMA max_page_count = 1").fetchone())
        gate = Gate()
        held = asyncio.create_task(database.write(gate.work, frees=True))
        await gate.wait_until_entered()
        together = [
            asyncio.create_task(database.write(add(1, bytes(9000)))),
            asyncio.create_task(database.write(remove, frees=True)),
        ]
        await asyncio.sleep(0)
        gate.open()
        await held
        outcomes = await asyncio.gather(*together, return_exceptions=True)

        assert isinstance(outcomes[0], DiskFull)
        assert outcomes[1] == 1
        assert database.full
        with pytest.raises(DiskFull):
            await database.write(add(2))
        assert await database.write(remove, frees=True) == 0
        assert stored(path) == set()


async def test_a_write_may_not_end_the_transaction_it_shares(path: Path) -> None:
    def rude(connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")

    failures: list[str] = []
    async with open_notes(path, failures=failures) as database:
        with pytest.raises(StorageFailed):
            await database.write(rude)
        await asyncio.sleep(0)

        assert len(failures) == 1
        assert "ended the transaction" in failures[0]


async def test_somebody_else_writing_the_file_is_busy_and_no_failure(path: Path) -> None:
    failures: list[str] = []
    async with open_notes(path, failures=failures) as database:
        await database.write(lambda store: store.execute("SELECT 1").fetchone())
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Busy):
                await database.write(add(1))
            other.execute("ROLLBACK")
        finally:
            other.close()
        await database.write(add(2))

        assert stored(path) == {2}
        assert failures == []


async def test_what_was_deleted_leaves_the_file_and_its_log(path: Path) -> None:
    canary = b"canary-in-the-coal-mine" * 40
    log = path.with_name(path.name + "-wal")
    async with open_notes(path, limits=Limits(truncate_after=0.05)) as database:
        await database.write(add(1, canary))
        await database.write(lambda store: store.execute("DELETE FROM note").rowcount)
        async with asyncio.timeout(10):
            while await asyncio.to_thread(size, log):
                pass

        assert b"canary" not in await asyncio.to_thread(path.read_bytes)


async def test_a_long_log_is_copied_back_while_writes_go_on(path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    async with open_notes(path, limits=Limits(checkpoint_pages=64)) as database:
        for number in range(60):
            await database.write(add(number, bytes(40_000)), carries=40_000)

        assert size(log) < 60 * 40_000 / 2
        assert stored(path) == set(range(60))


async def size_met_by_who_waits(path: Path, limits: Limits) -> int:
    """Return how large the file is for a write that waited while another one was committed."""
    gate, met = Gate(), list[int]()

    def store(connection: sqlite3.Connection) -> None:
        add(1, bytes(40_000))(connection)
        gate.work(connection)

    async with open_notes(path, limits=limits) as database:
        storing = asyncio.create_task(database.write(store))
        await gate.wait_until_entered()
        waiting = asyncio.create_task(database.write(lambda _: met.append(size(path))))
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(storing, waiting)
        async with asyncio.timeout(10):
            while await asyncio.to_thread(size, path) < 40_000:
                pass
    return met[0]


@pytest.mark.parametrize("limits", [Limits(checkpoint_pages=1), Limits(truncate_after=0.0)])
async def test_the_log_is_copied_back_when_nobody_waits(path: Path, limits: Limits) -> None:
    assert await size_met_by_who_waits(path, limits) < 40_000


@pytest.mark.parametrize(
    "limits",
    [
        Limits(checkpoint_pages=1, checkpoint_at_last=1),
        Limits(truncate_after=0.0, truncate_at_last=0.0),
    ],
)
async def test_at_last_it_is_copied_back_whoever_waits(path: Path, limits: Limits) -> None:
    assert await size_met_by_who_waits(path, limits) > 40_000


async def test_who_reads_for_long_holds_nobody_up_and_the_log_is_emptied_afterwards(
    path: Path,
) -> None:
    log = path.with_name(path.name + "-wal")
    async with open_notes(path, limits=Limits(truncate_after=0.01)) as database:
        await database.write(add(0))
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM note").fetchone()
            slowest = 0.0
            for number in range(1, 40):
                begun = time.monotonic()
                await database.write(add(number))
                slowest = max(slowest, time.monotonic() - begun)
                await asyncio.sleep(0)
            assert size(log)
        assert slowest < 1.5  # SQLite would have waited for the reader's two seconds
        async with asyncio.timeout(10):
            while await asyncio.to_thread(size, log):
                pass


async def test_what_an_earlier_process_left_in_the_log_is_copied_back_at_once(path: Path) -> None:
    killed = path.with_name("killed") / path.name
    killed.parent.mkdir()
    async with open_notes(path) as database:
        await database.write(add(1, bytes(40_000)))
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{killed}{suffix}")
    log = killed.with_name(killed.name + "-wal")
    assert size(log) > 40_000

    async with open_notes(killed):
        async with asyncio.timeout(10):
            while await asyncio.to_thread(size, log):
                pass

    assert stored(killed) == {1}


async def test_a_closed_store_leaves_its_file_and_its_reserve(path: Path) -> None:
    async with open_notes(path) as database:
        await database.write(add(1))

    left = sorted(file.name for file in path.parent.iterdir() if file.is_file())
    assert left == ["store.sqlite", "store.sqlite.reserve"]
