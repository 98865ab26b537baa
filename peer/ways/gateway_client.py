"""Asks a gateway what docs/protocol.md §3 to §5, §10, §11 and §19 say can be asked.

A `GatewayClient` logs in as a device of its seat. A `DepositClient` never does: it has connections
of its own, shows a lane, and nothing on them says who it is.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Protocol

import aiohttp

from peer.errors import GatewayNotThere, GatewayRefused
from peer.ways.connection import Connection
from wire.archive import Extent, Segment, decode_range
from wire.auth import (
    BEARER_BYTES,
    NONCE_BYTES,
    Channel,
    Joining,
    LaneOpening,
    Login,
    Purpose,
)
from wire.card import MAX_CHAIN, MAX_STATEMENT
from wire.codec import Value, decode, encode
from wire.errors import WireError
from wire.fields import Fields
from wire.frames import (
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
from wire.ids import DeviceId, LaneId, RecoveryId, SlotId
from wire.lanes import Lane, LaneRight, WakeRule
from wire.pairing import PairAnswer, PairRequest
from wire.person_keys import PersonKeyRecord, decode_records, encode_put
from wire.prekeys import Bundles, Prekey, PrekeyKind, decode_bundles, encode_upload
from wire.pushes import (
    Address,
    Hours,
    Reach,
    WhyLine,
    decode_rules,
    decode_whys,
    encode_number,
    encode_rules,
)
from wire.recovery import Alarm, Left
from wire.state_log import LogAnswer, Vector, encode_ask, encode_batches

HEARD_SECONDS: Final = 75.0
"""Silence on a mailbox after which its connection is dead: the gateway asks every 30 seconds
whether we are there, and gives us as long to answer."""
WAIT_SECONDS: Final = 25

NOT_YET_SECONDS: Final = 0.5
"""Pause before a message is asked for again: whoever answers at once is not asked at full speed."""


class Signs(Protocol):
    """Answers a login challenge with the device's key, which stays where it is."""

    def __call__(self, *, channel: Channel, nonce: bytes) -> Login: ...


class Joins(Protocol):
    """Answers a challenge as a device that is on its person's card and has no place there yet."""

    def __call__(self, *, channel: Channel, nonce: bytes) -> Joining: ...


