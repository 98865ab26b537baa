"""Padding: the bounds of Padmé."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.padding import padded_length
from wire.parcel import MAX_BODY, MIN_BODY

lengths = st.integers(0, 1 << 40)


@given(lengths)
def test_padding_never_shortens_and_costs_at_most_an_eighth(length: int) -> None:
    padded = padded_length(length)

    assert length <= padded <= length + length // 8 + (length < 16)


@given(lengths)
def test_a_padded_length_pads_to_itself(length: int) -> None:
    assert padded_length(padded_length(length)) == padded_length(length)


@given(lengths, lengths)
def test_a_longer_text_is_never_padded_to_less(one: int, other: int) -> None:
    assert (padded_length(one) <= padded_length(other)) or one > other


@given(st.integers(2, 1 << 40))
def test_only_the_top_bits_of_a_length_are_left(length: int) -> None:
    """The mantissa has no more bits than the exponent has (PURBs, §4)."""
    padded = padded_length(length)
    exponent = padded.bit_length() - 1
    mantissa_bits = padded.bit_length() - ((padded & -padded).bit_length() - 1)

    assert mantissa_bits <= exponent.bit_length() + 1


@pytest.mark.parametrize(
    ("length", "padded"), [(0, 0), (1, 1), (2, 2), (9, 10), (256, 256), (257, 272), (1000, 1024)]
)
def test_known_lengths(length: int, padded: int) -> None:
    assert padded_length(length) == padded


def test_a_megabyte_has_few_sizes() -> None:
    sizes = {padded_length(length) for length in range(MIN_BODY, MAX_BODY + 1)}

    assert len(sizes) == 257
    assert max(sizes) == MAX_BODY


def test_a_length_is_not_negative() -> None:
    with pytest.raises(ValueError, match="negative"):
        padded_length(-1)
