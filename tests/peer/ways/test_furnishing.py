"""A seat is brought up to date step by step; each may be repeated, and none is done twice."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.afresh import begin_afresh
from gateway.app import STORE_NAME
from peer.app import Arrived
from peer.errors import GatewayNotThere, GatewayRefused
from peer.keys.minting import ROTATE_SECONDS, STOCKS
from peer.keys.person import PersonKey, recovery_box
from peer.keys.person_records import open_for_recovery, open_record
from peer.me import Certificates
from peer.ways.connection import Destination, connect
from peer.ways.furnishing import PREKEYS_EVERY, at_home, furnish
from peer.ways.gateway_client import GatewayClient
from tests.peer.household import (
    PATIENCE,
    Box,
    Household,
    Phone,
    When,
    befriend,
    household,
    texts,
    they_write,
)
from tests.peer.stranger import Answer, Asked, Keys, http, lets_in, stranger
from wire.codec import encode
from wire.person_keys import PersonKeyRecord
from wire.prekeys import PrekeyKind

STEPS = ["POST /v1/challenge", "POST /v1/login", "POST /v1/card", "GET /v1/person-keys",
         "PUT /v1/person-key", "PUT /v1/lanes", "GET /v1/prekeys", "POST /v1/prekeys"]  # fmt: skip
"""What moving to a new box asks, in order, when there are contacts."""
LOST = 4
"""A request that is lost is repeated by itself, so more than one has to be lost."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def furnished(phone: Phone) -> None:
    """Bring the seat up to date."""
    peer = phone.peer
    async with at_home(peer._store, peer.me, now=phone.hands.now()):
        pass


async def counts(phone: Phone) -> dict[PrekeyKind, int]:
    """Ask the gateway how many prekeys lie there."""
    peer = phone.peer
    async with at_home(peer._store, peer.me, now=phone.hands.now()) as gateway:
        return await gateway.prekey_counts()


FULL = {
    PrekeyKind.SIGNED: 1,
    PrekeyKind.LAST_RESORT: 1,
    **{kind: stock.full for kind, stock in STOCKS.items()},
}


def asked_since(box: Box, start: int) -> list[str]:
    """Return what a box was asked."""
    return box.line.names()[start:]


async def test_a_new_seat_gets_card_lanes_and_prekeys(house: Household) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    assert await counts(ana) == FULL
    assert ana.rows("SELECT 1 FROM lane_given") == []


async def test_nothing_is_asked_when_nothing_has_changed(house: Household) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    await furnished(ana)  # tells the state: who was added
    start = len(box.line.requests)
    for _ in range(3):
        await furnished(ana)
    assert asked_since(box, start) == []


async def records(phone: Phone) -> tuple[PersonKeyRecord, ...]:
    """Return the records of the person's keys that lie at the gateway."""
    peer = phone.peer
    async with at_home(peer._store, peer.me, now=phone.hands.now()) as gateway:
        return await gateway.person_keys()


async def test_the_person_key_lies_at_the_gateway_for_devices_and_kit(house: Household) -> None:
    ana = await house.phone("Ana", await house.box())
    vault, me = ana.peer._store.vault, ana.peer.me

    [record] = await records(ana)

    assert record.stands_on(me.card)
    assert open_record(record, me.identity.device) == me.identity.person_key
    seed = vault.seed()
    assert seed is not None
    assert open_for_recovery(record, recovery_box(seed)) == me.identity.person_key


async def test_a_person_key_that_is_not_here_is_learned_from_the_gateway(house: Household) -> None:
    ana = await house.phone("Ana", await house.box())
    store, key = ana.peer._store, ana.peer.me.identity.person_key
    with store.transaction() as db:
        db.execute("DELETE FROM own_keys WHERE name IN ('person/1', 'recovery', 'seed')")
        store.vault.keep_person_key(PersonKey(1, bytes(32)))
    assert not ana.peer.me.has_person_key

    await furnished(ana)

    assert ana.peer.me.identity.person_key == key
    assert store.vault.recovery_public() is not None


