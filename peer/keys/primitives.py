"""The four operations everything here is made of, each in one place and with its refusals.

    agreement       X25519                  PyNaCl        RFC 7748
    encapsulation   ML-KEM-768              cryptography  FIPS 203
    sealing         XChaCha20-Poly1305      PyNaCl        draft-irtf-cfrg-xchacha-03
    randomness      the operating system's  PyNaCl

A nonce is always random and stands before its ciphertext. A counter or a zero nonce would be used
twice when a phone is set back to an older state, and then two letters betray each other
(docs/protocol.md §6.1).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import nacl.utils
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_scalarmult,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError

from peer.keys.errors import Broken, WeakKey

Random = Callable[[int], bytes]
"""Gives so many random bytes; handed in, so that test vectors can be made again."""

system_random: Final[Random] = nacl.utils.random

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24
TAG_BYTES: Final = 16
SEAL_BYTES: Final = NONCE_BYTES + TAG_BYTES
"""By how much a sealed text is longer than the plain one."""
KEM_SEED_BYTES: Final = 64
KEM_PUBLIC_BYTES: Final = 1184
KEM_CIPHERTEXT_BYTES: Final = 1088


def seal(key: bytes, plaintext: bytes, *, about: bytes, random: Random) -> bytes:
    """Return nonce, ciphertext and tag; `about` is authenticated, not included."""
    nonce = random(NONCE_BYTES)
    return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, about, nonce, key)


def unseal(key: bytes, sealed: bytes, *, about: bytes) -> bytes:
    """Return what was sealed under `key` together with `about`.

    Raises:
        Broken: another key, other bytes, or other circumstances than it was sealed in.
    """
    if len(sealed) < SEAL_BYTES:
        raise Broken("shorter than any sealed text")
    nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, about, nonce, key)
    except CryptoError:
        raise Broken("the seal does not fit") from None


@dataclass(frozen=True, slots=True)
class Exchange:
    """An X25519 key pair; the secret half is 32 bytes."""

    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls, random: Random) -> "Exchange":
        """Make a new pair."""
        return cls(random(KEY_BYTES))

    @property
    def public(self) -> bytes:
        """The public half, 32 bytes."""
        return crypto_scalarmult_base(self.secret)

    def agree(self, public: bytes) -> bytes:
        """Return the secret (32 bytes) shared with whoever holds the other half of `public`.

        Raises:
            WeakKey: `public` has a low order, so that anybody knows the result, or not 32 bytes.
        """
        if len(public) != KEY_BYTES:  # PyNaCl hands any length on to libsodium
            raise WeakKey(f"an X25519 public key has {KEY_BYTES} bytes")
        try:
            return crypto_scalarmult(self.secret, public)
        except (CryptoError, RuntimeError, TypeError, ValueError):
            # libsodium refuses an all-zero result, PyNaCl reports that as a bare RuntimeError.
            raise WeakKey("a public key of low order") from None


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """An ML-KEM-768 key pair, kept as its seed `d || z` of 64 bytes (FIPS 203 §7.1)."""

    seed: bytes = field(repr=False)

    @classmethod
    def generate(cls, random: Random) -> "Encapsulation":
        """Make a new pair."""
        return cls(random(KEM_SEED_BYTES))

    @property
    def public(self) -> bytes:
        """The encapsulation key, 1184 bytes."""
        key = MLKEM768PrivateKey.from_seed_bytes(self.seed)
        return key.public_key().public_bytes_raw()

    def open(self, ciphertext: bytes) -> bytes:
        """Return the secret (32 bytes) inside `ciphertext`.

        A ciphertext that was not made for this key gives another secret, not an error: what is
        sealed under it then does not open (implicit rejection, FIPS 203 §7.3).

        Raises:
            Broken: it has not 1088 bytes.
        """
        try:
            return MLKEM768PrivateKey.from_seed_bytes(self.seed).decapsulate(ciphertext)
        except ValueError:
            raise Broken(f"an encapsulated secret has {KEM_CIPHERTEXT_BYTES} bytes") from None


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """Return a new secret (32 bytes) and the ciphertext that carries it to the holder of `public`.

    The randomness is OpenSSL's: its interface takes none from outside.

    Raises:
        WeakKey: `public` is no encapsulation key (FIPS 203 §7.2).
    """
    try:
        return MLKEM768PublicKey.from_public_bytes(public).encapsulate()
    except ValueError:
        raise WeakKey("no ML-KEM-768 public key") from None
