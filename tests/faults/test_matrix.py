"""Who may ask for what: every endpoint, asked by everybody there is.

nobody      no word about who asks            contact    holds a lane of the device's seat
device      a phone, logged in                guest      read a contact code of the device
revoked     a phone that was taken off        stranger   makes up bearers, lanes and sides
neighbour   the phone of another seat         elsewhere  has all of it, for another gateway
"""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from gateway.mailbox.direct import ENDPOINTS
from tests.faults.adapter import Box, Handset, letters, open_box
from tests.faults.connection import Connection, spelled
from tests.gateway.box import open_box as open_inside
from tests.gateway.phones import asks
from tests.gateway.sync.people import Person, Phone
from wire.auth import Channel, Login, Purpose
from wire.codec import encode
from wire.frames import NOWHERE, Ack, Deposit, Proved, Resume, encode_frame
from wire.ids import GatewayId, SlotId
from wire.lanes import Lane, LaneRight, LaneSecret, WakeRule
from wire.pairing import PairRequest
from wire.prekeys import encode_upload
from wire.recovery import Left

PRINCIPALS: Final = (
    "nobody", "device", "revoked", "neighbour", "contact", "guest", "stranger", "elsewhere",
)  # fmt: skip
MATRIX: Final = {
    #                                 nob dev rev nei con gue str els
    "GET /healthz":                  "200 200 200 200 200 200 200 200",
    "POST /v1/challenge":            "200 200 200 200 200 200 200 200",
    "POST /v1/login":                "400 200 401 200 401 401 401 401",
    "POST /v1/pair":                 "400 200 200 200 403 403 403 403",
    "POST /v1/pair/refuse":          "400 200 200 200 403 403 403 403",
    "WS /v1/mailbox":                "401 101 401 101 401 401 401 401",
    "POST /v1/mailbox/collect":      "401 200 401 200 401 401 401 401",
    "POST /v1/mailbox/ack":          "401 204 401 409 401 401 401 401",
    "GET /v1/status":                "401 200 401 200 401 401 401 401",
    "WS /v1/deposit":                "403 400 400 400 101 403 403 403",
    "POST /v1/deposit":              "403 400 400 400 200 403 403 403",
    "PUT /v1/lanes":                 "401 204 401 403 401 401 401 401",
    "POST /v1/prekeys":              "401 204 401 204 401 401 401 401",
    "GET /v1/prekeys":               "401 200 401 200 401 401 401 401",
    "POST /v1/prekeys/fetch":        "403 400 400 400 200 403 403 403",
    "POST /v1/prekeys/reset":        "401 204 401 204 401 401 401 401",
    "POST /v1/card":                 "401 204 401 409 401 401 401 401",
    "GET /v1/card":                  "401 200 401 200 401 401 401 401",
    "POST /v1/rendezvous/<slot>":    "401 204 401 409 401 401 401 401",
    "PUT /v1/rendezvous/<slot>/1":   "401 409 401 409 401 204 409 409",
    "PUT /v1/rendezvous/<slot>/2":   "401 204 401 409 401 409 409 409",
    "GET /v1/rendezvous/<slot>/1":   "200 200 200 200 200 200 200 200",
    "POST /v1/recover/card":         "400 400 400 400 400 400 400 400",
    "POST /v1/recover":              "400 400 400 400 400 400 400 400",
    "POST /v1/recovery/ask":         "400 400 400 400 400 400 400 400",
    "POST /v1/recovery/notice":      "200 200 200 200 200 200 200 200",
    "POST /v1/recovery/cancel":      "401 404 401 404 401 401 401 401",
    "PUT /v1/recovery/share":        "401 204 401 204 401 401 401 401",
    "DELETE /v1/recovery/share":     "401 204 401 204 401 401 401 401",
    "GET /v1/recovery":              "401 200 401 200 401 401 401 401",
    "GET /v1/archive":                "401 200 401 200 401 401 401 401",
    "GET /v1/archive/1":              "401 404 401 404 401 401 401 401",
    "GET /v1/archive/segments":       "401 200 401 200 401 401 401 401",
    "POST /v1/archive":               "401 400 401 400 401 401 401 401",
    "GET /v1/person-keys":            "401 200 401 200 401 401 401 401",
    "PUT /v1/person-key":             "401 400 401 400 401 401 401 401",
    "POST /v1/join":                  "400 400 400 400 400 400 400 400",
    "GET /v1/push":                   "401 200 401 200 401 401 401 401",
    "PUT /v1/push/address":           "401 409 401 409 401 401 401 401",
    "DELETE /v1/push/address":        "401 409 401 409 401 401 401 401",
    "POST /v1/push/confirm":          "401 409 401 409 401 401 401 401",
    "POST /v1/push/test":             "401 409 401 409 401 401 401 401",
    "PUT /v1/push/hours":             "401 409 401 409 401 401 401 401",
    "GET /v1/push/rules":             "401 409 401 409 401 401 401 401",
    "PUT /v1/push/rules":             "401 409 401 409 401 401 401 401",
    "POST /v1/push/read":             "401 409 401 409 401 401 401 401",
    "GET /v1/push/why":               "401 409 401 409 401 401 401 401",
    "POST /v1/state":                 "401 400 401 400 401 401 401 401",
    "POST /v1/state/batches":         "401 400 401 400 401 401 401 401",
    "PUT /v1/state/snapshot":         "401 400 401 400 401 401 401 401",
    "GET /v1/state/snapshot/<device>":"401 400 401 400 401 401 401 401",
    # The last, for it ends the lane.
    "POST /v1/lanes/revoke":         "401 204 401 204 401 401 401 401",
}  # fmt: skip
"""What each of `PRINCIPALS` is answered when he asks for what is the device's.

A revoked phone that asks how its pairing ended is told so, as long as that is remembered."""
CODES: Final = {
    "POST /v1/login": {"malformed", "login-refused", "revoked"},
    "POST /v1/pair": {"malformed", "code-expired"},
    "POST /v1/pair/refuse": {"malformed", "code-expired"},
    "POST /v1/mailbox/ack": {"login-needed", "cursor-unknown"},
    "POST /v1/deposit": {"lane-refused", "deposit-with-login"},
    "PUT /v1/lanes": {"login-needed", "lane-refused"},
    "POST /v1/prekeys/fetch": {"lane-refused", "deposit-with-login"},
    "POST /v1/card": {"login-needed", "card-rejected"},
    "POST /v1/rendezvous/<slot>": {"login-needed", "slot-taken"},
    "PUT /v1/rendezvous/<slot>/1": {"login-needed", "slot-taken"},
    "PUT /v1/rendezvous/<slot>/2": {"login-needed", "slot-taken"},
    "POST /v1/recover/card": {"malformed"},
    "POST /v1/recover": {"malformed"},
    "POST /v1/recovery/ask": {"malformed"},
    "POST /v1/recovery/cancel": {"login-needed", "no-such-request"},
    "GET /v1/archive/1": {"login-needed", "no-segment"},
    "POST /v1/archive": {"login-needed", "malformed"},
    "PUT /v1/person-key": {"login-needed", "malformed"},
    "POST /v1/join": {"malformed"},
    "PUT /v1/push/address": {"login-needed", "push-off"},
    "DELETE /v1/push/address": {"login-needed", "push-off"},
    "POST /v1/push/confirm": {"login-needed", "push-off"},
    "POST /v1/push/test": {"login-needed", "push-off"},
    "PUT /v1/push/hours": {"login-needed", "push-off"},
    "GET /v1/push/rules": {"login-needed", "push-off"},
    "PUT /v1/push/rules": {"login-needed", "push-off"},
    "POST /v1/push/read": {"login-needed", "push-off"},
    "GET /v1/push/why": {"login-needed", "push-off"},
    "POST /v1/state": {"login-needed", "malformed"},
    "POST /v1/state/batches": {"login-needed", "malformed"},
    "PUT /v1/state/snapshot": {"login-needed", "malformed"},
    "GET /v1/state/snapshot/<device>": {"login-needed", "malformed"},
}
"""The codes of the refusals, where there are others than `login-needed`."""
LANE_ENDPOINTS: Final[dict[str, Purpose]] = {
    "/v1/deposit": "deposit",
    "/v1/prekeys/fetch": "prekeys",
}


