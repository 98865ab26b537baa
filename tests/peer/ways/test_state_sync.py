"""Two devices of one person come into step through their gateway, whatever happens to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.devices.log import snapshot
from tests.peer.devices.two_phones import second_device
from tests.peer.household import Household, Phone, befriend, household


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    async with household(tmp_path) as one:
        yield one


async def in_step(*phones: Phone) -> None:
    """Let every phone tell and hear; twice, so that each hears what the last one told."""
    for _ in range(2):
        for phone in phones:
            await phone.peer.try_state()


def state(phone: Phone) -> dict[bytes, tuple[object, bytes | None]]:
    return {one.key: (one.stamp, one.value) for one in snapshot(phone.peer._store)}


def rows(phone: Phone) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows that are the same on all devices of a person."""
    return {
        "contact": phone.rows(
            "SELECT person, name, introduced, chain, verified, blocked FROM contact ORDER BY person"
        ),
        "given": phone.rows(
            "SELECT person, class, secret FROM lane_given WHERE NOT revoked ORDER BY secret"
        ),
        "taken": phone.rows("SELECT person, class, secret FROM lane_taken ORDER BY secret"),
        "pairs": phone.rows("SELECT person, transcript, secret FROM pair_secrets ORDER BY secret"),
        "notes": phone.rows(
            "SELECT name, value FROM note WHERE name IN ('name', 'card', 'gateway') ORDER BY name"
        ),
    }


async def test_a_second_device_has_contacts_lanes_and_names_of_the_first(
    house: Household,
) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    ana.peer.rename("Ben", "Benny")
    tablet = await second_device(house, ana, box)
    await in_step(ana, tablet)

    assert rows(tablet) == rows(ana)
    assert state(tablet) == state(ana)
    assert [one.name for one in tablet.peer.contacts.all()] == ["Benny"]
    assert tablet.peer.me.name == "Ana"


async def test_what_is_changed_on_one_is_changed_on_the_other(house: Household) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    tablet = await second_device(house, ana, box)
    await in_step(ana, tablet)
    tablet.peer.rename("Ben", "Benny")
    await in_step(tablet, ana)

    assert [one.name for one in ana.peer.contacts.all()] == ["Benny"]
    await ana.peer.block("Benny")
    await in_step(ana, tablet)

    assert [one.blocked for one in tablet.peer.contacts.all()] == [True]
    assert rows(tablet) == rows(ana)
    assert state(tablet) == state(ana)
