"""The map that all devices of a person hold alike: for each key the value that counts.

A key is sixteen bytes; its first says how two values of it become one (`Merge`), the others are a
hash of what it is about, which tells nothing to whoever lacks the account key. Taking the same
entries in any order, any number of times, ends in the same map (docs/protocol.md §15.2).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from peer.devices.clock import Stamp
from peer.devices.merges import merged_dotted, merged_marks
from wire.errors import Malformed, WireError

KEY_BYTES: Final = 16


class Merge(IntEnum):
    """How two values of one key become one: the first byte of the key, divided by ten."""

    REGISTER = 0
    READ = 1
    BLOCK = 2
    DRAFT = 3
    MEMBER = 4


_JOINED: Final[Mapping[int, Callable[[bytes, bytes], bytes]]] = {
    Merge.READ: merged_marks,
    Merge.BLOCK: merged_dotted,
    Merge.DRAFT: merged_dotted,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """The value of a key as some device wrote it; None: it is no more."""

    key: bytes
    stamp: Stamp
    value: bytes | None

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise Malformed(f"a key of the state has {KEY_BYTES} bytes, not {len(self.key)}")


def merge_of(key: bytes) -> int:
    """Return how two values of this key become one; what is unknown is a register."""
    return key[0] // 10


def joined(one: Entry, other: Entry) -> Entry:
    """Return what counts after two entries of one key."""
    join = _JOINED.get(merge_of(one.key))
    if join is None:
        return max(one, other, key=_rank)
    stamp = max(one.stamp, other.stamp)
    if one.value is None or other.value is None:  # nothing adds nothing
        return Entry(one.key, stamp, other.value if one.value is None else one.value)
    return Entry(one.key, stamp, join(one.value, other.value))


def is_sound(entry: Entry) -> bool:
    """Return whether an entry's value can be joined with others; who wrote it may be faulty."""
    try:
        joined(entry, entry)
    except WireError:
        return False
    return True


def _rank(entry: Entry) -> tuple[object, ...]:
    stamp, removed, value = entry.stamp, entry.value is None, entry.value or b""
    if merge_of(entry.key) == Merge.MEMBER:
        return (stamp.epoch, stamp.time, removed, stamp.device, stamp.seq, value)
    return (stamp.epoch, stamp.time, stamp.device, stamp.seq, removed, value)


class State(dict[bytes, Entry]):
    """The map, in memory."""

    def take(self, entries: Iterable[Entry]) -> set[bytes]:
        """Take entries; return the keys of which something else counts now."""
        changed = set()
        for entry in entries:
            held = self.get(entry.key)
            counts = entry if held is None else joined(held, entry)
            if counts != held:
                self[entry.key] = counts
                changed.add(entry.key)
        return changed
