"""HTTP and WebSockets without a framework between."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import asgi
from gateway.asgi import Exchange, HungUp, Names, RawSocket
from gateway.bodies import TooLarge, TooSlow
from gateway.errors import Busy
from tests.gateway.listening import Listening, listening
from wire.errors import Malformed


class Talk:
    """The server's side of one request.

    Args:
        messages: what comes; then nothing more.
    """

    def __init__(self, *messages: dict[str, Any], headers: tuple[tuple[bytes, bytes], ...] = ()):
        self.scope = {"type": "http", "headers": headers, "state": {}}
        self.left = list(messages)
        self.sent = list[dict[str, Any]]()

    async def receive(self) -> dict[str, Any]:
        if not self.left:
            await asyncio.Event().wait()
        return self.left.pop(0)

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def exchange(self) -> Exchange:
        return Exchange(self.scope, self.receive, self.send)

    @property
    def socket(self) -> RawSocket:
        return RawSocket(self.scope, self.receive, self.send)


def piece(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_header_is_found_whatever_the_case_and_the_first_counts() -> None:
    names = Names([(b"homepost-lane", b"one"), (b"Homepost-Lane", b"two")])

    assert names["Homepost-LANE"] == "one"
    assert "homepost-lane" in names
    assert names.get("other") is None
    assert (list(names), len(names)) == (["homepost-lane"], 1)


async def test_a_body_comes_in_pieces() -> None:
    talk = Talk(piece(b"ab"), piece(b"cd"), piece(b"", more=False))

    assert await talk.exchange.body(4) == b"abcd"


async def test_a_body_that_is_announced_too_long_is_not_read() -> None:
    talk = Talk(piece(b"abcde", more=False), headers=((b"content-length", b"5"),))

    with pytest.raises(TooLarge):
        await talk.exchange.body(4)

    assert len(talk.left) == 1


async def test_a_body_that_is_longer_than_it_said_is_not_kept() -> None:
    talk = Talk(piece(b"abc"), piece(b"de", more=False))

    with pytest.raises(TooLarge):
        await talk.exchange.body(4)


async def test_a_body_that_does_not_come_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "BODY_SECONDS", 0.05)

    with pytest.raises(TooSlow):
        await Talk(piece(b"ab")).exchange.body(4)


async def test_whoever_hangs_up_in_the_middle_of_a_body_is_gone() -> None:
    with pytest.raises(HungUp):
        await Talk(piece(b"ab"), {"type": "http.disconnect"}).exchange.body(4)


@pytest.mark.parametrize(
    ("error", "status", "facts"),
    [
        (Busy(), 503, {"error": "busy", "retry_after": 2}),
        (Malformed("detail"), 400, {"error": "malformed"}),
        (KeyError("inside"), 500, {"error": "internal"}),
    ],
)
async def test_an_error_is_told_and_nothing_of_the_inside(
    error: Exception, status: int, facts: dict[str, Any]
) -> None:
    talk = Talk(piece(b"", more=False))

    await talk.exchange.refuse(error)

    start, body = talk.sent
    assert start["status"] == status
    assert json.loads(body["body"]) == facts
    assert (b"content-length", b"%d" % len(body["body"])) in start["headers"]


async def test_a_body_that_nobody_wanted_is_passed_over_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asgi, "PASS_OVER_SECONDS", 0.05)
    talk = Talk(piece(b"ab"), piece(b"cd"))

    await talk.exchange.refuse(Busy())

    assert talk.left == []
    assert talk.sent[0]["status"] == 503


async def test_a_message_is_bytes_or_a_text() -> None:
    came: list[dict[str, Any]] = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "bytes": b"", "text": None},
        {"type": "websocket.receive", "bytes": None, "text": "text"},
        {"type": "websocket.disconnect", "code": 1006},
    ]
    socket = Talk(*came).socket

    assert [await socket.receive(), await socket.receive()] == [b"", "text"]
    with pytest.raises(HungUp):
        await socket.receive()


async def test_nothing_is_said_to_who_is_gone() -> None:
    talk = Talk({"type": "websocket.disconnect", "code": 1006})
    socket = talk.socket
    await socket.accept()
    with pytest.raises(HungUp):
        await socket.receive()
    await socket.close(1000)

    assert [one["type"] for one in talk.sent] == ["websocket.accept"]


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        exchange = Exchange(scope, receive, send)
        await exchange.answer(await exchange.body(1000), headers=[(b"x-more", b"yes")])
        return
    socket = RawSocket(scope, receive, send)
    await socket.refuse(Busy())


@pytest.fixture
async def echo(tmp_path: Path) -> AsyncIterator[Listening]:
    async with listening(tmp_path, behind=_echo) as box:
        yield box


async def test_the_server_understands_what_is_said(echo: Listening) -> None:
    answer = await echo.say(
        b"POST / HTTP/1.1\r\nHost: box\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    )

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"x-more: yes" in head.lower()
    assert body == b"hello"


async def test_the_server_understands_a_websocket_that_is_refused(echo: Listening) -> None:
    answer = await echo.say(
        b"GET / HTTP/1.1\r\nHost: box\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 503")
    assert answer.endswith(b'{"error":"busy","retry_after":2}\n')
