r"""Shows what others wrote so that it is read and never obeyed.

| in the text                                        | on the screen                              |
|----------------------------------------------------|--------------------------------------------|
| printable signs, joiners (Persian, emoji families) | as they are                                |
| a new line, in a text                              | a new line, set in under the first         |
| a new line, in a name                              | `\n`                                       |
| a tab                                              | a space                                    |
| control characters, escape sequences               | `\x1b`, as Python would write it           |
| bidirectional overrides, other invisible signs     | `\u202e`                                   |
| half characters, signs that are none               | `\ud800`                                   |

A terminal obeys what it is sent: an escape sequence in a letter could retitle the window, hide
lines or type into the shell, and a direction override turns a file's name around. A name is cut,
so that it cannot push the rest of its line off the screen.
"""

import unicodedata
from typing import Final

MAX_NAME: Final = 60
"""Characters of a name on the screen."""
MAX_MARKS: Final = 4
"""Combining marks on one sign; more of them climb over the lines above. Vietnamese needs two."""

_JOINERS: Final = frozenset("\u200c\u200d")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def text(said: str, *, indent: str = "") -> str:
    """Return a text of somebody else, for several lines of a terminal.

    Args:
        said: as it came.
        indent: what stands before every line but the first.
    """
    lines = said.replace("\r\n", "\n").split("\n")
    return f"\n{indent}".join(_line(one) for one in lines)


def name(called: str) -> str:
    """Return a name of somebody's or something's, for the middle of a line."""
    shown = " ".join(_line(called.replace("\n", r"\n")).split())
    return shown if len(shown) <= MAX_NAME else f"{shown[: MAX_NAME - 1]}…"


def _line(said: str) -> str:
    shown, marks = [], 0
    for sign in said:
        marks = marks + 1 if unicodedata.category(sign) in ("Mn", "Me") else 0
        if marks <= MAX_MARKS:
            shown.append(_sign(sign))
    return "".join(shown)


def _sign(sign: str) -> str:
    if sign == "\t":
        return " "
    if sign in _JOINERS:
        return sign
    if unicodedata.category(sign) in _HIDDEN or _is_none(ord(sign)):
        return sign.encode("unicode_escape", "surrogatepass").decode("ascii")
    return sign


def _is_none(point: int) -> bool:
    """Return whether a code point will never be a character (Unicode, section 23.7)."""
    return point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF
