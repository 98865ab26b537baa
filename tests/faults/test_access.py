"""Others' names, old words and altered bytes open nothing, and say nothing."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.faults.adapter import Box, letters, open_box, pair
from tests.faults.connection import Connection, Refused, spelled
from tests.faults.oracle import collect_and_check, look_inside
from tests.gateway.phones import asks
from tests.gateway.sync.people import Person, Phone
from wire.auth import Channel, LaneOpening, Login, Purpose
from wire.codec import encode
from wire.frames import (
    Ack,
    Bye,
    Cursor,
    Deposit,
    Proved,
    Result,
    Results,
    decode_frame,
    encode_frame,
)
from wire.ids import CursorEpoch, DeviceKey, GatewayId, LaneId, ParcelId
from wire.lanes import Lane, LaneSecret
from wire.pairing import MAX_TRIES, PairingState
from wire.parcel import Lifetime
from wire.prekeys import encode_upload

PROMPT: Final = 5.0
"""Seconds within which somebody who was revoked is out."""
PURPOSES: Final[dict[str, Purpose]] = {"/v1/deposit": "deposit", "/v1/prekeys/fetch": "prekeys"}
"""What a lane can be shown for, by where."""


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path / "box") as opened:
        await opened.start()
        yield opened


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path / "other") as opened:
        await opened.start()
        yield opened


def flipped(data: bytes, at: int = 0) -> bytes:
    """Return `data` with one bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


# Others' names


async def test_az_02_anothers_ids_are_as_good_as_none(box: Box) -> None:
    """AZ-02: ids of another seat, in one's own requests: answered as if they did not exist."""
    phone, neighbour = await box.enrol(), await box.enrol()
    sender = await phone.sender()
    await sender.deposit(letters(sender.lane, 3))
    fetched = await phone.fetch()
    theirs = Cursor(phone.cursor.epoch, 3, fetched[2].parcel.id)
    nobodys = Cursor(CursorEpoch(secrets.token_bytes(16)), 3, ParcelId(secrets.token_bytes(16)))
    lane, no_lane = sender.lane.id, LaneId(secrets.token_bytes(16))
    await neighbour.fetch()

    async def same(method: str, path: str, real: bytes, made_up: bytes) -> None:
        answers = [await neighbour.ask(method, path, one) for one in (real, made_up)]
        assert answers[0].visible == answers[1].visible, path

    await same("POST", "/v1/lanes/revoke", *(_revocation(one) for one in (lane, no_lane)))
    await same("POST", "/v1/prekeys/reset", lane.raw, no_lane.raw)
    await same("POST", "/v1/mailbox/ack", *(encode_frame(Ack(one)) for one in (theirs, nobodys)))
    assert (await neighbour.fetch(), await neighbour.drain()) == ((), [])

    assert await sender.deposit(letters(sender.lane, 1)) == [Result.STORED]
    found = await phone.drain()
    assert {one.parcel.id for one in found} == box.ledger.stored


def _revocation(lane: LaneId) -> bytes:
    return encode({0: 1, 1: 0, 2: [lane.raw]})


async def lanes_of_nobody(box: Box) -> dict[str, Lane]:
    """Return lanes on which nobody may deposit, by the reason; none of them may show."""
    phone = await box.enrol()
    good, revoked = await phone.lane(), await phone.lane()
    await phone.must("POST", "/v1/lanes/revoke", _revocation(revoked.id))
    here = phone.connection.channel.gateway
    elsewhere = LaneSecret(secrets.token_bytes(32)).at(GatewayId(b"e" * 32))
    return {
        "unknown": LaneSecret(secrets.token_bytes(32)).at(here),
        "revoked": revoked,
        "there, without its key": Lane(good.id, secrets.token_bytes(32)),
        "of another gateway": elsewhere,
    }


@pytest.mark.parametrize("path", PURPOSES)
async def test_az_10_unknown_and_forbidden_lanes_look_alike(box: Box, path: str) -> None:
    """AZ-10: a lane that is not there and one that is another's: same status, headers, body."""
    lanes = await lanes_of_nobody(box)
    connection = await box.connect()

    answers = {
        why: await connection.ask(
            "POST", path, headers=await connection.opening(lane, PURPOSES[path])
        )
        for why, lane in lanes.items()
    }
    sockets = [
        await (await box.connect()).handshake("/v1/deposit", await connection.opening(lane))
        for lane in lanes.values()
    ]

    assert len({one.visible for one in answers.values()}) == 1
    assert {one.code for one in answers.values()} == {"lane-refused"}
    assert set(sockets) == {403}


