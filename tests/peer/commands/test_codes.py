"""A code is typed, or read from the picture that is named in its place."""

import json
import shutil
from pathlib import Path

import pytest

from peer.codes.errors import CodesError, NoSuchPicture
from peer.commands.codes import code_given
from tests.pictures.make import FOLDER, MANIFEST

TEXTS: dict[str, str] = {
    one["file"]: one["text"] for one in json.loads(MANIFEST.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize(
    "typed", [TEXTS["contact.png"], TEXTS["gateway.png"].lower(), "HPC1: AEX4 EOTZ", "png", ""]
)
def test_what_was_typed_is_the_code(typed: str) -> None:
    assert code_given(typed) == typed


@pytest.mark.parametrize("file", ["contact.png", "gateway.png", "contact-turned.jpg"])
def test_a_picture_gives_the_code_that_it_shows(file: str) -> None:
    assert code_given(str(FOLDER / file)) == TEXTS[file]


@pytest.mark.parametrize("name", ["CODE.PNG", "code.JPG", "my code.jpeg", "code.v1.png"])
def test_a_picture_is_known_by_the_end_of_its_name(tmp_path: Path, name: str) -> None:
    shutil.copy(FOLDER / "contact.png", tmp_path / name)

    assert code_given(str(tmp_path / name)) == TEXTS["contact.png"]


def test_a_file_of_another_kind_is_not_looked_into(tmp_path: Path) -> None:
    """What it is taken for is no code, and says so where it is read."""
    other = shutil.copy(FOLDER / "contact.png", tmp_path / "code.txt")

    assert code_given(str(other)) == str(other)


def test_a_picture_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoSuchPicture) as refused:
        code_given(str(tmp_path / "code.png"))

    assert refused.value.path == tmp_path / "code.png"


@pytest.mark.parametrize(
    ("file", "code"), [("no-code.jpg", "no-code"), ("two-of-ours.jpg", "several-codes")]
)
def test_a_picture_without_one_wanted_code_is_refused(file: str, code: str) -> None:
    with pytest.raises(CodesError) as refused:
        code_given(str(FOLDER / file))

    assert refused.value.code == code
