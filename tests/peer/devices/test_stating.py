"""What a device says on its card stands once the gateway has taken it, and never forks it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.devices.stating import state_card
from peer.errors import GatewayNotThere
from peer.keys.birth import Change
from peer.ways.furnishing import at_home
from tests.peer.devices.circle import another
from tests.peer.household import Household, Phone, When, household
from wire.card import Card, GatewayEntry
from wire.ids import GatewayId


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def stated(phone: Phone, number: int) -> Card:
    """Add a gateway to the card, which is nobody's."""
    entry = GatewayEntry(GatewayId(bytes([number]) * 32), ())
    store, me, now = phone.peer._store, phone.peer.me, phone.hands.now()
    async with at_home(store, me, now=now) as gateway:
        return await state_card(
            store, me, gateway, lambda card: Change(gateways=(*card.gateways, entry)), now=now
        )


async def test_devices_that_state_at_once_do_not_fork_the_card(house: Household) -> None:
    ana = await house.phone("Ana", await house.box())
    tablet = await another(house, ana)

    await asyncio.gather(stated(ana, 1), stated(tablet, 2))
    async with at_home(ana.peer._store, ana.peer.me, now=house.hands.now()):
        pass
    async with at_home(tablet.peer._store, tablet.peer.me, now=house.hands.now()):
        pass

    assert ana.peer.me.card.position == tablet.peer.me.card.position
    assert ana.peer.me.card.fork is None
    assert len(ana.peer.me.card.gateways) == 3
    assert (ana.peer.me.pending, tablet.peer.me.pending) == (None, None)


@pytest.mark.parametrize("when", When)
async def test_what_was_cut_off_goes_first_the_next_time(house: Household, when: When) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    before = ana.peer.me.card
    box.line.lose("PUT /v1/person-key", when=when, times=4)

    with pytest.raises(GatewayNotThere):
        await stated(ana, 1)
    box.line.accidents.clear()
    assert ana.peer.me.card == before  # nobody but perhaps the gateway has seen it
    await ana.restart()
    card = await stated(ana, 2)

    assert [one.gateway.raw[0] for one in card.gateways[1:]] == [1, 2]
    assert card.fork is None
    assert ana.peer.me.pending is None
