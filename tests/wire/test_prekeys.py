"""Prekeys: signed for one place each, and read within bounds."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hostile import damaged, refuses_with_only
from tests.wire.people import birth, device, exchange
from tests.wire.strategies import bundle, prekey, prekeys
from wire.codec import encode
from wire.errors import Malformed, NotSigned, UnknownVersion
from wire.prekeys import (
    MAX_UPLOAD,
    UPLOAD_LIMIT,
    Bundles,
    Prekey,
    PrekeyKind,
    decode_bundles,
    decode_upload,
    encode_bundles,
    encode_upload,
)
from wire.statements import MAX_CHAIN, MAX_DEVICES, MAX_STATEMENT

ALLOWED = {
    Malformed,  # not the map that it should be, or a key of another size or of low order
    UnknownVersion,  # field 0 is no 1
}
CHAIN = (birth("phone").encode(),)


@given(st.lists(prekeys, max_size=4).map(tuple))
def test_an_upload_comes_back_as_it_went(given_in: tuple[Prekey, ...]) -> None:
    assert decode_upload(encode_upload(given_in)) == given_in
    for one in given_in:
        one.verify(device("phone"))


@given(damaged(encode_upload((prekey(PrekeyKind.SIGNED, 1), prekey(PrekeyKind.ONE_TIME, 2)))))
def test_a_damaged_upload_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(decode_upload, data, ALLOWED)


def test_the_largest_upload_fits_and_no_larger() -> None:
    largest = (prekey(PrekeyKind.ONE_TIME_KEM, (1 << 32) - 1),) * MAX_UPLOAD

    assert len(encode_upload(largest)) <= UPLOAD_LIMIT
    assert decode_upload(encode_upload(largest)) == largest
    with pytest.raises(Malformed):
        decode_upload(encode_upload((*largest, prekey(PrekeyKind.SIGNED, 1))))


@pytest.mark.parametrize("one_time", [True, False])
@pytest.mark.parametrize("last_resort", [True, False])
def test_bundles_come_back_as_they_went(one_time: bool, last_resort: bool) -> None:
    several = tuple(
        bundle(name, one_time=one_time, last_resort=last_resort) for name in ("phone", "tablet")
    )

    read = decode_bundles(encode_bundles(several, chain=CHAIN))

    assert read == Bundles(several, CHAIN)
    for one in read.bundles:
        one.verify()


def test_the_largest_answer_is_read() -> None:
    several = tuple(bundle(f"device {n}") for n in range(MAX_DEVICES))
    chain = (bytes(MAX_STATEMENT),) * MAX_CHAIN

    assert decode_bundles(encode_bundles(several, chain=chain)) == Bundles(several, chain)
    with pytest.raises(Malformed):
        decode_bundles(encode_bundles((*several, bundle("one more")), chain=()))
    with pytest.raises(Malformed):
        decode_bundles(encode_bundles((), chain=(b"",) * (MAX_CHAIN + 1)))


@given(damaged(encode_bundles((bundle("phone", last_resort=True),), chain=CHAIN)))
def test_damaged_bundles_are_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(decode_bundles, data, ALLOWED)


def test_two_bundles_of_one_device_are_malformed() -> None:
    both = (bundle("phone"), bundle("phone", one_time=False))

    with pytest.raises(Malformed, match="one device"):
        decode_bundles(encode_bundles(both, chain=()))


def test_a_statement_in_the_answer_is_a_byte_string() -> None:
    with pytest.raises(Malformed, match="byte string"):
        decode_bundles(encode({0: 1, 1: [], 2: [1]}))


def test_a_key_in_another_s_place_is_malformed() -> None:
    good = bundle("phone")
    assert good.one_time is not None
    for wrong in (
        replace(good, signed=good.one_time),
        replace(good, kem=good.signed),
        replace(good, one_time=good.signed),
        replace(good, one_time=good.kem),
    ):
        with pytest.raises(Malformed, match="another kind"):
            wrong.verify()


def test_a_bundle_of_another_device_s_keys_is_refused() -> None:
    """A2: a gateway that swaps a key is found out, in whichever place."""
    good, other = bundle("phone"), bundle("tablet")
    for wrong in (
        replace(good, device=other.device),
        replace(good, signed=other.signed),
        replace(good, kem=other.kem),
        replace(good, one_time=other.one_time),
    ):
        with pytest.raises(NotSigned):
            wrong.verify()


@pytest.mark.parametrize("kind", [PrekeyKind.SIGNED, PrekeyKind.ONE_TIME])
def test_an_exchange_key_of_low_order_is_malformed(kind: PrekeyKind) -> None:
    """A12: it would make every secret the same."""
    one = replace(prekey(kind, 1), public=b"\1" + bytes(31))

    with pytest.raises(Malformed, match="low order"):
        Prekey.from_value(one.to_value())


def test_every_kind_is_signed_under_a_name_of_its_own() -> None:
    assert len({kind.domain for kind in PrekeyKind}) == 4
    assert [kind.size for kind in PrekeyKind] == [32, 1184, 32, 1184]
    assert prekey(PrekeyKind.SIGNED, 1).public == exchange("prekey 1")
