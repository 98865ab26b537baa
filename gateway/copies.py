"""The copy of the store that a backup is made of: one at a time, and gone once it was taken.

The gateway itself seals nothing. The command that asked opens the copy, has its name deleted, and
seals what it reads (`archive.py`); whatever cuts that off leaves nothing behind.
"""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from gateway.database import Database
from gateway.database.migrate import version_of
from gateway.errors import Busy, Refusal

SPARE_BYTES: Final = 32 << 20
"""Room that is left to the gateway: its reserve, and what comes in meanwhile."""


class NoRoom(Refusal):
    """A copy of the store does not fit on the disk beside it."""

    code = "no-room"
    status = 507

    def __init__(self, *, needed: int) -> None:
        super().__init__(
            f"A backup needs {-(-needed >> 20)} MiB more on the gateway's own disk while it is "
            "made. Free some; large seats are seen with `seats list`."
        )
        self.needed = needed
        """Bytes that are missing."""


class Copies:
    """Makes the copies.

    Args:
        database: the store.
        path: where its file lies; copies lie beside it.
    """

    def __init__(self, database: Database, path: Path) -> None:
        self._database = database
        self._path = path
        self._copy = path.with_name(path.name + ".copy")
        self._making = asyncio.Lock()

    async def make(self) -> dict[str, Any]:
        """Copy the store as it is now; return where the copy lies and what is in it.

        Raises:
            NoRoom: it does not fit.
            Busy: another one is being made.
            DiskFull, StorageFailed
        """
        if self._making.locked():
            raise Busy
        async with self._making:
            self.drop()
            missing = self._path.stat().st_size + SPARE_BYTES
            missing -= shutil.disk_usage(self._path.parent).free
            if missing > 0:
                raise NoRoom(needed=missing)
            try:
                await self._database.copy_to(self._copy)
                return await asyncio.to_thread(self._look)
            except BaseException:
                self.drop()
                raise

    def drop(self) -> None:
        """Delete the copy; whoever has it open goes on reading."""
        self._copy.unlink(missing_ok=True)

    def _look(self) -> dict[str, Any]:
        with closing(sqlite3.connect(self._copy)) as copy:
            [(seats, parcels)] = copy.execute(
                "SELECT (SELECT count(*) FROM seat), (SELECT count(*) FROM parcel)"
            ).fetchall()
            return {
                "store": str(self._copy),
                "schema": version_of(copy),
                "seats": seats,
                "parcels": parcels,
            }
