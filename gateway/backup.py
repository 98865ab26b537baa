"""Seals a backup and opens it again: the one file of the gateway in which anything is opened.

    magic [16]  "homepost backup" and a line feed
    version [1] 1
    salt [16]   random
    header [24] of the stream
    chunks      64 KiB each and 17 bytes more, the last one shorter and marked as the last

The key is Argon2id of the secret and the salt, with the numbers below. The stream is libsodium's
secretstream (XChaCha20-Poly1305): it binds each chunk to those before it, and the end to the end.
What stands before the chunks is bound to each of them. Nothing is compressed.
Source: https://doc.libsodium.org/secret-key_cryptography/secretstream
"""

import base64
import re
import secrets
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from gateway.errors import StartupError

CHUNK: Final = 64 * 1024
"""Bytes of content in a chunk; the fastest size, and little to hold in memory."""
SECRET_BYTES: Final = 15
"""Of the secret that we make: 120 bits, six groups of four, which nobody guesses."""
MIN_PASSPHRASE: Final = 12
"""Characters of one that people make. Each try costs 64 MiB and some tenths of a second."""
OPSLIMIT: Final = 3
MEMLIMIT: Final = 64 << 20
"""Of Argon2id: as much as a box with 128 MiB can spare. Other numbers are another version."""

_MAGIC: Final = b"homepost backup\n"
_VERSION: Final = 1
_SALT_BYTES: Final = argon2id.SALTBYTES
_HEAD_BYTES: Final = len(_MAGIC) + 1 + _SALT_BYTES
_STREAM_BYTES: Final = bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_MORE: Final = bindings.crypto_secretstream_xchacha20poly1305_ABYTES
_GOES_ON: Final = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_LAST: Final = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_MADE: Final = re.compile(r"[A-Z2-7]{24}")


class BackupUnusable(StartupError):
    """A backup cannot be opened; the sentence says why, and what to do."""

    code = "backup-unusable"


class NoBackup(BackupUnusable):
    """The file is something else."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is no backup of a Homepost gateway. Give the file of one.")


class NewerBackup(BackupUnusable):
    """A newer gateway made it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} was made by a newer gateway. Install that one, and restore with it."
        )


class WrongSecret(BackupUnusable):
    """The secret is another one, or the very beginning of the file is damaged."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} does not open with this secret. Type it again; if it is certainly the right "
            "one, the file's beginning is damaged: use another backup."
        )


class DamagedBackup(BackupUnusable):
    """Some bytes are not what was written."""

    def __init__(self, path: Path, *, offset: int) -> None:
        super().__init__(
            f"{path} is damaged at about byte {offset}. Nothing of it was used. Copy it again from "
            "where you keep it, or use another backup."
        )


class CutShort(BackupUnusable):
    """Its end is not there, or not as it was written."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is cut short, or something was added at its end. Nothing of it was used. Copy "
            "it again from where you keep it, or use another backup."
        )


def new_secret() -> str:
    """Return a new secret, in groups of letters and digits that can be copied by hand."""
    text = base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def seal(content: Iterable[bytes], out: BinaryIO, *, secret: str) -> None:
    """Write a backup of `content`, in pieces of any size, that opens with `secret`."""
    head = _MAGIC + bytes([_VERSION]) + secrets.token_bytes(_SALT_BYTES)
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    key = _key(secret, head)
    out.write(head)
    out.write(bindings.crypto_secretstream_xchacha20poly1305_init_push(state, key))
    for chunk, last in _chunks(content):
        tag = _LAST if last else _GOES_ON
        out.write(bindings.crypto_secretstream_xchacha20poly1305_push(state, chunk, head, tag))


def unseal(source: BinaryIO, *, path: Path, secret: str) -> Iterator[bytes]:
    """Yield the content of a backup, each piece checked before it is given out.

    Only when the last one was given out is it known that none is missing.

    Args:
        source: at its beginning.
        path: what it is called in sentences.
        secret: as it was typed.

    Raises:
        BackupUnusable
    """
    head = source.read(_HEAD_BYTES)
    if not head.startswith(_MAGIC):
        raise NoBackup(path)
    stream = source.read(_STREAM_BYTES)
    if len(head) + len(stream) < _HEAD_BYTES + _STREAM_BYTES:
        raise CutShort(path)
    if head[len(_MAGIC)] != _VERSION:
        raise NewerBackup(path)
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    key = _key(secret, head)
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, stream, key)
    offset, kind = _HEAD_BYTES + _STREAM_BYTES, _GOES_ON
    while chunk := source.read(CHUNK + _MORE):
        if kind == _LAST:
            raise CutShort(path)
        try:
            content, kind = _pull(state, chunk, head)
        except CryptoError:
            if offset == _HEAD_BYTES + _STREAM_BYTES:
                raise WrongSecret(path) from None
            if len(chunk) < CHUNK + _MORE:
                raise CutShort(path) from None
            raise DamagedBackup(path, offset=offset) from None
        offset += len(chunk)
        yield content
    if kind != _LAST:
        raise CutShort(path)


def _pull(
    state: bindings.crypto_secretstream_xchacha20poly1305_state, chunk: bytes, head: bytes
) -> tuple[bytes, int]:
    """Return a chunk's content and tag; what follows the last chunk never fits.

    Raises:
        CryptoError
    """
    try:
        return bindings.crypto_secretstream_xchacha20poly1305_pull(state, chunk, head)
    except (ValueError, TypeError) as error:  # shorter than any chunk
        raise CryptoError from error


def _chunks(content: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield the content in chunks, and whether it is the last; there is always one."""
    waiting = bytearray()
    for piece in content:
        waiting += piece
        while len(waiting) > CHUNK:
            yield bytes(waiting[:CHUNK]), False
            del waiting[:CHUNK]
    yield bytes(waiting), True


def _key(secret: str, head: bytes) -> bytes:
    size = bindings.crypto_secretstream_xchacha20poly1305_KEYBYTES
    return argon2id.kdf(
        size, _canonical(secret), head[-_SALT_BYTES:], opslimit=OPSLIMIT, memlimit=MEMLIMIT
    )


def _canonical(secret: str) -> bytes:
    """Return a secret however it was typed: ours without its hyphens, a passphrase as it is."""
    text = unicodedata.normalize("NFC", secret.strip())
    ours = re.sub(r"[\s-]", "", text).upper()
    return (ours if _MADE.fullmatch(ours) else text).encode("utf-8")
