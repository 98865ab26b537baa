"""A disk that fails, a process that is killed: what was acknowledged is there."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.database.failure import Marker, Trouble, trouble
from gateway.database.migrate import PAGE_BYTES
from gateway.errors import DamagedStore
from tests.gateway.database.notes import add, open_notes, stored

PROGRAM = [sys.executable, "-m", "tests.gateway.database.notes"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def faulty(calls: str, fault: str) -> list[str]:
    """Return the command that runs another one on a disk where `calls` fail."""
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}"]
    return [*trace, "-e", f"inject={calls}:{fault}"]


async def break_pages(path: Path) -> bytes:
    """Write 200 notes, spoil every page from the fourth on, and return what the file holds now."""
    async with open_notes(path) as database:
        for number in range(200):
            await database.write(add(number, bytes([number]) * 2000))
    return _spoil(path)


def _spoil(path: Path) -> bytes:
    content = bytearray(path.read_bytes())
    for offset in range(3 * PAGE_BYTES, len(content), PAGE_BYTES):
        content[offset : offset + 64] = b"\xff" * 64
    path.write_bytes(content)
    return bytes(content)


def acknowledged(output: str) -> set[int]:
    return {int(line) for line in output.split() if line.isdigit()}


async def reopened(path: Path) -> set[int]:
    """Start again on `path`, write one note, and return all that is there."""
    failures: list[str] = []
    async with open_notes(path, failures=failures) as database:
        await database.write(add(1_000_000))
    assert failures == []
    return stored(path)


async def test_what_was_acknowledged_survives_kill_nine(path: Path) -> None:
    acked: set[int] = set()
    for round_ in range(5):
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, str(path), str(round_ * 100_000), "100000", stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        while len(acked) < (round_ + 1) * 100:
            acked |= acknowledged((await process.stdout.readline()).decode())
        process.kill()
        acked |= acknowledged((await process.stdout.read()).decode())
        await process.wait()

    found = await reopened(path)

    assert acked <= found
    assert len(found - acked) <= 5 * 8 + 1  # at most what was in flight at each kill, and the last


async def test_after_a_failed_fsync_nothing_more_is_acknowledged(path: Path) -> None:
    result = await asyncio.to_thread(
        subprocess.run,
        [*faulty("fdatasync,fsync", "error=EIO:when=40"), *PROGRAM, str(path), "0", "2000"],
        capture_output=True,
        text=True,
        check=False,
    )
    acked = acknowledged(result.stdout)

    assert result.returncode == 3, result.stderr
    assert "SQLITE_IOERR_FSYNC" in result.stderr
    assert acked
    lines = result.stdout.split()
    after = [line for line in lines[lines.index("storage-failed") :] if line.isdigit()]
    assert len(after) < 8  # neighbours in the last good commit, whose answers were on their way
    assert "SQLITE_IOERR_FSYNC" in Marker(path).path.read_text(encoding="utf-8")

    found = await reopened(path)

    assert acked <= found
    assert not Marker(path).found()


async def test_a_disk_that_refuses_a_write_ends_the_process(path: Path) -> None:
    result = await asyncio.to_thread(
        subprocess.run,
        [*PROGRAM, str(path), "0", "5000", "200000"],
        capture_output=True,
        text=True,
        check=False,
    )
    acked = acknowledged(result.stdout)

    assert result.returncode == 3, result.stderr
    assert "SQLITE_IOERR" in result.stderr
    assert acked
    assert acked <= await reopened(path)


async def test_no_space_is_refused_and_heals_when_there_is_space(path: Path) -> None:
    result = await asyncio.to_thread(
        subprocess.run,
        [*faulty("pwrite64", "error=ENOSPC:when=60..90"), *PROGRAM, str(path), "0", "300"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = result.stdout.split()

    assert result.returncode == 0, result.stderr
    assert "disk-full" in lines
    last_refusal = len(lines) - 1 - lines[::-1].index("disk-full")
    assert any(line.isdigit() for line in lines[last_refusal:])
    assert acknowledged(result.stdout) == stored(path)


async def test_a_marker_makes_the_next_start_look_at_the_whole_file(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_notes(path) as database:
        await database.write(add(1))
    Marker(path).leave("SQLITE_IOERR_FSYNC: disk I/O error")

    async with open_notes(path) as database:
        await database.write(add(2))

    assert not Marker(path).found()
    assert "checked and is whole" in caplog.text


async def test_a_marked_file_that_is_broken_is_refused_by_name(path: Path) -> None:
    content = await break_pages(path)
    Marker(path).leave("SQLITE_IOERR_FSYNC: disk I/O error")

    with pytest.raises(DamagedStore, match=r"store\.sqlite is damaged"):
        async with open_notes(path):
            raise AssertionError("a broken store was opened")

    assert await asyncio.to_thread(path.read_bytes) == content
    assert Marker(path).found()


async def test_a_broken_page_met_by_a_reader_ends_the_acknowledging(path: Path) -> None:
    await break_pages(path)

    failures: list[str] = []
    async with open_notes(path, failures=failures) as database:
        with pytest.raises(Exception, match="disk failed"):
            await database.read(
                lambda connection: connection.execute_fetchall("SELECT sum(length(body)) FROM note")
            )
        with pytest.raises(Exception, match="disk failed"):
            await database.write(add(1000))
        await asyncio.sleep(0)

        assert database.failed is not None
        assert "SQLITE_CORRUPT" in database.failed
        assert len(failures) == 1
    assert Marker(path).found()


def test_only_four_kinds_of_errors_are_told_apart() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (x INTEGER UNIQUE)")
    connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError) as constraint:
        connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(sqlite3.OperationalError) as nonsense:
        connection.execute("SELECT * FROM nowhere")
    with pytest.raises(sqlite3.ProgrammingError) as unbound:
        connection.execute("SELECT ?")
    connection.close()

    assert trouble(constraint.value) is Trouble.OF_THE_CALLER
    assert trouble(unbound.value) is Trouble.OF_THE_CALLER
    assert trouble(ValueError()) is Trouble.OF_THE_CALLER
    assert trouble(nonsense.value) is Trouble.FATAL
