"""How long cards are fresh: mine is prolonged in time, a contact's as far as it says so.

A statement is good for ninety days. A note that an active device signs prolongs it, so that a card
on which nothing changes stays short, and one that somebody holds back is noticed in the end
(docs/protocol.md §10.2).
"""

from collections.abc import Callable
from typing import Final

from peer.me import Me
from peer.store import Store
from wire.card import Card, FreshnessNote
from wire.errors import WireError
from wire.ids import PersonId
from wire.statements import CARD_SECONDS

RENEW_LEFT: Final = CARD_SECONDS / 2
"""Seconds before its end at which my card is prolonged: whoever is away for a month still hears."""


class Freshness:
    """The notes that prolong cards. What changes something wants an open transaction.

    Args:
        store: the phone's file.
        me: whose phone it is.
        now: returns Unix seconds.
    """

    def __init__(self, store: Store, me: Me, *, now: Callable[[], float]) -> None:
        self._store = store
        self._me = me
        self._now = now

    def renew(self) -> bool:
        """Prolong my card if it is time to; return whether contacts have something to hear."""
        card, now = self._me.card, self._now()
        if not self.stale(card, at=now + RENEW_LEFT):
            return False
        device = self._me.identity.device
        if card.device(device.id) is None:
            return False  # taken off: another device of mine does it
        note = FreshnessNote.make(card, device.signing, expires=int(now + CARD_SECONDS))
        self._store.keep_note(_name(card.person), note.encode())
        return True

    @property
    def mine(self) -> bytes:
        """The note that goes with my card as it stands, encoded; empty while there is none."""
        note = self._note(self._me.card)
        return b"" if note is None else note.encode()

    def take(self, card: Card, data: bytes) -> None:
        """Keep what a contact says of the card that we hold; pass over what it does not prove."""
        try:
            note = FreshnessNote.decode(data)
            note.verify(card)
        except WireError:
            return
        before = self._note(card)
        if before is None or before.expires < note.expires:
            self._store.keep_note(_name(card.person), data)

    def stale(self, card: Card, *, at: float | None = None) -> bool:
        """Return whether a card is out of date now, or at another time (Unix seconds)."""
        return card.stale(self._now() if at is None else at, note=self._note(card))

    def _note(self, card: Card) -> FreshnessNote | None:
        data = self._store.note(_name(card.person))
        try:
            note = None if data is None else FreshnessNote.decode(data)
        except WireError:  # of another program
            return None
        return note if note is not None and note.position == card.position else None


def _name(person: PersonId) -> str:
    return f"fresh/{person.text}"
