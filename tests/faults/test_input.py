"""Input that is too deep, too long, in a second spelling, or wants to be a path or a log line."""

import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import pytest

from gateway.control_socket import short_address
from tests.faults.adapter import Box, Handset, letters, open_box
from tests.faults.conftest import Amount
from tests.faults.connection import spelled
from tests.faults.here import patience
from tests.faults.oracle import check_bounds, collect_and_check
from tests.vectors.make_keys import FILES as KEY_FILES
from tests.vectors.test_wire_vectors import cases as wire_cases
from wire.codec import encode
from wire.frames import Result

PROMPT: Final = 0.05
"""Seconds for a refusal."""
SLACK: Final = 10.0
"""How much slower a machine may be that runs other tests meanwhile."""
NASTY: Final = (
    "../../etc/passwd", "..", "%2e%2e%2f", "a/b", "\0", "x\0y", "%2f", "\r\nerror: x", "\n",
    "\u202egnp.x", "\u2066x\u2069", "\ufeff", "\x1b[2J", "' OR 1=1 --", "💣" * 40, "x" * 3000,
    "e\u0301",
)  # fmt: skip
"""Names that want to be something else: paths, ends of strings and lines, directions, commands."""

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        await opened.start("--log-level", "debug")
        yield opened


class Owner:
    """The owner's socket, asked by somebody who writes JSON by hand."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, method: str, path: str, data: bytes = b"") -> tuple[int, Any, float]:
        """Return status, answer and seconds."""
        begun = time.monotonic()
        async with self._session.request(method, f"http://localhost{path}", data=data) as response:
            answer = await response.json() if response.content_length else None
            return response.status, answer, time.monotonic() - begun


@pytest.fixture
async def owner(box: Box) -> AsyncIterator[Owner]:
    with short_address(box.data) as address:
        connector = aiohttp.UnixConnector(path=address)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Owner(session)


JSON: Final = {
    "100,000 lists in each other": b"[" * 100_000 + b"]" * 100_000,
    "2,000 lists in each other": b"[" * 2000 + b"]" * 2000,
    "2,000 objects in each other": b'{"a":' * 800 + b"1" + b"}" * 800,
    "an integer of a megabyte": b'{"seconds": ' + b"9" * 1_000_000 + b"}",
    "an integer of 4,000 digits": b'{"seconds": ' + b"9" * 4000 + b"}",
    "100,000 names": b"{" + b",".join(b'"%d":1' % n for n in range(100_000)) + b"}",
    "a name twice": b'{"seconds": 60, "seconds": 61}',
    "infinity": b'{"seconds": Infinity}',
    "no number": b'{"seconds": NaN}',
    "1e400": b'{"seconds": 1e400}',
    "half a character": b'{"seconds": "\\ud800"}',
    "no UTF-8": b'{"seconds": "\xff"}',
}


async def test_ds_17_json_that_costs_much_is_refused_at_once(box: Box, owner: Owner) -> None:
    """DS-17: deep, long, doubled: refused by name and in no time, and nothing comes of it."""
    await owner.ask("POST", "/pair", b'{"seconds": 60}')

    wanted = {(400, "malformed"), (413, "request-entity-too-large")}
    for what, data in JSON.items():
        times = []
        for _ in range(3):  # a machine that does other things may be late once
            status, answer, took = await owner.ask("POST", "/pair", data)
            assert (status, answer["error"]) in wanted, what
            times.append(took)
        assert min(times) <= PROMPT * SLACK, what
    assert (await owner.ask("GET", "/healthz"))[0] == 200
    check_bounds(box)


CBOR: Final = {
    "100,000 lists in each other": b"\x81" * 100_000,
    "as many maps": b"\xa1\x00" * 50_000,
    "an integer of a megabyte": b"\xc2\x5a\x00\x0f\x42\x40" + b"\xff" * 1_000_000,
    "100,000 names": b"\xba\x00\x01\x86\xa0" + b"".join(encode(n) + b"\0" for n in range(100_000)),
    "a name twice": b"\xa2\x00\x01\x00\x01",
    "no number": b"\xa1\x00\xf9\x7e\x00",
}


READ_CBOR: Final = (
    ("POST", "/v1/login"),
    ("POST", "/v1/pair"),
    ("POST", "/v1/prekeys"),
    ("POST", "/v1/card"),
    ("PUT", "/v1/lanes"),
    ("POST", "/v1/lanes/revoke"),
)


async def test_ds_17_cbor_that_costs_much_is_refused_at_once(box: Box) -> None:
    """DS-17: the same in the phones' own language, at every endpoint that reads it."""
    phone = await box.enrol()
    for method, path in READ_CBOR:
        for what, data in CBOR.items():
            times = []
            for _ in range(3):
                begun = time.monotonic()
                answer = await phone.ask(method, path, data)
                assert answer.code in ("malformed", "too-large", "card-rejected"), (path, what)
                times.append(time.monotonic() - begun)
            assert min(times) <= PROMPT * SLACK, (path, what)
    check_bounds(box)


def respelled(data: bytes) -> list[str]:
    """Return base64url in other spellings, each of which a lenient reader takes for the same."""
    good = spelled(data)
    standard = base64.b64encode(data).decode()
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = good[:-1] + last[last.index(good[-1]) + 1]  # another bit that nobody reads
    found = [good + "=", standard, f"{good[:9]} {good[9:]}", good + ".", spare]
    return [one for one in found if one != good]


