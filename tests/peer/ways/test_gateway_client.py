"""What phones ask gateways: pinned, apart, and never at the mercy of who answers."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from nacl.signing import SigningKey

import peer.ways.connection as connection_module
from peer.errors import GatewayNotThere, GatewayRefused, PeerError, WrongGateway
from peer.ways.connection import MAX_ANSWER, Connection, Destination, connect
from peer.ways.gateway_client import DepositClient, GatewayClient, patiently
from tests.gateway.mailbox.house import parcel
from tests.peer.household import PATIENCE, Box, Household, Phone, befriend, household, they_write
from tests.peer.stranger import (
    Answer,
    Answers,
    Asked,
    Keys,
    Stranger,
    asking,
    endless,
    http,
    lets_in,
    nothing_new,
    once,
    stranger,
    to,
)
from wire.auth import BEARER_SECONDS, Channel, Login
from wire.codec import encode
from wire.frames import NOWHERE, Hello, Outcome, Proved, Result, Results, encode_frame
from wire.ids import DeviceKey, SlotId
from wire.lanes import Lane, LaneSecret
from wire.pairing import PairRequest

PHONE: Final = SigningKey.generate()
DEVICE: Final = DeviceKey(bytes(PHONE.verify_key))
SLOT: Final = SlotId(bytes(16))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Return the gateway that we ask."""
    return Keys(tmp_path)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


def signs(*, channel: Channel, nonce: bytes) -> Login:
    """Answer a challenge."""
    return Login.sign(PHONE, channel=channel, nonce=nonce)


# A gateway that answers what is no answer


def lane(keys: Keys) -> Lane:
    """Return a lane there."""
    return LaneSecret(bytes(32)).at(keys.gateway)


def proved(keys: Keys) -> Proved:
    """Return a parcel with its proof."""
    one = parcel(lane(keys))
    return Proved(one.proof(lane(keys), gateway=keys.gateway), one)


Call = Callable[[Keys, Connection], Awaitable[object]]


async def pair(keys: Keys, connection: Connection) -> object:
    """Ask for a seat."""
    channel = await connection.channel()
    request = PairRequest.make(
        bytes(16), channel=channel, device=DEVICE, exchange_key=b"x" * 32, chain=(b"card",)
    )
    return await GatewayClient(connection, signs).pair(request)


def as_device(ask: Callable[[GatewayClient], Awaitable[object]]) -> Call:
    """Ask as a device of a seat."""
    return lambda keys, connection: ask(GatewayClient(connection, signs))


async def listen(client: GatewayClient) -> object:
    """Open the mailbox and take what comes first."""
    async with client.mailbox(NOWHERE) as mailbox:
        return await mailbox.next()


UNDERSTOOD: Final[dict[str, Call]] = {
    "pair": pair,
    "prekey counts": as_device(lambda client: client.prekey_counts()),
    "status": as_device(lambda client: client.status()),
    "collect": as_device(lambda client: client.collect(NOWHERE)),
    "listen": as_device(listen),
    "deposit": lambda keys, connection: DepositClient(connection).deposit(
        lane(keys), [proved(keys)]
    ),
    "bundles": lambda keys, connection: DepositClient(connection).bundles(lane(keys)),
}
"""Calls whose answers are read."""
OBEYED: Final[dict[str, Call]] = {
    "card": as_device(lambda client: client.put_card(b"statement")),
    "prekeys": as_device(lambda client: client.upload_prekeys(())),
    "lanes": as_device(lambda client: client.mint_lanes([], rests_on=1)),
    "revoke": as_device(lambda client: client.revoke_lanes([], rests_on=1)),
    "acknowledge": as_device(lambda client: client.acknowledge(NOWHERE)),
    "open slot": as_device(lambda client: client.open_slot(SLOT)),
    "write slot": as_device(lambda client: client.write_slot(SLOT, 2, b"two")),
    "write as guest": lambda keys, connection: DepositClient(connection).write_slot(
        SLOT, 1, b"one", side=bytes(16)
    ),
}
"""Calls of which only the status is looked at."""
ALL: Final = {**UNDERSTOOD, **OBEYED}

