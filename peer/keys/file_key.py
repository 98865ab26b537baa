"""The key that seals the phone's file, sealed itself: the header that lies beside it.

The key is drawn once and stays. What a person changes is how it is sealed: under a PIN, through
argon2id, or under a key that the system's keyring keeps. So a new PIN is a new header and leaves
the file alone. The form is that of docs/protocol.md §18.1.
"""

import enum
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from nacl.pwhash import argon2id

from peer.keys.errors import Broken, WrongPin
from peer.keys.primitives import KEY_BYTES, SEAL_BYTES, Random, seal, system_random, unseal
from wire.codec import Value, encode
from wire.fields import Fields

VERSION: Final = 1
ID_BYTES: Final = 16
SALT_BYTES: Final = 16
MAX_HEADER: Final = 256
MIN_PIN: Final = 6
"""Characters. Fewer are found in a day; docs/protocol.md §18.2 says how long others hold."""
MAX_PIN: Final = 1024
"""Bytes of UTF-8."""
MAX_PASSES: Final = 64
MAX_MEMORY: Final = 4 << 20
"""KiB. A header that somebody has altered must not take the whole machine."""


class LockKind(enum.IntEnum):
    """What the key is sealed under."""

    PIN = 0
    KEYRING = 1


@dataclass(frozen=True, slots=True)
class Cost:
    """What one try of a PIN costs: passes over so much memory (KiB)."""

    passes: int
    memory: int


PIN_COST: Final = Cost(3, 256 << 10)
"""0.6 s of one core: short for a person who types one PIN, long for a thief who tries all.
256 MiB are there wherever this program runs, and dear for who would try many at a time."""


@dataclass(frozen=True, slots=True)
class FileKey:
    """The key of the phone's file, 32 bytes, and the id by which a keyring knows it."""

    id: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls, random: Random = system_random) -> "FileKey":
        """Draw a new one."""
        return cls(random(ID_BYTES), random(KEY_BYTES))


@dataclass(frozen=True, slots=True)
class Header:
    """A sealed file key, and what it takes to open it but for the secret."""

    id: bytes
    kind: LockKind
    salt: bytes
    """Empty under a keyring, whose key needs none."""
    cost: Cost
    sealed: bytes

    @classmethod
    def under_pin(
        cls, key: FileKey, pin: str, *, cost: Cost = PIN_COST, random: Random = system_random
    ) -> "Header":
        """Seal a key under a PIN; a new salt each time."""
        unsealed = cls(key.id, LockKind.PIN, random(SALT_BYTES), cost, b"")
        return unsealed._with(key, _stretched(pin, unsealed), random)

    @classmethod
    def under_keyring(
        cls, key: FileKey, kept: bytes, *, random: Random = system_random
    ) -> "Header":
        """Seal a key under the one (32 bytes) that the system's keyring keeps."""
        return cls(key.id, LockKind.KEYRING, b"", Cost(0, 0), b"")._with(key, kept, random)

    def open(self, secret: bytes | str) -> FileKey:
        """Return the file's key.

        Args:
            secret: the PIN, or the key that the keyring keeps.

        Raises:
            WrongPin: it was sealed under another one.
        """
        key = _stretched(secret, self) if isinstance(secret, str) else secret
        try:
            return FileKey(self.id, unseal(key, self.sealed, about=self._about()))
        except Broken:
            raise WrongPin("the file's key is sealed under another secret") from None

    def encode(self) -> bytes:
        """Return the header as it is stored."""
        return encode({**self._fields(), 6: self.sealed})

    @classmethod
    def decode(cls, data: bytes) -> "Header":
        """Read a stored header.

        Raises:
            Malformed: it is none.
            UnknownVersion: a newer program made it.
        """
        fields = Fields.read(data, limit=MAX_HEADER, what="the header of the phone's file")
        fields.version(0, known=VERSION)
        file_id = fields.raw(1, size=ID_BYTES)
        kind = LockKind(fields.integer(2, low=0, high=max(LockKind)))
        salt, cost = b"", Cost(0, 0)
        if kind is LockKind.PIN:
            salt = fields.raw(3, size=SALT_BYTES)
            cost = Cost(
                fields.integer(4, low=1, high=MAX_PASSES),
                fields.integer(5, low=8, high=MAX_MEMORY),
            )
        sealed = fields.raw(6, size=KEY_BYTES + SEAL_BYTES)
        fields.end()
        return cls(file_id, kind, salt, cost, sealed)

    def _with(self, key: FileKey, under: bytes, random: Random) -> "Header":
        sealed = seal(under, key.secret, about=self._about(), random=random)
        return Header(self.id, self.kind, self.salt, self.cost, sealed)

    def _about(self) -> bytes:
        return encode(self._fields())

    def _fields(self) -> dict[int, Value]:
        fields: dict[int, Value] = {0: VERSION, 1: self.id, 2: int(self.kind)}
        if self.kind is LockKind.PIN:
            fields |= {3: self.salt, 4: self.cost.passes, 5: self.cost.memory}
        return fields


def _stretched(pin: str, header: Header) -> bytes:
    return argon2id.kdf(
        KEY_BYTES,
        unicodedata.normalize("NFC", pin).encode("utf-8"),
        header.salt,
        opslimit=header.cost.passes,
        memlimit=header.cost.memory << 10,
    )
