"""A push opens for its device, whoever wrote what opens it, and has one size."""

import base64
import os
from functools import partial

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from gateway.push.sealing import MAX_PLAIN, PADDED, NoPoint, TooLong, read_point, seal
from tests.gateway.push.service import Receiver, unspelled

SECP = ec.SECP256R1()


def private(text: str) -> ec.EllipticCurvePrivateKey:
    """Return a private key that is written as the RFC does."""
    return ec.derive_private_key(int.from_bytes(unspelled(text), "big"), SECP)


def test_43_the_example_of_rfc_8291_comes_out_byte_for_byte() -> None:
    message = b"When I grow up, I want to be a watermelon"

    body = seal(
        message,
        public=unspelled(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
        ),
        auth=unspelled("BTBZMqHH6r4Tts7J_aSIgg"),
        padded=len(message) + 1,
        salt=unspelled("DGv6ra1nlYgDCS1FRnbzlw"),
        ours=private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
    )

    assert base64.urlsafe_b64encode(body).decode().rstrip("=") == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@given(st.binary(max_size=PADDED - 1))
def test_43_what_is_sealed_opens_elsewhere_and_has_one_size(message: bytes) -> None:
    receiver = Receiver("https://push.example.net/x", auth=os.urandom(16))
    address = receiver.address

    body = seal(message, public=address.public, auth=address.auth)

    opened = http_ece.decrypt(
        body, private_key=receiver.key, auth_secret=receiver.auth, version="aes128gcm"
    )
    assert opened == message
    assert len(body) == 16 + 4 + 1 + 65 + PADDED + 16


def test_47_the_largest_that_push_services_take_is_sealed_and_nothing_larger() -> None:
    address = Receiver("https://push.example.net/x").address
    seals = partial(seal, public=address.public, auth=address.auth)

    assert len(seals(bytes(MAX_PLAIN), padded=MAX_PLAIN + 1)) == 4096
    with pytest.raises(TooLong):
        seals(bytes(MAX_PLAIN + 1), padded=MAX_PLAIN + 2)
    with pytest.raises(TooLong):
        seals(bytes(PADDED))


def test_no_two_pushes_have_a_key_or_a_salt_in_common() -> None:
    address = Receiver("https://push.example.net/x").address

    bodies = {seal(b"x", public=address.public, auth=address.auth)[:86] for _ in range(20)}

    assert len({one[:16] for one in bodies}) == len({one[21:] for one in bodies}) == 20


@pytest.mark.parametrize("public", [b"", bytes(65), b"\4" + bytes(64), b"x" * 65])
def test_what_is_no_point_is_refused(public: bytes) -> None:
    with pytest.raises(NoPoint):
        read_point(public)
    with pytest.raises(NoPoint):
        seal(b"x", public=public, auth=bytes(16))