async def test_bi_04_base64_has_one_spelling(box: Box) -> None:
    """BI-04: bearer, lane and side in other base64: as if they were none."""
    phone = await box.enrol()
    sender = await phone.sender()
    await phone.auth()
    while set(spelled(phone.bearer)) & set("-_") == set():  # or both alphabets agree
        await phone.login()
    asked = 0

    for other in respelled(phone.bearer):
        headers = {"Authorization": f"Bearer {other}"}
        answer = await phone.connection.ask("GET", "/v1/status", headers=headers)
        assert answer.code == "login-needed", other
        asked += 1
    opening = await sender.connection.opening(sender.lane)
    for other in respelled(base64.urlsafe_b64decode(opening["Homepost-Lane"] + "==")):
        answer = await sender.connection.ask(
            "POST", "/v1/deposit", headers={"Homepost-Lane": other}
        )
        assert answer.code in ("lane-refused", "malformed"), other
        asked += 1

    assert asked >= 8
    assert (await phone.ask("GET", "/v1/status")).status == 200


async def test_bi_06_a_nasty_name_reaches_nothing_and_forges_nothing(
    box: Box, owner: Owner
) -> None:
    """BI-06: in every id and name: paths, NUL, %2f, line ends, directions; refused, no log line."""
    phone = await box.enrol()
    files = {one.name for one in box.data.iterdir()}
    for name in NASTY:
        await ask_for(phone, owner, name)

    assert {one.name for one in box.data.iterdir()} == files
    lines = box.logged.splitlines()
    assert not [one for one in lines if one.startswith("error: x")]
    assert not [one for one in lines if any(ord(sign) < 32 or sign in "\u202e\x1b" for sign in one)]
    assert "root:" not in box.logged
    check_bounds(box)
    sender = await phone.sender()
    assert await sender.deposit(letters(sender.lane, 1)) == [Result.STORED]
    await collect_and_check(box, phone)


async def ask_for(phone: Handset, owner: Owner, name: str) -> None:
    """Put a name wherever an id or a name may stand; all of it must be refused."""
    quoted = quote(name, safe="")
    for method, path in (
        ("POST", f"/v1/rendezvous/{quoted}"),
        ("PUT", f"/v1/rendezvous/{quoted}/1"),
        ("GET", f"/v1/rendezvous/{quoted}/{quoted}"),
        ("GET", f"/v1/{quoted}"),
        ("GET", f"/static/{quoted}"),
        ("GET", f"/v1/status/{quoted}"),
        ("POST", f"/v1/mailbox/collect?wait={quoted}"),
    ):
        answer = await phone.ask(method, path)
        assert 400 <= answer.status < 500, (path, answer)
        assert "passwd" not in str(answer.headers), path
    for method, path in (
        ("PATCH", f"/seats/{quoted}"),
        ("DELETE", f"/seats/{quoted}"),
        ("GET", f"/pair/{quoted}"),
        ("GET", f"/pair/x?wait={quoted}"),
        ("POST", f"/pair/{quoted}"),
    ):
        status, _, _ = await owner.ask(method, path, b'{"limit_bytes": 1, "same": true}')
        assert 400 <= status < 500, path


SENT_TO: Final = {
    "login": ("/v1/login", {"not-signed": "login-refused"}),
    "prekey-upload": ("/v1/prekeys", {}),
    "statement": ("/v1/card", {}),
}
"""Where a running gateway reads what a vector is about, and what it calls some refusals there."""


async def test_bi_12_a_running_gateway_refuses_what_the_vectors_say(
    box: Box, amount: Amount
) -> None:
    """BI-12: refused logins, prekeys, statements and frames, sent to a gateway: the same code."""
    phone = await box.enrol()
    sender = await phone.sender()
    asked = 0
    for case in (one.values[0] for one in wire_cases()):
        if "error" not in case or "bytes" not in case["in"]:
            continue
        data = bytes.fromhex(case["in"]["bytes"])
        if case["op"] == "frame":
            headers = await sender.connection.opening(sender.lane)
            code = (await sender.connection.ask("POST", "/v1/deposit", data, headers=headers)).code
            assert code in (case["error"], "too-large"), case["name"]
        elif case["op"] in SENT_TO:
            path, otherwise = SENT_TO[case["op"]]
            answer = await phone.ask("POST", path, data)
            facts = answer.json()
            code = facts.get("reason") if answer.code == "card-rejected" else answer.code
            wanted = otherwise.get(case["error"], case["error"])
            assert code in (wanted, "too-large", "challenge-stale"), (case["name"], answer)
        else:
            continue
        asked += 1

    assert asked >= 100
    amount(f"{asked} of them sent to a gateway")


def test_bi_12_there_are_published_vectors_of_what_must_be_refused(amount: Amount) -> None:
    """BI-12: what gateways and phones both read, and what phones alone do: each with its code."""
    both = [one.values[0] for one in wire_cases()]
    refused = sum("error" in one for one in both)
    alone = sum("error" in one for make in KEY_FILES.values() for one in make())

    amount(f"{refused} + {alone} vectors of refusals, {len(both) - refused} of what is taken")
    assert refused >= 100
    assert alone >= 20
    assert all(one["error"] for one in both if "error" in one)
