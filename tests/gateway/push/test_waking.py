"""A gateway that wakes phones, from the deposit to what the phone opens."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.push.bell import AGAIN_SECONDS, GRACE_SECONDS, Why
from tests.gateway.far import OTHER_NAME, said
from tests.gateway.hands import Hands
from tests.gateway.push.service import Home, open_home
from tests.gateway.served import Answer, Handset, at, letters
from wire.frames import Ack, Deposit, Parcels, Result, encode_frame
from wire.lanes import Lane, WakeRule
from wire.pushes import Hours, decode_whys, encode_number, encode_rules

DAY = 86_400.0


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path) as opened:
        yield opened


async def ask(phone: Handset, method: str, path: str, data: bytes = b"") -> Answer:
    """Log in, for time has passed, and ask."""
    await phone.login()
    return await phone.ask(method, path, data)


async def waiting(phone: Handset) -> object:
    """Return how many parcels wait for the seat."""
    await phone.login()
    return await phone.waiting()


async def put(home: Home, lane: Lane, count: int = 1) -> None:
    """Deposit letters, one after the other, and wait for what comes of them."""
    sender = await home.served.visitor()
    for one in letters(lane, count):
        assert await sender.deposit(lane, one) == [Result.STORED]
    await home.quiet()


async def collect(phone: Handset) -> int:
    """Collect and acknowledge everything; return how much there was."""
    await phone.login()
    hello, found = await phone.collect()
    if found.parcels:
        cursor = at(hello.epoch, found)
        answer = await ask(phone, "POST", "/v1/mailbox/ack", encode_frame(Ack(cursor)))
        assert answer.status == 204, answer
    return len(found.parcels)


async def whys(phone: Handset) -> dict[str, int]:
    """Return how often what was decided for a phone."""
    found: dict[str, int] = {}
    for line in decode_whys((await ask(phone, "GET", "/v1/push/why")).data):
        found[line.why] = found.get(line.why, 0) + line.times
    return found


async def test_01_a_letter_wakes_a_sleeping_phone_with_words_that_say_nothing(home: Home) -> None:
    phone = await home.phone()

    await put(home, await phone.lane())

    [_, pushed] = home.service.pushed
    assert (pushed.words, pushed.urgency, pushed.topic) == (
        {"homepost": 1, "do": "collect"}, "high", "w",
    )  # fmt: skip
    assert await whys(phone) == {"woke": 1}


async def test_02_an_ordinary_item_is_stored_and_does_not_ring(home: Home) -> None:
    phone = await home.phone()
    lane = await phone.lane(rule=WakeRule.NEVER)

    await put(home, lane, 14)
    home.live(3 * DAY)
    await home.quiet()

    assert home.service.wakes() == []
    assert await waiting(phone) == 14
    assert await whys(phone) == {"never": 14}


async def test_03_a_mention_wakes_whom_it_mentions_and_nobody_else(home: Home) -> None:
    phones = [await home.phone(f"phone-{number}") for number in range(5)]
    for number, phone in enumerate(phones):
        await put(home, await phone.lane(rule=WakeRule.WAKE if number == 3 else WakeRule.NEVER))

    assert [one.asked.target for one in home.service.pushed[5:]] == ["/push/phone-3"]


async def test_04_of_a_hundred_group_items_and_three_letters_five_ring(home: Home) -> None:
    phone = await home.phone()
    group = await phone.lane(rule=WakeRule.NEVER, wakes_per_day=0)
    mention = await phone.lane(wakes_per_day=20)
    letter = await phone.lane()
    right = 0
    for number in range(103):
        mine = {10: mention, 60: mention, 20: letter, 40: letter, 80: letter}.get(number)
        await put(home, mine or group)
        right += mine is not None
        assert len(home.service.wakes()) == right  # none useless, none missed
        if mine is not None:
            await collect(phone)
        home.live(120)
        await home.quiet()

    assert home.service.wakes() == ["high"] * 5


async def test_05_a_parcel_that_is_deposited_twice_wakes_once(home: Home) -> None:
    phone = await home.phone()
    lane, sender = await phone.lane(), await home.served.visitor()
    [one] = letters(lane, 1)

    for _ in range(3):
        assert await sender.deposit(lane, one) == [Result.STORED]
    await home.quiet()

    assert home.service.wakes() == ["high"]


async def test_08_what_is_answered_does_not_depend_on_what_rings(home: Home) -> None:
    phone = await home.phone()
    over = await phone.lane(wakes_per_day=0)
    lanes = [await phone.lane(), await phone.lane(rule=WakeRule.NEVER), over]
    sender, answers = await home.served.visitor(), set[bytes]()
    for lane in lanes:
        [one] = letters(lane, 1)
        body = encode_frame(Deposit(7, (sender.prove(lane, one),)))
        answer = await sender.ask("POST", "/v1/deposit", body, headers=await sender.opening(lane))
        answers.add(answer.data.replace(one.id.raw, b"*" * 16))

    assert len(answers) == 1


async def test_09_a_thousand_parcels_on_one_lane_wake_no_more_often_than_it_may(
    home: Home,
) -> None:
    phone = await home.phone()
    lane = await phone.lane(wakes_per_day=3)
    for _ in range(10):
        await put(home, lane, 5)
        await collect(phone)
        home.live(60)
        await home.quiet()

    assert home.service.wakes() == ["high"] * 3
    assert (await whys(phone))["lane-budget"] >= 35

    home.live(DAY)
    await put(home, lane)
    assert home.service.wakes() == ["high"] * 4


async def test_ds_14_a_thousand_mentions_in_a_minute_are_one_push(home: Home) -> None:
    """DS-14: coalesced, ten at the most."""
    phone = await home.phone()
    lane, sender = await phone.lane(), await home.served.visitor()
    for _ in range(20):
        await sender.deposit(lane, *letters(lane, 50))
        home.live(3)
    await home.quiet()

    assert len(home.service.wakes()) == 1


async def test_pl_04_all_pushes_have_one_size_and_name_nothing(home: Home) -> None:
    """PL-04: whatever they are for, and whoever is pushed to."""
    anna, ben = await home.phone("anna"), await home.phone("ben")
    lane = await anna.lane()
    await put(home, lane)
    home.live(10)
    assert (await ask(anna, "POST", "/v1/push/test")).status == 204
    assert (await ask(ben, "POST", "/v1/push/test")).status == 204

    asked = [one.asked for one in home.service.pushed]
    assert len(asked) == 5
    assert len({len(one.body) for one in asked}) == 1
    secrets_of_it = [
        anna.seat.raw, anna.phone.key.raw, anna.phone.key.device.raw, lane.id.raw, b"anna",
    ]  # fmt: skip
    seen = b"".join(
        one.body + "".join(f"{name}{value}" for name, value in one.headers.items()).encode()
        for one in asked
    )
    plain = b"".join(str(one.words).encode() for one in home.service.pushed)
    for secret in secrets_of_it:
        assert secret not in plain
        assert secret not in seen.replace(b"mailto:anna@example.org", b"")


async def test_pl_10_who_is_no_contact_rings_nobody(home: Home) -> None:
    """PL-10: there is no bit to set; a lane of somebody else's invention is refused."""
    phone, eve = await home.phone(), await home.served.enrolled()
    lane = await phone.lane()
    forged = Lane(lane.id, b"k" * 32)
    sender = await home.served.visitor()
    own = await eve.lane()

    assert await sender.deposit(own, letters(own, 1)[0]) == [Result.STORED]
    body = letters(forged, 1)[0]
    answer = await sender.ask(
        "POST", "/v1/deposit", body.encode(), headers=await sender.opening(forged)
    )
    await home.quiet()

    assert (answer.status, answer.code) == (403, "lane-refused")
    assert home.service.wakes() == []


