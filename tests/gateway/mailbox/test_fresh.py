"""Parcels that need not be read again."""

from gateway.mailbox.fresh import KEPT_BYTES, Fresh
from tests.gateway.mailbox.house import GATEWAY, parcel
from wire.frames import (
    MAX_FRAME,
    MAX_PARCELS,
    Delivered,
    Parcels,
    encode_frame,
    encode_stored,
)
from wire.lanes import LaneSecret
from wire.parcel import Parcel

LANE = LaneSecret(bytes(32)).at(GATEWAY)


def kept(*numbers: int, size: int = 256) -> tuple[Fresh, dict[int, Parcel]]:
    fresh, parcels = Fresh(), {n: parcel(LANE, size=size) for n in numbers}
    for number, one in parcels.items():
        fresh.add(number, one)
    return fresh, parcels


def numbers(fresh: Fresh, first: int, last: int) -> list[int]:
    return [row[0] for row in fresh.take(first, last)]


def test_what_was_stored_is_sent_as_it_would_be_read() -> None:
    fresh, parcels = kept(5, 6)

    rows = fresh.take(5, 6)

    delivered = tuple(Delivered(n, parcels[n]) for n in (5, 6))
    assert encode_stored(rows) == encode_frame(Parcels(delivered))


def test_nothing_is_taken_beyond_a_gap_or_the_last() -> None:
    assert numbers(kept(5, 6, 8)[0], 5, 9) == [5, 6]
    assert numbers(kept(5, 6, 7)[0], 5, 6) == [5, 6]


def test_without_the_first_there_is_nothing() -> None:
    fresh, _ = kept(6, 7)

    assert numbers(fresh, 5, 7) == []
    assert numbers(fresh, 6, 7) == []  # the store is asked from now on


def test_what_comes_after_the_last_stays() -> None:
    fresh, _ = kept(5, 6, 7)

    assert numbers(fresh, 5, 5) == [5]
    assert numbers(fresh, 6, 7) == [6, 7]
    assert numbers(fresh, 6, 7) == []


def test_only_so_much_is_kept_and_it_fits_one_frame() -> None:
    many, _ = kept(*range(MAX_PARCELS + 1))
    assert numbers(many, 0, MAX_PARCELS) == []
    large, _ = kept(*range(5), size=KEPT_BYTES // 4)
    assert numbers(large, 0, 4) == []
    most, _ = kept(*range(MAX_PARCELS))
    assert len(encode_stored(most.take(0, MAX_PARCELS))) <= MAX_FRAME


def test_there_is_room_again_after_what_was_taken() -> None:
    fresh = Fresh()
    for number in range(10 * MAX_PARCELS):
        fresh.add(number, parcel(LANE, size=1024))
        assert numbers(fresh, number, number) == [number]
