import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.keys.errors import Broken, WeakKey
from peer.keys.primitives import (
    KEM_CIPHERTEXT_BYTES,
    KEM_PUBLIC_BYTES,
    SEAL_BYTES,
    Encapsulation,
    Exchange,
    encapsulate,
    seal,
    system_random,
    unseal,
)

KEY = bytes(range(32))


@given(st.binary(max_size=300), st.binary(max_size=40))
@settings(max_examples=40)
def test_what_was_sealed_opens(plaintext: bytes, about: bytes) -> None:
    sealed = seal(KEY, plaintext, about=about, random=system_random)

    assert len(sealed) == len(plaintext) + SEAL_BYTES
    assert unseal(KEY, sealed, about=about) == plaintext


@pytest.mark.parametrize("position", [0, 23, 24, -17, -1])
def test_an_altered_byte_is_noticed(position: int) -> None:
    sealed = bytearray(seal(KEY, b"text", about=b"", random=system_random))
    sealed[position] ^= 1

    with pytest.raises(Broken):
        unseal(KEY, bytes(sealed), about=b"")


@pytest.mark.parametrize("size", [0, 24, 39])
def test_what_is_too_short_to_be_sealed_is_refused(size: int) -> None:
    with pytest.raises(Broken):
        unseal(KEY, bytes(size), about=b"")


def test_the_cipher_is_the_one_of_the_draft() -> None:
    # draft-irtf-cfrg-xchacha-03, appendix A.3.1
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        b"future, sunscreen would be it."
    )
    about = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    key, nonce = bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58))
    sealed = seal(key, plaintext, about=about, random=lambda _size: nonce)

    assert sealed[:24] == nonce
    assert sealed[24:40].hex() == "bd6d179d3e83d43b9576579493c0e939"
    assert sealed[-16:].hex() == "c0875924c1c7987947deafd8780acf49"


def test_the_agreement_is_the_one_of_the_standard() -> None:
    # RFC 7748 §5.2, the iterated test
    scalar = point = b"\x09" + bytes(31)
    results = {}
    for count in range(1, 1001):
        scalar, point = Exchange(scalar).agree(point), scalar
        results[count] = scalar.hex()

    assert results[1] == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    assert results[1000] == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"


def test_an_encapsulated_secret_comes_out() -> None:
    pair = Encapsulation.generate(system_random)
    secret, ciphertext = encapsulate(pair.public)

    assert (len(pair.public), len(ciphertext)) == (KEM_PUBLIC_BYTES, KEM_CIPHERTEXT_BYTES)
    assert pair.open(ciphertext) == secret


def test_a_ciphertext_for_another_key_gives_another_secret() -> None:
    pair, other = (Encapsulation.generate(system_random) for _ in range(2))
    secret, ciphertext = encapsulate(pair.public)

    assert other.open(ciphertext) != secret


@pytest.mark.parametrize("size", [0, 1087, 1089])
def test_a_ciphertext_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(Broken):
        Encapsulation.generate(system_random).open(bytes(size))


@pytest.mark.parametrize("public", [b"", bytes(1183), b"\xff" * 1184])
def test_what_is_no_kem_key_is_refused(public: bytes) -> None:
    with pytest.raises(WeakKey):
        encapsulate(public)


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(32), b"\x01" + bytes(31)])
def test_what_is_no_exchange_key_is_refused(public: bytes) -> None:
    with pytest.raises(WeakKey):
        Exchange.generate(system_random).agree(public)


def test_secrets_do_not_show() -> None:
    assert "secret" not in repr(Exchange(KEY))
    assert "seed" not in repr(Encapsulation(bytes(64)))
