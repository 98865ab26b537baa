"""What stands between the network and the gateway. One test for each thing that we change."""

import asyncio
import gc
import json
import logging
import os
import socket
import ssl
import zlib
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway import listener
from gateway.door import FORGOTTEN_TOGETHER, RECEIVE_BUFFER, SEND_BUFFER
from gateway.listener import TLS_BUFFER, Caps, serve_local
from gateway.logs import LINES_A_MINUTE
from gateway.visit import STATE
from tests.gateway.eventually import eventually
from tests.gateway.listening import GET, UPGRADE, Listening, Small, Wire, frame, listening
from wire.frames import MAX_FRAME


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Listening]:
    async with listening(tmp_path) as opened:
        yield opened


# TLS


async def test_an_old_tls_that_shows_the_certificate_is_refused(box: Listening) -> None:
    old = box.tls()
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await box.connect(tls=old)


async def test_no_ticket_ties_one_connection_to_the_next(box: Listening) -> None:
    def ask() -> bool:
        with (
            socket.create_connection(("127.0.0.1", box.port)) as plain,
            box.tls().wrap_socket(plain) as wrapped,
        ):
            wrapped.sendall(GET)
            while not wrapped.recv(4096).endswith(b"ok"):
                pass
            return wrapped.session is not None and wrapped.session.has_ticket

    assert await asyncio.to_thread(ask) is False


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)]
)
async def test_http_2_is_not_agreed_on(
    box: Listening, offered: list[str], chosen: str | None
) -> None:
    tls = box.tls()
    if offered:
        tls.set_alpn_protocols(offered)
    wire = await box.connect(tls=tls)

    assert wire.writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen


