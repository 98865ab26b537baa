"""Fields: each refusal of a map message, once."""

from collections.abc import Callable

import pytest

from wire.codec import encode
from wire.errors import Malformed, UnknownVersion
from wire.fields import Fields


def fields() -> Fields:
    """Return a message with one field of every type."""
    return Fields({0: 1, 1: b"abc", 2: "grün", 3: 7, 4: True, 5: [1, 2]}, what="test")


def test_fields_are_taken_out_one_by_one() -> None:
    taken = fields()

    assert taken.version(0, known=1) == 1
    assert taken.raw(1, size=3, limit=3) == b"abc"
    assert taken.text(2, limit=5) == "grün"
    assert taken.integer(3, low=7, high=7) == 7
    assert taken.boolean(4) is True
    assert taken.has(5)
    assert taken.list(5, limit=2) == [1, 2]
    assert not taken.has(5)
    taken.end()


@pytest.mark.parametrize(
    "take",
    [
        lambda f: f.raw(2),
        lambda f: f.raw(1, size=2),
        lambda f: f.raw(1, limit=2),
        lambda f: f.text(1, limit=9),
        lambda f: f.text(2, limit=4),  # bytes of UTF-8, not characters
        lambda f: f.integer(1, low=0, high=9),
        lambda f: f.integer(4, low=0, high=9),  # true is no number
        lambda f: f.integer(3, low=8, high=9),
        lambda f: f.integer(3, low=0, high=6),
        lambda f: f.boolean(3),
        lambda f: f.list(1, limit=9),
        lambda f: f.list(5, limit=1),
        lambda f: f.raw(9),
        lambda f: f.end(),
    ],
)
def test_a_field_that_does_not_fit_is_malformed(take: Callable[[Fields], object]) -> None:
    with pytest.raises(Malformed, match="test"):
        take(fields())


def test_a_field_is_taken_once() -> None:
    taken = fields()
    taken.raw(1)

    with pytest.raises(Malformed, match="missing"):
        taken.raw(1)


def test_another_version_is_no_damage() -> None:
    with pytest.raises(UnknownVersion) as refused:
        Fields({0: 2}, what="test").version(0, known=1)
    assert refused.value.version == 2
    with pytest.raises(Malformed):
        Fields({0: 256}, what="test").version(0, known=1)


def test_a_message_is_a_map_of_at_most_so_many_bytes() -> None:
    assert Fields.read(encode({0: 1}), limit=3, what="test").has(0)
    with pytest.raises(Malformed):
        Fields.read(encode({0: 1}), limit=2, what="test")
    with pytest.raises(Malformed, match="not a map"):
        Fields.read(encode([1]), limit=9, what="test")
