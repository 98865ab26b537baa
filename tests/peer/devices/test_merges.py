"""Values that were made apart are joined the same everywhere, and nothing in them is lost."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.devices.merges import Dotted, ReadMark, dotted_of, merged_dotted, merged_marks
from wire.codec import encode
from wire.errors import Malformed

ANA, BEN, TAB = b"a" * 16, b"b" * 16, b"t" * 16
DEVICES = (ANA, BEN, TAB)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(["put", "add", "clear", "merge"]), st.integers(0, 2)
    ),
    max_size=24,
)
MARKS = st.builds(
    lambda upto, missing: ReadMark(upto, frozenset(one for one in missing if one <= upto)),
    st.integers(0, 40),
    st.sets(st.integers(1, 40), max_size=8),
)


def played(steps: list[tuple[int, str, int]]) -> list[Dotted]:
    """Return what three devices hold after they have changed a value and heard each other."""
    held = [Dotted(), Dotted(), Dotted()]
    for number, (who, what, other) in enumerate(steps):
        value = bytes([number])
        match what:
            case "put":
                held[who] = held[who].put(DEVICES[who], value)
            case "add":
                held[who] = held[who].add(DEVICES[who], value)
            case "clear":
                held[who] = held[who].cleared()
            case _:
                held[who] = held[who].merge(held[other])
    return held


@given(STEPS)
def test_dotted_values_join_in_any_order_and_any_number_of_times(
    steps: list[tuple[int, str, int]],
) -> None:
    one, two, three = played(steps)

    assert one.merge(two) == two.merge(one)
    assert one.merge(two).merge(three) == one.merge(two.merge(three))
    assert one.merge(one) == one
    assert one.merge(two).merge(two) == one.merge(two)


@given(STEPS)
def test_dotted_values_are_read_as_they_were_written(steps: list[tuple[int, str, int]]) -> None:
    for one in played(steps):
        assert Dotted.from_value(one.to_value()) == one


def test_a_block_made_beside_an_unblock_stays() -> None:
    blocked = Dotted().put(ANA, b"")
    lifted = blocked.cleared()
    again = blocked.put(BEN, b"")

    assert not lifted.held
    assert not blocked.merge(lifted).held
    assert lifted.merge(again).held
    assert Dotted().put(TAB, b"").merge(lifted).held


def test_drafts_on_different_bases_are_both_kept() -> None:
    base = Dotted().put(ANA, b"Dear Ben")
    phone, tablet = base.put(ANA, b"Dear Ben, yes"), base.put(TAB, b"Dear Ben, no")

    assert set(phone.merge(tablet).held.values()) == {b"Dear Ben, yes", b"Dear Ben, no"}
    assert set(base.merge(phone).held.values()) == {b"Dear Ben, yes"}


def test_a_draft_made_on_both_replaces_both() -> None:
    both = Dotted().put(ANA, b"yes").merge(Dotted().put(TAB, b"no"))

    assert set(both.merge(both.put(TAB, b"perhaps")).held.values()) == {b"perhaps"}


def read(mark: ReadMark) -> set[int]:
    return {number for number in range(1, 60) if mark.covers(number)}


@given(MARKS, MARKS, MARKS)
def test_read_marks_join_to_all_that_was_read(
    one: ReadMark, two: ReadMark, three: ReadMark
) -> None:
    joined = one.merge(two).merge(three)

    assert read(joined) == read(one) | read(two) | read(three)
    assert joined == three.merge(one).merge(two)
    assert one.merge(one) == one
    assert ReadMark.decode(joined.encode()) == joined


def test_a_letter_that_one_device_never_had_is_not_read_by_its_mark() -> None:
    mark = ReadMark().with_read(9, frozenset({5}))

    assert mark.covers(9)
    assert not mark.covers(5)
    assert mark.merge(ReadMark(5)).covers(5)


def test_a_letter_put_back_stays_so_until_it_is_read_again() -> None:
    mark = ReadMark(7)
    back = mark.with_unread(TAB, 3)

    assert not back.covers(3)
    assert not mark.with_read(9, frozenset()).merge(back).covers(3)  # made apart: unread counts
    assert mark.with_read(9, frozenset()).merge(back).covers(9)
    again = back.with_read(9, frozenset())
    assert back.merge(again).covers(3)
    assert ReadMark.decode(back.encode()) == back


@given(st.binary(max_size=40))
def test_what_is_no_mark_is_refused(data: bytes) -> None:
    with suppress(Malformed):
        assert ReadMark.decode(data).encode()


@pytest.mark.parametrize(
    "value", [7, [1, 2], [[], [[b"a", 1]]], [[[1, 2]], []], [[], []], [b"p", 1]]
)
def test_what_is_no_dotted_record_is_refused(value: list[object] | int) -> None:
    with pytest.raises(Malformed):
        dotted_of(encode(value))  # type: ignore[arg-type]  # that is what is tested


def test_encoded_values_are_joined() -> None:
    one, two = Dotted().put(ANA, b"x"), Dotted().put(BEN, b"y")

    joined = merged_dotted(encode([b"p", one.to_value()]), encode([b"p", two.to_value()]))
    assert dotted_of(joined) == (b"p", one.merge(two))
    assert merged_marks(ReadMark(3).encode(), ReadMark(5).encode()) == ReadMark(5).encode()
