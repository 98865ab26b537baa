"""Asks a gateway, over connections that are pinned to its key (docs/protocol.md §1, §3 to §5, §11).

A `GatewayClient` logs in as a device of its seat. A `DepositClient` never does: it has connections
of its own, shows a lane, and nothing on them says who it is.
"""

import asyncio
import base64
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import aiohttp

from peer.command import command
from peer.errors import GatewayNotThere, GatewayRefused, WrongGateway
from peer.ways.tls import CONNECT_SECONDS, look_at, named, pinned
from wire.auth import BEARER_BYTES, NONCE_BYTES, Channel, LaneOpening, Login, Purpose
from wire.codec import Value, encode
from wire.errors import WireError
from wire.fields import Fields
from wire.frames import (
    MAX_FRAME,
    Ack,
    Bye,
    Cursor,
    Delivered,
    Deposit,
    Hello,
    Outcome,
    Parcels,
    Ping,
    Pong,
    Proved,
    Results,
    Resume,
    decode_frame,
    encode_frame,
)
from wire.ids import GatewayId, LaneId, SlotId
from wire.lanes import Lane, LaneRight
from wire.pairing import PairAnswer, PairRequest
from wire.places import Place
from wire.prekeys import Bundles, Prekey, PrekeyKind, decode_bundles, encode_upload

READ_SECONDS: Final = 90.0
"""Time for one answer; the longest wait we ask for is 25 seconds, the rest a slow line may need."""
SLOWEST: Final = 16_000
"""Bytes a second below which a line is given up: 128 kbit/s."""
HEARD_SECONDS: Final = 75.0
"""Silence on a mailbox after which its connection is dead: the gateway asks every 30 seconds
whether we are there, and gives us as long to answer."""
WAIT_SECONDS: Final = 25
MAX_ANSWER: Final = MAX_FRAME + 4096
"""Bytes of the largest answer: one frame of parcels and a greeting."""

NOT_YET_SECONDS: Final = 0.5
"""Pause before a message is asked for again: whoever answers at once is not asked at full speed."""

_CODE: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
"""What a refusal's code looks like; it is shown to people, and a stranger may have written it."""
_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError)


class Signs(Protocol):
    """Answers a login challenge with the device's key, which stays where it is."""

    def __call__(self, *, channel: Channel, nonce: bytes) -> Login: ...


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


