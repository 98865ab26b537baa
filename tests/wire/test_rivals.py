"""Rivals: which of several statements counts, on small trees."""

from tests.wire.people import birth, public, step
from wire.rivals import Tree, revoked
from wire.statements import Signed

FIRST = birth("phone", "tablet", "laptop")


def tree(*statements: Signed) -> Tree:
    """Return the tree as a card makes it."""
    known = sorted((FIRST, *statements), key=lambda one: (one.statement.seq, one.hash))
    return Tree(known)


def test_revoked_are_those_that_are_no_longer_listed() -> None:
    on = step(FIRST, "phone", "phone", "watch")

    assert revoked(on.statement, before=FIRST.statement) == {public("tablet"), public("laptop")}
    assert revoked(FIRST.statement, before=FIRST.statement) == frozenset()


def test_what_stands_below_is_a_statement_and_all_on_top_of_it() -> None:
    one, other = step(FIRST, "phone"), step(FIRST, "tablet")
    top = step(one, "tablet")

    assert set(tree(one, other, top).below([one])) == {one, top}
    assert set(tree(one, other, top).below([FIRST])) == {FIRST, one, other, top}


def test_a_single_chain_counts_as_it_is() -> None:
    one = step(FIRST, "phone")
    two = step(one, "tablet")

    assert list(tree(one, two).counting()) == [FIRST, one, two]
    assert list(tree(one, two).forks()) == []


def test_a_device_that_one_side_added_is_not_revoked_by_the_other() -> None:
    """A side that never knew a device does not strike at it."""
    adds = step(FIRST, "phone", "phone", "tablet", "laptop", "watch")
    by_watch = step(adds, "watch")
    renews = step(FIRST, "tablet")

    assert list(tree(adds, by_watch, renews).forks()) == []
    counting = list(tree(adds, by_watch, renews).counting())
    assert counting[1] == min((adds, renews), key=lambda one: one.hash)


def test_a_fork_further_up_is_a_fork_of_the_card() -> None:
    counts = step(FIRST, "phone", "phone", "tablet")  # revokes, so it counts
    loser = step(FIRST, "tablet")
    twice = (step(loser, "phone", expires=1), step(loser, "phone", expires=2))

    [(group, proof)] = tree(counts, loser, *twice).forks()

    assert set(group) == set(proof) == set(twice)
    assert list(tree(counts, loser, *twice).counting()) == [FIRST, counts]


def test_of_three_rivals_whoever_nobody_strikes_counts() -> None:
    over_tablet = step(FIRST, "phone", "phone", "laptop")
    by_tablet = step(FIRST, "tablet", "phone", "tablet")  # revokes the laptop
    by_laptop = step(FIRST, "laptop")

    assert list(tree(over_tablet, by_tablet, by_laptop).counting()) == [FIRST, over_tablet]
