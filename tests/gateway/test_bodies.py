"""Bodies and messages stay with the network until somebody wants them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from quart import Quart, Response, request, websocket

from gateway import bodies
from gateway.answers import answer_errors
from gateway.bodies import body, header_bytes, nothing, octets, read_patiently, wait_seconds
from gateway.errors import LaneRefused
from tests.gateway.eventually import eventually
from tests.gateway.listening import UPGRADE, Listening, frame, listening
from wire.errors import Malformed

MIB = 1 << 20


@dataclass
class Room:
    """An application with one route of each kind, and what happened in it."""

    box: Listening
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    began: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


def _app(room: list[Room]) -> Quart:
    app = Quart("test")
    read_patiently(app)
    answer_errors(app)

    @app.post("/take/<int:limit>")
    async def take(limit: int) -> Response:
        return octets(str(len(await body(limit))).encode())

    @app.post("/later")
    async def later() -> Response:
        room[0].began.append("later")
        await room[0].gate.wait()
        return octets(str(len(await body(16 * MIB))).encode())

    @app.post("/never")
    async def never() -> Response:
        raise LaneRefused

    @app.post("/plain")
    async def plain() -> Response:
        request.max_content_length = 10
        await request.get_data(cache=False, as_text=False, parse_form_data=False)
        return nothing()

    @app.get("/wait")
    async def wait() -> Response:
        room[0].began.append("wait")
        try:
            await asyncio.sleep(wait_seconds())
        finally:
            room[0].ended.append("wait")
        return nothing()

    @app.websocket("/socket")
    async def talk() -> None:
        await websocket.accept()
        await room[0].gate.wait()
        for _ in range(5):
            await websocket.receive()
        await websocket.send(b"five")

    return app


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    rooms: list[Room] = []
    async with listening(tmp_path, behind=_app(rooms)) as box:
        rooms.append(Room(box))
        yield rooms[0]
        rooms[0].gate.set()


def post(path: str, length: int | None, *more: bytes) -> bytes:
    """Return the head of a request."""
    framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    lines = [b"POST %s HTTP/1.1" % path.encode(), b"Host: box", framing, *more, b"", b""]
    return b"\r\n".join(lines)


async def test_a_body_stays_with_the_network_until_it_is_wanted(room: Room) -> None:
    wire = await room.box.connect()
    await wire.send(post("/later", 8 * MIB))

    async def pour() -> None:
        for _ in range(8):
            await wire.send(bytes(MIB))

    pouring = asyncio.create_task(pour())
    await eventually(lambda: bool(room.began))
    await asyncio.wait({pouring}, timeout=0.5)
    stuck = not pouring.done()
    room.gate.set()

    assert stuck
    assert (await wire.head()).startswith(b"HTTP/1.1 200")
    assert await wire.reader.readexactly(7) == b"8388608"


async def test_what_is_refused_unread_is_answered_before_it_has_come(room: Room) -> None:
    wire = await room.box.connect()
    await wire.send(post("/never", MIB) + bytes(1000))

    answer = await wire.rest(within=bodies.PASS_OVER_SECONDS + 5)

    assert answer.startswith(b"HTTP/1.1 403")
    assert answer.endswith(b'{"error":"lane-refused"}\n')


async def test_whoever_sends_all_of_a_refused_body_reads_the_answer(room: Room) -> None:
    wire = await room.box.connect()
    await wire.send(post("/never", MIB) + bytes(MIB))
    await wire.send(post("/take/5", 5, b"Connection: close") + b"hello")

    answer = await wire.rest()

    assert answer.startswith(b"HTTP/1.1 403")
    assert b"HTTP/1.1 200" in answer


async def test_a_body_that_says_it_is_too_long_is_refused_by_its_word(room: Room) -> None:
    wire = await room.box.connect()
    await wire.send(post("/take/10", 11))

    assert (await wire.head()).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("path", ["/take/10", "/plain"])
async def test_a_body_that_turns_out_too_long_is_refused(room: Room, path: str) -> None:
    wire = await room.box.connect()
    await wire.send(
        post(path, None, b"Connection: close") + b"6\r\nhello \r\n6\r\nworld!\r\n0\r\n\r\n"
    )

    answer = await wire.rest()

    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"error":"too-large"' in answer


async def test_a_body_without_end_is_cut_off(room: Room) -> None:
    wire = await room.box.connect()
    await wire.send(post("/take/10", None))

    async def pour() -> None:
        while not wire.writer.is_closing():
            await wire.send(b"1000\r\n" + bytes(4096) + b"\r\n")

    pouring = asyncio.create_task(pour())
    assert (await wire.rest(within=bodies.PASS_OVER_SECONDS + 8)).startswith(b"HTTP/1.1 413")
    await pouring


async def test_a_body_that_does_not_come_is_not_waited_for(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    wire = await room.box.connect()
    await wire.send(post("/take/10", 10) + b"hel")

    answer = await wire.rest()

    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"error":"too-slow"' in answer


async def test_a_body_in_drops_is_put_together(room: Room) -> None:
    wire = await room.box.connect()
    await wire.send(post("/take/10", 5, b"Connection: close"))
    for one in b"hello":
        await wire.send(bytes([one]))

    assert (await wire.rest()).endswith(b"\r\n\r\n5")


async def test_whoever_hangs_up_while_waiting_is_noticed(room: Room) -> None:
    wire = await room.box.connect()
    await wire.send(b"GET /wait?wait=25 HTTP/1.1\r\nHost: box\r\n\r\n")
    await eventually(lambda: room.began == ["wait"])

    wire.writer.transport.abort()

    await eventually(lambda: room.ended == ["wait"])


async def test_messages_stay_with_the_network_until_they_are_wanted(room: Room) -> None:
    wire = await room.box.connect()
    await wire.send(UPGRADE + b"\r\n")
    await wire.head()

    async def pour() -> None:
        for _ in range(16):
            await wire.send(frame(bytes(MIB)))

    pouring = asyncio.create_task(pour())
    await asyncio.wait({pouring}, timeout=0.5)
    stuck = not pouring.done()
    room.gate.set()

    assert stuck
    assert b"five" in await wire.rest()
    pouring.cancel()


@pytest.mark.parametrize("text", ["AA==", "AB", "A", "+/8", "AA AA", "é", "AA\n"])
def test_a_header_has_one_spelling(text: str) -> None:
    with pytest.raises(Malformed):
        header_bytes(text)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xfb\xff", bytes(64)])
def test_a_header_is_read_as_it_was_spelled(data: bytes) -> None:
    spelled = {b"": "", b"\0": "AA", b"\xfb\xff": "-_8", bytes(64): "A" * 86}

    assert header_bytes(spelled[data]) == data
