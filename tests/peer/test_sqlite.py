import sqlite3
from pathlib import Path

import pytest

from peer import sqlite


def test_errors_have_the_codes_that_are_compared_with(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"?" * 8192)
    connection = sqlite.connect(file, isolation_level=None)

    with pytest.raises(sqlite.Error) as error:
        connection.execute("SELECT * FROM sqlite_master")
    assert error.value.sqlite_errorcode == sqlite.SQLITE_NOTADB
    connection.close()


def test_a_file_without_a_key_is_one_that_every_sqlite_can_read(tmp_path: Path) -> None:
    ours = sqlite.connect(tmp_path / "file", isolation_level=None)
    ours.execute("PRAGMA journal_mode = WAL")
    ours.execute("CREATE TABLE t (x)")
    ours.execute("INSERT INTO t VALUES (7)")
    ours.close()

    theirs = sqlite3.connect(tmp_path / "file")
    assert theirs.execute("SELECT x FROM t").fetchall() == [(7,)]
    theirs.close()


def test_here_is_a_library_that_can_seal() -> None:
    connection = sqlite.connect(":memory:")

    assert sqlite.CAN_SEAL
    assert connection.execute("PRAGMA cipher_version").fetchone()
    connection.close()
