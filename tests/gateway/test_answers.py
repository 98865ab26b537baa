"""What a request is answered that cannot be done."""

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from gateway.answers import answer_errors
from gateway.errors import MailboxFull
from wire.errors import Malformed, UnknownVersion


@pytest.fixture
def client() -> Client:
    app = Quart("test")
    answer_errors(app)

    @app.get("/full")
    async def full() -> str:
        raise MailboxFull(retry_after=60)

    @app.get("/form")
    async def form() -> str:
        raise Malformed("a secret detail")

    @app.get("/newer")
    async def newer() -> str:
        raise UnknownVersion("a thing", version=9)

    @app.get("/bug")
    async def bug() -> str:
        raise KeyError("a secret detail")

    @app.get("/starved")
    async def starved() -> str:
        raise MemoryError

    return app.test_client()


@pytest.mark.parametrize(
    ("method", "path", "status", "answer"),
    [
        ("GET", "/full", 507, {"error": "mailbox-full", "retry_after": 60}),
        ("GET", "/form", 400, {"error": "malformed"}),
        ("GET", "/newer", 400, {"error": "unknown-version"}),
        ("GET", "/starved", 503, {"error": "busy", "retry_after": 2}),
        ("GET", "/bug", 500, {"error": "internal"}),
        ("GET", "/nowhere", 404, {"error": "not-found"}),
        ("POST", "/full", 405, {"error": "method-not-allowed"}),
        ("OPTIONS", "/full", 405, {"error": "method-not-allowed"}),
        ("GET", "/full/", 404, {"error": "not-found"}),
        ("GET", "/full/..", 404, {"error": "not-found"}),
    ],
)
async def test_every_answer_has_a_code(
    client: Client, method: str, path: str, status: int, answer: dict[str, object]
) -> None:
    response = await getattr(client, method.lower())(path)

    assert response.status_code == status
    assert await response.get_json() == answer


async def test_a_wrong_method_is_told_the_right_ones(client: Client) -> None:
    response = await client.post("/full")

    assert "GET" in response.headers["Allow"]


async def test_an_error_of_ours_is_told_to_the_log_alone(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    response = await client.get("/bug")

    assert b"secret" not in await response.get_data(as_text=False)
    assert "KeyError" in caplog.text
