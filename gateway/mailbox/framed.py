"""Frames over one WebSocket, and its end: said in a word, and never waited for.

Whoever holds the socket may run several tasks on it; the first that ends, ends them all, and so
does `hang_up`, called from anywhere (docs/protocol.md §5.2).
"""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from gateway.asgi import HungUp
from gateway.errors import Refusal
from gateway.visit import visit_of
from wire.errors import Malformed, WireError
from wire.frames import Bye, Frame, decode_frame, encode_frame

FAREWELL_SECONDS: Final = 3.0
"""Time for the last word to be taken, and for the socket to close; then it is cut."""
_NORMAL: Final = 1000
"""Close code of a WebSocket that ends as it should. Source: RFC 6455 §7.4.1."""


class Socket(Protocol):
    """A WebSocket that was accepted, as far as we use it."""

    @property
    def scope(self) -> Mapping[str, Any]: ...

    async def receive(self) -> bytes | str | None: ...

    async def send(self, data: bytes) -> None: ...

    async def close(self, code: int) -> None: ...


class Goodbye(Exception):
    """The connection ends, and the other side is told why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Framed:
    """A WebSocket of which every message is one frame.

    Args:
        socket: accepted.
    """

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._ending: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def hang_up(self, code: str) -> None:
        """End the connection and say why."""
        if not self._ending.done():
            self._ending.set_result(code)

    async def receive(self) -> Frame:
        """Return the next frame.

        Raises:
            WireError: a message that is no frame.
        """
        data = await self._socket.receive()
        if not isinstance(data, bytes):  # None: a message without a byte
            raise Malformed("frames are binary")
        return decode_frame(data)

    async def send(self, frame: Frame) -> None:
        """Send a frame; return when the other side takes more."""
        await self._socket.send(encode_frame(frame))

    async def send_bytes(self, frame: bytes) -> None:
        """Send a frame that is encoded already."""
        await self._socket.send(frame)

    async def run(self, *works: Coroutine[Any, Any, None]) -> None:
        """Run `works` side by side until one ends or fails, or somebody hangs up; then close."""
        code = None
        try:
            await self._until_one_ends([asyncio.create_task(one) for one in works])
        except Goodbye as goodbye:
            code = goodbye.code
        except (WireError, Refusal) as error:
            code = error.code
        except HungUp:
            pass
        await self._close(code)

    async def _until_one_ends(self, tasks: list[asyncio.Task[None]]) -> None:
        ends: set[asyncio.Future[Any]] = {*tasks, self._ending}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._ending.done():
                raise Goodbye(self._ending.result())
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _close(self, code: str | None) -> None:
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                with suppress(ConnectionError, RuntimeError):  # the other side was faster
                    if code is not None:
                        await self.send(Bye(code))
                    await self._socket.close(_NORMAL)
        except TimeoutError:
            visit_of(self._socket.scope).abort()
