"""Attacks on pairing a phone with a gateway: photographed codes, guesses, replays.

P1   a photographed code replayed after use, after its time, after the last guess: refused
P2   a photographed code used first: the two screens differ, the owner says no, the code is dead
AZ-04  a code twice, after five minutes, after six wrong tries: refused, and nothing is logged
"""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.gateway.box import Box, open_box
from tests.gateway.phones import asks
from tests.gateway.sync.people import Person, Phone
from wire.check_code import digits
from wire.codes import GatewayCode
from wire.ids import SeatId
from wire.pairing import MAX_TRIES, PairingState


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path / "box") as opened:
        yield opened
        assert opened.failures == []


async def pair(box: Box, code: GatewayCode, id: str) -> None:
    """Let an honest phone be paired."""
    request = asks(code, channel=box.channel, confirmed=True)
    await box.ask(request)
    assert await box.say(id, same=True) == "paired"


async def seats(box: Box) -> int:
    return len((await (await box.owner.get("/seats")).get_json())["seats"])


async def test_p1_a_code_cannot_be_replayed_once_it_was_used(box: Box) -> None:
    id, code = await box.show()
    await pair(box, code, id)

    assert await box.refused(asks(code, channel=box.channel)) == (403, "code-used")
    assert await seats(box) == 1


@pytest.mark.parametrize("seconds", [120.0, 300.0])
async def test_p1_a_code_cannot_be_used_once_its_time_is_over(box: Box, seconds: float) -> None:
    _, code = await box.show()
    box.hands.live(seconds)

    assert await box.refused(asks(code, channel=box.channel)) == (403, "code-expired")
    assert await seats(box) == 0


async def test_p1_after_the_last_guess_the_code_itself_is_refused(box: Box) -> None:
    _, code = await box.show()
    for _ in range(MAX_TRIES):
        guess = asks(b"g" * 16, channel=box.channel)
        assert await box.refused(guess) == (403, "code-wrong")

    assert await box.refused(asks(b"h" * 16, channel=box.channel)) == (429, "too-many-tries")
    assert await box.refused(asks(code, channel=box.channel)) == (429, "too-many-tries")
    assert await seats(box) == 0


async def test_p1_a_code_does_not_survive_a_restart(tmp_path: Path) -> None:
    async with open_box(tmp_path / "box") as box:
        _, code = await box.show()
    async with open_box(tmp_path / "box") as box:
        assert await box.refused(asks(code, channel=box.channel)) == (403, "code-expired")


async def test_p2_whoever_uses_a_photographed_code_first_shows_another_number(box: Box) -> None:
    id, code = await box.show()
    thief = asks(code, channel=box.channel, confirmed=True)
    honest = asks(code, channel=box.channel)
    answer = await box.ask(thief)

    shown = (await (await box.owner.get(f"/pair/{id}")).get_json())["check"]
    assert shown == digits(thief.check_number(nonce=answer.nonce))
    assert shown != digits(honest.check_number(nonce=answer.nonce))
    assert await box.refused(honest) == (403, "code-used")


async def test_p2_the_owners_no_leaves_the_thief_without_a_seat(box: Box) -> None:
    id, code = await box.show()
    thief = asks(code, channel=box.channel, confirmed=True)
    await box.ask(thief)

    assert await box.say(id, same=False) == "refused"
    assert (await box.ask(thief)).state is PairingState.REFUSED
    assert await box.say(id, same=True) == "refused"
    assert await seats(box) == 0


async def test_p2_the_owners_silence_leaves_the_thief_without_a_seat(box: Box) -> None:
    _, code = await box.show()
    thief = asks(code, channel=box.channel, confirmed=True)
    await box.ask(thief)
    box.hands.live(120.0)

    assert (await box.ask(thief)).state is PairingState.REFUSED
    assert await seats(box) == 0


async def test_a_thief_cannot_put_his_keys_into_the_request_of_another(box: Box) -> None:
    _, code = await box.show()
    phone, thief = Phone(), Phone()
    request = asks(code, channel=box.channel, phone=phone)
    stolen = replace(request, device=thief.key, chain=Person(thief).card.chain)

    assert await box.refused(stolen) == (403, "code-wrong")
    assert await box.refused(replace(request, exchange_key=thief.exchange)) == (403, "code-wrong")


async def test_guesses_do_not_break_up_a_pairing_that_is_being_compared(box: Box) -> None:
    id, code = await box.show()
    request = asks(code, channel=box.channel, confirmed=True)
    await box.ask(request)
    for _ in range(3 * MAX_TRIES):
        assert await box.refused(asks(b"g" * 16, channel=box.channel)) == (403, "code-wrong")

    assert await box.say(id, same=True) == "paired"


async def test_az04_a_refused_code_leaves_nothing_in_the_log(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    id, code = await box.show()
    await pair(box, code, id)
    await box.refused(asks(code, channel=box.channel))
    _, late = await box.show()
    box.hands.live(300.0)
    await box.refused(asks(late, channel=box.channel))
    _, guessed = await box.show()
    for _ in range(MAX_TRIES + 1):
        await box.refused(asks(b"g" * 16, channel=box.channel))

    [row] = (await (await box.owner.get("/seats")).get_json())["seats"]
    assert SeatId.from_text(row["seat"])
    ours = " ".join(one.getMessage() for one in caplog.records if one.name.startswith("gateway"))
    for secret in (row["seat"], code.text(), late.text(), guessed.text(), code.secret.hex()):
        assert secret not in ours
        assert secret not in caplog.text
