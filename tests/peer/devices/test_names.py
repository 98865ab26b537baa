"""Devices have names that their person gave; nobody else hears of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.devices.names import MAX_LENGTH, Names
from peer.errors import EmptyName, NameTaken, NoSuchDevice
from tests.peer.devices.circle import another
from tests.peer.household import Household, household


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def test_a_name_is_found_in_whatever_case_and_is_nobody_elses(house: Household) -> None:
    ana = await house.phone("Ana", await house.box())
    await another(house, ana, "Kitchen tablet")
    names = Names(ana.peer._store, ana.peer.me)

    assert names.of(names.named("kitchen  TABLET")) == "Kitchen tablet"
    assert names.free("kitchen tablet") == "kitchen tablet 2"
    assert names.free(" \u200b") == "device"
    assert len(names.free("x" * 300)) == MAX_LENGTH
    with pytest.raises(NoSuchDevice, match="Kitchen tablet"):
        names.named("attic")
    own = ana.peer.devices[0].name
    with pytest.raises(NameTaken):
        ana.peer.rename_device(own, "KITCHEN TABLET")
    with pytest.raises(EmptyName):
        ana.peer.rename_device(own, "\n")
    assert ana.peer.rename_device(own, "desk") == "desk"
    assert [one.name for one in ana.peer.devices] == ["desk", "Kitchen tablet"]
