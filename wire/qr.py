"""Draws a code as a QR: the symbol, or the lines that show it on a terminal.

Gateway and phone both show codes, so what draws them stands between the two. A code is upper-case
base32, which keeps the symbol in alphanumeric mode at error correction level M: 122 characters fit
version 5, and that is 21 of the 24 rows of a terminal. A cell there is two modules high:

    "▀" the upper is dark    "▄" the lower    "█" both    " " neither
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import segno

BORDER: Final = 2
"""Modules of quiet zone on a terminal. ISO/IEC 18004 asks for 4, which would make 23 rows of 21 and
leave none for words; with 2 the terminals among the fixed pictures are read."""

_CELLS: Final = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
_DARK: Final = "\x1b[38;5;16;48;5;16m"
_MIXED: Final = "\x1b[38;5;16;48;5;231m"
_PLAIN: Final = "\x1b[0m"
"""Black and white come from the colour cube: themes redefine colours 0 to 15 and leave these. With
both said, the symbol is dark on light on a dark terminal as well. A cell that is dark all over is
black behind its block too: where lines stand apart, the background fills the gap and a glyph does
not. With black on white throughout nothing was read from lines a fifth of their height apart; so,
it is read up to a quarter. A terminal without these colours still shows the blocks."""


class Stream(Protocol):
    """What is asked of standard output before anything is drawn on it."""

    @property
    def encoding(self) -> str | None: ...

    def isatty(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Size:
    """The room that a drawing takes on a terminal, in cells."""

    columns: int
    rows: int


def symbol(text: str) -> "segno.QRCode":
    """Return the QR that carries `text`, at level M, or higher where that costs no room.

    Raises:
        ValueError: characters outside the alphanumeric mode, or more of them than a QR holds.

    Source: docs/protocol.md §3.1; ISO/IEC 18004.
    """
    import segno  # here: a gateway that serves draws nothing, and it takes a tenth of a second

    return segno.make_qr(text, error="m", mode="alphanumeric")


def size(text: str) -> Size:
    """Return the room that `terminal` takes: where there is less, lines wrap and spoil the QR.

    Raises:
        ValueError: as `symbol`.
    """
    side = len(symbol(text).matrix) + 2 * BORDER
    return Size(columns=side, rows=(side + 1) // 2)


def terminal(text: str) -> str:
    """Return lines, each ended by a line feed, that show `text` as a QR on a terminal.

    Every line sets its colours and takes them back, so that nothing runs over into what follows.

    Raises:
        ValueError: as `symbol`.
    """
    rows = [tuple(row) for row in symbol(text).matrix_iter(border=BORDER)]
    rows.append((0,) * len(rows[0]))  # a symbol has an odd number of rows
    return "".join(
        _line(zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    )


def _line(cells: Iterable[tuple[int, int]]) -> str:
    runs = groupby(map(_CELLS.__getitem__, cells))
    inked = (f"{_DARK if cell == '█' else _MIXED}{''.join(run)}" for cell, run in runs)
    return f"{''.join(inked)}{_PLAIN}\n"


def drawable(stream: Stream) -> bool:
    """Return whether a QR may be drawn on `stream`: a terminal that knows the block characters.

    It does not belong into a file or a pipe, least of all when the code holds a secret.
    """
    if not stream.isatty():
        return False
    try:
        "▀▄█".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
