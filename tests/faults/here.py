"""What this machine lets a case do, and how much of it the case should do.

A case that needs a privilege or a program tries to use it once. Where that fails it raises
`NotPossibleHere` with what was missing; the case then counts as neither passed nor failed, and the
summary says "not possible here" with the reason.
"""

import os
import shutil
from typing import Final

LONG_FORM: Final = "FAULTS_LONG"
"""Environment variable that asks for the long form of every case; its value is the part of it that
is wanted, 1 for all."""
MINUTES: Final = "FAULTS_MINUTES"
"""Environment variable: how long the long form of a search at random goes on."""
ALL_MINUTES: Final = 10.0
"""How long that is unless somebody says otherwise."""


class NotPossibleHere(Exception):
    """The case needs something that this machine does not give; the text names it."""


def is_long() -> bool:
    """Return whether the long form of every case is wanted."""
    return bool(os.environ.get(LONG_FORM))


def times(short: int, *, long: int) -> int:
    """Return how often a case does what it does."""
    if not is_long():
        return short
    return max(short, round(long * float(os.environ[LONG_FORM])))


def seconds(short: float) -> float:
    """Return how long a case searches at random."""
    return 60 * float(os.environ.get(MINUTES, ALL_MINUTES)) if is_long() else short


def patience() -> int:
    """Return the seconds for one case on a busy machine; 0 sets no limit."""
    return 0 if is_long() else 300


def need_program(name: str) -> str:
    """Return the path of a program.

    Raises:
        NotPossibleHere: it is not installed.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if path is None:
        raise NotPossibleHere(f"{name} is not installed")
    return path
