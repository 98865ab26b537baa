"""Twenty words stand for one seed, and a mistyped one is named."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shamir_mnemonic import generate_mnemonics
from shamir_mnemonic.wordlist import WORDLIST

from peer.errors import MistypedWord, WrongKit
from peer.keys.words import check_words, nearest, seed_of, words_of

SEED = bytes(range(16))
seeds = st.binary(min_size=16, max_size=16)


@given(seeds)
def test_words_come_back_as_their_seed_and_are_always_the_same(seed: bytes) -> None:
    words = words_of(seed)

    assert len(words) == 20
    assert words == words_of(seed)
    assert seed_of([word.upper() for word in words]) == seed


@given(seeds, st.integers(0, 19), st.integers(1, 1023))
def test_one_wrong_word_is_named_with_the_right_one(seed: bytes, place: int, by: int) -> None:
    words = words_of(seed)
    wrong = WORDLIST[(WORDLIST.index(words[place]) + by) % 1024]

    with pytest.raises(MistypedWord) as said:
        seed_of([*words[:place], wrong, *words[place + 1 :]])

    if said.value.number == place + 1:
        assert said.value.nearest == (words[place],)
    else:  # by chance two neighbours that were swapped explain it as well
        assert "the wrong way round" in str(said.value)


def test_a_word_that_is_none_is_named_with_those_that_are_near() -> None:
    words = list(words_of(SEED))
    words[6] = f"{words[6][:4]}xx"

    with pytest.raises(MistypedWord) as said:
        seed_of(words)

    assert said.value.number == 7
    assert words_of(SEED)[6] in said.value.nearest
    assert nearest("acadmic")[0] == "academic"


def test_swapped_missing_and_many_wrong_words_are_said() -> None:
    words = list(words_of(SEED))
    words[9], words[10] = words[10], words[9]

    with pytest.raises(MistypedWord, match="words 10 and 11"):
        seed_of(words)
    with pytest.raises(MistypedWord, match="20 words, and these are 19"):
        seed_of(words[:19])
    with pytest.raises(MistypedWord, match="more than one"):
        seed_of([*words_of(SEED)[:16], "acid", "acne", "acid", "acne"])


def test_words_of_something_else_are_no_kit() -> None:
    """R3: what somebody else's program, or a friend, has written down makes no identity."""
    [other] = generate_mnemonics(1, [(1, 1)], SEED)[0]
    share = generate_mnemonics(2, [(3, 5), (1, 1)], SEED)[0][0]
    longer = generate_mnemonics(1, [(1, 1)], bytes(32))[0][0]

    for words in (other, share, longer):
        with pytest.raises((WrongKit, MistypedWord)):
            seed_of(words.split())


def test_a_passphrase_is_never_taken_for_granted() -> None:
    """R3: words that were made with one open to another seed, and that is noticed."""
    [words] = generate_mnemonics(1, [(1, 1)], SEED, passphrase=b"sesame")[0]

    with pytest.raises(WrongKit):
        seed_of(words.split())


@given(st.lists(st.one_of(st.sampled_from(WORDLIST), st.text(max_size=12)), max_size=24))
def test_any_words_are_a_kit_or_refused(words: list[str]) -> None:
    with contextlib.suppress(MistypedWord, WrongKit):
        check_words(words)
        seed_of(words)


def test_a_seed_has_one_size() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        words_of(bytes(32))
