import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.pictures.make import CONTACT, GATEWAY
from tests.pictures.screen import DARK, LIGHT, Theme, screenshot
from wire.qr import Size, drawable, size, symbol, terminal

LONGEST_OF_VERSION_5 = f"HPG1:{'A2' * 58}B"
CODES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=1, max_size=250).map("HPG1:".__add__)


def _read(window: Image.Image) -> str:
    found = zxingcpp.read_barcodes(window.convert("L"))
    assert len(found) == 1
    return found[0].text


@pytest.mark.parametrize("code", [GATEWAY, LONGEST_OF_VERSION_5])
def test_a_gateways_code_takes_21_rows_of_a_terminal(code: str) -> None:
    lines = terminal(code).split("\n")

    assert size(code) == Size(columns=41, rows=21)
    assert len(lines) == 21 + 1  # the last line feed
    assert lines[-1] == ""


@given(CODES)
def test_the_size_is_what_is_drawn(code: str) -> None:
    drawn = screenshot(terminal(code), Theme(ink=(1, 1, 1), paper=(9, 9, 9)), rows=60, above=0)
    columns, rows = size(code).columns, size(code).rows
    corner = (columns * 8 - 1, rows * 16 - 1)

    assert drawn.getpixel(corner) == (255, 255, 255)
    assert drawn.getpixel((corner[0] + 1, corner[1])) == (9, 9, 9)
    assert drawn.getpixel((corner[0], corner[1] + 1)) == (9, 9, 9)


@given(CODES, st.sampled_from([DARK, LIGHT]), st.integers(min_value=0, max_value=4))
def test_what_a_terminal_shows_reads_back(code: str, theme: Theme, gap: int) -> None:
    apart = Theme(ink=theme.ink, paper=theme.paper, gap=gap)

    assert _read(screenshot(terminal(code), apart, rows=60)) == code


def test_a_terminal_without_colours_still_shows_the_blocks() -> None:
    bare = "".join(part.partition("m")[2] for part in terminal(GATEWAY).split("\x1b["))

    assert _read(screenshot(bare, LIGHT)) == GATEWAY


def test_every_line_takes_its_colours_back() -> None:
    assert all(line.endswith("\x1b[0m") for line in terminal(CONTACT).splitlines())


def test_a_code_is_drawn_in_alphanumeric_mode_at_level_m() -> None:
    drawn = symbol(LONGEST_OF_VERSION_5)

    assert (drawn.version, drawn.error, drawn.mode) == (5, "M", "alphanumeric")


@pytest.mark.parametrize("draw", [symbol, size, terminal])
@pytest.mark.parametrize("text", ["hpg1:aaaa", "HPG1:É", "HPG1:A\n", "HPG1:" + "A" * 4000, ""])
def test_what_is_no_code_is_not_drawn(text: str, draw: Callable[[str], object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are segno's, and differ
        draw(text)


@pytest.mark.parametrize(
    ("encoding", "drawn"), [("utf-8", True), ("ascii", False), ("latin-1", False)]
)
def test_a_qr_is_drawn_on_a_terminal_that_knows_the_blocks(encoding: str, drawn: bool) -> None:
    controller, screen = os.openpty()
    try:
        with open(screen, "w", encoding=encoding) as stream:
            assert drawable(stream) is drawn
    finally:
        os.close(controller)


def test_nothing_is_drawn_where_no_terminal_is(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    with open(writer, "w", encoding="utf-8") as pipe:
        assert not drawable(pipe)
    with (tmp_path / "log").open("w", encoding="utf-8") as file:
        assert not drawable(file)
    assert not drawable(io.StringIO())
