"""What this machine lets a case do, and how much of it the case should do.

A case that needs a privilege or a program tries to use it once. Where that fails it raises
`NotPossibleHere` with what was missing; the case then counts as neither passed nor failed, and the
summary says "not possible here" with the reason.
"""

import os
import shutil
from typing import Final

LONG_FORM: Final = "FAULTS_LONG"
"""Environment variable that asks for the long form of every case."""


class NotPossibleHere(Exception):
    """The case needs something that this machine does not give; the text names it."""


def times(short: int, *, long: int) -> int:
    """Return how often a case does what it does."""
    return long if os.environ.get(LONG_FORM) else short


PATIENCE: Final = times(300, long=0)
"""Seconds for one case on a busy machine; 0 sets no limit."""


def need_program(name: str) -> str:
    """Return the path of a program.

    Raises:
        NotPossibleHere: it is not installed.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if path is None:
        raise NotPossibleHere(f"{name} is not installed")
    return path
