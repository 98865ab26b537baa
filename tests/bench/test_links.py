"""A link asks, is refused, becomes a WebSocket, and says when it was lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.framing import message, request
from bench.links import Address, Lost, Refused, connect


@asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[Address]:
    """Run a server that gives one answer for each thing it reads, then hangs up."""

    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for one in answers:
            await reader.read(1 << 16)
            writer.write(one)
        await reader.read(1 << 16)
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as running:
        yield Address(running.sockets[0].getsockname()[1], tls=False)
        await ended.wait()


async def test_answers_come_to_their_requests() -> None:
    body = b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nhi"
    refusal = b"HTTP/1.1 403 \r\ncontent-length: 0\r\n\r\n"
    async with server(body, refusal) as address:
        link = await connect(address)

        assert (await link.must(request("GET", "/"))).body == b"hi"
        with pytest.raises(Refused) as refused:
            await link.must(request("GET", "/"))
        assert refused.value.status == 403
        assert link.certificate() == b""
        link.close()
        await link.ended
        with pytest.raises(Lost):
            await link.ask(request("GET", "/"))


async def test_what_is_not_answered_is_lost() -> None:
    async with server() as address:
        link = await connect(address)
        with pytest.raises(Lost):
            await link.ask(request("GET", "/"))


async def test_frames_follow_the_handshake_even_in_the_same_packet() -> None:
    frames, came = list[bytes](), asyncio.Event()

    def take(frame: bytes) -> None:
        frames.append(frame)
        came.set()

    async with server(b"HTTP/1.1 101 \r\n\r\n\x82\x03one", b"\x82\x03two") as address:
        link = await connect(address)
        await link.upgrade("/v1/mailbox", take, headers="")
        assert frames == [b"one"]
        came.clear()
        link.send(message(b"more"))
        await came.wait()
        link.close()

    assert frames == [b"one", b"two"]


async def test_a_refused_handshake_is_a_refusal() -> None:
    async with server(b"HTTP/1.1 401 \r\ncontent-length: 0\r\n\r\n") as address:
        link = await connect(address)
        with pytest.raises(Refused):
            await link.upgrade("/v1/mailbox", lambda frame: None, headers="")
        link.close()
