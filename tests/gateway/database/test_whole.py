"""What is wrong with a store is found, by SQLite or by the rooms."""

import sqlite3

from gateway.database.whole import Rooms, find_damage


def store() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE a (x INTEGER PRIMARY KEY)")
    connection.execute("CREATE TABLE b (x INTEGER REFERENCES a)")
    return connection


def test_a_whole_store_has_nothing_wrong() -> None:
    assert find_damage(store(), Rooms()) is None


def test_a_row_that_refers_to_nothing_is_damage() -> None:
    connection = store()
    connection.execute("INSERT INTO b VALUES (7)")

    assert find_damage(connection, Rooms()) == "a row of b refers to nothing"


def test_an_index_that_lacks_a_row_is_damage() -> None:
    connection = store()
    connection.execute("INSERT INTO a VALUES (7)")
    connection.execute("CREATE INDEX more ON b (x)")
    connection.execute("INSERT INTO b VALUES (7)")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_master SET rootpage = 2 WHERE name = 'more'")
    connection.execute("PRAGMA writable_schema = RESET")

    assert find_damage(connection, Rooms())


def test_what_a_room_finds_is_damage() -> None:
    assert find_damage(store(), Rooms(find=lambda connection: "a bit")) == "a bit"
