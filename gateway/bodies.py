"""Takes what a request carries, within bounds that are set before anything is read.

Quart collects a body as fast as it comes, whoever sends it. Here it stays with the network until a
route asks for it, which is after it knows who asks; and a WebSocket's messages wait until the one
before them was taken. What is refused unread is passed over for a moment, so that the other side
is still there to read why.

    app.request_class = PatientRequest
    app.asgi_http_class, app.asgi_websocket_class = PatientHttp, PatientWebsocket
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from typing import Any, Final

from quart import Quart, Request, Response, request
from quart.asgi import ASGIHTTPConnection, ASGIWebsocketConnection
from quart.wrappers.request import Body
from werkzeug.exceptions import RequestEntityTooLarge

from gateway.errors import Busy, Refusal
from wire.errors import Malformed

BODY_SECONDS: Final = 10.0
"""Time to send a small body."""
BODY_RATE: Final = 16_000
"""Bytes a second at which a larger one must come at least: a poor mobile uplink."""
PASS_OVER_SECONDS: Final = 2.0
"""Time for which a body that nobody wanted is passed over, so that the answer is read."""
MAX_WAIT: Final = 25
"""Seconds that a request may wait for news: below the minute after which home routers cut."""


class TooLarge(Refusal):
    """The body is larger than this place of the protocol allows; it was not read."""

    code = "too-large"
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"at most {limit} bytes are taken here")
        self.limit = limit


class TooSlow(Refusal):
    """The body did not come in time."""

    code = "too-slow"
    status = 408


async def body(limit: int) -> bytes:
    """Return the request's body.

    Args:
        limit: bytes; a longer one is refused by its announced length, before it is read.

    Raises:
        TooLarge: it is longer.
        TooSlow: it did not come in time.
        Busy: there is no memory for it.
    """
    if (request.content_length or 0) > limit:
        raise TooLarge(limit)
    request.max_content_length = limit
    try:
        async with asyncio.timeout(BODY_SECONDS + limit / BODY_RATE):
            data: bytes = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    except TimeoutError:
        raise TooSlow from None
    except RequestEntityTooLarge:
        raise TooLarge(limit) from None
    return data


def octets(data: bytes, status: int = 200) -> Response:
    """Return bytes as an answer."""
    return Response(data, status=status, mimetype="application/octet-stream")


def nothing() -> Response:
    """Return the answer to what needs none: done."""
    return Response(status=204)


def wait_seconds() -> float:
    """Return how long the request may wait, from its query.

    Raises:
        Malformed: no whole number of seconds up to `MAX_WAIT`.
    """
    text = request.args.get("wait", "0")
    if not re.fullmatch(r"[0-9]{1,2}", text) or int(text) > MAX_WAIT:
        raise Malformed(f"wait is a whole number of seconds up to {MAX_WAIT}")
    return float(text)


def spelled(data: bytes) -> str:
    """Return bytes as they stand in a header: base64url without padding."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def header_bytes(text: str) -> bytes:
    """Return the bytes of a header in base64url without padding.

    Raises:
        Malformed: another alphabet, padding, or another spelling of the same bytes.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("a header that is not base64url") from None
    if spelled(data) != text:
        raise Malformed("a header that is not spelled as it must be")
    return data


def read_patiently(app: Quart) -> None:
    """Let `app` read bodies and messages only when they are wanted."""
    app.request_class = PatientRequest
    app.asgi_http_class = PatientHttp
    app.asgi_websocket_class = PatientWebsocket


class PatientBody(Body):
    """A body that is not read before somebody awaits it, and never beyond its limit."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, None)
        self.limit = max_content_length
        self.wanted = asyncio.Event()
        self.ended = asyncio.Event()
        self._taken = 0
        self._had_room = True

    def append(self, data: bytes) -> None:
        """Keep what came, or pass over what is beyond the limit or finds no memory."""
        self._taken += len(data)
        try:
            if self._had_room and not self._too_long:
                super().append(data)
                return
        except MemoryError:
            self._had_room = False
        self.clear()
        self.set_complete()

    def pass_over(self) -> None:
        """Let what still comes go by."""
        self.limit = 0
        self.wanted.set()

    def __await__(self) -> Generator[Any, None, Any]:
        self.wanted.set()
        data = yield from super().__await__()
        if not self._had_room:
            raise Busy
        if self._too_long:
            raise RequestEntityTooLarge
        return data

    @property
    def _too_long(self) -> bool:
        return self.limit is not None and self._taken > self.limit


class PatientRequest(Request):
    """A request whose `max_content_length` bounds the body also when a route sets it."""

    body: PatientBody
    body_class = PatientBody

    @property
    def max_content_length(self) -> int | None:
        """The most bytes that the body may have."""
        return self.body.limit

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self.body.limit = value


class PatientHttp(ASGIHTTPConnection):
    """A request over HTTP; hypercorn holds its body back until it is wanted."""

    async def handle_messages(self, request: Any, receive: Callable[[], Awaitable[Any]]) -> None:
        """Hand on the body, then wait for the other side to hang up."""
        body: PatientBody = request.body
        if request.content_length or "Transfer-Encoding" in request.headers:
            await body.wanted.wait()
        while (message := await receive())["type"] == "http.request":
            body.append(message.get("body", b""))
            if not message.get("more_body", False):
                body.set_complete()
                body.ended.set()

    async def handle_request(self, request: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        """Answer; a body that was not read is passed over before the answer's end."""
        body: PatientBody = request.body

        async def patiently(message: Any) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                body.pass_over()
                with suppress(TimeoutError):
                    async with asyncio.timeout(PASS_OVER_SECONDS):
                        await body.ended.wait()
            await send(message)

        await super().handle_request(request, patiently)


class PatientWebsocket(ASGIWebsocketConnection):
    """A WebSocket of which one message waits at most: the rest stays with the network."""

    def __init__(self, app: Quart, scope: Any) -> None:
        super().__init__(app, scope)
        self.queue = asyncio.Queue(maxsize=1)
