"""A8: a gateway keeps a person's newest card from one of her contacts, and lets letters through."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.app import STORE_NAME
from peer.printing import status_lines
from tests.peer.household import Box, Household, Phone, befriend, household

DAY = 86_400.0


@pytest.fixture(name="home")
async def _home(tmp_path: Path) -> AsyncIterator[Household]:
    async with household(tmp_path) as opened:
        yield opened


async def _friends(home: Household) -> tuple[Box, Phone, Phone]:
    box = await home.box()
    anna, ben = await home.phone("Anna", box), await home.phone("Ben", box)
    await befriend(anna, ben)
    return box, anna, ben


def withhold(box: Box) -> int:
    """Throw away what waits on lanes that are not for letters: cards come on these."""
    with closing(sqlite3.connect(box.folder / STORE_NAME, timeout=10)) as store, store:
        return store.execute(
            "DELETE FROM parcel WHERE lane IN (SELECT lane FROM lane WHERE NOT last_tenth)"
        ).rowcount


async def behind(phone: Phone) -> list[str]:
    """Return whose newest card a phone knows to lack."""
    status = await phone.peer.status()
    names: list[str] = status["cards_behind"]
    assert all(any(name in line for line in status_lines(status)) for name in names)
    return names


async def test_the_next_letter_reveals_that_its_authors_card_was_withheld(
    home: Household,
) -> None:
    """A8: as long as the gateway goes on it is said, and letters go on as well."""
    box, anna, ben = await _friends(home)
    await (await home.box()).pair(ben)
    unsuspecting = await behind(anna)
    for number in range(5):
        await ben.peer.send("Anna", f"letter {number}")
        assert withhold(box) > 0 or number > 0
        assert await texts_although(anna) == [f"letter {number}"]
        assert await behind(anna) == ["Ben"]
        home.hands.live(DAY)
        await ben.peer.read()

    assert unsuspecting == []
    [contact] = anna.peer.contacts.all()
    assert contact.card.position.seq < ben.peer.me.card.position.seq


async def texts_although(phone: Phone) -> list[str]:
    """Collect; return the texts of the letters, whatever else is missing."""
    return [one.text for one in (await phone.peer.read()).letters]


async def test_once_the_gateway_lets_it_through_the_card_comes_and_the_warning_goes(
    home: Household,
) -> None:
    box, anna, ben = await _friends(home)
    await (await home.box()).pair(ben)
    await ben.peer.send("Anna", "hello")
    withhold(box)
    await anna.peer.read()
    suspicious = await behind(anna)
    home.hands.live(DAY)
    await ben.peer.read()
    await anna.peer.read()

    assert suspicious == ["Ben"]
    assert await behind(anna) == []
    [contact] = anna.peer.contacts.all()
    assert contact.card.position == ben.peer.me.card.position


async def test_a_gateway_that_lets_nothing_through_is_betrayed_by_the_age_of_the_card(
    home: Household,
) -> None:
    """A8: without a letter there is no hint; a card that nobody prolongs is out of date at last."""
    box, anna, ben = await _friends(home)
    for _ in range(4):
        home.hands.live(25 * DAY)
        await ben.peer.read()
        withhold(box)
        await anna.peer.read()
    status = await anna.peer.status()

    assert status["cards_stale"] == ["Ben"]
    assert any("out of date" in line for line in status_lines(status))
    assert (await ben.peer.status())["cards_stale"] == []  # hers came through
