"""Gateways that are older than their phones: put back from a backup, or by copying a folder."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.identity import KEY_NAME
from tests.faults.adapter import Box, Handset, letters, open_box
from tests.faults.here import patience, times
from tests.faults.oracle import check_bounds, check_collected, check_disk, look_inside
from tests.faults.tools.strace import KillPoints, at, killed_at
from tests.gateway.sync.people import Phone
from wire.frames import MAX_PARCELS, Delivered, Result
from wire.ids import ParcelId
from wire.lanes import Lane
from wire.prekeys import PrekeyKind, decode_bundles, encode_upload

SENDERS = 4
STALL = 1.0
"""Seconds that a deposit may take while a backup is made, on a machine with nothing else to do."""

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        yield opened


async def copy(box: Box, name: str) -> None:
    """Copy the data folder of a gateway that stands still."""
    await asyncio.to_thread(shutil.copytree, box.data, box.folder / name)


async def put_back(box: Box, name: str) -> None:
    """Put a copy in the place of the data folder, as somebody does who knows no better."""
    await asyncio.to_thread(shutil.rmtree, box.data)
    await asyncio.to_thread(shutil.copytree, box.folder / name, box.data)


async def collected(phone: Handset) -> list[Delivered]:
    """Let a phone collect all that waits; numbers and content are checked."""
    await phone.reconnect()
    found = await phone.drain()
    check_collected(phone.box, found, before=set())
    return found


def ids(found: list[Delivered]) -> set[ParcelId]:
    return {one.parcel.id for one in found}


@pytest.mark.parametrize("meanwhile", [0, 10, 1000])
async def test_rs_01_a_folder_that_was_copied_back_is_noticed_and_loses_nothing(
    box: Box, meanwhile: int
) -> None:
    """RS-01: yesterday's data folder is copied back; the phone's cursor proves it: new epoch."""
    await box.start()
    phone = await box.enrol()
    other = await box.enrol(phone.person, await _second(phone))
    sender = await phone.sender()
    before = letters(sender.lane, 30)
    await sender.deposit(before)
    seen = await phone.fetch()
    await phone.ack(seen[:20])
    await box.stop()
    await copy(box, "yesterday")
    await box.start()
    await phone.reconnect()
    await sender.connection.close()
    sender = await box.sender(sender.lane)
    await sender.deposit(letters(sender.lane, 25))
    held = ids(list(seen[:20])) | ids(await collected(phone))
    assert len(held) == 55
    old = phone.cursor.epoch
    await box.stop()

    await put_back(box, "yesterday")
    await box.start()
    sender = await box.sender(sender.lane)
    new = letters(sender.lane, meanwhile)
    for first in range(0, meanwhile, MAX_PARCELS):
        results = await sender.deposit(new[first : first + MAX_PARCELS])
        assert set(results) == {Result.STORED}
    found = await collected(phone)
    await other.reconnect()
    others = await other.drain()

    assert phone.cursor.epoch != old
    fresh = {one.id for one in new}
    assert fresh <= ids(found), "a deposit was stepped over"
    assert ids(found) - held == fresh, "what comes once more is what it holds"
    assert ids(others) == {one.id for one in before} | fresh  # the copy's, and all that came since
    assert [one.seq for one in found] == sorted({one.seq for one in found})
    check_bounds(box)
    assert await box.stop() == 0
    assert look_inside(box.store).parcels == ()


async def _second(phone: Handset) -> Phone:
    """Put another phone on a person's card."""
    second = Phone()
    signed = phone.person.device_statement(phone.phone, phone.phone, second)
    await phone.must("POST", "/v1/card", signed.encode())
    phone.person.take(signed)
    return second


