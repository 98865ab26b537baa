"""What stands between the network and the gateway. One test for each thing that we change."""

import asyncio
import logging
import os
import socket
import ssl
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import listener
from gateway.door import SEND_BUFFER
from gateway.listener import LINES_A_MINUTE, TLS_BUFFER, Sparing, serve_local
from tests.gateway.eventually import eventually
from tests.gateway.listening import GET, UPGRADE, Listening, Small, frame, listening
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


async def test_a_flood_of_pings_is_answered_only_as_fast_as_it_is_read(box: Listening) -> None:
    wire = await box.connect()
    await wire.send(UPGRADE + b"\r\n")
    await wire.head()
    before = _memory()

    async def flood() -> None:
        while True:
            await wire.send(frame(bytes(125), opcode=9) * 500)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(flood(), 2)

    assert _memory() - before < 32 << 20
    assert (await box.say(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))).endswith(
        b"ok"
    )


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


# The log


def test_a_library_says_only_so_much_a_minute_and_then_how_much_was_left_out() -> None:
    now = 0.0
    sparing = Sparing(3, now=lambda: now)

    def say(text: str) -> str | None:
        record = logging.LogRecord("asyncio", logging.ERROR, __file__, 1, text, (), None)
        return record.getMessage() if sparing.filter(record) else None

    assert [say(f"{n}") for n in range(6)] == ["0", "1", "2", None, None, None]
    now = 60.0
    assert say("again") == "again (and 3 more that were not written)"
    assert say("once more") == "once more"


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
