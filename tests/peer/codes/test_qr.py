import io
import re
from pathlib import Path
from xml.parsers import expat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from peer.codes.errors import CannotWrite, UnknownFormat
from peer.codes.picture import code_in, read_code
from peer.codes.qr import png, svg, write
from tests.pictures.make import CONTACT, GATEWAY
from tests.pictures.screen import DARK, screenshot

CODES = st.builds(
    "{}:{}".format,
    st.sampled_from(["HPG1", "HPC1", "HPD1", "HPK1"]),
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=1, max_size=250),
)


def _elements(document: bytes) -> list[tuple[str, dict[str, str]]]:
    """Return the elements of a document in their order; what is not well-formed raises."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: found.append((name, attributes))
    parser.Parse(document, True)
    return found


def _drawn(document: bytes, *, pixels: int) -> bytes:
    """Return as a PNG what a browser draws of the strokes that segno writes."""
    (_, root), _, (_, strokes) = _elements(document)
    side = int(root["viewBox"].split()[2])
    picture = Image.new("L", (side * pixels, side * pixels), 255)
    x, y = 0.0, -0.5  # a stroke of width 1 lies about the middle of its row
    for step, across, down in re.findall(r"([Mmh])(-?[\d.]+) ?(-?[\d.]+)?", strokes["d"]):
        left, x = x, float(across) + (x if step != "M" else 0)
        if step == "h":
            box = [left * pixels, y * pixels, x * pixels - 1, (y + 1) * pixels - 1]
            ImageDraw.Draw(picture).rectangle(box, fill=0)
        else:
            y += float(down)
    return _as_png(picture)


def _as_png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, format="PNG")
    return out.getvalue()


@given(CODES)
@settings(max_examples=50)
def test_a_code_written_as_png_reads_back(code: str) -> None:
    assert code_in(png(code)) == code


@given(CODES, st.integers(min_value=3, max_value=9))
@settings(max_examples=30)
def test_a_code_written_as_svg_reads_back_at_any_size(code: str, pixels: int) -> None:
    assert code_in(_drawn(svg(code), pixels=pixels)) == code


def test_an_svg_names_its_shape_and_leaves_its_size_open() -> None:
    (name, root), *_ = _elements(svg(GATEWAY))

    assert name == "svg"
    assert root["viewBox"] == "0 0 45 45"
    assert {"width", "height"}.isdisjoint(root)


@pytest.mark.parametrize("ending", [".png", ".PNG"])
def test_a_written_png_is_read_from_its_file(tmp_path: Path, ending: str) -> None:
    picture = tmp_path / f"code{ending}"

    write(CONTACT, picture)

    assert read_code(picture) == CONTACT


def test_the_ending_of_the_name_says_what_is_written(tmp_path: Path) -> None:
    for ending in (".svg", ".txt"):
        write(GATEWAY, tmp_path / f"code{ending}")
    window = screenshot((tmp_path / "code.txt").read_text(encoding="utf-8"), DARK)

    assert (tmp_path / "code.svg").read_bytes() == svg(GATEWAY)
    assert code_in(_as_png(window)) == GATEWAY


def test_a_written_picture_is_for_its_owner_alone_and_replaces_what_was_there(
    tmp_path: Path,
) -> None:
    picture = tmp_path / "code.png"
    picture.write_text("an older picture")
    picture.chmod(0o644)

    write(GATEWAY, picture)

    assert picture.stat().st_mode & 0o777 == 0o600
    assert read_code(picture) == GATEWAY
    assert list(tmp_path.iterdir()) == [picture]


def test_an_unknown_ending_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match=r"should end in \.png, \.svg or \.txt"):
        write(GATEWAY, tmp_path / "code.pdf")

    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    taken = tmp_path / "code.png"
    taken.mkdir()

    with pytest.raises(CannotWrite, match="No such file or directory"):
        write(GATEWAY, tmp_path / "missing" / "code.png")
    with pytest.raises(CannotWrite, match="Is a directory"):
        write(GATEWAY, taken)
    assert list(tmp_path.iterdir()) == [taken]
