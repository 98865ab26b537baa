"""The file `phone.key`: the sealed key of the phone's file, whole or not there.

Without it a sealed file is lost, so a new one is on the disk before the old one is gone.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from peer.errors import NewerStore, StoreUnusable
from peer.keys.file_key import MAX_HEADER, Header
from wire.errors import Malformed, UnknownVersion

KEY_NAME: Final = "phone.key"
NEW_KEY_NAME: Final = "phone.key.new"


def read_header(home: Path) -> Header | None:
    """Return the header in the folder `home`, None if there is none.

    Raises:
        StoreUnusable: it cannot be read, or is none.
        NewerStore: a newer program made it.
    """
    path = home / KEY_NAME
    try:
        with path.open("rb") as file:
            return Header.decode(file.read(MAX_HEADER + 1))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreUnusable(
            f"{path} cannot be read ({error.strerror}); run this as its owner"
        ) from error
    except UnknownVersion:
        raise NewerStore(f"{path} was written by a newer Homepost; update this program") from None
    except Malformed as error:
        raise StoreUnusable(
            f"{path} is damaged ({error}), and nothing else opens the file beside it; put back a"
            " copy, or begin anew in another folder with --home"
        ) from None


def write_header(home: Path, header: Header) -> None:
    """Put a header in place of the one that was there; it is on the disk afterwards.

    Raises:
        OSError: there is no room, or the folder cannot be written; the old one is still there.
    """
    new = home / NEW_KEY_NAME
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, header.encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    new.replace(home / KEY_NAME)
    sync_folder(home)


def remove_header(home: Path) -> None:
    """Remove the header, and one that was being written; what it opened must be plain by now."""
    for name in (KEY_NAME, NEW_KEY_NAME):
        with suppress(FileNotFoundError):
            (home / name).unlink()
    sync_folder(home)


def sync_folder(folder: Path) -> None:
    """Bring to the disk which files a folder holds."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
