"""A connection leads to the gateway that was meant, and to nobody else."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from peer.errors import GatewayNotThere
from peer.ways.connection import connect
from tests.peer.household import Household, household
from tests.peer.stranger import Keys, http, nothing_new, stranger, to
from wire.ids import GatewayId


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Return the gateway that we ask."""
    return Keys(tmp_path)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


# Certificates


async def test_an_unknown_certificate_is_learned_before_the_first_byte(keys: Keys) -> None:
    learned: list[tuple[GatewayId, bytes]] = []
    async with stranger(keys.certificate(), lambda asked: http(body=bytes(32))) as there:
        destination = to(keys, there.place)
        async with connect(destination, learned=lambda *found: learned.append(found)) as connection:
            channel = await connection.channel()
            assert learned == [(keys.gateway, there.der)]
            assert channel == keys.channel(there.der)
            await connection.ask("POST", "/v1/challenge")
        assert len(learned) == 1


async def test_a_new_certificate_of_the_same_gateway_is_accepted_and_learned(keys: Keys) -> None:
    learned: list[tuple[GatewayId, bytes]] = []
    async with stranger(keys.certificate()) as before:
        old = before.der
    async with stranger(keys.certificate(), lambda asked: http(body=bytes(32))) as there:
        destination = to(keys, there.place, certificate=old)
        async with connect(destination, learned=lambda *found: learned.append(found)) as connection:
            assert await connection.ask("POST", "/v1/challenge") == bytes(32)
            assert learned == [(keys.gateway, there.der)]
            assert await connection.channel() == keys.channel(there.der)


# Places


async def test_the_first_place_that_answers_is_used(house: Household, keys: Keys) -> None:
    async with stranger(keys.certificate(), lambda asked: http(body=bytes(32))) as there:
        destination = to(keys, house.dead_place(), there.place, certificate=there.der)
        async with connect(destination, learned=nothing_new) as connection:
            assert await connection.ask("POST", "/v1/challenge") == bytes(32)


async def test_a_place_with_somebody_else_is_passed_over_in_silence(
    keys: Keys, tmp_path: Path
) -> None:
    async with (
        stranger(Keys(tmp_path).certificate()) as other,
        stranger(keys.certificate(), lambda asked: http(body=bytes(32))) as there,
    ):
        destination = to(keys, other.place, there.place, certificate=there.der)
        async with connect(destination, learned=nothing_new) as connection:
            assert await connection.ask("POST", "/v1/challenge") == bytes(32)
        assert await other.heard() == b""


async def test_nobody_at_any_place_is_said_with_all_of_them(house: Household, keys: Keys) -> None:
    dead = house.dead_place()
    async with connect(to(keys, dead), learned=nothing_new) as connection:
        with pytest.raises(GatewayNotThere, match=str(dead)):
            await connection.ask("POST", "/v1/challenge")


async def test_a_gateway_of_which_no_place_is_known_is_not_there(keys: Keys) -> None:
    async with connect(to(keys), learned=nothing_new) as connection:
        with pytest.raises(GatewayNotThere):
            await connection.ask("POST", "/v1/challenge")


async def test_only_of_our_own_gateway_its_address_can_be_corrected(
    house: Household, keys: Keys
) -> None:
    """Of somebody else's it would be wrong advice, and of one that is being looked for as well."""
    destination = to(keys, house.dead_place())
    for ours in (True, False):
        async with connect(replace(destination, ours=ours), learned=nothing_new) as connection:
            with pytest.raises(GatewayNotThere) as nobody:
                await connection.ask("POST", "/v1/challenge")
        assert ("gateway --host ADDRESS" in str(nobody.value)) is ours


async def test_all_places_are_named_where_nobody_answers(house: Household, keys: Keys) -> None:
    places = (house.dead_place(), house.dead_place())
    async with connect(to(keys, *places), learned=nothing_new) as connection:
        with pytest.raises(GatewayNotThere) as nobody:
            await connection.ask("POST", "/v1/challenge")

    assert all(str(one) in str(nobody.value) for one in places)
