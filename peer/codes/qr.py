"""Writes a code as a picture for another device to scan: PNG, SVG or the text of a terminal.

The file appears whole or not at all. It is readable by its owner alone, since whoever sees the
picture can use the code.
"""

import io
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from peer.codes.errors import CannotWrite, UnknownFormat
from wire.qr import symbol, terminal

PNG_SCALE: Final = 10
"""Pixels of a module: a gateway's code is 450 pixels wide, which a screen shows without scaling."""
BORDER: Final = 4
"""Modules of quiet zone, as ISO/IEC 18004 asks for; nothing is short of room here."""


def png(text: str) -> bytes:
    """Return `text` as a QR in a PNG, black on white.

    Raises:
        ValueError: as `wire.qr.symbol`.
    """
    out = io.BytesIO()
    symbol(text).save(out, kind="png", scale=PNG_SCALE, border=BORDER)
    return out.getvalue()


def svg(text: str) -> bytes:
    """Return `text` as a QR in an SVG document of its own that fills whatever room it is given.

    Raises:
        ValueError: as `wire.qr.symbol`.
    """
    out = io.BytesIO()
    symbol(text).save(out, kind="svg", border=BORDER, light="#fff", omitsize=True)
    return out.getvalue()


def _terminal(text: str) -> bytes:
    return terminal(text).encode()


_WRITERS: Final[dict[str, Callable[[str], bytes]]] = {
    ".png": png,
    ".svg": svg,
    ".txt": _terminal,
}


def write(text: str, path: Path) -> None:
    """Write `text` as a QR to `path`, whose ending says how: .png, .svg or .txt.

    A file that was there is replaced.

    Raises:
        UnknownFormat: another ending.
        CannotWrite: no such folder, no permission, no space.
        ValueError: as `wire.qr.symbol`.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise UnknownFormat(path, known=tuple(_WRITERS))
    picture = writer(text)
    try:
        replace_file(path, picture)
    except OSError as error:
        raise CannotWrite(path, error.strerror or type(error).__name__) from error


def replace_file(path: Path, data: bytes) -> None:
    """Write a file that its owner alone may read; it appears whole or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(file, "wb") as out:
            out.write(data)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
