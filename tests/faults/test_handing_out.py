"""A gateway that hands out what was deposited otherwise than it came; phones know better."""

import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.app import STORE_NAME
from tests.faults.conftest import Amount
from tests.faults.here import patience, times
from tests.peer.household import Box, Household, Phone, befriend, household, they_write

pytestmark = pytest.mark.timeout(patience())

HOUR = 3600.0


@pytest.fixture(name="house")
async def _house(tmp_path: Path) -> AsyncIterator[Household]:
    async with household(tmp_path) as opened:
        yield opened


async def _friends(house: Household) -> tuple[Box, Phone, Phone]:
    box = await house.box()
    anna, ben = await house.phone("Anna", box), await house.phone("Ben", box)
    await befriend(anna, ben)
    await they_write(anna, ben)
    return box, anna, ben


async def _written(author: Phone, count: int) -> list[str]:
    texts = [f"letter {number}" for number in range(count)]
    for text in texts:
        assert not (await author.peer.send("Ben", text)).waiting
    return texts


def _change(box: Box, sql: str, *rows: tuple[object, ...]) -> int:
    """Change what the gateway holds, as its owner can; return in how many rows."""
    with closing(sqlite3.connect(box.folder / STORE_NAME, timeout=10)) as store, store:
        return sum(store.execute(sql, row).rowcount for row in rows)


def _bodies(box: Box) -> list[tuple[int, bytes]]:
    with closing(sqlite3.connect(box.folder / STORE_NAME, timeout=10)) as store:
        return store.execute("SELECT number, body FROM parcel ORDER BY number").fetchall()


def _turn_round(box: Box) -> None:
    """Put the last deposit where the first was, and so on; each place keeps its lane."""
    with closing(sqlite3.connect(box.folder / STORE_NAME, timeout=10)) as store:
        rows = store.execute(
            "SELECT parcel, body, purge, number FROM parcel ORDER BY number"
        ).fetchall()
    sql = "UPDATE parcel SET parcel = ?, body = ?, purge = ?, checksum = NULL WHERE number = ?"
    turned = [(*there[:3], here[3]) for here, there in zip(rows, reversed(rows), strict=True)]
    assert _change(box, sql, *turned) == len(rows)


async def test_az_13_deposits_that_were_altered_are_shown_to_nobody_and_reported(
    house: Household, amount: Amount
) -> None:
    """AZ-13: a bit is turned in each deposit, its length kept: none is shown, all are reported."""
    box, anna, ben = await _friends(house)
    texts = await _written(anna, times(10, long=200))
    rows = []
    for number, body in _bodies(box):
        altered = bytearray(body)
        altered[secrets.randbelow(len(body))] ^= 1 << secrets.randbelow(8)
        rows.append((bytes(altered), number))
    sql = "UPDATE parcel SET body = ?, checksum = NULL WHERE number = ?"
    assert _change(box, sql, *rows) == len(texts)

    reading = await ben.peer.read()

    assert reading.letters == ()
    assert [one.contact for one in reading.troubles] == ["Anna"] * len(texts)
    amount(f"{len(texts)} altered deposits")


async def test_az_13_deposits_in_another_order_are_told_in_that_of_their_author(
    house: Household, amount: Amount
) -> None:
    """AZ-13: the newest deposit comes first: letters are shown in the order they were written."""
    box, anna, ben = await _friends(house)
    texts = await _written(anna, times(10, long=200))
    _turn_round(box)

    reading = await ben.peer.read()

    assert [one.text for one in reading.letters] == texts
    assert reading.troubles == ()
    assert reading.missing == ()
    amount(f"{len(texts)} deposits turned round")


async def test_az_13_deposits_that_are_withheld_are_missed_and_asked_for(
    house: Household, amount: Amount
) -> None:
    """AZ-13: all but the last are withheld: the phone says how many, and they come after all."""
    box, anna, ben = await _friends(house)
    texts = await _written(anna, times(10, long=200))
    numbers = [(number,) for number, _ in _bodies(box)[:-1]]
    assert _change(box, "DELETE FROM parcel WHERE number = ?", *numbers) == len(texts) - 1

    first = await ben.peer.read()
    missing = (await ben.peer.status())["missing"]
    later = list[str]()
    for _ in range(4):
        house.hands.live(HOUR)
        for phone in (ben, anna):
            later += [one.text for one in (await phone.peer.read()).letters if phone is ben]

    assert [one.text for one in first.letters] == texts[-1:]
    assert missing == {"Anna": len(texts) - 1}
    assert later == texts[:-1]
    assert (await ben.peer.status())["missing"] == {}
    amount(f"{len(texts) - 1} withheld deposits")


async def test_az_13_deposits_that_another_has_signed_are_nobodys_letters(
    house: Household, amount: Amount
) -> None:
    """AZ-13: what one contact has sealed and signed comes on another's lane: refused, and said."""
    box, anna, ben = await _friends(house)
    carl = await house.phone("Carl", box)
    await befriend(carl, ben)
    await they_write(carl, ben)
    count = times(10, long=200)
    for one in (anna, carl):
        await _written(one, count)
    _turn_round(box)

    reading = await ben.peer.read()

    assert reading.letters == ()
    assert sorted(one.contact for one in reading.troubles) == ["Anna"] * count + ["Carl"] * count
    amount(f"{2 * count} deposits on another's lane")