class GatewayClient:
    """Our own gateway, as a device of our seat.

    Args:
        connection: for this client alone.
        signs: answers the login challenge.
    """

    def __init__(self, connection: Connection, signs: Signs) -> None:
        self._connection = connection
        self._signs = signs
        self._bearer: str | None = None

    # Pairing, without login

    async def pair(self, request: PairRequest, *, wait: int = 0) -> PairAnswer:
        """Ask for a seat; the same request always gets the answer that is true by then."""
        path = f"/v1/pair?wait={wait}"
        data = await self._connection.ask("POST", path, body=request.encode())
        with _understood():
            return PairAnswer.decode(data)

    async def refuse(self, request: PairRequest) -> None:
        """Say that the check codes differ: the code dies."""
        await self._connection.ask("POST", "/v1/pair/refuse", body=request.encode())

    async def channel(self) -> Channel:
        """Return what answers to this gateway are bound to."""
        return await self._connection.channel()

    # The seat

    async def mint_lanes(self, lanes: Sequence[LaneRight], *, rests_on: int) -> None:
        """Register lanes, or change what they do."""
        values: list[Value] = [one.to_value() for one in lanes]
        await self._ask("PUT", "/v1/lanes", encode({0: 1, 1: rests_on, 2: values}))

    async def revoke_lanes(self, lanes: Sequence[LaneId], *, rests_on: int) -> None:
        """Take lanes back."""
        values: list[Value] = [one.raw for one in lanes]
        await self._ask("POST", "/v1/lanes/revoke", encode({0: 1, 1: rests_on, 2: values}))

    async def put_card(self, statement: bytes) -> None:
        """Hand over a statement that continues our card."""
        await self._ask("POST", "/v1/card", statement)

    async def prekey_counts(self) -> dict[PrekeyKind, int]:
        """Return how many prekeys of each kind lie there."""
        data = await self._ask("GET", "/v1/prekeys")
        with _understood():
            fields = Fields.read(data, limit=256, what="counts")
            fields.version(0, known=1)
            counts = Fields(fields.map(1), what="counts")
            return {kind: counts.integer(int(kind), low=0, high=1 << 32) for kind in PrekeyKind}

    async def upload_prekeys(self, prekeys: tuple[Prekey, ...]) -> None:
        """Leave prekeys there."""
        await self._ask("POST", "/v1/prekeys", encode_upload(prekeys))

    async def status(self) -> dict[str, Any]:
        """Return how our mailbox is."""
        data = await self._ask("GET", "/v1/status")
        with _understood():
            found = json.loads(data)
        if not isinstance(found, dict):
            raise GatewayRefused("malformed", {})
        return found

    # The mailbox

    async def collect(self, cursor: Cursor, *, wait: int = 0) -> tuple[Hello, Parcels | None]:
        """Return what comes after `cursor`, as much as one frame holds."""
        path = f"/v1/mailbox/collect?wait={wait}"
        data = await self._ask("POST", path, encode_frame(Resume(cursor)))
        frames, offset = [], 0
        with _understood():
            while offset < len(data):
                end = offset + 4 + int.from_bytes(data[offset : offset + 4], "big")
                frames.append(decode_frame(data[offset + 4 : end]))
                offset = end
        match frames:
            case [Hello() as hello]:
                return hello, None
            case [Hello() as hello, Parcels() as parcels]:
                return hello, parcels
        raise GatewayRefused("malformed", {})

    async def acknowledge(self, cursor: Cursor) -> None:
        """Say that everything up to `cursor` is on our disk."""
        await self._ask("POST", "/v1/mailbox/ack", encode_frame(Ack(cursor)))

    @asynccontextmanager
    async def mailbox(self, cursor: Cursor) -> AsyncIterator["LiveMailbox"]:
        """Open the mailbox as a WebSocket, going on after `cursor`."""
        for attempt in (1, 2):
            headers = await self._authorization()
            try:
                async with self._connection.websocket("/v1/mailbox", headers) as socket:
                    await socket.send_bytes(encode_frame(Resume(cursor)))
                    yield LiveMailbox(socket)
                    return
            except GatewayRefused as refused:
                if refused.reason != "login-needed" or attempt == 2:
                    raise
                self._bearer = None

    # Rendezvous, as the host

    async def open_slot(self, slot: SlotId) -> None:
        """Open a slot for somebody who reads our code."""
        await self._ask("POST", f"/v1/rendezvous/{slot.text}")

    async def write_slot(self, slot: SlotId, number: int, message: bytes) -> None:
        """Write message 2 or 4."""
        await self._ask("PUT", f"/v1/rendezvous/{slot.text}/{number}", message)

    async def read_slot(self, slot: SlotId, number: int) -> bytes | None:
        """Wait a while for a message; None if it has not come."""
        return await _read_slot(self._connection, slot, number)

    async def _ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        for attempt in (1, 2):
            headers = await self._authorization()
            try:
                return await self._connection.ask(method, path, body=body, headers=headers)
            except GatewayRefused as refused:
                if refused.reason != "login-needed" or attempt == 2:
                    raise
                self._bearer = None
        raise GatewayRefused("login-needed", {})

    async def _authorization(self) -> dict[str, str]:
        if self._bearer is None:
            nonce = await _nonce(self._connection)
            login = self._signs(channel=await self._connection.channel(), nonce=nonce)
            data = await self._connection.ask("POST", "/v1/login", body=login.encode())
            with _understood():
                fields = Fields.read(data, limit=256, what="login answer")
                fields.version(0, known=1)
                self._bearer = _base64url(fields.raw(1, size=BEARER_BYTES))
        return {"Authorization": f"Bearer {self._bearer}"}


_SILENT: Final = "the gateway says nothing any more; the network may have changed"


