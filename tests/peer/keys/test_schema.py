import re

import pytest

from peer import sqlite
from peer.keys import schema
from peer.keys.schema import SCHEMA, Table


def test_every_table_is_explained_where_it_is_made() -> None:
    tables = re.findall(r"CREATE TABLE (\w+)", SCHEMA)

    assert tables
    assert all(f"| {name} " in (schema.__doc__ or "") for name in tables)


def test_keys_change_inside_a_transaction_only() -> None:
    connection = sqlite.connect(":memory:", isolation_level=None)
    table = Table(connection)

    with pytest.raises(RuntimeError):
        table._in_transaction()
    connection.execute("BEGIN")
    table._in_transaction()
    connection.close()
