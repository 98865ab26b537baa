"""A gateway that really listens, with TLS on 127.0.0.1, and phones that really connect."""

import asyncio
import base64
import io
import secrets
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

from gateway.app import Gateway
from gateway.listener import Caps, serve_phones
from gateway.relay.outbound import Outbound
from gateway.sync.store import SyncStore
from tests.gateway.box import open_box
from tests.gateway.hands import Hands
from tests.gateway.mailbox.house import parcel
from tests.gateway.sync.people import Person, Phone
from wire.auth import Channel, LaneOpening, Login, Purpose
from wire.codec import encode
from wire.fields import Fields
from wire.frames import (
    MAX_FRAME,
    NOWHERE,
    Ack,
    Bye,
    Cursor,
    Deposit,
    Frame,
    Hello,
    Parcels,
    Proved,
    Result,
    Results,
    Resume,
    decode_frame,
    encode_frame,
)
from wire.ids import CursorEpoch, SeatId
from wire.lanes import Lane, LaneRight, LaneSecret, WakeRule
from wire.parcel import Parcel

T = TypeVar("T", bound=Frame)

ROOMY = Caps(connections=200, per_address=200, refusals=100_000)


def spelled(data: bytes) -> str:
    """Return bytes as they stand in a header."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


@dataclass
class Answer:
    """What came back of a request."""

    status: int
    headers: dict[str, str]
    data: bytes
    json: dict[str, object] | None

    @property
    def code(self) -> object:
        """The code of a refusal."""
        return self.json["error"] if self.json else None


@dataclass
class Served:
    """What a test needs of a gateway that listens."""

    gateway: Gateway
    hands: Hands
    port: int
    tls: ssl.SSLContext
    stack: AsyncExitStack
    failures: list[str] = field(default_factory=list)

    @property
    def channel(self) -> Channel:
        """What answers to challenges are bound to."""
        return self.gateway.identity.channel

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self.port}"

    async def visitor(self) -> "Visitor":
        """Return somebody with a connection of his own."""
        connector = TCPConnector(ssl=self.tls, limit=0)
        return Visitor(
            self, await self.stack.enter_async_context(ClientSession(self.url, connector=connector))
        )

    async def enrolled(self, person: Person | None = None, phone: Phone | None = None) -> "Handset":
        """Return a phone with a seat, logged in."""
        phone = phone or Phone()
        person = person or Person(phone)
        sync = SyncStore(
            self.gateway.database, clock=self.hands.steady_clock(), limit_bytes=1 << 30
        )
        change = await sync.enrol(
            person.card, phone.key, request=secrets.token_bytes(32), nonce=secrets.token_bytes(16)
        )
        handset = Handset(self, person, phone, change.seat, await self.visitor())
        await handset.login()
        return handset

    async def enrolled_beside(self, first: "Handset") -> "Handset":
        """Return another phone of the same person, logged in."""
        phone = Phone()
        first.person.take(first.person.device_statement(first.phone, first.phone, phone))
        return await self.enrolled(first.person, phone)

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect without any HTTP."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
        self.stack.callback(lambda: writer.transport.abort())  # keeps the writer alive
        return reader, writer

    async def say(self, data: bytes, *, within: float = 10.0) -> bytes:
        """Send bytes on a connection of their own; return all that comes until it is closed."""
        reader, writer = await self.raw()
        writer.write(data)
        found = b""
        async with asyncio.timeout(within):
            while piece := await _some(reader):
                found += piece
        return found


async def _some(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65536)
    except ConnectionError:
        return b""


@dataclass
class Visitor:
    """Somebody who asks, with or without login."""

    served: Served
    session: ClientSession

    async def ask(
        self,
        method: str,
        path: str,
        data: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Ask once."""
        async with self.session.request(
            method, path, data=io.BytesIO(data), headers=headers
        ) as response:
            return await _answer(response)

    async def nonce(self) -> bytes:
        """Get a challenge."""
        return (await self.ask("POST", "/v1/challenge")).data

    async def opening(
        self, lane: Lane, purpose: Purpose = "deposit", *, nonce: bytes | None = None
    ) -> dict[str, str]:
        """Return the header that opens a request as a holder of `lane`."""
        nonce = nonce or await self.nonce()
        made = LaneOpening.make(lane, channel=self.served.channel, nonce=nonce, purpose=purpose)
        return {"Homepost-Lane": spelled(made.encode())}

    async def deposit(self, lane: Lane, *parcels: Parcel) -> list[Result]:
        """Deposit parcels on one lane in one request; return what became of each."""
        body = encode_frame(Deposit(7, tuple(self.prove(lane, one) for one in parcels)))
        answer = await self.ask("POST", "/v1/deposit", body, headers=await self.opening(lane))
        assert answer.status == 200, answer
        results = decode_frame(answer.data)
        assert isinstance(results, Results)
        assert results.tag == 7
        return [one.result for one in results.outcomes]

    def prove(self, lane: Lane, one: Parcel) -> Proved:
        """Prove a parcel for this gateway."""
        return Proved(one.proof(lane, gateway=self.served.channel.gateway), one)

    async def connect(
        self, path: str, headers: dict[str, str] | None = None
    ) -> ClientWebSocketResponse:
        """Open a WebSocket."""
        return await self.session.ws_connect(
            path, headers=headers, max_msg_size=MAX_FRAME, autoping=True
        )


