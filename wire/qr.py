"""Draws a code as a QR: the symbol, and the text that shows it on a terminal.

Gateway and phone both show codes, so the drawing stands here, between them. A code is upper-case
base32, which keeps the symbol in alphanumeric mode at error correction level M: 122 characters fit
version 5, and that is 21 rows of a terminal of 24. One cell of a terminal is two modules high:

    "▀" upper dark    "▄" lower dark    "█" both    " " neither
"""

from dataclasses import dataclass
from itertools import chain, repeat
from typing import Final, Protocol

import segno

BORDER: Final = 2
"""Modules of quiet zone on a terminal. ISO/IEC 18004 §6.3.8 asks for 4, which would make 23 rows of
21; the readers of today need one or two, and the fixed pictures are read with this one."""

_INK: Final = "\x1b[38;5;16;48;5;231m"
"""Black on white out of the colour cube, which themes leave alone: they redefine only colours 0 to
15. With both colours said, the symbol is dark on light on a dark terminal as well."""
_PLAIN: Final = "\x1b[0m"
_CELLS: Final = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


class Stream(Protocol):
    """What is asked of standard output before something is drawn on it."""

    @property
    def encoding(self) -> str | None: ...

    def isatty(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Size:
    """The room that a drawing takes on a terminal, in cells."""

    columns: int
    rows: int


def symbol(text: str) -> segno.QRCode:
    """Return the QR that carries `text`, at level M, or higher where that costs no room.

    Raises:
        ValueError: characters outside the alphanumeric mode, or more than a QR holds.

    Source: docs/protocol.md §3.1; ISO/IEC 18004 §7.3.4.
    """
    return segno.make_qr(text, error="m", mode="alphanumeric")


def size(text: str) -> Size:
    """Return the room that `terminal` takes: where there is less, lines wrap and spoil the QR.

    Raises:
        ValueError: as `symbol`.
    """
    modules, _ = symbol(text).symbol_size(border=BORDER)
    return Size(columns=modules, rows=(modules + 1) // 2)


def terminal(text: str) -> str:
    """Return lines, each ended by a line feed, that show `text` as a QR on a terminal.

    Every line sets its colours and takes them back, so that nothing runs over into what follows.

    Raises:
        ValueError: as `symbol`.
    """
    lines = list(symbol(text).matrix_iter(border=BORDER))
    if len(lines) % 2:  # always: a side is 4 n + 17 modules
        lines.append(bytearray(len(lines[0])))
    pairs = zip(lines[::2], lines[1::2], strict=True)
    rows = ("".join(_CELLS[cell] for cell in zip(*pair, strict=True)) for pair in pairs)
    return "".join(chain.from_iterable(zip(repeat(_INK), rows, repeat(f"{_PLAIN}\n"))))


def drawable(stream: Stream) -> bool:
    """Return whether a QR may be drawn on `stream`: a terminal that knows the block characters.

    Into a file or a pipe no QR belongs, and a code that holds a secret least of all.
    """
    if not stream.isatty():
        return False
    try:
        "▀▄█".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
