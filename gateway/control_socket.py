"""The Unix socket at which a running gateway is asked: where it lies and who may reach it.

It lies in the data folder, which only the owner may enter, so whoever reaches it may ask. Addresses
of Unix sockets end at 108 bytes and folders do not: the address goes through a descriptor of the
folder, which is always short.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SOCKET_NAME: Final = "control.sock"


@contextmanager
def short_address(folder: Path) -> Iterator[str]:
    """Yield an address of the control socket in `folder` that is short enough.

    Raises:
        OSError: the folder is not there or may not be entered.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        through = Path(f"/proc/self/fd/{handle}")
        yield str((through if through.exists() else folder) / SOCKET_NAME)
    finally:
        os.close(handle)


def listen(folder: Path) -> socket.socket:
    """Return the listening control socket of the process that holds `folder`, mode 0600.

    One that a killed gateway left behind is replaced: the folder's lock says that it is dead.

    Raises:
        OSError: the folder does not allow it.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_address(folder) as address:
            Path(address).unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                listening.bind(address)
            finally:
                os.umask(before)
        listening.listen(16)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening
