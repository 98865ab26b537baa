"""Rendezvous over HTTP (docs/protocol.md §11)."""

import asyncio
from contextlib import suppress
from typing import Final

from quart import Blueprint, Response, request

from gateway.auth import Auth
from gateway.bodies import body, header_bytes, nothing, octets, wait_seconds
from gateway.clock import Clock
from gateway.relay.slots import Guest, Host, Slots
from wire.ids import SlotId
from wire.rendezvous import MAX_MESSAGE

SIDE_HEADER: Final = "Homepost-Side"


def rendezvous_routes(auth: Auth, *, clock: Clock, slots: Slots) -> Blueprint:
    """Return the routes at which two phones that add each other meet."""
    routes = Blueprint("rendezvous", __name__, url_prefix="/v1/rendezvous")
    changed = _Bell()

    def host() -> Host:
        caller = auth.caller(request)
        return Host(caller.seat, caller.device)

    def writer() -> Host | Guest:
        side = request.headers.get(SIDE_HEADER)
        return host() if side is None else Guest(header_bytes(side))

    @routes.post("/<slot>")
    async def open_slot(slot: str) -> Response:
        slots.open(SlotId.from_text(slot), host(), now=clock.monotonic())
        return nothing()

    @routes.put("/<slot>/<int:number>")
    async def write(slot: str, number: int) -> Response:
        by, where = writer(), SlotId.from_text(slot)
        slots.read(where, number, now=clock.monotonic())  # nobody sends us bytes for no slot
        message = await body(MAX_MESSAGE)
        slots.write(where, number, message, by=by, now=clock.monotonic())
        changed.ring()
        return nothing()

    @routes.get("/<slot>/<int:number>")
    async def read(slot: str, number: int) -> Response:
        where, wait = SlotId.from_text(slot), wait_seconds()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while True:
                    rung = changed.next()
                    message = slots.read(where, number, now=clock.monotonic())
                    if message is not None:
                        return octets(message)
                    await rung.wait()
        return nothing()

    return routes


class _Bell:
    """Rings for everybody who waits just now."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Return what the next ring sets."""
        return self._rung

    def ring(self) -> None:
        """Wake everybody who waits."""
        self._rung.set()
        self._rung = asyncio.Event()