async def test_a_connection_takes_little_memory_for_tls(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(GET)
    await wire.head()

    assert len(box.app.transport._ssl_protocol._ssl_buffer) == TLS_BUFFER
    assert box.app.transport.get_write_buffer_limits()[1] == listener.PIECE


async def test_answers_are_not_held_back_and_not_heaped_up_in_the_kernel(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(GET)
    await wire.head()
    connection = box.app.transport.get_extra_info("socket")

    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * SEND_BUFFER
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * RECEIVE_BUFFER


# HTTP


async def test_an_answer_does_not_say_which_program_made_it(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(GET)

    head = (await wire.head()).lower()

    assert head.startswith(b"http/1.1 200")
    assert b"server:" not in head
    assert b"hypercorn" not in head


async def test_http_2_by_prior_knowledge_is_refused(box: Listening) -> None:
    answer = await box.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))

    assert answer.startswith(b"HTTP/1.1 505")
    assert box.app.requests == []


async def test_nobody_is_upgraded_to_http_2(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(
        b"GET / HTTP/1.1\r\nHost: box\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    )

    assert (await wire.head()).startswith(b"HTTP/1.1 200")
    assert box.app.requests[0]["http_version"] == "1.1"


POST = b"POST / HTTP/1.1\r\nHost: box\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET, 400),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + GET, 400),
        (POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + GET, 400),
        (POST + b"Content-Length: 0\r\ncontent-length : 30\r\n\r\n" + GET, 400),
        (POST + b"Content-Length: 1, 2\r\n\r\n" + GET, 400),
        (POST + b"Content-Length: -1\r\n\r\n" + GET, 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + GET, 501),
        (b"GET / HTTP/1.1\nHost: box\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: box\nX: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: box\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: box\r\nX: a\0b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: box\r\nHost: other\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\nHost: box\r\n\r\n", 505),
        (b"GET http://box/ HTTP/1.1\r\nHost: box\r\n\r\n", 400),
        (b"CONNECT box:443 HTTP/1.1\r\nHost: box\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: box\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: box\r\nOrigin: https://page.example\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: box\r\nOrigin: null\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: box\r\nSec-Fetch-Site: cross-site\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: 192.168.1.1.evil.example:4433\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: \r\n\r\n", 421),
        (b"HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: box\r\n\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
async def test_what_can_be_read_in_two_ways_gets_one_refusal_and_an_end(
    box: Listening, request_: bytes, status: int
) -> None:
    answer = await box.say(request_)

    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert answer.count(b"HTTP/1.1") == 1
    assert box.app.requests == []


ASKED: dict[bytes, dict[str, object]] = {
    b"Host: evil.example": {"error": "wrong-host"},
    b"Host: box\r\nOrigin: null": {"error": "web-page"},
    b"Host: box\r\nOrigin: https://box:4433": {"error": "web-page"},
    b"Host: box\r\nX: " + b"y" * 70_000: {"error": "too-large", "limit": listener.MAX_HEAD},
    b"Host: box\r\n folded": {"error": "malformed"},
}


@pytest.mark.parametrize("first", [b"GET /", UPGRADE.partition(b" HTTP")[0]])
@pytest.mark.parametrize("asked", ASKED)
async def test_a_refusal_says_why_on_http_and_websocket(
    box: Listening, first: bytes, asked: bytes
) -> None:
    upgrade = UPGRADE.partition(b"Connection")[2] if b"socket" in first else b"X: y\r\n"
    answer = await box.say(first + b" HTTP/1.1\r\nConnection" + upgrade + asked + b"\r\n\r\n")

    head, _, content = answer.partition(b"\r\n\r\n")
    assert json.loads(content) == ASKED[asked]
    assert b"content-type: application/json" in head.lower()
    assert box.app.requests == []


async def test_a_name_that_the_owner_set_is_answered(tmp_path: Path) -> None:
    async with listening(tmp_path, names=("box.example",)) as box:
        wire = await box.connect()
        await wire.send(GET.replace(b"Host: box", b"Host: Box.Example:8443"))

        assert (await wire.head()).startswith(b"HTTP/1.1 200")


async def test_a_foreign_host_is_told_to_the_log_once_and_not_without_end(
    box: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2 * listener.MAX_TOLD):
        for _ in range(2):
            await box.say(GET.replace(b"Host: box", b"Host: x%d.example" % number))

    assert len(caplog.records) == listener.MAX_TOLD
    assert "x0.example" in caplog.messages[0]
    assert "setting hosts" in caplog.messages[0]


async def test_whoever_is_gone_is_forgotten_at_once(box: Listening) -> None:
    before = len(asyncio.all_tasks())
    for silent in (False, True):
        wires = [await box.connect() for _ in range(10)]
        for wire in wires:
            if not silent:
                await wire.send(GET)
                await wire.head()
            wire.writer.transport.abort()

    # Their tasks would stay for IDLE_SECONDS, which is longer than this waits.
    await eventually(lambda: len(asyncio.all_tasks()) <= before, within=listener.IDLE_SECONDS / 2)


async def test_a_connection_on_which_nothing_is_asked_has_one_task(box: Listening) -> None:
    before = len(asyncio.all_tasks())
    wires = [await box.connect() for _ in range(10)]
    for wire in wires[:5]:
        await wire.send(GET)
        await wire.head()

    await eventually(lambda: len(asyncio.all_tasks()) == before + len(wires))


async def test_broken_handshakes_leave_nothing_in_memory(tmp_path: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        async with listening(tmp_path) as box:
            for _ in range(4 * FORGOTTEN_TOGETHER):
                _, writer = await asyncio.open_connection("127.0.0.1", box.port)
                writer.transport.abort()
            await eventually(lambda: _protocols() <= 2 * FORGOTTEN_TOGETHER)
    finally:
        gc.enable()


def _protocols() -> int:
    return sum(type(one) is SSLProtocol for one in gc.get_objects())


async def test_what_nobody_has_asked_for_stays_with_the_network(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(GET.replace(b"/ ", b"/slow "))
    await eventually(lambda: bool(box.app.requests))
    reader = box.app.transport._ssl_protocol._app_protocol._stream_reader

    async def pour() -> None:
        while not wire.writer.is_closing():
            await wire.send(bytes(1 << 20))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pour(), 2)
    assert len(reader._buffer) <= 2 * listener.READ_BUFFER + TLS_BUFFER
    assert box.app.transport._ssl_protocol._incoming.pending <= 3 * TLS_BUFFER


async def test_requests_in_one_breath_are_answered_one_after_the_other(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(GET * 50)
    for _ in range(50):
        assert (await wire.head()).startswith(b"HTTP/1.1 200")
        assert await wire.reader.readexactly(2) == b"ok"


async def test_whoever_was_refused_too_often_is_turned_away(tmp_path: Path) -> None:
    few = Caps(connections=100, per_address=100, refusals=20)
    bad = GET.replace(b"Host: box", b"Host: evil.example")
    async with listening(tmp_path, caps=few) as box:
        patient = await box.connect(address="127.0.0.66")
        for _ in range(few.refusals):
            wire = await box.connect(address="127.0.0.66")
            await wire.send(bad)
            assert (await wire.rest()).startswith(b"HTTP/1.1 421")

        await patient.send(GET)
        answer = await patient.rest()
        assert answer.startswith(b"HTTP/1.1 429")
        assert b'{"error": "too-many-requests", "retry_after": 60}' in answer
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await box.connect(address="127.0.0.66")
        assert box.app.requests == []
        other = await box.connect(address="127.0.0.2")
        await other.send(GET)
        assert (await other.head()).startswith(b"HTTP/1.1 200")


async def test_whoever_leaves_without_a_question_counts_as_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few = Caps(connections=100, per_address=100, refusals=20)
    async with listening(tmp_path, caps=few) as box:
        for _ in range(3 * few.refusals):
            wire = await box.connect()
            await wire.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert b"200" in await wire.rest()
        assert caplog.text == ""
        for _ in range(few.refusals):
            _, writer = await asyncio.open_connection("127.0.0.1", box.port)
            writer.close()
        await eventually(lambda: "not listened to" in caplog.text)
    assert len(caplog.records) == 1


# Behind a proxy


PROXY = Caps(connections=100, per_address=2, refusals=20, trusted=frozenset({"127.0.0.1"}))
FOR_ANNA = b"PROXY TCP4 203.0.113.7 127.0.0.1 50123 4433\r\n"


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Listening]:
    async with listening(tmp_path, caps=PROXY) as opened:
        yield opened


async def test_a_proxy_is_no_single_visitor(behind: Listening) -> None:
    for connect in (behind.connect, behind.connect_plain):
        for _ in range(10):
            wire = await connect()
            await wire.send(GET)
            assert (await wire.head()).startswith(b"HTTP/1.1 200")
    for _ in range(2 * PROXY.refusals):
        wire = await behind.connect_plain()
        await wire.send(GET.replace(b"Host: box", b"Host: evil.example"))
        assert (await wire.rest()).startswith(b"HTTP/1.1 421")


async def test_a_proxy_says_for_whom_it_comes_and_he_is_counted(behind: Listening) -> None:
    for _ in range(2):
        wire = await behind.connect_plain()
        for one in FOR_ANNA:
            await wire.send(bytes([one]))
        await wire.send(GET)
        assert (await wire.head()).startswith(b"HTTP/1.1 200")
        assert behind.app.requests[-1]["client"] == ("203.0.113.7", 0)
    greedy = await behind.connect_plain()
    await greedy.send(FOR_ANNA + GET)
    other = await behind.connect_plain()
    await other.send(FOR_ANNA.replace(b"113.7", b"113.8") + GET)

    assert await greedy.rest() == b""
    assert (await other.head()).startswith(b"HTTP/1.1 200")


async def test_a_proxy_that_speaks_for_itself_is_heard(behind: Listening) -> None:
    wire = await behind.connect_plain()
    await wire.send(b"PROXY UNKNOWN\r\n" + GET)

    assert (await wire.head()).startswith(b"HTTP/1.1 200")
    assert behind.app.requests[-1]["client"][0] == "127.0.0.1"


@pytest.mark.parametrize(
    "said", [b"PROXY TCP4 nobody\r\n", b"PROXY " + b"x" * 200, FOR_ANNA * 2 + GET, b"PROXY"]
)
async def test_an_introduction_of_another_form_ends_the_connection(
    tmp_path: Path, said: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "IDLE_SECONDS", 0.2)
    async with listening(tmp_path, caps=PROXY) as behind:
        wire = await behind.connect_plain()
        await wire.send(said)

        assert await wire.rest() == b"" or said.startswith(FOR_ANNA)
        assert behind.app.requests == []
        assert caplog.text == ""


async def test_others_cannot_say_that_they_are_somebody_else(behind: Listening) -> None:
    spoofed = GET.replace(
        b"\r\n\r\n",
        b"\r\nX-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n\r\n",
    )
    wire = await behind.connect_plain(address="127.0.0.66")
    await wire.send(spoofed)
    await wire.head()
    assert behind.app.requests[-1]["client"][0] == "127.0.0.66"
    trusted = await behind.connect_plain()
    await trusted.send(FOR_ANNA + spoofed)
    await trusted.head()
    assert behind.app.requests[-1]["client"][0] == "203.0.113.7"

    for connect in (behind.connect_plain, behind.connect):
        liar = await connect(address="127.0.0.66")
        await liar.send(FOR_ANNA + GET)
        assert (await liar.rest()).startswith(b"HTTP/1.1 400")
    assert len(behind.app.requests) == 2
    assert b"400" in await behind.say(FOR_ANNA + GET)  # not even a trusted one within TLS


async def test_what_one_request_of_a_proxy_showed_says_nothing_of_the_next(
    behind: Listening,
) -> None:
    async def visits(said: bytes, connect: Callable[[], Awaitable[Wire]]) -> int:
        wire = await connect()
        await wire.send(said + GET + GET)
        for _ in range(2):
            await wire.head()
            await wire.reader.readexactly(2)
        return len({id(one["state"][STATE]) for one in behind.app.requests[-2:]})

    assert await visits(b"", behind.connect_plain) == 2
    assert await visits(FOR_ANNA, behind.connect_plain) == 1
    assert await visits(b"", behind.connect) == 1


async def test_the_plain_port_refuses_what_the_other_refuses(behind: Listening) -> None:
    for said, status in (
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (GET.replace(b"Host: box", b"Host: evil.example"), 421),
        (b"CONNECT box:443 HTTP/1.1\r\nHost: box\r\n\r\n", 400),
        (GET.replace(b"\r\n\r\n", b"\r\nOrigin: null\r\n\r\n"), 403),
    ):
        wire = await behind.connect_plain()
        await wire.send(said)
        assert (await wire.rest()).startswith(b"HTTP/1.1 %d" % status)
    assert behind.app.requests == []


async def test_whoever_takes_no_answer_does_not_keep_a_plain_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "FAREWELL_SECONDS", 0.2)
    monkeypatch.setattr(listener, "STALL_SECONDS", 0.2)
    async with listening(tmp_path, caps=PROXY) as behind:
        behind.app.give = bytes(32 << 20)
        wire = await behind.connect_plain()
        await wire.send(UPGRADE + b"\r\n")
        await eventually(lambda: bool(behind.app.requests))
        connection = behind.app.transport.get_extra_info("socket")

        await eventually(lambda: connection.fileno() == -1)


async def test_a_farewell_that_tls_cannot_finish_is_no_error_of_ours(
    box: Listening, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait_closed(_writer: asyncio.StreamWriter) -> None:
        raise ssl.SSLError(1, "application data after close notify")  # whoever is still sending

    monkeypatch.setattr(asyncio.StreamWriter, "wait_closed", wait_closed)
    wire = await box.connect()
    await wire.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    assert (await wire.rest()).startswith(b"HTTP/1.1 200")
    assert [one.getMessage() for one in caplog.records if one.name == "hypercorn.error"] == []


async def test_a_refused_second_request_does_not_spoil_the_first(box: Listening) -> None:
    answer = await box.say(GET + b"GET / HTTP/1.1\nHost: box\n\n")

    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.count(b"HTTP/1.1 400") == 1


async def test_a_head_that_comes_in_drops_is_read(box: Listening) -> None:
    wire = await box.connect()
    for one in GET:
        await wire.send(bytes([one]))

    assert (await wire.head()).startswith(b"HTTP/1.1 200")


async def test_a_head_that_does_not_come_to_an_end_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "IDLE_SECONDS", 0.2)
    async with listening(tmp_path) as box:
        wire = await box.connect()
        await wire.send(b"GET / HTTP/1.1\r\nX-Slow: ")

        assert await wire.rest(within=5) == b""


async def test_whoever_never_begins_tls_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_SECONDS", 0.2)
    async with listening(tmp_path) as box:
        reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_an_error_of_the_application_shows_nothing_of_the_inside(
    box: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await box.say(b"GET /broken HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 500")
    assert b"purpose" not in answer
    assert "on purpose" in caplog.text


# WebSockets


@pytest.mark.parametrize(
    "offered",
    [
        b"permessage-deflate",
        b"permessage-deflate; client_max_window_bits",
        b"x-webkit-deflate-frame, permessage-deflate; server_no_context_takeover",
    ],
)
async def test_compression_is_not_agreed_on(box: Listening, offered: bytes) -> None:
    wire = await box.connect()
    await wire.send(UPGRADE + b"sec-websocket-EXTENSIONS: " + offered + b"\r\n\r\n")

    head = await wire.head()

    assert head.startswith(b"HTTP/1.1 101")
    assert b"sec-websocket-extensions" not in head.lower()


async def test_a_compressed_message_is_not_unpacked(box: Listening) -> None:
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(bytes(1 << 28)) + packer.flush(zlib.Z_SYNC_FLUSH)
    wire = await box.connect()
    await wire.send(UPGRADE + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
    await wire.head()
    before = _memory()

    await wire.send(frame(bomb, rsv1=True))
    closing = await wire.rest()

    assert closing[:1] in (b"", b"\x88")
    assert [one["type"] for one in box.app.messages] == ["websocket.disconnect"]
    assert _memory() - before < 32 << 20


def _memory() -> int:
    """Return what this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_a_message_of_the_largest_frame_is_taken(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(UPGRADE + b"\r\n")
    await wire.head()

    await wire.send(frame(bytes(MAX_FRAME)))
    await eventually(lambda: len(box.app.messages) == 1)

    assert box.app.messages[0]["bytes"] == bytes(MAX_FRAME)


async def test_a_message_that_is_too_long_ends_the_connection(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(UPGRADE + b"\r\n")
    await wire.head()
    before = _memory()

    async def pour() -> None:
        await wire.send(frame(bytes(1 << 16), fin=False))
        while not wire.writer.is_closing():
            await wire.send(frame(bytes(1 << 16), opcode=0, fin=False))

    pouring = asyncio.create_task(pour())
    await eventually(lambda: bool(box.app.messages))
    await pouring

    assert [one["type"] for one in box.app.messages] == ["websocket.disconnect"]
    assert _memory() - before < 32 << 20


@pytest.mark.parametrize(
    "nasty",
    [
        frame(b"x", masked=False),
        frame(b"x", opcode=3),
        frame(b"x", opcode=0),
        frame(bytes(200), opcode=9),
        frame(b"x", opcode=9, fin=False),
        frame(b"\x00\x01", opcode=8),
        frame(b"\x03", opcode=8),
        frame(b"\x03\xe8\xff\xfe", opcode=8),
        frame(b"\xff\xfe", opcode=1),
        b"\x82\xff" + b"\xff" * 8,
        frame(b"\x03\xe8", opcode=8) + frame(b"after the end"),
    ],
)
async def test_a_frame_that_is_none_ends_the_connection_without_a_trace(
    box: Listening, nasty: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    wire = await box.connect()
    await wire.send(UPGRADE + b"\r\n")
    await wire.head()

    await wire.send(nasty + frame(b"\x03\xe8", opcode=8))
    await wire.rest()

    await eventually(lambda: bool(box.app.messages))
    assert box.app.messages[-1]["type"] == "websocket.disconnect"
    assert caplog.text == ""


async def test_a_frame_that_lies_about_its_length_takes_no_room(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(UPGRADE + b"\r\n")
    await wire.head()
    before = _memory()

    await wire.send(b"\x82\xff\x7f" + b"\xff" * 7 + bytes(4) + bytes(1000))
    await wire.send(bytes(MAX_FRAME))
    await eventually(lambda: bool(box.app.messages))

    assert [one["type"] for one in box.app.messages] == ["websocket.disconnect"]
    assert _memory() - before < 32 << 20


async def test_frames_that_no_message_needs_end_the_connection(
    box: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    floods = [
        frame(bytes(125), opcode=9) * 500,
        frame(b"", opcode=10) * 500,
        frame(b"", fin=False) + frame(b"", opcode=0, fin=False) * 10_000,
        frame(b"x", fin=False) + (frame(b"x", opcode=0, fin=False) + frame(b"", opcode=9)) * 300,
    ]
    for flood in floods:
        wire = await box.connect()
        await wire.send(UPGRADE + b"\r\n")
        await wire.head()
        await wire.send(flood)
        await wire.rest()

    await eventually(lambda: len(box.app.messages) == len(floods))
    assert {one["type"] for one in box.app.messages} == {"websocket.disconnect"}
    assert caplog.text == ""


async def test_a_message_in_many_pieces_with_pings_between_is_taken(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(UPGRADE + b"\r\n")
    await wire.head()
    piece = bytes(MAX_FRAME // 100)
    for first in (frame(piece, fin=False), frame(piece, fin=False)):
        await wire.send(first)
        for _ in range(50):
            await wire.send(frame(piece, opcode=0, fin=False) + frame(b"", opcode=9))
        await wire.send(frame(piece, opcode=0))
    await eventually(lambda: len(box.app.messages) == 2)

    assert [len(one["bytes"]) for one in box.app.messages] == [52 * len(piece)] * 2


async def test_others_have_their_turn_while_somebody_sends_many_small_frames(
    box: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, seen = 0, list[int]()

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def note(stream: object, event: object) -> None:
        seen.append(turns)

    monkeypatch.setattr(listener._Messages, "_count", note)
    wire = await box.connect()
    await wire.send(UPGRADE + b"\r\n")
    await wire.head()
    counting = asyncio.create_task(count())
    pieces = frame(b"x", fin=False) + frame(b"x", opcode=0, fin=False) * 1000
    await wire.send(pieces + frame(b"x", opcode=0))
    await eventually(lambda: bool(box.app.messages))
    counting.cancel()

    assert len(seen) == 1002
    assert max(seen.count(one) for one in seen) <= listener.FRAMES_IN_TURN


async def test_whoever_stops_reading_is_cut_off(
    box: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "STALL_SECONDS", 0.2)
    box.app.give = bytes(32 << 20)
    wire = await box.connect()
    await wire.send(UPGRADE + b"\r\n")
    await eventually(lambda: bool(box.app.requests))
    transport = box.app.transport

    await eventually(lambda: transport.get_write_buffer_size() > 0)
    await eventually(transport.is_closing)
    await eventually(lambda: bool(box.app.messages))

    assert box.app.messages[0]["type"] == "websocket.disconnect"


async def test_whoever_reads_slowly_is_not_cut_off(
    box: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "STALL_SECONDS", 1.0)
    box.app.give = bytes(6 << 20)
    wire = await box.connect()
    await wire.send(UPGRADE + b"\r\n")
    await wire.head()
    got = 0
    async with asyncio.timeout(30):
        while got < 6 << 20:
            piece = await wire.reader.read(1 << 16)
            assert piece
            got += len(piece)
            await asyncio.sleep(0.02)  # in all far longer than a stall may last

    assert not box.app.transport.is_closing()


# The end


async def test_what_is_begun_is_finished_when_the_gateway_stops(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(GET.replace(b"/ ", b"/slow "))
    await eventually(lambda: bool(box.app.requests))

    box.stop.set()
    box.app.gate.set()

    assert (await wire.rest()).endswith(b"ok")
    await box.serving


async def test_whatever_is_still_open_is_cut_at_the_end(box: Listening) -> None:
    idle, waiting, talking = [await box.connect() for _ in range(3)]
    half_open = await asyncio.open_connection("127.0.0.1", box.port)
    await waiting.send(GET.replace(b"/ ", b"/slow "))
    await talking.send(UPGRADE + b"\r\n")
    await talking.head()

    async with asyncio.timeout(6):
        await box.finish()
        for wire in (idle, waiting, talking):
            await wire.rest()
        assert await half_open[0].read() == b""
    half_open[1].close()
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", box.port)


async def test_the_owners_socket_is_served_without_tls(tmp_path: Path) -> None:
    path, app, stop = tmp_path / "control.sock", Small(), asyncio.Event()
    opened = socket.socket(socket.AF_UNIX)
    opened.bind(str(path))
    opened.listen()
    opened.setblocking(False)
    serving = asyncio.create_task(serve_local(app, sock=opened, stop=stop.wait, grace=1.0))
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    assert (await reader.read()).endswith(b"ok")
    writer.close()
    stop.set()
    await serving


async def test_on_the_owners_socket_there_are_a_few_connections_at_a_time(tmp_path: Path) -> None:
    path, stop = tmp_path / "control.sock", asyncio.Event()
    opened = socket.socket(socket.AF_UNIX)
    opened.bind(str(path))
    opened.listen()
    opened.setblocking(False)
    serving = asyncio.create_task(serve_local(Small(), sock=opened, stop=stop.wait, grace=1.0))
    forgotten = [
        await asyncio.open_unix_connection(path) for _ in range(listener.LOCAL_CONNECTIONS)
    ]
    for reader, writer in forgotten:
        writer.write(GET)
        await reader.readuntil(b"ok")
    reader, late = await asyncio.open_unix_connection(path)
    assert await reader.read() == b""

    forgotten[0][1].write_eof()
    await forgotten[0][0].read()
    reader, early = await asyncio.open_unix_connection(path)
    early.write(GET)
    assert await reader.readuntil(b"ok")

    for writer in (late, early, *(one[1] for one in forgotten)):
        writer.close()
    stop.set()
    await serving


# The log


async def test_what_strangers_make_asyncio_say_does_not_fill_the_log(
    box: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5 * LINES_A_MINUTE):
        logging.getLogger("asyncio").error("trouble %d", number)

    assert len(caplog.records) == LINES_A_MINUTE


async def test_libraries_say_what_they_want_once_nothing_listens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(tmp_path):
        pass
    for number in range(2 * LINES_A_MINUTE):
        logging.getLogger("asyncio").error("trouble %d", number)

    assert len(caplog.records) == 2 * LINES_A_MINUTE


async def test_an_answer_goes_out_in_one_piece(
    box: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = list[bytes]()
    write = asyncio.StreamWriter.write

    def note(self: asyncio.StreamWriter, data: bytes) -> None:
        written.append(bytes(data))
        write(self, data)

    monkeypatch.setattr(asyncio.StreamWriter, "write", note)
    answer = await box.say(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    assert answer.endswith(b"\r\n\r\nok")
    assert [one for one in written if not one.startswith(b"GET")] == [answer]
