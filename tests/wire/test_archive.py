"""Heads and segments: what they say, and what is refused of them."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from wire.archive import (
    MAX_BODY,
    NOTHING_BEFORE,
    Extent,
    Head,
    Segment,
    SignedHead,
    body_hash,
    decode_range,
    encode_range,
)
from wire.codec import encode
from wire.errors import Malformed, NotSigned, UnknownVersion
from wire.ids import DeviceKey, PersonId

KEY = SigningKey(b"k" * 32)
FIRST = Head(
    PersonId(b"p" * 32), 1, NOTHING_BEFORE, 1, DeviceKey(bytes(KEY.verify_key)), body_hash(b"s"), 1
)


def signed(head: Head = FIRST, key: SigningKey = KEY) -> SignedHead:
    return SignedHead.sign(head, key)


def test_a_segment_is_read_as_it_was_written() -> None:
    segment = Segment(signed(), b"s")

    assert Segment.decode(segment.encode()) == segment
    assert SignedHead.decode(segment.signed.encode()) == segment.signed


def test_the_newest_head_stands_for_all_before_it() -> None:
    others = [replace(FIRST, body_hash=body_hash(b"t")), replace(FIRST, person=PersonId(b"q" * 32))]
    second = replace(FIRST, seq=2, before=FIRST.hash)

    assert len({FIRST.hash, second.hash, *(one.hash for one in others)}) == 4


def test_another_body_or_one_that_was_cut_is_refused() -> None:
    for body in (b"t", b"st"):
        with pytest.raises(NotSigned):
            Segment.decode(encode([FIRST.encode(), signed().signature, body]))


def test_a_body_that_was_lost_is_known_as_that() -> None:
    segment = Segment.decode(encode([FIRST.encode(), signed().signature, b""]))

    assert segment.lost
    assert segment.head == FIRST


def test_a_head_counts_for_the_device_that_it_names_alone() -> None:
    with pytest.raises(NotSigned):
        SignedHead.decode(signed(key=SigningKey(b"o" * 32)).encode())


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (replace(FIRST, seq=0), Malformed),
        (replace(FIRST, seq=2), Malformed),
        (replace(FIRST, before=b"b" * 32), Malformed),
        (replace(FIRST, generation=0), Malformed),
        (replace(FIRST, body_size=MAX_BODY + 1), Malformed),
    ],
)
def test_a_head_that_can_stand_nowhere_is_refused(head: Head, error: type[Exception]) -> None:
    with pytest.raises(error):
        SignedHead.decode(signed(head).encode())


def test_a_newer_version_is_said_to_be_one() -> None:
    with pytest.raises(UnknownVersion):
        Head.decode(encode({0: 2}))


@pytest.mark.parametrize("newest", [None, signed()])
def test_what_a_gateway_holds_is_read_as_it_was_said(newest: SignedHead | None) -> None:
    extent = Extent(1, 100, 1000, newest)

    assert Extent.decode(extent.encode()) == extent


def test_a_range_keeps_its_order_and_judges_nothing() -> None:
    assert decode_range(encode_range([b"2", b"1"])) == (b"2", b"1")
    with pytest.raises(Malformed):
        decode_range(encode([1]))
    with pytest.raises(Malformed):
        decode_range(encode({}))


@given(st.binary(max_size=600))
def test_any_bytes_are_a_segment_or_a_typed_refusal(data: bytes) -> None:
    for decode in (Segment.decode, SignedHead.decode, Extent.decode, decode_range):
        with suppress(Malformed, UnknownVersion, NotSigned):
            decode(data)
