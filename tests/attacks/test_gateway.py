"""Attacks on a gateway that listens: by strangers, by contacts, by whoever caught some bytes.

L13    a thousand requests for prekeys, by a contact and by a stranger
L14    prekeys asked for by many at once
AZ-02  the ids of another seat, put where one's own belong
AZ-03  a device is revoked while it is connected
AZ-07  what was caught once is said again: here, at another gateway, on another path
AZ-10  a lane that is unknown, revoked, another gateway's, or another's
NF-10  deposits said again, and in any order
BI-05  lengths that lie
BI-07  requests that two programs read differently
BI-11  WebSocket messages that are none
CR-18  clients that hang up after the body, before the answer
DS-01  messages that unpack to a gigabyte
DS-05  half-sent bodies without a right
"""

import asyncio
import os
import random
import secrets
import struct
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.gateway.eventually import eventually
from tests.gateway.listening import frame
from tests.gateway.mailbox.house import parcel
from tests.gateway.served import (
    Answer,
    Handset,
    LiveLine,
    Served,
    Visitor,
    at,
    letters,
    open_served,
    spelled,
)
from wire.auth import LaneOpening, Login
from wire.codec import encode
from wire.frames import (
    NOWHERE,
    Ack,
    Cursor,
    Deposit,
    Outcome,
    Parcels,
    Proved,
    Result,
    Results,
    Resume,
    decode_frame,
    encode_frame,
)
from wire.ids import GatewayId, ParcelId
from wire.lanes import Lane, LaneSecret
from wire.parcel import DAY
from wire.prekeys import Bundle, PrekeyKind, decode_bundles, encode_upload

MIB = 1 << 20


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened
        assert opened.failures == []


def lane_of_nobody(gateway: GatewayId) -> Lane:
    return LaneSecret(secrets.token_bytes(32)).at(gateway)