PAGE: Final = b"<!doctype html><title>Router</title><h1>Please log in</h1>"
NO_ANSWERS: Final[dict[str, bytes]] = {
    "nothing": http(body=b""),
    "a web page": http(body=PAGE, kind="text/html"),
    "zeros": http(body=bytes(4096)),
    "a list": http(body=encode([])),
    "another map": http(body=encode({7: b"seven"})),
    "another version": http(body=encode({0: 99, 1: b"x"})),
    "map without end": http(body=b"\xbf"),
    "deep lists": http(body=b"\x81" * 50_000),
    "a lie of a length": http(body=b"\x5b" + b"\xff" * 8),
    "a frame with a lie of a length": http(body=b"\xff\xff\xff\xff\x01"),
    "a cut frame": http(body=b"\x00\x00\x00\x05\x01"),
    "deep JSON": http(body=b"[" * 100_000),
    "JSON of another kind": http(body=b"[1, 2, 3]", kind="application/json"),
    "a huge number": http(body=b'{"waiting": ' + b"9" * 5000 + b"}"),
}
"""Answers that say 200 and mean nothing."""
BROKEN: Final[dict[str, bytes]] = {
    "the end": b"",
    "another protocol": b"220 mail.example ESMTP\r\n",
    "half an answer": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok.",
    "a bad chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    "a long head": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000_000 + b"\r\n\r\n",
    "a lie about packing": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n"
    b"content-length: 2\r\n\r\nno",
}
"""Answers that are no HTTP, or not all of it."""
REFUSALS: Final[dict[str, bytes]] = {
    "an error page": http(500, PAGE, kind="text/html"),
    "an empty refusal": http(403),
    "a list": http(404, b'["error"]', kind="application/json"),
    "a number for a code": http(400, b'{"error": 7}', kind="application/json"),
    "deep JSON": http(400, b"[" * 100_000, kind="application/json"),
    "login needed, always": http(401, b'{"error": "login-needed"}', kind="application/json"),
    "odd facts": http(429, b'{"error": "busy", "retry_after": "soon"}', kind="application/json"),
    "no status of ours": http(299 + 1, b""),
    "nothing changed": http(304),
}


@asynccontextmanager
async def hostile(keys: Keys, answer: Callable[[], Answer]) -> AsyncIterator[Stranger]:
    """Let the right gateway answer the same to everything but the login."""

    def beyond(asked: Asked) -> Answer:
        return answer()

    async with stranger(keys.certificate(), lets_in(beyond)) as there:
        yield there


@pytest.mark.parametrize("what", NO_ANSWERS)
async def test_an_answer_that_means_nothing_ends_in_a_sentence(keys: Keys, what: str) -> None:
    async with hostile(keys, lambda: NO_ANSWERS[what]) as there:
        for call in UNDERSTOOD.values():
            async with asking(keys, there) as connection:
                with pytest.raises(PeerError):
                    await call(keys, connection)


@pytest.mark.parametrize("what", BROKEN)
async def test_what_is_no_whole_answer_ends_in_a_sentence(keys: Keys, what: str) -> None:
    async with hostile(keys, lambda: once(BROKEN[what])) as there:
        for call in UNDERSTOOD.values():
            async with asking(keys, there) as connection:
                with pytest.raises(PeerError):
                    await call(keys, connection)
        for call in OBEYED.values():
            if what != "a lie about packing":  # nobody unpacks where only the status counts
                async with asking(keys, there) as connection:
                    with pytest.raises(PeerError):
                        await call(keys, connection)


