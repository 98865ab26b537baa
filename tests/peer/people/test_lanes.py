"""Lanes: secrets between two people, of which each gateway sees what was derived for it alone."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiosqlite
import pytest
from nacl.signing import SigningKey

from peer.keys.primitives import system_random
from peer.people.lanes import MINTED, Lanes
from peer.store import Store, open_store
from tests.peer.household import Box, Household, Phone, befriend, household, texts, they_write
from wire.ids import GatewayId, LaneId, PersonId
from wire.lanes import LaneClass, LaneRight, LaneSecret, WakeRule

PUT, REVOKE = "PUT /v1/lanes", "POST /v1/lanes/revoke"
NOW = 1_800_000_000.0
BEN, CARL = PersonId(b"b" * 32), PersonId(b"c" * 32)


def a_gateway() -> GatewayId:
    """Return the key of a new gateway."""
    return GatewayId(bytes(SigningKey.generate().verify_key))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a phone's file."""
    found = open_store(tmp_path / "phone", create=True)
    assert found is not None
    yield found
    found.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


def give(store: Store, person: PersonId) -> dict[LaneClass, LaneSecret]:
    """Give lanes to somebody."""
    with store.transaction() as db:
        return dict(Lanes(db).give(person))


def register(store: Store, gateway: GatewayId) -> list[LaneId]:
    """Do as furnishing does; return what was registered."""
    lanes = Lanes(store.db)
    new = lanes.unregistered(gateway)
    with store.transaction():
        lanes.registered(new, gateway=gateway)
    return [one.secret.at(gateway).id for one in new]


# What is given


def test_somebody_gets_a_lane_of_each_class_and_the_same_again(store: Store) -> None:
    first = give(store, BEN)
    assert set(first) == set(MINTED)
    assert len({one.raw for one in first.values()}) == len(MINTED)
    assert give(store, BEN) == first
    assert not set(give(store, CARL).values()) & set(first.values())


def test_what_a_gateway_sees_of_a_lane_is_of_no_use_at_another(store: Store) -> None:
    here, there = a_gateway(), a_gateway()
    secret = give(store, BEN)[LaneClass.LETTER]
    assert secret.at(here) != secret.at(there)
    assert secret.at(here).id != secret.at(there).id
    assert secret.at(here).key != secret.at(there).key
    assert secret.at(here) == LaneSecret(secret.raw).at(here)


def test_letters_wake_and_may_use_the_last_room_and_the_rest_may_not(store: Store) -> None:
    gateway = a_gateway()
    give(store, BEN)
    rights = {one.kind: one.right(gateway) for one in Lanes(store.db).unregistered(gateway)}
    letter, ordinary = rights[LaneClass.LETTER], rights[LaneClass.ORDINARY]
    assert (letter.rule, letter.wakes_per_day, letter.last_tenth) == (WakeRule.WAKE, 200, True)
    assert (ordinary.rule, ordinary.wakes_per_day, ordinary.last_tenth) == (
        WakeRule.NEVER,
        0,
        False,
    )
    for right in rights.values():
        assert LaneRight.from_value(right.to_value()) == right


def test_a_lane_is_registered_once_and_again_at_the_next_gateway(store: Store) -> None:
    here, there = a_gateway(), a_gateway()
    give(store, BEN)
    assert len(register(store, here)) == len(MINTED)
    assert register(store, here) == []
    assert len(register(store, there)) == len(MINTED)


def test_a_parcel_is_known_by_its_lane_at_this_gateway_and_at_the_one_before(
    store: Store,
) -> None:
    here, there = a_gateway(), a_gateway()
    lanes = Lanes(store.db)
    give(store, BEN)
    give(store, CARL)
    before = register(store, here)
    after = register(store, there)
    assert {lanes.giver_of(one, at=here) for one in before} == {BEN, CARL}
    assert {lanes.giver_of(one, at=there) for one in after} == {BEN, CARL}
    assert {lanes.giver_of(one, at=there) for one in before} == {None}


def test_a_lane_that_nobody_was_given_is_nobodys(store: Store) -> None:
    give(store, BEN)
    gateway = a_gateway()
    register(store, gateway)
    assert Lanes(store.db).giver_of(LaneId(system_random(16)), at=gateway) is None


# What is taken back


def test_a_lane_that_was_taken_back_is_nobodys_at_once(store: Store) -> None:
    gateway, lanes = a_gateway(), Lanes(store.db)
    give(store, BEN)
    known = register(store, gateway)
    with store.transaction():
        lanes.revoke(BEN)
    assert [lanes.giver_of(one, at=gateway) for one in known] == [None] * len(known)
    assert sorted(one.raw for one in lanes.to_revoke(gateway)) == sorted(one.raw for one in known)


def test_what_the_gateway_was_not_told_yet_stays_to_be_told(store: Store) -> None:
    gateway, lanes = a_gateway(), Lanes(store.db)
    for person in (BEN, CARL):
        give(store, person)
    register(store, gateway)
    with store.transaction():
        lanes.revoke(BEN)
    told = lanes.to_revoke(gateway)
    with store.transaction():
        lanes.revoke(CARL)  # by another command, while the gateway was being told
        lanes.revoked(told)
    assert len(lanes.to_revoke(gateway)) == len(MINTED)
    assert not set(lanes.to_revoke(gateway)) & set(told)


def test_whoever_gets_lanes_again_gets_new_ones(store: Store) -> None:
    first = give(store, BEN)
    with store.transaction() as db:
        Lanes(db).revoke(BEN)
    assert not set(give(store, BEN).values()) & set(first.values())


