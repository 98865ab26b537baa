"""One WebSocket whose messages are frames, and its end."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.errors import MailboxFull
from gateway.mailbox import framed
from gateway.mailbox.framed import Framed, Goodbye
from gateway.visit import STATE, Visit
from wire.errors import Malformed
from wire.frames import Bye, Ping, Pong, decode_frame, encode_frame


@dataclass
class Socket:
    """A WebSocket in memory; `stuck` lets nothing out."""

    incoming: asyncio.Queue[bytes | str | None] = field(default_factory=asyncio.Queue)
    sent: list[bytes] = field(default_factory=list)
    closed: int | None = None
    aborted: bool = False
    stuck: bool = False

    @property
    def scope(self) -> Mapping[str, Any]:
        return {"state": {STATE: Visit(self.abort)}}

    def abort(self) -> None:
        self.aborted = True

    async def receive(self) -> bytes | str | None:
        return await self.incoming.get()

    async def send(self, data: bytes) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        self.sent.append(data)

    async def close(self, code: int) -> None:
        self.closed = code

    @property
    def frames(self) -> list[object]:
        return [decode_frame(one) for one in self.sent]


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_message_is_one_frame() -> None:
    socket = Socket()
    one = Framed(socket)
    socket.incoming.put_nowait(encode_frame(Pong()))

    assert await one.receive() == Pong()
    await one.send(Ping())
    assert socket.frames == [Ping()]


@pytest.mark.parametrize("message", ["text", None, b"", b"\xff"])
async def test_a_message_that_is_no_frame_is_called_so(message: bytes | str | None) -> None:
    socket = Socket()
    socket.incoming.put_nowait(message)

    with pytest.raises(Malformed):
        await Framed(socket).receive()


async def _fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Goodbye("replaced"), "replaced"),
        (Malformed("detail"), "malformed"),
        (MailboxFull(), "mailbox-full"),
    ],
)
async def test_the_reason_of_an_end_is_said(error: Exception, code: str) -> None:
    socket = Socket()

    await Framed(socket).run(forever(), _fail(error))

    assert socket.frames == [Bye(code)]
    assert socket.closed == 1000


async def test_work_that_is_done_ends_the_connection_without_a_word() -> None:
    socket = Socket()

    async def nothing() -> None:
        return

    await Framed(socket).run(nothing(), forever())

    assert socket.sent == []
    assert socket.closed == 1000


async def test_an_error_of_ours_is_not_swallowed() -> None:
    with pytest.raises(KeyError):
        await Framed(Socket()).run(forever(), _fail(KeyError("bug")))


async def test_hanging_up_from_outside_ends_everything_once() -> None:
    socket = Socket()
    one = Framed(socket)
    running = asyncio.create_task(one.run(forever(), forever()))
    await asyncio.sleep(0)
    one.hang_up("revoked")
    one.hang_up("going-away")
    await running

    assert socket.frames == [Bye("revoked")]


async def test_whoever_does_not_take_the_last_word_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(framed, "FAREWELL_SECONDS", 0.05)
    socket = Socket(stuck=True)
    one = Framed(socket)
    one.hang_up("revoked")

    await one.run(forever())

    assert socket.aborted


async def test_whoever_was_cancelled_leaves_no_task_behind() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await forever()
        finally:
            ended.set()

    running = asyncio.create_task(Framed(Socket()).run(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})

    assert ended.is_set()
