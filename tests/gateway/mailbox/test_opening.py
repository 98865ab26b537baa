"""A connection without login, opened with a lane, over real sockets."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.mailbox.house import parcel
from tests.gateway.served import Served, open_served, spelled
from wire.auth import Channel, LaneOpening
from wire.frames import Deposit, encode_frame
from wire.lanes import LaneSecret


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


async def test_an_opening_is_good_once(served: Served) -> None:
    lane = await (await served.enrolled()).lane()
    anna = await served.visitor()
    header = await anna.opening(lane)
    body = encode_frame(Deposit(1, (anna.prove(lane, parcel(lane)),)))

    first = await anna.ask("POST", "/v1/deposit", body, headers=header)
    second = await anna.ask("POST", "/v1/deposit", body, headers=header)

    assert first.status == 200
    assert (second.status, second.code) == (401, "challenge-stale")


async def test_an_opening_for_one_purpose_is_not_good_for_the_other(served: Served) -> None:
    lane = await (await served.enrolled()).lane()
    anna = await served.visitor()

    answer = await anna.ask(
        "POST", "/v1/prekeys/fetch", headers=await anna.opening(lane, "deposit")
    )

    assert (answer.status, answer.code) == (403, "lane-refused")


@pytest.mark.parametrize("altered", ["gateway", "certificate", "nonce", "key"])
async def test_an_opening_made_for_anything_else_is_refused(served: Served, altered: str) -> None:
    lane = await (await served.enrolled()).lane()
    anna = await served.visitor()
    nonce = await anna.nonce()
    here = served.channel
    other = LaneSecret(secrets.token_bytes(32)).at(here.gateway)
    channels = {
        "gateway": Channel(type(here.gateway)(b"H" * 32), here.certificate_hash),
        "certificate": Channel(here.gateway, b"d" * 32),
    }
    made = LaneOpening.make(
        type(lane)(lane.id, other.key) if altered == "key" else lane,
        channel=channels.get(altered, here),
        nonce=await anna.nonce() if altered == "nonce" else nonce,
        purpose="deposit",
    )
    header = {"Homepost-Lane": spelled(LaneOpening(lane.id, nonce, made.proof).encode())}

    answer = await anna.ask("POST", "/v1/deposit", headers=header)

    assert (answer.status, answer.code) == (403, "lane-refused")


async def test_without_a_lane_nobody_deposits(served: Served) -> None:
    answer = await (await served.visitor()).ask("POST", "/v1/deposit")

    assert (answer.status, answer.code) == (403, "lane-refused")


@pytest.mark.parametrize("header", ["", "AAAA", "=" * 86, "A" * 85, "A" * 87, "é" * 86])
async def test_a_header_that_is_no_opening_is_called_so(served: Served, header: str) -> None:
    answer = await (await served.visitor()).ask(
        "POST", "/v1/deposit", headers={"Homepost-Lane": header}
    )

    assert (answer.status, answer.code) == (400, "malformed")


async def test_a_deposit_with_a_login_is_refused(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    anna = await served.visitor()
    headers = {**await anna.opening(lane), **bob.auth}

    answer = await anna.ask("POST", "/v1/deposit", headers=headers)

    assert (answer.status, answer.code) == (400, "deposit-with-login")


async def test_a_deposit_on_a_connection_that_carried_a_login_is_refused(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()

    answer = await bob.visitor.ask("POST", "/v1/deposit", headers=await bob.visitor.opening(lane))

    assert (answer.status, answer.code) == (400, "deposit-with-login")


async def test_a_login_on_a_connection_that_showed_a_lane_is_refused(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    anna = await served.visitor()
    await anna.deposit(lane, parcel(lane))

    answer = await anna.ask("GET", "/v1/status", headers=bob.auth)

    assert (answer.status, answer.code) == (400, "deposit-with-login")


async def test_prekeys_are_given_on_the_lane_for_letters_alone(served: Served) -> None:
    """L13: a contact who holds several lanes is still counted once."""
    bob = await served.enrolled()
    ordinary = await bob.lane(last_tenth=False)
    anna = await served.visitor()

    headers = await anna.opening(ordinary, "prekeys")
    answer = await anna.ask("POST", "/v1/prekeys/fetch", headers=headers)

    assert (answer.status, answer.code) == (403, "lane-refused")
