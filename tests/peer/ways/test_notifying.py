"""A phone says what may wake it, and is woken by that and by nothing else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from peer.errors import GatewayNotThere, GatewayRefused
from peer.ways.notifying import RuleLine
from tests.gateway.far import open_far
from tests.gateway.push.service import PushService, unspelled
from tests.peer.devices.two_phones import second_device
from tests.peer.household import Box, Household, Phone, befriend, household, texts
from wire.lanes import LaneClass, WakeRule
from wire.pushes import Hours

LETTER, POST = LaneClass.LETTER, LaneClass.ORDINARY


@dataclass
class Street:
    """Anna and Ben at one box, and Anna's phone is woken through a push service."""

    house: Household
    box: Box
    service: PushService
    anna: Phone
    ben: Phone

    async def settled(self) -> list[str]:
        """Return what woke the phone by now."""
        waking = self.box.gateway.waking
        assert waking is not None
        await waking.settled()
        return self.service.wakes()

    def live(self, seconds: float) -> None:
        """Let time pass."""
        self.house.hands.live(seconds)
        assert self.box.gateway.waking is not None
        self.box.gateway.waking.look()


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with open_far(tmp_path) as far, household(tmp_path) as house:
        service = PushService(far, house.hands)
        box = await house.box(outbound=service.outbound(), web_push="mailto:anna@example.org")
        anna, ben = await house.phone("Anna", box), await house.phone("Ben", box)
        await befriend(anna, ben)
        await texts(anna)
        await anna.peer.notifications.register(service.receiver().address)
        await anna.peer.notifications.confirm(unspelled(service.pushed[-1].words["confirm"]))
        house.hands.live(60)
        yield Street(house, box, service, anna, ben)


async def test_a_letter_wakes_and_the_phone_can_say_why(street: Street) -> None:
    await street.ben.peer.send("Anna", "Soup?")
    assert await street.settled() == ["high"]
    assert await texts(street.anna) == ["Soup?"]

    reasons = await street.anna.peer.notifications.why()

    assert [(one.why, one.contact, one.kind, one.times) for one in reasons] == [
        ("woke", "Ben", LETTER, 1)
    ]
    assert (await street.anna.peer.notifications.reach()).address == 1


async def test_a_contact_who_is_to_be_silent_is_and_does_not_hear_of_it(street: Street) -> None:
    notifications = street.anna.peer.notifications
    ben = street.anna.peer.contacts.named("Ben")
    assert await notifications.set_rule(ben, LETTER, WakeRule.NEVER)

    await street.ben.peer.send("Anna", "Soup?")

    assert await street.settled() == []
    assert await texts(street.ben) == []  # nothing came to him
    assert RuleLine("Ben", LETTER, WakeRule.NEVER, None) in await notifications.rules()
    await notifications.set_rule(ben, LETTER, WakeRule.WAKE)
    await street.ben.peer.send("Anna", "Now?")
    assert await street.settled() == ["high"]


async def test_a_rule_that_was_set_while_the_box_was_away_is_told_later(street: Street) -> None:
    notifications = street.anna.peer.notifications
    ben = street.anna.peer.contacts.named("Ben")
    await street.box.stop()
    assert not await notifications.set_rule(ben, LETTER, WakeRule.NEVER)
    with pytest.raises(GatewayNotThere):
        await notifications.set_rule_here(ben, LETTER, WakeRule.NEVER)
    assert RuleLine("Ben", LETTER, WakeRule.NEVER, None) in await notifications.rules()
    await street.box.start()
    await texts(street.anna)
    street.live(60)

    await street.ben.peer.send("Anna", "Soup?")

    assert await street.settled() == []


async def test_a_rule_is_told_to_the_box_once(street: Street) -> None:
    ben = street.anna.peer.contacts.named("Ben")
    before = street.box.line.names().count("PUT /v1/lanes")
    await street.anna.peer.notifications.set_rule(ben, LETTER, WakeRule.DIGEST)
    for _ in range(3):
        await texts(street.anna)

    assert street.box.line.names().count("PUT /v1/lanes") == before + 1


