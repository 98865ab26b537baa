"""Pairing over HTTP: `POST /v1/pair` and `POST /v1/pair/refuse` (docs/protocol.md §3.3).

The one place where somebody without login or lane may send more than a few bytes, so only few may
do it at a time.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from quart import Blueprint, Response, request

from gateway.bodies import body, octets, wait_seconds
from gateway.door import network_of
from gateway.errors import Busy
from gateway.sync.pairing_desk import PairingDesk
from gateway.visit import Kind, visit_of
from wire.pairing import REQUEST_LIMIT, PairRequest

MAX_READING: Final = 8
"""Bodies that are read at a time; at 257 KiB each, two megabytes."""
READING_OF_ADDRESS: Final = 2
"""Those of one address: whoever sends half a request and no more keeps nobody else out."""


def pairing_routes(desk: PairingDesk) -> Blueprint:
    """Return the routes at which phones ask `desk` for a seat."""
    routes = Blueprint("pairing", __name__, url_prefix="/v1/pair")
    reading = _Reading()

    @routes.post("")
    async def ask() -> Response:
        wait = wait_seconds()
        return octets((await desk.ask(await _request(reading), wait=wait)).encode())

    @routes.post("/refuse")
    async def refuse() -> Response:
        return octets((await desk.refuse(await _request(reading))).encode())

    return routes


async def _request(reading: "_Reading") -> PairRequest:
    visit_of(request.scope).is_for(Kind.LOGIN)  # it says whose phone this is
    with reading.one(_where(request.scope.get("client"))):
        return PairRequest.decode(await body(REQUEST_LIMIT))


def _where(client: tuple[str, int] | None) -> str:
    """Return what is counted as one: a network, or whatever stands for it where there is none."""
    host = client[0] if client else ""
    try:
        return network_of(host)
    except ValueError:
        return host


class _Reading:
    """Counts whose bodies are read just now."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()

    @contextmanager
    def one(self, network: str) -> Iterator[None]:
        """Count one more while the block lasts.

        Raises:
            Busy: there are as many as there may be, in all or from there.
        """
        if self._of.total() >= MAX_READING or self._of[network] >= READING_OF_ADDRESS:
            raise Busy
        self._of[network] += 1
        try:
            yield
        finally:
            self._of[network] -= 1
            self._of += Counter()  # drops what is zero
