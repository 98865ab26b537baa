"""Twenty words for what is written on paper: a whole kit, as SLIP-39 has it.

The words of a seed are always the same, so that a kit that is shown twice is one kit. There is no
passphrase: a wrong one would give another seed without a word of warning. Who a kit belongs to is
told by the root key that follows from it (docs/protocol.md §16.1).

    a word that is none                          it is named, with those that are near
    words that do not fit together               the one word that would make them fit is named
    the words of a keeper's share, or of others  refused: they are no kit
"""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import reduce
from operator import xor
from typing import Final

from shamir_mnemonic.rs1024 import _polymod
from shamir_mnemonic.shamir import EncryptedMasterSecret, combine_mnemonics, split_ems
from shamir_mnemonic.share import Share
from shamir_mnemonic.utils import MnemonicError
from shamir_mnemonic.wordlist import WORDLIST

from peer.errors import MistypedWord, WrongKit
from peer.keys.person import SEED_BYTES
from wire.kdf import hkdf

WORDS: Final = 20
"""Of a seed of sixteen bytes: 3 words of check, 4 of circumstances, 13 of the seed itself."""
ITERATIONS: Final = 1
"""As SLIP-39 counts: 20,000 rounds. They cost an attacker nothing here, the seed being random."""
_NUMBER: Final = {word: number for number, word in enumerate(WORDLIST)}
_CUSTOM: Final = tuple(b"shamir_extendable")


def words_of(seed: bytes) -> tuple[str, ...]:
    """Return the twenty words of a recovery seed (16 bytes)."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a recovery seed has {SEED_BYTES} bytes, not {len(seed)}")
    identifier = int.from_bytes(hkdf(seed, info=b"homepost/kit-words/1", length=2), "big") >> 1
    sealed = EncryptedMasterSecret.from_master_secret(seed, b"", identifier, True, ITERATIONS)
    [[share]] = split_ems(1, [(1, 1)], sealed)
    return tuple(share.words())


def seed_of(words: Sequence[str]) -> bytes:
    """Return the seed that twenty words stand for, typed in whatever case.

    Raises:
        MistypedWord: a word is none, one is missing, or they do not fit together.
        WrongKit: they are words of something else.
    """
    checked = check_words(words)
    share = Share.from_mnemonic(" ".join(checked))
    if (share.group_count, share.group_threshold, share.member_threshold) != (1, 1, 1):
        raise WrongKit(
            "these are the words of a share that somebody keeps for a friend, and no kit; a share"
            " alone opens nothing"
        )
    try:
        seed: bytes = combine_mnemonics([" ".join(checked)])
    except MnemonicError:
        raise WrongKit("these words are no kit of Homepost") from None
    if tuple(checked) != words_of(seed):
        raise WrongKit("these words are no kit of Homepost, but of another program")
    return seed


def check_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return twenty words as the list spells them.

    Raises:
        MistypedWord: a word is none, one is missing, or they do not fit together.
    """
    typed = tuple(word.strip(" ,.;").lower() for word in words)
    for number, word in enumerate(typed, start=1):
        if _NUMBER.get(word) is None:
            near = nearest(word)
            meant = f"; did you mean {' or '.join(near)}?" if near else ""
            raise MistypedWord(
                f"word {number}, {word[:20]!r}, is none of the list{meant}",
                number=number,
                nearest=near,
            )
    if len(typed) != WORDS:
        raise MistypedWord(f"a kit has {WORDS} words, and these are {len(typed)}")
    numbers = [_NUMBER[word] for word in typed]
    if not _fits(numbers):
        raise _misfit(typed, numbers)
    return typed


def nearest(word: str) -> tuple[str, ...]:
    """Return at most three words of the list that may have been meant, the nearest first.

    The first four letters tell any two words of the list apart, so they count first.
    """
    begins = [one for one in WORDLIST if len(word) >= 4 and one.startswith(word[:4])]
    near = get_close_matches(word, WORDLIST, n=3, cutoff=0.6)
    return tuple(dict.fromkeys((*begins, *near)))[:3]


def _check(numbers: Sequence[int]) -> int:
    """Return the check over the words, 1 where they fit. It is linear: a bit changes it alike."""
    check: int = _polymod((*_CUSTOM, *numbers))
    return check


def _fits(numbers: Sequence[int]) -> bool:
    return _check(numbers) == 1


def _misfit(typed: Sequence[str], numbers: list[int]) -> MistypedWord:
    """Say which word to look at: the check words find a single wrong one without doubt."""
    for place in range(WORDS - 1):
        swapped = [*numbers]
        swapped[place : place + 2] = reversed(numbers[place : place + 2])
        if _fits(swapped):
            return MistypedWord(
                f"words {place + 1} and {place + 2}, {typed[place]!r} and {typed[place + 1]!r},"
                " stand the wrong way round",
                number=place + 1,
                nearest=(typed[place + 1],),
            )
    lacking, nothing = _check(numbers) ^ 1, _check([0] * WORDS)
    for place in range(WORDS):
        bits = [
            _check([0] * place + [1 << bit] + [0] * (WORDS - 1 - place)) ^ nothing
            for bit in range(10)
        ]
        for change in range(1, len(WORDLIST)):
            if reduce(xor, (bits[bit] for bit in range(10) if change >> bit & 1)) == lacking:
                meant = WORDLIST[numbers[place] ^ change]
                return MistypedWord(
                    f"word {place + 1} cannot be {typed[place]!r}; the others fit with {meant!r}",
                    number=place + 1,
                    nearest=(meant,),
                )
    return MistypedWord(
        "these words do not fit together, and more than one of them is wrong; compare each with"
        " the paper"
    )
