"""A keyring of the system for tests: a backend of the library, which keeps its keys in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


class Ring(KeyringBackend):
    """A keyring that can be locked, forgetful, or of a kind that is not fit."""

    priority = -1.0
    """Of the class, by which the library would choose it for everybody; a ring has its own."""

    def __init__(self, *, priority: float = 5.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of the library
        self.priority = priority
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False
        self.forgetful = False

    def get_password(self, service: str, username: str) -> str | None:
        self._open()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._open()
        if not self.forgetful:
            self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._open()
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("not there")

    def _open(self) -> None:
        if self.locked:
            raise KeyringLocked("it is locked")


@contextmanager
def system_with(ring: KeyringBackend) -> Iterator[None]:
    """Let the system have this keyring."""
    before = keyring.get_keyring()
    keyring.set_keyring(ring)
    try:
        yield
    finally:
        keyring.set_keyring(before)