@dataclass
class Handset:
    """A phone with a seat."""

    served: Served
    person: Person
    phone: Phone
    seat: SeatId
    visitor: Visitor
    bearer: bytes = b""

    async def login(self, *, nonce: bytes | None = None) -> Answer:
        """Log in; keep the bearer if that went well."""
        nonce = nonce or await self.visitor.nonce()
        login = Login.sign(self.phone.signing, channel=self.served.channel, nonce=nonce)
        answer = await self.visitor.ask("POST", "/v1/login", login.encode())
        if answer.status == 200:
            fields = Fields.read(answer.data, limit=100, what="bearer")
            self.bearer = fields.raw(1)
        return answer

    @property
    def auth(self) -> dict[str, str]:
        """The header that says who asks."""
        return {"Authorization": f"Bearer {spelled(self.bearer)}"}

    async def ask(self, method: str, path: str, data: bytes = b"") -> Answer:
        """Ask as this phone."""
        return await self.visitor.ask(method, path, data, headers=self.auth)

    async def lane(
        self,
        *,
        bytes_waiting: int = 1 << 30,
        rests_on: int = 0,
        last_tenth: bool = True,
        rule: WakeRule = WakeRule.WAKE,
        wakes_per_day: int = 200,
    ) -> Lane:
        """Mint a lane."""
        lane = LaneSecret(secrets.token_bytes(32)).at(self.served.channel.gateway)
        right = LaneRight(
            lane,
            rule,
            wakes_per_day=wakes_per_day,
            bytes_waiting=bytes_waiting,
            expires=0,
            last_tenth=last_tenth,
        )
        answer = await self.ask(
            "PUT", "/v1/lanes", encode({0: 1, 1: rests_on, 2: [right.to_value()]})
        )
        assert answer.status == 204, answer
        return lane

    async def revoke(self, *lanes: Lane, rests_on: int = 0) -> Answer:
        """Revoke lanes."""
        value = encode({0: 1, 1: rests_on, 2: [one.id.raw for one in lanes]})
        return await self.ask("POST", "/v1/lanes/revoke", value)

    async def collect(self, cursor: Cursor = NOWHERE, *, wait: int = 0) -> tuple[Hello, Parcels]:
        """Poll once."""
        path = f"/v1/mailbox/collect?wait={wait}"
        answer = await self.ask("POST", path, encode_frame(Resume(cursor)))
        assert answer.status == 200, answer
        frames, rest = [], answer.data
        while rest:
            size = int.from_bytes(rest[:4], "big")
            frames.append(decode_frame(rest[4 : 4 + size]))
            rest = rest[4 + size :]
        hello, *more = frames
        assert isinstance(hello, Hello)
        found = more[0] if more else Parcels(())
        assert isinstance(found, Parcels)
        return hello, found

    async def waiting(self) -> object:
        """Return how many parcels wait for the seat."""
        status = (await self.ask("GET", "/v1/status")).json
        assert status is not None
        return status["waiting"]

    async def live(self, cursor: Cursor = NOWHERE) -> "LiveLine":
        """Connect and resume; return the line after its Hello."""
        line = LiveLine(await self.visitor.connect("/v1/mailbox", self.auth))
        await line.send(Resume(cursor))
        line.hello = await line.frame(Hello)
        return line


