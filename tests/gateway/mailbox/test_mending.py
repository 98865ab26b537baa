"""What a disk has changed in a mailbox is found, and what is left is counted anew."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import StorageFailed
from gateway.mailbox.mending import find_damaged_row, mend_mailboxes
from tests.gateway.mailbox.house import House, open_house, parcel
from wire.frames import Result
from wire.ids import SeatId
from wire.lanes import Lane

COUNT = 74


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path / "store.sqlite") as opened:
        yield opened


async def filled(house: House) -> Lane:
    """Fill a mailbox; return the lane on which it was filled."""
    seat = await house.seat()
    lane = await house.lane(seat)
    await house.device(seat)
    for _ in range(2):
        await house.put(lane, *(parcel(lane) for _ in range(COUNT // 2)))
    return lane


async def find(house: House) -> str | None:
    return await house.database.write(find_damaged_row)


async def test_in_a_whole_mailbox_nothing_is_found(house: House) -> None:
    await filled(house)

    assert await find(house) is None


@pytest.mark.parametrize(
    "change",
    [
        "body = CAST(substr(body, 1, 99) || randomblob(57) || substr(body, 157) AS BLOB)",
        "purge = zeroblob(32)",
        "lifetime = 0",
        "lifetime = 77",
        "parcel = zeroblob(16)",
        "lane = zeroblob(16)",
        "body = zeroblob(255)",
        "seq = 100000",
        "dies_at = dies_at - 1",
        "checksum = checksum + 1",
    ],
)
async def test_a_parcel_that_is_not_what_was_stored_is_given_to_nobody(
    house: House, change: str
) -> None:
    await filled(house)
    await house.look(f"UPDATE parcel SET {change} WHERE number = {COUNT}")  # noqa: S608

    assert await find(house) == "a parcel is not what was stored"
    with pytest.raises(StorageFailed):
        await house.store.collect(await _seat(house), after=COUNT - 1)
    assert house.database.failed


async def test_a_parcel_in_another_mailbox_is_not_what_was_stored(house: House) -> None:
    await filled(house)
    other = await house.seat()
    await house.look("UPDATE parcel SET seat = ? WHERE number = 1", other.raw)

    assert await find(house)


async def test_a_parcel_from_before_there_were_checksums_is_taken_as_it_is(house: House) -> None:
    await filled(house)
    await house.look("UPDATE parcel SET checksum = NULL")

    assert await find(house) is None
    assert len(await house.store.collect(await _seat(house), after=0)) == 64


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE lane SET rule = 9", "a rule that there is not"),
        ("UPDATE device SET cursor_seq = 1000", "never stored"),
        ("UPDATE seat SET last_seq = 3", "counters"),
        ("UPDATE seat SET used_bytes = used_bytes + 1", "counters"),
    ],
)
async def test_rows_that_make_no_sense_together_are_found_and_mended(
    house: House, change: str, said: str
) -> None:
    await filled(house)
    await house.look(change)

    assert said in str(await find(house))
    await house.database.write(mend_mailboxes)
    assert await find(house) is None


async def test_what_is_left_is_counted_anew(house: House) -> None:
    lane = await filled(house)
    await house.look("UPDATE parcel SET purge = zeroblob(32) WHERE number = 3")
    await house.look("UPDATE seat SET used_bytes = 7, last_seq = 5")
    await house.look("UPDATE lane SET used_bytes = 7")

    await house.database.write(mend_mailboxes)

    assert await find(house) is None
    [(used, last)] = await house.look("SELECT used_bytes, last_seq FROM seat")
    assert (used, last) == ((COUNT - 1) * (256 + 70), COUNT)
    assert await house.look("SELECT used_bytes FROM lane") == [(used,)]
    assert await house.put(lane, parcel(lane)) == [Result.STORED]


async def test_a_lost_parcel_that_is_sent_again_is_taken_again(house: House) -> None:
    lane = await filled(house)
    lost, kept = parcel(lane), parcel(lane)
    await house.put(lane, lost, kept)
    await house.look("DELETE FROM parcel WHERE parcel = ?", lost.id.raw)

    await house.database.write(mend_mailboxes)
    await house.put(lane, lost, kept)

    rows = await house.look("SELECT parcel FROM parcel ORDER BY number DESC LIMIT 2")
    assert rows == [(lost.id.raw,), (kept.id.raw,)]


async def _seat(house: House) -> SeatId:
    [(seat,)] = await house.look("SELECT seat FROM seat")
    assert isinstance(seat, bytes)
    return SeatId(seat)
