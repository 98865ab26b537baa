"""Answers phones where nothing wakes them, so that they know; no more is loaded for that."""

from typing import Final

from quart import Blueprint, Response, request

from gateway.auth import Auth
from gateway.bodies import octets
from gateway.errors import Refusal
from wire.pushes import Hours, Reach

REFUSED: Final = (
    ("PUT", "/address"),
    ("DELETE", "/address"),
    ("POST", "/confirm"),
    ("POST", "/test"),
    ("PUT", "/hours"),
    ("GET", "/rules"),
    ("PUT", "/rules"),
    ("POST", "/read"),
    ("GET", "/why"),
)
"""All that is asked of a gateway that pushes, but how it does."""


class PushOff(Refusal):
    """This gateway pushes to nobody."""

    code = "push-off"
    status = 409


def off_routes(auth: Auth) -> Blueprint:
    """Return the routes of docs/protocol.md §19 for a gateway that pushes to nobody."""
    routes = Blueprint("push", __name__, url_prefix="/v1/push")

    @routes.get("")
    async def reach() -> Response:
        auth.caller(request)
        return octets(Reach(b"", 0, waits=False, hours=Hours()).encode())

    async def refuse() -> Response:
        auth.caller(request)
        raise PushOff

    for method, path in REFUSED:
        routes.add_url_rule(path, f"{method}{path}".replace("/", "-"), refuse, methods=[method])
    return routes