async def test_16_quiet_hours_hold_until_they_end(home: Home) -> None:
    phone = await home.phone()
    begin = int(home.hands.wall % DAY // 60)
    hours = Hours(zone="UTC", quiet=(begin, (begin + 60) % 1440))
    assert (await ask(phone, "PUT", "/v1/push/hours", hours.encode())).status == 204
    await put(home, await phone.lane(rule=WakeRule.WAKE_OUTSIDE_QUIET_HOURS))
    assert home.service.wakes() == []

    home.live(3600)
    await home.quiet()

    assert home.service.wakes() == ["high"]
    assert await whys(phone) == {"quiet-hours": 1, "woke": 1}


async def test_18_two_devices_with_rules_of_their_own_are_woken_differently(home: Home) -> None:
    phone = await home.phone()
    tablet = await home.phone("tablet", beside=phone)
    lane = await phone.lane()
    rules = encode_rules({lane.id: WakeRule.NEVER})
    assert (await ask(tablet, "PUT", "/v1/push/rules", rules)).status == 204

    await put(home, lane)

    assert [one.asked.target for one in home.service.pushed[2:]] == ["/push/phone"]
    assert await whys(tablet) == {"never": 1}


async def test_20_twenty_letters_wake_once_and_after_the_fetch_once_more(home: Home) -> None:
    phone = await home.phone()
    lane = await phone.lane()
    await put(home, lane, 20)
    assert await collect(phone) == 20
    home.live(60)

    await put(home, lane)

    assert home.service.wakes() == ["high"] * 2


async def test_21_a_phone_that_is_connected_is_not_pushed_to(home: Home) -> None:
    phone = await home.phone()
    lane, line = await phone.lane(), await phone.live()

    await put(home, lane)
    await line.acknowledge(await line.frame(Parcels))
    async with asyncio.timeout(10):
        while await waiting(phone):
            pass
    home.live(600)
    await home.quiet()

    assert home.service.wakes() == []
    assert await whys(phone) == {"connected": 1}


async def test_22_a_connection_that_is_dead_is_pushed_past_after_ten_seconds(home: Home) -> None:
    phone = await home.phone()
    lane, line = await phone.lane(), await phone.live()
    await put(home, lane)  # nobody reads it from the line
    home.live(GRACE_SECONDS - 0.5)
    await home.quiet()
    assert home.service.wakes() == []

    home.live(0.5)
    await home.quiet()

    assert home.service.wakes() == ["high"]
    await line.socket.close()


async def test_23_what_was_read_on_the_laptop_does_not_ring_the_phone(home: Home) -> None:
    phone = await home.phone()
    laptop = await home.served.enrolled_beside(phone)
    line = await laptop.live()
    await put(home, await phone.lane())
    assert home.service.wakes() == []
    found = await line.frame(Parcels)
    await line.acknowledge(found)

    read = encode_number(found.parcels[-1].seq)
    assert (await ask(laptop, "POST", "/v1/push/read", read)).status == 204
    home.live(DAY)
    await home.quiet()

    assert home.service.wakes() == []
    assert await waiting(phone) == 1


async def test_24_a_wake_that_is_not_answered_is_repeated(home: Home) -> None:
    phone = await home.phone()
    await put(home, await phone.lane())
    for number, seconds in enumerate(AGAIN_SECONDS, start=2):
        home.live(seconds - 1)
        await home.quiet()
        assert len(home.service.wakes()) == number - 1
        home.live(1)
        await home.quiet()
        assert len(home.service.wakes()) == number


async def test_a_wake_for_what_is_gone_is_not_repeated(home: Home) -> None:
    phone = await home.phone()
    laptop = await home.served.enrolled_beside(phone)
    await put(home, await phone.lane())
    home.live(15 * DAY)  # the phone is no longer waited for
    await collect(laptop)
    await home.quiet()
    before = len(home.service.wakes())

    home.live(30 * DAY)
    await home.quiet()

    assert len(home.service.wakes()) == before


async def test_31_an_address_that_is_dead_goes_and_the_phone_is_told(home: Home) -> None:
    phone = await home.phone()
    home.service.answers["/push/phone"] = said(410)

    await put(home, await phone.lane())

    assert (await home.reach(phone)).address == 0
    home.live(10)
    answer = await ask(phone, "POST", "/v1/push/test")
    assert (answer.status, answer.code) == (409, "no-push-address")


async def test_38_an_address_that_the_phone_has_replaced_meanwhile_stays(home: Home) -> None:
    phone = await home.phone()
    asked, go_on = asyncio.Event(), asyncio.Event()
    usual = home.service.far.answer

    async def slowly() -> bytes:
        asked.set()
        await go_on.wait()
        return said(410)

    home.service.far.answer = lambda one: slowly() if one.target == "/push/phone" else usual(one)
    sender, lane = await home.served.visitor(), await phone.lane()
    await sender.deposit(lane, letters(lane, 1)[0])
    await asked.wait()
    await home.register(phone, home.service.receiver("newer"))
    go_on.set()
    await home.quiet()

    assert (await home.reach(phone)).address == 1
    assert [one.asked.target for one in home.service.pushed[-1:]] == ["/push/newer"]


async def test_33_a_push_service_that_asks_for_time_gets_it_and_others_do_not_wait(
    home: Home,
) -> None:
    """SS-08: `Retry-After` is honoured."""
    phone = await home.phone()
    other = await home.served.enrolled()
    await home.register(other, home.service.receiver("other", host=OTHER_NAME))
    neighbour = await home.phone("neighbour")
    home.service.answers["/push/phone"] = said(429, "Retry-After: 120")
    await put(home, await phone.lane())
    tries = len(home.service.far.asked)

    await put(home, await neighbour.lane())
    assert len(home.service.far.asked) == tries
    await put(home, await other.lane())
    assert home.service.pushed[-1].asked.target == "/push/other"

    home.service.answers.clear()
    home.live(121)
    await home.quiet()
    assert {one.asked.target for one in home.service.pushed[-2:]} == {
        "/push/phone", "/push/neighbour",
    }  # fmt: skip


async def test_49_only_two_answers_delete_an_address(home: Home) -> None:
    """SS-08: what others take for the end of an address is not."""
    phone = await home.phone()
    lane = await phone.lane()
    for status in (301, 400, 401, 403, 408, 413, 429, 500, 502, 503, 507):
        home.service.answers["/push/phone"] = said(status)
        await put(home, lane)
        assert (await home.reach(phone)).address == 1, status
        home.live(7 * 3600)
        await home.quiet()


async def test_54_what_was_pending_rings_after_a_restart(tmp_path: Path) -> None:
    hands = Hands()
    async with open_home(tmp_path, hands=hands) as home:
        phone = await home.phone()
        home.service.answers["/push/phone"] = said(503)
        await put(home, await phone.lane())
        receivers = home.service.receivers
        assert home.service.wakes() == []
    with closing(sqlite3.connect(tmp_path / "box" / "gateway.sqlite")) as store:
        port = int(receivers["/push/phone"].url.split(":")[2].split("/")[0])
        assert store.execute("SELECT wake, pushes FROM wake").fetchall() == [(1, 0)]
    async with open_home(tmp_path, hands=hands) as home:
        home.service.receivers.update(receivers)
        with closing(sqlite3.connect(tmp_path / "box" / "gateway.sqlite")) as store:
            store.execute(  # the service has another port by now
                "UPDATE push_address SET endpoint = replace(endpoint, ?, ?)",
                (f":{port}/", f":{home.service.far.port}/"),
            )
            store.commit()
        waking = home.served.gateway.waking
        assert waking is not None
        [reached] = await waking.store.everybody()
        waking._add(reached)
        await home.quiet()
        assert home.service.wakes() == ["high"]


async def test_54_what_was_pushed_is_not_pushed_again_after_a_restart(tmp_path: Path) -> None:
    hands = Hands()
    async with open_home(tmp_path, hands=hands) as home:
        phone = await home.phone()
        await put(home, await phone.lane())
        assert home.service.wakes() == ["high"]
    async with open_home(tmp_path, hands=hands) as home:
        await home.quiet()
        assert home.service.far.asked == []
        waking = home.served.gateway.waking
        assert waking is not None
        assert (await waking.store.everybody())[0].row.pushes == 1


async def test_58_a_device_that_was_taken_off_leaves_nothing(home: Home, tmp_path: Path) -> None:
    phone = await home.phone()
    tablet = await home.phone("tablet-that-goes", beside=phone)
    lane = await phone.lane()
    rules = encode_rules({lane.id: WakeRule.DIGEST})
    assert (await ask(tablet, "PUT", "/v1/push/rules", rules)).status == 204
    await ask(tablet, "PUT", "/v1/push/hours", Hours(zone="Europe/Berlin").encode())
    await put(home, lane)
    await whys(tablet)

    signed = phone.person.device_statement(phone.phone, phone.phone)
    assert (await ask(phone, "POST", "/v1/card", signed.encode())).status == 204
    await put(home, lane)

    assert "/push/tablet-that-goes" not in [one.asked.target for one in home.service.pushed[3:]]
    gone = tablet.phone.key.device.raw
    for table in ("push_address", "push_hours", "push_rule", "wake", "push_why"):
        rows = await home.served.gateway.database.look(
            f"SELECT count(*) FROM {table} WHERE device = ?",  # noqa: S608  # constants
            gone,
        )
        assert rows[0][0] == 0, table


async def test_59_the_log_names_no_address_and_no_lane(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="gateway")
    phone = await home.phone()
    lane = await phone.lane()
    for answer in (said(403), said(500), b"nonsense"):
        home.service.answers["/push/phone"] = answer
        await put(home, lane)
        home.live(7 * 3600)
        await home.quiet()

    assert "does not take our signature" in caplog.text
    assert "/push/phone" not in caplog.text
    assert lane.id.text not in caplog.text
    assert phone.phone.key.device.text not in caplog.text


async def test_60_an_address_that_moves_to_another_seat_rings_once(home: Home) -> None:
    first = await home.phone()
    second = await home.served.enrolled()
    await home.register(second, home.service.receivers["/push/phone"])

    await put(home, await first.lane())
    await put(home, await second.lane())

    assert home.service.wakes() == ["high"]
    assert (await home.reach(first)).address == 0


async def test_a_phone_whose_letters_came_while_its_address_was_dead_is_woken_later(
    home: Home,
) -> None:
    phone = await home.phone()
    lane = await phone.lane()
    home.service.answers["/push/phone"] = said(404)
    await put(home, lane)
    home.service.answers.clear()

    await home.register(phone, home.service.receiver("second"))
    await home.quiet()

    assert [one.asked.target for one in home.service.pushed if one.topic == "w"] == ["/push/second"]
    assert Why.WOKE.value in await whys(phone)
