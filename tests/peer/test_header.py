"""The header is whole or not there, and for its user alone."""

import stat
from pathlib import Path

import pytest

from peer.errors import NewerStore, StoreUnusable
from peer.header import KEY_NAME, NEW_KEY_NAME, read_header, remove_header, write_header
from peer.keys.file_key import FileKey, Header
from wire.codec import encode


def header() -> Header:
    return Header.under_keyring(FileKey.generate(), bytes(32))


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    one, other = header(), header()
    write_header(tmp_path, one)
    assert read_header(tmp_path) == one
    write_header(tmp_path, other)

    assert read_header(tmp_path) == other
    assert [path.name for path in tmp_path.iterdir()] == [KEY_NAME]
    assert stat.S_IMODE((tmp_path / KEY_NAME).stat().st_mode) == 0o600


def test_where_there_is_none_there_is_none(tmp_path: Path) -> None:
    assert read_header(tmp_path) is None
    assert read_header(tmp_path / "nowhere") is None
    write_header(tmp_path, header())
    remove_header(tmp_path)
    remove_header(tmp_path)

    assert read_header(tmp_path) is None


def test_what_a_crash_has_left_beside_it_does_not_count(tmp_path: Path) -> None:
    one = header()
    write_header(tmp_path, one)
    (tmp_path / NEW_KEY_NAME).write_bytes(header().encode()[:40])

    assert read_header(tmp_path) == one
    write_header(tmp_path, other := header())
    assert read_header(tmp_path) == other


@pytest.mark.parametrize("data", [b"", b"?" * 124, b"\xa0", bytes(4096)])
def test_what_is_no_header_is_called_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / KEY_NAME).write_bytes(data)

    with pytest.raises(StoreUnusable, match="put back a copy"):
        read_header(tmp_path)


def test_a_header_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / KEY_NAME).write_bytes(encode({0: 2}))

    with pytest.raises(NewerStore, match="update this program"):
        read_header(tmp_path)