async def test_rs_01_what_was_restored_is_opened_by_pairing_again(box: Box) -> None:
    """RS-01: yesterday's backup is restored; deposits are taken, each phone is confirmed again."""
    await box.start()
    phone = await box.enrol()
    sender = await phone.sender()
    before = letters(sender.lane, 30)
    await sender.deposit(before)
    await phone.ack((await phone.fetch())[:10])
    secret = await box.backup(box.folder / "backup")
    await sender.deposit(letters(sender.lane, 10))
    held = {one.id for one in before[:10]} | ids(await collected(phone))
    old = phone.cursor.epoch
    await box.stop()
    await asyncio.to_thread(shutil.rmtree, box.data)

    assert (await box.restore(box.folder / "backup", secret))[0] == 0
    await box.start()
    sender = await box.sender(sender.lane)
    new = letters(sender.lane, 5)
    assert set(await sender.deposit(new)) == {Result.STORED}
    await phone.reconnect()
    answer = await phone.login()
    assert (answer.status, answer.code) == (401, "pair-again")
    assert "1 device must be paired again" in (await box.command("status"))[1]
    await phone.pair_again()
    found = await collected(phone)

    assert phone.cursor.epoch != old
    assert {one.id for one in new} == ids(found) - held
    assert ids(found) == {one.id for one in [*before[10:], *new]}
    assert "must be paired" not in (await box.command("status"))[1]
    assert await box.stop() == 0
    assert look_inside(box.store).parcels == ()


async def test_rs_01_a_phone_that_was_lost_since_does_not_come_back(box: Box) -> None:
    """RS-01: the backup knows a phone that was revoked since; nobody lets it in again."""
    await box.start()
    phone = await box.enrol()
    lost = await box.enrol(phone.person, await _second(phone))
    secret = await box.backup(box.folder / "backup")
    assert (await phone.revoke(lost)).status == 204
    await box.stop()
    await asyncio.to_thread(shutil.rmtree, box.data)
    assert (await box.restore(box.folder / "backup", secret))[0] == 0
    await box.start()

    await lost.reconnect()
    assert (await lost.login()).code == "pair-again"
    await phone.pair_again()
    assert (await lost.login()).code == "revoked"  # the phone brought the newer card along


async def bundle(phone: Handset, lane: Lane) -> dict[PrekeyKind, int]:
    """Fetch a bundle on a lane; return the ids of the keys in it."""
    connection = await phone.box.connect()
    headers = await connection.opening(lane, "prekeys")
    data = await connection.must("POST", "/v1/prekeys/fetch", headers=headers)
    [found] = decode_bundles(data).bundles
    keys = [one for one in (found.signed, found.kem, found.one_time) if one is not None]
    return {one.kind: one.id for one in keys}


@pytest.mark.parametrize("how", ["restored", "copied back"])
async def test_rs_03_a_prekey_is_never_handed_out_twice(box: Box, how: str) -> None:
    """RS-03: one-time prekeys that were handed out since the copy are not handed out again."""
    await box.start()
    phone = await box.enrol()
    sender = await phone.sender()
    await sender.deposit(letters(sender.lane, 3))
    await collected(phone)
    lanes = await phone.lanes(12)
    await phone.must(
        "POST", "/v1/prekeys", encode_upload(tuple(phone.phone.prekeys(one_time=9, kem=9)))
    )
    used = [await bundle(phone, lane) for lane in lanes[:3]]
    secret = await box.backup(box.folder / "backup")
    await box.stop()
    await copy(box, "copy")
    await box.start()
    await phone.reconnect()
    used += [await bundle(phone, lane) for lane in lanes[3:6]]
    await (await box.sender(sender.lane)).deposit(letters(sender.lane, 3))
    await collected(phone)
    await box.stop()

    if how == "restored":
        await asyncio.to_thread(shutil.rmtree, box.data)
        assert (await box.restore(box.folder / "backup", secret))[0] == 0
        await box.start()
        await phone.reconnect()
    else:
        await put_back(box, "copy")
        await box.start()
        await collected(phone)  # as far as one box can know: from here on
    later = [await bundle(phone, lane) for lane in lanes[6:9]]
    if how == "restored":
        await phone.pair_again()
    await phone.must(
        "POST", "/v1/prekeys", encode_upload(tuple(phone.phone.prekeys(one_time=9, kem=9, first=9)))
    )
    again = [await bundle(phone, lane) for lane in lanes[9:]]

    assert all(PrekeyKind.ONE_TIME not in one for one in later)
    assert all(PrekeyKind.LAST_RESORT in one for one in later)
    for kind in (PrekeyKind.ONE_TIME, PrekeyKind.ONE_TIME_KEM):
        handed_out = [one[kind] for one in [*used, *again]]
        assert len(handed_out) == len(set(handed_out)) == 9


