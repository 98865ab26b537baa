"""Who this gateway is: a key that never changes, and the TLS certificate that the key vouches for.

    identity.key   32 bytes, Ed25519; phones know the gateway by its public half
    tls.pem        a P-256 certificate and its key; phones check the identity key's signature in it

Whoever has identity.key is this gateway. tls.pem can be lost: a new one is made, signed by the same
key, and phones accept it. The dates in it say nothing (1970 to 9999), since the key is pinned and a
box without a clock battery starts in 1970 (docs/protocol.md §3.2).
"""

import logging
import os
import ssl
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from gateway.errors import StartupError
from gateway.tls_certificate import make_certificate, signed_parts
from wire.auth import Channel
from wire.certificate import check_extension
from wire.errors import WireError
from wire.ids import GatewayId

KEY_NAME: Final = "identity.key"
TLS_NAME: Final = "tls.pem"
VAPID_NAME: Final = "vapid.key"
"""By which push services know the gateway; only where it pushes (`gateway/push/vapid.py`)."""
SEED_BYTES: Final = 32

log = logging.getLogger(__name__)


class IdentityUnusable(StartupError):
    """A key of this gateway is missing, damaged or cannot be read."""

    code = "key-unusable"


@dataclass(frozen=True, slots=True)
class Identity:
    """The keys of one gateway."""

    key: SigningKey = field(repr=False)
    tls: Path
    """The file with certificate and key, as `ssl` loads it."""
    certificate: bytes = field(repr=False)
    """The certificate in DER."""

    @property
    def gateway(self) -> GatewayId:
        """The public key that phones pin."""
        return GatewayId(bytes(self.key.verify_key))

    @property
    def channel(self) -> Channel:
        """What answers to challenges are bound to."""
        return Channel.over(self.gateway, certificate=self.certificate)


def load_identity(
    folder: Path,
    *,
    fresh: bool,
    make: Callable[[SigningKey, Path], bytes] = make_certificate,
) -> Identity:
    """Read the keys in `folder`, making what is missing.

    Args:
        folder: the data folder, held by this process.
        fresh: whether the folder holds no store yet: only then a new identity may be made.
        make: returns a new certificate and key in PEM, given identity key and folder.

    Raises:
        IdentityUnusable: the key is missing beside a store, damaged, or cannot be read.
        StartupError: a certificate cannot be made.
    """
    key = _load_key(folder / KEY_NAME, fresh=fresh)
    path = folder / TLS_NAME
    certificate = _usable(path, GatewayId(bytes(key.verify_key)))
    if certificate is None:
        _write(path, make(key, folder))
        certificate = _usable(path, GatewayId(bytes(key.verify_key)))
        if certificate is None:
            raise IdentityUnusable(
                f"{path} was made anew and still cannot be used: is the disk well?"
            )
    return Identity(key, path, certificate)


def gateway_of(seed: bytes) -> GatewayId:
    """Return the public key that belongs to an identity key (32 bytes)."""
    return GatewayId(bytes(SigningKey(seed).verify_key))


def _load_key(path: Path, *, fresh: bool) -> SigningKey:
    seed = _read(path)
    if seed is None:
        if not fresh:
            raise IdentityUnusable(
                f"{path} is missing, and without it phones do not know this gateway again. Put the "
                "file back from a copy; or, to begin anew and pair every phone again, move the "
                f"whole folder {path.parent} away."
            )
        key = SigningKey.generate()
        _write(path, bytes(key))
        return key
    if len(seed) != SEED_BYTES:
        raise IdentityUnusable(
            f"{path} is damaged: it has {len(seed)} bytes instead of {SEED_BYTES}. It was left as "
            "it is. Put the file back from a copy; or, to begin anew and pair every phone again, "
            f"move the whole folder {path.parent} away."
        )
    return SigningKey(seed)


def _usable(path: Path, gateway: GatewayId) -> bytes | None:
    """Return the certificate in DER if it and its key are whole and `gateway` vouches for them."""
    pem = _read(path)
    if pem is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
        certificate = ssl.PEM_cert_to_DER_cert(_certificate_block(pem))
        spki, extension = signed_parts(certificate)
        check_extension(extension, spki=spki, gateway=gateway)
    except (ssl.SSLError, ValueError, WireError):
        log.warning("%s does not belong to this gateway's key; making a new one", path.name)
        return None
    return certificate


def _certificate_block(pem: bytes) -> str:
    text = pem.decode("ascii")
    return text[text.index(ssl.PEM_HEADER) : text.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)]


def _read(path: Path) -> bytes | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
            os.fchmod(handle, 0o600)
            log.warning("%s could be read by other users; closed it to them", path.name)
        with os.fdopen(os.dup(handle), "rb") as file:
            return file.read(64 * 1024)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(handle)


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, also after a power cut."""
    unfinished = path.with_name(path.name + ".new")
    try:
        with suppress(FileNotFoundError):
            unfinished.unlink()
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        reason = error.strerror or error
        raise IdentityUnusable(
            f"{path} cannot be written ({reason}): make room and see that the folder is ours."
        ) from error


def _unreadable(path: Path, error: OSError) -> IdentityUnusable:
    reason = error.strerror or error
    return IdentityUnusable(f"{path} cannot be read ({reason}): run as the owner of the folder.")
