"""Cards, prekeys, person keys, state, logins over HTTP (docs/protocol.md §3.4, §10, §14, §15)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from quart import Blueprint, Response, request

from gateway.auth import Auth, Caller
from gateway.bodies import body, nothing, octets
from gateway.sync.prekeys import PrekeyStore
from gateway.sync.state_log import StateLogStore
from gateway.sync.store import SyncStore
from gateway.visit import Asked, Kind, visit_of
from wire.auth import BEARER_SECONDS, LOGIN_LIMIT, Purpose
from wire.card import MAX_STATEMENT
from wire.codec import Value, encode
from wire.ids import DeviceId, LaneId, SeatId
from wire.lanes import Lane
from wire.person_keys import PUT_LIMIT, decode_put, encode_records
from wire.prekeys import UPLOAD_LIMIT, PrekeyKind, decode_upload, encode_bundles
from wire.state_log import (
    ASK_LIMIT,
    MAX_SNAPSHOT,
    MESSAGE_LIMIT,
    Batch,
    Snapshot,
    decode_ask,
    decode_batches,
)


class OpenedLane(Protocol):
    """What is known of a lane whose proof was good."""

    @property
    def lane(self) -> Lane: ...

    @property
    def seat(self) -> SeatId: ...


class Opens(Protocol):
    """Checks the proof that a request shows for a lane."""

    async def __call__(self, asked: Asked, purpose: Purpose) -> OpenedLane: ...


@dataclass(frozen=True, slots=True)
class Registry:
    """What these routes need."""

    auth: Auth
    store: SyncStore
    prekeys: PrekeyStore
    state: StateLogStore
    opens: Opens
    on_revoked: Callable[[SeatId, tuple[DeviceId, ...]], None]


def sync_routes(registry: Registry) -> Blueprint:
    """Return the routes for logging in, and for what a seat's devices leave for others."""
    routes = Blueprint("sync", __name__, url_prefix="/v1")
    _logging_in(routes, registry)
    _prekeys(routes, registry)
    _cards(routes, registry)
    _person_keys(routes, registry)
    _state(routes, registry)
    return routes


def _caller(registry: Registry) -> Caller:
    return registry.auth.caller(request)


def _logging_in(routes: Blueprint, registry: Registry) -> None:
    @routes.post("/challenge")
    async def challenge() -> Response:
        return octets(registry.auth.challenges.give())

    @routes.post("/login")
    async def login() -> Response:
        visit_of(request.scope).is_for(Kind.LOGIN)
        bearer = await registry.auth.login(await body(LOGIN_LIMIT))
        return octets(encode({0: 1, 1: bearer, 2: BEARER_SECONDS}))

    @routes.post("/join")
    async def join() -> Response:
        visit_of(request.scope).is_for(Kind.LOGIN)
        bearer = await registry.auth.join(await body(LOGIN_LIMIT))
        return octets(encode({0: 1, 1: bearer, 2: BEARER_SECONDS}))


def _prekeys(routes: Blueprint, registry: Registry) -> None:
    @routes.post("/prekeys")
    async def upload() -> Response:
        caller = _caller(registry)
        await registry.prekeys.upload(caller.device, decode_upload(await body(UPLOAD_LIMIT)))
        return nothing()

    @routes.get("/prekeys")
    async def counts() -> Response:
        caller = _caller(registry)
        found = await registry.prekeys.counts(caller.device.device)
        value: dict[int, Value] = {
            int(PrekeyKind.SIGNED): found.signed,
            int(PrekeyKind.LAST_RESORT): found.last_resort,
            int(PrekeyKind.ONE_TIME): found.one_time,
            int(PrekeyKind.ONE_TIME_KEM): found.one_time_kem,
        }
        return octets(encode({0: 1, 1: value}))

    @routes.post("/prekeys/fetch")
    async def fetch() -> Response:
        opened = await registry.opens(request, "prekeys")
        bundles = await registry.prekeys.hand_out(opened.seat, opened.lane.id)
        return octets(encode_bundles(bundles, chain=await registry.store.card(opened.seat)))

    @routes.post("/prekeys/reset")
    async def reset() -> Response:
        caller = _caller(registry)
        await registry.prekeys.reset(caller.seat, LaneId(await body(LaneId.size)))
        return nothing()


def _cards(routes: Blueprint, registry: Registry) -> None:
    @routes.post("/card")
    async def extend() -> Response:
        caller = _caller(registry)
        change = await registry.store.put_card(caller.seat, [await body(MAX_STATEMENT)])
        if change.revoked:
            registry.on_revoked(caller.seat, change.revoked)
        return nothing()

    @routes.get("/card")
    async def card() -> Response:
        caller = _caller(registry)
        chain: list[Value] = list(await registry.store.card(caller.seat))
        return octets(encode(chain))


def _person_keys(routes: Blueprint, registry: Registry) -> None:
    @routes.put("/person-key")
    async def put() -> Response:
        caller = _caller(registry)
        record, statements = decode_put(await body(PUT_LIMIT))
        change = await registry.store.put_person_key(caller.seat, record, statements)
        if change.revoked:
            registry.on_revoked(caller.seat, change.revoked)
        return nothing()

    @routes.get("/person-keys")
    async def person_keys() -> Response:
        caller = _caller(registry)
        return octets(encode_records(await registry.store.person_keys(caller.seat)))


def _state(routes: Blueprint, registry: Registry) -> None:
    @routes.post("/state")
    async def ask() -> Response:
        caller = _caller(registry)
        vector = decode_ask(await body(ASK_LIMIT))
        answer = await registry.state.ask(caller.seat, caller.device.device, vector)
        return octets(answer.encode())

    @routes.post("/state/batches")
    async def leave() -> Response:
        caller = _caller(registry)
        batches = [Batch.decode(one) for one in decode_batches(await body(MESSAGE_LIMIT))]
        await registry.state.leave(caller.seat, batches)
        return nothing()

    @routes.get("/state/snapshot/<device>")
    async def snapshot(device: str) -> Response:
        caller = _caller(registry)
        found = await registry.state.snapshot(caller.seat, DeviceId.from_text(device))
        return nothing() if found is None else octets(found)

    @routes.put("/state/snapshot")
    async def leave_snapshot() -> Response:
        caller = _caller(registry)
        await registry.state.leave_snapshot(caller.seat, Snapshot.decode(await body(MAX_SNAPSHOT)))
        return nothing()
