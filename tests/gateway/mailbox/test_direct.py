"""What is answered before Quart, and that all else goes to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.bodies import header_bytes
from tests.gateway.mailbox.house import parcel
from tests.gateway.served import Served, letters, open_served
from wire.frames import Deposit, Ping, Proved, Result, Results, decode_frame, encode_frame
from wire.receipt import Receipt, Stored


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


async def test_each_answer_brings_the_nonce_for_the_next_deposit(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    anna = await served.visitor()
    nonce = await anna.nonce()
    for _ in range(5):
        body = encode_frame(Deposit(3, (anna.prove(lane, parcel(lane)),)))
        headers = await anna.opening(lane, nonce=nonce)
        answer = await anna.ask("POST", "/v1/deposit", body, headers=headers)
        results = decode_frame(answer.data)
        assert isinstance(results, Results)
        assert [one.result for one in results.outcomes] == [Result.STORED]
        nonce = header_bytes(answer.headers["homepost-nonce"])

    assert await bob.waiting() == 5


async def test_a_nonce_that_came_with_an_answer_is_good_once(served: Served) -> None:
    lane = await (await served.enrolled()).lane()
    anna = await served.visitor()
    body = encode_frame(Deposit(3, (anna.prove(lane, parcel(lane)),)))
    first = await anna.ask("POST", "/v1/deposit", body, headers=await anna.opening(lane))
    headers = await anna.opening(lane, nonce=header_bytes(first.headers["homepost-nonce"]))

    second = await anna.ask("POST", "/v1/deposit", body, headers=headers)
    third = await anna.ask("POST", "/v1/deposit", body, headers=headers)

    assert (second.status, third.status, third.code) == (200, 401, "challenge-stale")
    assert "homepost-nonce" not in third.headers


@pytest.mark.parametrize("body", [b"", b"\xff", encode_frame(Ping())])
async def test_a_body_that_is_no_deposit_is_called_so(served: Served, body: bytes) -> None:
    lane = await (await served.enrolled()).lane()
    anna = await served.visitor()

    answer = await anna.ask("POST", "/v1/deposit", body, headers=await anna.opening(lane))

    assert (answer.status, answer.json) == (400, {"error": "malformed"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/deposit", 404),
        ("PUT", "/v1/deposit", 404),
        ("POST", "/v1/deposit/", 404),
        ("POST", "/v1/mailbox", 404),
        ("GET", "/healthz", 200),
    ],
)
async def test_everything_else_goes_on(served: Served, method: str, path: str, status: int) -> None:
    answer = await (await served.visitor()).ask(method, path)

    assert answer.status == status


async def test_a_revoked_lane_opens_nothing_although_it_was_at_hand(served: Served) -> None:
    bob = await served.enrolled()
    lane, other = await bob.lane(), await bob.lane()
    anna = await served.visitor()
    for _ in range(2):
        assert await anna.deposit(lane, *letters(lane, 2)) == [Result.STORED] * 2

    await bob.revoke(lane)

    body = encode_frame(Deposit(1, (anna.prove(other, parcel(other)),)))
    answer = await anna.ask("POST", "/v1/deposit", body, headers=await anna.opening(lane))
    assert (answer.status, answer.code) == (403, "lane-refused")
    assert await anna.deposit(other, parcel(other)) == [Result.STORED]


async def test_a_receipt_comes_after_the_results(served: Served) -> None:
    lane = await (await served.enrolled()).lane()
    anna = await served.visitor()
    one, other = letters(lane, 2)
    body = encode_frame(Deposit(1, (anna.prove(lane, one), Proved(bytes(16), other))))
    headers = {**await anna.opening(lane), "Homepost-Receipt": "1"}

    answer = await anna.ask("POST", "/v1/deposit", body, headers=headers)

    size = int.from_bytes(answer.data[:4], "big")
    results = decode_frame(answer.data[4 : 4 + size])
    receipt = decode_frame(answer.data[8 + size :])
    assert isinstance(results, Results)
    assert isinstance(receipt, Receipt)
    assert [found.parcel for found in results.outcomes] == [one.id, other.id]
    assert receipt.stored == (Stored(one.id, one.body_hash),)
    receipt.verify(served.channel.gateway)


async def test_a_receipt_is_asked_for_in_one_way(served: Served) -> None:
    lane = await (await served.enrolled()).lane()
    anna = await served.visitor()
    headers = {**await anna.opening(lane), "Homepost-Receipt": "yes"}
    body = encode_frame(Deposit(1, (anna.prove(lane, parcel(lane)),)))

    answer = await anna.ask("POST", "/v1/deposit", body, headers=headers)

    assert (answer.status, answer.code) == (400, "malformed")
