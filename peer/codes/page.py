"""Draws a recovery kit on one page of A4, for a printer.

Nothing but what the standard fonts of PDF hold is on it, so that it prints the same everywhere and
no font is embedded. The page names nobody: who finds it learns whose it is by using it.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from peer.codes.errors import CannotWrite, UnknownFormat
from peer.codes.qr import png, replace_file

QR_MM: Final = 75
"""Millimetres of the QR's side: 53 modules and the quiet zone, over a millimetre for each."""
COLUMNS: Final = 4
_ROWS: Final = 5


def kit_page(code: str, words: Sequence[str], *, mark: str) -> bytes:
    """Return the page as a PDF.

    Args:
        code: the kit's code, for the QR and as text.
        words: the twenty words.
        mark: what tells this kit from others.
    """
    from fpdf import FPDF  # here: it takes a quarter of a second, and few commands print

    page = FPDF(format="A4")
    page.set_title("Homepost recovery kit")
    page.set_creator("homepost")
    page.set_compression(False)  # so that a test, or anybody, can read what is on it
    page.set_margins(20, 18)
    page.set_auto_page_break(False)
    page.add_page()
    page.set_font("Helvetica", "B", 20)
    page.cell(0, 10, "Homepost recovery kit", new_x="LMARGIN", new_y="NEXT")
    page.set_font("Helvetica", "", 11)
    page.multi_cell(0, 5.5, _INTRODUCTION, align="L", new_x="LMARGIN", new_y="NEXT")
    page.ln(4)
    drawn = Image.open(io.BytesIO(png(code))).convert("L")  # in grey it goes in as it is
    page.image(drawn, x=(page.w - QR_MM) / 2, w=QR_MM, h=QR_MM)
    page.ln(2)
    page.set_font("Courier", "B", 13)
    width = page.epw / COLUMNS
    for row in range(_ROWS):
        for column in range(COLUMNS):
            number = column * _ROWS + row + 1
            page.cell(width, 8, f"{number:2} {words[number - 1]}")
        page.ln(8)
    page.ln(3)
    page.set_font("Courier", "", 8)
    page.multi_cell(0, 4, code, new_x="LMARGIN", new_y="NEXT")
    page.ln(3)
    page.set_font("Helvetica", "", 10)
    page.multi_cell(
        0, 5, align="L", text=f"Kit {mark}.\n\n{_ADVICE}", new_x="LMARGIN", new_y="NEXT"
    )
    return bytes(page.output())


def write_page(path: Path, data: bytes) -> None:
    """Write the page; a file that was there is replaced, and only its owner may read it.

    Raises:
        UnknownFormat: the name does not end in .pdf.
        CannotWrite: no such folder, no permission, no space.
    """
    if path.suffix.lower() != ".pdf":
        raise UnknownFormat(path, known=(".pdf",))
    try:
        replace_file(path, data)
    except OSError as error:
        raise CannotWrite(path, error.strerror or type(error).__name__) from error


_INTRODUCTION: Final = (
    "Whoever holds this page can become you. Keep it where you keep papers that matter, not in a "
    "picture and not in a mailbox. With it you come back when every device of yours is gone."
)
_ADVICE: Final = (
    "To come back: install Homepost on a new device and type  homepost recover kit  with the code "
    "or a picture of it, or with the twenty words in their order. The old devices are shut out by "
    "that, and your contacts see that you came back.\n\n"
    "Ask your phone now and then whether this page still reads:  homepost kit check"
)
