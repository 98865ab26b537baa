"""Hashes and derived keys, each under a name of its own.

Every hash starts with `homepost/<name>/1` and a zero byte, and every part is preceded by its
length, so that no input of one kind can be taken for another (docs/protocol.md §2.2, §2.3).
"""

import hashlib
import hmac
from functools import lru_cache

_SHA256_BYTES = 32


@lru_cache(maxsize=256)
def domain(name: str) -> bytes:
    """Return the prefix that separates the use `name` from every other use."""
    return b"homepost/" + name.encode("ascii") + b"/1\0"


def framed(name: str, *parts: bytes) -> bytes:
    """Return `parts` under `name`, each preceded by its length in eight bytes, big-endian."""
    pieces = [domain(name)]
    for part in parts:
        pieces += (len(part).to_bytes(8, "big"), part)
    return b"".join(pieces)


def preceded(part: bytes) -> bytes:
    """Return `part` after its length in eight bytes, big-endian: one part of what is framed."""
    return len(part).to_bytes(8, "big") + part


def hash32(name: str, *parts: bytes) -> bytes:
    """Return 32 bytes of BLAKE2b over `parts` under `name` (docs/protocol.md §2.2)."""
    return hashlib.blake2b(framed(name, *parts), digest_size=32).digest()


def hash16(name: str, *parts: bytes) -> bytes:
    """Return 16 bytes of BLAKE2b over `parts` under `name` (docs/protocol.md §2.2)."""
    return hashlib.blake2b(framed(name, *parts), digest_size=16).digest()


def mac16(key: bytes, name: str, *parts: bytes) -> bytes:
    """Return 16 bytes of keyed BLAKE2b: what a proof or a tag is made of.

    Args:
        key: 16 to 64 bytes.
        name: the use.
        parts: what is proved.
    """
    return hashlib.blake2b(framed(name, *parts), digest_size=16, key=key).digest()


def hkdf(ikm: bytes, *, info: bytes, salt: bytes = b"", length: int = 32) -> bytes:
    """Derive `length` bytes from `ikm`: HKDF with SHA-256.

    Args:
        ikm: input keying material.
        info: what the output is for.
        salt: at most public; empty means a string of zeros.
        length: 1 ≤ length ≤ 8160.

    Raises:
        ValueError: `length` is outside its bounds.

    Source: RFC 5869, tested against its appendix A.
    """
    if not 1 <= length <= 255 * _SHA256_BYTES:
        raise ValueError(f"HKDF gives 1 to 8160 bytes, not {length}")
    key = hmac.digest(salt or bytes(_SHA256_BYTES), ikm, "sha256")
    block, output = b"", b""
    for counter in range(1, -(-length // _SHA256_BYTES) + 1):
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        output += block
    return output[:length]
