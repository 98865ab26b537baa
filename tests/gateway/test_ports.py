"""Opening the TCP port, or saying who sits on it."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from gateway.ports import PortUnusable, holder_of, open_ports


@contextmanager
def opened(*listen: str, port: int = 0) -> Iterator[list[socket.socket]]:
    sockets = open_ports(listen, port)
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()


def test_all_addresses_share_one_port() -> None:
    with opened("127.0.0.1", "127.0.0.2") as sockets:
        ports = {one.getsockname()[1] for one in sockets}

    assert len(sockets) == 2
    assert len(ports) == 1


def test_a_port_listens_once_it_is_open() -> None:
    with opened("127.0.0.1") as (listening,), closing(socket.socket()) as phone:
        phone.connect(listening.getsockname())

        assert phone.getpeername() == listening.getsockname()


def test_an_address_of_another_machine_is_left_out_if_one_of_ours_remains() -> None:
    with opened("192.0.2.77", "127.0.0.1") as sockets:
        assert [one.getsockname()[0] for one in sockets] == ["127.0.0.1"]


def test_without_an_address_of_this_machine_the_setting_is_named() -> None:
    with pytest.raises(PortUnusable, match=r"192\.0\.2\.77 is an address of this machine.*listen"):
        open_ports(("192.0.2.77",), 0)


def test_whoever_sits_on_the_port_is_named() -> None:
    with opened("127.0.0.1") as (first,):
        port = first.getsockname()[1]
        with pytest.raises(PortUnusable) as caught:
            open_ports(("127.0.0.1",), port)

    assert f"Port {port} is in use by" in str(caught.value)
    assert f"(process {os.getpid()})" in str(caught.value)
    assert f"--port {port + 1}" in str(caught.value)


def test_a_failed_opening_leaves_no_port_open() -> None:
    with opened("127.0.0.1") as (first,):
        port = first.getsockname()[1]
        with pytest.raises(PortUnusable):
            open_ports(("127.0.0.3", "127.0.0.1"), port)
        with opened("127.0.0.3", port=port) as again:
            assert len(again) == 1


def test_a_free_port_has_no_holder() -> None:
    with opened("127.0.0.1") as (one,):
        port = one.getsockname()[1]

    assert holder_of(port) is None
