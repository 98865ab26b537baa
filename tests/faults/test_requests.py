"""Requests at random: of the owner, as their document has them, and of phones, as none has."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from tests.faults.adapter import Box, letters, open_box
from tests.faults.conftest import Amount
from tests.faults.connection import Answer
from tests.faults.here import patience, times
from tests.faults.oracle import check_bounds, collect_and_check
from tests.faults.test_matrix import MATRIX
from tests.faults.tools.proxy import proxy
from tests.wire.hostile import damaged
from wire.frames import NOWHERE, Ack, Resume, encode_frame
from wire.ids import SlotId

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "openapi.json"
OPERATIONS: Final[dict[str, dict[str, Any]]] = json.loads(DOCUMENT.read_text())["paths"]
METHODS: Final = ("get", "patch", "post", "delete")

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        await opened.start()
        yield opened


async def test_bi_01_the_owners_socket_answers_as_its_document_says(
    box: Box, amount: Amount
) -> None:
    """BI-01: schemathesis on docs/openapi.json, all of it, good and bad: as written, no fault."""
    await box.enrol()
    async with proxy(box.data) as network:
        statuses = await asyncio.to_thread(ask_at_random, f"http://127.0.0.1:{network.port}")

    assert {200, 400, 404} <= set(statuses)
    amount(f"{statuses.total()} requests of the owner")
    check_bounds(box)


def ask_at_random(url: str) -> Counter[int]:
    """Ask what the document allows and what it does not; return how often each status came."""
    schema = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text()))
    found = Counter[int]()
    operations = [
        schema[path][method]
        for path, there in OPERATIONS.items()
        for method in METHODS
        if method in there
    ]
    cases = [one.as_strategy(generation_mode=mode) for one in operations for mode in GenerationMode]

    @given(st.one_of(cases))
    @settings(
        max_examples=times(100, long=8000),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def feed(case: Any) -> None:
        found[case.call_and_validate(base_url=url, session=session).status_code] += 1

    with requests.Session() as session:
        seats = session.get(f"{url}/seats").json()["seats"]
        session.patch(f"{url}/seats/{seats[0]['seat']}", json={"limit_bytes": 1 << 20})
        found[session.delete(f"{url}/seats/{seats[0]['seat']}").status_code] += 1
        feed()
    return found


SLOT: Final = SlotId(bytes(16))
ENDPOINTS: Final = [name.removesuffix("/2") for name in MATRIX if not name.startswith("WS")]
BODIES: Final = [encode_frame(Resume(NOWHERE)), encode_frame(Ack(NOWHERE)), b"\xa1\x00\x01", b"{}"]
WRONG: Final = {"Homepost-Lane": "x", "Homepost-Side": "y", "Authorization": "Basic eA=="}


@dataclass(frozen=True)
class Question:
    """A request that is nearly what a gateway expects."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str] | None
    """None for those of a phone that is logged in."""


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Make requests of every endpoint."""
    method, _, path = draw(st.sampled_from(ENDPOINTS)).partition(" ")
    path = path.replace("<slot>", draw(st.sampled_from((SLOT.text, "x", "%00", "%2e%2e"))))
    return Question(
        draw(st.sampled_from((method, method, method, "GET", "PUT", "DELETE"))),
        path + draw(st.sampled_from(("", "?wait=0", "?wait=-1", "?wait=9999999999", "?wait=%00"))),
        draw(st.one_of(st.binary(max_size=300), *map(damaged, BODIES))),
        draw(st.sampled_from((None, {}, {"Authorization": "Bearer "}, WRONG))),
    )


async def test_bi_01_the_phones_port_answers_nonsense_with_a_code(box: Box, amount: Amount) -> None:
    """BI-01: every endpoint, asked nearly right and quite wrong: a code each time, no fault."""
    phone = await box.enrol()
    sender = await phone.sender()
    loop = asyncio.get_running_loop()
    statuses = Counter[int]()

    async def ask(one: Question) -> Answer:
        headers = await phone.auth() if one.headers is None else one.headers
        return await phone.connection.ask(one.method, one.path, one.body, headers=headers)

    @given(questions())
    @settings(
        max_examples=times(150, long=10_000), deadline=None, suppress_health_check=list(HealthCheck)
    )
    def feed(one: Question) -> None:
        answer = asyncio.run_coroutine_threadsafe(ask(one), loop).result()
        statuses[answer.status] += 1
        assert answer.status < 500, answer
        if answer.status >= 400:
            assert re.fullmatch("[a-z-]{3,30}", answer.code or ""), answer

    await asyncio.to_thread(feed)

    amount(f"{statuses.total()} requests of phones")
    assert statuses[400]
    await sender.deposit(letters(sender.lane, 1))
    await collect_and_check(box, phone)
    check_bounds(box)