def memory() -> int:
    """Return what this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def without_date(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """Return all that can be told of an answer, but for the second it was given in."""
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "date"}
    return answer.status, headers, answer.data


# Prekeys


async def fetch(visitor: Visitor, lane: Lane) -> Answer:
    headers = await visitor.opening(lane, "prekeys")
    return await visitor.ask("POST", "/v1/prekeys/fetch", headers=headers)


async def leave_prekeys(one: Handset, *, one_time: int) -> None:
    found = one.phone.prekeys(one_time=one_time, kem=one_time)
    assert (await one.ask("POST", "/v1/prekeys", encode_upload(tuple(found)))).status == 204


def bundle(answer: Answer) -> Bundle:
    [found] = decode_bundles(answer.data).bundles
    return found


async def test_l13_a_contact_who_asks_a_thousand_times_gets_three_bundles(served: Served) -> None:
    bob = await served.enrolled()
    greedy, honest = await bob.lane(), await bob.lane()
    await leave_prekeys(bob, one_time=10)
    eve = await served.visitor()

    statuses = []
    for _ in range(1000):
        statuses.append((await fetch(eve, greedy)).status)
        served.hands.live(29 * DAY / 1000)

    assert statuses.count(200) == 3
    assert statuses.count(429) == 997
    assert bundle(await fetch(await served.visitor(), honest)).one_time is not None


async def test_l13_a_stranger_gets_no_bundle_and_uses_none_up(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    await leave_prekeys(bob, one_time=1)
    eve = await served.visitor()

    for _ in range(300):
        assert (await fetch(eve, lane_of_nobody(served.channel.gateway))).status == 403

    assert bundle(await fetch(await served.visitor(), lane)).one_time is not None


async def test_l14_prekeys_asked_for_by_many_at_once_are_each_handed_out_once(
    served: Served,
) -> None:
    bob = await served.enrolled()
    lanes = [await bob.lane() for _ in range(24)]
    await leave_prekeys(bob, one_time=10)
    visitors = [await served.visitor() for _ in lanes]

    answers = await asyncio.gather(
        *(fetch(visitor, lane) for visitor, lane in zip(visitors, lanes, strict=True))
    )
    found = [bundle(one) for one in answers]

    one_time = [one.one_time.id for one in found if one.one_time is not None]
    kem = [one.kem.id for one in found if one.kem.kind is PrekeyKind.ONE_TIME_KEM]
    assert sorted(one_time) == sorted(kem) == list(range(10))
    last_resort = [one for one in found if one.kem.kind is PrekeyKind.LAST_RESORT]
    assert len(last_resort) == len(lanes) - 10
    for one in found:
        one.verify()


# Who may what


async def test_az_02_anothers_ids_are_answered_like_ids_of_nothing(served: Served) -> None:
    bob, eve = await served.enrolled(), await served.enrolled()
    lane = await bob.lane()
    nobodys = lane_of_nobody(served.channel.gateway)
    await (await served.visitor()).deposit(lane, *letters(lane, 2))
    hello, found = await bob.collect()
    bobs = at(hello.epoch, found)
    made_up = Cursor(type(hello.epoch)(b"u" * 16), bobs.seq, ParcelId(b"u" * 16))

    def revoke(one: Lane) -> bytes:
        return encode({0: 1, 1: 0, 2: [one.id.raw]})

    asked: list[tuple[str, bytes, bytes]] = [
        ("/v1/lanes/revoke", revoke(lane), revoke(nobodys)),
        ("/v1/prekeys/reset", lane.id.raw, nobodys.id.raw),
        ("/v1/mailbox/ack", encode_frame(Ack(bobs)), encode_frame(Ack(made_up))),
    ]
    for path, anothers, nothings in asked:
        first = await eve.ask("POST", path, anothers)
        second = await eve.ask("POST", path, nothings)
        assert without_date(first) == without_date(second), path

    assert await bob.waiting() == 2
    assert (await (await served.visitor()).deposit(lane, *letters(lane, 1))) == [Result.STORED]


async def test_az_02_anothers_cursor_brings_nobody_anothers_parcels(served: Served) -> None:
    bob, eve = await served.enrolled(), await served.enrolled()
    lane = await bob.lane()
    await (await served.visitor()).deposit(lane, *letters(lane, 2))
    hello, found = await bob.collect()

    stolen = await eve.collect(at(hello.epoch, found))
    again = await bob.collect(at(hello.epoch, found))

    assert stolen[1].parcels == ()
    assert again[0].epoch == hello.epoch  # Eve's word began no new epoch for Bob


async def test_az_03_a_device_that_is_revoked_loses_everything_within_five_seconds(
    served: Served,
) -> None:
    bob = await served.enrolled()
    lost = await served.enrolled_beside(bob)
    lane = await bob.lane()
    line = await lost.live()
    polling = asyncio.create_task(
        lost.ask("POST", "/v1/mailbox/collect?wait=25", encode_frame(Resume(NOWHERE)))
    )
    await eventually(lambda: lost.seat in served.gateway.front._lines._news)

    signed = bob.person.device_statement(bob.phone, bob.phone)
    async with asyncio.timeout(5):
        assert (await bob.ask("POST", "/v1/card", signed.encode())).status == 204
        assert await line.farewell() == "revoked"
        assert (await polling).status == 401
    await (await served.visitor()).deposit(lane, *letters(lane, 1))

    for method, path, body in (
        ("GET", "/v1/status", b""),
        ("GET", "/v1/card", b""),
        ("POST", "/v1/mailbox/collect", encode_frame(Resume(NOWHERE))),
        ("POST", "/v1/mailbox/ack", encode_frame(Ack(NOWHERE))),
    ):
        answer = await lost.ask(method, path, body)
        assert (answer.status, answer.code) == (401, "login-needed")
    again = await lost.login()
    assert (again.status, again.code) == (401, "revoked")
    assert len((await bob.collect())[1].parcels) == 1


async def test_az_07_what_was_caught_is_of_no_use_a_second_time_or_elsewhere(
    served: Served, tmp_path: Path
) -> None:
    async with open_served(tmp_path / "other") as other:
        bob = await served.enrolled()
        lane = await bob.lane()
        anna, eve, eve_there = (
            await served.visitor(), await served.visitor(), await other.visitor()
        )  # fmt: skip

        # The same gateway: each answer is good once.
        opening = await anna.opening(lane)
        assert (await anna.ask("POST", "/v1/deposit", headers=opening)).code == "malformed"
        assert (await eve.ask("POST", "/v1/deposit", headers=opening)).code == "challenge-stale"

        # Another path: what opens one thing opens nothing else.
        opening = await anna.opening(lane)
        fetched = await eve.ask("POST", "/v1/prekeys/fetch", headers=opening)
        assert (fetched.status, fetched.code) == (403, "lane-refused")

        # Another gateway: Eve passes its nonce on to Bob, and Bob's answer on to it.
        nonce = await eve_there.nonce()
        login = Login.sign(bob.phone.signing, channel=served.channel, nonce=nonce)
        answer = await eve_there.ask("POST", "/v1/login", login.encode())
        assert (answer.status, answer.code) == (401, "login-refused")
        made = LaneOpening.make(lane, channel=served.channel, nonce=nonce, purpose="deposit")
        header = {"Homepost-Lane": spelled(made.encode())}
        answer = await (await other.visitor()).ask("POST", "/v1/deposit", headers=header)
        assert (answer.status, answer.code) == (403, "lane-refused")

        # A parcel's proof: it stores that parcel here, once, and nothing there.
        letter = parcel(lane)
        caught = encode_frame(Deposit(1, (anna.prove(lane, letter),)))
        for _ in range(2):
            headers = await anna.opening(lane)
            assert (await anna.ask("POST", "/v1/deposit", caught, headers=headers)).status == 200
        assert await bob.waiting() == 1
        changed = Proved(anna.prove(lane, letter).proof, parcel(lane, id=letter.id))
        headers = await anna.opening(lane)
        body = encode_frame(Deposit(1, (changed,)))
        refused = decode_frame((await anna.ask("POST", "/v1/deposit", body, headers=headers)).data)
        assert isinstance(refused, Results)
        assert [one.result for one in refused.outcomes] == [Result.LANE_REFUSED]


async def refused_lanes(served: Served) -> dict[str, Lane]:
    """Return lanes that nobody may use, by what is wrong with each."""
    bob = await served.enrolled()
    revoked, living = await bob.lane(), await bob.lane()
    assert (await bob.revoke(revoked)).status == 204
    return {
        "unknown": lane_of_nobody(served.channel.gateway),
        "revoked": revoked,
        "foreign": lane_of_nobody(GatewayId(b"F" * 32)),
        "guessed": Lane(living.id, secrets.token_bytes(32)),
    }


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}


async def test_az_10_lanes_that_nobody_may_use_are_all_answered_alike(served: Served) -> None:
    lanes = await refused_lanes(served)
    requests: list[Callable[[Visitor, Lane], Awaitable[Answer]]] = [
        lambda one, lane: _with_lane(one, lane, "POST", "/v1/deposit", bytes(5000)),
        lambda one, lane: _with_lane(one, lane, "GET", "/v1/deposit", b"", **UPGRADE),
        lambda one, lane: _with_lane(one, lane, "POST", "/v1/prekeys/fetch", b""),
    ]
    for request in requests:
        answers = [
            without_date(await request(await served.visitor(), one)) for one in lanes.values()
        ]
        assert answers[0][0] == 403
        assert [one for one in answers if one != answers[0]] == []


async def _with_lane(
    visitor: Visitor, lane: Lane, method: str, path: str, data: bytes, **headers: str
) -> Answer:
    purpose = "prekeys" if "prekeys" in path else "deposit"
    opening = await visitor.opening(lane, purpose)  # type: ignore[arg-type]  # one of the two
    return await visitor.ask(method, path, data, headers={**opening, **headers})


async def test_az_10_parcels_on_lanes_that_nobody_may_use_are_all_answered_alike(
    served: Served,
) -> None:
    lanes = await refused_lanes(served)
    own = await (await served.enrolled()).lane()
    eve = await served.visitor()
    line = LiveLine(await eve.connect("/v1/deposit", await eve.opening(own)))
    outcomes = set[tuple[Result, int]]()
    for one in lanes.values():
        await line.send(Deposit(1, (eve.prove(one, parcel(one)),)))
        [outcome] = (await line.frame(Results)).outcomes
        outcomes.add((outcome.result, outcome.retry_after))

    assert outcomes == {(Result.LANE_REFUSED, 0)}


async def test_az_10_lanes_that_nobody_may_use_are_refused_in_the_same_time(
    served: Served,
) -> None:
    lanes = await refused_lanes(served)
    eve = await served.visitor()
    times: dict[str, list[float]] = {name: [] for name in lanes}
    for _ in range(80):
        for name, lane in lanes.items():
            headers = await eve.opening(lane)
            began = time.perf_counter()
            answer = await eve.ask("POST", "/v1/deposit", headers=headers)
            times[name].append(time.perf_counter() - began)
            assert answer.status == 403
    typical = [sorted(one)[len(one) // 4] for one in times.values()]

    # A missing lane that were refused without a look or a proof would take a fraction of it.
    assert max(typical) < 1.5 * min(typical)


# Deposits


async def test_nf_10_a_deposit_that_is_said_a_hundred_times_is_stored_once(
    served: Served,
) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    eve = await served.visitor()
    letter = parcel(lane)
    line = LiveLine(await eve.connect("/v1/deposit", await eve.opening(lane)))
    answers = set[tuple[Outcome, ...]]()
    for _ in range(100):
        await line.send(Deposit(1, (eve.prove(lane, letter),)))
        answers.add((await line.frame(Results)).outcomes)

    assert answers == {(Outcome(letter.id, Result.STORED, 0),)}
    hello, found = await bob.collect()
    assert [one.parcel for one in found.parcels] == [letter]

    await bob.ask("POST", "/v1/mailbox/ack", encode_frame(Ack(at(hello.epoch, found))))
    await line.send(Deposit(1, (eve.prove(lane, letter),)))
    assert (await line.frame(Results)).outcomes in answers  # collected or not, the same answer
    assert await bob.waiting() == 0


async def test_nf_10_deposits_in_any_order_and_twice_are_each_stored_once(
    served: Served,
) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    sent = letters(lane, 300)
    shuffled = random.Random(20261125).sample(sent * 2, 600)  # noqa: S311  # an order, no secret
    lines = []
    for _ in range(4):
        anna = await served.visitor()
        lines.append((anna, LiveLine(await anna.connect("/v1/deposit", await anna.opening(lane)))))

    async def hand_in(number: int) -> None:
        anna, line = lines[number]
        own = shuffled[number::4]
        for start in range(0, len(own), 30):
            some = tuple(anna.prove(lane, one) for one in own[start : start + 30])
            await line.send(Deposit(start, some))
            assert {one.result for one in (await line.frame(Results)).outcomes} == {Result.STORED}

    await asyncio.gather(*(hand_in(number) for number in range(4)))

    found = await take(await bob.live(), 300)
    assert sorted(one.raw for one in found) == sorted(one.id.raw for one in sent)


async def take(live: LiveLine, count: int) -> list[ParcelId]:
    """Take `count` parcels off a live line, acknowledging each frame."""
    ids: list[ParcelId] = []
    while len(ids) < count:
        found = await live.frame(Parcels)
        ids += [one.parcel.id for one in found.parcels]
        await live.acknowledge(found)
    return ids


@pytest.mark.parametrize("length", [0, 255, 1 << 20, (1 << 20) + 1, 1 << 31, (1 << 32) - 1])
async def test_bi_05_a_parcel_that_lies_about_its_length_is_refused(
    served: Served, length: int
) -> None:
    lane = await (await served.enrolled()).lane()
    eve = await served.visitor()
    letter = parcel(lane)
    head = struct.pack(">B16s16sB32sI", 1, lane.id.raw, letter.id.raw, 1, bytes(32), length)
    body = b"\x20" + struct.pack(">IH", 1, 1) + bytes(16) + head + letter.body
    before = memory()

    answer = await eve.ask("POST", "/v1/deposit", body, headers=await eve.opening(lane))

    assert (answer.status, answer.code) == (400, "malformed")
    assert memory() - before < 16 * MIB


@pytest.mark.parametrize("count", [0, 2, 65, 65_535])
async def test_bi_05_a_deposit_that_lies_about_its_count_is_refused(
    served: Served, count: int
) -> None:
    lane = await (await served.enrolled()).lane()
    eve = await served.visitor()
    one = eve.prove(lane, parcel(lane))
    body = b"\x20" + struct.pack(">IH", 1, count) + one.proof + one.parcel.encode()

    answer = await eve.ask("POST", "/v1/deposit", body, headers=await eve.opening(lane))

    assert (answer.status, answer.code) == (400, "malformed")


async def test_cr_18_whoever_hangs_up_before_the_answer_leaves_all_or_nothing(
    served: Served,
) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    batches = [letters(lane, 4) for _ in range(100)]
    anna = await served.visitor()
    for number, batch in enumerate(batches):
        body = encode_frame(Deposit(1, tuple(anna.prove(lane, one) for one in batch)))
        [(name, value)] = (await anna.opening(lane)).items()
        _, writer = await served.raw()
        writer.write(
            f"POST /v1/deposit HTTP/1.1\r\nHost: box\r\n{name}: {value}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        await asyncio.sleep(number % 10 / 1000)  # at another moment of the work each time
        writer.transport.abort()

    began = time.monotonic()
    assert await anna.deposit(lane, parcel(lane)) == [Result.STORED]
    assert time.monotonic() - began < 1.0
    live = await bob.live()
    total = await bob.waiting()
    assert isinstance(total, int)
    stored = set(await take(live, total))
    whole = [{one.id for one in batch} <= stored for batch in batches]
    touched = [bool({one.id for one in batch} & stored) for batch in batches]
    assert whole == touched
    assert any(whole)
    for batch in batches:
        assert await anna.deposit(lane, *batch) == [Result.STORED] * 4


# Nasty bytes


SMUGGLED = b"POST /v1/challenge HTTP/1.1\r\nHost: box\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED),
        b"Content-Length: 0\n\n",
        b"X: y\r\n Content-Length: 0\r\n\r\n",
    ],
)
async def test_bi_07_a_request_in_two_readings_gets_one_refusal_and_nothing_behind_it(
    served: Served, framing: bytes
) -> None:
    answer = await served.say(b"POST /v1/challenge HTTP/1.1\r\nHost: box\r\n" + framing + SMUGGLED)

    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1 ") == 1


NASTY = [
    frame(b"text", opcode=1),
    frame(b"unmasked", masked=False),
    frame(b"", opcode=2),
    frame(b"\x00\x01", opcode=8),
    frame(b"\x03\xeb\xff", opcode=8),
    frame(bytes(200), opcode=9),
    frame(b"reserved", opcode=5),
    frame(b"packed", rsv1=True),
    frame(bytes(125), opcode=9) * 200 + frame(b"x", opcode=1),
]


@pytest.mark.parametrize("path", ["/v1/mailbox", "/v1/deposit"])
@pytest.mark.parametrize("nasty", NASTY)
async def test_bi_11_a_message_that_is_none_ends_the_connection_and_leaves_no_trace(
    served: Served, path: str, nasty: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    anna = await served.visitor()
    headers = bob.auth if path == "/v1/mailbox" else await anna.opening(lane)
    lines = [f"{name}: {value}" for name, value in {**UPGRADE, **headers}.items()]
    head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: box", *lines, "", ""])

    answer = await _talk(served, head, nasty)

    assert answer.startswith(b"HTTP/1.1 101")
    assert caplog.text == ""
    assert await anna_still(served, lane)


async def _talk(served: Served, head: str, nasty: bytes) -> bytes:
    """Upgrade, say something nasty, return all that comes until the end."""
    reader, writer = await served.raw()
    writer.write(head.encode())
    found = await reader.readuntil(b"\r\n\r\n")
    writer.write(nasty)
    async with asyncio.timeout(10):
        try:
            return found + await reader.read()
        except ConnectionError:
            return found


async def anna_still(served: Served, lane: Lane) -> bool:
    """Return whether somebody else is served as before."""
    return await (await served.visitor()).deposit(lane, parcel(lane)) == [Result.STORED]


async def test_ds_01_messages_that_would_unpack_to_a_gigabyte_take_no_memory(
    served: Served,
) -> None:
    packer = zlib.compressobj(9, wbits=-15)
    zeros = bytes(16 * MIB)
    bomb = b"".join(packer.compress(zeros) for _ in range(64)) + packer.flush(zlib.Z_SYNC_FLUSH)
    lane = await (await served.enrolled()).lane()
    extension = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    before = memory()

    async def attack() -> None:
        eve = await served.visitor()
        headers = {**UPGRADE, **extension, **await eve.opening(lane)}
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(["GET /v1/deposit HTTP/1.1", "Host: box", *lines, "", ""])
        answer = await _talk(served, head, frame(bomb, rsv1=True))
        assert b"deflate" not in answer

    assert len(bomb) < 2 * MIB
    await asyncio.gather(*(attack() for _ in range(5)))

    assert memory() - before < 5 * 2 * len(bomb) + 32 * MIB  # what the attackers hold themselves
    assert await anna_still(served, lane)


async def test_ds_05_half_sent_bodies_of_strangers_take_no_memory_and_end(
    served: Served,
) -> None:
    lane = await (await served.enrolled()).lane()
    before = memory()

    async def attack() -> bytes:
        reader, writer = await served.raw()
        writer.write(b"POST /v1/deposit HTTP/1.1\r\nHost: box\r\nContent-Length: %d\r\n\r\n" % MIB)
        writer.write(bytes(MIB // 2))
        async with asyncio.timeout(15):
            return await reader.read()

    answers = await asyncio.gather(*(attack() for _ in range(60)))

    assert {one[:12] for one in answers} == {b"HTTP/1.1 403"}
    assert memory() - before < 60 * MIB // 2 + 32 * MIB  # half of it is the attackers' own
    assert await anna_still(served, lane)
