"""What a mailbox takes, keeps and drops, as numbers."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.rules import (
    LIVE_SECONDS,
    REMEMBER_SECONDS,
    Held,
    Known,
    Missing,
    Progress,
    Room,
    Verdict,
    acknowledged_by_some,
    deletable_up_to,
    end_of_life,
    forget_day,
    is_live,
    judge,
    make_room,
    missing_room,
    size_of,
)
from wire.frames import NOWHERE, Cursor
from wire.ids import CursorEpoch, LaneId, ParcelId
from wire.parcel import DAY, HEADER_BYTES, Lifetime, Parcel

HERE, OTHER = LaneId(b"h" * 16), LaneId(b"o" * 16)
EPOCH, OVER, STRANGE = (CursorEpoch(bytes([n]) * 16) for n in (1, 2, 3))
ONE, TWO = ParcelId(b"1" * 16), ParcelId(b"2" * 16)


def test_a_parcel_counts_as_all_that_is_stored_of_it() -> None:
    parcel = Parcel(HERE, ONE, Lifetime.DAY, bytes(32), bytes(256))

    assert size_of(parcel) == HEADER_BYTES + 256 == len(parcel.encode())


@pytest.mark.parametrize(
    ("used", "last_tenth", "missing"),
    [
        (0, False, 0),
        (899, False, 0),
        (900, False, 1),
        (900, True, 0),
        (999, True, 0),
        (1000, True, 1),
    ],
)
def test_the_last_tenth_is_for_lanes_that_may_use_it(
    used: int, last_tenth: bool, missing: int
) -> None:
    found = missing_room(1, seat=Room(used, 1000), lane=Room(0, 1000), last_tenth=last_tenth)

    assert found == Missing(seat=missing, lane=0)
    assert found.nothing is (missing == 0)


def test_a_lane_has_a_part_of_its_own() -> None:
    found = missing_room(50, seat=Room(0, 1000), lane=Room(80, 100), last_tenth=False)

    assert found == Missing(seat=0, lane=30)


def test_the_oldest_go_first_and_no_more_than_needed() -> None:
    droppable = [Held(n, HERE, 100) for n in range(5)]

    assert make_room(Missing(seat=150, lane=0), lane=HERE, droppable=droppable) == droppable[:2]


def test_room_on_a_lane_is_made_on_that_lane_only() -> None:
    droppable = [Held(1, OTHER, 100), Held(2, HERE, 100), Held(3, OTHER, 100), Held(4, HERE, 100)]

    assert make_room(Missing(seat=0, lane=150), lane=HERE, droppable=droppable) == [
        droppable[1],
        droppable[3],
    ]


def test_nothing_goes_if_it_would_not_be_enough() -> None:
    assert make_room(Missing(seat=101, lane=0), lane=HERE, droppable=[Held(1, HERE, 100)]) is None


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 50)), max_size=20),
    st.integers(0, 300),
    st.integers(0, 300),
)
def test_room_is_made_exactly_when_it_can_be(
    parcels: list[tuple[bool, int]], seat: int, lane: int
) -> None:
    droppable = [Held(n, HERE if here else OTHER, s) for n, (here, s) in enumerate(parcels)]
    here = sum(one.size for one in droppable if one.lane == HERE)
    total = sum(one.size for one in droppable)

    chosen = make_room(Missing(seat=seat, lane=lane), lane=HERE, droppable=droppable)

    assert (chosen is not None) == (total >= seat and here >= lane)
    if chosen is not None:
        assert sum(one.size for one in chosen) >= seat
        assert sum(one.size for one in chosen if one.lane == HERE) >= lane


@pytest.mark.parametrize(("lifetime", "days"), [(0, 1), (1, 7), (2, 30), (3, 180)])
def test_lives_are_one_of_four(lifetime: int, days: int) -> None:
    assert end_of_life(Lifetime(lifetime), now=1000.0) == 1000.0 + days * DAY


@given(st.sampled_from(Lifetime), st.floats(0, 1e10))
def test_what_is_remembered_tells_the_day_and_no_more(lifetime: Lifetime, now: float) -> None:
    lasts = min(lifetime.seconds, REMEMBER_SECONDS)

    day = forget_day(lifetime, now=now)

    assert now + lasts <= day * DAY < now + lasts + DAY


def test_a_device_is_live_for_fourteen_days() -> None:
    assert is_live(1000.0, now=1000.0 + LIVE_SECONDS - 1)
    assert not is_live(1000.0, now=1000.0 + LIVE_SECONDS)


def test_every_live_device_must_have_it_before_it_goes() -> None:
    here, gone = 10 * LIVE_SECONDS, 0.0

    def up_to(*devices: Progress) -> int:
        return deletable_up_to(devices, now=here)

    assert up_to() == 0
    assert up_to(Progress(5, here)) == 5
    assert up_to(Progress(5, here), Progress(3, here)) == 3
    assert up_to(Progress(5, here), Progress(0, here)) == 0
    assert up_to(Progress(5, here), Progress(3, gone)) == 5
    assert up_to(Progress(5, gone), Progress(3, gone)) == 5
    assert acknowledged_by_some([Progress(5, gone), Progress(7, here)]) == 7


def known(*, there: ParcelId | None = ONE, acknowledged: int = 0, last_seq: int = 10) -> Known:
    return Known(EPOCH, {OVER}, last_seq, acknowledged, there)


@pytest.mark.parametrize(
    ("cursor", "state", "verdict"),
    [
        (Cursor(EPOCH, 5, ONE), known(), Verdict.GOOD),
        (Cursor(EPOCH, 10, ONE), known(), Verdict.GOOD),
        (Cursor.start(EPOCH), known(there=None), Verdict.GOOD),
        (NOWHERE, known(), Verdict.START_OVER),
        (Cursor(OVER, 99, TWO), known(), Verdict.START_OVER),
        (Cursor(STRANGE, 5, ONE), known(), Verdict.RESTORED),
        (Cursor(EPOCH, 11, ONE), known(), Verdict.RESTORED),
        (Cursor(EPOCH, 5, TWO), known(), Verdict.RESTORED),
        (Cursor(EPOCH, 5, ONE), known(there=None, acknowledged=4), Verdict.RESTORED),
        (Cursor(EPOCH, 5, ONE), known(there=None, acknowledged=6), Verdict.GOOD),
    ],
)
def test_a_cursor_is_judged_by_what_the_mailbox_has_said(
    cursor: Cursor, state: Known, verdict: Verdict
) -> None:
    assert judge(cursor, state) is verdict


def test_a_random_epoch_is_never_taken_for_an_old_one() -> None:
    cursor = Cursor(CursorEpoch(secrets.token_bytes(16)), 1, ONE)

    assert judge(cursor, known()) is Verdict.RESTORED
