"""Pairing over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.sync.pairing_routes import MAX_READING
from tests.gateway.box import HOME, PORT, Box, open_box
from tests.gateway.phones import asks
from tests.gateway.sync.people import Person, Phone
from wire.pairing import REQUEST_LIMIT, PairingState


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path / "box") as opened:
        yield opened


async def test_a_phone_is_paired_and_told_where_the_gateway_is(box: Box) -> None:
    id, code = await box.show()
    request = asks(code, channel=box.channel)

    assert (await box.ask(request)).state is PairingState.WAITING
    assert await box.say(id, same=True) == "compare"
    answer = await box.ask(replace(request, confirmed=True))

    assert answer.state is PairingState.PAIRED
    assert answer.places == (f"{HOME.address}:{PORT}",)


async def test_a_phone_may_wait_for_the_owner(box: Box) -> None:
    id, code = await box.show()
    request = asks(code, channel=box.channel, confirmed=True)
    waiting = asyncio.create_task(box.ask(request, path="/v1/pair?wait=25"))
    await box.owner.get(f"/pair/{id}?wait=25")
    await box.say(id, same=True)

    assert (await waiting).state is PairingState.PAIRED


async def test_a_phone_may_say_no(box: Box) -> None:
    id, code = await box.show()
    request = asks(code, channel=box.channel)
    await box.ask(request)

    assert (await box.ask(request, path="/v1/pair/refuse")).state is PairingState.REFUSED
    assert await box.say(id, same=True) == "refused"


async def test_hosts_of_the_settings_are_told_instead_of_addresses(tmp_path: Path) -> None:
    async with open_box(tmp_path / "box", hosts=("box.example", "192.0.2.1:99")) as box:
        id, code = await box.show()
        request = asks(code, channel=box.channel, confirmed=True)
        await box.ask(request)
        await box.say(id, same=True)

        assert str(code.place) == f"box.example:{PORT}"
        assert (await box.ask(request)).places == (f"box.example:{PORT}", "192.0.2.1:99")


async def test_a_phone_that_asks_again_after_a_restart_is_paired(tmp_path: Path) -> None:
    async with open_box(tmp_path / "box") as box:
        id, code = await box.show()
        request = asks(code, channel=box.channel, confirmed=True)
        await box.ask(request)
        await box.say(id, same=True)
        before = await box.ask(request)
    async with open_box(tmp_path / "box") as box:
        assert await box.ask(request) == before


@pytest.mark.parametrize("data", [b"", b"\xa0", b"no request", b"\xff" * 100])
async def test_bytes_that_are_no_request_are_refused(box: Box, data: bytes) -> None:
    await box.show()
    response = await box.phones.post("/v1/pair", data=data)

    assert response.status_code == 400
    assert await response.get_json() == {"error": "malformed"}


async def test_more_than_the_longest_card_is_not_read(box: Box) -> None:
    response = await box.phones.post("/v1/pair", data=b"x" * (REQUEST_LIMIT + 1))

    assert response.status_code == 413
    assert (await response.get_json())["error"] == "too-large"


@pytest.mark.parametrize("wait", ["26", "-1", "1.5", "", "٣", "9999", "x"])
async def test_a_wait_that_is_none_is_refused(box: Box, wait: str) -> None:
    response = await box.phones.post("/v1/pair", query_string={"wait": wait}, data=b"")

    assert response.status_code == 400


async def test_a_refusal_says_what_to_act_on(box: Box) -> None:
    _, code = await box.show()
    request = asks(code, channel=box.channel, phone=Phone(), person=Person(Phone()))
    response = await box.phones.post("/v1/pair", data=request.encode())

    assert response.status_code == 409
    assert await response.get_json() == {"error": "card-rejected", "reason": "device-missing"}


async def half(box: Box, address: str, held: AsyncExitStack) -> None:
    """Send half a request from an address, and leave it at that."""
    connection = box.phones.request("/v1/pair", method="POST", scope_base=at(address))
    await connection.__aenter__()
    await connection.send(b"half")
    held.push_async_callback(connection.disconnect)


def at(address: str) -> dict[str, object]:
    """Return where a request comes from."""
    return {"client": (address, 1)}


async def said(box: Box, address: str) -> int:
    """Ask without a word; return the status."""
    response = await box.phones.post("/v1/pair", data=b"", scope_base=at(address))
    return int(response.status_code)


async def until(box: Box, address: str, status: int) -> None:
    """Ask until the answer is `status`."""
    async with asyncio.timeout(5):
        while await said(box, address) != status:
            pass


async def test_only_few_bodies_are_read_at_a_time(box: Box) -> None:
    """Whoever sends half a request holds one of the few places, and memory for no more."""
    await box.show()
    async with AsyncExitStack() as held:
        for number in range(MAX_READING):
            await half(box, f"192.0.2.{number}", held)
        await until(box, "192.0.2.99", 503)
    await until(box, "192.0.2.99", 400)


async def test_half_requests_from_one_address_keep_nobody_else_out(box: Box) -> None:
    await box.show()
    async with AsyncExitStack() as held:
        for number in range(MAX_READING):
            await half(box, f"2001:db8::{number}", held)
        await until(box, "2001:db8::99", 503)
        assert await said(box, "192.0.2.99") == 400
