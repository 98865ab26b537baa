"""A device that is taken off is dead at once at the gateway, and blind once contacts know."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.errors import GatewayRefused, OnlyDevice
from peer.keys.person_records import open_record
from peer.ways.furnishing import at_home
from tests.peer.devices.circle import another
from tests.peer.devices.test_letters import all_texts, settled
from tests.peer.household import Household, Phone, befriend, household, texts, they_write


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def family(house: Household) -> tuple[Phone, Phone, Phone]:
    """Return two devices of Ana, and Ben, who is her contact."""
    ana, ben = await house.phone("Ana", await house.box()), await house.phone("Ben")
    await (await house.box()).pair(ben)
    await befriend(ana, ben)
    tablet = await another(house, ana)
    await settled(ana, tablet, ben)
    return ana, tablet, ben


async def test_a10_a_revoked_device_reads_nothing_that_comes_after(house: Household) -> None:
    """A10: its login is dead, the person key has turned, and no packet is for it any more."""
    ana, tablet, ben = await family(house)
    old_lanes = ana.rows("SELECT secret FROM lane_given")

    assert await ana.peer.revoke_device("tablet") == "tablet"
    await settled(ben, ana, ben, ana)

    with pytest.raises(GatewayRefused) as refused:
        async with at_home(tablet.peer._store, tablet.peer.me, now=house.hands.now()):
            pass
    assert refused.value.reason == "revoked"
    assert ana.peer.me.identity.person_key.generation == 2
    card = ben.peer.contacts.named("Ana").card
    assert card.position == ana.peer.me.card.position
    assert card.device(tablet.peer.me.identity.device.id) is None
    async with at_home(ana.peer._store, ana.peer.me, now=house.hands.now()) as gateway:
        first, second = await gateway.person_keys()
    device = tablet.peer.me.identity.device
    assert open_record(first, device).generation == 1
    assert device.id not in dict(second.devices)
    await they_write(ana, ben)
    assert "Ana to Ben " not in [text for _, text in all_texts(tablet, "Ben")]
    new_lanes = ana.rows("SELECT secret FROM lane_given WHERE NOT revoked")
    assert new_lanes
    assert not set(new_lanes) & set(old_lanes)


async def test_letters_sealed_before_the_contact_knew_are_still_read(house: Household) -> None:
    ana, _, ben = await family(house)
    await ben.peer.send("Ana", "on its way")

    await ana.peer.revoke_device("tablet")
    assert await texts(ana) == ["on its way"]
    await ben.peer.send("Ana", "before ben looked")
    assert await texts(ana) == ["before ben looked"]
    await settled(ben, ana, ben)
    await they_write(ana, ben)


async def test_the_devices_that_stay_go_on_with_the_new_key(house: Household) -> None:
    ana, tablet, ben = await family(house)
    laptop = await another(house, tablet, "laptop")

    await laptop.peer.revoke_device("tablet")
    await settled(ana, laptop, ben, ana, laptop, ben)

    assert ana.peer.me.identity.person_key == laptop.peer.me.identity.person_key
    assert [one.name for one in ana.peer.devices if not one.this] == ["laptop"]
    await ben.peer.send("Ana", "to those who stay")
    await settled(ana, laptop)
    assert (False, "to those who stay") in all_texts(ana, "Ben")
    assert (False, "to those who stay") in all_texts(laptop, "Ben")


async def test_a_device_does_not_take_itself_off(house: Household) -> None:
    ana = await house.phone("Ana", await house.box())

    with pytest.raises(OnlyDevice):
        await ana.peer.revoke_device(ana.peer.devices[0].name)