@pytest.mark.parametrize("what", REFUSALS)
async def test_a_refusal_in_whatever_form_ends_in_a_sentence(keys: Keys, what: str) -> None:
    async with hostile(keys, lambda: REFUSALS[what]) as there:
        for call in ALL.values():
            async with asking(keys, there) as connection:
                with pytest.raises(GatewayRefused) as refusal:
                    await call(keys, connection)
                assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    "answer",
    [http(body=PAGE), http(body=b""), http(body=encode({0: 1})), http(500), None],
    ids=["page", "nothing", "no bearer", "error", "the end"],
)
@pytest.mark.parametrize("step", ["/v1/challenge", "/v1/login"])
async def test_a_login_that_is_not_answered_ends_in_a_sentence(
    keys: Keys, step: str, answer: Answer
) -> None:
    def answers(asked: Asked) -> Answer:
        if asked.path == step:
            return answer
        return http(body=bytes(32))

    async with stranger(keys.certificate(), answers) as there, asking(keys, there) as connection:
        with pytest.raises(PeerError):
            await GatewayClient(connection, signs).status()


async def test_a_refusals_code_cannot_write_to_the_terminal(keys: Keys) -> None:
    code = "\x1b]0;owned\x07\x1b[2J say \u202e yes"
    refusal = http(403, json.dumps({"error": code}).encode(), kind="application/json")
    async with hostile(keys, lambda: refusal) as there, asking(keys, there) as connection:
        with pytest.raises(GatewayRefused) as refused:
            await GatewayClient(connection, signs).status()
    assert str(refused.value).isprintable()
    assert refused.value.reason == "status-403"


async def test_login_is_tried_anew_once_and_not_for_ever(keys: Keys) -> None:
    refusal = REFUSALS["login needed, always"]
    async with hostile(keys, lambda: refusal) as there, asking(keys, there) as connection:
        with pytest.raises(GatewayRefused):
            await GatewayClient(connection, signs).status()
        names = [one.name for one in there.asked]
    assert names == ["POST /v1/challenge", "POST /v1/login", "GET /v1/status"] * 2


# Bounded in memory and in time

HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/cbor\r\n"
CHUNK: Final = b"10000\r\n" + bytes(0x10000) + b"\r\n"
BUFFERS: Final = 16 << 20
"""What sockets between two ends of one machine may hold, and more."""


async def flood(head: bytes, piece: bytes) -> AsyncIterator[bytes]:
    """Say the same for ever."""
    yield head
    async for one in endless(piece):
        yield one


