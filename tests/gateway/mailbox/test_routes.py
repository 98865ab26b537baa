"""The mailbox over real connections: collecting with a login, depositing with a lane."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.served import Served, at, letters, open_served
from wire.codec import encode
from wire.frames import NOWHERE, Ack, Result, Resume, encode_frame
from wire.lanes import LaneRight, WakeRule


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


async def test_a_letter_waits_and_is_collected(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    anna = await served.visitor()
    [letter] = letters(lane, 1)

    assert await anna.deposit(lane, letter) == [Result.STORED]
    hello, found = await bob.collect()

    assert hello.newest == 1
    assert [one.parcel for one in found.parcels] == [letter]


async def test_what_is_acknowledged_is_gone_and_does_not_come_again(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    await (await served.visitor()).deposit(lane, *letters(lane, 3))
    hello, found = await bob.collect()
    cursor = at(hello.epoch, found)

    assert (await bob.ask("POST", "/v1/mailbox/ack", encode_frame(Ack(cursor)))).status == 204
    assert (await bob.collect(cursor))[1].parcels == ()
    status = (await bob.ask("GET", "/v1/status")).json
    assert status is not None
    assert status["waiting"] == 0
    assert status["bytes"] == 0


async def test_a_cursor_that_was_never_given_is_refused(served: Served) -> None:
    bob = await served.enrolled()

    answer = await bob.ask("POST", "/v1/mailbox/ack", encode_frame(Ack(NOWHERE)))

    assert (answer.status, answer.code) == (409, "cursor-unknown")


async def test_a_poll_waits_for_the_next_parcel(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    polling = asyncio.create_task(bob.collect(wait=25))
    anna = await served.visitor()
    await anna.deposit(lane, *letters(lane, 1))

    async with asyncio.timeout(5):
        _, found = await polling
    assert [one.seq for one in found.parcels] == [1]


@pytest.mark.parametrize("wait", ["26", "-1", "1.5", "999999999999", "１"])
async def test_nobody_waits_longer_than_allowed(served: Served, wait: str) -> None:
    bob = await served.enrolled()

    path = f"/v1/mailbox/collect?wait={wait}"
    answer = await bob.ask("POST", path, encode_frame(Resume(NOWHERE)))

    assert (answer.status, answer.code) == (400, "malformed")


async def test_a_lane_change_that_rests_on_an_old_state_is_refused(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane(rests_on=5)

    answer = await bob.revoke(lane, rests_on=4)

    assert (answer.status, answer.json) == (409, {"error": "sync-first", "position": 5})


async def test_a_revoked_lane_takes_nothing_more(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    assert (await bob.revoke(lane)).status == 204
    anna = await served.visitor()

    answer = await anna.ask("POST", "/v1/deposit", b"", headers=await anna.opening(lane))

    assert (answer.status, answer.code) == (403, "lane-refused")


async def test_another_seats_lane_can_be_neither_changed_nor_revoked(served: Served) -> None:
    bob, eve = await served.enrolled(), await served.enrolled()
    lane = await bob.lane()
    mine = LaneRight(
        lane, WakeRule.NEVER, wakes_per_day=0, bytes_waiting=0, expires=0, last_tenth=False
    )

    taken = await eve.ask("PUT", "/v1/lanes", encode({0: 1, 1: 0, 2: [mine.to_value()]}))
    await eve.revoke(lane)

    assert (taken.status, taken.code) == (403, "lane-refused")
    assert await (await served.visitor()).deposit(lane, *letters(lane, 1)) == [Result.STORED]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/lanes"),
        ("POST", "/v1/lanes/revoke"),
        ("POST", "/v1/mailbox/collect"),
        ("POST", "/v1/mailbox/ack"),
        ("GET", "/v1/status"),
    ],
)
async def test_a_seats_requests_need_a_login(served: Served, method: str, path: str) -> None:
    stranger = await served.visitor()

    answer = await stranger.ask(method, path)

    assert (answer.status, answer.code) == (401, "login-needed")


async def test_a_mailbox_without_login_is_refused_before_it_is_connected(served: Served) -> None:
    answer = await served.say(
        b"GET /v1/mailbox HTTP/1.1\r\nHost: box\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 401")
    assert b'{"error":"login-needed"}' in answer


async def test_the_status_tells_the_seat_how_full_it_is(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    await (await served.visitor()).deposit(lane, *letters(lane, 2, size=512))

    status = (await bob.ask("GET", "/v1/status")).json

    assert status is not None
    assert status["waiting"] == 2
    assert status["bytes"] == 2 * (70 + 512)
    assert status["limit_bytes"] == 1 << 30
    assert {"time", "version"} <= status.keys()
