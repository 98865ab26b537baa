"""Finds secrets in a heap of bytes, in whatever spelling they may lie there.

A needle is a secret of at least 16 bytes in one spelling: as it is, UTF-16, hex, as Python prints
bytes, base32 and base64 at each alignment. Any needle of 15 bytes or more holds one whole 8-byte
word at a multiple of eight, wherever it begins; so the heap is read once as a list of words, and
only where a word of a needle turns up is looked for the needle itself. Ten thousand needles cost no
more than one.
"""

import base64
import binascii
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

LEAST: Final = 16
"""Bytes of the shortest secret: less could turn up by chance, or fall between two words."""
MAX_INFLATED: Final = 1 << 20
"""Bytes of an inflated stream that are searched."""

_WORD: Final = 8
_GZIP: Final = b"\x1f\x8b\x08"
_ZLIB: Final = tuple(bytes((0x78, flags)) for flags in range(256) if (0x7800 + flags) % 31 == 0)


def canary() -> str:
    """Return a random word of 16 bytes that no text holds by chance."""
    return base64.b32encode(secrets.token_bytes(10)).decode("ascii").lower()


@dataclass(frozen=True, slots=True)
class Hit:
    """A secret that was found."""

    secret: str
    """What it is called."""
    spelling: str
    where: str

    def __str__(self) -> str:
        return f"{self.secret} as {self.spelling} in {self.where}"


def spellings(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each way to spell a secret, and what it is called.

    Raises:
        ValueError: the secret is too short to be told from chance.
    """
    if len(secret) < LEAST:
        raise ValueError(f"a secret of {len(secret)} bytes could turn up by chance")
    yield "plain bytes", secret
    if secret.isascii():
        yield "UTF-16", secret.decode("ascii").encode("utf-16-le")
        yield "UTF-16, high byte first", secret.decode("ascii").encode("utf-16-be")
    else:
        yield "Python prints it", repr(secret)[2:-1].encode("ascii")
    yield "hex", binascii.hexlify(secret)
    yield "hex in capitals", binascii.hexlify(secret).upper()
    for name, encode, bits in _ALPHABETS:
        for before in range(5 if bits == 5 else 3):
            yield (
                f"{name}, after {before} bytes",
                _aligned(secret, encode, bits=bits, before=before),
            )


def _aligned(secret: bytes, encode: Callable[[bytes], bytes], *, bits: int, before: int) -> bytes:
    """Return the characters that the secret alone decides when `before` bytes stand before it."""
    first = -(-8 * before // bits)
    last = 8 * (before + len(secret)) // bits
    return encode(bytes(before) + secret)[first:last]


_ALPHABETS: Final[tuple[tuple[str, Callable[[bytes], bytes], int], ...]] = (
    ("base64", base64.b64encode, 6),
    ("base64url", base64.urlsafe_b64encode, 6),
    ("base32", base64.b32encode, 5),
    ("base32 in small letters", lambda data: base64.b32encode(data).lower(), 5),
)


class Needles:
    """Secrets to be looked for, each by its name, in all spellings."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._spelled: dict[bytes, tuple[str, str]] = {}
        for name, secret in secrets.items():
            for spelling, needle in spellings(secret):
                self._spelled.setdefault(needle, (name, spelling))
        self._words: dict[int, list[bytes]] = {}
        for needle in self._spelled:
            for word in {_word(needle[at : at + _WORD]) for at in range(_WORD)}:
                self._words.setdefault(word, []).append(needle)
        self._known = frozenset(self._words)
        self.count = len(secrets)

    def find(self, heap: bytes, *, where: str) -> set[Hit]:
        """Return which secrets lie in `heap`."""
        whole = len(heap) - len(heap) % _WORD
        words = memoryview(heap)[:whole].cast("Q")
        return {
            Hit(*self._spelled[needle], where)
            for word in self._known.intersection(words)
            for needle in self._words[word]
            if needle in heap
        }

    def find_packed(self, heap: bytes, *, where: str) -> set[Hit]:
        """Return which secrets lie in `heap`, or in a compressed stream in it."""
        found = self.find(heap, where=where)
        for stream in inflated(heap):
            found |= self.find(stream, where=f"{where}, inflated")
        return found


def _word(data: bytes) -> int:
    return memoryview(data).cast("Q")[0]


def inflated(heap: bytes) -> Iterator[bytes]:
    """Yield what zlib and gzip streams in `heap` hold, as far as they can be read."""
    for start in _stream_starts(heap):
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: either header
        try:
            stream = inflater.decompress(heap[start : start + MAX_INFLATED], MAX_INFLATED)
        except zlib.error:
            continue
        if len(stream) >= LEAST:
            yield stream


def _stream_starts(heap: bytes) -> Iterable[int]:
    for mark in (_GZIP, *_ZLIB):
        at = heap.find(mark)
        while at >= 0:
            yield at
            at = heap.find(mark, at + 1)
