"""Disks that give up, or give back other bytes than they were given."""

import asyncio
import os
import random
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from gateway.control_client import ControlError
from gateway.database.migrate import PAGE_BYTES
from gateway.database.write_ahead import read_write_ahead
from tests.faults.adapter import Box, Ended, Handset, Sender, letters, open_box
from tests.faults.here import patience, times
from tests.faults.oracle import (
    check_bounds,
    check_collected,
    check_disk,
    check_started,
    collect_and_check,
    look_inside,
)
from tests.faults.tools.powercut import card
from tests.faults.tools.strace import KillPoints, at, killed_at
from tests.gateway.eventually import eventually
from wire.frames import Result
from wire.lanes import Lane

SENDERS: Final = 4
FRAME: Final = 24 + PAGE_BYTES
"""Bytes of one page in the log of the store."""
WHOLE: Final = "looked through and is whole"
PROMISED: Final = 60.0
"""Seconds after which nothing is left of what was acknowledged."""

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        yield opened


async def test_cr_11_a_file_system_that_gives_up_ends_the_acknowledging(tmp_path: Path) -> None:
    """CR-11: the file system aborts under load: no answer, exit 1 naming the file, nothing lost."""
    with card(tmp_path) as disk:
        async with open_box(tmp_path / "box") as box:
            box.data = disk.place / "data"
            await box.start()
            phone = await box.enrol()
            senders = await box.senders(await phone.lanes(SENDERS))
            working = [asyncio.create_task(one.keep_on(size=1024)) for one in senders]
            await box.ledger.until_stored(100)

            disk.abort()
            endings = await asyncio.gather(*working)
            status = await box.ended()

            assert set(endings) <= {"no answer", "storage-failed"}, endings
            assert status == 1
            assert f"the disk failed at {box.store}" in box.logged
            assert "Traceback" not in box.logged
            disk.remove()
            disk.insert()
            stored = set(look_inside(box.store).parcels)
            assert box.ledger.stored <= stored <= set(box.ledger.offered)
            check_started(await box.start())
            await collect_and_check(box, phone)
            assert await box.stop() == 0


@dataclass(frozen=True)
class Killed:
    """A gateway that was killed, with much in its store and much in the log beside it."""

    box: Box
    phone: Handset
    lane: Lane

    @property
    def log(self) -> Path:
        """The log beside the store."""
        return self.box.store.with_name(self.box.store.name + "-wal")

    def places(self, count: int, *, of: Path, seed: int) -> Iterator[int]:
        """Yield places in a file. Of the log, not in its last commit: that could just be torn."""
        end = of.stat().st_size
        if of == self.log:
            end = 32 + read_write_ahead(self.box.store).commits[-2] * FRAME
        dice = random.Random(seed)  # noqa: S311  # the same each time
        yield from (dice.randrange(end) for _ in range(count))

    def again(self, folder: Path) -> tuple[Box, Handset]:
        """Return a copy of it, which owes what this one owes, and the same phone."""
        box = Box(folder)
        shutil.copytree(self.box.data, box.data, ignore=shutil.ignore_patterns("*.sock"))
        box.ledger = self.box.ledger.copy()
        return box, replace(self.phone, box=box, bearer=b"")


@pytest.fixture
async def killed(box: Box) -> Killed:
    """Fill a gateway, collect some of it, restart it, fill it more, and kill it."""
    await box.start()
    phone = await box.enrol()
    sender = await phone.sender()
    for size in (256, 4096, 65536):
        for _ in range(2):
            await sender.deposit(letters(sender.lane, 8, size=size))
    await phone.ack((await phone.fetch())[:10])
    await box.stop()
    await box.start()
    sender = await box.sender(sender.lane)
    for _ in range(30):
        await sender.deposit(letters(sender.lane, 2, size=1024))
    await box.kill()
    return Killed(box, phone, sender.lane)


