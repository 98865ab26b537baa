"""Shared by the tables of the key store: they change inside a transaction only."""

import sqlite3


class Table:
    """One group of tables of the key store."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def _in_transaction(self) -> None:
        if not self._db.in_transaction:
            raise RuntimeError("keys change inside a transaction only")
