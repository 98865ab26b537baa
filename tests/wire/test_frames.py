"""Frames: each comes back, and nothing else is one."""

from itertools import pairwise

import pytest
from hypothesis import given, settings

from tests.wire.hostile import damaged, refuses_with_only
from tests.wire.strategies import frames
from tests.wire.test_parcel import PARCEL
from wire.errors import Malformed, UnknownVersion
from wire.frames import (
    MAX_FRAME,
    MAX_OUTCOMES,
    MAX_PARCELS,
    NOWHERE,
    Ack,
    Bye,
    Cursor,
    Delivered,
    Deposit,
    Frame,
    Outcome,
    Parcels,
    Proved,
    Result,
    Results,
    decode_frame,
    encode_frame,
    encode_stored,
    fits,
    frame_size,
)
from wire.ids import CursorEpoch, ParcelId
from wire.parcel import MAX_BODY, Parcel

ALLOWED = {
    Malformed,  # not exactly one frame
    UnknownVersion,  # a parcel in it is of another version
}
PROOF = bytes(16)


@given(frames)
@settings(max_examples=200)
def test_a_frame_comes_back_as_it_went(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame)) == frame


@given(frames.map(encode_frame).flatmap(damaged))
@settings(max_examples=300)
def test_a_damaged_frame_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(decode_frame, data, ALLOWED)


@given(frames.map(encode_frame).flatmap(damaged))
def test_whatever_is_read_is_in_its_one_form(data: bytes) -> None:
    """BI-04: no two messages are one frame."""
    try:
        frame = decode_frame(data)
    except (Malformed, UnknownVersion):
        return
    assert encode_frame(frame) == data


def test_a_frame_of_the_largest_parcel_fits() -> None:
    largest = Parcel(PARCEL.lane, PARCEL.id, PARCEL.lifetime, PARCEL.purge, bytes(MAX_BODY))

    for frame in (Parcels((Delivered(1, largest),)), Deposit(1, (Proved(PROOF, largest),))):
        assert decode_frame(encode_frame(frame)) == frame
    assert fits(frame_size(largest), 1)
    assert not fits(2 * frame_size(largest), 2)


def test_what_fits_can_be_sent_and_read() -> None:
    size, several = frame_size(PARCEL), [Proved(PROOF, PARCEL)] * MAX_PARCELS

    assert fits(size * MAX_PARCELS, MAX_PARCELS)
    assert not fits(size, MAX_PARCELS + 1)
    assert len(encode_frame(Deposit(1, tuple(several)))) <= size * MAX_PARCELS + 16
    assert not fits(MAX_FRAME - 15, 1)


def test_more_than_a_frame_holds_is_not_looked_at() -> None:
    with pytest.raises(Malformed, match=str(MAX_FRAME + 1)):
        decode_frame(b"\x02" + bytes(MAX_FRAME))


@pytest.mark.parametrize(
    "frame",
    [
        Parcels(()),
        Deposit(1, ()),
        Results(1, ()),
        Parcels(tuple(Delivered(n, PARCEL) for n in range(1, MAX_PARCELS + 2))),
        Results(1, (Outcome(PARCEL.id, Result.BUSY, 1),) * (MAX_OUTCOMES + 1)),
        Bye(""),
        Bye("Busy"),
        Bye("a" * 41),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_what_nobody_could_read_is_not_written(frame: Frame) -> None:
    with pytest.raises(ValueError, match="nobody"):
        encode_frame(frame)


def test_a_cursor_that_has_never_collected_is_of_no_epoch() -> None:
    assert NOWHERE.epoch == CursorEpoch(bytes(16))
    assert Cursor.decode(NOWHERE.encode()) == NOWHERE
    assert Cursor.decode(bytes(40)) == NOWHERE
    for wrong in (bytes(39), bytes(41), bytes(16) + b"\x80" + bytes(23)):
        with pytest.raises(Malformed):
            Cursor.decode(wrong)
    with pytest.raises(Malformed):
        Cursor(NOWHERE.epoch, -1, ParcelId(bytes(16)))


def test_every_result_has_a_code_in_words() -> None:
    codes = [result.code for result in Result]

    assert codes[:3] == ["stored", "lane-refused", "id-taken"]
    assert all(one.value + 1 == other.value for one, other in pairwise(Result))
    assert all(decode_frame(encode_frame(Bye(code))) == Bye(code) for code in codes)


def test_a_frame_begins_with_its_type() -> None:
    assert encode_frame(Ack(NOWHERE)) == b"\x11" + bytes(40)


def test_parcels_from_a_store_make_the_frame_that_they_would_make_as_objects() -> None:
    delivered = tuple(Delivered(n, PARCEL) for n in (1, 4, 9))
    rows = [
        (one.seq, PARCEL.lane.raw, PARCEL.id.raw, int(PARCEL.lifetime), PARCEL.purge, PARCEL.body)
        for one in delivered
    ]

    assert encode_stored(rows) == encode_frame(Parcels(delivered))
