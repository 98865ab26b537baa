"""The data folder: ours alone, and held by one process at a time.

The lock is the kernel's (flock), so it ends with the process however that ends; the number in the
file only serves to say who holds it.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.errors import AlreadyRunning, FolderUnusable

LOCK_NAME: Final = "gateway.lock"


@contextmanager
def hold_folder(folder: Path) -> Iterator[Path]:
    """Make `folder` if it is missing, close it to others and hold it until the block ends.

    The process' umask becomes 077: whatever it creates from here on is readable by its user only.

    Raises:
        AlreadyRunning: another process holds the folder.
        FolderUnusable: no permission, no space, or not a folder.
    """
    os.umask(0o077)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            folder.chmod(0o700)
        handle = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(folder, error) from error
    try:
        _lock(handle, folder)
        yield folder
    finally:
        os.close(handle)  # the file stays: removing it would let two processes lock two files


def unusable(path: Path, error: OSError) -> FolderUnusable:
    """Return the sentence for an operating system's error about `path`."""
    match error.errno:
        case errno.EACCES | errno.EPERM:
            advice = f"{path} is not ours to use: run as its owner, or choose another data folder."
        case errno.ENOSPC | errno.EDQUOT:
            advice = f"there is no space left for {path}: free some, or choose another data folder."
        case errno.EROFS:
            advice = f"{path} lies on a disk that is mounted read-only: mount it writable."
        case errno.ENOTDIR | errno.EEXIST:
            advice = f"{path} is not a folder: choose another data folder."
        case _:
            advice = f"{path} cannot be used: {error.strerror or error}."
    return FolderUnusable(advice)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyRunning(folder, pid=_holder(handle)) from None
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        raise unusable(folder, error) from error


def _holder(handle: int) -> int | None:
    text = os.pread(handle, 20, 0).strip()
    return int(text) if text.isdigit() else None
