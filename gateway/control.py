"""What commands and owners' scripts ask of a running gateway, in JSON over a Unix socket.

    GET    /healthz              does it store?
    GET    /status               addresses, disk, how much waits
    GET    /seats                one row per person
    PATCH  /seats/<seat>         {"limit_bytes"?, "archive_limit_bytes"?}
    DELETE /seats/<seat>         with everything that waits there
    POST   /pair                 {"seconds"?}: show a code
    GET    /pair/<id>            ?wait=SECONDS&seen=STATE: how it goes on
    POST   /pair/<id>            {"same": true or false}: the owner has compared the check code
    POST   /backup               copy the store to where the answer says
    DELETE /backup               the copy was taken

docs/openapi.json describes the answers. A refusal is {"error": code, "sentence": for people, ...}.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from quart import Quart, Response, request
from werkzeug.exceptions import HTTPException

from gateway.copies import Copies
from gateway.errors import NoSuchSeat, Refusal
from gateway.sync.pairing import Stage
from gateway.sync.pairing_desk import MAX_SECONDS, PairingDesk, View
from gateway.sync.seats import Seat, Seats
from wire.codes import GATEWAY_CODE_SECONDS
from wire.errors import Malformed
from wire.ids import SeatId

MAX_BODY: Final = 4096
_LIMITS: Final = ("limit_bytes", "archive_limit_bytes")
MAX_WAIT: Final = 60
"""Seconds: nothing between a command and its own machine's gateway cuts what is idle."""


class BadQuestion(Refusal):
    """The request is none of those above."""

    code = "malformed"
    status = 400

    def __init__(self, wanted: str) -> None:
        super().__init__(f"What is wanted here: {wanted}.")


def control_app(
    *,
    desk: PairingDesk,
    seats: Seats,
    on_removed: Callable[[SeatId], None],
    healthy: Callable[[], bool],
    status: Callable[[], Awaitable[dict[str, Any]]],
    copies: Copies,
) -> Quart:
    """Return the application behind the control socket.

    Args:
        desk: where phones are paired.
        seats: what the owner can do with seats.
        on_removed: ends what the devices of a removed seat still have open.
        healthy: whether what is acknowledged is stored.
        status: returns the answer of `GET /status`.
        copies: what backups are made of.
    """
    app = Quart("gateway.control")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY

    @app.get("/healthz")
    async def healthz() -> Response:
        return _json({"ok": healthy()}, 200 if healthy() else 503)

    @app.get("/status")
    async def look_at_status() -> Response:
        return _json(await status())

    _seat_routes(app, seats, on_removed)
    _pair_routes(app, desk)
    _backup_routes(app, copies)
    answer_refusals(app)
    return app


def _seat_routes(app: Quart, seats: Seats, on_removed: Callable[[SeatId], None]) -> None:
    @app.get("/seats")
    async def list_seats() -> Response:
        return _json({"seats": [_row(seat) for seat in await seats.all()]})

    @app.patch("/seats/<seat>")
    async def change_seat(seat: str) -> Response:
        asked = await _body()
        limits = {name: _whole(value) for name, value in asked.items() if name in _LIMITS}
        if not limits or not all(one is not None and 0 <= one <= 2**50 for one in limits.values()):
            raise BadQuestion('{"limit_bytes" or "archive_limit_bytes": a whole number of bytes}')
        if (limit := limits.get("limit_bytes")) is not None:
            await seats.set_limit(_seat(seat), limit)
        if (limit := limits.get("archive_limit_bytes")) is not None:
            await seats.set_archive_limit(_seat(seat), limit)
        return Response(status=204)

    @app.delete("/seats/<seat>")
    async def remove_seat(seat: str) -> Response:
        id = _seat(seat)
        await seats.remove(id)
        on_removed(id)
        return Response(status=204)


def _pair_routes(app: Quart, desk: PairingDesk) -> None:
    @app.post("/pair")
    async def show_code() -> Response:
        seconds = _whole((await _body()).get("seconds", GATEWAY_CODE_SECONDS))
        if seconds is None or not 1 <= seconds <= MAX_SECONDS:
            raise BadQuestion(f'{{"seconds": a whole number from 1 to {MAX_SECONDS:.0f}}}')
        shown = desk.show(seconds=seconds)
        answer = {"id": shown.id, "code": shown.code.text(), "expires": shown.code.expires}
        return _json(answer, 201)

    @app.get("/pair/<id>")
    async def look_at_code(id: str) -> Response:
        wait, seen = request.args.get("wait", "0"), request.args.get("seen", Stage.OPEN.value)
        if not wait.isascii() or not wait.isdigit() or len(wait) > 2 or int(wait) > MAX_WAIT:
            raise BadQuestion(f"wait = a whole number of seconds up to {MAX_WAIT}")
        if seen not in {stage.value for stage in Stage}:
            raise BadQuestion(f"seen = one of {', '.join(stage.value for stage in Stage)}")
        return _view(await desk.look(id, wait=float(wait), seen=Stage(seen)))

    @app.post("/pair/<id>")
    async def answer_check(id: str) -> Response:
        same = (await _body()).get("same")
        if not isinstance(same, bool):
            raise BadQuestion('{"same": true} or {"same": false}')
        return _view(await desk.say(id, same=same))


def _backup_routes(app: Quart, copies: Copies) -> None:
    @app.post("/backup")
    async def make_copy() -> Response:
        return _json(await copies.make(), 201)

    @app.delete("/backup")
    async def drop_copy() -> Response:
        copies.drop()
        return Response(status=204)


def answer_refusals(app: Quart) -> None:
    """Let `app` answer everything it refuses in JSON, with a code that programs can tell."""

    @app.errorhandler(Refusal)
    async def refuse(refusal: Refusal) -> Response:
        answer = {"error": refusal.code, "sentence": str(refusal), **refusal.facts()}
        return _json(answer, refusal.status)

    @app.errorhandler(HTTPException)
    async def no_such_thing(error: HTTPException) -> Response:
        code = error.name.lower().replace(" ", "-")
        return _json({"error": code, "sentence": f"{error.description}"}, error.code or 500)


def _row(seat: Seat) -> dict[str, Any]:
    return {
        "seat": seat.id.text,
        "devices": seat.devices,
        "unconfirmed": seat.unconfirmed,
        "waiting": seat.waiting,
        "used_bytes": seat.used_bytes,
        "limit_bytes": seat.limit_bytes,
        "archive_used_bytes": seat.archive_used_bytes,
        "archive_limit_bytes": seat.archive_limit_bytes,
    }


def _seat(text: str) -> SeatId:
    try:
        return SeatId.from_text(text)
    except Malformed:
        raise NoSuchSeat from None


async def _body() -> dict[str, Any]:
    raw = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    try:
        value = json.loads(raw, object_pairs_hook=_each_once) if raw else {}
    except (ValueError, RecursionError):
        raise BadQuestion("JSON") from None
    if not isinstance(value, dict):
        raise BadQuestion("a JSON object")
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice in an object: two readers would disagree about it."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _whole(value: Any) -> int | None:
    """Return a whole number, None if it is none; in JSON 5.0 is as whole as 5."""
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def _view(view: View) -> Response:
    return _json({"state": view.stage.value, "check": view.check, "pictures": list(view.pictures)})


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(value) + "\n", status, mimetype="application/json")
