"""Hashes and derived keys: against RFC 5869, against `cryptography`, and apart from each other."""

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from wire.kdf import domain, framed, hash16, hash32, hkdf, mac16

RFC_5869 = [
    (
        b"\x0b" * 22,
        bytes(range(13)),
        bytes(range(0xF0, 0xFA)),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(80)),
        bytes(range(0x60, 0xB0)),
        bytes(range(0xB0, 0x100)),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
        "cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        b"\x0b" * 22,
        b"",
        b"",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


@pytest.mark.parametrize(("ikm", "salt", "info", "okm"), RFC_5869, ids=["A.1", "A.2", "A.3"])
def test_hkdf_gives_what_rfc_5869_says(ikm: bytes, salt: bytes, info: bytes, okm: str) -> None:
    """RFC 5869, appendix A."""
    assert hkdf(ikm, salt=salt, info=info, length=len(okm) // 2).hex() == okm


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80), st.integers(1, 8160))
def test_hkdf_gives_what_another_library_gives(
    ikm: bytes, salt: bytes, info: bytes, length: int
) -> None:
    theirs = HKDF(SHA256(), length=length, salt=salt, info=info).derive(ikm)

    assert hkdf(ikm, salt=salt, info=info, length=length) == theirs


@pytest.mark.parametrize("length", [-1, 0, 8161])
def test_hkdf_has_bounds(length: int) -> None:
    with pytest.raises(ValueError, match="8160"):
        hkdf(b"", info=b"", length=length)


def test_a_hash_is_blake2b_over_the_domain_and_parts_with_their_lengths() -> None:
    assert domain("x") == b"homepost/x/1\0"
    assert framed("x", b"ab", b"") == b"homepost/x/1\0" + bytes(7) + b"\2ab" + bytes(8)


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_parts_cannot_be_shifted(one: list[bytes], other: list[bytes]) -> None:
    assert (framed("x", *one) == framed("x", *other)) == (one == other)


def test_no_use_gives_the_hash_of_another() -> None:
    assert len({hash32("a", b"x"), hash32("b", b"x"), hash32("a", b"x", b""), hash32("a")}) == 4
    assert hash32("a", b"x")[:16] != hash16("a", b"x")  # not a prefix: the length is in BLAKE2b


def test_a_mac_depends_on_its_key() -> None:
    assert mac16(bytes(32), "a", b"x") != mac16(b"\1" + bytes(31), "a", b"x")
    assert len(mac16(bytes(16), "a")) == 16
