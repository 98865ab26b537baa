"""Pairing over HTTP: `POST /v1/pair` and `POST /v1/pair/refuse` (docs/protocol.md §3.3).

The one place where somebody without login or lane may send more than a few bytes, so only few may
do it at a time.
"""

import asyncio
from typing import Final

from quart import Blueprint, Response, request

from gateway.bodies import body, octets, wait_seconds
from gateway.errors import Busy
from gateway.sync.pairing_desk import PairingDesk
from gateway.visit import Kind, visit_of
from wire.pairing import REQUEST_LIMIT, PairRequest

MAX_READING: Final = 4
"""Bodies that are read at a time; at 257 KiB each, a megabyte."""


def pairing_routes(desk: PairingDesk) -> Blueprint:
    """Return the routes at which phones ask `desk` for a seat."""
    routes = Blueprint("pairing", __name__, url_prefix="/v1/pair")
    reading = asyncio.Semaphore(MAX_READING)

    @routes.post("")
    async def ask() -> Response:
        wait = wait_seconds()
        return octets((await desk.ask(await _request(reading), wait=wait)).encode())

    @routes.post("/refuse")
    async def refuse() -> Response:
        return octets((await desk.refuse(await _request(reading))).encode())

    return routes


async def _request(reading: asyncio.Semaphore) -> PairRequest:
    visit_of(request.scope).is_for(Kind.LOGIN)  # it says whose phone this is
    if reading.locked():
        raise Busy
    async with reading:
        return PairRequest.decode(await body(REQUEST_LIMIT))
