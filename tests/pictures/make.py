"""Makes the twenty fixed pictures, such as a phone takes of a screen, and their manifest.

    .venv/bin/python -m tests.pictures.make

They were made once and lie here as files, so that what is read does not change with the library
that draws. Noise comes from a hash of the picture's name: a second run shows the same.
"""

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import segno
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from peer.codes.qr import png
from tests.pictures.screen import DARK, LIGHT, Theme, screenshot
from wire.qr import terminal

FOLDER: Final = Path(__file__).parent
MANIFEST: Final = FOLDER / "manifest.json"

GATEWAY: Final = (
    "HPG1:AE4VY3TL4GS7CDOMXHAJBMVPFYDIYQVHT5YTAILWMFY2MIV7IREIBS3OJZDJQCGPOM3WIADWAUGLA5LFKPYQAAIRK"
    "FYGSLTMMFXKB5Q"
)
"""A gateway's code of 64 bytes: version 5."""
CONTACT: Final = (
    "HPC1:AEX4EOTZK66GN37KSPMQCOMKHUB3OURKSS4XELBQW3E32CD5FYVOFN2IZNBPWEXEFXUQPCVMI3FMIVW3PNHRR3FWT"
    "XO25TK4V7D5JCWJMVJ7CAEC3X4WI7FTJZGLYGHGC6Z3ZCQJAEIVC4DJFZWGC3WLJU"
)
"""A contact's code of 96 bytes: version 7."""
FOREIGN: Final = "https://example.org/menu?table=7"

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture: its file, what it shows in words, how it is made, and what is to come of it."""

    file: str
    shows: str
    make: Callable[[], Image.Image]
    text: str | None = None
    refusal: str | None = None
    quality: int = 70
    """JPEG quality; of no meaning for a PNG."""

    def data(self) -> bytes:
        """Return the file's bytes."""
        out = io.BytesIO()
        if self.file.endswith(".png"):
            self.make().save(out, format="PNG", optimize=True)
        else:
            self.make().convert("RGB").save(out, format="JPEG", quality=self.quality)
        return out.getvalue()


def sheet(text: str, *, side: int = 480) -> Image.Image:
    """Return the QR of a code as a square of `side` pixels."""
    symbol = Image.open(io.BytesIO(png(text))).convert("L")
    return symbol.resize((side, side), Image.Resampling.LANCZOS)


def foreign(*, side: int = 300) -> Image.Image:
    """Return the QR on a restaurant's table."""
    out = io.BytesIO()
    segno.make_qr(FOREIGN, error="m").save(out, kind="png", scale=8)
    return Image.open(out).convert("L").resize((side, side), Image.Resampling.LANCZOS)


def on_desk(*things: tuple[Image.Image, tuple[int, int]], size: tuple[int, int]) -> Image.Image:
    """Return a desk of uneven grey with each thing at its place."""
    desk = ImageChops.add(Image.linear_gradient("L").resize(size), Image.new("L", size, 60), 4)
    for thing, place in things:
        desk.paste(thing, place)
    return desk


def centred(thing: Image.Image, *, size: tuple[int, int] = (800, 600)) -> Image.Image:
    """Return a desk with one thing in its middle."""
    place = ((size[0] - thing.width) // 2, (size[1] - thing.height) // 2)
    return on_desk((thing, place), size=size)


def turned(picture: Image.Image, *, degrees: float) -> Image.Image:
    """Return the picture as a hand holds the phone: never quite upright."""
    return picture.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=70)


def blurred(picture: Image.Image, *, radius: float) -> Image.Image:
    """Return the picture out of focus by `radius` pixels."""
    return picture.filter(ImageFilter.GaussianBlur(radius))


def noisy(picture: Image.Image, *, name: str, share: float) -> Image.Image:
    """Return the picture as a sensor sees it in a dim room; `share` of each pixel is chance."""
    grain = hashlib.shake_256(name.encode()).digest(picture.width * picture.height)
    return Image.blend(picture, Image.frombytes("L", picture.size, grain), share)


