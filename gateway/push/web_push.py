"""Pushes to browsers and to UnifiedPush: one sender for both (RFC 8030, 8291, 8292).

All that a push service sees is an address that it gave out itself, a body of always the same size,
who pushes, and whether it may wait until the phone is awake.
"""

import base64
import json
from collections.abc import Awaitable, Mapping
from typing import Final, Protocol

from gateway.errors import Refusal
from gateway.push.outcomes import KEEP_SECONDS, Later, Outcome, outcome_of
from gateway.push.sealing import NoPoint, read_point, seal
from gateway.push.vapid import Vapid
from gateway.push.waking import Message
from wire.errors import Malformed
from wire.pushes import Address

CLOCK_SECONDS: Final = 60.0
"""Until it is looked again whether the clock is set: no signature counts without it."""


class Answer(Protocol):
    """What a push service said."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Out(Protocol):
    """The way out of the box."""

    def check(self, address: str) -> str:
        """Return the origin of an address that may be asked, or refuse it."""
        ...

    def post(self, address: str, *, headers: Mapping[str, str], body: bytes) -> Awaitable[Answer]:
        """Send one request. Raises a Refusal or an OSError."""
        ...


class Wall(Protocol):
    """The wall clock."""

    def __call__(self) -> float | None:
        """Return Unix seconds; None while the clock is not set."""
        ...


class WebPush:
    """Sends pushes.

    Args:
        out: the way out of the box.
        vapid: signs for this gateway.
        wall: the wall clock.
    """

    def __init__(self, out: Out, *, vapid: Vapid, wall: Wall) -> None:
        self._out = out
        self._vapid = vapid
        self._wall = wall

    @property
    def key(self) -> bytes:
        """What a device gives its push service: only this gateway may push there."""
        return self._vapid.public

    def check(self, address: Address) -> str:
        """Return the push service of an address that may be pushed to.

        Raises:
            Malformed: its key is none.
            AddressRefused: it leads where the box does not ask.
        """
        try:
            read_point(address.public)
        except NoPoint as error:
            raise Malformed(str(error)) from None
        return self._out.check(address.endpoint)

    async def send(self, address: Address, message: Message, token: bytes = b"") -> Outcome:
        """Push to one device, once; return what came of it."""
        now = self._wall()
        if now is None:
            return Later(CLOCK_SECONDS)
        try:
            origin = self._out.check(address.endpoint)
            body = seal(_words(message, token), public=address.public, auth=address.auth)
            answer = await self._out.post(
                address.endpoint, headers=self._headers(origin, message), body=body
            )
        except (OSError, Refusal):  # a name that leads home today may be well again tomorrow
            return Later(None)
        return outcome_of(answer.status, answer.headers, now=now)

    def _headers(self, origin: str, message: Message) -> dict[str, str]:
        return {
            "TTL": str(KEEP_SECONDS),
            "Urgency": "low" if message is Message.DIGEST else "high",
            "Topic": _TOPICS[message],  # a newer push takes the place of one not delivered yet
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "Authorization": self._vapid.header(origin),
        }


_TOPICS: Final = {
    Message.WAKE: "w",
    Message.DIGEST: "d",
    Message.CONFIRM: "c",
    Message.TEST: "t",
}


def _words(message: Message, token: bytes) -> bytes:
    """Return what the device is told: to collect, or to bring something back."""
    words: dict[str, str | int] = {"homepost": 1}
    match message:
        case Message.WAKE | Message.DIGEST:
            words["do"] = "collect"
        case Message.TEST:
            words["do"] = "test"
        case Message.CONFIRM:
            words["confirm"] = base64.urlsafe_b64encode(token).decode("ascii").rstrip("=")
    return json.dumps(words, separators=(",", ":")).encode()
