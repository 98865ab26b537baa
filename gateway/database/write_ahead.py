"""Notices a write-ahead log that was damaged in its middle, which SQLite takes for its end.

After a crash SQLite goes by the checksums: the first frame that does not fit is where the log ends,
for a transaction may have been on its way to the disk. All behind it is dropped without a word. But
each commit is fsynced before the next is written, so only the last one can be torn: where two
commits lie behind the frame at which SQLite stopped, that frame was on the disk, and is damaged.
Source: https://www.sqlite.org/fileformat2.html §4.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from gateway.database.migrate import HEADER_BYTES, PAGE_BYTES, page_bytes

_HEADER: Final = struct.Struct(">8I")
"""Magic, version, page size, checkpoint, two salts, two checksums."""
_AT_ONCE: Final = 256
"""Frames that are read at a time."""
_MAGIC: Final = 0x377F0682
"""Its last bit says in which order of bytes the checksums are made."""


@dataclass(frozen=True, slots=True)
class WriteAhead:
    """What lies in a log."""

    sound: bool
    """Whether its header is what was written: it is fsynced before anything follows it."""
    commits: tuple[int, ...]
    """The frames, counted from 1, that end a transaction of the round that the header began."""

    def lost(self, replayed: int) -> bool:
        """Return whether commits are lost, where SQLite has found the first `replayed` frames."""
        behind = sum(commit > replayed for commit in self.commits)
        return behind > (1 if self.sound else 0)


def read_write_ahead(store: Path) -> WriteAhead:
    """Return what lies in the log beside `store`; nothing, if there is none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with store.with_name(store.name + "-wal").open("rb") as file:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return WriteAhead(sound=True, commits=())
            sound = _is_sound(header)
            frames = _frames(file, _HEADER.unpack(header)[2] if sound else _pages_of(store))
            rounds, ends = Counter[bytes](), list[tuple[int, bytes]]()
            for number, (size, salts) in enumerate(frames, 1):
                rounds[salts] += 1
                if size:
                    ends.append((number, salts))
    except FileNotFoundError:
        return WriteAhead(sound=True, commits=())
    current = header[16:24] if sound else max(rounds, key=lambda one: rounds[one], default=b"")
    return WriteAhead(sound=sound, commits=tuple(one for one, salts in ends if salts == current))


def _frames(file: BinaryIO, page: int) -> Iterator[tuple[int, bytes]]:
    """Yield of each frame the size of the store after a commit (else 0), and its salts.

    Args:
        file: a log, after its header. There may be a hundred thousand frames in it.
        page: bytes of a page.
    """
    frame = struct.Struct(f">4xI8s8x{page}x")
    while content := file.read(frame.size * _AT_ONCE):
        yield from frame.iter_unpack(content[: len(content) // frame.size * frame.size])


def _pages_of(store: Path) -> int:
    """Return how large the pages of a store are, by its own first page."""
    try:
        with store.open("rb") as file:
            header = file.read(HEADER_BYTES)
            return page_bytes(header, size=store.stat().st_size)
    except FileNotFoundError:
        return PAGE_BYTES


def _is_sound(header: bytes) -> bool:
    magic, *_, first, second = _HEADER.unpack(header)
    if magic & ~1 != _MAGIC:
        return False
    words = struct.unpack(">6I" if magic & 1 else "<6I", header[:24])
    one = two = 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & 0xFFFF_FFFF
        two = (two + odd + one) & 0xFFFF_FFFF
    return (one, two) == (first, second)
