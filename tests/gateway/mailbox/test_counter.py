"""Where parcels are handed in, over real connections."""

import asyncio
import secrets
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.mailbox import counter, intake
from tests.gateway.eventually import eventually
from tests.gateway.mailbox.house import parcel
from tests.gateway.served import LiveLine, Served, Visitor, letters, open_served
from wire.frames import Deposit, Outcome, Ping, Proved, Result, Results, encode_frame
from wire.lanes import Lane, LaneSecret
from wire.parcel import Parcel
from wire.receipt import Receipt, Stored


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


async def at_the_counter(visitor: Visitor, lane: Lane) -> LiveLine:
    """Open a connection for deposits."""
    return LiveLine(await visitor.connect("/v1/deposit", await visitor.opening(lane)))


def results(found: Results) -> list[Result]:
    return [one.result for one in found.outcomes]


async def test_deposits_are_answered_in_their_order(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    anna = await served.visitor()
    line = await at_the_counter(anna, lane)
    sent = letters(lane, 15)

    for tag in range(5):
        some = sent[3 * tag : 3 * tag + 3]
        await line.send(Deposit(tag, tuple(anna.prove(lane, one) for one in some)))
    outcomes, tags = list[Outcome](), list[int]()
    while len(outcomes) < 15:
        answer = await line.frame(Results)
        outcomes += answer.outcomes
        tags.append(answer.tag)

    assert [one.parcel for one in outcomes] == [one.id for one in sent]
    assert {one.result for one in outcomes} == {Result.STORED}
    assert tags == sorted(tags)
    assert tags[-1] == 4
    assert await bob.waiting() == 15


async def test_each_parcel_of_a_batch_stands_or_falls_alone(served: Served) -> None:
    bob, eve = await served.enrolled(), await served.enrolled()
    lane, other = await bob.lane(), await eve.lane()
    anna = await served.visitor()
    nobodys = LaneSecret(secrets.token_bytes(32)).at(served.channel.gateway)
    good, foreign, unknown, forged = (
        parcel(lane), parcel(other), parcel(nobodys), parcel(lane)
    )  # fmt: skip
    line = await at_the_counter(anna, lane)

    await line.send(
        Deposit(
            1,
            (
                anna.prove(lane, good),
                anna.prove(other, foreign),
                anna.prove(nobodys, unknown),
                Proved(bytes(16), forged),
                anna.prove(lane, good),
                anna.prove(lane, changed(good)),
            ),
        )
    )

    assert results(await line.frame(Results)) == [
        Result.STORED,
        Result.STORED,
        Result.LANE_REFUSED,
        Result.LANE_REFUSED,
        Result.STORED,
        Result.ID_TAKEN,
    ]
    assert (await bob.waiting(), await eve.waiting()) == (1, 1)


def changed(one: Parcel) -> Parcel:
    """Return another parcel under the same id."""
    return parcel(one.lane, id=one.id)


async def test_a_full_lane_is_told_without_saying_how_full(served: Served) -> None:
    bob = await served.enrolled()
    small = await bob.lane(bytes_waiting=1000)
    anna = await served.visitor()
    line = await at_the_counter(anna, small)
    waits = set()
    for _ in range(6):
        await line.send(Deposit(1, (anna.prove(small, parcel(small)),)))
        [outcome] = (await line.frame(Results)).outcomes
        waits.add((outcome.result, outcome.retry_after))

    assert waits == {(Result.STORED, 0), (Result.MAILBOX_FULL, 3600)}


@pytest.mark.parametrize(
    "message", [b"", encode_frame(Ping()), b"\x20" + bytes(6), b"\x20\0\0\0\1\xff\xff", "text"]
)
async def test_what_is_no_deposit_ends_the_connection(served: Served, message: bytes | str) -> None:
    lane = await (await served.enrolled()).lane()
    line = await at_the_counter(await served.visitor(), lane)

    if isinstance(message, str):
        await line.socket.send_str(message)
    else:
        await line.socket.send_bytes(message)

    assert await line.farewell() == "malformed"


async def test_whoever_deposits_nothing_is_not_kept(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "IDLE_SECONDS", 0.1)
    lane = await (await served.enrolled()).lane()
    line = await at_the_counter(await served.visitor(), lane)

    assert await line.farewell() == "too-slow"


async def test_a_connection_for_deposits_ends_when_the_gateway_does(served: Served) -> None:
    lane = await (await served.enrolled()).lane()
    line = await at_the_counter(await served.visitor(), lane)
    await line.send(Deposit(1, (Proved(bytes(16), parcel(lane)),)))
    await line.frame(Results)

    served.gateway.close()

    assert await line.farewell() == "going-away"


async def test_one_lane_has_only_so_many_places_and_the_next_wait_for_one(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = await served.enrolled()
    lane, other = await bob.lane(), await bob.lane()
    lines = [
        await at_the_counter(await served.visitor(), lane) for _ in range(counter.PLACES_OF_LANE)
    ]
    anna = await served.visitor()
    waiting = asyncio.create_task(anna.deposit(lane, parcel(lane)))

    assert await (await served.visitor()).deposit(other, parcel(other)) == [Result.STORED]
    await asyncio.wait({waiting}, timeout=0.2)
    assert not waiting.done()
    await lines[0].socket.close()
    assert await waiting == [Result.STORED]

    lines[0] = await at_the_counter(await served.visitor(), lane)
    monkeypatch.setattr(counter, "PLACE_SECONDS", 0.1)
    eve = await served.visitor()
    late = await eve.ask("POST", "/v1/deposit", headers=await eve.opening(lane))
    assert (late.status, late.json) == (503, {"error": "busy", "retry_after": 2})


async def test_fifty_who_come_at_once_are_all_served(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    senders = [await served.visitor() for _ in range(50)]

    results = await asyncio.gather(*(one.deposit(lane, parcel(lane)) for one in senders))

    assert results == [[Result.STORED]] * 50
    assert not served.gateway.front._counter._places


async def test_a_recipient_hears_of_what_came_from_somebody_who_hung_up(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    live = await bob.live()
    anna = await served.visitor()
    line = await at_the_counter(anna, lane)
    inside = served.gateway.front._counter
    entered, gate = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> bool:
        entered.set()
        return gate.wait(30)

    holding = asyncio.create_task(served.gateway.database.write(hold))
    assert await asyncio.to_thread(entered.wait, 30)
    await line.send(Deposit(1, (anna.prove(lane, parcel(lane)),)))
    await eventually(lambda: bool(served.gateway.database._writer._waiting))
    await line.socket.close()
    await eventually(lambda: not inside._open)
    gate.set()

    assert await holding
    assert await live.collect(1) == [1]


async def test_whoever_asks_gets_a_receipt_for_what_was_stored_and_nothing_else(
    served: Served,
) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    anna = await served.visitor()
    headers = {**await anna.opening(lane), "Homepost-Receipt": "1"}
    line = LiveLine(await anna.connect("/v1/deposit", headers))
    good, forged, last = letters(lane, 3)
    refused = Deposit(1, (Proved(bytes(16), forged),))
    await line.send(Deposit(0, (anna.prove(lane, good), Proved(bytes(16), forged))))
    answer, receipt = await line.frame(Results), await line.frame(Receipt)

    assert results(answer) == [Result.STORED, Result.LANE_REFUSED]
    assert receipt.stored == (Stored(good.id, good.body_hash),)
    receipt.verify(served.channel.gateway)
    await line.send(refused)
    assert results(await line.frame(Results)) == [Result.LANE_REFUSED]
    await line.send(Deposit(2, (anna.prove(lane, last),)))
    assert results(await line.frame(Results)) == [Result.STORED]  # there was no empty receipt
    assert (await line.frame(Receipt)).stored == (Stored(last.id, last.body_hash),)
