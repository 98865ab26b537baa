"""Who has no seat asks a real gateway: with the root key, or with what friends together know."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from peer.errors import GatewayRefused
from peer.keys.primitives import Exchange, system_random
from peer.keys.returning import Returning, Root
from peer.ways.connection import Destination, connect
from peer.ways.furnishing import at_home
from peer.ways.recovery_client import RecoveryClient
from tests.peer.household import Box, Household, Phone, When, household
from tests.peer.stranger import Keys, asking, http, lets_in, stranger
from wire.auth import Channel
from wire.card import Card, Role
from wire.codec import encode
from wire.ids import RecoveryId
from wire.recovery import RELEASE_SECONDS, Alarm, Ask, Left, Stage

LEFT: Final = Left(b"k" * 32, b"the share", b"n" * 16)


@dataclass
class Home:
    """Ana's box, at which she has left a share, and the seed of her kit."""

    house: Household
    box: Box
    ana: Phone
    root: Root

    @asynccontextmanager
    async def client(self) -> AsyncIterator[RecoveryClient]:
        """Connect as somebody without a seat."""
        destination = Destination(self.box.gateway.identity.gateway, (self.box.place,), None)
        async with connect(destination, learned=lambda *_found: None) as connection:
            yield RecoveryClient(connection)


def asks(root: Root, exchange: Exchange, *, key: bytes = LEFT.proof_key) -> Callable[..., Ask]:
    """Return what answers a challenge as a new device whom friends have helped."""

    def ask(*, channel: Channel, nonce: bytes) -> Ask:
        return Ask.make(
            key,
            person=root.person,
            exchange_key=exchange.public,
            lost=(),
            channel=channel,
            nonce=nonce,
        )

    return ask


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with household(tmp_path) as house:
        box = await house.box()
        ana = await house.phone("Ana", box)
        root = Root(ana.peer.kit.make().code.seed)
        async with at_home(ana.peer._store, ana.peer.me, now=house.hands.now()) as gateway:
            await gateway.leave_share(LEFT)
        yield Home(house, box, ana, root)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Return a gateway that is not what it should be."""
    return Keys(tmp_path)


@pytest.fixture
def exchange() -> Exchange:
    """Return the key of the device that asks."""
    return Exchange.generate(system_random)


@contextmanager
def refused(reason: str) -> Iterator[None]:
    """Expect a refusal."""
    with pytest.raises(GatewayRefused) as refusal:
        yield
    assert refusal.value.reason == reason


def stranger_root() -> Root:
    """Return the seed of somebody whom the gateway does not know."""
    return Root(system_random(16))


async def test_the_card_is_given_to_the_root_key_alone(home: Home) -> None:
    async with home.client() as client:
        chain = await client.card(home.root.proof)
        with refused("recovery-refused"):
            await client.card(stranger_root().proof)

    assert Card.follow(home.root.person, chain) == home.ana.peer.me.card


async def test_a_new_device_takes_the_seat_and_may_say_so_twice(home: Home) -> None:
    now = home.house.hands.now()
    foreign = Returning.begin(stranger_root(), None, role=Role.PHONE, now=now)

    async with home.client() as client:
        before = Card.follow(home.root.person, await client.card(home.root.proof))
        returning = Returning.begin(home.root, before, role=Role.PHONE, now=now)
        with refused("recovery-refused"):
            await client.recover(foreign.answer)
        for _ in range(2):
            await client.recover(returning.answer)
        after = Card.follow(home.root.person, await client.card(home.root.proof))

    assert [one.key for one in after.devices] == [returning.identity.device.key]
    assert await home.box.gateway.seat_count() == 1


async def test_who_knows_what_friends_know_is_told_and_gets_the_share_when_it_is_due(
    home: Home, exchange: Exchange
) -> None:
    async with home.client() as client:
        with refused("recovery-refused"):
            await client.ask(asks(home.root, exchange, key=bytes(32)))
        begun = await client.ask(asks(home.root, exchange))
        home.house.hands.live(RELEASE_SECONDS)
        due = await client.ask(asks(home.root, exchange))

    assert (begun.stage, begun.left, begun.share) == (Stage.WAITING, RELEASE_SECONDS, b"")
    assert (due.request, due.stage, due.left, due.share) == (
        begun.request,
        Stage.RELEASED,
        0,
        LEFT.share,
    )


async def test_a_keeper_learns_by_the_word_that_came_with_the_share_who_asks(
    home: Home, exchange: Exchange
) -> None:
    async with home.client() as client:
        assert await client.notice(LEFT.notice) == Alarm(False, ())
        told = await client.ask(asks(home.root, exchange))
        alarm = await client.notice(LEFT.notice)
        other = await client.notice(b"?" * 16)

    assert [(one.request, one.exchange_key) for one in alarm.asked] == [
        (told.request, exchange.public)
    ]
    assert other == Alarm(False, ())


async def test_the_root_key_ends_a_request(home: Home, exchange: Exchange) -> None:
    async with home.client() as client:
        told = await client.ask(asks(home.root, exchange))
        with refused("recovery-refused"):
            await client.cancel(stranger_root().proving(told.request))
        with refused("no-such-request"):
            await client.cancel(home.root.proving(RecoveryId(b"?" * 16)))
        assert (await client.ask(asks(home.root, exchange))).stage is Stage.WAITING
        await client.cancel(home.root.proving(told.request))

        assert (await client.ask(asks(home.root, exchange))).stage is Stage.CANCELLED


async def test_nothing_of_it_logs_in(home: Home, exchange: Exchange) -> None:
    before = len(home.box.line.requests)
    async with home.client() as client:
        await client.card(home.root.proof)
        told = await client.ask(asks(home.root, exchange))
        await client.notice(LEFT.notice)
        await client.cancel(home.root.proving(told.request))

    asked = home.box.line.requests[before:]
    assert "POST /v1/login" not in [one.name for one in asked]
    assert not any("authorization" in one.headers for one in asked)


async def test_an_answer_that_was_lost_is_asked_for_with_a_new_challenge(
    home: Home, exchange: Exchange
) -> None:
    """What was done is not done twice: the request is known by its key."""
    home.box.line.lose("POST /v1/recovery/ask", when=When.AFTER)
    before = len(home.box.line.requests)

    async with home.client() as client:
        told = await client.ask(asks(home.root, exchange))
        alarm = await client.notice(LEFT.notice)

    ask, challenge = "POST /v1/recovery/ask", "POST /v1/challenge"
    names = home.box.line.names()[before:]
    assert names[:-1] == [challenge, ask, ask, challenge, ask]
    assert [one.request for one in alarm.asked] == [told.request]


# A gateway that is not what it should be

ROOT: Final = Root(bytes(16))
READ: Final[dict[str, Callable[[RecoveryClient], Awaitable[object]]]] = {
    "card": lambda client: client.card(ROOT.proof),
    "ask": lambda client: client.ask(asks(ROOT, Exchange.generate(system_random))),
    "notice": lambda client: client.notice(LEFT.notice),
}
"""Calls whose answers are read."""


@pytest.mark.parametrize("call", READ)
@pytest.mark.parametrize(
    "body",
    [b"", b"<!doctype html>", b"\xbf", b"\x81" * 50_000, encode({0: 99}), encode(7)],
    ids=["nothing", "page", "cut", "deep", "version", "number"],
)
async def test_an_answer_that_cannot_be_read_is_a_refusal(
    keys: Keys, call: str, body: bytes
) -> None:
    async with (
        stranger(keys.certificate(), lets_in(lambda _asked: http(body=body))) as there,
        asking(keys, there) as connection,
    ):
        with refused("malformed"):
            await READ[call](RecoveryClient(connection))


async def test_a_challenge_that_is_never_taken_is_given_up_after_two(keys: Keys) -> None:
    stale = http(401, b'{"error": "challenge-stale"}', kind="application/json")
    async with (
        stranger(keys.certificate(), lets_in(lambda _asked: stale)) as there,
        asking(keys, there) as connection,
    ):
        with refused("challenge-stale"):
            await RecoveryClient(connection).cancel(ROOT.proving(RecoveryId(bytes(16))))

    assert [one.path for one in there.asked] == ["/v1/challenge", "/v1/recovery/cancel"] * 2
