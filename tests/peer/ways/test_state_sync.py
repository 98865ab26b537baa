"""Two devices of one person come into step through their gateway, whatever happens to it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from peer.devices.log import StateLog, snapshot
from peer.devices.revoking import give_others
from peer.keys.person import PersonKey
from peer.keys.primitives import system_random
from tests.peer.devices.two_phones import list_devices, second_device
from tests.peer.household import Box, Household, Phone, When, befriend, household, they_write
from wire.ids import DeviceId


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


async def restart_wiped(box: Box) -> None:
    """Let a gateway lose everything but its key, and start again."""
    await box.stop()
    for path in box.folder.glob("gateway.sqlite*"):
        path.unlink()
    await box.start()


async def test_a_gateway_that_was_wiped_is_given_the_state_again(house: Household) -> None:
    """RS, C13: each brings what it has; nothing that was told is lost."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    tablet = await second_device(house, ana, box)
    await in_step(ana, tablet)
    ana.peer.rename("Ben", "Benny")
    await in_step(ana)  # and the tablet does not hear of it
    await restart_wiped(box)
    for phone in (tablet, ana):
        await box.pair(phone)
    await in_step(tablet, ana)

    assert [one.name for one in tablet.peer.contacts.all()] == ["Benny"]
    assert state(tablet) == state(ana)
    assert rows(tablet) == rows(ana)
    third = await second_device(house, ana, box)
    await in_step(third)
    assert state(third) == state(ana)


async def test_a_gateway_that_was_put_back_from_a_copy_is_given_what_it_lacks(
    house: Household,
) -> None:
    """RS-01: the log goes back; the devices do not."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    tablet = await second_device(house, ana, box)
    await in_step(ana, tablet)
    await box.stop()
    shutil.copytree(box.folder, box.folder.with_name("yesterday"))
    await box.start()
    for number in range(3):
        ana.peer.rename(ana.peer.contacts.all()[0].name, f"Ben {number}")
        await in_step(ana)
    drop_told(ana)  # as if a snapshot had stood for them
    await box.stop()
    shutil.rmtree(box.folder)
    box.folder.with_name("yesterday").rename(box.folder)
    await box.start()
    await in_step(tablet, ana, tablet)

    assert [one.name for one in tablet.peer.contacts.all()] == ["Ben 2"]
    assert state(tablet) == state(ana)
    assert not (await ana.peer.status())["copied"]


def drop_told(phone: Phone) -> None:
    """Let a phone keep no batch that it has told."""
    with phone.peer._store.transaction() as db:
        db.execute("DELETE FROM state_batch")


async def test_a_device_that_was_away_for_half_a_year_takes_the_snapshot(house: Household) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    tablet = await second_device(house, ana, box)
    await in_step(ana, tablet)
    with tablet.peer._store.transaction():
        tablet.peer._store.keep_note("setting/drawer", b"kept")
    for week in range(28):
        house.hands.live(7 * 86_400.0)
        ana.peer.rename(ana.peer.contacts.all()[0].name, f"Ben {week}")
        await ana.peer.read()
    floors = await box.gateway.database.look("SELECT floor FROM state_head")

    assert max(floor for (floor,) in floors) > 20
    await in_step(tablet, ana)
    assert [one.name for one in tablet.peer.contacts.all()] == ["Ben 27"]
    assert ana.rows("SELECT value FROM note WHERE name = 'setting/drawer'") == [(b"kept",)]
    assert state(tablet) == state(ana)


@pytest.mark.parametrize("name", ["POST /v1/state", "POST /v1/state/batches"])
@pytest.mark.parametrize("when", list(When))
async def test_a_phone_whose_battery_dies_loses_nothing_and_tells_nothing_twice(
    house: Household, name: str, when: When
) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    tablet = await second_device(house, ana, box)
    await in_step(ana, tablet)
    ana.peer.rename("Ben", "Benny")
    died = box.line.hold(0, by=lambda one: one.name == name, when=when)
    telling = asyncio.ensure_future(ana.peer.try_state())
    await died.happened.wait()
    await ana.pull_battery(telling)
    box.line.cut()
    await in_step(ana, tablet)

    assert [one.name for one in tablet.peer.contacts.all()] == ["Benny"]
    assert state(tablet) == state(ana)


async def test_a_revoked_device_is_out_and_the_others_go_on(house: Household) -> None:
    """A10: a new person key and epoch; the snapshot that opens it names the cut."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    tablet = await second_device(house, ana, box)
    thief = await second_device(house, ana, box)
    await in_step(ana, tablet, thief)
    thief.peer.rename("Ben", "Stolen")
    await in_step(thief)
    store = ana.peer._store
    with store.transaction():
        store.vault.keep_person_key(PersonKey.generate(2, system_random))
    list_devices(ana, [one for one in ana.peer.me.card.devices if one.id != device(thief)])
    await in_step(ana, tablet)
    ana.peer.rename("Stolen", "Ben")
    await in_step(ana, tablet)

    assert [one.name for one in tablet.peer.contacts.all()] == ["Ben"]
    assert state(tablet) == state(ana)
    assert StateLog(store, ana.peer.me).cuts().keys() == {device(thief)}
    assert not await thief.peer.try_state()


