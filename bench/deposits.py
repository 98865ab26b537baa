<<<<<<< HEAD
"""Senders who hold lanes: parcels in frames that were made before, handed in one way or another.

    Posts     one request for each frame, on a connection that is kept (docs/protocol.md §4.5)
    Socket    a WebSocket on which frames follow each other

A frame is answered when all of its parcels are: by one Results frame, or by several.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bench.links import (
    Address,
    Link,
    Lost,
    Refused,
    connect,
    message,
    read_spelled,
    request,
    spelled,
)
from wire.auth import Channel, LaneOpening
from wire.frames import Bye, Deposit, Proved, Result, Results, decode_frame, encode_frame
=======
"""Deposits of random parcels, handed in with one request each (docs/protocol.md §4.5)."""

import secrets
import time
from dataclasses import dataclass
from typing import Final

from bench.framing import read_spelled, request, spelled
from bench.links import Address, Link, Lost, Refused, connect
from bench.talks import NotStored
from wire.auth import Channel, LaneOpening
from wire.frames import Deposit, Proved, Result, Results, decode_frame, encode_frame
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
from wire.ids import ParcelId
from wire.lanes import Lane
from wire.parcel import Lifetime, Parcel

BODY: Final = 1024
"""Bytes of a body: a padded length, and what every peer is given too."""
NONCE_SECONDS: Final = 50.0
"""How long we take a nonce for good; the gateway does so for 60 s (docs/protocol.md §3.4)."""
NONCE_HEADER: Final = b"homepost-nonce"
<<<<<<< HEAD
=======
CHALLENGE: Final = request("POST", "/v1/challenge")
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279


@dataclass(frozen=True, slots=True)
class Ready:
    """A deposit that only has to be sent."""

    frame: bytes
<<<<<<< HEAD
    parcels: tuple[ParcelId, ...]
    lane: Lane
    """One of those it is for: whoever deposits opens his connection with it."""
=======
    lane: Lane
    """On which it is, and with which the request is opened."""
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279


def parcel(lane: Lane, *, size: int = BODY, life: Lifetime = Lifetime.MONTH) -> Parcel:
    """Return a parcel of random content, which no disk and no library can make smaller."""
    body = secrets.token_bytes(size)
    return Parcel(lane.id, ParcelId(secrets.token_bytes(16)), life, secrets.token_bytes(32), body)


<<<<<<< HEAD
def ready(lanes: Sequence[Lane], *, channel: Channel, size: int = BODY, tag: int = 1) -> Ready:
    """Return a deposit of one new parcel for each of `lanes`."""
    made = [parcel(lane, size=size) for lane in lanes]
    proved = [
        Proved(one.proof(lane, gateway=channel.gateway), one)
        for one, lane in zip(made, lanes, strict=True)
    ]
    frame = encode_frame(Deposit(tag, tuple(proved)))
    return Ready(frame, tuple(one.id for one in made), lanes[0])


class Sender(Protocol):
    """Somebody who hands in deposits."""

    async def deposit(self, wanted: Ready) -> None:
        """Hand one in; return when all of it is stored.

        Raises:
            Refused, Lost, NotStored
        """

    def close(self) -> None:
        """Hang up."""


class NotStored(Exception):
    """A parcel was refused; the text is the code."""
=======
def ready(lane: Lane, *, channel: Channel, size: int = BODY) -> Ready:
    """Return a deposit of one new parcel."""
    made = parcel(lane, size=size)
    proved = Proved(made.proof(lane, gateway=channel.gateway), made)
    return Ready(encode_frame(Deposit(1, (proved,))), lane)
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279


def opening(lane: Lane, *, channel: Channel, nonce: bytes) -> str:
    """Return the header that opens a request as a holder of `lane`."""
    made = LaneOpening.make(lane, channel=channel, nonce=nonce, purpose="deposit")
    return f"Homepost-Lane: {spelled(made.encode())}\r\n"


class Posts:
<<<<<<< HEAD
    """One request for each deposit, on a connection that is kept while the gateway keeps it."""
=======
    """One request for each deposit, on a connection that is kept while the gateway keeps it.

    Args:
        address: of the gateway.
        channel: what openings are bound to.
    """
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279

    def __init__(self, address: Address, channel: Channel) -> None:
        self._address = address
        self._channel = channel
        self._link: Link | None = None
        self._nonce = b""
        self._nonce_at = 0.0

    async def deposit(self, wanted: Ready) -> None:
<<<<<<< HEAD
        """Hand in a deposit, once more if the kept connection had ended."""
        fresh = self._link is None or self._link.ended.done()
        try:
            await self._deposit(wanted)
        except Lost:
            if fresh:
=======
        """Hand in a deposit, once more if the kept connection had ended; return when it is stored.

        Raises:
            Refused, Lost, NotStored
        """
        kept = self._link is not None and not self._link.ended.done()
        try:
            await self._deposit(wanted)
        except Lost:
            if not kept:
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
                raise
            await self._deposit(wanted)

    async def _deposit(self, wanted: Ready) -> None:
        if self._link is None or self._link.ended.done():
            self._link = await connect(self._address)
        if not self._nonce or time.monotonic() - self._nonce_at > NONCE_SECONDS:
<<<<<<< HEAD
            self._keep((await self._link.must(request("POST", "/v1/challenge"))).body)
=======
            self._keep((await self._link.must(CHALLENGE)).body)
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
        nonce, self._nonce = self._nonce, b""
        header = opening(wanted.lane, channel=self._channel, nonce=nonce)
        answer = await self._link.ask(request("POST", "/v1/deposit", wanted.frame, headers=header))
        if (given := answer.header(NONCE_HEADER)) is not None:
            self._keep(read_spelled(given))
        if answer.status >= 400:
            raise Refused(answer)
<<<<<<< HEAD
        _check(answer.body)
=======
        check(answer.body)
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279

    def _keep(self, nonce: bytes) -> None:
        self._nonce, self._nonce_at = nonce, time.monotonic()

    def close(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link.close()


<<<<<<< HEAD
class Socket:
    """A WebSocket for deposits. Make one with `open_socket`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._missing: dict[bytes, _Waiting] = {}
        self._code = ""
        link.ended.add_done_callback(self._lost)

    async def deposit(self, wanted: Ready) -> None:
        """Hand in a deposit; others may be on their way meanwhile."""
        if self._link.ended.done():
            raise Lost
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(done, len(wanted.parcels))
        for one in wanted.parcels:
            self._missing[one.raw] = waiting
        self._link.send(message(wanted.frame))
        await done

    def take(self, data: bytes) -> None:
        """Take a frame of the gateway's."""
        frame = decode_frame(data)
        if isinstance(frame, Bye):
            self._code = frame.code
        if not isinstance(frame, Results):
            return
        for one in frame.outcomes:
            waiting = self._missing.pop(one.parcel.raw, None)
            if waiting is None or waiting.done.done():
                continue
            waiting.count -= 1
            if one.result is not Result.STORED:
                waiting.done.set_exception(NotStored(one.result.code))
            elif waiting.count == 0:
                waiting.done.set_result(None)

    def close(self) -> None:
        """Hang up."""
        self._link.close()

    def _lost(self, _ended: object) -> None:
        for waiting in self._missing.values():
            if not waiting.done.done():
                waiting.done.set_exception(Lost(self._code))
        self._missing.clear()


@dataclass(slots=True)
class _Waiting:
    """A deposit of which some parcels are not answered yet."""

    done: asyncio.Future[None]
    count: int


async def open_socket(address: Address, *, lane: Lane, channel: Channel) -> Socket:
    """Open a WebSocket for deposits with a lane.

    Raises:
        Refused, Lost
    """
    link = await connect(address)
    nonce = (await link.must(request("POST", "/v1/challenge"))).body
    socket = Socket(link)
    await link.upgrade(
        "/v1/deposit", socket.take, headers=opening(lane, channel=channel, nonce=nonce)
    )
    return socket


def _check(data: bytes) -> None:
=======
def check(data: bytes) -> None:
>>>>>>> 30491f48fe268aafcc702fefbac814a05fe4a279
    """Check that everything in a Results frame is stored.

    Raises:
        NotStored: it is not.
    """
    frame = decode_frame(data)
    if not isinstance(frame, Results):
        raise NotStored("no results")
    for one in frame.outcomes:
        if one.result is not Result.STORED:
            raise NotStored(one.result.code)
