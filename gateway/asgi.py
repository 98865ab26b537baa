"""HTTP and WebSockets without a framework between: for what comes with every parcel.

Quart costs more for a request than the parcel in it (bench/). The few requests that come for each
parcel are therefore answered here, over the bare interface between server and application; all
others go to Quart. Source: https://asgi.readthedocs.io/en/latest/specs/www.html.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

from gateway.answers import told
from gateway.bodies import BODY_RATE, BODY_SECONDS, PASS_OVER_SECONDS, TooLarge, TooSlow
from gateway.errors import Refusal
from wire.errors import WireError

Scope: TypeAlias = Any
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

OCTETS: Final = b"application/octet-stream"
JSON: Final = b"application/json"

log = logging.getLogger(__name__)


class HungUp(Exception):
    """The other side is gone."""


class Names(Mapping[str, str]):
    """A request's headers by name, whatever the case; of several with one name the first."""

    def __init__(self, headers: Headers) -> None:
        self._found = dict[str, str]()
        for name, value in headers:
            self._found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def __getitem__(self, name: str) -> str:
        return self._found[name.lower()]

    def __iter__(self) -> Any:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class Request:
    """A request before its body."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.headers = Names(scope["headers"])


class Exchange:
    """One request over HTTP, and its answer.

    Args:
        scope: of the request.
        receive: brings its body.
        send: takes the answer.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked = Request(scope)
        self._receive = receive
        self._send = send
        self._ended = False

    async def body(self, limit: int) -> bytes:
        """Return the body.

        Args:
            limit: bytes; a longer one is refused by its announced length, before it is read.

        Raises:
            TooLarge: it is longer.
            TooSlow: it did not come in time.
            HungUp: the other side is gone.
        """
        if int(self.asked.headers.get("content-length", "0")) > limit:
            raise TooLarge(limit)
        try:
            async with asyncio.timeout(BODY_SECONDS + limit / BODY_RATE):
                return await self._read(limit)
        except TimeoutError:
            raise TooSlow from None

    async def answer(self, data: bytes, *, status: int = 200, headers: Headers = ()) -> None:
        """Answer with bytes; a body that was not read is passed over first."""
        await self._say(status, data, kind=OCTETS, headers=headers)

    async def refuse(self, error: Exception) -> None:
        """Answer as `answers.py` would."""
        status, data = _told(error)
        await self._say(status, data, kind=JSON)

    async def _say(self, status: int, data: bytes, *, kind: bytes, headers: Headers = ()) -> None:
        with suppress(TimeoutError, HungUp):
            if not self._ended:
                async with asyncio.timeout(PASS_OVER_SECONDS):
                    await self._read(None)
        said = [(b"content-type", kind), (b"content-length", b"%d" % len(data)), *headers]
        await self._send({"type": "http.response.start", "status": status, "headers": said})
        await self._send({"type": "http.response.body", "body": data})

    async def _read(self, limit: int | None) -> bytes:
        """Return the rest of the body, or let it go by."""
        pieces, size = list[bytes](), 0
        while not self._ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise HungUp
            self._ended = not message.get("more_body", False)
            if limit is not None:
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > limit:
                    raise TooLarge(limit)
        return b"".join(pieces)


class RawSocket:
    """A WebSocket, from the request that wants one to its end.

    Args:
        scope: of the request.
        receive: brings messages.
        send: takes messages.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked = Request(scope)
        self._receive = receive
        self._send = send
        self._gone = False
        self.accepted = False
        """Whether it is one by now, and no request any more."""

    @property
    def scope(self) -> Mapping[str, Any]:
        """What the server says of the connection."""
        return self.asked.scope  # type: ignore[no-any-return]  # a dict, says its specification

    async def accept(self) -> None:
        """Let the other side begin."""
        self.accepted = True
        await self._send({"type": "websocket.accept"})

    async def refuse(self, error: Exception) -> None:
        """Answer the request with a refusal instead."""
        status, data = _told(error)
        said = [(b"content-type", JSON), (b"content-length", b"%d" % len(data))]
        start = {"type": "websocket.http.response.start", "status": status, "headers": said}
        await self._send(start)
        await self._send({"type": "websocket.http.response.body", "body": data})

    async def receive(self) -> bytes | str | None:
        """Return the next message: bytes, or a text.

        Raises:
            HungUp: the other side is gone.
        """
        while True:
            message = await self._receive()
            match message["type"]:
                case "websocket.receive":
                    data: bytes | None = message.get("bytes")
                    text: str | None = message.get("text")
                    return data if data is not None else text
                case "websocket.disconnect":
                    self._gone = True
                    raise HungUp

    async def send(self, data: bytes) -> None:
        """Send a message; return when the other side takes more."""
        await self._send({"type": "websocket.send", "bytes": data})

    async def close(self, code: int) -> None:
        """Say that it ends."""
        if not self._gone:
            await self._send({"type": "websocket.close", "code": code})


def _told(error: Exception) -> tuple[int, bytes]:
    if not isinstance(error, Refusal | WireError):
        log.error("a request failed", exc_info=error)
    status, facts = told(error)
    return status, json.dumps(facts, sort_keys=True, separators=(",", ":")).encode() + b"\n"