async def test_a_contact_who_is_blocked_after_a_rule_was_set_has_no_lane(street: Street) -> None:
    ben = street.anna.peer.contacts.named("Ben")
    await street.box.stop()
    await street.anna.peer.notifications.set_rule(ben, LETTER, WakeRule.DIGEST)
    await street.anna.peer.block("Ben")
    await street.box.start()
    await texts(street.anna)

    assert (await street.ben.peer.send("Anna", "Soup?")).waiting
    assert await street.anna.peer.notifications.rules() == []


async def test_a_rule_of_this_device_alone_can_be_taken_back(street: Street) -> None:
    notifications = street.anna.peer.notifications
    ben = street.anna.peer.contacts.named("Ben")

    await notifications.set_rule_here(ben, LETTER, WakeRule.NEVER)
    assert RuleLine("Ben", LETTER, WakeRule.WAKE, WakeRule.NEVER) in await notifications.rules()
    await street.ben.peer.send("Anna", "Soup?")
    assert await street.settled() == []
    await notifications.set_rule_here(ben, LETTER, None)
    assert RuleLine("Ben", LETTER, WakeRule.WAKE, None) in await notifications.rules()


async def test_posts_that_may_wake_have_a_small_budget(street: Street) -> None:
    notifications = street.anna.peer.notifications
    ben = street.anna.peer.contacts.named("Ben")
    await notifications.set_rule(ben, POST, WakeRule.WAKE_OUTSIDE_QUIET_HOURS)

    rows = await street.box.gateway.database.look(
        "SELECT rule, wakes_per_day FROM lane WHERE wakes_per_day = 20"
    )

    assert rows == [(2, 20)]


async def test_quiet_hours_snooze_and_digests_are_set_one_by_one(street: Street) -> None:
    notifications = street.anna.peer.notifications
    await notifications.set_quiet((1320, 420), zone="Europe/Berlin")
    await notifications.set_digests((480, 1080))
    await notifications.snooze(7)

    found = (await notifications.reach()).hours

    assert found == Hours(
        zone="Europe/Berlin", quiet=(1320, 420), snooze_until=7, digests=(480, 1080)
    )
    assert (await notifications.set_quiet(None)).digests == (480, 1080)
    with pytest.raises(GatewayRefused, match="time zone"):
        await notifications.set_quiet(None, zone="Europe/Nowhere")


async def test_a_test_goes_all_the_way_until_the_address_is_taken_back(street: Street) -> None:
    notifications = street.anna.peer.notifications
    await notifications.test()
    assert street.service.pushed[-1].words == {"homepost": 1, "do": "test"}
    await notifications.unregister()
    street.live(60)
    with pytest.raises(GatewayRefused, match="register one first"):
        await notifications.test()


async def test_a_box_that_pushes_to_nobody_says_so(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        box = await house.box()
        anna, ben = await house.phone("Anna", box), await house.phone("Ben", box)
        await befriend(anna, ben)

        assert (await anna.peer.notifications.reach()).vapid == b""
        assert len(await anna.peer.notifications.rules()) == 2
        with pytest.raises(GatewayRefused, match="pushes to nobody"):
            await anna.peer.notifications.why()


async def test_a_person_with_one_device_tells_nobody_what_she_has_read(street: Street) -> None:
    await street.ben.peer.send("Anna", "Soup?")
    await texts(street.anna)

    assert "POST /v1/push/read" not in street.box.line.names()


async def test_what_she_reads_on_her_laptop_does_not_ring_her_phone(street: Street) -> None:
    laptop = await second_device(street.house, street.anna, street.box)
    await texts(laptop)  # it is here

    await street.ben.peer.send("Anna", "Soup?")
    assert await street.settled() == []
    await laptop.peer.read()  # Ben does not know it yet: it is told that something came
    await laptop.peer.notifications.tell_read()
    street.live(600)

    assert await street.settled() == []
    assert street.box.line.names().count("POST /v1/push/read") >= 1
    why = {one.why for one in await street.anna.peer.notifications.why()}
    assert why == {"read-elsewhere"}


async def test_what_she_leaves_unread_on_her_laptop_rings_her_phone(street: Street) -> None:
    laptop = await second_device(street.house, street.anna, street.box)
    await texts(laptop)

    await street.ben.peer.send("Anna", "Soup?")
    street.live(3)

    assert await street.settled() == ["high"]
