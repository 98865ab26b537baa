"""Where an item goes next and when, decided without a network."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.ways.outbox import (
    FIRST_RETRY,
    LONGEST_RETRY,
    Judged,
    Next,
    candidates,
    frames,
    judge,
    next_try,
    worst,
)
from wire.frames import MAX_FRAME, MAX_PARCELS, Deposit, Proved, Result, decode_frame, encode_frame
from wire.ids import GatewayId, LaneId, ParcelId
from wire.padding import padded_length
from wire.parcel import PROOF_BYTES, Lifetime, Parcel

HERS, OLD, OURS = (GatewayId(bytes([number]) * 32) for number in range(3))
NOW = 1_790_000_000.0

gateways = st.sampled_from([HERS, OLD, OURS])
chances = st.floats(0.0, 1.0)


def parcel(number: int, size: int) -> Proved:
    id = ParcelId(number.to_bytes(16, "big"))
    one = Parcel(LaneId(bytes(16)), id, Lifetime.MONTH, bytes(32), bytes(padded_length(size)))
    return Proved(bytes(PROOF_BYTES), one)


@pytest.mark.parametrize(
    ("result", "expected", "wait"),
    [
        (Result.STORED, Next.DONE, 0.0),
        (Result.LANE_REFUSED, Next.OTHER_GATEWAY, 0.0),
        (Result.ID_TAKEN, Next.SEAL_ANEW, 0.0),
        (Result.MAILBOX_FULL, Next.LATER, 77.0),
        (Result.BUSY, Next.LATER, 77.0),
        (Result.DISK_FULL, Next.LATER, 77.0),
        (Result.TOO_MANY_REQUESTS, Next.LATER, 77.0),
        (Result.STORAGE_FAILED, Next.LATER, 77.0),
        (Result.PARCEL_TOO_LARGE, Next.GIVE_UP, 0.0),
    ],
)
def test_each_answer_has_one_consequence(result: Result, expected: Next, wait: float) -> None:
    judged = judge(result, retry_after=77)

    assert (judged.next, judged.wait) == (expected, wait)
    assert judged.trouble == ("" if result is Result.STORED else result.code)


@pytest.mark.parametrize("result", list(Result))
def test_only_what_can_never_fit_is_given_up(result: Result) -> None:
    given_up = judge(result, retry_after=0).next is Next.GIVE_UP

    assert given_up == (result is Result.PARCEL_TOO_LARGE)


@pytest.mark.parametrize(
    ("theirs", "worked", "ours", "expected"),
    [
        ([], None, None, []),
        ([HERS], None, None, [HERS]),
        ([HERS, OLD], None, OURS, [HERS, OLD, OURS]),
        ([HERS], OURS, OURS, [OURS, HERS]),
        ([HERS], None, HERS, [HERS]),
        ([], None, OURS, [OURS]),
    ],
)
def test_gateways_are_tried_in_this_order(
    theirs: list[GatewayId],
    worked: GatewayId | None,
    ours: GatewayId | None,
    expected: list[GatewayId],
) -> None:
    assert candidates(theirs, worked=worked, ours=ours) == expected


@given(theirs=st.lists(gateways), worked=st.none() | gateways, ours=st.none() | gateways)
def test_each_gateway_is_tried_once_and_none_is_left_out(
    theirs: list[GatewayId], worked: GatewayId | None, ours: GatewayId | None
) -> None:
    found = candidates(theirs, worked=worked, ours=ours)

    assert len(found) == len(set(found))
    assert set(found) == {one for one in [*theirs, worked, ours] if one is not None}


REFUSED = Judged(Next.OTHER_GATEWAY, "lane-refused")
NOT_THERE = Judged(Next.OTHER_GATEWAY, "gateway-not-there")
FULL = Judged(Next.LATER, "mailbox-full", 300.0)


@pytest.mark.parametrize(
    ("judged", "trouble", "wait"),
    [
        ([], "no-gateway", 0.0),
        ([REFUSED], "lane-refused", 0.0),
        ([NOT_THERE, REFUSED], "gateway-not-there", 0.0),
        ([REFUSED, NOT_THERE], "gateway-not-there", 0.0),
        ([NOT_THERE, FULL], "gateway-not-there", 300.0),
        ([FULL, REFUSED], "mailbox-full", 300.0),
    ],
)
def test_of_several_troubles_the_first_that_tells_something_is_said(
    judged: list[Judged], trouble: str, wait: float
) -> None:
    assert worst(judged) == Judged(Next.LATER, trouble, wait)


@given(st.lists(st.builds(Judged, st.sampled_from(Next), st.text(min_size=1), st.floats(0.0, 1e6))))
def test_whatever_went_wrong_everywhere_it_is_tried_later(judged: list[Judged]) -> None:
    found = worst(judged)

    assert found.next is Next.LATER
    assert found.trouble
    assert all(found.wait >= one.wait for one in judged)


@given(tries=st.integers(1, 10**9), wait=st.floats(0.0, 1e6), chance=chances)
def test_the_next_try_is_always_ahead_and_never_further_than_the_longest_pause(
    tries: int, wait: float, chance: float
) -> None:
    pause = next_try(tries, now=0.0, at_least=wait, random=lambda: chance)

    assert pause >= max(wait, FIRST_RETRY / 2)
    assert pause <= max(wait, LONGEST_RETRY * 1.5)


@given(tries=st.integers(1, 1000), chance=chances)
def test_pauses_never_get_shorter(tries: int, chance: float) -> None:
    pauses = [
        next_try(number, now=NOW, at_least=0.0, random=lambda: chance)
        for number in (tries, tries + 1)
    ]

    assert pauses == sorted(pauses)


def test_pauses_double_up_to_the_longest() -> None:
    pauses = [next_try(tries, now=0.0, at_least=0.0, random=lambda: 0.5) for tries in range(1, 12)]

    assert pauses == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 900.0, 900.0, 900.0]


@pytest.mark.parametrize("tries", [1, 5, 100])
def test_phones_that_failed_together_come_back_at_different_times(tries: int) -> None:
    chances = [number / 100 for number in range(101)]
    times = {
        next_try(tries, now=NOW, at_least=0.0, random=lambda one=one: one)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        for one in chances
    }

    assert len(times) == len(chances)
    assert max(times) - NOW == 3 * (min(times) - NOW)


def test_a_month_of_failures_is_tried_to_its_end() -> None:
    now, tries = 0.0, 0
    while now < 30 * 86_400.0:
        tries += 1
        now = next_try(tries, now=now, at_least=0.0, random=lambda: 1.0)

    assert 30 * 86_400 / (LONGEST_RETRY * 1.5) < tries < 30 * 86_400 / FIRST_RETRY


@settings(max_examples=30)
@given(st.lists(st.sampled_from([256, 300, 60_000, 500_000, 1_000_000]), max_size=100))
def test_deposits_hold_every_parcel_once_and_in_order(sizes: list[int]) -> None:
    parcels = [parcel(number, size) for number, size in enumerate(sizes)]
    found = frames(parcels)

    assert [one for frame in found for one in frame] == parcels
    assert all(1 <= len(frame) <= MAX_PARCELS for frame in found)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([300] * 64, [64]),
        ([300] * 65, [64, 1]),
        ([1_000_000] * 3, [1, 1, 1]),
        ([1_000_000, 300, 300], [3]),
        ([300, 1_000_000, 1_000_000, 300], [2, 2]),
        ([500_000, 500_000, 500_000], [2, 1]),
    ],
)
def test_deposits_are_as_few_as_their_size_lets_them_be(
    sizes: list[int], expected: list[int]
) -> None:
    found = frames([parcel(number, size) for number, size in enumerate(sizes)])

    assert [len(frame) for frame in found] == expected
    for frame in found:
        data = encode_frame(Deposit(1, tuple(frame)))
        assert len(data) <= MAX_FRAME
        assert decode_frame(data) == Deposit(1, tuple(frame))
