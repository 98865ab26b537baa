"""Whoever asks for a share is seen by her devices and her friends, and can be told no."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.errors import Cancelled, GatewayRefused, NotYet, WrongKit
from peer.recovery.asking import Asking
from peer.recovery.guarding import OTHERS_EVERY, OWN_EVERY, Guard
from peer.ways.furnishing import at_home
from tests.peer.household import Phone
from tests.peer.recovery.circle import NAMES, Circle, open_circle
from tests.peer.recovery.test_back import empty
from wire.recovery import RELEASE_SECONDS, Stage


@pytest.fixture
async def circle(tmp_path: Path) -> AsyncIterator[Circle]:
    async with open_circle(tmp_path) as opened:
        yield opened


def guard_on(phone: Phone) -> Guard:
    """Return what looks for requests on a phone."""
    return Guard(phone.peer._store, phone.peer.me, now=phone.hands.now)


async def ask_for_share(circle: Circle) -> Asking:
    """Let three friends and the box be asked, on a device that names no other as lost."""
    asking = (await empty(circle.house, "new")).peer.asking()
    asking.begin()
    for name in NAMES[:3]:
        asking.take(circle.helps(name, asking))
    with pytest.raises(NotYet):
        await asking.go_on(name="Ana", still_here=asking.devices())
    return asking


async def test_her_devices_and_her_friends_see_who_asks_and_her_device_says_no(
    circle: Circle,
) -> None:
    """R4: a device that was not named as lost."""
    asking = await ask_for_share(circle)
    circle.house.hands.live(86_401)

    await circle.settle()

    for phone in (circle.ana, *circle.friends.values()):
        [alarm] = await phone.peer.alarms()
        assert (alarm.stage, alarm.named) == (Stage.WAITING, False)
        assert alarm.number == asking.begin().number
        assert alarm.contact == (None if phone is circle.ana else "Ana")
    await circle.ana.peer.friends.cancel(alarm.request)
    with pytest.raises(Cancelled):
        await asking.go_on(name="Ana", still_here=asking.devices())
    circle.house.hands.live(RELEASE_SECONDS)
    with pytest.raises(Cancelled):
        await asking.go_on(name="Ana")


async def test_a_device_that_was_named_as_lost_needs_the_kit(circle: Circle) -> None:
    """R4: three friends who agree against her; she has the paper."""
    kit = circle.ana.peer.kit.make()
    new = await empty(circle.house, "new")
    asking = new.peer.asking()
    asking.begin()
    for name in NAMES[:3]:
        asking.take(circle.helps(name, asking))
    with pytest.raises(NotYet):
        await asking.go_on(name="Ana")
    await circle.settle()

    [alarm] = await circle.ana.peer.alarms()
    assert alarm.named
    with pytest.raises(GatewayRefused) as refused:
        await circle.ana.peer.friends.cancel(alarm.request)
    assert refused.value.reason == "named-lost"
    with pytest.raises(WrongKit):
        await circle.ana.peer.friends.cancel(alarm.request, seed=bytes(16))
    await circle.ana.peer.friends.cancel(alarm.request, seed=kit.code.seed)
    with pytest.raises(Cancelled):
        await asking.go_on(name="Ana")


async def test_a_request_is_told_once_and_once_more_when_it_was_stopped(circle: Circle) -> None:
    guard = guard_on(circle.friends["Eve"])
    await guard.look_for_friends(at_once=True)
    assert guard.untold() == ()
    await ask_for_share(circle)

    await guard.look_for_friends(at_once=True)
    [begun] = guard.untold()
    assert guard.untold() == ()
    await circle.ana.peer.friends.cancel(begun.request)
    await guard.look_for_friends(at_once=True)
    [stopped] = guard.untold()
    assert guard_on(circle.friends["Eve"]).untold() == ()

    assert (begun.contact, begun.stage) == ("Ana", Stage.WAITING)
    assert (stopped.request, stopped.stage) == (begun.request, Stage.CANCELLED)


async def test_a_friends_box_is_looked_at_once_a_day_or_at_once(circle: Circle) -> None:
    guard = guard_on(circle.friends["Ben"])

    async def looks(*, after: float, at_once: bool = False) -> int:
        circle.house.hands.live(after)
        before = len(circle.box.line.requests)
        await guard.look_for_friends(at_once=at_once)
        return circle.box.line.names()[before:].count("POST /v1/recovery/notice")

    assert await looks(after=OTHERS_EVERY) == 1
    assert await looks(after=OTHERS_EVERY - 1) == 0
    assert await looks(after=0, at_once=True) == 1
    assert await looks(after=OTHERS_EVERY - 1) == 0
    assert await looks(after=1) == 1


async def test_ones_own_box_is_looked_at_each_time_if_friends_keep_shares(circle: Circle) -> None:
    """Who chose none looks once an hour: another device of hers may have chosen."""

    async def looks(phone: Phone, *, after: float = 0, at_once: bool = False) -> int:
        circle.house.hands.live(after)
        now = circle.house.hands.now()
        async with at_home(phone.peer._store, phone.peer.me, now=now) as gateway:
            before = len(circle.box.line.requests)
            await guard_on(phone).look(gateway, at_once=at_once)
        return circle.box.line.names()[before:].count("GET /v1/recovery")

    ben = circle.friends["Ben"]
    assert [await looks(circle.ana) for _ in range(2)] == [1, 1]
    assert await looks(ben, after=OWN_EVERY) == 1
    assert await looks(ben, after=OWN_EVERY - 1) == 0
    assert await looks(ben, at_once=True) == 1
    assert await looks(ben, after=OWN_EVERY) == 1


async def test_what_is_known_of_a_request_stays_where_no_box_answers(circle: Circle) -> None:
    asking = await ask_for_share(circle)
    ben = circle.friends["Ben"]
    [before] = await ben.peer.alarms()
    await circle.box.stop()

    [alarm] = await ben.peer.alarms()

    assert alarm == before
    assert alarm.number == asking.begin().number
