"""Connections to a gateway, pinned to its key, at the first of its places that answers.

Whoever asks on one is told apart by it: what is asked with a login and what is handed in for others
never share one (docs/protocol.md §1, §3.2, §3.5).
"""

import asyncio
import base64
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import aiohttp

from peer.command import command
from peer.errors import GatewayNotThere, GatewayRefused, WrongGateway
from peer.ways.tls import CONNECT_SECONDS, look_at, named, pinned
from wire.auth import NONCE_BYTES, Channel
from wire.frames import MAX_FRAME
from wire.ids import GatewayId
from wire.places import Place

READ_SECONDS: Final = 90.0
"""Time for one answer; the longest wait we ask for is 25 seconds, the rest a slow line may need."""
SLOWEST: Final = 16_000
"""Bytes a second below which a line is given up: 128 kbit/s."""
MAX_ANSWER: Final = MAX_FRAME + 4096
"""Bytes of the largest answer: one frame of parcels and a greeting."""

NONCE_SECONDS: Final = 50.0
"""How long we take a nonce for good that came with an answer; a gateway does for 60. Source:
docs/protocol.md §3.4."""

_CODE: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
"""What a refusal's code looks like; it is shown to people, and a stranger may have written it."""
_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError)


@dataclass(frozen=True, slots=True)
class Destination:
    """A gateway: its key, where it may be, and its certificate as far as we know it."""

    gateway: GatewayId
    places: tuple[Place, ...]
    certificate: bytes | None
    ours: bool = False
    """Whether it is our own, whose address its holder can correct."""


Learned = Callable[[GatewayId, bytes], None]
"""Told of a certificate that was checked and is to be pinned."""


class Connection:
    """Connections to one gateway, at the first of its places that answers.

    Args:
        session: whose connections these are; never shared between logins and deposits.
        destination: where to.
        learned: told when the gateway shows a certificate that we did not know.
    """

    def __init__(
        self, session: aiohttp.ClientSession, destination: Destination, *, learned: Learned
    ) -> None:
        self._session = session
        self._destination = destination
        self._learned = learned
        self._certificate = destination.certificate
        self._tls: ssl.SSLContext | None = None
        self._place: Place | None = None
        self._nonce = b""
        self._nonce_ends = 0.0

    async def channel(self) -> Channel:
        """Return what an answer on these connections is bound to."""
        await self._find()
        assert self._certificate is not None  # noqa: S101  # _find leaves one
        return Channel.over(self._destination.gateway, certificate=self._certificate)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> bytes:
        """Ask and return the answer's body.

        Raises:
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        await self._find()
        for last in (False, True):  # all we ask may be repeated
            try:
                async with asyncio.timeout(READ_SECONDS + len(body) / SLOWEST):
                    status, data = await self._ask_once(method, path, body, headers)
            except aiohttp.ClientConnectorCertificateError:
                if last:
                    raise GatewayNotThere(self._not_there()) from None
                await self._look_again()
            except aiohttp.ServerDisconnectedError:  # a kept connection that had ended
                if last:
                    raise GatewayNotThere(self._not_there()) from None
            except _FAILURES:
                raise GatewayNotThere(self._not_there()) from None
            else:
                if not 200 <= status < 300:
                    raise _refusal(status, data)
                return data
        raise GatewayNotThere(self._not_there())

    def take_nonce(self) -> bytes | None:
        """Return the nonce that the last answer brought for one more opening, once.

        Source: docs/protocol.md §4.5.
        """
        nonce, self._nonce = self._nonce, b""
        fresh = asyncio.get_running_loop().time() < self._nonce_ends
        return nonce if fresh and len(nonce) == NONCE_BYTES else None

    def _keep_nonce(self, text: str) -> None:
        with suppress(ValueError):  # then there is none
            self._nonce = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            self._nonce_ends = asyncio.get_running_loop().time() + NONCE_SECONDS

    async def _ask_once(
        self, method: str, path: str, body: bytes, headers: dict[str, str] | None
    ) -> tuple[int, bytes]:
        async with self._session.request(
            method,
            self._url(path),
            data=body,
            headers=headers,
            ssl=self._context(),
            allow_redirects=False,
        ) as answer:
            data = bytearray()
            async for chunk in answer.content.iter_chunked(1 << 16):
                data += chunk
                if len(data) > MAX_ANSWER:
                    raise GatewayRefused("too-large", {})
            self._keep_nonce(answer.headers.get("Homepost-Nonce", ""))
            return answer.status, bytes(data)

    @asynccontextmanager
    async def websocket(
        self, path: str, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket.

        Raises:
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        await self._find()
        try:
            async with self._session.ws_connect(
                self._url(path),
                headers=headers,
                ssl=self._context(),
                max_msg_size=MAX_FRAME,
                compress=0,
            ) as socket:
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            reason = "login-needed" if error.status == 401 else "refused"
            raise GatewayRefused(reason, {}) from None
        except _FAILURES:
            raise GatewayNotThere(self._not_there()) from None

    async def _find(self) -> None:
        """Settle for the first place where the gateway answers."""
        if self._place is not None:
            return
        trouble: GatewayNotThere | WrongGateway | None = None
        for place in self._destination.places:
            try:
                if self._certificate is None or len(self._destination.places) > 1:
                    await self._learn(place)
                self._place = place
                return
            except GatewayNotThere:
                trouble = trouble or GatewayNotThere(self._not_there())
            except WrongGateway as error:
                trouble = trouble or error
        raise trouble or GatewayNotThere(self._not_there())

    async def _learn(self, place: Place) -> None:
        _, certificate = await look_at(place, named(self._destination.gateway))
        if certificate != self._certificate:
            self._certificate = certificate
            self._tls = None
            self._learned(self._destination.gateway, certificate)

    async def _look_again(self) -> None:
        assert self._place is not None  # noqa: S101  # only asked after _find
        await self._learn(self._place)

    def _url(self, path: str) -> str:
        return f"https://{self._place}{path}"

    def _context(self) -> ssl.SSLContext:
        """Return how TLS is spoken; always the same, since connections are kept for its like."""
        assert self._certificate is not None  # noqa: S101  # _find leaves one
        if self._tls is None:
            self._tls = pinned(self._certificate)
        return self._tls

    def _not_there(self) -> str:
        where = ", ".join(str(one) for one in self._destination.places) or "any known address"
        moved = f" If its address has changed, type: {command('gateway --host ADDRESS')}"
        return (
            f"no gateway answers at {where}. Is the box on, and is this device in its network?"
            + moved * self._destination.ours
        )


@asynccontextmanager
async def connect(destination: Destination, *, learned: Learned) -> AsyncIterator[Connection]:
    """Give connections to a gateway that nobody else uses, and close them afterwards."""
    timeout = aiohttp.ClientTimeout(
        total=None, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS
    )
    async with aiohttp.ClientSession(
        timeout=timeout,
        trace_configs=[_no_redirects()],
        trust_env=False,  # a proxy of the environment would see whom we talk to
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": "homepost"},
    ) as session:
        yield Connection(session, destination, learned=learned)


def _no_redirects() -> aiohttp.TraceConfig:
    """Return what stops a WebSocket's request, which has no switch for it, from being led away."""

    async def refuse(*_arguments: object) -> None:
        raise GatewayRefused("redirected", {})

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace


def _refusal(status: int, data: bytes) -> GatewayRefused:
    try:
        facts = json.loads(data)
    except (ValueError, RecursionError):
        facts = None
    code = facts.pop("error", None) if isinstance(facts, dict) else None
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return GatewayRefused(f"status-{status}", {})
    return GatewayRefused(code, facts)