async def test_az_10_a_holder_of_one_lane_learns_nothing_of_others(box: Box) -> None:
    """AZ-10: parcels on other lanes in one frame: each is refused in the same word."""
    lanes = await lanes_of_nobody(box)
    sender = await (await box.enrol()).sender()
    here = sender.connection.channel.gateway
    mixed = [(one, letters(one, 1)[0]) for one in lanes.values()]
    frame = Deposit(1, tuple(Proved(one.proof(lane, gateway=here), one) for lane, one in mixed))

    headers = await sender.connection.opening(sender.lane)
    data = await sender.connection.must("POST", "/v1/deposit", encode_frame(frame), headers=headers)

    results = decode_frame(data)
    assert isinstance(results, Results)
    assert {(one.result, one.retry_after) for one in results.outcomes} == {(Result.LANE_REFUSED, 0)}


# Who was let in and is not any more


async def test_az_03_a_revoked_phone_is_out_at_once(box: Box) -> None:
    """AZ-03: revoked with its mailbox open and a poll waiting: both end, and it stays out."""
    kept, lost = Phone(), Phone()
    person = Person(kept, lost)
    phone, revoked = await box.enrol(person, kept), await box.enrol(person, lost)
    sender = await phone.sender()
    live = await revoked.live()
    waiting = asyncio.create_task(revoked.fetch(wait=25))
    await revoked.connection.nonce()  # what was asked before this is being answered

    assert (await phone.revoke(revoked)).status == 204
    async with asyncio.timeout(PROMPT):
        message = await live.receive()
        assert decode_frame(message.data) == Bye("revoked")
        assert (await live.receive()).type is aiohttp.WSMsgType.CLOSE
        with pytest.raises(Refused, match="login-needed"):
            await waiting

    await sender.deposit(letters(sender.lane, 1))
    assert (await revoked.ask("GET", "/v1/status")).code == "login-needed"
    assert (await revoked.login()).code == "revoked"
    await collect_and_check(box, phone)  # its cursor holds nothing back
    await box.stop()
    assert look_inside(box.store).parcels == ()


async def test_az_03_the_phones_of_a_removed_seat_are_out_at_once(box: Box) -> None:
    """AZ-03: the owner removes a seat whose phone is connected; nothing of it is left."""
    phone, neighbour = await box.enrol(), await box.enrol()
    sender = await phone.sender()
    await sender.deposit(letters(sender.lane, 1))
    live = await phone.live()
    [mine] = [one for one in (await box.owner.ask("GET", "/seats"))["seats"] if one["waiting"]]

    await box.owner.ask("DELETE", f"/seats/{mine['seat']}")
    async with asyncio.timeout(PROMPT):
        while (message := await live.receive()).type is aiohttp.WSMsgType.BINARY:
            last = decode_frame(message.data)

    assert last == Bye("login-needed")
    assert (await phone.ask("GET", "/v1/status")).code == "login-needed"
    assert (await phone.login()).code == "login-refused"
    with pytest.raises(Refused, match="lane-refused"):
        await sender.deposit(letters(sender.lane, 1))
    assert await neighbour.fetch() == ()
    await box.stop()
    assert look_inside(box.store).seats == 1


# Web pages

PAGES: Final = {
    "Host: evil.example": (421, "wrong-host"),
    "Host: 127.0.0.1.evil.example:4433": (421, "wrong-host"),
    "Host: box.example": (421, "wrong-host"),
    "Host: 127.0.0.1\r\nOrigin: https://evil.example": (403, "web-page"),
    "Host: 127.0.0.1\r\nOrigin: https://127.0.0.1": (403, "web-page"),
    "Host: 127.0.0.1\r\nOrigin: null": (403, "web-page"),
    "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site": (403, "web-page"),
}
"""What browsers send for a page, and how it is refused."""
UPGRADE: Final = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


