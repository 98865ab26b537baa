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
from wire.ids import ParcelId
from wire.lanes import Lane
from wire.parcel import Lifetime, Parcel

BODY: Final = 1024
"""Bytes of a body: a padded length, and what every peer is given too."""
NONCE_SECONDS: Final = 50.0
"""How long we take a nonce for good; the gateway does so for 60 s (docs/protocol.md §3.4)."""
NONCE_HEADER: Final = b"homepost-nonce"
CHALLENGE: Final = request("POST", "/v1/challenge")


@dataclass(frozen=True, slots=True)
class Ready:
    """A deposit that only has to be sent."""

    frame: bytes
    lane: Lane
    """On which it is, and with which the request is opened."""


def parcel(lane: Lane, *, size: int = BODY, life: Lifetime = Lifetime.MONTH) -> Parcel:
    """Return a parcel of random content, which no disk and no library can make smaller."""
    body = secrets.token_bytes(size)
    return Parcel(lane.id, ParcelId(secrets.token_bytes(16)), life, secrets.token_bytes(32), body)


def ready(lane: Lane, *, channel: Channel, size: int = BODY) -> Ready:
    """Return a deposit of one new parcel."""
    made = parcel(lane, size=size)
    proved = Proved(made.proof(lane, gateway=channel.gateway), made)
    return Ready(encode_frame(Deposit(1, (proved,))), lane)


def opening(lane: Lane, *, channel: Channel, nonce: bytes) -> str:
    """Return the header that opens a request as a holder of `lane`."""
    made = LaneOpening.make(lane, channel=channel, nonce=nonce, purpose="deposit")
    return f"Homepost-Lane: {spelled(made.encode())}\r\n"


class Posts:
    """One request for each deposit, on a connection that is kept while the gateway keeps it.

    Args:
        address: of the gateway.
        channel: what openings are bound to.
    """

    def __init__(self, address: Address, channel: Channel) -> None:
        self._address = address
        self._channel = channel
        self._link: Link | None = None
        self._nonce = b""
        self._nonce_at = 0.0

    async def deposit(self, wanted: Ready) -> None:
        """Hand in a deposit, once more if the kept connection had ended; return when it is stored.

        Raises:
            Refused, Lost, NotStored
        """
        kept = self._link is not None and not self._link.ended.done()
        try:
            await self._deposit(wanted)
        except Lost:
            if not kept:
                raise
            await self._deposit(wanted)

    async def _deposit(self, wanted: Ready) -> None:
        if self._link is None or self._link.ended.done():
            self._link = await connect(self._address)
            self._nonce = b""  # of a gateway that was perhaps started anew
        if not self._nonce or time.monotonic() - self._nonce_at > NONCE_SECONDS:
            self._keep((await self._link.must(CHALLENGE)).body)
        nonce, self._nonce = self._nonce, b""
        header = opening(wanted.lane, channel=self._channel, nonce=nonce)
        answer = await self._link.ask(request("POST", "/v1/deposit", wanted.frame, headers=header))
        if (given := answer.header(NONCE_HEADER)) is not None:
            self._keep(read_spelled(given))
        if answer.status >= 400:
            raise Refused(answer)
        check(answer.body)

    def _keep(self, nonce: bytes) -> None:
        self._nonce, self._nonce_at = nonce, time.monotonic()

    def close(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link.close()


def check(data: bytes) -> None:
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
