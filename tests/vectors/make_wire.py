"""Writes the vectors of everything that `wire` speaks: `python -m tests.vectors.make_wire`.

They come out the same each time. A change in one is a change of the protocol, to be made knowingly.
"""

from collections.abc import Callable
from typing import Final

from tests.vectors import wire_cards, wire_messages, wire_pushes, wire_recovery
from tests.vectors.cases import FOLDER, Cases

FILES: Final[dict[str, Callable[[], Cases]]] = {
    "cbor.json": wire_messages.cbor,
    "conventions.json": wire_messages.conventions,
    "codes.json": wire_messages.codes,
    "pairing.json": wire_messages.pairing,
    "parcels.json": wire_messages.parcels,
    "frames.json": wire_messages.frames,
    "cards.json": wire_cards.cards,
    "prekeys.json": wire_cards.prekeys,
    "pushes.json": wire_pushes.pushes,
    "recovery.json": wire_recovery.recovery,
}


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(exist_ok=True)
    for name, cases in FILES.items():
        (FOLDER / name).write_text(cases().text(), encoding="ascii")


if __name__ == "__main__":
    main()
