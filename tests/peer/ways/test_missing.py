import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.ways.missing import AT_ONCE, PAUSES, pause
from tests.peer.household import Box, Household, Phone, befriend, household, they_write

HOUR = 3600.0


@pytest.fixture(name="home")
async def _home(tmp_path: Path) -> AsyncIterator[Household]:
    async with household(tmp_path) as made:
        yield made


async def gap(home: Household) -> tuple[Box, Phone, Phone]:
    """Return a box, Anna, and Ben, who lacks one of Anna's letters and knows it."""
    box = await home.box()
    anna, ben = await home.phone("Anna", box), await home.phone("Ben", box)
    await befriend(anna, ben)
    await they_write(anna, ben)
    await anna.peer.send("Ben", "lost")
    lose_everything(box)
    await anna.peer.send("Ben", "came")
    await ben.peer.read()
    return box, anna, ben


def lose_everything(box: Box) -> None:
    with sqlite3.connect(box.folder / "gateway.sqlite", timeout=10) as store:
        store.execute("DELETE FROM parcel")
    store.close()


def requests(phone: Phone) -> int:
    """Return how often this phone has asked for missing letters."""
    [(count,)] = phone.rows("SELECT sum(asks) FROM contact")
    return int(count)


def test_the_first_requests_need_not_wait() -> None:
    assert [pause(asks, new=True) for asks in range(AT_ONCE)] == [0.0] * AT_ONCE


def test_further_requests_wait_longer_and_longer() -> None:
    assert [pause(asks, new=True) for asks in range(AT_ONCE, AT_ONCE + 6)] == [
        *PAUSES,
        PAUSES[-1],
        PAUSES[-1],
    ]


def test_the_same_is_asked_for_again_after_pauses_only() -> None:
    assert [pause(asks, new=False) for asks in range(1, 7)] == [*PAUSES, PAUSES[-1], PAUSES[-1]]


async def test_what_is_missing_is_asked_for_once_and_again_after_a_pause(home: Household) -> None:
    _, _anna, ben = await gap(home)
    asked = [requests(ben)]
    for seconds in (0.0, PAUSES[0] - 1, 2.0, PAUSES[1] - 5, 10.0):
        home.hands.live(seconds)
        await ben.peer.read()
        asked.append(requests(ben))

    assert asked == [1, 1, 1, 2, 2, 3]


async def test_a_request_that_is_lost_as_well_is_made_again(home: Household) -> None:
    box, anna, ben = await gap(home)
    lose_everything(box)  # the request
    await anna.peer.read()
    home.hands.live(HOUR)
    await ben.peer.read()
    await anna.peer.read()

    assert [one.text for one in (await ben.peer.read()).letters] == ["lost"]


async def test_once_nothing_is_missing_counting_begins_anew(home: Household) -> None:
    _, anna, ben = await gap(home)
    await anna.peer.read()
    reading = await ben.peer.read()

    assert [one.text for one in reading.letters] == ["lost"]
    assert requests(ben) == 0


async def test_phones_that_cannot_heal_do_not_ask_each_other_for_ever(home: Household) -> None:
    box, anna, ben = await gap(home)
    for _ in range(40):  # whatever Anna sends again is lost again
        await anna.peer.read()
        lose_everything(box)
        await anna.peer.send("Ben", "more")
        await ben.peer.read()

    assert requests(ben) <= AT_ONCE + 1


async def test_nobody_asks_whom_he_has_blocked(home: Household) -> None:
    _, _anna, ben = await gap(home)
    await ben.peer.block("Anna")
    reading = await ben.peer.read()

    assert reading.missing == ()
