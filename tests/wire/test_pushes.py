"""What phone and gateway say about waking reads back as it was written, or is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.codec import encode
from wire.errors import Malformed, UnknownVersion, WireError
from wire.ids import LaneId
from wire.lanes import WakeRule
from wire.pushes import (
    DAY_MINUTES,
    Address,
    AddressKind,
    Hours,
    Reach,
    WhyLine,
    decode_number,
    decode_rules,
    decode_whys,
    encode_number,
    encode_rules,
    encode_whys,
)

minutes = st.integers(0, DAY_MINUTES - 1)
lanes = st.binary(min_size=16, max_size=16).map(LaneId)
hours = st.builds(
    Hours,
    zone=st.sampled_from(["UTC", "Europe/Berlin"]),
    quiet=st.none() | st.tuples(minutes, minutes),
    snooze_until=st.integers(0, 1 << 40),
    digests=st.lists(minutes, max_size=24).map(tuple),
)
READERS = (
    Address.decode, Hours.decode, Reach.decode, decode_whys, decode_rules, decode_number,
)  # fmt: skip


@given(
    st.text(max_size=50), st.binary(min_size=65, max_size=65), st.binary(min_size=16, max_size=16)
)
def test_addresses(endpoint: str, public: bytes, auth: bytes) -> None:
    address = Address(AddressKind.WEB_PUSH, endpoint, public, auth)
    try:
        data = address.encode()
    except WireError:  # a text that no message holds
        return
    assert Address.decode(data) == address
    assert "auth" not in repr(address)


@given(hours, st.binary(max_size=65), st.integers(0, 255), st.booleans())
def test_hours_and_reach(hours: Hours, key: bytes, kind: int, waits: bool) -> None:
    assert Hours.decode(hours.encode()) == hours
    reach = Reach(key, kind, waits, hours)
    assert Reach.decode(reach.encode()) == reach


@given(st.dictionaries(lanes, st.none() | st.sampled_from(WakeRule), max_size=5))
def test_rules(rules: dict[LaneId, WakeRule | None]) -> None:
    assert decode_rules(encode_rules(rules)) == rules


@given(
    st.lists(
        st.builds(
            WhyLine,
            st.integers(0, 1 << 40),
            st.sampled_from(["woke", "never"]),
            st.none() | lanes,
            st.integers(0, 1 << 60),
        ),
        max_size=5,
    ),
    st.integers(0, (1 << 63) - 1),
)
def test_whys_and_numbers(lines: list[WhyLine], number: int) -> None:
    assert decode_whys(encode_whys(lines)) == tuple(lines)
    assert decode_number(encode_number(number)) == number


@pytest.mark.parametrize(
    "value",
    [
        ["UTC", [60], 0, []],
        ["UTC", [60, 1440], 0, []],
        ["UTC", [True, 5], 0, []],
        ["UTC", [], -1, []],
        ["UTC", [], 0, [1] * 25],
        ["x" * 65, [], 0, []],
        ["UTC", [], 0],
    ],
)
def test_a_time_that_no_day_has_is_refused(value: list[object]) -> None:
    with pytest.raises(Malformed):
        Hours.decode(encode({0: 1, 1: value}))  # type: ignore[dict-item]  # that is the point


@pytest.mark.parametrize("value", [[[b"L" * 16, 5]], [[b"L" * 15, 1]], [[b"L" * 16, True]], [[1]]])
def test_a_rule_that_is_none_is_refused(value: list[object]) -> None:
    with pytest.raises(Malformed):
        decode_rules(encode({0: 1, 1: value}))  # type: ignore[dict-item]  # that is the point


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(Malformed):
        Address.decode(encode({0: 1, 1: 9, 2: "", 3: bytes(65), 4: bytes(16)}))


@pytest.mark.parametrize("read", READERS)
@given(data=st.binary(max_size=60))
def test_whatever_comes_is_read_or_refused(read: object, data: bytes) -> None:
    assert callable(read)
    for one in (data, encode({0: 1, 1: data}), encode({0: 1, 1: [data]})):
        try:
            read(one)
        except WireError:
            continue


@pytest.mark.parametrize("read", READERS)
def test_another_version_is_told_as_such(read: object) -> None:
    assert callable(read)
    with pytest.raises(UnknownVersion):
        read(encode({0: 2}))