@dataclass
class Household:
    """Two seats, what belongs to the device of the first, and everybody who might want it."""

    box: Box
    device: Handset
    revoked: Handset
    neighbour: Handset
    lane: Lane
    slot: SlotId
    side: bytes
    """By which the guest is known."""

    @property
    def elsewhere(self) -> Channel:
        """Another gateway, of the same name."""
        return Channel(GatewayId(b"e" * 32), self.device.connection.channel.certificate_hash)

    async def ask(self, endpoint: str, principal: str) -> tuple[int, str | None]:
        """Ask for what is the device's, on a new connection; return status and code."""
        method, _, path = endpoint.partition(" ")
        connection = await self.box.connect()
        headers = await self._headers(principal, path, connection)
        path = path.replace("<slot>", self.slot.text)
        try:
            if method == "WS":
                return await connection.handshake(path, headers), None
            body = await self._body(endpoint, principal, connection)
            answer = await connection.ask(method, path, body, headers=headers)
            return answer.status, answer.code
        finally:
            await connection.close()

    async def _headers(self, principal: str, path: str, connection: Connection) -> dict[str, str]:
        match principal:
            case "device" | "revoked" | "neighbour":
                if path in ("/v1/login", "/v1/pair", "/v1/pair/refuse"):
                    return {}
                return await self._phone(principal).auth()
            case "contact" | "stranger" | "elsewhere" if path in LANE_ENDPOINTS:
                return await self._opening(principal, path, connection)
            case "guest" | "elsewhere" if path.startswith("/v1/rendezvous"):
                side = self.side if principal == "guest" else secrets.token_bytes(16)
                return {"Homepost-Side": spelled(side)}
            case "stranger" if path.startswith("/v1/rendezvous/<slot>/"):
                return {"Homepost-Side": spelled(secrets.token_bytes(16))}
            case "stranger" | "elsewhere":
                return {"Authorization": f"Bearer {spelled(secrets.token_bytes(32))}"}
            case _:
                return {}

    async def _opening(self, principal: str, path: str, connection: Connection) -> dict[str, str]:
        lane = self.lane
        if principal == "stranger":
            lane = LaneSecret(secrets.token_bytes(32)).at(connection.channel.gateway)
        if principal == "elsewhere":
            connection = replace(connection, channel=self.elsewhere)
        return await connection.opening(lane, LANE_ENDPOINTS[path])

    async def _body(self, endpoint: str, principal: str, connection: Connection) -> bytes:
        here = connection.channel
        match endpoint:
            case "POST /v1/login":
                signing = self._phone(principal).phone.signing
                channel = self.elsewhere if principal == "elsewhere" else here
                login = Login.sign(signing, channel=channel, nonce=await connection.nonce())
                return b"" if principal == "nobody" else login.encode()
            case "POST /v1/pair" | "POST /v1/pair/refuse":
                return b"" if principal == "nobody" else self._request(principal).encode()
            case "POST /v1/mailbox/collect":
                return encode_frame(Resume(NOWHERE))
            case "POST /v1/mailbox/ack":
                return encode_frame(Ack(self.device.cursor))
            case "POST /v1/deposit":
                [letter] = letters(self.lane, 1)
                proof = letter.proof(self.lane, gateway=here.gateway)
                return encode_frame(Deposit(1, (Proved(proof, letter),)))
            case "PUT /v1/lanes":
                return encode({0: 1, 1: 0, 2: [right(self.lane).to_value()]})
            case "POST /v1/lanes/revoke":
                return encode({0: 1, 1: 0, 2: [self.lane.id.raw]})
            case "POST /v1/prekeys":
                return encode_upload(tuple(self._phone(principal).phone.prekeys(first=2)))
            case "POST /v1/prekeys/reset":
                return self.lane.id.raw
            case "POST /v1/card":
                return self.device.person.card.chain[-1]
            case "PUT /v1/rendezvous/<slot>/1" | "PUT /v1/rendezvous/<slot>/2":
                return b"a message"
            case "POST /v1/recovery/cancel":
                return b"r" * 16
            case "PUT /v1/recovery/share":
                return Left(b"k" * 32, b"share", secrets.token_bytes(16)).encode()
            case _:
                return b""

    def _request(self, principal: str) -> PairRequest:
        """Return how a principal asks for a seat; only phones that were paired saw a code."""
        if principal != "elsewhere":
            return self._phone(principal).request
        known = self.device
        secret = secrets.token_bytes(16)
        return asks(secret, channel=self.elsewhere, phone=known.phone, person=known.person)

    def _phone(self, principal: str) -> Handset:
        """Return the phone of a principal; one that nobody knows here, if he has none."""
        match principal:
            case "device" | "elsewhere":
                return self.device
            case "revoked":
                return self.revoked
            case "neighbour":
                return self.neighbour
            case _:
                unknown = Phone()
                request = asks(b"c" * 16, channel=self.device.connection.channel, phone=unknown)
                return replace(self.device, phone=unknown, request=request, bearer=b"")