async def test_rs_08_a_backup_under_load_is_whole_and_sealed(box: Box) -> None:
    """RS-08: made while senders deposit, who do not wait for it; restored, all of it is there."""
    await box.start()
    phone = await box.enrol()
    lanes = await phone.lanes(SENDERS)
    senders = await box.senders(lanes)
    for one in senders:
        for _ in range(times(4, long=100)):
            await one.deposit(letters(one.lane, 8, size=65536))
    slowest = 0.0
    stop = asyncio.Event()

    async def keep_on(lane: Lane) -> None:
        nonlocal slowest
        sender = await box.sender(lane)
        while not stop.is_set():
            begun = time.monotonic()
            assert await sender.deposit(letters(lane, 1, size=4096)) == [Result.STORED]
            slowest = max(slowest, time.monotonic() - begun)

    working = [asyncio.create_task(keep_on(lane)) for lane in lanes]
    await box.ledger.until_stored(len(box.ledger.stored) + 20)
    before = set(box.ledger.stored)
    secret = await box.backup(box.folder / "backup")
    after = set(box.ledger.stored)
    stop.set()
    await asyncio.gather(*working)
    assert slowest <= STALL * 10, f"a deposit took {slowest:.1f} s"

    content = await asyncio.to_thread((box.folder / "backup").read_bytes)
    key = (box.data / KEY_NAME).read_bytes()
    assert not any(one.body[:32] in content for one in box.ledger.offered.values())
    assert key not in content
    assert phone.phone.key.raw not in content
    check_bounds(box)
    await box.stop()
    check_disk(box)
    assert not list(box.data.glob("*.copy*"))
    await asyncio.to_thread(shutil.rmtree, box.data)

    status, said = await box.restore(box.folder / "backup", "another secret")
    assert (status, "does not open with this secret" in said) == (1, True)
    status, said = await box.restore(box.folder / "backup", secret, "--verify")
    assert (status, "It is whole" in said) == (0, True), said
    assert not box.data.exists()
    assert (await box.restore(box.folder / "backup", secret))[0] == 0
    assert before <= set(look_inside(box.store).parcels) <= after
    status, said = await box.restore(box.folder / "backup", secret)
    assert (status, "is there already" in said) == (1, True)


async def test_rs_08_a_backup_that_was_changed_anywhere_is_refused(box: Box) -> None:
    """RS-08: a byte turned, an end cut off, chunks swapped: a sentence, and nothing restored."""
    await box.start()
    phone = await box.enrol()
    sender = await phone.sender()
    await sender.deposit(letters(sender.lane, 4, size=65536))
    secret = await box.backup(box.folder / "backup")
    await box.kill()
    await asyncio.to_thread(shutil.rmtree, box.data)
    content = (box.folder / "backup").read_bytes()
    chunk, head = 65536 + 17, 57
    spoilt = {
        "damaged": content[:100_000] + bytes([content[100_000] ^ 1]) + content[100_001:],
        "cut": content[:-1],
        "shortened": content[: head + 2 * chunk],
        "swapped": content[:head]
        + content[head + chunk : head + 2 * chunk]
        + content[head : head + chunk]
        + content[head + 2 * chunk :],
    }
    for name, changed in spoilt.items():
        (box.folder / name).write_bytes(changed)
        status, said = await box.restore(box.folder / name, secret)
        assert (status, str(box.folder / name) in said) == (1, True), said
        assert "Traceback" not in said
        assert not box.store.exists()


async def test_rs_08_a_restore_that_is_killed_is_repeated(box: Box) -> None:
    """RS-08: killed at some of its writes and renames; there is no store, or all of it."""
    await box.start()
    phone = await box.enrol()
    sender = await phone.sender()
    await sender.deposit(letters(sender.lane, 20))
    secret = await box.backup(box.folder / "backup")
    await box.stop()
    await asyncio.to_thread(shutil.rmtree, box.data)
    points = KillPoints([*at("pwrite64", 5), *at("?rename", 1, 3)], most=60)
    for point in points:
        status, _ = await box.restore(box.folder / "backup", secret, under=killed_at(point))
        points.note(status)
        if box.store.exists():  # the last thing that is moved: all of it is there
            await box.start()
            assert await box.stop() == 0
            await asyncio.to_thread(shutil.rmtree, box.data)
    assert points.reached
    assert (await box.restore(box.folder / "backup", secret))[0] == 0
    await box.start()
    await phone.pair_again()
    assert ids(await collected(phone)) == box.ledger.stored