def lit_from_a_side(picture: Image.Image, *, darkest: int) -> Image.Image:
    """Return the picture under a lamp at the left: its far edge keeps `darkest` of 255."""
    slope = Image.linear_gradient("L").rotate(-90).resize(picture.size)
    light = slope.point([darkest + (255 - darkest) * level // 255 for level in range(256)])
    return ImageChops.multiply(picture, light)


def through_a_grid(picture: Image.Image, *, pitch: int, degrees: float) -> Image.Image:
    """Return a photo of a screen: its pixel grid beats with the camera's, which makes moiré."""
    large = picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST)
    grid = Image.new("L", large.size, 255)
    lines = ImageDraw.Draw(grid)
    for x in range(0, large.width, pitch):
        lines.line((x, 0, x, large.height), fill=90)
    for y in range(0, large.height, pitch):
        lines.line((0, y, large.width, y), fill=130)
    seen = ImageChops.multiply(large, grid).rotate(degrees, Image.Resampling.BILINEAR)
    return seen.resize((picture.width * 19 // 20, picture.height * 19 // 20), Image.Resampling.BOX)


def aslant(picture: Image.Image, corners: Sequence[Point]) -> Image.Image:
    """Return the picture in perspective: its four corners, clockwise, where `corners` puts them."""
    width, height = picture.size
    edges = ((0, 0), (width, 0), (width, height), (0, height))
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(corners, edges, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    return picture.transform(
        picture.size,
        Image.Transform.PERSPECTIVE,
        _solved(rows),
        Image.Resampling.BICUBIC,
        fillcolor=60,
    )


def _solved(rows: list[list[float]]) -> list[float]:
    """Return the solution of a linear system, its right side the last column (Gauss, Jordan)."""
    for step in range(len(rows)):
        best = max(range(step, len(rows)), key=lambda row: abs(rows[row][step]))
        rows[step], rows[best] = rows[best], rows[step]
        rows[step] = [value / rows[step][step] for value in rows[step]]
        for other in range(len(rows)):
            if other != step:
                factor = rows[other][step]
                pairs = zip(rows[other], rows[step], strict=True)
                rows[other] = [value - factor * pivot for value, pivot in pairs]
    return [row[-1] for row in rows]


def letter_on_paper() -> Image.Image:
    """Return a written page: much black on white, and no code."""
    page = Image.new("L", (500, 560), 245)
    draw = ImageDraw.Draw(page)
    for number in range(24):
        words = hashlib.shake_256(f"line {number}".encode()).hexdigest(30)
        draw.text((30, 20 + number * 22), " ".join(words[at : at + 5] for at in range(0, 60, 5)))
        draw.line((30, 36 + number * 22, 470, 36 + number * 22), fill=120)
    return page


def of_a_terminal(text: str, theme: Theme) -> Image.Image:
    """Return a photo of the terminal that shows `text`, a little aslant and out of focus."""
    picture = screenshot(terminal(text), theme, columns=64, rows=26, above=2).convert("L")
    width, height = picture.size
    corners = ((14, 8), (width - 6, 0), (width - 20, height - 4), (0, height - 16))
    return blurred(aslant(picture, corners), radius=0.8)


SCENES: Final = (
    Scene("gateway.png", "the file that was written", lambda: sheet(GATEWAY), text=GATEWAY),
    Scene("contact.png", "the file that was written", lambda: sheet(CONTACT), text=CONTACT),
    Scene(
        "gateway-turned.jpg",
        "turned by 11 degrees",
        lambda: turned(centred(sheet(GATEWAY, side=400)), degrees=11),
        text=GATEWAY,
    ),
    Scene(
        "contact-turned.jpg",
        "turned by 27 degrees the other way",
        lambda: turned(centred(sheet(CONTACT, side=420)), degrees=-27),
        text=CONTACT,
    ),
    Scene(
        "gateway-blurred.jpg",
        "out of focus by half a module",
        lambda: blurred(centred(sheet(GATEWAY)), radius=4.5),
        text=GATEWAY,
    ),
    Scene(
        "contact-blurred.jpg",
        "out of focus, turned by 5 degrees",
        lambda: turned(blurred(centred(sheet(CONTACT)), radius=3), degrees=5),
        text=CONTACT,
    ),
    Scene(
        "gateway-aslant.jpg",
        "from below, the far edge a third shorter",
        lambda: aslant(centred(sheet(GATEWAY)), ((150, 60), (650, 60), (800, 560), (0, 560))),
        text=GATEWAY,
    ),
    Scene(
        "contact-aslant.jpg",
        "from the left and above",
        lambda: aslant(centred(sheet(CONTACT)), ((0, 0), (720, 110), (700, 520), (40, 600))),
        text=CONTACT,
    ),
    Scene(
        "gateway-noise.jpg",
        "nearly in the dark, seven tenths of each pixel chance",
        lambda: noisy(centred(sheet(GATEWAY)), name="gateway-noise", share=0.7),
        text=GATEWAY,
        quality=40,
    ),
    Scene(
        "contact-noise.jpg",
        "in a dim room, a third of each pixel chance",
        lambda: noisy(centred(sheet(CONTACT)), name="contact-noise", share=0.35),
        text=CONTACT,
        quality=45,
    ),
    Scene(
        "gateway-lamp.jpg",
        "a lamp at one side, the other nearly dark",
        lambda: lit_from_a_side(centred(sheet(GATEWAY)), darkest=25),
        text=GATEWAY,
    ),
    Scene(
        "contact-lamp.jpg",
        "a lamp at one side, aslant, with noise",
        lambda: noisy(
            lit_from_a_side(
                aslant(centred(sheet(CONTACT)), ((60, 0), (780, 40), (740, 590), (0, 540))),
                darkest=60,
            ),
            name="contact-lamp",
            share=0.12,
        ),
        text=CONTACT,
    ),
    Scene(
        "gateway-moire.jpg",
        "a screen whose grid beats with the camera's",
        lambda: through_a_grid(centred(sheet(GATEWAY)), pitch=3, degrees=4),
        text=GATEWAY,
    ),
    Scene(
        "gateway-artefacts.jpg",
        "squeezed by a messenger: JPEG of quality 6",
        lambda: turned(centred(sheet(GATEWAY, side=330)), degrees=-6),
        text=GATEWAY,
        quality=6,
    ),
    Scene(
        "contact-far-away.jpg",
        "a tenth of the frame's height, three pixels to a module",
        lambda: blurred(
            turned(on_desk((sheet(CONTACT, side=160), (1100, 700)), size=(1600, 1200)), degrees=3),
            radius=0.6,
        ),
        text=CONTACT,
    ),
    Scene(
        "gateway-terminal-dark.png",
        "a screenshot of a dark terminal",
        lambda: screenshot(terminal(GATEWAY), DARK),
        text=GATEWAY,
    ),
    Scene(
        "gateway-terminal-gaps.jpg",
        "a photo of a light terminal whose lines stand apart by a fifth of their height",
        lambda: of_a_terminal(GATEWAY, Theme(LIGHT.ink, LIGHT.paper, gap=3)),
        text=GATEWAY,
    ),
    Scene(
        "contact-beside-a-menu.jpg",
        "a contact's code and a restaurant's",
        lambda: turned(
            on_desk(
                (sheet(CONTACT, side=400), (60, 110)), (foreign(), (560, 180)), size=(920, 640)
            ),
            degrees=4,
        ),
        text=CONTACT,
    ),
    Scene(
        "two-of-ours.jpg",
        "a gateway's code and a contact's: which one is wanted, nobody can know",
        lambda: turned(
            on_desk(
                (sheet(GATEWAY, side=380), (40, 120)),
                (sheet(CONTACT, side=420), (460, 100)),
                size=(920, 640),
            ),
            degrees=-3,
        ),
        refusal="several-codes",
    ),
    Scene(
        "no-code.jpg",
        "a written page on a desk",
        lambda: turned(centred(letter_on_paper()), degrees=2),
        refusal="no-code",
    ),
)


def main() -> None:
    """Write every picture, then the manifest."""
    for scene in SCENES:
        (FOLDER / scene.file).write_bytes(scene.data())
    rows = [
        {"file": scene.file, "shows": scene.shows, "text": scene.text, "refusal": scene.refusal}
        for scene in SCENES
    ]
    MANIFEST.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
