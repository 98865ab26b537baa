"""Finds the key of the phone's file: from the system's keyring, or by asking for the PIN."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from peer.errors import KeyringAway, Locked, StoreUnusable, WrongPin
from peer.header import KEY_NAME, read_header
from peer.keys import errors as keys
from peer.keys.file_key import FileKey, Header, LockKind
from peer.resealing import tidy
from peer.store import SEALED_NAME, files_there
from peer.system_keyring import system_keyring

AskPin = Callable[[], Awaitable[str]]
"""Asks whoever is there for the PIN.

Raises:
    Locked: nobody is there.
"""

LOST: Final = "the system’s keyring has no key for this phone’s file"


async def file_key(home: Path, ask: AskPin | None) -> FileKey | None:
    """Return the key of the file in the folder `home`; None if it is not sealed, or not there.

    Raises:
        Locked: a PIN is needed, and nobody can be asked.
        WrongPin: it is another one.
        KeyringAway: the keyring is not there, or has no key for this file.
        StoreUnusable: what holds the key is damaged or gone.
    """
    tidy(home)
    plain, sealed = files_there(home)
    if plain and not sealed:
        return None
    header = read_header(home)
    if header is None:
        if sealed:
            raise StoreUnusable(
                f"{home / SEALED_NAME} is sealed, and {KEY_NAME} beside it is gone; put that back,"
                " for nothing else opens it"
            )
        return None
    if header.kind is LockKind.KEYRING:
        return _from_keyring(header)
    if ask is None:
        raise Locked
    return by_pin(header, await ask())


def lock_kind(home: Path) -> LockKind | None:
    """Return what opens the phone's file; None if it is plain.

    Raises:
        StoreUnusable: what holds its key is damaged.
    """
    _, sealed = files_there(home)
    header = read_header(home) if sealed else None
    return None if header is None else header.kind


def lock_name(home: Path) -> str:
    """Return what opens the phone's file in a word: pin, keyring or none."""
    kind = lock_kind(home)
    return "none" if kind is None else kind.name.lower()


def by_pin(header: Header, pin: str) -> FileKey:
    """Open a header with a PIN; it takes a moment on purpose.

    Raises:
        WrongPin
    """
    try:
        return header.open(pin)
    except keys.WrongPin:
        raise WrongPin from None


def _from_keyring(header: Header) -> FileKey:
    kept = system_keyring().get(header.id)
    if kept is None:
        raise KeyringAway(f"{LOST}; was it another user’s, or deleted?")
    try:
        return header.open(kept)
    except keys.WrongPin:
        raise KeyringAway(f"{LOST}, only another one under its name") from None
