"""How a request is answered that cannot be done: a code for programs, and nothing of the inside.

    Refusal             its status        {"error": code, and the facts that it has}
    bytes out of form   400               {"error": the code of the WireError}
    no such request     404, 405, …       {"error": "not-found", …}
    no memory for it    503               {"error": "busy", …}
    an error of ours    500               {"error": "internal"}; the log says where

docs/protocol.md §12 lists the codes.
"""

import logging
from typing import Any, Final

from quart import Quart, Response, jsonify
from werkzeug.exceptions import HTTPException

from gateway.errors import Busy, Refusal
from wire.errors import WireError

CODES: Final = {
    400: "malformed",
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    413: "too-large",
}
"""What is told for a refusal of the framework's own, by its status."""

log = logging.getLogger(__name__)


def answer_errors(app: Quart) -> None:
    """Let `app` answer every refusal and every error in JSON."""
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False  # nothing is at a second address, and nobody is sent on

    @app.errorhandler(Refusal)
    @app.errorhandler(WireError)
    async def refused(error: Exception) -> tuple[Response, int]:
        status, facts = told(error)
        return jsonify(facts), status

    @app.errorhandler(HTTPException)
    async def no_such_request(error: HTTPException) -> tuple[Response, int]:
        status = error.code or 500
        answer = jsonify(error=CODES.get(status, "malformed" if status < 500 else "internal"))
        if status == 405:
            answer.headers.extend([one for one in error.get_headers() if one[0].lower() == "allow"])
        return answer, status

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> tuple[Response, int]:
        log.error("a request failed", exc_info=error)
        status, facts = told(error)
        return jsonify(facts), status


def told(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object with which an error is answered."""
    match error:
        case Refusal():
            return error.status, {"error": error.code, **error.facts()}
        case WireError():
            return 400, {"error": error.code}
        case MemoryError():
            return told(Busy())
        case _:
            return 500, {"error": "internal"}
