"""The pump carries bytes both ways, however much there is, and notices who hangs up."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.links import Address, Lost
from bench.pump import Pump

PLENTY = 5_000_000
"""Bytes that no socket takes at once."""


class Whole:
    """Says a lot and waits until as much came back."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.came = 0

    @property
    def greeted(self) -> bool:
        return True

    def hello(self) -> bytes:
        return bytes(self.size)

    def heard(self, data: bytes, now: float) -> bytes:
        self.came += len(data)
        return b""


@contextmanager
def echo(*, take: int = 1 << 30) -> Iterator[Address]:
    """Run a server that sends back what comes, and hangs up after `take` bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            left = take
            with connection:
                while left > 0 and (data := connection.recv(min(left, 65_536))):
                    connection.sendall(data)
                    left -= len(data)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Address(server.getsockname()[1], tls=False)
        finally:
            thread.join(10)


def test_more_than_a_socket_takes_goes_out_and_comes_back() -> None:
    pump, talk = Pump(), Whole(PLENTY)
    with echo() as address:
        pump.open(address, talk)
        pump.run(lambda: talk.came >= PLENTY)
        pump.close()

    assert talk.came == PLENTY


def test_who_hangs_up_is_noticed() -> None:
    pump, talk = Pump(), Whole(100)
    with echo(take=100) as address:
        pump.open(address, talk)
        with pytest.raises(Lost):
            pump.run(lambda: False)
        pump.close()


def test_things_are_done_when_it_is_time_and_in_order() -> None:
    pump, done = Pump(), list[str]()
    now = time.perf_counter()
    pump.at(now + 0.02, lambda: done.append("later"))
    pump.at(now + 0.01, lambda: done.append("soon"))
    pump.at(now + 0.01, lambda: done.append("then"))
    pump.run(lambda: len(done) == 3)
    pump.close()

    assert done == ["soon", "then", "later"]
    assert time.perf_counter() >= now + 0.02
