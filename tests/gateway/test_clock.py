"""The clock by which parcels grow old."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import BUILD_DATE, MAX_GAP, ClockMark, SteadyClock, SystemClock
from tests.gateway.hands import Hands

DAY = 86_400.0


def test_while_it_runs_only_lived_time_counts() -> None:
    hands = Hands()
    clock = SteadyClock(hands, mark=None)
    begin = clock.now()

    hands.live(60)
    assert clock.now() == begin + 60
    hands.wall += 20_000 * DAY
    assert clock.now() == begin + 60
    hands.wall -= 40_000 * DAY
    assert clock.now() == begin + 60


def test_a_box_that_starts_in_1970_does_not_jump_when_the_network_tells_the_date() -> None:
    hands = Hands(wall=12.0)
    clock = SteadyClock(hands, mark=None)

    assert clock.now() == BUILD_DATE
    assert not clock.wall_is_plausible()
    hands.wall = BUILD_DATE + 300 * DAY
    hands.live(10)
    assert clock.now() == BUILD_DATE + 10
    assert clock.wall_is_plausible()


def test_a_restart_adds_the_time_that_passed() -> None:
    hands = Hands()
    mark = SteadyClock(hands, mark=None).mark()
    hands.wall += 3600
    hands.steady = 1.0

    assert SteadyClock(hands, mark=mark).now() == mark.steady + 3600


@pytest.mark.parametrize("years", [1, 130])
def test_a_restart_adds_a_day_at_most(years: int) -> None:
    hands = Hands()
    mark = SteadyClock(hands, mark=None).mark()
    hands.wall += years * 365 * DAY

    assert SteadyClock(hands, mark=mark).now() == mark.steady + MAX_GAP


def test_a_clock_set_back_across_a_restart_takes_nothing_away() -> None:
    hands = Hands()
    mark = SteadyClock(hands, mark=None).mark()
    hands.wall = 0.0

    assert SteadyClock(hands, mark=mark).now() == mark.steady


def test_a_stopped_wall_clock_stops_nothing() -> None:
    hands = Hands()
    clock = SteadyClock(hands, mark=None)
    begin = clock.now()
    hands.steady += 40 * DAY

    assert clock.now() == begin + 40 * DAY


def test_a_date_set_by_a_phone_becomes_a_steady_time() -> None:
    hands = Hands()
    clock = SteadyClock(hands, mark=None)

    assert clock.at_wall(hands.wall + 7 * DAY) == clock.now() + 7 * DAY
    assert clock.at_wall(hands.wall - DAY) == clock.now()
    hands.wall = 0.0
    assert clock.at_wall(clock.now() + DAY) == clock.now() + DAY


def test_the_machine_has_both_clocks() -> None:
    clock = SystemClock()

    assert clock.monotonic() <= clock.monotonic()
    assert clock.now() > BUILD_DATE - 365 * DAY


moves = st.one_of(
    st.tuples(st.just("live"), st.floats(0, 10 * DAY)),
    st.tuples(st.just("jump"), st.floats(-60_000 * DAY, 60_000 * DAY)),
    st.tuples(st.just("restart"), st.floats(0, 400 * DAY)),
)


@given(st.floats(0, 10 * BUILD_DATE), st.lists(moves, max_size=30))
def test_it_never_goes_back_and_never_runs_ahead_of_what_can_have_passed(
    wall: float, history: list[tuple[str, float]]
) -> None:
    hands = Hands(wall=wall)
    clock = SteadyClock(hands, mark=None)
    before, lived, restarts = clock.now(), 0.0, 0
    begin = before
    for move, seconds in history:
        if move == "live":
            hands.live(seconds)
            lived += seconds
        elif move == "jump":
            hands.wall += seconds
        else:
            mark = clock.mark()
            hands.wall += seconds
            hands.steady = 0.0
            clock = SteadyClock(hands, mark=mark)
            restarts += 1
        now = clock.now()
        assert now >= before
        before = now

    slack = 1e-3  # float seconds of a far date
    assert begin + lived - slack <= before <= begin + lived + restarts * MAX_GAP + slack


@given(st.floats(BUILD_DATE, 2 * BUILD_DATE), st.floats(0, MAX_GAP))
def test_a_short_absence_on_a_box_whose_clock_is_right_is_counted_exactly(
    wall: float, absence: float
) -> None:
    hands = Hands(wall=wall + absence)
    clock = SteadyClock(hands, mark=ClockMark(wall, wall))

    assert clock.now() == pytest.approx(wall + absence, abs=1e-3)
