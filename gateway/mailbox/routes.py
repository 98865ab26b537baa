"""The mailbox over HTTP with a login: collecting, acknowledging, minting lanes.

The requests are those of docs/protocol.md §4.2 and §5.4; `direct.py` has the others.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from quart import Blueprint, Response, jsonify, request

from gateway.auth import Auth, Caller
from gateway.bodies import body, nothing, octets, wait_seconds
from gateway.clock import Clock
from gateway.errors import Refusal
from gateway.mailbox.counter import Counter
from gateway.mailbox.live import Lines
from gateway.mailbox.opening import Openings
from gateway.mailbox.store import MailboxStore
from wire.codec import Value
from wire.errors import Malformed
from wire.fields import Fields
from wire.frames import (
    Ack,
    Frame,
    Hello,
    Parcels,
    Resume,
    decode_frame,
    in_a_row,
)
from wire.ids import LaneId
from wire.lanes import LaneRight

MAX_LANES: Final = 256
"""Lanes in one request."""
LANES_LIMIT: Final = 64 * 1024
CURSOR_LIMIT: Final = 64


class CursorUnknown(Refusal):
    """The cursor is not one that this mailbox gave out: resume first."""

    code = "cursor-unknown"
    status = 409


@dataclass(frozen=True, slots=True)
class Mailroom:
    """What the mailbox's routes need."""

    auth: Auth
    store: MailboxStore
    openings: Openings
    counter: Counter
    lines: Lines
    clock: Clock
    version: str


def mailbox_routes(room: Mailroom) -> Blueprint:
    """Return the routes at which mailboxes are emptied and furnished with lanes."""
    routes = Blueprint("mailbox", __name__, url_prefix="/v1")
    _collecting(routes, room)
    _lanes(routes, room)
    return routes


def _caller(room: Mailroom) -> Caller:
    return room.auth.caller(request)


def _collecting(routes: Blueprint, room: Mailroom) -> None:
    @routes.post("/mailbox/collect")
    async def collect() -> Response:
        caller, wait = _caller(room), wait_seconds()
        frame = decode_frame(await body(CURSOR_LIMIT))
        if not isinstance(frame, Resume):
            raise Malformed("what is wanted here is a Resume frame")
        news = room.lines.news(caller.seat)
        resumed = await room.store.resume(caller.device.device, frame.cursor)
        room.lines.attention.fetched(caller.seat, caller.device.device, resumed.after)
        found = await room.store.collect(resumed.seat, after=resumed.after)
        if not found and wait:
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), wait)
            _caller(room)  # it may have been revoked meanwhile
            found = await room.store.collect(resumed.seat, after=resumed.after)
        newest = max(resumed.newest, found[-1].seq if found else 0)
        frames: list[Frame] = [Hello(resumed.epoch, newest, resumed.reset)]
        if found:
            frames.append(Parcels(found))
        return octets(in_a_row(*frames))

    @routes.post("/mailbox/ack")
    async def acknowledge() -> Response:
        caller = _caller(room)
        frame = decode_frame(await body(CURSOR_LIMIT))
        if not isinstance(frame, Ack):
            raise Malformed("what is wanted here is an Ack frame")
        if not await room.store.acknowledge(caller.device.device, frame.cursor):
            raise CursorUnknown
        room.lines.attention.holds(caller.seat, caller.device.device, frame.cursor.seq)
        return nothing()

    @routes.get("/status")
    async def status() -> Response:
        caller = _caller(room)
        usage = await room.store.usage(caller.seat)
        return jsonify(
            waiting=usage.parcels,
            bytes=usage.used_bytes,
            limit_bytes=usage.quota_bytes,
            lanes=usage.lanes,
            time=int(room.clock.now()),
            version=room.version,
        )


def _lanes(routes: Blueprint, room: Mailroom) -> None:
    @routes.put("/lanes")
    async def mint() -> Response:
        caller = _caller(room)
        rests_on, values = _lane_change(await body(LANES_LIMIT))
        lanes = [LaneRight.from_value(one) for one in values]
        await room.store.mint_lanes(caller.seat, lanes, rests_on=rests_on)
        return nothing()

    @routes.post("/lanes/revoke")
    async def revoke() -> Response:
        caller = _caller(room)
        rests_on, values = _lane_change(await body(LANES_LIMIT))
        lanes = [LaneId(one) for one in values if isinstance(one, bytes)]
        if len(lanes) != len(values):
            raise Malformed("a lane id is a byte string")
        await room.store.revoke_lanes(caller.seat, lanes, rests_on=rests_on)
        return nothing()


def _lane_change(data: bytes) -> tuple[int, list[Value]]:
    fields = Fields.read(data, limit=LANES_LIMIT, what="lane change")
    fields.version(0, known=1)
    rests_on = fields.integer(1, low=0, high=(1 << 63) - 1)
    values = fields.list(2, limit=MAX_LANES)
    fields.end()
    return rests_on, values
