"""Says to push services who pushes: a key of the gateway's own, and a signed note for each of them.

Source: RFC 8292. The key is no secret of anybody's letters: who has it can claim to be this box
towards push services, and needs an address and its secrets besides to push anything.
"""

import base64
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.errors import StartupError
from gateway.identity import VAPID_NAME

LIFE: Final = 12 * 3600
"""Seconds for which a note is good; RFC 8292 §2 allows 24 hours."""
RENEW: Final = 2 * 3600
"""Seconds before its end from which a new one is made: clocks differ."""
MAX_NOTES: Final = 256
"""Push services for which a note is kept."""
SECRET_BYTES: Final = 32


class Vapid:
    """Signs notes for push services.

    Args:
        key: the gateway's own for this.
        contact: whom a push service may write to: a `mailto:` or an `https:` address.
        now: returns Unix seconds.
    """

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, *, contact: str, now: Callable[[], float]
    ) -> None:
        self._key = key
        self._contact = contact
        self._now = now
        self._notes: dict[str, tuple[float, str]] = {}
        self.public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def header(self, origin: str) -> str:
        """Return the value of `Authorization` for a push service."""
        ends, note = self._notes.get(origin, (0.0, ""))
        if not self._now() + RENEW < ends <= self._now() + LIFE + 1:  # or the clock was set back
            ends = self._now() + LIFE
            note = self._sign({"aud": origin, "exp": int(ends), "sub": self._contact})
            if len(self._notes) >= MAX_NOTES:
                self._notes.clear()
            self._notes[origin] = (ends, note)
        return f"vapid t={note}, k={_base64url(self.public)}"

    def _sign(self, claims: dict[str, str | int]) -> str:
        head = _base64url(_json({"typ": "JWT", "alg": "ES256"}))
        said = f"{head}.{_base64url(_json(claims))}"
        signature = self._key.sign(said.encode(), ec.ECDSA(hashes.SHA256()))
        numbers = [one.to_bytes(32, "big") for one in decode_dss_signature(signature)]
        return f"{said}.{_base64url(b''.join(numbers))}"


def load_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """Return the key in `folder`, made if there is none.

    Raises:
        StartupError: it cannot be read or written, or is damaged.
    """
    path = folder / VAPID_NAME
    try:
        secret = _read(path)
        if secret is None:
            secret = _make()
            _write(path, secret)
        return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
    except ValueError:
        raise StartupError(
            f"{path} is damaged and was left as it is. Put it back from a copy, or delete it: "
            "every phone then asks its push service for a new address."
        ) from None
    except OSError as error:
        raise StartupError(
            f"{path} cannot be used ({error.strerror or error}): see that the folder is ours."
        ) from error


def _make() -> bytes:
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return number.to_bytes(SECRET_BYTES, "big")


def _read(path: Path) -> bytes | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
            os.fchmod(handle, 0o600)
        data = file.read(SECRET_BYTES + 1)
    if len(data) != SECRET_BYTES:
        raise ValueError("another length")
    return data


def _write(path: Path, secret: bytes) -> None:
    """Write a file that is there whole or not at all, also after a power cut."""
    unfinished = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _json(value: dict[str, str] | dict[str, str | int]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