def test_lanes_of_an_addition_that_came_to_nothing_are_taken_back(store: Store) -> None:
    lanes, gateway = Lanes(store.db), a_gateway()
    give(store, BEN)
    register(store, gateway)
    with store.transaction() as db:
        db.execute(
            "INSERT INTO exchange (slot, person, side, state, expires) VALUES (?, ?, ?, ?, ?)",
            (b"slot", BEN.raw, b"side", b"state", NOW + 600),
        )
        lanes.revoke_unfinished(now=NOW)
    assert lanes.to_revoke(gateway) == []
    with store.transaction():
        lanes.revoke_unfinished(now=NOW + 601)
    assert len(lanes.to_revoke(gateway)) == len(MINTED)


def test_what_was_taken_back_and_lies_at_no_gateway_of_ours_is_dropped(store: Store) -> None:
    here, there, lanes = a_gateway(), a_gateway(), Lanes(store.db)
    give(store, BEN)
    register(store, here)
    give(store, CARL)
    with store.transaction():
        lanes.revoke(BEN)
        lanes.revoke(CARL)
        lanes.drop_revoked(but_at=here)
    assert len(lanes.to_revoke(here)) == len(MINTED)
    with store.transaction():
        lanes.drop_revoked(but_at=there)
    assert lanes.to_revoke(here) == []


# What others gave


def test_newer_lanes_take_the_place_of_older_ones_class_by_class(store: Store) -> None:
    gateway, lanes = a_gateway(), Lanes(store.db)
    one, two, three = (LaneSecret(system_random(32)) for _ in range(3))
    with store.transaction():
        lanes.take(BEN, ((LaneClass.LETTER, one), (LaneClass.ORDINARY, two)))
        lanes.take(BEN, ((LaneClass.LETTER, three),))
    assert lanes.to(BEN, LaneClass.LETTER, gateway=gateway) == three.at(gateway)
    assert lanes.to(BEN, LaneClass.ORDINARY, gateway=gateway) == two.at(gateway)
    assert lanes.to(BEN, LaneClass.MENTION, gateway=gateway) is None
    assert lanes.to(CARL, LaneClass.LETTER, gateway=gateway) is None


def test_whoever_is_forgotten_has_no_lane_to_write_on(store: Store) -> None:
    gateway, lanes = a_gateway(), Lanes(store.db)
    with store.transaction():
        lanes.take(BEN, ((LaneClass.LETTER, LaneSecret(system_random(32))),))
        lanes.forget(BEN)
    assert lanes.to(BEN, LaneClass.LETTER, gateway=gateway) is None


# At gateways that are there


async def lanes_at(box: Box) -> set[bytes]:
    """Return the ids of the lanes that a box knows."""

    async def look(store: aiosqlite.Connection) -> set[bytes]:
        async with store.execute("SELECT lane FROM lane") as rows:
            return {bytes(id) async for (id,) in rows}

    return await box.gateway.database.read(look)


def living(phone: Phone, box: Box) -> set[bytes]:
    """Return the ids at a box of the lanes that a phone gave and did not take back."""
    secrets = phone.rows("SELECT secret FROM lane_given WHERE NOT revoked")
    return {LaneSecret(one).at(box.gateway.identity.gateway).id.raw for (one,) in secrets}


async def test_lanes_are_registered_once(house: Household) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    await they_write(ana, ben)
    await ana.restart()
    await they_write(ana, ben)
    assert box.line.names().count(PUT) == 1
    assert await lanes_at(box) == living(ana, box)


async def test_after_moving_to_a_new_box_the_same_secrets_serve_there(house: Household) -> None:
    old, new = await house.box(), await house.box()
    ana, ben = await house.phone("Ana", old), await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    secrets = ana.rows("SELECT secret FROM lane_given ORDER BY secret")
    await new.pair(ana)
    assert ana.rows("SELECT secret FROM lane_given ORDER BY secret") == secrets
    assert await lanes_at(new) == living(ana, new)
    assert not await lanes_at(new) & await lanes_at(old)
    await texts(ben)
    await they_write(ana, ben)
    assert "POST /v1/deposit" in new.line.names()


@pytest.mark.parametrize("told", [True, False])
async def test_lanes_that_were_taken_back_never_return(house: Household, told: bool) -> None:
    """Neither by a restart, nor by pairing again, nor by moving to another box."""
    box, new = await house.box(), await house.box()
    ana = await house.phone("Ana", box)
    ben, carl = [await house.phone(name, await house.box()) for name in ("Ben", "Carl")]
    for friend in (ben, carl):
        await befriend(ana, friend)
    his = {
        row[0]
        for row in ana.rows("SELECT secret FROM lane_given WHERE person = ?", ben.peer.person.raw)
    }
    if not told:
        await box.stop()
    assert await ana.peer.block("Ben") is told
    if not told:
        await box.start()
    await ana.restart()
    for next_box in (box, box, new):
        await next_box.pair(ana)
        ids = {LaneSecret(one).at(next_box.gateway.identity.gateway).id.raw for one in his}
        assert not await lanes_at(next_box) & ids
        assert await lanes_at(next_box) == living(ana, next_box)
    await texts(carl)
    await they_write(ana, carl)
    assert (await ben.peer.send("Ana", "hello?")).waiting


async def test_a_gateway_hears_of_a_block_once(house: Household) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    await ana.peer.block("Ben")
    for _ in range(2):
        await texts(ana)
    assert box.line.names().count(REVOKE) == 1
    assert await lanes_at(box) == set()