class LiveMailbox:
    """A mailbox as it comes over a WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def next(self) -> Hello | tuple[Delivered, ...] | None:
        """Return what comes next: the greeting, then parcels; None when the gateway ends it.

        Raises:
            GatewayRefused: it said why.
        """
        while True:
            try:
                async with asyncio.timeout(HEARD_SECONDS):
                    message = await self._socket.receive()
            except TimeoutError:
                raise GatewayNotThere(_SILENT) from None
            if message.type is not aiohttp.WSMsgType.BINARY:
                return None
            with _understood():
                frame = decode_frame(message.data)
            match frame:
                case Ping():
                    await self._socket.send_bytes(encode_frame(Pong()))
                case Hello() as hello:
                    return hello
                case Parcels(parcels):
                    return parcels
                case Bye(code) if code != "going-away":
                    raise GatewayRefused(code, {})
                case _:
                    return None

    async def acknowledge(self, cursor: Cursor) -> None:
        """Say that everything up to `cursor` is on our disk."""
        await self._socket.send_bytes(encode_frame(Ack(cursor)))


class DepositClient:
    """Somebody's gateway, for whoever holds a lane there. It is never told who we are."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def deposit(self, lane: Lane, parcels: Sequence[Proved]) -> tuple[Outcome, ...]:
        """Hand in parcels; return what became of each.

        Raises:
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        opening = await self._opening(lane, "deposit")
        frame = encode_frame(Deposit(1, tuple(parcels)))
        data = await self._connection.ask("POST", "/v1/deposit", body=frame, headers=opening)
        with _understood():
            answer = decode_frame(data)
        if not isinstance(answer, Results) or len(answer.outcomes) != len(parcels):
            raise GatewayRefused("malformed", {})
        return answer.outcomes

    async def bundles(self, lane: Lane) -> Bundles:
        """Fetch prekeys of whoever gave us this lane."""
        opening = await self._opening(lane, "prekeys")
        data = await self._connection.ask("POST", "/v1/prekeys/fetch", headers=opening)
        with _understood():
            return decode_bundles(data)

    async def write_slot(self, slot: SlotId, number: int, message: bytes, *, side: bytes) -> None:
        """Write message 1 or 3 as the guest who calls himself `side`."""
        headers = {"Homepost-Side": _base64url(side)}
        path = f"/v1/rendezvous/{slot.text}/{number}"
        await self._connection.ask("PUT", path, body=message, headers=headers)

    async def read_slot(self, slot: SlotId, number: int) -> bytes | None:
        """Wait a while for a message; None if it has not come."""
        return await _read_slot(self._connection, slot, number)

    async def _opening(self, lane: Lane, purpose: Purpose) -> dict[str, str]:
        nonce = await _nonce(self._connection)
        channel = await self._connection.channel()
        opening = LaneOpening.make(lane, channel=channel, nonce=nonce, purpose=purpose)
        return {"Homepost-Lane": _base64url(opening.encode())}


async def patiently(read: Callable[[], Awaitable[bytes | None]], *, seconds: float) -> bytes | None:
    """Wait for a message of a slot for at most `seconds`; None if it did not come."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await read()
                if message is not None:
                    return message
                await asyncio.sleep(NOT_YET_SECONDS)
    except TimeoutError:
        return None


async def _read_slot(connection: Connection, slot: SlotId, number: int) -> bytes | None:
    path = f"/v1/rendezvous/{slot.text}/{number}?wait={WAIT_SECONDS}"
    return await connection.ask("GET", path) or None


async def _nonce(connection: Connection) -> bytes:
    nonce = await connection.ask("POST", "/v1/challenge")
    if len(nonce) != NONCE_BYTES:
        raise GatewayRefused("malformed", {})
    return nonce


@contextmanager
def _understood() -> Iterator[None]:
    """Take bytes that cannot be read for a refusal: whoever answers so has done nothing for us."""
    try:
        yield
    except (WireError, ValueError, RecursionError):
        raise GatewayRefused("malformed", {}) from None


def _refusal(status: int, data: bytes) -> GatewayRefused:
    try:
        facts = json.loads(data)
    except (ValueError, RecursionError):
        facts = None
    code = facts.pop("error", None) if isinstance(facts, dict) else None
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return GatewayRefused(f"status-{status}", {})
    return GatewayRefused(code, facts)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