async def test_az_12_a_page_that_borrows_our_address_is_refused(box: Box) -> None:
    """AZ-12: foreign Host, Origin, null Origin, on HTTP and WS, also with a good bearer or lane."""
    phone = await box.enrol()
    bearer = (await phone.auth())["Authorization"]
    opening = await phone.connection.opening(await phone.lane())
    ways = {
        "POST /v1/challenge": "",
        "GET /v1/status": f"Authorization: {bearer}\r\n",
        "GET /v1/mailbox": f"{UPGRADE}Authorization: {bearer}\r\n",
        "GET /v1/deposit": f"{UPGRADE}Homepost-Lane: {opening['Homepost-Lane']}\r\n",
    }
    for way, more in ways.items():
        for page, (status, code) in PAGES.items():
            answer = await said(phone.connection, f"{way} HTTP/1.1\r\n{page}\r\n{more}\r\n")
            assert answer.startswith(f"HTTP/1.1 {status}"), (way, page)
            assert answer.endswith(f'{{"error": "{code}"}}'), (way, page)

    assert box.logged.count("evil.example and was refused") == 1
    assert (await phone.ask("GET", "/v1/status")).status == 200


async def test_az_12_a_host_that_the_owner_named_is_answered(box: Box) -> None:
    """AZ-12: the same with the name in the setting `hosts`, however it is spelled."""
    await box.stop()
    await box.start("--hosts", "box.example:8443,192.168.1.20")
    connection = await box.connect()
    for host in ("box.example", "BOX.example:4433", "192.168.7.7", "[fd00::7]:1", "pi", "pi.local"):
        request = f"POST /v1/challenge HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        assert (await said(connection, request)).startswith("HTTP/1.1 200"), host


async def test_az_12_the_owners_commands_are_on_a_socket_of_his_own(box: Box) -> None:
    """AZ-12: what the owner may ask is at no port: all of it is `not-found` there."""
    connection = await box.connect()
    for method, path in (("GET", "/status"), ("GET", "/seats"), ("POST", "/pair")):
        assert (await connection.ask(method, path)).code == "not-found"
    assert (box.data / "control.sock").stat().st_mode & 0o777 == 0o600


async def said(connection: Connection, request: str) -> str:
    """Say something on a connection of its own; return all that is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", connection.port, ssl=connection.tls)
    writer.write(request.encode())
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer.decode("latin-1")


# Pairing codes


async def test_az_04_a_code_is_good_for_one_phone(box: Box) -> None:
    """AZ-04: a second phone with the same code is told that it was used; the first goes on."""
    id, code = await box.show()
    connection = await box.connect()
    first = asks(code, channel=connection.channel)
    await pair(connection, first)

    with pytest.raises(Refused, match="code-used"):
        await pair(connection, asks(code, channel=connection.channel))

    await box.say(id, same=True)
    answer = await pair(connection, replace(first, confirmed=True))
    assert answer.state is PairingState.PAIRED
    with pytest.raises(Refused, match="code-used"):
        await pair(connection, asks(code, channel=connection.channel))
    check_log(box, code.text(), code.secret)


async def test_az_04_a_code_ends_with_its_time(box: Box) -> None:
    """AZ-04: after its time the right code is refused."""
    id, code = await box.show(seconds=1)
    connection = await box.connect()
    ended = await box.owner.ask("GET", f"/pair/{id}?wait=30", wait=30)

    assert ended["state"] == "expired"
    with pytest.raises(Refused, match="code-expired"):
        await pair(connection, asks(code, channel=connection.channel))
    check_log(box, code.text(), code.secret)


async def test_az_04_wrong_tries_burn_the_code(box: Box) -> None:
    """AZ-04: after five guesses even the right code is refused, until a new one is shown."""
    _, code = await box.show()
    connection = await box.connect()
    for _ in range(MAX_TRIES):
        with pytest.raises(Refused, match="code-wrong"):
            await pair(connection, asks(secrets.token_bytes(16), channel=connection.channel))

    with pytest.raises(Refused, match="too-many-tries"):
        await pair(connection, asks(code, channel=connection.channel))

    check_log(box, code.text(), code.secret)
    assert await box.enrol()


def check_log(box: Box, code: str, secret: bytes) -> None:
    """Check that nothing of a code is in the log."""
    spellings = [code, code[5:], secret.hex(), base64.b64encode(secret).decode(), spelled(secret)]
    assert not [one for one in spellings if one in box.logged]


# Words that were said before, elsewhere, or otherwise


async def test_az_07_a_login_is_good_once_and_here(box: Box, other: Box) -> None:
    """AZ-07: a login that was seen is refused a second time, and at another gateway."""
    phone = await box.enrol()
    connection, far = await box.connect(), await other.connect()
    nonce = await connection.nonce()
    login = Login.sign(phone.phone.signing, channel=connection.channel, nonce=nonce).encode()

    assert (await connection.ask("POST", "/v1/login", login)).status == 200
    assert (await connection.ask("POST", "/v1/login", login)).code == "challenge-stale"
    assert (await far.ask("POST", "/v1/login", login)).code == "challenge-stale"
    theirs = await far.nonce()  # as a gateway would that wants to use us at the other
    relayed = Login.sign(phone.phone.signing, channel=connection.channel, nonce=theirs)
    assert (await far.ask("POST", "/v1/login", relayed.encode())).code == "login-refused"


async def test_az_07_a_lanes_proof_is_good_once_here_and_for_one_thing(
    box: Box, other: Box
) -> None:
    """AZ-07: an opening that was seen opens nothing more, here, elsewhere or at another path."""
    phone = await box.enrol()
    await phone.must("POST", "/v1/prekeys", encode_upload(tuple(phone.phone.prekeys(one_time=2))))
    sender = await phone.sender()
    connection, far = sender.connection, await other.connect()
    headers = await connection.opening(sender.lane)
    [letter] = letters(sender.lane, 1)

    async def refused(by: Connection, path: str, headers: dict[str, str]) -> str | None:
        return (await by.ask("POST", path, sender.frame([letter]), headers=headers)).code

    assert await refused(connection, "/v1/prekeys/fetch", headers) == "lane-refused"
    assert (
        await connection.ask("POST", "/v1/deposit", sender.frame([letter]), headers=headers)
    ).status == 200
    assert await refused(connection, "/v1/deposit", headers) == "challenge-stale"
    assert await refused(far, "/v1/deposit", headers) == "challenge-stale"
    theirs = await connection.opening(sender.lane, nonce=await far.nonce())
    assert await refused(far, "/v1/deposit", theirs) == "lane-refused"
    assert [one.parcel for one in await phone.drain()] == [letter]


async def test_az_07_a_parcels_proof_is_good_at_one_gateway(box: Box, other: Box) -> None:
    """AZ-07: a parcel that was recorded here, handed in elsewhere on the same secret's lane."""
    here, there = await box.enrol(), await other.enrol()
    sender, far = await here.sender(), await there.sender()
    [letter] = letters(far.lane, 1)
    gateway = sender.connection.channel.gateway
    proved = Proved(letter.proof(far.lane, gateway=gateway), letter)  # for the wrong gateway

    data = await far.connection.must(
        "POST",
        "/v1/deposit",
        encode_frame(Deposit(1, (proved,))),
        headers=await far.connection.opening(far.lane),
    )

    results = decode_frame(data)
    assert isinstance(results, Results)
    assert results.outcomes[0].result is Result.LANE_REFUSED