def turn(path: Path, at: int) -> None:
    """Change one byte of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        [byte] = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ (1 << secrets.randbelow(8))]))


async def looked_through(box: Box) -> bool:
    """Start a gateway and wait until it has found its store whole; return whether it did."""
    with suppress(ControlError):  # it is faster than the first question
        await box.start()
    ended = asyncio.create_task(box.ended())
    with suppress(asyncio.TimeoutError):
        await eventually(lambda: WHOLE in box.logged or ended.done(), within=60.0)
    if not ended.done():
        ended.cancel()
        return True
    assert ended.result() == 1
    assert f"the disk failed at {box.store}" in box.logged
    return False


async def check_after_damage(box: Box, phone: Handset, lane: Lane) -> str:
    """Start a gateway with a byte turned; check what it does and return how it took it."""
    try:
        if not await looked_through(box):
            assert await looked_through(box), "it was mended and is not whole"
    except Ended:
        assert f"{box.store} has schema version" in box.logged  # a version that may well be newer
        return "refused"
    damage = (await box.owner.ask("GET", "/status"))["damage"]
    await phone.reconnect()
    answer = await phone.login()
    if answer.status != 200:
        assert damage, f"refused for no reason: {answer.code}"
        assert answer.code in ("pair-again", "login-refused")
        await phone.pair_again()
    owed = set(box.ledger.owed)
    found = await phone.drain()
    check_collected(box, found, before=set() if damage else owed)
    sender = await box.sender(lane)
    if await sender.deposit(letters(lane, 1)) != [Result.STORED]:
        sender = await phone.sender()  # its row was lost, or its key changed: the phone has it
        assert await sender.deposit(letters(sender.lane, 1)) == [Result.STORED]
    await collect_and_check_new(phone, sender)
    assert "Traceback" not in box.logged, box.logged[-4000:]
    assert await box.stop() == 0
    look_inside(box.store)
    if not damage:
        return "intact"
    assert str(box.store) in damage[0]
    assert f"{box.store} is damaged" in box.logged
    assert list(box.data.glob("gateway.sqlite.damaged-*"))
    return "mended"


async def collect_and_check_new(phone: Handset, sender: Sender) -> None:
    """Check that a parcel that comes now is collected, and it alone."""
    [parcel] = letters(sender.lane, 1)
    before = {one.parcel.id for one in await phone.drain()}
    assert await sender.deposit([parcel]) == [Result.STORED]
    assert [one.parcel for one in await phone.drain()] == [parcel]
    assert parcel.id not in before


async def test_cr_13_a_byte_turned_in_the_store_hands_out_nothing_wrong(
    killed: Killed, tmp_path: Path
) -> None:
    """CR-13: one byte changed in the store: intact, or named, put aside and mended; none wrong."""
    results = []
    places = killed.places(times(4, long=120), of=killed.box.store, seed=13)
    for number, place in enumerate([19, *places]):  # the first is in the first page
        box, phone = killed.again(tmp_path / f"turned-{number}")
        turn(box.store, place)
        try:
            results.append(await check_after_damage(box, phone, killed.lane))
        finally:
            await box.close()
        await asyncio.to_thread(shutil.rmtree, box.folder)

    assert "mended" in results, results


async def test_cr_13_a_byte_turned_in_the_log_hides_nothing(killed: Killed, tmp_path: Path) -> None:
    """CR-13: one byte changed in the log of a killed gateway: what followed is not just dropped."""
    results = []
    for number, place in enumerate(killed.places(times(3, long=80), of=killed.log, seed=31)):
        box, phone = killed.again(tmp_path / f"turned-{number}")
        turn(box.store.with_name(killed.log.name), place)
        try:
            results.append(await check_after_damage(box, phone, killed.lane))
        finally:
            await box.close()
        await asyncio.to_thread(shutil.rmtree, box.folder)

    assert "mended" in results, results


async def test_cr_13_a_letter_that_was_changed_is_given_to_nobody(
    killed: Killed, tmp_path: Path
) -> None:
    """CR-13: a byte of a body is changed, which SQLite cannot see; all but that letter comes."""
    box, phone = killed.again(tmp_path / "turned")
    victim = next(one for one in box.ledger.offered.values() if len(one.body) == 65536)
    content = box.store.read_bytes()
    turn(box.store, content.index(victim.body[1000:1100]))
    try:
        assert await check_after_damage(box, phone, killed.lane) == "mended"
        assert killed.box.ledger.owed - box.ledger.gone == {victim.id}
    finally:
        await box.close()


async def test_cr_13_mending_that_is_killed_is_done_by_the_next_start(
    killed: Killed, tmp_path: Path
) -> None:
    """CR-13: killed at some of the writes and renames of mending; the next start completes it."""
    victim = next(one for one in killed.box.ledger.offered.values() if len(one.body) == 65536)
    place = killed.box.store.read_bytes().index(victim.body[1000:1100])
    points = KillPoints([*at("?rename", 1, 3), *at("fsync", 2)], most=60)
    for number, point in enumerate(points):
        box, phone = killed.again(tmp_path / f"killed-{number}")
        try:
            turn(box.store, place)
            assert not await looked_through(box)
            with suppress(Ended, ControlError):
                await box.start(under=killed_at(point))
                await box.stop()
            points.note(await box.ended())
            assert await looked_through(box)
            assert len((await box.owner.ask("GET", "/status"))["damage"]) == 1
            await phone.pair_again()
            found = {one.parcel.id for one in await phone.drain()}
            assert killed.box.ledger.owed - found == {victim.id}
            assert await box.stop() == 0
        finally:
            await box.close()
        await asyncio.to_thread(shutil.rmtree, box.folder)
    assert points.reached


async def test_cr_13_of_a_store_that_is_no_store_any_more_a_new_one_is_made(box: Box) -> None:
    """CR-13: nothing can be read of the store: it is put aside, and phones pair again."""
    await box.start()
    phone = await box.enrol()
    await box.stop()
    with box.store.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(8000))

    await box.start()
    [sentence] = (await box.owner.ask("GET", "/status"))["damage"]
    assert "every phone must be paired again" in sentence
    await phone.reconnect()
    assert (await phone.login()).code == "login-refused"
    await phone.pair_again()
    sender = await phone.sender()
    await sender.deposit(letters(sender.lane, 3))
    await collect_and_check(box, phone)
    check_bounds(box)
    assert await box.stop() == 0
    check_disk(box)


async def test_pl_03_what_was_acknowledged_leaves_the_disk(box: Box) -> None:
    """PL-03: a minute after the acknowledgement no file holds a piece of what was sealed."""
    await box.start()
    phone = await box.enrol()
    sender = await phone.sender()
    parcels = letters(sender.lane, 20) + letters(sender.lane, 4, size=65536)
    await sender.deposit(parcels)
    kept = letters(sender.lane, 1, size=4096)
    pieces = {one.body[at : at + 32] for one in parcels for at in range(0, len(one.body), 2048)}

    def traces() -> int:
        content = [one.read_bytes() for one in box.data.glob("gateway.sqlite*[!e]")]
        return sum(piece in one for piece in pieces for one in content)

    assert traces() > len(pieces) * 0.8  # the others lie across the end of a page
    await phone.drain()
    await sender.deposit(kept)  # the box is not idle
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while await asyncio.to_thread(traces):
        assert loop.time() - begun < PROMISED * 10
        await asyncio.sleep(1.0)

    await box.kill()
    assert traces() == 0
    assert look_inside(box.store).parcels == tuple(one.id for one in kept)