@pytest.mark.parametrize(
    "say",
    [
        lambda: flood(HEAD + b"transfer-encoding: chunked\r\n\r\n", CHUNK),
        lambda: flood(HEAD + b"content-length: 1000000000000\r\n\r\n", bytes(1 << 16)),
        lambda: flood(HEAD + b"\r\n", bytes(1 << 16)),
        lambda: flood(b"HTTP/1.1 200 OK\r\n", b"x-header: y\r\n" * 4096),
        lambda: flood(b"HTTP/1.1 200 OK\r\nx: ", b"y" * (1 << 16)),
        lambda: flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2048),
    ],
    ids=["chunks", "a length", "until the end", "headers", "one header", "continue"],
)
async def test_an_answer_without_end_is_cut_off(
    keys: Keys, say: Callable[[], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "READ_SECONDS", 0.6)
    async with hostile(keys, say) as there, asyncio.timeout(PATIENCE):
        for name in ("status", "collect", "card"):
            async with asking(keys, there) as connection:
                with pytest.raises(PeerError):
                    await ALL[name](keys, connection)
        await there.heard()
        assert there.sent < 3 * (MAX_ANSWER + BUFFERS)


async def silence() -> AsyncIterator[bytes]:
    """Say nothing, and stay."""
    await asyncio.Event().wait()
    yield b""


async def dribble() -> AsyncIterator[bytes]:
    """Say a little now and then, which never ends."""
    yield HEAD + b"content-length: 1000000\r\n\r\n"
    tick = asyncio.get_running_loop()
    while True:
        rung = asyncio.Event()
        tick.call_later(0.02, rung.set)
        await rung.wait()
        yield b"."


@pytest.mark.parametrize("say", [silence, dribble])
async def test_who_answers_too_slowly_is_given_up(
    keys: Keys, say: Callable[[], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "READ_SECONDS", 0.3)
    async with hostile(keys, say) as there, asyncio.timeout(PATIENCE):
        for name in ("status", "collect", "card", "open slot"):
            async with asking(keys, there) as connection:
                with pytest.raises(GatewayNotThere):
                    await ALL[name](keys, connection)


async def test_a_gateway_that_says_not_yet_at_once_is_not_asked_without_a_pause(
    keys: Keys,
) -> None:
    async with hostile(keys, lambda: http(204)) as there, asking(keys, there) as connection:
        client = DepositClient(connection)
        found = await patiently(lambda: client.read_slot(SLOT, 2), seconds=0.5)
        assert found is None
        assert len(there.asked) <= 3


# Led elsewhere


@pytest.mark.parametrize("status", [302, 307])
async def test_nobody_leads_us_elsewhere(keys: Keys, status: int, tmp_path: Path) -> None:
    async with stranger(Keys(tmp_path).certificate(), lambda asked: http(204)) as elsewhere:
        for scheme in ("https", "http"):
            target = f"{scheme}://{elsewhere.place}/v1/healthz"
            answer = (
                f"HTTP/1.1 {status} Go\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n".encode()
            )
            async with hostile(keys, lambda answer=answer: answer) as there:  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                for call in ALL.values():
                    async with asking(keys, there) as connection:
                        with pytest.raises(GatewayRefused):
                            await call(keys, connection)
        assert elsewhere.visits == []


# WebSockets


def websocket(*frames: bytes) -> Answers:
    """Agree to a WebSocket and say these frames."""

    def answer(asked: Asked) -> Answer:
        key = next(
            line.partition(b":")[2].strip()
            for line in asked.head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key:")
        )
        accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324  # RFC 6455 §1.3
        head = (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-accept: " + base64.b64encode(accept) + b"\r\n\r\n"
        )
        return once(head + b"".join(frames))

    return lets_in(answer)


@pytest.mark.parametrize(
    "frame",
    [
        b"\x82\x05\xff\xff\xff\xff\xff",
        b"\x82\x00",
        b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xc2\x02\x00\x00",
        b"\x83\x00",
        b"\x82\x85abcd12345",
    ],
    ids=["rubbish", "nothing", "a lie of a length", "packed", "unknown", "masked"],
)
async def test_a_message_that_is_none_ends_the_mailbox_in_a_sentence(
    keys: Keys, frame: bytes
) -> None:
    async with (
        stranger(keys.certificate(), websocket(frame)) as there,
        asking(keys, there) as connection,
        asyncio.timeout(PATIENCE),
    ):
        assert await ended(GatewayClient(connection, signs)) in ("the end", "malformed")


async def ended(client: GatewayClient) -> str:
    """Return how a mailbox came to its end."""
    try:
        assert await listen(client) is None
    except GatewayRefused as refused:
        return refused.reason
    return "the end"


async def test_a_text_message_ends_the_mailbox(keys: Keys) -> None:
    async with (
        stranger(keys.certificate(), websocket(b"\x81\x02hi")) as there,
        asking(keys, there) as connection,
    ):
        assert await ended(GatewayClient(connection, signs)) == "the end"


# Certificates


async def test_a_login_is_made_for_the_certificate_that_is_there_now(house: Household) -> None:
    """The nonce comes over the old certificate's successor: the answer must be bound to it."""
    box = await house.box()
    ana = await house.phone("Ana", box)
    pinned_before = ana.rows("SELECT der FROM certificate")
    await box.renew_certificate()
    assert (await ana.peer.read()).away is None
    assert ana.rows("SELECT der FROM certificate") == [(box.gateway.identity.certificate,)]
    assert ana.rows("SELECT der FROM certificate") != pinned_before
    await ana.restart()
    assert (await ana.peer.read()).away is None


async def test_somebody_else_at_a_known_gateways_address_hears_nothing_and_is_not_pinned(
    keys: Keys, tmp_path: Path
) -> None:
    other = Keys(tmp_path)
    async with stranger(keys.certificate()) as before:
        old = before.der
    async with stranger(other.certificate(), lambda asked: http(body=bytes(32))) as there:
        async with connect(
            to(keys, there.place, certificate=old), learned=nothing_new
        ) as connection:
            for call in ALL.values():
                with pytest.raises(WrongGateway):
                    await call(keys, connection)
        assert await there.heard() == b""


async def test_somebody_else_at_a_paired_boxs_address_hears_nothing_and_harms_nothing(
    house: Household, tmp_path: Path
) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    pins = ana.rows("SELECT * FROM certificate")
    await box.stop()
    async with stranger(
        Keys(tmp_path).certificate(), lambda asked: http(body=bytes(32)), port=box.port
    ) as there:
        sent = await ana.peer.send("Ben", "for Ben's gateway alone")
        assert sent.waiting
        assert sent.trouble == "wrong-gateway"
        reading = await ana.peer.read()
        assert "somebody else answers" in str(reading.away)
        assert await there.heard() == b""
        assert there.visits != []
    assert ana.rows("SELECT * FROM certificate") == pins
    await box.start()
    await ana.peer.try_outbox()
    assert [one.text for one in (await ben.peer.read()).letters] == ["for Ben's gateway alone"]


# Logins


async def test_requests_one_after_the_other_share_a_connection(keys: Keys) -> None:
    async with hostile(keys, lambda: http(204)) as there:
        async with asking(keys, there) as connection:
            for name in OBEYED:
                await OBEYED[name](keys, connection)
        assert len(there.visits) == 1


def deposits(*answers: bytes) -> Answers:
    """Answer the first deposit with the first of these, and so on."""
    turn = iter(answers)
    return lets_in(lambda asked: next(turn))


def stored(one: Proved, *, nonce: str) -> bytes:
    """Return the answer to a deposit that brings a nonce along."""
    body = encode_frame(Results(1, (Outcome(one.parcel.id, Result.STORED, 0),)))
    return http(body=body).replace(
        b"content-type", f"Homepost-Nonce: {nonce}\r\ncontent-type".encode(), 1
    )


async def asked_in_two_deposits(keys: Keys, *answers: bytes) -> list[str]:
    async with (
        stranger(keys.certificate(), deposits(*answers)) as there,
        asking(keys, there) as connection,
    ):
        client = DepositClient(connection)
        for _ in range(2):
            [outcome] = await client.deposit(lane(keys), [proved(keys)])
            assert outcome.result is Result.STORED
        return [one.path for one in there.asked]


CHALLENGE, DEPOSIT = "/v1/challenge", "/v1/deposit"


async def test_the_nonce_that_an_answer_brings_saves_asking_for_the_next(keys: Keys) -> None:
    answer = stored(proved(keys), nonce="A" * 43)

    assert await asked_in_two_deposits(keys, answer, answer) == [CHALLENGE, DEPOSIT, DEPOSIT]


async def test_a_nonce_that_is_not_taken_is_asked_for_anew_once(keys: Keys) -> None:
    answer, stale = stored(proved(keys), nonce="A" * 43), http(401, b'{"error":"challenge-stale"}')

    asked = await asked_in_two_deposits(keys, answer, stale, answer)
    assert asked == [CHALLENGE, DEPOSIT, DEPOSIT, CHALLENGE, DEPOSIT]


@pytest.mark.parametrize("nonce", ["", "A", "A" * 42, "A" * 44, "ä", "&" * 43])
async def test_what_is_no_nonce_is_none(keys: Keys, nonce: str) -> None:
    answer = stored(proved(keys), nonce=nonce)

    asked = await asked_in_two_deposits(keys, answer, answer)
    assert asked == [CHALLENGE, DEPOSIT, CHALLENGE, DEPOSIT]


async def test_a_nonce_is_kept_for_less_than_a_minute(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "NONCE_SECONDS", 0.0)
    answer = stored(proved(keys), nonce="A" * 43)

    asked = await asked_in_two_deposits(keys, answer, answer)
    assert asked == [CHALLENGE, DEPOSIT, CHALLENGE, DEPOSIT]


async def test_a_kept_connection_that_has_ended_is_opened_anew(house: Household) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    async with at_box(box, ana) as client:
        await client.status()
        await box.stop()
        await box.start()
        assert "waiting" in await client.status()


@asynccontextmanager
async def at_box(box: Box, phone: Phone) -> AsyncIterator[GatewayClient]:
    """Ask a box as a phone that is paired with it."""
    identity = box.gateway.identity
    destination = Destination(identity.gateway, (box.place,), identity.certificate)
    async with connect(destination, learned=nothing_new) as connection:
        yield GatewayClient(connection, phone.peer.me.signs)


async def test_a_login_that_runs_out_is_renewed(house: Household) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    async with at_box(box, ana) as client:
        await client.status()
        house.hands.live(BEARER_SECONDS + 1)
        asked = len(box.line.requests)
        await client.status()
        assert box.line.names()[asked:] == [
            "GET /v1/status", "POST /v1/challenge", "POST /v1/login", "GET /v1/status",
        ]  # fmt: skip


async def test_a_login_that_runs_out_is_renewed_for_a_mailbox_that_is_opened(
    house: Household,
) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    async with at_box(box, ana) as client:
        await client.status()
        house.hands.live(BEARER_SECONDS + 1)
        assert isinstance(await listen(client), Hello)


async def test_a_phone_without_a_seat_is_told_to_pair(house: Household) -> None:
    box = await house.box()
    ben = await house.phone("Ben")
    async with at_box(box, ben) as client:
        with pytest.raises(GatewayRefused, match="pair") as refusal:
            await client.status()
    assert refusal.value.reason == "login-refused"


async def test_what_shows_a_lane_or_a_side_never_shares_a_connection_with_a_login(
    house: Household,
) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    await they_write(ana, ben)
    with_login = {one.caller for one in box.line.requests if "authorization" in one.headers}
    without = {
        one.caller
        for one in box.line.requests
        if "homepost-lane" in one.headers or "homepost-side" in one.headers
    }
    assert with_login
    assert without
    assert not with_login & without
    logins = {one.caller for one in box.line.requests if one.path == "/v1/login"}
    assert not logins & without


# The environment


async def test_proxies_netrc_and_certificates_of_the_environment_are_ignored(
    house: Household, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stranger(keys.certificate()) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy"):
            for spelled in (name, name.upper()):
                monkeypatch.setenv(spelled, f"http://{proxy.place}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        netrc = tmp_path / "netrc"
        netrc.write_text(
            "default login ana password secret\nmachine 127.0.0.1 login a password b\n"
        )
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("SSL_CERT_FILE", str(keys.certificate()))
        box = await house.box()
        ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
        await befriend(ana, ben)
        await they_write(ana, ben)
        async with at_box(box, ana) as client:
            await listen(client)
        assert proxy.visits == []
    authorizations = {one.headers.get("authorization", "Bearer") for one in box.line.requests}
    assert {one.split(" ")[0] for one in authorizations} == {"Bearer"}


async def test_no_request_says_more_of_us_than_it_must(house: Household) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    await they_write(ana, ben)
    assert {one.headers["user-agent"] for one in box.line.requests} == {"homepost"}
    assert not any("cookie" in one.headers or "referer" in one.headers for one in box.line.requests)
