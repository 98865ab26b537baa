"""Who was refused how often, and who is listened to."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.patience import MAX_KNOWN, Patience


class Watch:
    """A clock with a hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_whoever_was_refused_too_often_is_listened_to_again_after_a_while() -> None:
    watch = Watch()
    patience = Patience(60, now=watch)

    said = [patience.refused("a") for _ in range(60)]
    assert said == [False] * 59 + [True]
    assert patience.is_over("a")
    assert not patience.is_over("b")

    watch.now = 1.5
    assert not patience.is_over("a")
    assert patience.refused("a")
    assert patience.is_over("a")
    watch.now = 120.0
    assert not patience.is_over("a")
    assert len(patience) == 0


def test_a_flood_from_everywhere_fills_no_memory() -> None:
    patience = Patience(1, now=Watch())
    for number in range(2 * MAX_KNOWN):
        patience.refused(str(number))

    assert len(patience) == MAX_KNOWN
    assert patience.is_over(str(2 * MAX_KNOWN - 1))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 30)), max_size=80))
def test_nobody_gets_more_refusals_than_allowed_in_any_time(
    steps: list[tuple[str, float]],
) -> None:
    watch, got = Watch(), 0
    patience = Patience(10, now=watch)
    for network, seconds in steps:
        watch.now += seconds
        if not patience.is_over(network):
            patience.refused(network)
            got += network == "a"

    assert got <= 10 + watch.now * 10 / 60 + 1
