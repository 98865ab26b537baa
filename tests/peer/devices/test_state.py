"""Devices that have heard the same hold the same, in whatever order it came."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.devices.clock import Stamp
from peer.devices.merges import ReadMark
from peer.devices.state import Entry, Merge, State, is_sound, joined, merge_of
from tests.peer.devices import fuzz
from wire.errors import Malformed

KEY = b"\x01" + bytes(15)
MEMBER = b"\x28" + bytes(15)
READ = b"\x0a" + bytes(15)
SEEDS = 300
STAMPS = st.builds(
    Stamp,
    st.integers(0, 2),
    st.integers(0, 3),
    st.sampled_from([b"a" * 16, b"b" * 16]),
    st.integers(1, 3),
)
ENTRIES = st.lists(
    st.builds(
        Entry, st.sampled_from([KEY, MEMBER]), STAMPS, st.none() | st.sampled_from([b"x", b"y"])
    ),
    max_size=12,
)


def stamp(time: int, *, epoch: int = 1, device: bytes = b"a" * 16) -> Stamp:
    return Stamp(epoch, time, device, 1)


@given(ENTRIES, st.randoms(use_true_random=False))
def test_the_order_and_repetition_of_what_comes_does_not_matter(
    entries: list[Entry], dice: random.Random
) -> None:
    one, other = State(), State()
    one.take(entries)
    again = [*entries, *entries]
    dice.shuffle(again)
    other.take(again)

    assert one == other


@pytest.mark.parametrize("part", range(6))
def test_no_seed_of_wrong_clocks_loss_and_crashes_diverges_or_loses_an_update(part: int) -> None:
    """P11, CK: hours, days and years wrong; loss, reordering, duplication, crashes, poison."""
    outcomes = [fuzz.play(seed) for seed in range(part, SEEDS, 6)]

    assert [one for one in outcomes if one.diverged] == []
    assert sum(one.lost for one in outcomes) == 0


def test_the_later_change_counts_and_a_later_epoch_beats_any_clock() -> None:
    early, late = Entry(KEY, stamp(5), b"early"), Entry(KEY, stamp(9), b"late")
    epoch = Entry(KEY, stamp(0, epoch=2), b"epoch")

    assert joined(early, late) == joined(late, early) == late
    assert joined(late, epoch) == epoch


def test_at_the_same_time_a_member_is_removed() -> None:
    added = Entry(MEMBER, stamp(5, device=b"b" * 16), b"")
    removed = Entry(MEMBER, stamp(5), None)

    assert joined(added, removed).value is None
    assert joined(added, Entry(MEMBER, stamp(4), None)) == added


def test_what_was_read_on_two_devices_is_joined_under_the_later_stamp() -> None:
    one, two = (Entry(READ, stamp(n), ReadMark(n).encode()) for n in (3, 4))

    assert joined(two, one) == Entry(READ, stamp(4), ReadMark(4).encode())
    assert joined(one, Entry(READ, stamp(9), None)).value == one.value


def test_what_cannot_be_joined_is_known() -> None:
    assert not is_sound(Entry(READ, stamp(1), b"no mark"))
    assert is_sound(Entry(READ, stamp(1), ReadMark(2).encode()))
    assert merge_of(b"\xff" + bytes(15)) not in list(Merge)
    assert is_sound(Entry(b"\xff" + bytes(15), stamp(1), b"of a newer program"))


def test_a_key_has_its_length() -> None:
    with pytest.raises(Malformed):
        Entry(b"short", stamp(1), None)
