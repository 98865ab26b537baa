"""Where the control socket lies and who may reach it."""

import socket
import stat
from pathlib import Path

import pytest

from gateway.control_socket import SOCKET_NAME, listen, short_address


def test_only_the_owner_may_reach_it(tmp_path: Path) -> None:
    with listen(tmp_path):
        assert stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode) == 0o600


def test_a_folder_with_a_long_name_has_one_too(tmp_path: Path) -> None:
    folder = tmp_path / ("a folder whose name is long" * 8)
    folder.mkdir()
    with listen(folder) as listening, socket.socket(socket.AF_UNIX) as asking:
        with short_address(folder) as address:
            assert len(address) < 100 < len(str(folder))
            asking.connect(address)
        listening.accept()[0].close()


def test_what_a_killed_gateway_left_is_replaced(tmp_path: Path) -> None:
    listen(tmp_path).close()
    assert (tmp_path / SOCKET_NAME).exists()

    with (
        listen(tmp_path),
        socket.socket(socket.AF_UNIX) as asking,
        short_address(tmp_path) as address,
    ):
        asking.connect(address)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        listen(tmp_path / "none")
