"""The check code: one number, in digits or in pictures."""

from hypothesis import given
from hypothesis import strategies as st

from wire.check_code import COUNT, PICTURES, check_number, digits, pictures

numbers = st.integers(0, COUNT - 1)


@given(st.lists(st.binary(max_size=8), max_size=4))
def test_a_check_number_has_six_digits(transcript: list[bytes]) -> None:
    assert 0 <= check_number(*transcript) < COUNT


@given(numbers, numbers)
def test_two_numbers_look_different_in_digits_and_in_pictures(one: int, other: int) -> None:
    assert (digits(one) == digits(other)) == (one == other)
    assert (pictures(one) == pictures(other)) == (one == other)


def test_a_number_is_shown_in_two_groups() -> None:
    assert digits(42_917) == "042 917"
    assert digits(0) == "000 000"


def test_pictures_are_the_number_in_base_thirty_two() -> None:
    assert pictures(0) == ("dog",) * 4
    assert pictures(1) == ("dog", "dog", "dog", "cat")
    assert pictures(31 << 15 | 5) == ("bell", "dog", "dog", "bird")
    assert len(set(PICTURES)) == 32


def test_every_part_of_the_transcript_counts() -> None:
    assert len({check_number(b"a", b"b"), check_number(b"ab"), check_number(b"a", b"c")}) == 3