def device(phone: Phone) -> DeviceId:
    return phone.peer.me.identity.device.id


async def test_a_gateway_of_before_there_was_a_state_log_serves_letters_all_the_same(
    house: Household,
) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    app = box.line.app

    async def older(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope.get("path", "").startswith("/v1/state"):
            scope = {**scope, "path": "/v1/nothing", "raw_path": b"/v1/nothing"}
        await app(scope, receive, send)

    box.line.app = older
    ana.peer.rename("Ben", "Benny")
    await ana.peer.try_state()
    ana.peer.rename("Benny", "Ben")
    await they_write(ana, ben)


async def test_ten_thousand_changes_are_caught_up_with(house: Household) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    tablet = await second_device(house, ana, box)
    await in_step(ana, tablet)
    for start in range(0, 10_000, 2_500):
        with ana.peer._store.transaction():
            for number in range(start, start + 2_500):
                ana.peer._store.keep_note(f"setting/{number % 800}", number.to_bytes(4, "big"))
        await in_step(ana)
    await in_step(tablet)

    assert state(tablet) == state(ana)
    assert len(tablet.rows("SELECT * FROM note WHERE name GLOB 'setting/*'")) == 800


async def test_a_tablet_from_a_drawer_has_everything_once_and_fills_no_mailbox(
    house: Household,
) -> None:
    """What waited too long for it is gone from the mailbox; the archive has it."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    tablet = await second_device(house, ana, box)
    await in_step(ana, tablet)
    for tag in ("a", "b"):  # her letters tell Ben that there is a tablet
        await they_write(ana, ben, tag=tag)
    await tablet.peer.read()
    texts = [f"letter {number}" for number in range(12)]
    for text in texts[:6]:
        await ben.peer.send("Ana", text)
    await ana.peer.read()
    assert (await ana.peer.status())["mailbox"]["waiting"] >= 6  # the tablet may still want them
    house.hands.live(15 * 86_400.0)
    await ana.peer.read()
    for text in texts[6:]:
        await ben.peer.send("Ana", text)
    await ana.peer.read()
    waiting = (await ana.peer.status())["mailbox"]["waiting"]

    assert waiting < 6  # a drawer holds nothing back
    for _ in range(2):
        await tablet.peer.read()
        async for _ in tablet.peer.restore_archive():
            pass
    there = await tablet.peer.read("Ben", everything=True)
    found = [one.text for one in there.letters if not one.outgoing and one.text in texts]
    assert sorted(found) == sorted(texts)
    assert [one.text for one in (await tablet.peer.read()).letters] == []


async def test_lanes_that_were_renewed_are_taken_back_by_whichever_device_hears_of_it(
    house: Household,
) -> None:
    """A10: also if the phone that took the lost device off is lost itself."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    tablet = await second_device(house, ana, box)
    await in_step(ana, tablet)
    for tag in ("a", "b"):
        await they_write(ana, ben, tag=tag)
    await tablet.peer.read()
    before = {secret for (secret,) in ana.rows("SELECT secret FROM lane_given")}
    with ana.peer._store.transaction():
        give_others(ana.peer._store, ana.peer.me, now=house.hands.now())
    await ana.peer.try_outbox()
    await in_step(ana, tablet)
    await ben.peer.read()
    await ben.peer.send("Ana", "on a new lane")
    await tablet.peer.read()  # and the phone is never on again
    await in_step(tablet)
    left = tablet.rows("SELECT secret FROM lane_given WHERE NOT revoked")

    assert len(left) == 2
    assert not {secret for (secret,) in left} & before
