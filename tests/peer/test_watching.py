"""Watching carries letters both ways while it runs, whatever becomes of the gateway."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from gateway.app import STORE_NAME
from peer.app import Arrived, Away, Event, Here, Missing, Moved
from peer.errors import GatewayNotThere, GatewayRefused, NotPaired
from tests.gateway.eventually import eventually
from tests.peer.devices.two_phones import second_device
from tests.peer.household import (
    PATIENCE,
    Box,
    Household,
    Phone,
    When,
    befriend,
    end,
    household,
    texts,
    they_write,
)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def two(house: Household) -> tuple[Box, Phone, Phone]:
    """Return a box, and Ana and Ben, who are paired with it and know each other."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    return box, ana, ben


async def drain(events: AsyncIterator[Event]) -> list[Event]:
    """Return what is told until watching ends."""
    async with asyncio.timeout(PATIENCE):
        return [one async for one in events]


class Window:
    """What somebody sees who looks at a phone that watches."""

    def __init__(self, phone: Phone) -> None:
        self.events: list[Event] = []
        self._more = asyncio.Condition()
        self.task = asyncio.ensure_future(self._look(phone))

    async def _look(self, phone: Phone) -> None:
        async with aclosing(phone.peer.watch()) as events:
            async for event in events:
                async with self._more:
                    self.events.append(event)
                    self._more.notify_all()

    async def until(self, *wanted: type[Event], count: int = 1) -> list[Event]:
        """Wait until so many events of these kinds were seen; return them."""
        async with asyncio.timeout(PATIENCE), self._more:
            await self._more.wait_for(lambda: self.task.done() or len(self.seen(*wanted)) >= count)
        if self.task.done():
            self.task.result()
        return self.seen(*wanted)

    def seen(self, *wanted: type[Event]) -> list[Event]:
        """Return the events of these kinds until now."""
        return [one for one in self.events if isinstance(one, wanted)]

    def letters(self) -> list[str]:
        """Return the texts of the letters that came until now."""
        return [one.letter.text for one in self.events if isinstance(one, Arrived)]


@asynccontextmanager
async def watched(phone: Phone) -> AsyncIterator[Window]:
    """Let a phone watch until the block ends."""
    window = Window(phone)
    try:
        await window.until(Here)
        yield window
    finally:
        await end(window.task)


async def test_letters_are_shown_as_they_come(house: Household) -> None:
    _, ana, ben = await two(house)
    await ana.peer.send("Ben", "before")
    async with watched(ben) as window:
        await window.until(Arrived)
        for text in ("one", "two"):
            await ana.peer.send("Ben", text)
        await window.until(Arrived, count=3)

    assert window.letters() == ["before", "one", "two"]
    assert await texts(ben) == []


async def test_what_was_written_elsewhere_is_sent_by_whoever_watches(house: Household) -> None:
    box, ana, ben = await two(house)
    await box.stop()
    assert (await ana.peer.send("Ben", "later")).waiting
    house.hands.live(3600.0)
    await box.start()
    async with watched(ana) as window:
        [moved] = await window.until(Moved)

    assert isinstance(moved, Moved)
    assert (moved.state.contact, moved.state.waiting) == ("Ben", False)
    assert await texts(ben) == ["later"]


async def test_a_gateway_that_goes_and_comes_back_is_found(house: Household) -> None:
    box, ana, ben = await two(house)
    async with watched(ben) as window:
        await box.stop()
        [away] = (await window.until(Away))[:1]
        await box.start()
        await window.until(Here, count=2)
        await ana.peer.send("Ben", "back again")
        await window.until(Arrived)

    assert isinstance(away, Away)
    assert "no gateway answers" in away.sentence
    assert window.letters() == ["back again"]


async def test_a_letter_whose_receipt_was_lost_is_shown_once(house: Household) -> None:
    box, ana, ben = await two(house)
    await ana.peer.send("Ben", "once")
    lost = box.line.lose("POST /v1/mailbox/ack", when=When.BEFORE, times=2)
    shown: list[Event] = []

    async def look() -> None:
        async for event in ben.peer.watch(until_idle=True):
            shown.append(event)

    with pytest.raises(GatewayNotThere):
        await look()
    box.line.accidents.clear()
    async with watched(ben) as window:
        await ana.peer.send("Ben", "twice")
        await window.until(Arrived)

    assert lost[0].happened.is_set()
    letters = [one.letter.text for one in shown + window.events if isinstance(one, Arrived)]
    assert letters == ["once", "twice"]


async def test_what_was_shown_while_watching_is_read_no_second_time(house: Household) -> None:
    _, ana, ben = await two(house)
    async with watched(ben) as window:
        await ana.peer.send("Ben", "hello")
        await window.until(Arrived)
    everything = await ben.peer.read(everything=True)

    assert [one.text for one in everything.letters] == ["hello"]
    assert (await ben.peer.read()).letters == ()


async def test_one_letter_is_enough_if_one_was_asked_for(house: Household) -> None:
    _, ana, ben = await two(house)
    for text in ("one", "two"):
        await ana.peer.send("Ben", text)
    events = await drain(ben.peer.watch(once=True))

    assert isinstance(events[-1], Arrived)
    assert sum(isinstance(one, Arrived) for one in events) == 1
    assert await texts(ben) == ["two"]


async def test_until_idle_collects_and_sends_and_ends(house: Household) -> None:
    box, ana, ben = await two(house)
    await box.stop()
    await ben.peer.send("Ana", "to you")
    await box.start()
    await ana.peer.send("Ben", "to me")
    events = await drain(ben.peer.watch(until_idle=True))

    assert [type(one) for one in events if isinstance(one, Here | Arrived | Moved)] == [
        Here,
        Arrived,
        Moved,
    ]
    assert await texts(ana) == ["to you"]


