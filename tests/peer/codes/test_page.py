"""A kit is one page that a printer prints and a camera reads."""

import io
import re
import zlib
from pathlib import Path

import pytest
from PIL import Image

from peer.codes.errors import CannotWrite, UnknownFormat
from peer.codes.page import kit_page, write_page
from peer.codes.picture import code_in
from peer.keys.words import words_of
from wire.codes import KitCode
from wire.ids import GatewayId, PersonId
from wire.places import Place

WORDS = words_of(bytes(range(16)))
CODE = KitCode(
    bytes(16), PersonId(bytes(32)), GatewayId(bytes(32)), (Place("a" * 60), Place("192.0.2.7"))
)


def test_the_page_shows_all_words_with_their_numbers() -> None:
    page = kit_page(CODE.text(), WORDS, mark="abcd-efgh-ijkl")

    assert len(re.findall(rb"/Type /Page\n", page)) == 1
    for number, word in enumerate(WORDS, start=1):
        assert f"({number:2} {word}) Tj".encode() in page
    assert b"abcd-efgh-ijkl" in page
    assert b"/FontFile" not in page


def test_the_largest_kit_is_read_from_the_page() -> None:
    page = kit_page(CODE.text(), WORDS, mark="abcd-efgh-ijkl")
    head, _, rest = page.partition(b"/Subtype /Image")[0].rpartition(b"obj")
    drawn = page[len(head) :]
    width, height = (
        int(re.search(rb"/%s (\d+)" % name, drawn)[1])  # type: ignore[index]  # it is there
        for name in (b"Width", b"Height")
    )

    assert width == height == (53 + 8) * 10
    assert rest
    assert code_in(_png(drawn, width)) == CODE.text()


def _png(drawn: bytes, side: int) -> bytes:
    """Return the picture of the page, whose rows are compressed as those of a PNG are."""
    data = zlib.decompress(drawn.partition(b"stream\n")[2].partition(b"\nendstream")[0])
    picture = Image.frombytes("L", (side, side), _rows(data, side))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _rows(data: bytes, side: int) -> bytes:
    row = len(data) // side
    if row in (side, side + 1):  # a byte for each pixel, and perhaps one for the filter
        return b"".join(data[at * row + row - side : (at + 1) * row] for at in range(side))
    bits = -(-side // 8)
    rows = [data[at * row + row - bits : (at + 1) * row] for at in range(side)]
    return b"".join(
        bytes(255 if one[x // 8] >> (7 - x % 8) & 1 else 0 for x in range(side)) for one in rows
    )


def test_only_a_pdf_is_written_and_its_owner_alone_may_read_it(tmp_path: Path) -> None:
    write_page(tmp_path / "kit.pdf", b"page")

    assert (tmp_path / "kit.pdf").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UnknownFormat, match=r"should end in \.pdf"):
        write_page(tmp_path / "kit.png", b"page")
    with pytest.raises(CannotWrite):
        write_page(tmp_path / "nowhere" / "kit.pdf", b"page")
