"""Signatures, each under the name of what it signs.

A signature over a card can never be taken for one over a prekey, because the signed bytes begin
with the kind. Verification is PyNaCl's everywhere: OpenSSL takes a small-order key that libsodium
refuses, and two verifiers that disagree would fork a card between clients.

Source: RFC 8032; docs/protocol.md §2.4.
"""

from typing import Final

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from wire.errors import NotSigned
from wire.kdf import domain

SIGNATURE_BYTES: Final = 64


def signed_bytes(kind: str, body: bytes) -> bytes:
    """Return what is really signed: the domain of `kind`, then `body`."""
    return domain(kind) + body


def sign(key: SigningKey, kind: str, body: bytes) -> bytes:
    """Return the signature (64 bytes) of `key` over `body` as a `kind`."""
    return key.sign(signed_bytes(kind, body)).signature


def verify(key: bytes, kind: str, *, body: bytes, signature: bytes) -> None:
    """Check that `key` signed `body` as a `kind`.

    Args:
        key: Ed25519 public key, 32 bytes.
        kind: what it must have been signed as.
        body: the exact bytes received.
        signature: 64 bytes.

    Raises:
        NotSigned: the key, the signature, the kind or the body does not fit.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise NotSigned(f"a signature has {SIGNATURE_BYTES} bytes")
    try:
        VerifyKey(key).verify(signed_bytes(kind, body), signature)
    except (CryptoError, ValueError, TypeError, RuntimeError):
        raise NotSigned(f"the signature over this {kind} does not fit") from None
