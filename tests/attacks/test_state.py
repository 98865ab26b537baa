"""A phone that is copied or set back is noticed by the state it has told, and nothing is mended."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.errors import PhoneCopied
from tests.peer.devices.two_phones import second_device
from tests.peer.household import Household, Phone, befriend, household, they_write


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    async with household(tmp_path) as one:
        yield one


async def with_a_copy(house: Household) -> tuple[Phone, Phone, Phone]:
    """Return Ana's phone, a copy of it as it was some time ago, and Ben's."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    await ana.peer.try_state()
    copy = Phone("Ana", ana.home.with_name("copy"), house.hands)
    await ana.close()
    shutil.copytree(ana.home, copy.home)
    await ana.open()
    house._stack.push_async_callback(copy.close)
    return ana, copy, ben


async def test_a_phone_that_was_set_back_is_told_so(house: Household) -> None:
    """L10. Its file is put back from an older copy; the gateway has what it signed since."""
    ana, copy, _ = await with_a_copy(house)
    ana.peer.rename("Ben", "Benny")
    await ana.peer.try_state()
    await ana.close()
    await copy.open()
    copy.peer.rename("Ben", "Benno")
    with pytest.raises(PhoneCopied, match="copied or set back"):
        await copy.peer.try_state()

    assert (await copy.peer.status())["copied"] is True
    assert [one.name for one in copy.peer.contacts.all()] == ["Benno"]  # nothing was mended


async def test_two_copies_that_are_both_used_are_told_so(house: Household) -> None:
    """L11. Whichever is later finds another batch under its number; letters go on."""
    ana, copy, ben = await with_a_copy(house)
    await copy.open()
    ana.peer.rename("Ben", "Benny")
    copy.peer.rename("Ben", "Benno")
    await ana.peer.try_state()
    for _ in range(2):
        with pytest.raises(PhoneCopied):
            await copy.peer.try_state()

    assert (await ana.peer.status())["copied"] is False
    ana.peer.rename("Benny", "Ben")
    await they_write(ana, ben)


async def test_a_gateway_cannot_make_a_phone_believe_that_it_was_copied(house: Household) -> None:
    """L11. Only what the phone's own key has signed proves it: the word of a gateway does not."""
    box = await house.box()
    ana = await house.phone("Ana", box)
    tablet = await second_device(house, ana, box)
    await tablet.peer.try_state()
    await box.gateway.database.write(
        lambda store: store.execute("UPDATE state_head SET newest = newest + 5").rowcount
    )
    await ana.peer.try_state()

    assert (await ana.peer.status())["copied"] is False