def right(lane: Lane) -> LaneRight:
    """Return a lane as it is registered."""
    return LaneRight(
        lane, WakeRule.WAKE, wakes_per_day=1, bytes_waiting=1 << 20, expires=0, last_tenth=True
    )


async def furnish(box: Box) -> Household:
    """Fill a gateway."""
    await box.start()
    kept, lost = Phone(), Phone()
    person = Person(kept, lost)
    device, revoked = await box.enrol(person, kept), await box.enrol(person, lost)
    await revoked.login()
    neighbour = await box.enrol()
    lane = await device.lane()
    await device.must("POST", "/v1/prekeys", encode_upload(tuple(kept.prekeys(one_time=9))))
    slot, side = SlotId(secrets.token_bytes(16)), secrets.token_bytes(16)
    await device.must("POST", f"/v1/rendezvous/{slot.text}")
    guest = {"Homepost-Side": spelled(side)}
    await device.fetch()
    connection = await box.connect()
    path = f"/v1/rendezvous/{slot.text}/1"
    await connection.must("PUT", path, b"a message", headers=guest)
    assert (await device.revoke(revoked)).status == 204
    return Household(box, device, revoked, neighbour, lane, slot, side)


@pytest.fixture
async def household(tmp_path: Path) -> AsyncIterator[Household]:
    async with open_box(tmp_path) as box:
        yield await furnish(box)


