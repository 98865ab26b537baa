"""What cannot be had here, so that whatever needs it is not measured."""

import shutil


class Absent(Exception):
    """A peer, a tool or a right is missing on this machine; the text names it."""


def need_program(*names: str) -> str:
    """Return the path of the first of some programs that is installed.

    Raises:
        Absent: none is.
    """
    for name in names:
        if (path := shutil.which(name)) is not None:
            return path
    raise Absent(f"{' or '.join(names)} is not installed")
