"""Who is let in, and who is turned away before a byte is read."""

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from gateway.door import Caps, Door, Entrance, network_of
from tests.gateway.eventually import eventually
from tests.gateway.listening import GET, listening


@pytest.fixture
def door() -> Iterator[Door]:
    with Door(Caps(connections=3, per_address=2)) as opened:
        yield opened


@pytest.fixture
def entrance(door: Door) -> Iterator[Entrance]:
    with Entrance(socket.create_server(("127.0.0.1", 0)), door) as opened:
        yield opened


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def knock(entrance: Entrance, stack: ExitStack, address: str = "127.0.0.1") -> socket.socket:
    """Connect from an address; return the visitor's end."""
    there = entrance.getsockname()
    visitor = socket.create_connection(there, timeout=5, source_address=(address, 0))
    return stack.enter_context(visitor)


def is_turned_away(visitor: socket.socket) -> bool:
    with suppress(ConnectionError):
        return visitor.recv(1) == b""
    return True


def test_no_more_come_in_than_there_is_room_for(
    door: Door, entrance: Entrance, stack: ExitStack
) -> None:
    for number in range(3):
        knock(entrance, stack, f"127.0.0.{number + 1}")
        stack.enter_context(entrance.accept()[0])
    late = knock(entrance, stack, "127.0.0.9")

    with pytest.raises(BlockingIOError):
        entrance.accept()
    assert is_turned_away(late)
    assert door.inside == 3


def test_one_address_cannot_take_all_the_room(
    door: Door, entrance: Entrance, stack: ExitStack
) -> None:
    for _ in range(2):
        knock(entrance, stack)
        stack.enter_context(entrance.accept()[0])
    greedy, other = knock(entrance, stack), knock(entrance, stack, "127.0.0.2")

    guest, address = entrance.accept()
    stack.enter_context(guest)

    assert address[0] == "127.0.0.2"
    assert is_turned_away(greedy)
    other.sendall(b"x")
    assert guest.recv(1) == b"x"
    assert door.inside == 3


def test_whoever_leaves_makes_room_once(door: Door, entrance: Entrance, stack: ExitStack) -> None:
    knock(entrance, stack)
    guest, _ = entrance.accept()
    guest.close()
    guest.close()
    assert door.inside == 0

    for _ in range(2):
        knock(entrance, stack)
        stack.enter_context(entrance.accept()[0])
    assert door.inside == 2


def test_everybody_can_be_hung_up_on(door: Door, entrance: Entrance, stack: ExitStack) -> None:
    visitor = knock(entrance, stack)
    stack.enter_context(entrance.accept()[0])

    door.hang_up()

    assert visitor.recv(1) == b""


def test_a_flood_of_visitors_does_not_hold_up_everything_else(
    door: Door, entrance: Entrance, stack: ExitStack
) -> None:
    full = Door(Caps(connections=0, per_address=0))
    with full, Entrance(socket.create_server(("127.0.0.1", 0), backlog=128), full) as shut:
        visitors = [knock(shut, stack) for _ in range(100)]
        with pytest.raises(BlockingIOError):
            shut.accept()
        turned_away = sum(is_turned_away(one) for one in visitors[:64])

    assert turned_away == 64


def test_without_descriptors_visitors_are_turned_away_and_asyncio_is_not_told(
    entrance: Entrance, stack: ExitStack
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    visitor = knock(entrance, stack)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 50, hard))
    try:
        with ExitStack() as hoard:
            with suppress(OSError):
                while True:
                    hoard.enter_context(Path(os.devnull).open("rb"))
            with pytest.raises(BlockingIOError):
                entrance.accept()
            assert is_turned_away(visitor)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    knock(entrance, stack)
    stack.enter_context(entrance.accept()[0])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_a_household_counts_as_one_visitor(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_trusted_proxy_is_no_visitor_until_it_says_for_whom_it_comes(stack: ExitStack) -> None:
    caps = Caps(connections=5, per_address=1, refusals=10, trusted=frozenset({"127.0.0.1"}))
    with Door(caps) as door, Entrance(socket.create_server(("127.0.0.1", 0)), door) as entrance:
        for _ in range(3):
            knock(entrance, stack)
        guests = [stack.enter_context(entrance.accept()[0]) for _ in range(3)]
        known = [door.guest(one.fileno()) for one in guests]
        for _ in range(20):
            door.refused(known[0])

        assert all(door.is_patient_with(one) for one in known)
        assert door.introduced(known[0], "203.0.113.7")
        assert not door.introduced(known[1], "203.0.113.7")
        assert not door.introduced(known[0], "203.0.113.8")  # once is enough
        assert door.introduced(known[2], "203.0.113.8")
        guests[0].close()
        assert door.introduced(known[1], "203.0.113.7")
        with pytest.raises(ConnectionError):
            door.guest(-1)


def test_a_connection_that_ends_without_a_word_is_a_refusal(
    stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    caps = Caps(connections=5, per_address=5, refusals=3)
    with Door(caps) as door, Entrance(socket.create_server(("127.0.0.1", 0)), door) as entrance:
        for was_answered in (True, True, True, True, False, False, False):
            knock(entrance, stack)
            guest, _ = entrance.accept()
            door.guest(guest.fileno()).was_answered = was_answered
            guest.close()
        visitor = knock(entrance, stack)
        knock(entrance, stack, "127.0.0.2")

        stack.enter_context(entrance.accept()[0])
        assert is_turned_away(visitor)
        assert door.inside == 1
    assert [one.message for one in caplog.records] == [
        "127.0.0.1 was refused too often and is not listened to for now"
    ]


async def test_idle_connections_of_one_address_shut_nobody_else_out(tmp_path: Path) -> None:
    async with listening(tmp_path, caps=Caps(connections=100, per_address=5)) as box:
        idle = [await asyncio.open_connection("127.0.0.1", box.port) for _ in range(40)]
        other = await box.connect(address="127.0.0.2")
        await other.send(GET)

        assert (await other.head()).startswith(b"HTTP/1.1 200")
        for _, writer in idle:
            writer.close()


async def test_a_place_is_free_again_when_a_connection_ends(tmp_path: Path) -> None:
    async with listening(tmp_path, caps=Caps(connections=1, per_address=1)) as box:
        for _ in range(3):
            wire = await box.connect()
            await wire.send(GET)
            await wire.head()
            connection = box.app.transport.get_extra_info("socket")
            wire.writer.transport.abort()
            await eventually(lambda one=connection: one.fileno() == -1)  # type: ignore[misc]  # mypy has no type for a lambda's default