class GatewayClient:
    """Our own gateway, as a device of our seat.

    Args:
        connection: for this client alone.
        signs: answers the login challenge.
        joins: lets the gateway take this device in, where the card that lies there lists it.
    """

    def __init__(self, connection: Connection, signs: Signs, joins: Joins | None = None) -> None:
        self._connection = connection
        self._signs = signs
        self._joins = joins
        self._bearer: str | None = None

    # Pairing, without login

    async def pair(self, request: PairRequest, *, wait: int = 0) -> PairAnswer:
        """Ask for a seat; the same request always gets the answer that is true by then."""
        path = f"/v1/pair?wait={wait}"
        data = await self._connection.ask("POST", path, body=request.encode())
        with understood():
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

    async def card(self) -> tuple[bytes, ...]:
        """Return our card as it stands there: its statements as signed, oldest first."""
        data = await self._ask("GET", "/v1/card")
        with understood():
            value = decode(data, limit=MAX_CHAIN * (MAX_STATEMENT + 8))
        if not isinstance(value, list):
            raise GatewayRefused("malformed", {})
        return tuple(one for one in value if isinstance(one, bytes))

    async def put_person_key(
        self, record: PersonKeyRecord, *, statements: Sequence[bytes] = ()
    ) -> None:
        """Hand over the record of our person key, and with it statements that it stands on."""
        await self._ask("PUT", "/v1/person-key", encode_put(record, statements=statements))

    async def person_keys(self) -> tuple[PersonKeyRecord, ...]:
        """Return the records of our person keys, the oldest generation first."""
        data = await self._ask("GET", "/v1/person-keys")
        with understood():
            return decode_records(data)

    async def prekey_counts(self) -> dict[PrekeyKind, int]:
        """Return how many prekeys of each kind lie there."""
        data = await self._ask("GET", "/v1/prekeys")
        with understood():
            fields = Fields.read(data, limit=256, what="counts")
            fields.version(0, known=1)
            counts = Fields(fields.map(1), what="counts")
            return {kind: counts.integer(int(kind), low=0, high=1 << 32) for kind in PrekeyKind}

    async def upload_prekeys(self, prekeys: tuple[Prekey, ...]) -> None:
        """Leave prekeys there."""
        await self._ask("POST", "/v1/prekeys", encode_upload(prekeys))

    # The share of our recovery seed

    async def leave_share(self, left: Left) -> None:
        """Leave a share there, in place of the one before."""
        await self._ask("PUT", "/v1/recovery/share", left.encode())

    async def take_back_share(self) -> None:
        """Let the gateway forget our share."""
        await self._ask("DELETE", "/v1/recovery/share")

    async def alarm(self) -> Alarm:
        """Return whether our share lies there, and who has asked for it."""
        data = await self._ask("GET", "/v1/recovery")
        with understood():
            return Alarm.decode(data)

    async def cancel_request(self, request: RecoveryId) -> None:
        """End a request for our share."""
        await self._ask("POST", "/v1/recovery/cancel", request.raw)

    async def archive(self) -> Extent:
        """Return how our archive stands there."""
        data = await self._ask("GET", "/v1/archive")
        with understood():
            return Extent.decode(data)

    async def append(self, segment: Segment) -> None:
        """Put a segment on top of our archive."""
        await self._ask("POST", "/v1/archive", segment.encode())

    async def segments(self, *, upto: int, down_to: int) -> tuple[bytes, ...]:
        """Return segments of our archive, newest first, as many as one answer holds."""
        data = await self._ask("GET", f"/v1/archive/segments?upto={upto}&from={down_to}")
        with understood():
            return decode_range(data)

    async def status(self) -> dict[str, Any]:
        """Return how our mailbox is."""
        data = await self._ask("GET", "/v1/status")
        with understood():
            found = json.loads(data)
        if not isinstance(found, dict):
            raise GatewayRefused("malformed", {})
        return found

    # The state log

    async def state_log(self, vector: Vector) -> LogAnswer:
        """Ask what is there of the state log beyond `vector`."""
        data = await self._ask("POST", "/v1/state", encode_ask(vector))
        with understood():
            return LogAnswer.decode(data)

    async def leave_batches(self, batches: Sequence[bytes]) -> None:
        """Leave batches there, ours or those of our other devices."""
        await self._ask("POST", "/v1/state/batches", encode_batches(batches))

    async def state_snapshot(self, device: DeviceId) -> bytes | None:
        """Return the snapshot that a device of ours has left, None if there is none."""
        return await self._ask("GET", f"/v1/state/snapshot/{device.text}") or None

    async def leave_state_snapshot(self, snapshot: bytes) -> None:
        """Leave a snapshot there."""
        await self._ask("PUT", "/v1/state/snapshot", snapshot)

    # Being woken

    async def reach(self) -> Reach:
        """Return how the gateway wakes us."""
        data = await self._ask("GET", "/v1/push")
        with understood():
            return Reach.decode(data)

    async def register_address(self, address: Address) -> None:
        """Say where we are pushed to; a token comes through it."""
        await self._ask("PUT", "/v1/push/address", address.encode())

    async def confirm_address(self, token: bytes) -> None:
        """Bring back what came."""
        await self._ask("POST", "/v1/push/confirm", token)

    async def drop_address(self) -> None:
        """Be pushed to no more."""
        await self._ask("DELETE", "/v1/push/address")

    async def test_push(self) -> None:
        """Have a test pushed to us."""
        await self._ask("POST", "/v1/push/test")

    async def set_hours(self, hours: Hours) -> None:
        """Say when we do not want to be woken."""
        await self._ask("PUT", "/v1/push/hours", hours.encode())

    async def own_rules(self) -> dict[LaneId, WakeRule | None]:
        """Return the rules that hold for this device alone."""
        data = await self._ask("GET", "/v1/push/rules")
        with understood():
            return decode_rules(data)

    async def set_own_rules(self, rules: Mapping[LaneId, WakeRule | None]) -> None:
        """Set rules for this device alone; None takes one back."""
        await self._ask("PUT", "/v1/push/rules", encode_rules(rules))

    async def tell_read(self, up_to: int) -> None:
        """Say that everything up to a number was read here."""
        await self._ask("POST", "/v1/push/read", encode_number(up_to))

    async def whys(self) -> tuple[WhyLine, ...]:
        """Return why it rang, and why it did not."""
        data = await self._ask("GET", "/v1/push/why")
        with understood():
            return decode_whys(data)

    # The mailbox

    async def collect(self, cursor: Cursor, *, wait: int = 0) -> tuple[Hello, Parcels | None]:
        """Return what comes after `cursor`, as much as one frame holds."""
        path = f"/v1/mailbox/collect?wait={wait}"
        data = await self._ask("POST", path, encode_frame(Resume(cursor)))
        frames, offset = [], 0
        with understood():
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
            data = await self._log_in()
            with understood():
                fields = Fields.read(data, limit=256, what="login answer")
                fields.version(0, known=1)
                self._bearer = _base64url(fields.raw(1, size=BEARER_BYTES))
        return {"Authorization": f"Bearer {self._bearer}"}

    async def _log_in(self) -> bytes:
        channel = await self._connection.channel()
        login = self._signs(channel=channel, nonce=await ask_nonce(self._connection))
        try:
            return await self._connection.ask("POST", "/v1/login", body=login.encode())
        except GatewayRefused as refused:
            if refused.reason != "login-refused" or self._joins is None:
                raise
        joining = self._joins(channel=channel, nonce=await ask_nonce(self._connection))
        return await self._connection.ask("POST", "/v1/join", body=joining.encode())


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
            with understood():
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
        frame = encode_frame(Deposit(1, tuple(parcels)))
        data = await self._ask("/v1/deposit", frame, lane=lane, purpose="deposit")
        with understood():
            answer = decode_frame(data)
        if not isinstance(answer, Results) or len(answer.outcomes) != len(parcels):
            raise GatewayRefused("malformed", {})
        return answer.outcomes

    async def bundles(self, lane: Lane) -> Bundles:
        """Fetch prekeys of whoever gave us this lane."""
        data = await self._ask("/v1/prekeys/fetch", b"", lane=lane, purpose="prekeys")
        with understood():
            return decode_bundles(data)

    async def write_slot(self, slot: SlotId, number: int, message: bytes, *, side: bytes) -> None:
        """Write message 1 or 3 as the guest who calls himself `side`."""
        headers = {"Homepost-Side": _base64url(side)}
        path = f"/v1/rendezvous/{slot.text}/{number}"
        await self._connection.ask("PUT", path, body=message, headers=headers)

    async def read_slot(self, slot: SlotId, number: int) -> bytes | None:
        """Wait a while for a message; None if it has not come."""
        return await _read_slot(self._connection, slot, number)

    async def _ask(self, path: str, body: bytes, *, lane: Lane, purpose: Purpose) -> bytes:
        """Ask, opened with `lane`; with a nonce that is at hand, or else with a new one."""
        if (nonce := self._connection.take_nonce()) is not None:
            headers = await self._opening(lane, purpose, nonce)
            try:
                return await self._connection.ask("POST", path, body=body, headers=headers)
            except GatewayRefused as refused:  # it was started anew, or we have slept
                if refused.reason != "challenge-stale":
                    raise
        headers = await self._opening(lane, purpose, await ask_nonce(self._connection))
        return await self._connection.ask("POST", path, body=body, headers=headers)

    async def _opening(self, lane: Lane, purpose: Purpose, nonce: bytes) -> dict[str, str]:
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


async def ask_nonce(connection: Connection) -> bytes:
    """Ask for a challenge."""
    nonce = await connection.ask("POST", "/v1/challenge")
    if len(nonce) != NONCE_BYTES:
        raise GatewayRefused("malformed", {})
    return nonce


@contextmanager
def understood() -> Iterator[None]:
    """Take bytes that cannot be read for a refusal: whoever answers so has done nothing for us."""
    try:
        yield
    except (WireError, ValueError, RecursionError):
        raise GatewayRefused("malformed", {}) from None


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
