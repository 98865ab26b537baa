"""Offers and grants come back as they went, and open under one key."""

import pytest
from hypothesis import given

from peer.keys.errors import Broken
from peer.keys.grant import Grant, Offer
from peer.keys.primitives import seal, system_random
from tests.peer.keys.test_device_exchange import DEVICE, GRANT, OFFER
from tests.wire.hostile import damaged, refuses_with_only
from wire.codec import encode
from wire.errors import Malformed, NotSigned, UnknownVersion

KEY, OTHER = b"k" * 32, b"o" * 32


def sealed(plain: bytes) -> bytes:
    return seal(KEY, plain, about=b"", random=system_random)


def test_a_grant_comes_back_as_it_went() -> None:
    data = GRANT.seal(key=KEY, random=system_random)

    assert Grant.unseal(data, key=KEY) == GRANT
    with pytest.raises(Broken):
        Grant.unseal(data, key=OTHER)


def test_an_offer_comes_back_as_it_went_and_belongs_to_one_exchange() -> None:
    data = OFFER.seal(DEVICE, key=KEY, random=system_random)

    assert Offer.unseal(data, key=KEY) == OFFER
    with pytest.raises(Broken):
        Offer.unseal(data, key=OTHER)


@given(damaged(encode({0: 1, 1: bytes(32)})))
def test_what_is_no_grant_is_refused_with_a_wire_error(plain: bytes) -> None:
    refuses_with_only(
        lambda data: Grant.unseal(sealed(data), key=KEY), plain, {Malformed, UnknownVersion}
    )


@given(damaged(encode([encode({0: 1}), bytes(64)])))
def test_what_is_no_offer_is_refused_with_a_wire_error(plain: bytes) -> None:
    refuses_with_only(
        lambda data: Offer.unseal(sealed(data), key=KEY),
        plain,
        {Malformed, UnknownVersion, NotSigned},
    )