async def test_told_again_the_gateway_is_as_before(house: Household) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    before = await counts(ana)
    store = ana.peer._store
    for _ in range(2):
        with store.transaction():
            ana.peer.me.furnish_anew()
        await furnished(ana)
    assert await counts(ana) == before
    await they_write(ana, ben)


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("step", STEPS)
async def test_it_goes_on_after_a_step_that_failed_and_ends_the_same(
    house: Household, step: str, when: When
) -> None:
    old, new = await house.box(), await house.box()
    ana, ben = await house.phone("Ana", old), await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    lost = new.line.lose(step, when=when, times=LOST)
    with pytest.raises(GatewayNotThere):
        await new.pair(ana)
    assert lost[0].happened.is_set()
    new.line.accidents.clear()
    await ana.restart()
    await furnished(ana)
    assert await counts(ana) == FULL
    assert (
        ana.rows(
            "SELECT 1 FROM lane_given WHERE gateway IS NOT ?", new.gateway.identity.gateway.raw
        )
        == []
    )
    start = len(new.line.requests)
    await furnished(ana)
    assert asked_since(new, start) == []
    await ana.peer.try_outbox()
    await texts(ben)
    await they_write(ana, ben)


async def test_prekeys_whose_upload_was_not_confirmed_are_offered_again_and_not_doubled(
    house: Household,
) -> None:
    box = await house.box()
    ana = await house.phone("Ana")
    box.line.lose("POST /v1/prekeys", times=LOST)
    with pytest.raises(GatewayNotThere):
        await box.pair(ana)
    box.line.accidents.clear()
    made = ana.rows("SELECT count(*) FROM own_prekeys")
    await furnished(ana)
    assert await counts(ana) == FULL
    assert ana.rows("SELECT count(*) FROM own_prekeys") == made


async def test_prekeys_are_looked_at_once_an_hour_and_turned_once_a_week(
    house: Household,
) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    for seconds, asked in (
        (PREKEYS_EVERY - 1, []),
        (1, ["GET /v1/prekeys"]),
        (ROTATE_SECONDS, ["GET /v1/prekeys", "POST /v1/prekeys"]),
    ):
        house.hands.live(seconds)
        start = len(box.line.requests)
        await furnished(ana)
        seen = asked_since(box, start)
        assert [one for one in seen if "prekeys" in one] == asked
    assert await counts(ana) == FULL


async def test_a_clock_that_was_set_back_does_not_keep_prekeys_from_being_looked_at(
    house: Household,
) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    house.hands.wall -= 100 * 86_400
    start = len(box.line.requests)
    await furnished(ana)
    assert "GET /v1/prekeys" in asked_since(box, start)


async def test_prekeys_that_were_taken_are_replaced(house: Household) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    await box.gateway.database.write(
        lambda store: store.execute("DELETE FROM prekey WHERE kind = ?", (PrekeyKind.ONE_TIME,))
    )
    house.hands.live(PREKEYS_EVERY)
    await furnished(ana)
    assert await counts(ana) == FULL


async def test_another_process_that_changed_lanes_first_does_not_stop_us(
    house: Household,
) -> None:
    """The gateway names the newest change that it has seen, and we go on after it."""
    box = await house.box()
    ana = await house.phone("Ana", box)
    for name in ("Ben", "Carl", "Dora"):
        friend = await house.phone(name, await house.box())
        if name == "Dora":
            with ana.peer._store.transaction():
                ana.peer._store.keep_note("lane-changes", None)
        await befriend(ana, friend)
    await they_write(ana, friend)
    refused = [one.status for one in box.line.requests if one.name == "PUT /v1/lanes"]
    assert refused == [204, 204, 409, 204]


async def test_a_seat_that_was_removed_is_said_and_pairing_again_brings_all_back(
    house: Household,
) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    control = box.gateway.control.test_client()
    (seat,) = (await (await control.get("/seats")).get_json())["seats"]
    await control.delete(f"/seats/{seat['seat']}")
    house.hands.live(PREKEYS_EVERY)
    with pytest.raises(GatewayRefused, match="pair"):
        await furnished(ana)
    await box.pair(ana)
    assert await counts(ana) == FULL
    await texts(ben)
    await they_write(ana, ben)


async def copied(box: Box, target: Path) -> None:
    """Copy a box's folder while it is off."""
    await box.stop()
    await asyncio.to_thread(shutil.copytree, box.folder, target)
    await box.start()


