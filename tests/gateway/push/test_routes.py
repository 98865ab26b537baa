"""What a phone says about how it is woken."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.far import said
from tests.gateway.push.service import Home, open_home, unspelled
from tests.gateway.served import Handset
from wire.lanes import WakeRule
from wire.pushes import (
    TOKEN_BYTES,
    TOKEN_SECONDS,
    Address,
    AddressKind,
    Hours,
    decode_rules,
    encode_number,
    encode_rules,
)

PATHS = (
    ("GET", "/v1/push"),
    ("PUT", "/v1/push/address"),
    ("DELETE", "/v1/push/address"),
    ("POST", "/v1/push/confirm"),
    ("POST", "/v1/push/test"),
    ("PUT", "/v1/push/hours"),
    ("GET", "/v1/push/rules"),
    ("PUT", "/v1/push/rules"),
    ("POST", "/v1/push/read"),
    ("GET", "/v1/push/why"),
)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path) as opened:
        yield opened


async def propose(home: Home, phone: Handset, name: str = "phone") -> bytes:
    """Register an address; return the token that came through it."""
    home.hands.live(10)
    receiver = home.service.receiver(name)
    answer = await phone.ask("PUT", "/v1/push/address", receiver.address.encode())
    assert answer.status == 204, answer
    return unspelled(home.service.pushed[-1].words["confirm"])


async def test_a_phone_learns_how_it_is_woken(home: Home) -> None:
    phone = await home.served.enrolled()
    before = await home.reach(phone)
    await home.register(phone, home.service.receiver())
    after = await home.reach(phone)

    assert (before.address, before.waits, before.hours) == (0, False, Hours())
    assert len(before.vapid) == 65
    assert (after.address, after.waits) == (AddressKind.WEB_PUSH, False)


async def test_52_an_address_counts_once_its_token_came_back(home: Home) -> None:
    phone = await home.served.enrolled()
    token = await propose(home, phone)
    assert (await home.reach(phone)).waits
    assert (await home.reach(phone)).address == 0

    wrong = await phone.ask("POST", "/v1/push/confirm", bytes(TOKEN_BYTES))
    assert (wrong.status, wrong.code) == (403, "confirmation-wrong")
    assert (await phone.ask("POST", "/v1/push/confirm", token)).status == 204
    again = await phone.ask("POST", "/v1/push/confirm", token)
    assert (again.status, again.code) == (403, "confirmation-wrong")


async def test_52_a_token_of_another_device_or_that_is_late_is_refused(home: Home) -> None:
    phone, other = await home.served.enrolled(), await home.served.enrolled()
    token = await propose(home, phone)
    foreign = await other.ask("POST", "/v1/push/confirm", token)
    home.hands.live(TOKEN_SECONDS + 1)
    late = await phone.ask("POST", "/v1/push/confirm", token)

    assert foreign.code == late.code == "confirmation-wrong"


async def test_an_address_stays_until_the_next_is_confirmed(home: Home) -> None:
    phone = await home.phone()
    await propose(home, phone, "next")
    home.hands.live(10)

    assert (await phone.ask("POST", "/v1/push/test")).status == 204
    assert home.service.pushed[-1].asked.target == "/push/phone"


async def test_the_address_that_is_confirmed_may_be_registered_again(home: Home) -> None:
    phone = await home.phone()
    home.hands.live(10)
    before = len(home.service.pushed)
    receiver = home.service.receivers["/push/phone"]

    assert (await phone.ask("PUT", "/v1/push/address", receiver.address.encode())).status == 204
    assert len(home.service.pushed) == before
    assert not (await home.reach(phone)).waits


async def test_an_address_can_be_taken_back(home: Home) -> None:
    phone = await home.phone()

    for _ in range(2):
        assert (await phone.ask("DELETE", "/v1/push/address")).status == 204
    home.hands.live(10)
    answer = await phone.ask("POST", "/v1/push/test")

    assert (answer.status, answer.code) == (409, "no-push-address")


@pytest.mark.parametrize(
    ("answer", "reason"), [(said(410), "dead"), (said(503), "later"), (said(403), "refused")]
)
async def test_a_push_service_that_does_not_take_it_is_told_of(
    home: Home, answer: bytes, reason: str
) -> None:
    phone = await home.served.enrolled()
    receiver = home.service.receiver()
    home.service.answers["/push/phone"] = answer

    found = await phone.ask("PUT", "/v1/push/address", receiver.address.encode())

    assert (found.status, found.code) == (502, "push-not-taken")
    assert found.json is not None
    assert found.json["reason"] == reason


@pytest.mark.parametrize(
    "url", ["http://push.example.net/x", "https://127.0.0.1:8443/x", "https://[::1]/x", "file:///"]
)
async def test_53_an_address_that_leads_home_is_refused(home: Home, url: str) -> None:
    """SS-01: at registration, before anything is sent."""
    phone = await home.served.enrolled()
    receiver = home.service.receiver()
    address = Address(AddressKind.WEB_PUSH, url, receiver.address.public, receiver.auth)

    answer = await phone.ask("PUT", "/v1/push/address", address.encode())

    assert (answer.status, answer.code) == (400, "address-refused")
    assert home.service.far.connections == 0


async def test_pushes_are_asked_for_every_few_seconds_at_most(home: Home) -> None:
    phone = await home.phone()
    home.hands.live(10)
    assert (await phone.ask("POST", "/v1/push/test")).status == 204

    answer = await phone.ask("POST", "/v1/push/test")

    assert (answer.status, answer.code) == (429, "too-many-requests")


async def test_hours_are_kept_and_a_zone_has_to_be_known(home: Home) -> None:
    phone = await home.served.enrolled()
    hours = Hours(zone="Europe/Berlin", quiet=(1320, 420), snooze_until=5, digests=(480, 1080))

    assert (await phone.ask("PUT", "/v1/push/hours", hours.encode())).status == 204
    assert (await home.reach(phone)).hours == hours
    answer = await phone.ask("PUT", "/v1/push/hours", Hours(zone="Europe/Nowhere").encode())
    assert (answer.status, answer.code) == (400, "zone-unknown")
    assert (await home.reach(phone)).hours == hours


async def test_rules_are_of_ones_own_lanes(home: Home) -> None:
    phone, eve = await home.served.enrolled(), await home.served.enrolled()
    mine, hers = await phone.lane(), await eve.lane()
    rules = {mine.id: WakeRule.DIGEST, hers.id: WakeRule.WAKE}

    assert (await phone.ask("PUT", "/v1/push/rules", encode_rules(rules))).status == 204
    found = decode_rules((await phone.ask("GET", "/v1/push/rules")).data)
    assert found == {mine.id: WakeRule.DIGEST}
    await phone.ask("PUT", "/v1/push/rules", encode_rules({mine.id: None}))
    assert decode_rules((await phone.ask("GET", "/v1/push/rules")).data) == {}


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_all_of_it_needs_a_login(home: Home, method: str, path: str) -> None:
    answer = await (await home.served.visitor()).ask(method, path)

    assert (answer.status, answer.code) == (401, "login-needed")


@pytest.mark.parametrize(
    ("method", "path"), [one for one in PATHS if one[0] == "PUT" or one[1].endswith("read")]
)
async def test_what_is_no_message_is_refused(home: Home, method: str, path: str) -> None:
    phone = await home.served.enrolled()
    for data in (b"", b"\xa0", b"\xff" * 40, encode_number(1)[:-1]):
        answer = await phone.ask(method, path, data)
        assert (answer.status, answer.code) == (400, "malformed"), data
