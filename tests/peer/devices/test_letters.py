"""Letters to persons with several devices, and from them: each device has all of them, once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.ways.furnishing import at_home
from tests.peer.devices.circle import another
from tests.peer.household import Household, Phone, befriend, household, texts


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def settled(*phones: Phone) -> None:
    """Let phones collect and send until nothing is under way."""
    for _ in range(3):
        for phone in phones:
            await phone.peer.read()


def all_texts(phone: Phone, name: str) -> list[tuple[bool, str]]:
    """Return all letters with a contact: whether they are ours, and what they say."""
    person = phone.peer.contacts.named(name).person
    box = phone.peer._letterbox()
    return [(one.outgoing, one.text) for one in box.everything(person)]


async def test_a_letter_reaches_each_device_and_what_one_sends_stands_on_all(
    house: Household,
) -> None:
    ana, ben = await house.phone("Ana", await house.box()), await house.phone("Ben")
    await (await house.box()).pair(ben)
    await befriend(ana, ben)
    tablet = await another(house, ana)
    await settled(ana, tablet, ben)

    assert not (await ben.peer.send("Ana", "to both")).waiting
    assert await texts(ana) == ["to both"]
    assert await texts(tablet) == []  # it was read on another device
    assert not (await tablet.peer.send("Ben", "from the tablet")).waiting
    assert await texts(ben) == ["from the tablet"]
    assert not (await ana.peer.send("Ben", "from the phone")).waiting
    await settled(ana, tablet, ben)

    wanted = [(False, "to both"), (True, "from the tablet"), (True, "from the phone")]
    assert sorted(all_texts(ana, "Ben")) == sorted(wanted)
    assert sorted(all_texts(tablet, "Ben")) == sorted(wanted)
    assert len(all_texts(ben, "Ana")) == 3


async def test_a_device_that_left_no_prekeys_does_not_keep_letters_from_the_others(
    house: Household,
) -> None:
    ana, ben = await house.phone("Ana", await house.box()), await house.phone("Ben")
    await (await house.box()).pair(ben)
    await befriend(ana, ben)
    box_of_ana = ana.peer.me.needs_home()
    tablet = await another(house, ana)
    with ana.peer._store.transaction():
        pass
    await ana.peer.try_outbox()
    await settled(ben)
    async with at_home(ana.peer._store, ana.peer.me, now=house.hands.now()):
        pass
    assert box_of_ana == tablet.peer.me.needs_home()

    assert not (await ben.peer.send("Ana", "at once")).waiting
    assert "at once" in await texts(ana)
