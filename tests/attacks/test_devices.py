"""Attacks on a person with several devices: a ghost on the card, a thief, two honest ones."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from peer.keys.birth import Change, state
from peer.people.news import DISPUTED
from peer.ways.furnishing import at_home
from tests.peer.devices.circle import another
from tests.peer.devices.test_letters import all_texts, settled
from tests.peer.household import Household, Phone, befriend, household, texts
from wire.card import DeviceEntry, GatewayEntry, Signed
from wire.ids import DeviceKey, GatewayId
from wire.signing import sign


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


def forged(phone: Phone, evil: SigningKey) -> Signed:
    """Return a statement that lists a device of the gateway's own, and that it has signed."""
    card = phone.peer.me.card
    ghost = DeviceEntry(DeviceKey(bytes(evil.verify_key)), b"\x09" + bytes(31))
    statement = replace(
        card.newest.statement,
        seq=card.position.seq + 1,
        prev=card.position.hash,
        devices=tuple(sorted((*card.devices, ghost), key=lambda one: one.key.raw)),
        signer=card.devices[0].key.raw,
    )
    body = statement.body()
    return Signed(statement, body, sign(evil, statement.kind.domain, body))


async def test_a1_az_15_a_device_that_the_gateway_adds_itself_gets_nothing(
    house: Household,
) -> None:
    """A1, AZ-15: the gateway hands out a card with a key of its own, to contacts and devices."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    tablet = await another(house, ana)
    await settled(ana, tablet, ben)
    evil = SigningKey.generate()
    signed, before = forged(ana, evil), ana.peer.me.card

    def put(store: object) -> int:
        store.execute(  # type: ignore[attr-defined]  # the connection of the store
            "INSERT INTO card SELECT seat, ?, ?, ? FROM seat",
            (signed.statement.epoch, signed.statement.seq, signed.encode()),
        )
        return 1

    await box.gateway.database.write(put)
    await asyncio.gather(settled(ana, tablet), settled(ben))
    with ben.peer._store.transaction() as db:  # so that prekeys and card are fetched
        db.execute("DELETE FROM sessions")

    await ben.peer.send("Ana", "for two")
    await settled(ana, tablet, ben)

    for card in (ana.peer.me.card, tablet.peer.me.card, ben.peer.contacts.named("Ana").card):
        assert card.position == before.position
        assert len(card.devices) == 2
    assert (False, "for two") in all_texts(ana, "Ben")


async def test_a7_two_honest_devices_that_state_offline_do_not_stop_the_letters(
    house: Household,
) -> None:
    """A7 a: each says another thing at one place of the card, and a contact hears of both."""
    ana, ben = await house.phone("Ana", await house.box()), await house.phone("Ben")
    await (await house.box()).pair(ben)
    await befriend(ana, ben)
    tablet = await another(house, ana)
    await settled(ana, tablet, ben)
    card = ana.peer.me.card
    said = []
    for number, phone in enumerate((ana, tablet)):
        entry = GatewayEntry(GatewayId(bytes([number]) * 32), ())
        change = Change(gateways=(*card.gateways, entry))
        _, signed = state(phone.peer.me.identity, card, change, now=house.hands.now())
        said.append(signed.encode())

    contact = ben.peer.contacts.named("Ana")
    with ben.peer._store.transaction():
        held = ben.peer.contacts.take_statements(contact, tuple(said))
    for phone, order in ((ana, said), (tablet, said[::-1])):
        with phone.peer._store.transaction():
            phone.peer.me.take_statements(tuple(order))

    assert held.fork is None
    assert ana.peer.me.card.position == tablet.peer.me.card.position == held.position
    assert DISPUTED not in [one.what for one in (await ben.peer.read()).noticed]
    assert not (await ben.peer.send("Ana", "still flowing")).waiting
    assert "still flowing" in await texts(ana)


async def test_a9_a_thief_who_takes_all_others_off_is_overruled_by_the_root(
    house: Household,
) -> None:
    """A9: her seed is on paper; with it she begins a new epoch, which he is not in."""
    ana = await house.phone("Ana", await house.box())
    stolen = await another(house, ana, "stolen")
    kit = ana.peer.kit.make()
    await stolen.peer.revoke_device(ana.peer.devices[0].name)
    house.hands.live(60)
    await ana.close()
    back = Phone("Ana", house.folder / "back", house.hands)
    house._stack.push_async_callback(back.close)
    await back.open()

    await back.peer.come_back(kit.code, name="Ana")

    assert back.peer.me.card.position.epoch == 2
    assert [one.this for one in back.peer.devices] == [True]
    reading = await stolen.peer.read()
    assert reading.away is not None
    assert "taken off" in reading.away
    async with at_home(back.peer._store, back.peer.me, now=house.hands.now()) as gateway:
        assert len(await gateway.person_keys()) >= 2
