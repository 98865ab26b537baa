"""What a person decides about the lock of the phone's file: a PIN, the system's keyring, or none.

    locking = Locking(home)
    locking.lock_with_pin("correct horse", key)

Where the file is sealed already, only its header is written anew, and who has it open does not
notice. Where it is not, it is turned, and nobody else may have it open.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from peer import sqlite
from peer.errors import CannotSeal, KeyringAway, NoPerson, WeakPin
from peer.keys.file_key import MAX_PIN, MIN_PIN, PIN_COST, Cost, FileKey, Header, LockKind
from peer.keys.primitives import KEY_BYTES, system_random
from peer.resealing import begin_sealed, change_header, seal_file, unseal_file
from peer.store import files_there
from peer.system_keyring import SystemKeyring, system_keyring
from peer.unlocking import AskPin, file_key, lock_kind

TRY_SECONDS: Final = 0.6
"""What one try of a PIN costs one processor at `PIN_COST` (docs/protocol.md §18.2)."""
THIEF: Final = 100
"""Processors of a thief whom somebody pays."""


@dataclass(frozen=True, slots=True)
class LockState:
    """How a phone's file lies on the disk."""

    kind: LockKind | None
    """What its key is sealed under; None: the file is plain."""
    can_seal: bool
    """Whether anything here can seal it."""
    keyring: str | None
    """The system's keyring, if there is one that is fit."""


class Locking:
    """The lock of the phone in the folder `home`.

    Args:
        home: the phone's folder.
        cost: what a try of a new PIN is to cost.
    """

    def __init__(self, home: Path, *, cost: Cost = PIN_COST) -> None:
        self._home = home
        self._cost = cost

    def state(self) -> LockState:
        """Return how the file lies on the disk.

        Raises:
            NoPerson: there is no phone here.
            StoreUnusable: what holds the key is damaged.
        """
        self._needs_phone()
        try:
            keyring = system_keyring().name
        except KeyringAway:
            keyring = None
        return LockState(lock_kind(self._home), sqlite.CAN_SEAL, keyring)

    async def key(self, ask: AskPin | None) -> FileKey | None:
        """Return the key of the file as it is now; None if it is plain.

        Raises:
            NoPerson: there is no phone here.
            Locked, WrongPin, KeyringAway, StoreUnusable
        """
        self._needs_phone()
        return await file_key(self._home, ask)

    def lock_with_pin(self, pin: str, key: FileKey | None) -> None:
        """Let a PIN open the file, and nothing else.

        Args:
            pin: at least six characters.
            key: what `key` has returned.

        Raises:
            WeakPin: too short, or too long.
            InUse, CannotSeal, StoreUnusable
        """
        check_pin(pin)
        before = self._keyring_of(key)
        new = key or self._new()
        self._lock(new, Header.under_pin(new, pin, cost=self._cost), turn=key is None)
        if before is not None:
            before.forget(new.id)

    def lock_with_keyring(self, key: FileKey | None) -> str:
        """Let a key in the system's keyring open the file, and nothing else; return its name.

        Raises:
            KeyringAway: there is no keyring that is fit.
            InUse, CannotSeal, StoreUnusable
        """
        keyring = system_keyring()
        if key is not None and lock_kind(self._home) is LockKind.KEYRING:
            return keyring.name
        new, kept = key or self._new(), system_random(KEY_BYTES)
        keyring.keep(new.id, kept)
        self._lock(new, Header.under_keyring(new, kept), turn=key is None)
        return keyring.name

    def take_off(self, key: FileKey) -> None:
        """Make the file plain again.

        Raises:
            InUse, StoreUnusable
        """
        before = self._keyring_of(key)
        unseal_file(self._home, key)
        if before is not None:
            before.forget(key.id)

    def prepare(self, pin: str | None) -> None:
        """Lock a phone that is about to be made, with a PIN or else the system's keyring.

        Raises:
            PersonExists: there is a phone here already.
            WeakPin, KeyringAway, CannotSeal, StoreUnusable
        """
        new = self._new()
        if pin is not None:
            check_pin(pin)
            header = Header.under_pin(new, pin, cost=self._cost)
        else:
            kept = system_random(KEY_BYTES)
            system_keyring().keep(new.id, kept)
            header = Header.under_keyring(new, kept)
        begin_sealed(self._home, header)

    def _needs_phone(self) -> None:
        if not any(files_there(self._home)):
            raise NoPerson

    def _new(self) -> FileKey:
        if not sqlite.CAN_SEAL:
            raise CannotSeal
        return FileKey.generate()

    def _lock(self, key: FileKey, header: Header, *, turn: bool) -> None:
        if turn:
            seal_file(self._home, key, header)
        else:
            change_header(self._home, header)

    def _keyring_of(self, key: FileKey | None) -> SystemKeyring | None:
        """Return the keyring that keeps a key for the file, if one does and is there."""
        if key is None or lock_kind(self._home) is not LockKind.KEYRING:
            return None
        return system_keyring()


def check_pin(pin: str) -> None:
    """Refuse a PIN that would be found, or that nobody types.

    Raises:
        WeakPin
    """
    if len(pin) < MIN_PIN:
        raise WeakPin(
            f"a PIN has at least {MIN_PIN} characters: whoever has the device’s disk can try them"
            " all. Words are better than digits"
        )
    if len(pin.encode("utf-8")) > MAX_PIN:
        raise WeakPin(f"a PIN has at most {MAX_PIN} bytes")


def search_seconds(pin: str) -> float | None:
    """Return how long a thief tries all PINs of so many digits; None if there are other signs."""
    return 10.0 ** len(pin) * TRY_SECONDS / THIEF if pin.isdecimal() else None