async def test_az_07_a_statement_is_good_on_one_card_and_not_twice(box: Box) -> None:
    """AZ-07: a statement that was seen changes nothing again, and nothing on another card."""
    kept, lost = Phone(), Phone()
    person = Person(kept, lost)
    phone, revoked = await box.enrol(person, kept), await box.enrol(person, lost)
    neighbour = await box.enrol()
    before = person.card.chain[-1]
    assert (await phone.revoke(revoked)).status == 204
    after = person.card.chain
    card = await phone.must("GET", "/v1/card")

    assert (await phone.ask("POST", "/v1/card", after[-1])).status == 204
    assert (await phone.ask("POST", "/v1/card", before)).status in (204, 409)
    assert await phone.must("GET", "/v1/card") == card
    assert (await revoked.login()).code == "revoked"
    theirs = await neighbour.must("GET", "/v1/card")
    assert (await neighbour.ask("POST", "/v1/card", after[-1])).code == "card-rejected"
    assert await neighbour.must("GET", "/v1/card") == theirs


async def test_az_07_prekeys_that_were_handed_out_do_not_come_back(box: Box) -> None:
    """AZ-07: an upload that was seen and is repeated brings back no key that was handed out."""
    phone = await box.enrol()
    upload = encode_upload(tuple(phone.phone.prekeys(one_time=3, kem=3)))
    await phone.must("POST", "/v1/prekeys", upload)
    sender = await phone.sender()
    opening = await sender.connection.opening(sender.lane, "prekeys")
    await sender.connection.must("POST", "/v1/prekeys/fetch", headers=opening)
    counts = await phone.must("GET", "/v1/prekeys")

    await phone.must("POST", "/v1/prekeys", upload)

    assert await phone.must("GET", "/v1/prekeys") == counts


