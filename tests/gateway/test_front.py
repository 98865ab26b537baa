"""All that phones ask, as one application."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.served import Served, open_served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


async def test_a_removed_seat_is_hung_up_on_and_logged_out(served: Served) -> None:
    bob, anna = await served.enrolled(), await served.enrolled()
    line, other = await bob.live(), await anna.live()

    served.gateway.front.seat_removed(bob.seat)

    assert await line.farewell() == "login-needed"
    assert (await bob.ask("GET", "/v1/status")).code == "login-needed"
    assert (await anna.ask("GET", "/v1/status")).status == 200
    assert not other.socket.closed


async def test_a_device_taken_off_the_card_is_hung_up_on_and_the_other_stays(
    served: Served,
) -> None:
    bob = await served.enrolled()
    lost = await served.enrolled_beside(bob)
    lines = [await bob.live(), await lost.live()]

    signed = bob.person.device_statement(bob.phone, bob.phone)
    assert (await bob.ask("POST", "/v1/card", signed.encode())).status == 204

    assert await lines[1].farewell() == "revoked"
    assert (await lost.login()).code == "revoked"
    assert (await bob.ask("GET", "/v1/status")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/v1/deposit/", 404, "not-found"),
        ("GET", "/v1/challenge", 405, "method-not-allowed"),
        ("OPTIONS", "/v1/challenge", 405, "method-not-allowed"),
        ("GET", "/static/x", 404, "not-found"),
        ("GET", "/v1/../v1/challenge", 404, "not-found"),
    ],
)
async def test_what_is_not_there_is_said_in_json(
    served: Served, method: str, path: str, status: int, code: str
) -> None:
    answer = await served.say(
        f"{method} {path} HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n".encode()
    )

    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert b'{"error":"%s"}' % code.encode() in answer


async def test_a_plain_request_to_a_websocket_is_refused(served: Served) -> None:
    answer = await served.say(b"GET /v1/mailbox HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 4")
    assert b'"error"' in answer
