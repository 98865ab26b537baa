"""Coming back over HTTP: with the root key, or with friends (docs/protocol.md §16.2, §16.3).

Whoever has no login here is turned away after a few wrong tries in a minute, before anything is
worked out for him: by network, so that he shuts nobody else out.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from quart import Blueprint, Response, request

from gateway.auth import Auth
from gateway.bodies import body, nothing, octets
from gateway.door import network_of
from gateway.errors import RecoveryRefused, TooManyRequests
from gateway.patience import Patience
from gateway.sync.recovery import RecoveryStore
from gateway.sync.store import CardChange
from gateway.visit import Kind, visit_of
from wire.codec import Value, encode
from wire.errors import NotSigned
from wire.ids import RecoveryId, SeatId
from wire.recovery import (
    ASK_LIMIT,
    LEFT_LIMIT,
    NOTICE_BYTES,
    PROOF_LIMIT,
    RECOVER_LIMIT,
    Ask,
    Left,
    Recover,
    RootProof,
)

TRIES: Final = 10
"""Wrong tries of one network in a minute; those who come back need one or two."""


@dataclass(frozen=True, slots=True)
class Comeback:
    """What these routes need."""

    auth: Auth
    store: RecoveryStore
    on_change: Callable[[CardChange], None]
    """Told what a card became: devices that it no longer lists must go."""
    on_asked: Callable[[SeatId], None]
    """Told for whom somebody has asked: her devices must see it."""


def recovery_routes(comeback: Comeback) -> Blueprint:
    """Return the routes for shares, for those who ask for one, and for who comes back."""
    routes = Blueprint("recovery", __name__, url_prefix="/v1")
    _with_the_root(routes, comeback, Patience(TRIES))
    _with_friends(routes, comeback, Patience(TRIES))
    _from_home(routes, comeback)
    return routes


def _with_the_root(routes: Blueprint, comeback: Comeback, patience: Patience) -> None:
    auth, store = comeback.auth, comeback.store

    @routes.post("/recover/card")
    async def card() -> Response:
        async with _patiently(patience):
            proof = RootProof.decode(await body(PROOF_LIMIT))
            auth.challenges.check(proof.nonce)
            proof.verify(auth.channel, purpose="recover-card")
            _, chain = await store.card_for(proof)
            auth.challenges.spend(proof.nonce)
        values: list[Value] = list(chain)
        return octets(encode(values))

    @routes.post("/recover")
    async def recover() -> Response:
        async with _patiently(patience):
            asked = Recover.decode(await body(RECOVER_LIMIT))
            auth.challenges.check(asked.nonce)
            signed, device = asked.verify(auth.channel)
            change = await store.recover(asked.person, signed, device)
            auth.challenges.spend(asked.nonce)
        comeback.on_change(change)
        return nothing()

    @routes.post("/recovery/cancel")
    async def cancel_with_root() -> Response:
        data = await body(PROOF_LIMIT)
        if len(data) == RecoveryId.size:
            caller = auth.caller(request)
            await store.cancel(RecoveryId(data), seat=caller.seat, by=caller.device.device)
            return nothing()
        async with _patiently(patience):
            proof = RootProof.decode(data)
            auth.challenges.check(proof.nonce)
            proof.verify(auth.channel, purpose="recovery-cancel")
            seat, _ = await store.card_for(proof)
            auth.challenges.spend(proof.nonce)
        await store.cancel(RecoveryId(proof.about), seat=seat, by=None)
        return nothing()


def _with_friends(routes: Blueprint, comeback: Comeback, patience: Patience) -> None:
    auth, store = comeback.auth, comeback.store

    @routes.post("/recovery/ask")
    async def ask() -> Response:
        async with _patiently(patience):
            asked = Ask.decode(await body(ASK_LIMIT))
            auth.challenges.check(asked.nonce)
            told, seat = await store.ask(asked, channel=auth.channel)
            auth.challenges.spend(asked.nonce)
        if seat is not None:
            comeback.on_asked(seat)
        return octets(told.encode())

    @routes.post("/recovery/notice")
    async def notice() -> Response:
        word = (await body(NOTICE_BYTES)).ljust(NOTICE_BYTES, b"\0")
        return octets((await store.alarm_for_keeper(word)).encode())


def _from_home(routes: Blueprint, comeback: Comeback) -> None:
    auth, store = comeback.auth, comeback.store

    @routes.put("/recovery/share")
    async def leave() -> Response:
        caller = auth.caller(request)
        await store.leave(caller.seat, Left.decode(await body(LEFT_LIMIT)))
        return nothing()

    @routes.delete("/recovery/share")
    async def take_back() -> Response:
        await store.take_back(auth.caller(request).seat)
        return nothing()

    @routes.get("/recovery")
    async def alarm() -> Response:
        return octets((await store.alarm(auth.caller(request).seat)).encode())


@asynccontextmanager
async def _patiently(patience: Patience) -> AsyncIterator[None]:
    """Turn away who was wrong too often; count it if he is wrong now, and say no more than that.

    Raises:
        TooManyRequests: his network was wrong too often in this minute.
        RecoveryRefused: the proof does not fit, whatever of it is wrong.
    """
    visit_of(request.scope).is_for(Kind.LOGIN)  # it says whose seat it is about
    network = _network()
    if patience.is_over(network):
        raise TooManyRequests(retry_after=60)
    try:
        yield
    except (NotSigned, RecoveryRefused):
        patience.refused(network)
        raise RecoveryRefused from None


def _network() -> str:
    client = request.scope.get("client")
    host = client[0] if client else ""
    try:
        return network_of(host)
    except ValueError:
        return host
