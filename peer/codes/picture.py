"""Reads a code from a picture, such as a phone takes of a screen.

A picture comes from anybody, so it is bounded before it is decoded: the bytes of the file, then the
pixels that its header promises, and only the two formats that cameras and screenshots use.

| shown in the picture                  | answer                         |
|---------------------------------------|--------------------------------|
| one code of ours, foreign ones or not | its text                       |
| several different codes of ours       | SeveralCodes, which names them |
| foreign codes only                    | ForeignCode                    |
| nothing that can be read              | NoCode                         |

What the code says is judged by `wire.codes`, not here.
"""

import io
import stat
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import zxingcpp
from PIL import Image, ImageFilter

from peer.codes.errors import (
    CannotRead,
    ForeignCode,
    NoCode,
    NoSuchPicture,
    NotAPicture,
    PictureTooLarge,
    SeveralCodes,
)
from wire.codes import kind_of
from wire.codes import looks_like_code as is_ours

MAX_BYTES: Final = 32 * 1024 * 1024
"""Bytes of a picture: several times a usual photo, since it is held in memory whole."""
MAX_PIXELS: Final = 64_000_000
"""Pixels of a picture: a 50-megapixel camera's fit, at four bytes each in memory."""
WORKING_SIDE: Final = 4096
"""Pixels of the longer side that is searched; a JPEG is decoded no larger than it needs to be."""

_FORMATS: Final = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCodeModel2])
"""The full QR alone. `QRCode` means Micro QR as well, of which a damaged picture once showed one:
its few bits of error correction let chance pass for a code."""

Predicate = Callable[[str], bool]


def read_code(path: Path, *, looks_like_code: Predicate = is_ours) -> str:
    """Return the text of the one code of ours that the picture at `path` shows.

    Raises:
        NoSuchPicture, CannotRead: there is no file, or none that we may read.
        NotAPicture, PictureTooLarge, NoCode, ForeignCode, SeveralCodes: as `code_in`.
    """
    return code_in(_bytes_of(path), looks_like_code=looks_like_code)


def code_in(data: bytes, *, looks_like_code: Predicate = is_ours) -> str:
    """Return the text of the one code of ours that the picture `data`, a PNG or JPEG, shows.

    Raises:
        NotAPicture: other bytes, or a picture that was cut or damaged.
        PictureTooLarge: above MAX_BYTES or MAX_PIXELS.
        NoCode: no QR, or none that can be read.
        ForeignCode: no QR of ours among those shown.
        SeveralCodes: different codes of ours, which are named.
    """
    if len(data) > MAX_BYTES:
        raise PictureTooLarge(f"{MAX_BYTES // 1024**2} MiB")
    seen: set[str] = set()
    for look in _looks(_grey(data)):
        found = zxingcpp.read_barcodes(look, formats=_FORMATS)
        seen.update(code.text for code in found)
        ours = sorted(filter(looks_like_code, seen))
        if len(ours) > 1:
            raise SeveralCodes([kind_of(text) or "a code of an unknown kind" for text in ours])
        if ours:
            return ours[0]
    raise ForeignCode if seen else NoCode


def _bytes_of(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited on for ever
            raise CannotRead(path, "it is no file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NoSuchPicture(path) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise CannotRead(path, getattr(error, "strerror", None) or "no such name") from error


def _grey(data: bytes) -> Image.Image:
    """Return the picture in grey, once its header has promised no more than we bear."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a camera's notes, of sizes that we refuse below
            picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise _too_many_pixels()
            picture.draft("L", (WORKING_SIDE, WORKING_SIDE))
            picture.load()
    except Image.DecompressionBombError as error:
        raise _too_many_pixels() from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # Pillow's words for "damaged"
        raise NotAPicture from error
    return _on_paper(picture)


def _too_many_pixels() -> PictureTooLarge:
    return PictureTooLarge(f"{MAX_PIXELS // 1_000_000} megapixels")


def _on_paper(picture: Image.Image) -> Image.Image:
    """Return the picture in grey, as large as it is searched; what was clear becomes white."""
    clear = picture.has_transparency_data
    flat = picture.convert("RGBA" if clear else "L")
    flat.thumbnail((WORKING_SIDE, WORKING_SIDE))
    if not clear:
        return flat
    return Image.alpha_composite(Image.new("RGBA", flat.size, "white"), flat).convert("L")


def _looks(picture: Image.Image) -> Iterator[Image.Image]:
    """Yield the picture as it is, then softened: that takes away a screen's grid and night grain.

    Enlarging as well was tried: it read 6 more of 234 small ones and took the most time.
    """
    yield picture
    yield picture.filter(ImageFilter.GaussianBlur(2))
