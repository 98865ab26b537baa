"""Numbers out of many numbers are the right ones, and are written with as many digits as count."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import median, percentile, shown


def test_half_of_all_values_do_not_exceed_the_median() -> None:
    assert median([5.0, 1.0, 3.0]) == 3.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.99) == 4.0


def test_of_nothing_there_is_no_median() -> None:
    assert math.isnan(median([]))


@given(st.lists(st.floats(0, 1e9), min_size=1), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values_and_rises(values: list[float], part: float) -> None:
    values.sort()

    assert percentile(values, part) in values
    assert values[0] <= percentile(values, part) <= percentile(values, 1.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.01567, "0.0157"),
        (0.5, "0.500"),
        (1.234, "1.23"),
        (23.45, "23.4"),
        (1234.5, "1,234"),
        (math.nan, "-"),
    ],
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert shown(value) == text
