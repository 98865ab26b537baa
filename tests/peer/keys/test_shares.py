"""Friends and the gateway together have the seed, and nobody else does."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic import generate_mnemonics

from peer.errors import PeerError, SharesDoNotFit
from peer.keys.shares import (
    MARK_BYTES,
    SHARE_BYTES,
    Split,
    friends_secret,
    join,
    liars,
    mark_of,
    proof_key,
    split,
)

SEED = bytes(range(16))


@pytest.fixture(scope="module")
def made() -> Split:
    return split(SEED, need=3, count=5)


def test_any_three_of_five_and_the_gateway_have_the_seed(made: Split) -> None:
    for chosen in combinations(made.friends, 3):
        assert join(chosen, made.gateway) == SEED
        assert friends_secret(chosen) == made.secret
    assert join(made.friends, made.gateway) == SEED


def test_all_friends_alone_the_gateway_alone_and_too_few_have_nothing(made: Split) -> None:
    """R1."""
    for friends, gateway in (
        (made.friends, made.friends[0]),
        ((), made.gateway),
        ((made.gateway,), made.gateway),
        *((chosen, made.gateway) for chosen in combinations(made.friends, 2)),
    ):
        with pytest.raises(SharesDoNotFit):
            join(friends, gateway)
    for few in combinations(made.friends, 2):
        with pytest.raises(SharesDoNotFit):
            friends_secret(few)


def test_what_the_gateway_holds_gives_no_share_away(made: Split) -> None:
    """R1: neither does it know the friends' secret, nor they its share."""
    held = proof_key(made.secret) + made.gateway

    assert made.secret not in held
    assert SEED not in held + b"".join(made.friends)
    assert len({made.secret, made.gateway, SEED}) == 3


def test_shares_of_two_splits_do_not_mix(made: Split) -> None:
    """Whoever chooses anew makes the shares of before worthless."""
    other = split(SEED, need=3, count=5)

    assert proof_key(other.secret) != proof_key(made.secret)
    with pytest.raises(SharesDoNotFit):
        join((*made.friends[:2], other.friends[2]), made.gateway)
    with pytest.raises(SharesDoNotFit):
        join(made.friends[:3], other.gateway)


def test_whoever_lies_is_named_and_the_others_still_have_it(made: Split) -> None:
    """R5: about his share, or about the marks as well."""
    false = split(bytes(16), need=3, count=5)
    told = {n: (share, made.marks) for n, share in enumerate(made.friends[:3])}

    assert liars(told) == ()
    assert liars({**told, 1: (false.friends[1], made.marks)}) == (1,)
    assert liars({**told, 1: (false.friends[1], false.marks)}) == (1,)
    assert liars({**told, 1: (made.friends[1], false.marks)}) == (1,)
    left = (*made.friends[:1], *made.friends[2:4])
    assert join(left, made.gateway) == SEED


def test_a_lie_that_nobody_else_contradicts_shows_all_the_same(made: Split) -> None:
    """R5: shares that are put together carry a check of their own."""
    false = bytearray(made.friends[0])
    false[10] ^= 1
    with pytest.raises(SharesDoNotFit):
        friends_secret((bytes(false), *made.friends[1:3]))
    assert liars({}) == ()


@settings(max_examples=25)
@given(st.integers(2, 6).flatmap(lambda n: st.tuples(st.integers(2, n), st.just(n))))
def test_as_many_as_were_wanted_are_needed(numbers: tuple[int, int]) -> None:
    need, count = numbers
    made = split(SEED, need=need, count=count)

    assert len(made.friends) == count
    assert len(made.marks) == MARK_BYTES * count
    assert made.marks[:MARK_BYTES] == mark_of(made.friends[0])
    assert join(made.friends[count - need :], made.gateway) == SEED
    if need > 2:
        with pytest.raises(SharesDoNotFit):
            join(made.friends[: need - 1], made.gateway)


@pytest.mark.parametrize(("need", "count"), [(1, 1), (1, 3), (4, 3), (3, 17), (0, 5)])
def test_one_friend_is_never_enough(need: int, count: int) -> None:
    with pytest.raises(ValueError, match="no"):
        split(SEED, need=need, count=count)


@given(st.lists(st.binary(min_size=SHARE_BYTES, max_size=SHARE_BYTES), max_size=4))
def test_any_bytes_are_shares_or_refused(shares: list[bytes]) -> None:
    with pytest.raises(PeerError):
        friends_secret(shares)
    with pytest.raises(PeerError):
        join(shares, SEED + bytes(9))


def test_shares_of_another_program_are_no_shares_of_ours() -> None:
    [words] = generate_mnemonics(1, [(1, 1)], SEED)[0]
    assert len(words.split()) == 20
    with pytest.raises(SharesDoNotFit):
        friends_secret((b"short",))


def test_no_share_is_printed(made: Split) -> None:
    assert made.gateway.hex() not in repr(made)
    assert repr(made.gateway) not in repr(made)
