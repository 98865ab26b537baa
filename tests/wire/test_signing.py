"""Signatures: under their kind only, and never by a key of small order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.people import public, signing
from wire.errors import NotSigned
from wire.signing import SIGNATURE_BYTES, sign, signed_bytes, verify

KEY = signing("phone")
GOOD = sign(KEY, "card-device", b"body")


def test_a_signature_fits_what_it_was_made_for() -> None:
    verify(public("phone"), "card-device", body=b"body", signature=GOOD)

    assert len(GOOD) == SIGNATURE_BYTES
    assert signed_bytes("login", b"body") == b"homepost/login/1\0body"


@pytest.mark.parametrize(
    ("key", "kind", "body"),
    [
        (public("tablet"), "card-device", b"body"),
        (public("phone"), "card-root", b"body"),
        (public("phone"), "card-device", b"body!"),
        (public("phone")[:31], "card-device", b"body"),
        (public("phone") + b"\0", "card-device", b"body"),
        (b"", "card-device", b"body"),
        (bytes(32), "card-device", b"body"),
    ],
)
def test_a_signature_fits_nothing_else(key: bytes, kind: str, body: bytes) -> None:
    with pytest.raises(NotSigned):
        verify(key, kind, body=body, signature=GOOD)


@given(st.one_of(st.binary(max_size=80), st.binary(min_size=64, max_size=64)))
def test_random_bytes_are_no_signature(signature: bytes) -> None:
    with pytest.raises(NotSigned):
        verify(public("phone"), "card-device", body=b"body", signature=signature)


@given(st.binary(min_size=32, max_size=32))
def test_random_bytes_as_a_key_are_refused_with_the_same_error(key: bytes) -> None:
    with pytest.raises(NotSigned):
        verify(key, "card-device", body=b"body", signature=GOOD)
