import io
import json
import os
import zlib
from pathlib import Path
from typing import Any

import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from peer.codes import errors
from peer.codes.picture import MAX_BYTES, WORKING_SIDE, code_in, read_code
from peer.codes.qr import png
from tests.pictures import make
from tests.pictures.make import CONTACT, FOLDER, GATEWAY, MANIFEST, Scene

PICTURES: list[dict[str, Any]] = json.loads(MANIFEST.read_text(encoding="utf-8"))
DECODABLE = [picture for picture in PICTURES if picture["text"]]
REFUSED = [picture for picture in PICTURES if picture["refusal"]]


def _answer(data: bytes) -> str:
    """Return the text of the code, or the stable name of the refusal."""
    try:
        return code_in(data)
    except errors.CodesError as refusal:
        return refusal.code


def _saved(picture: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture.save(out, format=kind)
    return out.getvalue()


def _promise(*, width: int, height: int) -> bytes:
    """Return the beginning of a PNG that promises a size and holds not one whole row of it."""
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    header, rows = size + bytes([8, 0, 0, 0, 0]), zlib.compress(bytes(16))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows)


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body).to_bytes(4, "big")
    return len(body).to_bytes(4, "big") + kind + body + check


@pytest.mark.parametrize("picture", DECODABLE, ids=lambda picture: picture["file"])
def test_the_code_in_a_picture_is_read(picture: dict[str, Any]) -> None:
    assert read_code(FOLDER / picture["file"]) == picture["text"]


@pytest.mark.parametrize("picture", REFUSED, ids=lambda picture: picture["file"])
def test_a_picture_without_one_wanted_code_is_refused(picture: dict[str, Any]) -> None:
    with pytest.raises(errors.CodesError) as refused:
        read_code(FOLDER / picture["file"])

    assert refused.value.code == picture["refusal"]


def test_there_are_twenty_pictures_and_each_is_in_the_manifest() -> None:
    files = {path.name for path in FOLDER.iterdir() if path.suffix in {".png", ".jpg"}}

    assert len(PICTURES) == 20
    assert files == {picture["file"] for picture in PICTURES}
    assert sum((FOLDER / file).stat().st_size for file in files) < 1_500_000


@pytest.mark.parametrize("scene", make.SCENES, ids=lambda scene: scene.file)
def test_a_picture_made_again_gives_the_same_answer(scene: Scene) -> None:
    kept = (FOLDER / scene.file).read_bytes()

    assert _answer(scene.data()) == _answer(kept) == (scene.text or scene.refusal)


def test_two_codes_of_ours_are_refused_and_named() -> None:
    with pytest.raises(errors.SeveralCodes) as refused:
        read_code(FOLDER / "two-of-ours.jpg")

    assert str(refused.value) == (
        "this picture shows 2 Homepost codes: the code of a person, for adding a contact; "
        "the code of a gateway. Take a picture of the wanted one alone"
    )


def test_the_same_code_twice_in_a_picture_is_one_code() -> None:
    sheet = make.sheet(GATEWAY, side=300)
    desk = make.on_desk((sheet, (20, 50)), (sheet, (360, 50)), size=(700, 400))

    assert code_in(_saved(desk)) == GATEWAY


def test_a_foreign_code_alone_is_told_from_no_code() -> None:
    desk = make.centred(make.foreign())

    with pytest.raises(errors.ForeignCode, match="not a Homepost code"):
        code_in(_saved(desk))


def test_a_micro_qr_is_no_code() -> None:
    out = io.BytesIO()
    segno.make_micro("77523").save(out, kind="png", scale=12)

    with pytest.raises(errors.NoCode):
        code_in(out.getvalue())


def test_the_caller_says_what_counts_as_a_code_of_ours() -> None:
    menu = (FOLDER / "contact-beside-a-menu.jpg").read_bytes()

    assert code_in(menu, looks_like_code=lambda text: text.startswith("https:")) == make.FOREIGN


