"""Deterministic CBOR: one spelling, and nothing else is read."""

import io

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.wire.hostile import damaged, refuses_with_only
from tests.wire.strategies import values
from wire.codec import MAX_DEPTH, Value, decode, encode
from wire.errors import Malformed

ALLOWED = {Malformed}  # whatever is wrong, these are not the bytes of a message


def read(data: bytes) -> Value:
    """Decode with room to spare."""
    return decode(data, limit=1 << 16)


@given(values)
def test_a_value_comes_back_as_it_went(value: Value) -> None:
    """BI-04: decode is the inverse of encode."""
    back = read(encode(value))

    assert back == value
    assert encode(back) == encode(value)


@given(values)
def test_the_encoding_is_what_another_library_reads(value: Value) -> None:
    assert cbor2.loads(encode(value)) == value


@given(st.binary(max_size=64))
@example(b"\xf9\x3c\x00")
@example(b"\xa2\x00\x01\x00\x02")
@example(b"\x00\x00")
def test_whatever_is_read_is_in_its_one_spelling(data: bytes) -> None:
    """BI-04: no two byte strings decode to one value."""
    try:
        value = read(data)
    except Malformed:
        return
    assert encode(value) == data


def read_slowly(data: bytes) -> Value:
    """Decode with cbor2, encode again and compare."""
    stream = io.BytesIO(data)
    try:
        value: Value = cbor2.CBORDecoder(stream).decode()
        spelled = encode(value)
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Malformed(str(error)) from None
    if spelled != data:
        raise Malformed("another spelling")
    return value


@given(st.one_of(st.binary(max_size=24), values.map(encode).flatmap(damaged)))
@example(bytes.fromhex("18 17"))
@example(bytes.fromhex("19 00ff"))
@example(bytes.fromhex("1b 00000000ffffffff"))
@example(bytes.fromhex("3b 8000000000000000"))
@example(bytes.fromhex("62 c328"))
@example(bytes.fromhex("63 65cc81"))
@example(bytes.fromhex("a2 01 00 00 00"))
@example(bytes.fromhex("a1 20 00"))
@example(bytes.fromhex("a1 f5 00"))
@example(bytes.fromhex("f7"))
@example(bytes.fromhex("c0 00"))
@example(bytes.fromhex("5f 41 00 ff"))
def test_what_is_read_is_what_decoding_encoding_and_comparing_takes(data: bytes) -> None:
    """BI-04: the quick reader and the slow way agree on every byte string."""
    try:
        wanted = read_slowly(data)
    except Malformed:
        with pytest.raises(Malformed):
            read(data)
        return
    found = read(data)
    assert (found, type(found)) == (wanted, type(wanted))


@given(values.map(encode).flatmap(damaged))
def test_damaged_bytes_are_malformed_and_nothing_worse(data: bytes) -> None:
    refuses_with_only(read, data, ALLOWED)


def test_a_map_is_written_in_the_order_of_its_keys() -> None:
    assert encode({256: 1, 24: 2, 0: 3}) == bytes.fromhex("a3 0003 181802 19010001")


@pytest.mark.parametrize(
    "data",
    ["5b7fffffffffffffff", "5affffffff", "9b7fffffffffffffff", "bb7fffffffffffffff", "7affffffff"],
)
def test_a_lying_length_is_refused_without_room_for_it(data: str) -> None:
    """BI-05: nothing of that size is allocated."""
    with pytest.raises(Malformed):
        read(bytes.fromhex(data) + bytes(16))


def test_the_limit_is_on_the_bytes() -> None:
    assert decode(b"\x41a", limit=2) == b"a"
    with pytest.raises(Malformed, match="at most 1"):
        decode(b"\x41a", limit=1)


@pytest.mark.parametrize("opening", [b"\x81", b"\xa1\x00"])
def test_a_bomb_of_depth_is_refused_before_it_is_decoded(opening: bytes) -> None:
    """DS-17: nesting beyond any message, at the price of reading a few bytes."""
    with pytest.raises(Malformed, match="deeper"):
        read(opening * 20_000 + b"\x00")
    assert read(opening * MAX_DEPTH + b"\x00")
    with pytest.raises(Malformed, match="deeper"):
        read(opening * (MAX_DEPTH + 1) + b"\x00")


def _nested(levels: int, innermost: Value) -> Value:
    value = innermost
    for _ in range(levels):
        value = [value]
    return value


def test_what_could_not_be_read_is_not_written() -> None:
    assert read(encode(_nested(MAX_DEPTH, 1))) == _nested(MAX_DEPTH, 1)
    for value in (_nested(MAX_DEPTH + 1, 1), _nested(MAX_DEPTH, []), _nested(MAX_DEPTH, {})):
        with pytest.raises(ValueError, match="deeper"):
            encode(value)


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        1 << 64,
        -(1 << 63) - 1,
        "u\u0308",
        {"a": 1},
        {-1: 1},
        {True: 1},
        {1 << 64: 1},
        (1, 2),
        {1},
        pytest.param(io.BytesIO(), id="a stream"),
    ],
    ids=repr,
)
def test_what_has_no_place_in_a_message_is_our_own_mistake(value: Value) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode(value)
