"""Opening the TCP port, or saying who sits on it."""

import errno
import os
import socket
import subprocess
import sys
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


def test_a_free_port_is_free_at_every_address() -> None:
    """Others hold at the second address what was free at the first, as after many connections."""
    tried = list[int]()

    def opens(address: str, port: int) -> socket.socket:
        if address == "127.0.0.2":
            tried.append(port)
            if len(tried) < 4:
                raise OSError(errno.EADDRINUSE, "in use")
        return socket.create_server((address, port))

    sockets = open_ports(("127.0.0.1", "127.0.0.2"), 0, opens=opens)
    ports = {one.getsockname()[1] for one in sockets}
    for one in sockets:
        one.close()

    assert len(sockets) == 2
    assert ports == {tried[-1]}
    assert len(tried) == 4


def test_a_program_is_named_in_full() -> None:
    """The kernel knows 15 characters of a name; the program's own command has them all."""
    words = [sys.executable, "-c", _SIT, "homepost-gateway-of-somebody"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as sitting:
        assert sitting.stdout is not None
        port = int(sitting.stdout.readline())
        holder = holder_of(port)
        sitting.kill()

    assert holder == f"homepost-gateway-of-somebody (process {sitting.pid})"


_SIT = """
import ctypes, socket, sys
ctypes.CDLL(None).prctl(15, b"homepost-gateway", 0, 0, 0)  # PR_SET_NAME
with socket.create_server(("127.0.0.1", 0)) as one:
    print(one.getsockname()[1], flush=True)
    sys.stdin.read()
"""


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