def test_no_refusal_repeats_what_the_codes_say() -> None:
    with pytest.raises(errors.SeveralCodes) as refused:
        read_code(FOLDER / "two-of-ours.jpg")

    shown = f"{refused.value!r} {refused.value} {vars(refused.value)}"
    assert not any(code[5:15] in shown for code in (GATEWAY, CONTACT))


def test_a_code_on_a_transparent_ground_is_read() -> None:
    symbol = Image.open(io.BytesIO(png(GATEWAY))).convert("L")
    ink = Image.new("RGBA", symbol.size, (0, 0, 0, 0))
    ink.putalpha(symbol.point(lambda level: 255 - level))

    assert code_in(_saved(ink)) == GATEWAY


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_a_code_is_read_from_every_kind_of_png(mode: str) -> None:
    symbol = Image.open(io.BytesIO(png(GATEWAY))).convert("L")
    if mode == "I;16":
        deep = bytes(byte for level in symbol.tobytes() for byte in (level, level))
        picture = Image.frombytes(mode, symbol.size, deep)
    else:
        picture = symbol.convert(mode)

    assert code_in(_saved(picture)) == GATEWAY


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_larger_than_is_searched_is_made_smaller(kind: str) -> None:
    large = make.centred(make.sheet(GATEWAY, side=3000), size=(WORKING_SIDE + 904, 4000))

    assert code_in(_saved(large, kind)) == GATEWAY


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.NoSuchPicture, match=r"there is no file .*holiday\.jpg"):
        read_code(tmp_path / "holiday.jpg")


def test_what_is_no_file_is_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")

    for path in (tmp_path, tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(errors.CannotRead, match="it is no file"):
            read_code(path)


@pytest.mark.parametrize("name", ["a\0b.png", "n" * 300, "file/inside.png"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(errors.CannotRead):
        read_code(tmp_path / name)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + bytes(40),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        _promise(width=40, height=40),
        png(GATEWAY)[:-40],
        (FOLDER / "gateway-turned.jpg").read_bytes()[:20_000],
        _saved(Image.new("L", (64, 64)), "GIF"),
        _saved(Image.new("L", (64, 64)), "BMP"),
    ],
    ids=["empty", "gif header", "svg", "png header", "cut png", "cut jpeg", "gif", "bmp"],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(errors.NotAPicture, match="save it as PNG or JPEG"):
        code_in(data)


@pytest.mark.parametrize("side", [8_001, 10_000, 20_000, 2**31 - 1])
def test_a_picture_that_would_unpack_to_too_many_pixels_is_refused_unread(side: int) -> None:
    with pytest.raises(errors.PictureTooLarge, match="64 megapixels"):
        code_in(_promise(width=side, height=side))


def test_a_file_of_too_many_bytes_is_refused(tmp_path: Path) -> None:
    picture = tmp_path / "film.png"
    picture.write_bytes(png(GATEWAY))
    os.truncate(picture, MAX_BYTES + 1)

    with pytest.raises(errors.PictureTooLarge, match="32 MiB"):
        read_code(picture)


@given(
    st.sampled_from(["gateway-terminal-dark.png", "gateway-artefacts.jpg"]),
    st.lists(st.tuples(st.integers(0, 14_000), st.binary(min_size=1, max_size=6)), max_size=6),
    st.just(15_000) | st.integers(min_value=0, max_value=15_000),
)
@settings(max_examples=150)
def test_a_damaged_picture_gives_an_answer_or_a_typed_refusal(
    file: str, patches: list[tuple[int, bytes]], length: int
) -> None:
    data = bytearray((FOLDER / file).read_bytes())
    for offset, patch in patches:
        at = offset % len(data)
        data[at : at + len(patch)] = patch

    allowed = {
        GATEWAY,  # the damage was repaired, or touched nothing that is looked at
        "not-a-picture",  # the file's own structure is broken
        "picture-too-large",  # the damage made the header promise more
        "no-code",  # the picture opens, the code is gone
    }
    assert _answer(bytes(data[:length])) in allowed
