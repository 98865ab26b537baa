"""Our own keys together with what we share with each contact."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from peer.keys.person import BoxKey, PairKey, PersonKey
from peer.keys.sessions import Party
from peer.keys.vault import Vault
from wire.card import Card
from wire.ids import PersonId

_MAX_REMEMBERED: Final = 256
"""Contacts whose pair keys are remembered."""


@dataclass(slots=True)
class _Pairing:
    """The pair keys that follow from some rows, each derived when it is first wanted."""

    rows: tuple[tuple[object, ...], ...] = field(repr=False)
    cards: tuple[BoxKey, BoxKey]
    """What the card of either names."""
    known: int | None
    """Which generation of our person key they know; None: it never turned."""
    parts: list[tuple[PersonKey, BoxKey, bytes]] = field(repr=False)
    keys: list[PairKey] = field(repr=False, default_factory=list)


class Keyring:
    """The vault, and the keys that follow from what lies in it.

    What lies in the vault is read anew each time, for another process may have changed it; what
    follows from it by reckoning alone is remembered.
    """

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.identity = vault.identity()
        device = self.identity.device
        self.party = Party(self.identity.person, device.key, device.exchange.public)
        """This device as one end of a session."""
        self._pairings: dict[PersonId, _Pairing] = {}

    def pair_keys(self, card: Card, *, own: Card, now: float) -> Iterator[PairKey]:
        """Return all keys shared with a person, first the one to seal with, inside a transaction.

        That is the one of the two box keys on our cards. A device may hold a newer person key that
        does not count: it followed a side of a fork that lost. Older box keys are tried too: what
        was sealed before a revocation is still on its way.

        Args:
            card: the other person's.
            own: ours.
            now: Unix seconds.
        """
        if card.person == self.identity.person:
            keys = self.vault.person_keys()
            return (one.among_ourselves(card.person) for one in keys)
        named = _box(card), _box(own)
        pairing = self._pairings.get(card.person)
        rows = self.vault.pairing(card.person)
        if pairing is None or pairing.rows != rows or pairing.cards != named:
            for one in card.history:  # they may not know yet that we know their newest
                said = one.statement
                before = BoxKey(card.person, said.person_generation, said.person_public)
                self.vault.keep_box(before, now=now)
            self.vault.keep_box(named[0], now=now)
            known = self.vault.known(card.person)
            parts = self._parts(*named, known=known)
            pairing = _Pairing(self.vault.pairing(card.person), named, known, parts)
            if len(self._pairings) >= _MAX_REMEMBERED:
                self._pairings.clear()
            self._pairings[card.person] = pairing
        return self._keys(pairing)

    def keep_known(self, person: PersonId, generation: int) -> None:
        """Note that a contact has shown that he knows this generation of our person key."""
        pairing = self._pairings.get(person)
        if pairing is None or pairing.known not in (None, generation):
            self.vault.keep_known(person, generation)

    def _parts(
        self, theirs: BoxKey, ours: BoxKey, *, known: int | None
    ) -> list[tuple[PersonKey, BoxKey, bytes]]:
        others = [one for one in self.vault.boxes(theirs.person) if one != theirs]
        own, secrets = list(self.vault.person_keys()), self.vault.pair_secrets(theirs.person)
        own.sort(key=lambda one: (one.generation, one.box.public) != (ours.generation, ours.public))
        if known is not None:  # with this one we seal: they may not know a newer one yet
            own.sort(key=lambda one: one.generation != known)
        return [
            (key, box, shared) for box in (theirs, *others) for key in own for shared in secrets
        ]

    def _keys(self, pairing: _Pairing) -> Iterator[PairKey]:
        for place, (key, box, shared) in enumerate(pairing.parts):
            if place == len(pairing.keys):
                made = PairKey.of(self.identity.person, key, theirs=box, shared=shared)
                pairing.keys.append(made)
            yield pairing.keys[place]


def _box(card: Card) -> BoxKey:
    return BoxKey(card.person, card.person_generation, card.person_public)
