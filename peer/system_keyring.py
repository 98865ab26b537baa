"""Keeps a key in the system's keyring: what opens when its user logs in.

Through the library `keyring`, an extra of this program. A keyring that would keep the key readable
is none: of the library's backends only those count that it calls fit for general use (priority 1
and above), and not the ones that write plain files.
"""

from typing import Final, Protocol

from peer.errors import KeyringAway

SERVICE: Final = "homepost"
FIT: Final = 1
"""The priority from which on the library recommends a backend."""


class SystemKeyring(Protocol):
    """A keyring that is there."""

    name: str

    def get(self, file_id: bytes) -> bytes | None:
        """Return the key kept for a file, None if there is none."""

    def keep(self, file_id: bytes, key: bytes) -> None:
        """Keep a key."""

    def forget(self, file_id: bytes) -> None:
        """Delete a key, if it is there."""


class _Library:
    """The keyring that the library has chosen for this system.

    Raises:
        KeyringAway: the library is not installed, or has found no keyring that is fit.
    """

    def __init__(self) -> None:
        try:
            import keyring
            from keyring.errors import KeyringError
        except ImportError:
            raise KeyringAway(
                "the library that talks to the system’s keyring is not installed; install the extra"
                " keyring, or take a PIN"
            ) from None
        self._keyring = keyring.get_keyring()
        self._error = KeyringError
        self.name = str(self._keyring.name)
        if self._keyring.priority < FIT:
            raise KeyringAway(
                "this system has no keyring that could be used; log in at its screen, or take a PIN"
            )

    def get(self, file_id: bytes) -> bytes | None:
        """Return the key kept for a file, None if there is none."""
        try:
            kept = self._keyring.get_password(SERVICE, file_id.hex())
            return None if kept is None else bytes.fromhex(kept)
        except (self._error, ValueError) as error:
            raise self._away(error) from error

    def keep(self, file_id: bytes, key: bytes) -> None:
        """Keep a key, and look whether it is kept."""
        try:
            self._keyring.set_password(SERVICE, file_id.hex(), key.hex())
        except self._error as error:
            raise self._away(error) from error
        if self.get(file_id) != key:
            raise KeyringAway("the system’s keyring did not keep the key; take a PIN")

    def forget(self, file_id: bytes) -> None:
        """Delete a key, if it is there."""
        try:
            if self.get(file_id) is not None:
                self._keyring.delete_password(SERVICE, file_id.hex())
        except self._error as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> KeyringAway:
        return KeyringAway(f"the system’s keyring does not open ({error}); unlock it and try again")


def system_keyring() -> SystemKeyring:
    """Return the keyring of this system.

    Raises:
        KeyringAway: there is none that is fit; the sentence says what else to do.
    """
    return _Library()
