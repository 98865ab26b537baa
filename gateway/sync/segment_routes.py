"""The archive over HTTP, for a seat's own devices (docs/protocol.md §17.2)."""

import re
from typing import Final

from quart import Blueprint, Response, request

from gateway.auth import Auth
from gateway.bodies import body, nothing, octets
from gateway.sync.segments import ArchiveStore
from wire.archive import MAX_SEGMENT, MAX_SEQ, Segment, encode_range
from wire.errors import Malformed

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}")


def archive_routes(auth: Auth, store: ArchiveStore) -> Blueprint:
    """Return the routes by which devices put segments into their archive and get them back."""
    routes = Blueprint("archive", __name__, url_prefix="/v1/archive")

    @routes.post("")
    async def append() -> Response:
        caller = auth.caller(request)
        await store.append(caller.seat, Segment.decode(await body(MAX_SEGMENT)))
        return nothing()

    @routes.get("")
    async def extent() -> Response:
        caller = auth.caller(request)
        return octets((await store.extent(caller.seat)).encode())

    @routes.get("/<number>")
    async def one(number: str) -> Response:
        caller = auth.caller(request)
        return octets(await store.one(caller.seat, _number(number)))

    @routes.get("/segments")
    async def segments() -> Response:
        caller = auth.caller(request)
        upto, down_to = (_number(request.args.get(name, "1")) for name in ("upto", "from"))
        return octets(encode_range(await store.range(caller.seat, upto=upto, down_to=down_to)))

    return routes


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > MAX_SEQ:
        raise Malformed("a segment has a number from 1")
    return int(text)
