"""What is sent to a push service, and what is not sent at all."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.push.outcomes import Dead, Later, Taken
from gateway.push.vapid import Vapid, load_key
from gateway.push.waking import Message
from gateway.push.web_push import WebPush
from gateway.relay.outbound import AddressRefused, Outbound
from tests.gateway.far import OTHER_NAME, open_far, said
from tests.gateway.hands import Hands
from tests.gateway.push.service import PushService, unspelled
from wire.errors import Malformed
from wire.pushes import Address, AddressKind


@dataclass
class Desk:
    """A sender and the push service it sends to."""

    service: PushService
    sender: WebPush
    clock: list[float | None] = field(default_factory=lambda: [Hands().now()])


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_far(tmp_path) as far:
        hands, clock = Hands(), [Hands().now()]
        service = PushService(far, hands)
        vapid = Vapid(load_key(tmp_path), contact="mailto:anna@example.org", now=hands.now)
        sender = WebPush(service.outbound(), vapid=vapid, wall=lambda: clock[0])
        yield Desk(service, sender, clock)  # type: ignore[arg-type]  # a list of one kind


async def test_46_two_push_services_in_a_row_are_sent_what_each_checks(desk: Desk) -> None:
    for name, host in (("a", "push.example.net"), ("b", OTHER_NAME), ("c", "push.example.net")):
        receiver = desk.service.receiver(name, host=host)
        assert isinstance(await desk.sender.send(receiver.address, Message.WAKE), Taken)

    assert [one.topic for one in desk.service.pushed] == ["w"] * 3


async def test_26_only_digests_may_wait(desk: Desk) -> None:
    address = desk.service.receiver().address
    for message in Message:
        await desk.sender.send(address, message, b"t" * 16)

    assert {one.topic: one.urgency for one in desk.service.pushed} == {
        "w": "high", "d": "low", "c": "high", "t": "high",
    }  # fmt: skip
    assert [one.words.get("do") for one in desk.service.pushed] == [
        "collect", "collect", None, "test",
    ]  # fmt: skip
    assert unspelled(desk.service.pushed[2].words["confirm"]) == b"t" * 16
    assert len({len(one.asked.body) for one in desk.service.pushed}) == 1


async def test_a_dead_address_is_told_from_a_service_that_is_not_there(desk: Desk) -> None:
    address = desk.service.receiver().address
    desk.service.answers["/push/phone"] = said(410)
    assert await desk.sender.send(address, Message.WAKE) == Dead()
    desk.service.answers["/push/phone"] = b""
    assert await desk.sender.send(address, Message.WAKE) == Later(None)


async def test_nothing_is_sent_while_the_clock_is_not_set(desk: Desk) -> None:
    desk.clock[0] = None

    assert await desk.sender.send(desk.service.receiver().address, Message.WAKE) == Later(60.0)
    assert desk.service.far.connections == 0


async def test_an_address_is_looked_at_when_it_is_registered_and_when_it_is_used(
    desk: Desk, tmp_path: Path
) -> None:
    """SS-01: at both times."""
    receiver = desk.service.receiver()
    outside = WebPush(
        Outbound(trust=desk.service.far.trust),
        vapid=Vapid(load_key(tmp_path), contact="", now=Hands().now),
        wall=Hands().now,
    )
    local = Address(
        AddressKind.WEB_PUSH, "https://127.0.0.1:8443/x", receiver.address.public, bytes(16)
    )

    with pytest.raises(AddressRefused):
        outside.check(local)
    assert await outside.send(local, Message.WAKE) == Later(None)
    with pytest.raises(Malformed):
        outside.check(Address(AddressKind.WEB_PUSH, receiver.url, bytes(65), bytes(16)))
    assert desk.service.far.connections == 0


async def test_what_goes_out_has_no_header_more_than_it_needs(desk: Desk) -> None:
    await desk.sender.send(desk.service.receiver().address, Message.WAKE)

    [pushed] = desk.service.pushed
    headers: Mapping[str, str] = pushed.asked.headers
    assert set(headers) == {
        "host", "content-length", "connection", "ttl", "urgency", "topic", "content-encoding",
        "content-type", "authorization",
    }  # fmt: skip