class LiveLine:
    """A phone's end of a live connection."""

    hello: Hello

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, frame: Frame) -> None:
        """Send one frame."""
        await self.socket.send_bytes(encode_frame(frame))

    async def any(self, *, within: float = 10.0) -> Frame | None:
        """Return the next frame; None when the connection ended."""
        message = await self.socket.receive(timeout=within)
        return decode_frame(message.data) if message.type is WSMsgType.BINARY else None

    async def frame(self, kind: type[T]) -> T:
        """Return the next frame, which must be of a kind."""
        found = await self.any()
        assert isinstance(found, kind), found
        return found

    async def collect(self, count: int) -> list[int]:
        """Take `count` parcels and acknowledge each frame; return their numbers."""
        numbers: list[int] = []
        while len(numbers) < count:
            found = await self.frame(Parcels)
            numbers += [one.seq for one in found.parcels]
            await self.acknowledge(found)
        return numbers

    async def acknowledge(self, found: Parcels) -> None:
        """Acknowledge the last of these parcels."""
        await self.send(Ack(at(self.hello.epoch, found)))

    async def farewell(self) -> str | None:
        """Return the code with which the gateway ends the connection."""
        code = None
        while (found := await self.any()) is not None:
            if isinstance(found, Bye):
                code = found.code
        return code


def at(epoch: CursorEpoch, found: Parcels) -> Cursor:
    """Return the cursor at the last of some parcels."""
    last = found.parcels[-1]
    return Cursor(epoch, last.seq, last.parcel.id)


def letters(lane: Lane, count: int, *, size: int = 256) -> list[Parcel]:
    """Return parcels of random content."""
    return [parcel(lane, size=size) for _ in range(count)]


async def _answer(response: ClientResponse) -> Answer:
    data = await response.read()
    is_json = response.content_type == "application/json"
    return Answer(
        response.status,
        dict(response.headers),
        data,
        await response.json() if is_json else None,
    )


@asynccontextmanager
async def open_served(
    folder: Path,
    *,
    caps: Caps = ROOMY,
    hands: Hands | None = None,
    outbound: Outbound | None = None,
    **settings: object,
) -> AsyncIterator[Served]:
    """Open a gateway on `folder` and let it listen."""
    stop = asyncio.Event()
    async with open_box(folder, hands=hands, outbound=outbound, **settings) as box:
        opened = socket.create_server(("127.0.0.1", 0))
        port = opened.getsockname()[1]
        identity = box.gateway.identity
        serving = asyncio.create_task(
            serve_phones(
                box.gateway.app,
                sockets=[opened],
                tls=identity.tls,
                caps=caps,
                stop=stop.wait,
                grace=1.0,
            )
        )
        tls = ssl.create_default_context(cadata=identity.certificate)
        tls.check_hostname = False
        try:
            async with AsyncExitStack() as stack:
                yield Served(box.gateway, box.hands, port, tls, stack, box.failures)
        finally:
            box.gateway.close()
            stop.set()
            await serving
