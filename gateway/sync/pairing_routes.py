"""Pairing over HTTP: `POST /v1/pair` and `POST /v1/pair/refuse` (docs/protocol.md §3.3).

The one place where somebody without login or lane may send more than a few bytes, so only few may
do it at a time.
"""

import asyncio
import re
from typing import Final

from quart import Blueprint, Response, request

from gateway.errors import Busy
from gateway.sync.pairing_desk import PairingDesk
from wire.errors import Malformed
from wire.pairing import REQUEST_LIMIT, PairAnswer, PairRequest

MAX_WAIT: Final = 25.0
"""Seconds that a request may wait: below the minute after which home routers cut what is idle."""
MAX_READING: Final = 4
"""Bodies that are read at a time; at 257 KiB each, a megabyte."""
BODY_SECONDS: Final = 15.0
"""Time to send a body; a phone needs one packet."""


def pairing_routes(desk: PairingDesk) -> Blueprint:
    """Return the routes at which phones ask `desk` for a seat."""
    routes = Blueprint("pairing", __name__, url_prefix="/v1/pair")
    reading = asyncio.Semaphore(MAX_READING)

    @routes.post("")
    async def ask() -> Response:
        wait = _wait(request.args.get("wait"))
        return _answer(await desk.ask(await _request(reading), wait=wait))

    @routes.post("/refuse")
    async def refuse() -> Response:
        return _answer(await desk.refuse(await _request(reading)))

    return routes


async def _request(reading: asyncio.Semaphore) -> PairRequest:
    if reading.locked():
        raise Busy
    request.max_content_length = REQUEST_LIMIT
    async with reading:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
        except TimeoutError:
            raise Malformed("the request did not come in time") from None
    return PairRequest.decode(body)


def _answer(answer: PairAnswer) -> Response:
    return Response(answer.encode(), mimetype="application/octet-stream")


def _wait(text: str | None) -> float:
    if text is None:
        return 0.0
    if not re.fullmatch(r"[0-9]{1,2}", text) or float(text) > MAX_WAIT:
        raise Malformed(f"wait is a whole number of seconds up to {MAX_WAIT:.0f}")
    return float(text)
