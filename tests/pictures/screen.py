"""A terminal made of pixels: shows lines as a terminal does, so that a QR in them can be read back.

It knows the two colour escapes that `wire.qr` writes and refuses any other, and it draws the four
block cells itself: what a font makes of them differs from machine to machine.
"""

import re
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw

CELL_WIDTH: Final = 8
CELL_HEIGHT: Final = 16

_TOKEN: Final = re.compile(r"\x1b\[([0-9;]*)m|([^\x1b])")
_HALVES: Final = {" ": (False, False), "▀": (True, False), "▄": (False, True), "█": (True, True)}
_COLOURS: Final = {"16": (0, 0, 0), "231": (255, 255, 255)}
"""The two corners of the colour cube: the same in every theme."""

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Theme:
    """How a terminal looks where nothing is said, and the pixels its font leaves between lines."""

    ink: Colour
    paper: Colour
    gap: int = 0


DARK: Final = Theme(ink=(220, 220, 210), paper=(24, 26, 30))
LIGHT: Final = Theme(ink=(40, 40, 40), paper=(250, 248, 240))


def screenshot(
    text: str, theme: Theme, *, columns: int = 80, rows: int = 24, above: int = 1
) -> Image.Image:
    """Return a terminal window that shows `text` below `above` empty rows."""
    height = CELL_HEIGHT + theme.gap
    window = Image.new("RGB", (columns * CELL_WIDTH, rows * height), theme.paper)
    for number, line in enumerate(text.splitlines(), start=above):
        _draw_line(ImageDraw.Draw(window), line, top=number * height, theme=theme)
    return window


def _draw_line(draw: ImageDraw.ImageDraw, line: str, *, top: int, theme: Theme) -> None:
    ink, paper, left = theme.ink, theme.paper, 0
    for escape, cell in _TOKEN.findall(line):
        if not cell:
            ink, paper = _colours(escape, theme)
            continue
        right, middle = left + CELL_WIDTH - 1, top + CELL_HEIGHT // 2
        upper, lower = _HALVES[cell]
        # A background fills the gap between lines, a glyph does not reach into it.
        draw.rectangle((left, top, right, top + CELL_HEIGHT + theme.gap - 1), fill=paper)
        if upper:
            draw.rectangle((left, top, right, middle - 1), fill=ink)
        if lower:
            draw.rectangle((left, middle, right, top + CELL_HEIGHT - 1), fill=ink)
        left += CELL_WIDTH


def _colours(escape: str, theme: Theme) -> tuple[Colour, Colour]:
    match escape.split(";"):
        case ["0"]:
            return theme.ink, theme.paper
        case ["38", "5", ink, "48", "5", paper]:
            return _COLOURS[ink], _COLOURS[paper]
    raise ValueError(f"this terminal does not know the colours {escape}")
