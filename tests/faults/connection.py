"""Connections of one visitor to a gateway: what comes back, what is refused, and what is lost.

Three things can come of a request, and a case has to tell them apart: an answer, a refusal, and no
answer at all, after which nobody knows what was done.
"""

import base64
import json
import ssl
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import aiohttp

from wire.auth import Channel, LaneOpening, Purpose
from wire.frames import MAX_FRAME
from wire.lanes import Lane

PATIENCE: Final = aiohttp.ClientTimeout(total=30.0)
_BROKEN: Final = (aiohttp.ClientError, OSError, TimeoutError)


class Refused(Exception):
    """The gateway understood and said no."""

    def __init__(self, answer: "Answer") -> None:
        super().__init__(f"{answer.code} ({answer.status})")
        self.code = answer.code
        self.status = answer.status


class NoAnswer(Exception):
    """The connection ended first: perhaps it was done, perhaps not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of a request."""

    status: int
    headers: tuple[tuple[str, str], ...]
    data: bytes

    @property
    def code(self) -> str | None:
        """The code of a refusal; None if it is none."""
        if self.status < 400:
            return None
        try:
            return str(json.loads(self.data)["error"])
        except (ValueError, KeyError, TypeError):
            return f"no code, but {self.data[:80]!r}"

    def json(self) -> Any:
        """Return what is in an answer that is JSON."""
        return json.loads(self.data)

    @property
    def visible(self) -> tuple[object, ...]:
        """All that somebody who compares two answers sees, but for the time."""
        headers = tuple(one for one in self.headers if one[0].lower() != "date")
        return self.status, headers, self.data


def spelled(data: bytes) -> str:
    """Return bytes as they stand in a header."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


@dataclass
class Connection:
    """One visitor's connections, at most one at a time beside WebSockets."""

    session: aiohttp.ClientSession
    port: int
    tls: ssl.SSLContext
    channel: Channel
    host: str = "127.0.0.1"

    async def ask(
        self, method: str, path: str, data: bytes = b"", *, headers: dict[str, str] | None = None
    ) -> Answer:
        """Ask once and return whatever came back.

        Raises:
            NoAnswer: nothing, or not all of it.
        """
        try:
            async with self.session.request(
                method, self._url(path), data=BytesIO(data), headers=headers, ssl=self.tls
            ) as response:
                content = await response.read()
                return Answer(response.status, tuple(response.headers.items()), content)
        except _BROKEN as error:
            raise NoAnswer(repr(error)) from error

    async def must(
        self, method: str, path: str, data: bytes = b"", *, headers: dict[str, str] | None = None
    ) -> bytes:
        """Ask for what should be granted; return the answer's body.

        Raises:
            Refused, NoAnswer
        """
        answer = await self.ask(method, path, data, headers=headers)
        if answer.status >= 400:
            raise Refused(answer)
        return answer.data

    async def close(self) -> None:
        """Hang up."""
        await self.session.close()

    async def websocket(
        self, path: str, headers: dict[str, str]
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket.

        Raises:
            NoAnswer: nobody opened one, for whatever reason.
        """
        try:
            return await self.session.ws_connect(
                self._url(path), headers=headers, ssl=self.tls, max_msg_size=MAX_FRAME
            )
        except _BROKEN as error:
            raise NoAnswer(repr(error)) from error

    async def handshake(self, path: str, headers: dict[str, str]) -> int:
        """Try to open a WebSocket; return the status of the answer, and hang up.

        Raises:
            NoAnswer: there was none.
        """
        try:
            socket = await self.session.ws_connect(self._url(path), headers=headers, ssl=self.tls)
        except aiohttp.WSServerHandshakeError as error:
            return error.status
        except _BROKEN as error:
            raise NoAnswer(repr(error)) from error
        await socket.close()
        return 101

    async def nonce(self) -> bytes:
        """Get a challenge."""
        return await self.must("POST", "/v1/challenge")

    async def opening(
        self, lane: Lane, purpose: Purpose = "deposit", *, nonce: bytes | None = None
    ) -> dict[str, str]:
        """Return the header that opens a request as a holder of `lane`."""
        nonce = nonce or await self.nonce()
        made = LaneOpening.make(lane, channel=self.channel, nonce=nonce, purpose=purpose)
        return {"Homepost-Lane": spelled(made.encode())}

    def _url(self, path: str) -> str:
        return f"https://{self.host}:{self.port}{path}"