async def test_az_01_every_endpoint_is_open_to_whom_the_matrix_says(household: Household) -> None:
    """AZ-01: every endpoint, eight kinds of people; each answer is the one that is written down."""
    found = {}
    for endpoint in MATRIX:
        answers = [await household.ask(endpoint, one) for one in PRINCIPALS]
        found[endpoint] = " ".join(str(status) for status, _ in answers)
        codes = {code for _, code in answers} - {None}
        assert codes <= CODES.get(endpoint, {"login-needed"}), endpoint

    assert found == MATRIX


async def test_az_01_the_matrix_names_every_endpoint_that_there_is(tmp_path: Path) -> None:
    """AZ-01: an endpoint that nobody has put into the matrix is noticed."""
    async with open_inside(tmp_path) as inside:
        there = set[str]()
        for rule in inside.gateway.app.url_map.iter_rules():
            path = rule.rule.replace("<int:number>", "1").replace("<number>", "1")
            if rule.endpoint == "static":
                continue
            methods = {"WS"} if rule.websocket else (rule.methods or set()) - {"HEAD", "OPTIONS"}
            there |= {f"{method} {path}" for method in methods}
    there |= set(ENDPOINTS)

    assert there == {name for name in MATRIX if not name.endswith("/2")}


async def test_az_01_the_owners_requests_are_answered_on_his_socket_alone(
    household: Household,
) -> None:
    """AZ-01: on the phones' port there are no seats to list, no codes to show, no status."""
    connection = await household.box.connect()
    asked = [("GET", "/status"), ("GET", "/seats"), ("POST", "/pair"), ("GET", "/pair/x")]
    asked += [("DELETE", "/seats/x"), ("PATCH", "/seats/x"), ("GET", "/static/x")]

    answers = [await connection.ask(method, path, b"{}") for method, path in asked]

    assert {(one.status, one.code) for one in answers} == {(404, "not-found")}
    assert len((await household.box.owner.ask("GET", "/seats"))["seats"]) == 2
