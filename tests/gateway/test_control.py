"""What the owner's commands and scripts ask, compared with docs/openapi.json answer by answer."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import (  # type: ignore[import-untyped]  # it has no types
    Draft202012Validator,
)
from openapi_spec_validator import validate

from gateway.errors import DiskFull
from tests.gateway.box import Box, open_box
from tests.gateway.eventually import eventually
from tests.gateway.phones import asks
from tests.gateway.sync.people import Phone
from wire.auth import Login
from wire.codes import GatewayCode
from wire.fields import Fields
from wire.ids import SeatId

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
API: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
METHODS = ("get", "post", "patch", "put", "delete")
JSON = "application/json"


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path / "box") as opened:
        yield opened


def described(method: str, path: str, status: int) -> dict[str, Any]:
    """Return what the document says about an answer."""
    for template, item in API["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            answer: dict[str, Any] = item[method.lower()]["responses"][str(status)]
            if "$ref" in answer:
                name = answer["$ref"].rpartition("/")[2]
                return dict(API["components"]["responses"][name])
            return answer
    raise AssertionError(f"{path} is not in the document")


async def ask(box: Box, method: str, path: str, *, status: int = 200, **more: Any) -> Any:
    """Ask as a script does, and hold the answer against the document."""
    response = await box.owner.open(path, method=method, **more)
    content = await response.get_data(as_text=True)
    assert response.status_code == status, content
    answer = described(method, path.partition("?")[0], status)
    if "content" not in answer:
        assert content == ""
        return None
    assert response.mimetype == JSON
    schema = answer["content"][JSON]["schema"]
    Draft202012Validator({**schema, "components": API["components"]}).validate(json.loads(content))
    return json.loads(content)


async def log_in(box: Box, phone: Phone) -> dict[str, str]:
    """Log a device in; return the headers that show it."""
    nonce = await (await box.phones.post("/v1/challenge")).get_data(as_text=False)
    login = Login.sign(phone.signing, channel=box.channel, nonce=nonce)
    response = await box.phones.post("/v1/login", data=login.encode())
    fields = Fields.read(await response.get_data(as_text=False), limit=256, what="login answer")
    bearer = base64.urlsafe_b64encode(fields.raw(1)).decode().rstrip("=")
    return {"Authorization": f"Bearer {bearer}"}


async def paired(box: Box, phone: Phone | None = None) -> str:
    """Pair a phone; return the name of its seat."""
    shown = await ask(box, "POST", "/pair", status=201)
    code = GatewayCode.parse(shown["code"])
    await box.ask(asks(code, channel=box.channel, confirmed=True, phone=phone))
    await box.say(shown["id"], same=True)
    [seat] = (await ask(box, "GET", "/seats"))["seats"]
    return str(seat["seat"])


def test_the_document_is_an_openapi_document() -> None:
    validate(API)


def test_the_document_has_the_routes_that_there_are_and_no_others(box: Box) -> None:
    served = {
        (method.lower(), re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in box.gateway.control.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS") and not rule.rule.startswith("/static")
    }
    documented = {
        (method, path)
        for path, item in API["paths"].items()
        for method in METHODS
        if method in item
    }

    assert served == documented


def test_every_object_of_an_answer_is_described_to_its_last_field() -> None:
    answers = {"Health", "Status", "Seats", "Seat", "Code", "Pairing"}

    assert all(
        API["components"]["schemas"][one]["additionalProperties"] is False for one in answers
    )


async def test_a_gateway_that_stores_is_healthy(box: Box) -> None:
    assert await ask(box, "GET", "/healthz") == {"ok": True}
    assert await (await box.phones.get("/healthz")).get_json() == {"ok": True}


async def test_a_gateway_whose_disk_failed_says_so(box: Box) -> None:
    box.gateway.database._writer.fail("input/output error")

    assert await ask(box, "GET", "/healthz", status=503) == {"ok": False}
    assert (await box.phones.get("/healthz")).status_code == 503
    assert (await ask(box, "GET", "/seats", status=503))["error"] == "storage-failed"
    await eventually(lambda: bool(box.failures))
    assert box.failures == ["input/output error"]


async def test_the_status_tells_how_the_gateway_is(box: Box) -> None:
    await paired(box)
    box.hands.live(90)
    status = await ask(box, "GET", "/status")

    assert status["places"] == ["192.168.1.20:4433"]
    assert status["uptime_seconds"] == 90
    assert status["seats"] == 1
    assert status["clock"]["state"] == "plausible"
    assert status["disk"]["used_bytes"] > 0


async def test_a_clock_that_was_never_set_is_said_to_be_unset(box: Box) -> None:
    box.hands.wall = 1000.0
    status = await ask(box, "GET", "/status")

    assert status["clock"] == {"state": "unset", "now": "1970-01-01T00:16:40+00:00"}


async def test_a_seat_is_given_more_room(box: Box) -> None:
    seat = await paired(box)
    await ask(box, "PATCH", f"/seats/{seat}", status=204, json={"limit_bytes": 5000.0})
    [row] = (await ask(box, "GET", "/seats"))["seats"]

    assert row["limit_bytes"] == 5000


async def test_its_archive_has_a_room_of_its_own(box: Box) -> None:
    seat = await paired(box)
    await ask(box, "PATCH", f"/seats/{seat}", status=204, json={"archive_limit_bytes": 7000})
    [row] = (await ask(box, "GET", "/seats"))["seats"]

    assert (row["archive_limit_bytes"], row["archive_used_bytes"]) == (7000, 0)
    assert row["limit_bytes"] == 1 << 30


@pytest.mark.parametrize(
    "wish", [{}, {"limit_bytes": -1}, {"limit_bytes": "5"}, {"limit_bytes": True}, [], None, 2**60]
)
async def test_a_room_that_is_none_is_refused(box: Box, wish: object) -> None:
    seat = await paired(box)
    refusal = await ask(box, "PATCH", f"/seats/{seat}", status=400, json=wish)

    assert refusal["error"] == "malformed"


async def test_a_name_that_stands_twice_is_refused(box: Box) -> None:
    seat = await paired(box)
    twice = '{"limit_bytes": 5000, "limit_bytes": 1}'
    refusal = await ask(box, "PATCH", f"/seats/{seat}", status=400, data=twice)

    assert refusal["error"] == "malformed"


async def test_a_seat_is_removed_with_its_devices(box: Box) -> None:
    seat = await paired(box)
    await ask(box, "DELETE", f"/seats/{seat}", status=204)

    assert await ask(box, "GET", "/seats") == {"seats": []}
    refusal = await ask(box, "DELETE", f"/seats/{seat}", status=404)
    assert refusal["error"] == "no-such-seat"


async def test_the_devices_of_a_removed_seat_are_logged_out_at_once(box: Box) -> None:
    phone = Phone()
    seat = await paired(box, phone)
    headers = await log_in(box, phone)
    assert (await box.phones.get("/v1/status", headers=headers)).status_code == 200
    await ask(box, "DELETE", f"/seats/{seat}", status=204)

    assert (await box.phones.get("/v1/status", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    "name", ["x", "..", SeatId(b"s" * 16).text, SeatId(b"s" * 16).text.upper()]
)
async def test_a_seat_that_is_not_there_is_not_found(box: Box, name: str) -> None:
    await paired(box)
    await ask(box, "PATCH", f"/seats/{name}", status=404, json={"limit_bytes": 1})
    await ask(box, "DELETE", f"/seats/{name}", status=404)


async def test_a_pairing_is_followed_from_its_code_to_its_end(box: Box) -> None:
    shown = await ask(box, "POST", "/pair", status=201, json={"seconds": 60})
    code, path = GatewayCode.parse(shown["code"]), f"/pair/{shown['id']}"

    assert shown["expires"] == code.expires == int(box.hands.now()) + 60
    assert await ask(box, "GET", path) == {"state": "open", "check": None, "pictures": []}
    request = asks(code, channel=box.channel)
    await box.ask(request)
    view = await ask(box, "GET", f"{path}?wait=25")
    assert (view["state"], len(view["pictures"])) == ("compare", 4)
    assert (await ask(box, "POST", path, json={"same": True}))["state"] == "compare"
    looking = asyncio.create_task(ask(box, "GET", f"{path}?wait=25&seen=compare"))
    await box.ask(request, path="/v1/pair/refuse")
    assert (await looking)["state"] == "refused"


@pytest.mark.parametrize("wish", [0, 601, "60", 1.5, True, None])
async def test_a_time_for_a_code_that_is_none_is_refused(box: Box, wish: object) -> None:
    refusal = await ask(box, "POST", "/pair", status=400, json={"seconds": wish})

    assert "1 to 600" in refusal["sentence"]


@pytest.mark.parametrize(
    "query", ["wait=x", "wait=-1", "wait=61", "wait=999", "seen=shut", "wait=%D9%A3"]
)
async def test_a_question_that_is_none_is_refused(box: Box, query: str) -> None:
    shown = await ask(box, "POST", "/pair", status=201)

    await ask(box, "GET", f"/pair/{shown['id']}?{query}", status=400)


@pytest.mark.parametrize("answer", [{}, {"same": "yes"}, {"same": 1}, {"same": None}, "y"])
async def test_no_clear_answer_is_no_answer(box: Box, answer: object) -> None:
    shown = await ask(box, "POST", "/pair", status=201)

    await ask(box, "POST", f"/pair/{shown['id']}", status=400, json=answer)
    assert (await ask(box, "GET", f"/pair/{shown['id']}"))["state"] == "open"


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[" * 4000])
async def test_a_body_that_is_no_json_is_refused(box: Box, data: bytes) -> None:
    await ask(box, "POST", "/pair", status=400, data=data)


async def test_a_pairing_that_is_not_there_is_not_found(box: Box) -> None:
    assert (await ask(box, "GET", "/pair/none", status=404))["error"] == "no-such-code"
    await ask(box, "POST", "/pair/none", status=404, json={"same": True})


async def test_a_seat_that_finds_no_room_on_the_disk_is_refused(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = await ask(box, "POST", "/pair", status=201)
    code = GatewayCode.parse(shown["code"])
    await box.ask(asks(code, channel=box.channel, confirmed=True))

    async def full(*arguments: object, **more: object) -> None:
        raise DiskFull

    monkeypatch.setattr(box.gateway.database, "write", full)
    answer = await ask(box, "POST", f"/pair/{shown['id']}", status=507, json={"same": True})
    monkeypatch.undo()

    assert answer["error"] == "disk-full"
    assert answer["retry_after"] > 0
    assert (await ask(box, "POST", f"/pair/{shown['id']}", json={"same": True}))[
        "state"
    ] == "paired"


async def test_a_page_that_is_not_there_is_refused_in_json(box: Box) -> None:
    response = await box.owner.get("/admin")

    assert response.status_code == 404
    assert (await response.get_json())["error"] == "not-found"
