"""Waking over HTTP with a login: where a phone is pushed to, when it may ring, and why it did.

The requests are those of docs/protocol.md §19; `off.py` has them for a gateway without pushes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from quart import Blueprint, Response, request

from gateway.auth import Auth, Caller
from gateway.bodies import body, nothing, octets
from gateway.errors import Refusal, TooManyRequests
from gateway.push.hours import ZoneUnknown, zone_of
from gateway.push.outcomes import Dead, Later, Outcome, Taken, Wrong
from gateway.push.waking import Waking
from wire.ids import DeviceId
from wire.pushes import (
    MESSAGE_LIMIT,
    TOKEN_BYTES,
    Address,
    Hours,
    Reach,
    decode_number,
    decode_rules,
    encode_rules,
    encode_whys,
)

NUMBER_LIMIT: Final = 64
TRY_AGAIN_SECONDS: Final = 5
"""Between two pushes that a device asks for: confirmations and tests."""
MAX_ASKED: Final = 1024
"""Devices whose last such request is remembered."""


class NoAddress(Refusal):
    """The device has no address that was confirmed."""

    code = "no-push-address"
    status = 409


class PushNotTaken(Refusal):
    """The push service did not take it; the reason is one word."""

    code = "push-not-taken"
    status = 502

    def __init__(self, reason: str) -> None:
        super().__init__(f"the push service did not take it: {reason}")
        self.reason = reason


class UnknownZone(Refusal):
    """The gateway's machine knows no time zone of that name."""

    code = "zone-unknown"
    status = 400


@dataclass(frozen=True, slots=True)
class PushDesk:
    """What these routes need.

    Attributes:
        auth: knows who asks.
        waking: wakes phones.
        monotonic: returns seconds.
    """

    auth: Auth
    waking: Waking
    monotonic: Callable[[], float] = time.monotonic

    def open(self) -> tuple[Caller, Waking]:
        """Return who asks, and who wakes.

        Raises:
            LoginNeeded: nobody asks.
        """
        return self.auth.caller(request), self.waking


def push_routes(desk: PushDesk) -> Blueprint:
    """Return the routes at which devices say how they are woken."""
    routes = Blueprint("push", __name__, url_prefix="/v1/push")
    _addresses(routes, desk)
    _settings(routes, desk)
    _reasons(routes, desk)
    return routes


class _Turns:
    """Lets each device ask for a push every few seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._asked: dict[DeviceId, float] = {}

    def take(self, device: DeviceId) -> None:
        now = self._monotonic()
        if now - self._asked.get(device, -TRY_AGAIN_SECONDS) < TRY_AGAIN_SECONDS:
            raise TooManyRequests(retry_after=TRY_AGAIN_SECONDS)
        if len(self._asked) >= MAX_ASKED:
            self._asked.clear()
        self._asked[device] = now


def _addresses(routes: Blueprint, desk: PushDesk) -> None:
    turns = _Turns(desk.monotonic)

    @routes.get("")
    async def reach() -> Response:
        caller, waking = desk.open()
        device = caller.device.device
        kind, waits = await waking.store.addresses(device)
        hours = await waking.store.hours(device)
        return octets(Reach(waking.provider.key, int(kind or 0), waits, hours).encode())

    @routes.put("/address")
    async def propose() -> Response:
        caller, waking = desk.open()
        address = Address.decode(await body(MESSAGE_LIMIT))
        turns.take(caller.device.device)
        _must_be_taken(await waking.propose(caller.seat, caller.device.device, address))
        return nothing()

    @routes.post("/confirm")
    async def confirm() -> Response:
        caller, waking = desk.open()
        await waking.confirm(caller.device.device, await body(TOKEN_BYTES))
        return nothing()

    @routes.delete("/address")
    async def drop() -> Response:
        caller, waking = desk.open()
        await waking.drop(caller.device.device)
        return nothing()

    @routes.post("/test")
    async def test() -> Response:
        caller, waking = desk.open()
        turns.take(caller.device.device)
        if not waking.reaches(caller.device.device):
            raise NoAddress
        _must_be_taken(await waking.test(caller.device.device))
        return nothing()


def _must_be_taken(outcome: Outcome | None) -> None:
    match outcome:
        case None | Taken():
            return
        case Dead():
            raise PushNotTaken("dead")
        case Later():
            raise PushNotTaken("later")
        case Wrong():
            raise PushNotTaken("refused")


def _settings(routes: Blueprint, desk: PushDesk) -> None:
    @routes.put("/hours")
    async def set_hours() -> Response:
        caller, waking = desk.open()
        hours = Hours.decode(await body(MESSAGE_LIMIT))
        try:
            zone_of(hours.zone)
        except ZoneUnknown:
            raise UnknownZone from None
        await waking.set_hours(caller.device.device, hours)
        return nothing()

    @routes.get("/rules")
    async def rules() -> Response:
        caller, waking = desk.open()
        return octets(encode_rules(await waking.store.rules(caller.device.device)))

    @routes.put("/rules")
    async def set_rules() -> Response:
        caller, waking = desk.open()
        rules = decode_rules(await body(MESSAGE_LIMIT))
        await waking.store.set_rules(caller.seat, caller.device.device, rules)
        return nothing()

    @routes.post("/read")
    async def read() -> Response:
        caller, waking = desk.open()
        up_to = decode_number(await body(NUMBER_LIMIT))
        await waking.read(caller.seat, caller.device.device, up_to)
        return nothing()


def _reasons(routes: Blueprint, desk: PushDesk) -> None:
    @routes.get("/why")
    async def why() -> Response:
        caller, waking = desk.open()
        await waking.write_whys()
        return octets(encode_whys(await waking.store.whys(caller.device.device)))
