"""The gateway's store: one file, one writer, and what is on the disk when a write returns."""

from gateway.database.sqlite import Database, open_database
from gateway.database.writer import Limits

__all__ = ["Database", "Limits", "open_database"]