async def test_until_idle_says_that_nobody_answers(house: Household) -> None:
    box, _, ben = await two(house)
    await box.stop()
    with pytest.raises(GatewayNotThere, match="no gateway answers"):
        await drain(ben.peer.watch(until_idle=True))


async def test_what_is_missing_is_told(house: Household) -> None:
    box, ana, ben = await two(house)
    await they_write(ana, ben)
    await ana.peer.send("Ben", "lost")
    with sqlite3.connect(box.folder / STORE_NAME) as store:
        store.execute("DELETE FROM parcel")
    store.close()
    await ana.peer.send("Ben", "not lost")
    events = await drain(ben.peer.watch(until_idle=True))

    assert [one for one in events if isinstance(one, Missing)] == [Missing("Ana", 1)]
    assert await texts_of(ana, ben) == ["lost"]


async def texts_of(author: Phone, reader: Phone) -> list[str]:
    """Let both look at what the other has sent; return what the reader sees of it."""
    await author.peer.read()
    return await texts(reader)


async def test_two_who_watch_write_to_each_other(house: Household) -> None:
    _, ana, ben = await two(house)
    async with watched(ana) as hers, watched(ben) as his:
        await ana.peer.send("Ben", "ping")
        await his.until(Arrived)
        await ben.peer.send("Ana", "pong")
        await hers.until(Arrived)

    assert (hers.letters(), his.letters()) == (["pong"], ["ping"])


async def test_who_has_no_gateway_has_nothing_to_watch(house: Household) -> None:
    ana = await house.phone("Ana")
    with pytest.raises(NotPaired, match="pair CODE"):
        await drain(ana.peer.watch())


async def test_a_phone_that_the_box_no_longer_serves_is_told_and_stops(house: Household) -> None:
    box, _, ben = await two(house)
    await box.stop()
    for one in box.folder.glob(f"{STORE_NAME}*"):
        one.unlink()
    await box.start()
    with pytest.raises(GatewayRefused, match="pair with it again"):
        await drain(ben.peer.watch())


async def came(tablet: Phone) -> list[str]:
    """Return the texts of the letters that are new; earlier ones it does not have."""
    reading = await tablet.peer.read()
    assert (reading.away, reading.troubles) == (None, ())
    return [one.text for one in reading.letters]


async def both_devices(house: Household) -> tuple[Phone, Phone, Phone]:
    """Return Ana's phone and tablet, and Ben, who knows both."""
    box, ana, ben = await two(house)
    tablet = await second_device(house, ana, box)
    for _ in range(2):
        for phone in (ana, tablet):
            assert await phone.peer.try_state()
    await they_write(ana, ben)  # her letter tells him that her card has changed
    await they_write(ana, ben, tag="again")
    assert len(ben.peer.contacts.all()[0].card.devices) == 2
    await tablet.peer.read(everything=True)
    await ana.peer.try_state()
    return ana, tablet, ben


async def test_a_letter_reaches_both_devices_and_what_was_read_on_one_is_read_on_the_other(
    house: Household,
) -> None:
    ana, tablet, ben = await both_devices(house)
    for number in range(6):
        await ben.peer.send("Ana", f"letter {number}")
    read = await came(tablet)
    await tablet.peer.try_state()

    assert read == [f"letter {number}" for number in range(6)]
    assert await texts(ana) == []
    assert ana.rows("SELECT count(*) FROM letter WHERE shown AND NOT outgoing")[0][0] >= 6


async def test_the_phone_does_not_ring_for_what_was_read_on_the_tablet(house: Household) -> None:
    """State before notifying: if it were told first, the phone would ring for a read letter."""
    ana, tablet, ben = await both_devices(house)
    await ben.peer.send("Ana", "read on the tablet")
    assert await came(tablet) == ["read on the tablet"]
    await tablet.peer.try_state()
    async with watched(ana) as window:
        await ben.peer.send("Ana", "news")
        await window.until(Arrived)

    assert window.letters() == ["news"]


async def test_what_is_told_on_one_device_is_read_on_the_other_soon(house: Household) -> None:
    ana, tablet, ben = await both_devices(house)
    async with watched(ana) as window:
        await ben.peer.send("Ana", "hello")
        await window.until(Arrived)
        await eventually(lambda: not ana.peer.me.belongings.has_untold())

    assert await came(tablet) == []


async def test_a_parcel_on_a_lane_that_only_the_tablet_knows_waits_for_the_state(
    house: Household,
) -> None:
    box, ana, ben = await two(house)
    tablet = await second_device(house, ana, box)
    await tablet.peer.try_state()
    carl = await house.phone("Carl", box)
    await befriend(tablet, carl)  # the phone has not heard of Carl
    await they_write(tablet, carl)
    await carl.peer.send("Ana", "to both")
    reading = await ana.peer.read()

    assert [one.name for one in ana.peer.contacts.all()] == ["Ben", "Carl"]
    assert reading.missing == ()
    del ben


async def test_a_parcel_on_a_lane_that_nobody_knows_holds_nothing_up(house: Household) -> None:
    ana, tablet, ben = await both_devices(house)
    await ana.peer.send("Ben", "hello")
    with ana.peer._store.transaction() as db:
        db.execute("UPDATE lane_given SET secret = randomblob(32), lane = randomblob(16)")
    for phone in (ana, tablet):
        with phone.peer._store.transaction() as db:
            db.execute("DELETE FROM lane_given")
    await ben.peer.send("Ana", "lost")
    async with asyncio.timeout(PATIENCE):
        reading = await ana.peer.read()

    assert reading.away is None
    assert reading.letters == ()
    assert (await ana.peer.status())["mailbox"]["waiting"] >= 0
