"""The common clock goes forward whatever the clocks of its devices say."""

from hypothesis import given
from hypothesis import strategies as st

from peer.devices.clock import LAST_TURN, LATEST, TURN_BITS, Clock, generation_of

TIMES = st.integers(0, LATEST)
OWN = st.floats(-1e15, 1e15)
CLOCKS = st.builds(Clock, st.integers(0, 1 << 40), TIMES)


def place(clock: Clock) -> tuple[int, int]:
    return clock.epoch, clock.time


@given(CLOCKS, OWN)
def test_a_tick_is_later_than_everything_before_it(clock: Clock, own: float) -> None:
    stuck = clock.time == LATEST and clock.epoch & LAST_TURN == LAST_TURN

    assert (place(clock.tick(own)) > place(clock)) is not stuck


@given(CLOCKS, CLOCKS, OWN)
def test_a_tick_is_later_than_everything_that_was_seen(
    clock: Clock, other: Clock, own: float
) -> None:
    seen = clock.seen(other.epoch, other.time)

    assert place(seen) == max(place(clock), place(other))
    assert place(seen.tick(own)) >= place(seen)


@given(st.integers(1, 1 << 30), OWN, OWN)
def test_no_clock_is_too_far_ahead_or_behind_to_be_taken(
    generation: int, here: float, there: float
) -> None:
    clock = Clock.of_generation(generation)
    other = clock.tick(there)

    assert place(clock.seen(other.epoch, other.time).tick(here)) > place(other)


def test_a_right_clock_is_followed() -> None:
    clock = Clock.of_generation(1).tick(1_000_000).tick(1_000_001)

    assert clock.time >> 16 == 1_000_001
    assert clock.ahead(1_000_001) == 0


def test_a_clock_that_stands_at_the_end_of_time_goes_on_in_the_next_epoch() -> None:
    clock = Clock(1 << TURN_BITS, LATEST).tick(1_000)

    assert clock == Clock((1 << TURN_BITS) + 1, 1_000 << 16)


def test_a_new_epoch_undoes_a_clock_that_ran_ahead() -> None:
    poisoned = Clock.of_generation(3).seen(3 << TURN_BITS, LATEST - 5)
    turned = poisoned.turned().tick(2_000)

    assert place(turned) > place(poisoned)
    assert turned.time == 2_000 << 16
    assert generation_of(turned.epoch) == 3
    assert place(Clock.of_generation(4)) > place(turned)
