"""Room kept free for the day when the disk is full: SQLite needs some even to delete.

disk          the reserve      what is written
------------  ---------------  ------------------------------------------------------
has room      lies there       everything
becomes full  is given back    only what frees room: acknowledgements, deletions, expiry
is full at    is given back    as above; without it the store could not even be opened
a start
has room      is made again    everything
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

RESERVE_BYTES: Final = 16 << 20
"""Bytes: what a full log needs to be copied back, which then makes room for deletions."""
OPENING_BYTES: Final = 1 << 20
"""Bytes: what a start writes (the index of a log, a mark of the clock), with room to spare."""

_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
_CANNOT: Final = (errno.EINVAL, errno.EOPNOTSUPP)
"""A file system that cannot set room aside: the gateway does without."""


class Reserve:
    """A file beside the store that holds nothing but room."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".reserve")

    def make(self) -> bool:
        """Take the room; return whether there was any.

        Raises:
            OSError: the disk has another trouble than being full.
        """
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, RESERVE_BYTES)
        except OSError as error:
            if error.errno not in (*_NO_SPACE, *_CANNOT):
                raise
            self.give_back()
            return error.errno in _CANNOT
        finally:
            os.close(handle)
        return True

    def make_way(self) -> None:
        """Give the room to a store that is to be opened on a disk that has none."""
        with suppress(OSError):  # whoever opens the store meets the same trouble, and has words
            disk = os.statvfs(self.path.parent)
            if disk.f_bavail * disk.f_frsize < OPENING_BYTES:
                self.give_back()

    def give_back(self) -> None:
        """Give the room to whoever writes next."""
        with suppress(OSError):
            self.path.unlink()
