"""The commands' side of the control socket, against a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.control_client import MAX_ANSWER, ControlClient, NotRunning, Refused
from gateway.control_socket import listen

Answer = Callable[[bytes], bytes]


@asynccontextmanager
async def gateway(folder: Path, answer: Answer) -> AsyncIterator[ControlClient]:
    """Answer each connection with what `answer` makes of the request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(head))
        writer.close()

    server = await asyncio.start_unix_server(serve, sock=listen(folder))
    async with server:
        yield ControlClient(folder)


def http(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def test_an_answer_is_returned(tmp_path: Path) -> None:
    heads = []

    def answer(head: bytes) -> bytes:
        heads.append(head)
        return http("200 OK", b'{"ok": true}')

    async with gateway(tmp_path, answer) as client:
        assert await client.ask("GET", "/healthz") == {"ok": True}
    assert heads[0].startswith(b"GET /healthz HTTP/1.1\r\n")


async def test_an_answer_without_content_is_empty(tmp_path: Path) -> None:
    async with gateway(tmp_path, lambda head: b"HTTP/1.1 204 No Content\r\n\r\n") as client:
        assert await client.ask("DELETE", "/seats/x") == {}


async def test_a_refusal_carries_its_code_and_its_sentence(tmp_path: Path) -> None:
    body = b'{"error": "no-such-seat", "sentence": "there is no such seat"}'
    async with gateway(tmp_path, lambda head: http("404 Not Found", body)) as client:
        with pytest.raises(Refused, match="there is no such seat") as caught:
            await client.ask("DELETE", "/seats/x")

    assert caught.value.code == "no-such-seat"


@pytest.mark.parametrize("folder", ["", "none", "file"])
async def test_without_a_gateway_the_sentence_says_how_to_start_one(
    tmp_path: Path, folder: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotRunning, match="Start it with `homepost-gateway serve`"):
        await ControlClient(tmp_path / folder).ask("GET", "/status")


async def test_a_socket_that_a_killed_gateway_left_counts_as_none(tmp_path: Path) -> None:
    listen(tmp_path).close()

    with pytest.raises(NotRunning, match="No gateway is running"):
        await ControlClient(tmp_path).ask("GET", "/status")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"220 mail.example ESMTP\r\n",
        b"\x16\x03\x01\x02\x00",
        http("200 OK", b" " * (MAX_ANSWER + 1)),
    ],
    ids=["nothing", "half", "smtp", "tls", "endless"],
)
async def test_a_gateway_that_stops_midway_is_said_to_have_stopped(
    tmp_path: Path, answer: bytes
) -> None:
    async with gateway(tmp_path, lambda head: answer) as client:
        with pytest.raises(NotRunning, match="stopped meanwhile"):
            await client.ask("GET", "/status")


@pytest.mark.parametrize("body", [b"[]", b"true", b"<html>", b"\xff"])
async def test_an_answer_of_another_kind_is_not_understood(tmp_path: Path, body: bytes) -> None:
    async with gateway(tmp_path, lambda head: http("200 OK", body)) as client:
        with pytest.raises(Refused, match="not understood"):
            await client.ask("GET", "/status")


async def test_a_gateway_that_does_not_answer_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.control_client.PATIENCE", 0.05)

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(hold, sock=listen(tmp_path))
    async with server:
        with pytest.raises(NotRunning, match="does not answer"):
            await ControlClient(tmp_path).ask("GET", "/status")
