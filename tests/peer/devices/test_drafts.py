"""A letter that is begun on one device goes on on another, and none of two is lost."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.devices.drafts import MAX_DRAFT
from peer.errors import TooLarge
from tests.peer.devices.two_phones import second_device
from tests.peer.household import Phone, befriend, household


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[Phone, Phone]]:
    """Ana's phone and tablet, in step; she knows Ben."""
    async with household(tmp_path) as house:
        box = await house.box()
        ana = await house.phone("Ana", box)
        await befriend(ana, await house.phone("Ben", box))
        tablet = await second_device(house, ana, box)
        await in_step(ana, tablet)
        yield ana, tablet


async def in_step(*phones: Phone) -> None:
    for _ in range(2):
        for phone in phones:
            await phone.peer.try_state()


def begun(phone: Phone) -> list[str]:
    return sorted(one.text for one in phone.peer.drafts("Ben"))


async def test_a_draft_is_on_all_devices_and_goes_on_on_any(both: tuple[Phone, Phone]) -> None:
    ana, tablet = both
    ana.peer.keep_draft("Ben", "Dear Ben")
    await in_step(ana, tablet)
    [there] = tablet.peer.drafts("Ben")

    assert (there.text, there.here) == ("Dear Ben", False)
    tablet.peer.keep_draft("Ben", "Dear Ben, yes")
    await in_step(tablet, ana)
    assert begun(ana) == begun(tablet) == ["Dear Ben, yes"]


async def test_drafts_that_were_written_at_once_are_both_kept(both: tuple[Phone, Phone]) -> None:
    ana, tablet = both
    ana.peer.keep_draft("Ben", "yes")
    tablet.peer.keep_draft("Ben", "no")
    await in_step(ana, tablet)

    assert begun(ana) == begun(tablet) == ["no", "yes"]
    ana.peer.keep_draft("Ben", "perhaps")
    await in_step(ana, tablet)
    assert begun(tablet) == ["perhaps"]


async def test_what_was_sent_is_begun_no_more(both: tuple[Phone, Phone]) -> None:
    ana, tablet = both
    ana.peer.keep_draft("Ben", "soup")
    await in_step(ana, tablet)
    await tablet.peer.send("Ben", "something else")
    assert begun(tablet) == ["soup"]
    await tablet.peer.send("Ben", "soup")
    await in_step(tablet, ana)

    assert begun(ana) == []
    ana.peer.drop_draft("Ben")
    assert not ana.peer.me.belongings.has_pending()


async def test_a_draft_has_a_length(both: tuple[Phone, Phone]) -> None:
    ana, _ = both
    with pytest.raises(TooLarge):
        ana.peer.keep_draft("Ben", "x" * (MAX_DRAFT + 1))
    ana.peer.keep_draft("Ben", "x" * MAX_DRAFT)
    await ana.peer.try_state()
    assert not ana.peer.me.belongings.has_untold()
