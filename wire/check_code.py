"""The check code: one number that two screens show, in digits or in pictures.

Whoever sits between two screens cannot make both show the same number, but for one guess in a
million (docs/protocol.md §3.3, §7).
"""

from typing import Final

from wire.kdf import hash32

COUNT: Final = 1_000_000
PICTURES: Final = (
    "dog", "cat", "horse", "cow", "pig", "bird", "fish", "bee",
    "tree", "flower", "apple", "pear", "cherry", "carrot", "bread", "egg",
    "sun", "moon", "star", "cloud", "rain", "fire", "hill", "boat",
    "house", "door", "key", "lamp", "chair", "clock", "book", "bell",
)  # fmt: skip
"""32 things that anybody can name, in the order of their numbers."""


def check_number(*transcript: bytes) -> int:
    """Return the number, 0 ≤ it < 1,000,000, over everything both sides have said."""
    return int.from_bytes(hash32("check-code", *transcript)[:8], "big") % COUNT


def digits(number: int) -> str:
    """Return the number as six digits in two groups: `042 917`."""
    text = f"{number:06d}"
    return f"{text[:3]} {text[3:]}"


def pictures(number: int) -> tuple[str, ...]:
    """Return the number as four pictures, the first the most significant."""
    return tuple(PICTURES[number >> shift & 31] for shift in (15, 10, 5, 0))
