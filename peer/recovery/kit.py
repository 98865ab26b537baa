"""The recovery kit: what is printed, and when the seed leaves the phone.

    printed  ->  three words asked back  ->  the seed is wiped, if its holder says so

Until then whoever takes the phone is the person for good; afterwards he is a device that the kit
revokes. The three words show that the paper is there and reads (docs/protocol.md §16.1).
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from peer.errors import KitGone, MistypedWord
from peer.keys.words import nearest, words_of
from peer.me import Me
from peer.store import Store
from wire.codes import KitCode
from wire.ids import PersonId

ASKED: Final = 3
"""Words that are asked back."""
CHECKED: Final = "kit-checked"
_RANDOM: Final = secrets.SystemRandom()


@dataclass(frozen=True, slots=True)
class Kit:
    """A kit as it is shown and printed."""

    code: KitCode
    words: tuple[str, ...]

    @property
    def mark(self) -> str:
        """What tells this kit from others."""
        return kit_mark(self.code.person)


def kit_mark(person: PersonId) -> str:
    """Return the twelve letters that tell the kit of a person from others; they open nothing."""
    return "-".join(person.text[at : at + 4] for at in (0, 4, 8))


class KitKeeping:
    """The kit of this phone's person.

    Args:
        store: the phone's file.
        me: whose phone it is.
        now: returns Unix seconds.
    """

    def __init__(self, store: Store, me: Me, *, now: Callable[[], float]) -> None:
        self._store = store
        self._me = me
        self._now = now

    @property
    def checked(self) -> float | None:
        """When its words were last asked back, in Unix seconds; None if never."""
        note = self._store.note(CHECKED)
        return None if note is None else float(int.from_bytes(note, "big"))

    @property
    def seed_is_here(self) -> bool:
        """Whether the seed still lies on this phone."""
        return self._store.vault.seed() is not None

    def make(self) -> Kit:
        """Return the kit.

        Raises:
            KitGone: the seed is not on this phone any more.
        """
        seed = self._store.vault.seed()
        if seed is None:
            raise KitGone
        home = self._me.home
        code = KitCode.of(
            seed,
            self._me.person,
            gateway=None if home is None else home.gateway,
            places=() if home is None else home.places,
        )
        return Kit(code, words_of(seed))

    def choose(self) -> tuple[int, ...]:
        """Return which words to ask back, counted from 1.

        The first ones are the same in many kits, so none of them is asked.
        """
        return tuple(sorted(_RANDOM.sample(range(5, 18), ASKED)))

    def answer(self, asked: Sequence[int], typed: Sequence[str]) -> None:
        """Take the words that were asked back; from now on the kit counts as checked.

        Raises:
            MistypedWord: one is not the word on the kit; which one is said.
            KitGone: the seed is not on this phone any more.
        """
        words = self.make().words
        for number, word in zip(asked, typed, strict=True):
            if word.strip().lower() != words[number - 1]:
                near = nearest(word.strip().lower())
                raise MistypedWord(
                    f"word {number} of your kit is another one than {word[:20]!r}; look whether it"
                    f" is the kit {kit_mark(self._me.person)}, and ask again",
                    number=number,
                    nearest=near,
                )
        with self._store.transaction():
            self._store.keep_note(CHECKED, int(self._now()).to_bytes(8, "big"))

    def wipe(self) -> None:
        """Forget the seed: from now on only the kit has it."""
        with self._store.transaction():
            self._store.vault.wipe_seed()
