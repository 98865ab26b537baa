"""Takes what a request carries, within bounds that are set before anything is read."""

import asyncio
import base64
import binascii
import re
from typing import Final

from quart import Response, request

from gateway.errors import Refusal
from wire.errors import Malformed

BODY_SECONDS: Final = 30.0
"""Time to send a body: a photo over a slow mobile uplink, not a drip that holds memory for ever."""
MAX_WAIT: Final = 25
"""Seconds that a request may wait for news: below the minute after which home routers cut."""


class TooLarge(Refusal):
    """The body is larger than this place of the protocol allows; it was not read."""

    code = "too-large"
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"at most {limit} bytes are taken here")
        self.limit = limit


async def body(limit: int) -> bytes:
    """Return the request's body.

    Args:
        limit: bytes; a longer one is refused by its announced length, before it is read.

    Raises:
        TooLarge: it is longer.
        Malformed: it did not come in time.
    """
    if (request.content_length or 0) > limit:
        raise TooLarge(limit)
    request.max_content_length = limit
    try:
        async with asyncio.timeout(BODY_SECONDS):
            data: bytes = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    except TimeoutError:
        raise Malformed("the request did not come in time") from None
    if len(data) > limit:
        raise TooLarge(limit)
    return data


def octets(data: bytes, status: int = 200) -> Response:
    """Return bytes as an answer."""
    return Response(data, status=status, mimetype="application/octet-stream")


def nothing() -> Response:
    """Return the answer to what needs none: done."""
    return Response(status=204)


def wait_seconds() -> float:
    """Return how long the request may wait, from its query.

    Raises:
        Malformed: no whole number of seconds up to `MAX_WAIT`.
    """
    text = request.args.get("wait", "0")
    if not re.fullmatch(r"[0-9]{1,2}", text) or int(text) > MAX_WAIT:
        raise Malformed(f"wait is a whole number of seconds up to {MAX_WAIT}")
    return float(text)


def header_bytes(text: str) -> bytes:
    """Return the bytes of a header in base64url without padding.

    Raises:
        Malformed: another alphabet, padding, or another spelling of the same bytes.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("a header that is not base64url") from None
    if base64.urlsafe_b64encode(data).decode("ascii").rstrip("=") != text:
        raise Malformed("a header that is not spelled as it must be")
    return data
