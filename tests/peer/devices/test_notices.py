"""A person sees what cards say: of her own devices by name, of others' what they are."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.devices.notices import unshown_notices
from peer.printing import notice_facts, notice_line
from tests.peer.devices.circle import another
from tests.peer.household import Household, befriend, household


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def test_a14_every_device_and_every_contact_sees_a_new_one(house: Household) -> None:
    """A14: nothing is linked in silence, whichever device let it in."""
    ana, ben = await house.phone("Ana", await house.box()), await house.phone("Ben")
    await (await house.box()).pair(ben)
    await befriend(ana, ben)
    tablet = await another(house, ana, "kitchen")
    await ana.peer.read()
    await another(house, tablet, "stranger's")

    [own] = (await ana.peer.read()).noticed
    assert (own.contact, own.what) == ("", "added")
    assert notice_line(own).startswith("You have a new device since ")
    await ana.peer.try_outbox()
    theirs, other = (await ben.peer.read()).noticed
    assert theirs == other
    assert notice_line(theirs).startswith("Ana has a new device since ")
    assert notice_facts(theirs)["device"] == "computer"
    assert unshown_notices(ben.peer._store, ben.peer.me) == ()
