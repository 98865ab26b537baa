"""Phones whose file is sealed, for tests: with a PIN that costs next to nothing."""

from pathlib import Path
from typing import Final

import pytest

from peer.keys.file_key import Cost, FileKey
from peer.locking import Locking
from peer.store import Store, open_store
from peer.unlocking import file_key

CHEAP: Final = Cost(1, 8)
PIN: Final = "correct horse"
CANARY: Final = b"The canary sings at noon, behind the bakery."
NAMES: Final = frozenset({"phone.sqlite", "phone.sealed", "phone.key", "phone.lock"})
"""What lies in the folder of a phone that is not open."""


def key_of(home: Path, pin: str = PIN) -> FileKey | None:
    """Return the key of a phone's file, by its PIN."""

    async def typed() -> str:
        return pin

    work = file_key(home, typed)
    with pytest.raises(StopIteration) as done:  # it waits for nobody, so it needs no loop
        work.send(None)
    key: FileKey | None = done.value.value
    return key


def opened(home: Path, pin: str = PIN) -> Store:
    """Open a phone as a command does; make it if there is none."""
    store = open_store(home, create=True, key=key_of(home, pin))
    assert store is not None
    return store


def lock(home: Path, pin: str = PIN) -> None:
    """Seal a phone under a PIN, or give it another one."""
    Locking(home, cost=CHEAP).lock_with_pin(pin, key_of(home))


def unlock(home: Path) -> None:
    """Take the lock off."""
    key = key_of(home)
    assert key is not None
    Locking(home).take_off(key)


def sing(store: Store) -> None:
    """Write something down that is found where it is not sealed."""
    with store.transaction():
        for number in range(100):
            store.keep_note(f"canary/{number}", CANARY)


def sings(store: Store) -> bool:
    """Return whether all of it is there."""
    return all(store.note(f"canary/{number}") == CANARY for number in range(100))


def readable(home: Path) -> list[str]:
    """Return the files in which somebody who knows nothing finds something."""
    signs = (CANARY, CANARY[4:20], b"canary", b"SQLite format", b"CREATE ", b"lane", b"INTEGER")
    return sorted(
        one.name for one in home.iterdir() if any(sign in one.read_bytes() for sign in signs)
    )
