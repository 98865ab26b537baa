"""A code as it is given to a command: typed, or on a picture."""

from pathlib import Path
from typing import Final

from peer.codes.picture import read_code

PICTURES: Final = frozenset({".png", ".jpg", ".jpeg"})


def code_given(given: str) -> str:
    """Return the code that was typed, or the one on the picture that was named."""
    path = Path(given)
    return read_code(path) if path.suffix.lower() in PICTURES else given