async def test_az_08_a_login_with_any_part_altered_is_refused(box: Box) -> None:
    """AZ-08: device, nonce, signature, gateway, certificate: each is covered."""
    phone, neighbour = await box.enrol(), await box.enrol()
    connection = await box.connect()
    here = connection.channel

    async def code(change: Callable[[Login], Login], channel: Channel = here) -> str | None:
        made = Login.sign(phone.phone.signing, channel=channel, nonce=await connection.nonce())
        return (await connection.ask("POST", "/v1/login", change(made).encode())).code

    assert await code(lambda one: one) is None
    assert await code(lambda one: replace(one, device=neighbour.phone.key)) == "login-refused"
    assert (
        await code(lambda one: replace(one, device=DeviceKey(flipped(one.device.raw))))
        == "login-refused"
    )
    assert await code(lambda one: replace(one, nonce=flipped(one.nonce))) == "challenge-stale"
    for at in (0, 31, 32, 63):
        assert await code(partial(_with_signature, at=at)) == "login-refused"
    elsewhere = Channel(GatewayId(b"e" * 32), here.certificate_hash)
    assert await code(lambda one: one, elsewhere) == "login-refused"
    other_tls = Channel(here.gateway, secrets.token_bytes(32))
    assert await code(lambda one: one, other_tls) == "login-refused"


def _with_signature(login: Login, at: int) -> Login:
    return replace(login, signature=flipped(login.signature, at))


async def test_az_08_an_opening_with_any_part_altered_is_refused(box: Box) -> None:
    """AZ-08: lane, nonce, proof, gateway, certificate, purpose: each is covered."""
    phone = await box.enrol()
    sender, second = await phone.sender(), await phone.lane()
    connection = sender.connection

    async def code(change: Callable[[LaneOpening], LaneOpening]) -> str | None:
        nonce = await connection.nonce()
        made = LaneOpening.make(
            sender.lane, channel=connection.channel, nonce=nonce, purpose="deposit"
        )
        headers = {"Homepost-Lane": spelled(change(made).encode())}
        return (await connection.ask("POST", "/v1/deposit", headers=headers)).code

    assert await code(lambda one: one) == "malformed"  # it was let in, with an empty frame
    assert await code(lambda one: replace(one, lane=second.id)) == "lane-refused"
    assert await code(lambda one: replace(one, nonce=flipped(one.nonce))) == "challenge-stale"
    assert await code(lambda one: replace(one, proof=flipped(one.proof, 15))) == "lane-refused"


async def test_az_08_a_parcel_with_any_part_altered_is_refused(box: Box) -> None:
    """AZ-08: proof, lane, id, life, purge hash, length, body: each is covered by the proof."""
    phone = await box.enrol()
    sender, second = await phone.sender(), await phone.lane()
    [letter] = letters(sender.lane, 1)
    proof = letter.proof(sender.lane, gateway=sender.connection.channel.gateway)
    altered = [
        Proved(flipped(proof), letter),
        Proved(proof, replace(letter, lane=second.id)),
        Proved(proof, replace(letter, id=ParcelId(flipped(letter.id.raw)))),
        Proved(proof, replace(letter, lifetime=Lifetime.DAY)),
        Proved(proof, replace(letter, purge=flipped(letter.purge, 31))),
        Proved(proof, replace(letter, body=flipped(letter.body, 255))),
        Proved(proof, replace(letter, body=letter.body + letter.body)),
    ]

    data = await sender.connection.must(
        "POST",
        "/v1/deposit",
        encode_frame(Deposit(1, tuple(altered))),
        headers=await sender.connection.opening(sender.lane),
    )

    results = decode_frame(data)
    assert isinstance(results, Results)
    assert {one.result for one in results.outcomes} == {Result.LANE_REFUSED}
    assert await phone.fetch() == ()


async def test_az_08_a_statement_with_any_part_altered_is_refused(box: Box) -> None:
    """AZ-08: a card's next statement with one bit changed, wherever: refused, nothing changes."""
    kept, lost = Phone(), Phone()
    person = Person(kept, lost)
    phone = await box.enrol(person, kept)
    signed = person.device_statement(kept, kept).encode()
    card = await phone.must("GET", "/v1/card")

    for at in range(0, len(signed), 7):
        answer = await phone.ask("POST", "/v1/card", flipped(signed, at))
        assert answer.status in (400, 409), at
        assert answer.code, at

    assert await phone.must("GET", "/v1/card") == card
    assert (await phone.ask("POST", "/v1/card", signed)).status == 204
