"""Seals the few words of a push for the device that it goes to (RFC 8291, with RFC 8188).

Every push of this gateway has the same size, whatever it is for. Nothing is opened here: the box
has no key that could.
"""

import os
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wire.kdf import hkdf

PADDED: Final = 128
"""Bytes of every message with its padding: the longest of ours, a confirmation, has 60."""
MAX_PLAIN: Final = 3993
"""Bytes of the longest message that every push service takes: 4096 with all around it."""
RECORD_SIZE: Final = 4096
SALT_BYTES: Final = 16
_LAST_RECORD: Final = b"\2"


class NoPoint(ValueError):
    """The bytes are no public key of P-256."""


class TooLong(ValueError):
    """A message that a push service would not take."""


def read_point(public: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key of a device.

    Raises:
        NoPoint: it is none.
    """
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    except ValueError:
        raise NoPoint("no public key of P-256") from None


def seal(
    message: bytes,
    *,
    public: bytes,
    auth: bytes,
    padded: int = PADDED,
    salt: bytes | None = None,
    ours: ec.EllipticCurvePrivateKey | None = None,
) -> bytes:
    """Return the body of a push.

    Args:
        message: what the device is told.
        public: the device's key, 65 bytes.
        auth: the secret that it shares with this gateway, 16 bytes.
        padded: bytes of the message with its padding.
        salt: fresh, unless a test brings one.
        ours: a key for this push alone, unless a test brings one.

    Raises:
        NoPoint: `public` is no key.
        TooLong: the message does not fit.
    """
    if len(message) >= padded or padded > MAX_PLAIN + 1:
        raise TooLong(f"{len(message)} bytes do not fit")
    theirs = read_point(public)
    ours = ours or ec.generate_private_key(ec.SECP256R1())
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    point = ours.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = ours.exchange(ec.ECDH(), theirs)
    key = hkdf(shared, salt=auth, info=b"WebPush: info\0" + public + point)
    content_key = hkdf(key, salt=salt, info=b"Content-Encoding: aes128gcm\0", length=16)
    nonce = hkdf(key, salt=salt, info=b"Content-Encoding: nonce\0", length=12)
    plain = (message + _LAST_RECORD).ljust(padded, b"\0")
    head = salt + RECORD_SIZE.to_bytes(4, "big") + bytes([len(point)]) + point
    return head + AESGCM(content_key).encrypt(nonce, plain, None)
