"""The SQLite of the phone's side, chosen once: all of `peer` takes it from here.

SQLCipher where there is a package of it for this platform, since it can seal a file; the one that
comes with Python elsewhere. Without a key SQLCipher reads and writes plain files like any other.
Two libraries in one process would not see each other's locks
(https://www.sqlite.org/howtocorrupt.html §2.2), so nothing here takes one from anywhere else.
"""

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:  # SQLCipher's module comes without types; it is a copy of Python's
    import sqlite3 as library
else:
    try:
        from sqlcipher3 import dbapi2 as library
    except ImportError:
        import sqlite3 as library

CAN_SEAL: Final[bool] = "sqlcipher" in library.__name__
"""Whether the library can seal a file."""
VERSION: Final = library.sqlite_version

Connection: TypeAlias = library.Connection
Row: TypeAlias = library.Row
Error: TypeAlias = library.Error
IntegrityError: TypeAlias = library.IntegrityError
OperationalError: TypeAlias = library.OperationalError
connect: Final = library.connect

SQLITE_BUSY: Final = library.SQLITE_BUSY
SQLITE_CANTOPEN: Final = library.SQLITE_CANTOPEN
SQLITE_CORRUPT: Final = library.SQLITE_CORRUPT
SQLITE_FULL: Final = library.SQLITE_FULL
SQLITE_NOTADB: Final = library.SQLITE_NOTADB
SQLITE_PERM: Final = library.SQLITE_PERM
SQLITE_READONLY: Final = library.SQLITE_READONLY