async def put_back(box: Box, copy: Path) -> None:
    """Put a copy of a box's folder in its place, as somebody does who knows no better."""
    await box.stop()
    await asyncio.to_thread(shutil.rmtree, box.folder)
    await asyncio.to_thread(shutil.copytree, copy, box.folder)
    await box.start()


async def test_a_box_that_was_put_back_from_a_copy_gets_what_it_lacks(
    house: Household, tmp_path: Path
) -> None:
    """Its lanes are older than a friendship, and it had been told of others since."""
    box = await house.box()
    ana = await house.phone("Ana", box)
    ben, cy = [await house.phone(name, await house.box()) for name in ("Ben", "Cy")]
    await befriend(ana, ben)
    await they_write(ana, ben)
    await copied(box, tmp_path / "copy")
    await befriend(ana, cy)
    await they_write(ana, cy)
    await they_write(ana, ben, tag="later")

    await put_back(box, tmp_path / "copy")
    ben_waits = await ben.peer.send("Ana", "to a box of yesterday")
    cy_waits = await cy.peer.send("Ana", "on a lane that it does not know")
    assert (ben_waits.waiting, cy_waits.waiting) == (False, True)

    assert await texts(ana) == ["to a box of yesterday"]
    assert await counts(ana) == FULL
    assert await cy.peer.try_outbox() == 0
    assert await texts(ana) == ["on a lane that it does not know"]
    assert await texts(ana) == []
    await they_write(ana, cy, tag="again")
    await they_write(ana, ben, tag="again")


async def test_a_box_that_was_put_back_is_noticed_by_a_phone_that_watches(
    house: Household, tmp_path: Path
) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
    await copied(box, tmp_path / "copy")
    await befriend(ana, ben)
    await they_write(ana, ben)
    await put_back(box, tmp_path / "copy")
    assert (await ben.peer.send("Ana", "hello")).waiting

    async def watch() -> str:
        async for event in ana.peer.watch():
            if isinstance(event, Arrived):
                return event.letter.text
        return ""

    watching = asyncio.create_task(watch())
    while await ben.peer.try_outbox():
        assert not watching.done()
    async with asyncio.timeout(PATIENCE):
        assert await watching == "hello"


async def test_a_box_that_was_restored_lets_a_phone_in_once_it_is_paired_again(
    house: Household,
) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    await they_write(ana, ben)
    await box.stop()
    with closing(sqlite3.connect(box.folder / STORE_NAME)) as store, store:
        begin_afresh(store)
    await box.start()

    assert not (await ben.peer.send("Ana", "while she is out")).waiting
    reading = await ana.peer.read()
    assert reading.letters == ()
    assert reading.away is not None
    assert "show a code on it and pair with it again" in reading.away
    assert "restored" in (await ana.peer.status())["gateway"]
    with pytest.raises(GatewayRefused) as refused:
        await anext(ana.peer.watch())
    assert refused.value.reason == "pair-again"

    await box.pair(ana)

    assert await texts(ana) == ["while she is out"]
    assert await counts(ana) == FULL
    await they_write(ana, ben, tag="again")


async def test_a_gateway_that_refuses_every_lane_is_not_asked_for_ever(
    house: Household, tmp_path: Path
) -> None:
    """Nor does the outbox grow by it."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    keys = Keys(tmp_path)

    def beyond(asked: Asked) -> Answer:
        match asked.name:
            case "PUT /v1/lanes":
                return http(403, b'{"error": "lane-refused"}', kind="application/json")
            case "GET /v1/prekeys":
                return http(body=encode({0: 1, 1: {int(kind): 100 for kind in PrekeyKind}}))
            case _:
                return http(204)

    peer = ana.peer
    async with stranger(keys.certificate(), lets_in(beyond)) as there:
        with peer._store.transaction():
            peer.me.furnish_anew()
        destination = Destination(keys.gateway, (there.place,), there.der)
        learned = Certificates(peer._store).learn
        async with connect(destination, learned=learned) as connection:
            gateway = GatewayClient(connection, peer.me.signs)
            with pytest.raises(GatewayRefused):
                await furnish(peer._store, peer.me, gateway, now=house.hands.now())
        assert sum(one.name == "PUT /v1/lanes" for one in there.asked) < 20
    ((waiting,),) = ana.rows("SELECT count(*) FROM outgoing")
    assert waiting <= 2
