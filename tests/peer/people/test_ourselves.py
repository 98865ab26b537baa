"""My devices write to each other on a lane that follows from the person key."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.keys.person import PersonKey
from peer.people.ourselves import has_others, is_own_lane, ourselves, own_lane, own_right
from tests.peer.devices.circle import another
from tests.peer.household import Household, household
from wire.lanes import LaneSecret, WakeRule


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def test_all_my_devices_find_the_same_lane_and_older_ones_too(house: Household) -> None:
    ana = await house.phone("Ana", await house.box())
    assert not has_others(ana.peer.me)
    tablet = await another(house, ana)
    me, gateway = ana.peer.me, ana.peer.me.needs_home().gateway
    lane = own_lane(me, gateway=gateway)

    assert lane is not None
    assert lane == own_lane(tablet.peer.me, gateway=gateway)
    assert has_others(me)
    assert ourselves(me).card == me.card
    right = own_right(lane)
    assert (right.rule, right.last_tenth) == (WakeRule.NEVER, True)
    await ana.peer.revoke_device("tablet")
    turned = own_lane(ana.peer.me, gateway=gateway)
    assert turned is not None
    assert turned != lane
    assert is_own_lane(ana.peer.me, lane.id, at=gateway)
    other = LaneSecret(PersonKey(1, bytes(32)).own_lane).at(gateway)
    assert not is_own_lane(ana.peer.me, other.id, at=gateway)
