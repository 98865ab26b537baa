"""Lanes: what one is at each gateway, and how it is registered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hostile import damaged, refuses_with_only
from tests.wire.people import named, public
from tests.wire.strategies import raw32, rights
from wire.codec import Value, decode, encode
from wire.errors import Malformed
from wire.ids import GatewayId, LaneId
from wire.lanes import Lane, LaneRight, LaneSecret

SECRET = LaneSecret(named("lane"))
HERE, THERE = GatewayId(public("gateway")), GatewayId(public("other gateway"))

ALLOWED = {Malformed}  # not CBOR, not the list of seven, or a field out of bounds


@given(raw32, raw32)
def test_a_lane_is_another_one_at_every_gateway(one: bytes, other: bytes) -> None:
    secret = LaneSecret(named("lane"))
    first, second = secret.at(GatewayId(one)), secret.at(GatewayId(other))

    assert (first == second) == (one == other)
    assert (first.id == second.id) == (first.key == second.key) == (one == other)


def test_the_slot_is_in_the_id_and_not_in_the_key() -> None:
    here, sharded = SECRET.at(HERE), SECRET.at(HERE, slot=b"\x12\x34")

    assert here.id.raw[:2] == b"\0\0"
    assert sharded.id.raw == b"\x12\x34" + here.id.raw[2:]
    assert sharded.key == here.key
    with pytest.raises(Malformed):
        SECRET.at(HERE, slot=b"\0")


def test_the_id_says_nothing_of_the_key() -> None:
    lane = SECRET.at(HERE)

    assert lane.id.raw[2:] not in lane.key
    assert SECRET.at(THERE).key != lane.key


def test_a_secret_and_a_key_have_one_length() -> None:
    for size in (0, 31, 33):
        with pytest.raises(Malformed):
            LaneSecret(bytes(size))
        with pytest.raises(Malformed):
            Lane(LaneId(bytes(16)), bytes(size))


def test_no_secret_is_printed() -> None:
    assert SECRET.raw.hex() not in repr(SECRET)
    assert repr(SECRET) == "LaneSecret()"
    assert repr(SECRET.at(HERE)).count("=") == 1  # the id alone


@given(rights)
def test_a_right_comes_back_as_it_went(right: LaneRight) -> None:
    assert read(encode(right.to_value())) == right


def read(data: bytes) -> LaneRight:
    """Read a right as it stands in a message."""
    return LaneRight.from_value(decode(data, limit=4096))


@given(rights.map(lambda right: encode(right.to_value())).flatmap(damaged))
def test_a_damaged_right_is_malformed(data: bytes) -> None:
    refuses_with_only(read, data, ALLOWED)


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (2, 0),
        (2, 5),
        (3, 10_001),
        (4, (1 << 40) + 1),
        (5, (1 << 40) + 1),
        (6, 0),
        (0, b""),
        (1, b""),
    ],
)
@given(right=rights)
def test_a_right_has_bounds(place: int, wrong: Value, right: LaneRight) -> None:
    value = right.to_value()
    assert isinstance(value, list)
    value[place] = wrong

    with pytest.raises(Malformed):
        LaneRight.from_value(value)


@given(st.lists(st.integers(0, 3), max_size=9).filter(lambda parts: len(parts) != 7))
def test_a_right_is_a_list_of_seven(parts: list[Value]) -> None:
    with pytest.raises(Malformed, match="seven"):
        LaneRight.from_value(parts)
