"""A secret is found wherever it begins and however it is spelled."""

import base64
import gzip
import secrets
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.essay.needles import LEAST, Needles, canary, spellings

SECRET = bytes(range(100, 132))


@given(
    before=st.binary(max_size=40),
    after=st.binary(max_size=40),
    secret=st.binary(min_size=LEAST, max_size=64),
    spelling=st.integers(0, 30),
)
def test_a_secret_is_found_in_every_spelling_at_every_place(
    before: bytes, after: bytes, secret: bytes, spelling: int
) -> None:
    ways = list(spellings(secret))
    _, spelled = ways[spelling % len(ways)]
    found = Needles({"it": secret}).find(before + spelled + after, where="here")

    assert {hit.secret for hit in found} == {"it"}


@given(before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_a_secret_is_found_inside_longer_texts_of_base64_and_base32(
    before: bytes, after: bytes
) -> None:
    whole = before + SECRET + after
    needles = Needles({"it": SECRET})

    for text in (
        base64.b64encode(whole),
        base64.urlsafe_b64encode(whole),
        base64.b32encode(whole),
        whole.hex().encode(),
        whole.hex().upper().encode(),
        repr(b"\xff" + SECRET).encode(),
    ):
        assert needles.find(text, where="here"), text


def test_a_word_is_found_in_two_bytes_a_letter() -> None:
    word = canary()
    needles = Needles({"word": word.encode()})

    assert len(word) == LEAST
    for coding in ("utf-16-le", "utf-16-be", "utf-8"):
        assert needles.find(f"x{word}y".encode(coding), where="here")


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_a_secret_is_found_inside_a_compressed_stream(pack: object) -> None:
    assert callable(pack)
    heap = secrets.token_bytes(777) + pack(b"so " * 50 + SECRET) + bytes(100)
    needles = Needles({"it": SECRET})

    assert not needles.find(heap, where="here")
    assert {str(hit) for hit in needles.find_packed(heap, where="here")} == {
        "it as plain bytes in here, inflated"
    }


def test_what_is_not_there_is_not_found() -> None:
    heap = secrets.token_bytes(1 << 20) + SECRET[:-1]

    assert Needles({"it": SECRET}).find_packed(heap, where="here") == set()


def test_a_secret_that_could_turn_up_by_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="by chance"):
        Needles({"short": bytes(LEAST - 1)})
