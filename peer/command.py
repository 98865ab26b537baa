"""Says what to type to reach this phone, so that advice can be copied."""

import os
from typing import Final

PROGRAM: Final = "homepost"
VARIABLE: Final = "HOMEPOST_COMMAND"
"""How whoever started us was called: `./run phone`."""


def command(words: str) -> str:
    """Return the command line for `words`, such as `pair CODE`."""
    return f"{program()} {words}"


def program() -> str:
    """Return what the program is called from here."""
    return os.environ.get(VARIABLE) or PROGRAM
