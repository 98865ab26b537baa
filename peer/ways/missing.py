"""What did not come: how much of it, and when it is asked for.

    first time, and when more is missed    at once, four times
    after that                             a minute, ten minutes, an hour, six hours after the last
    nothing is missing any more            counted from the beginning again

The pauses do not depend on what is missing alone: what is sent again has a new number, and if that
cannot be opened either, two phones would ask and answer each other for ever
(docs/protocol.md §8.5).
"""

import hashlib
from collections.abc import Callable
from typing import Final

from peer.items.kinds import Resend
from peer.keys.letters import Letters
from peer.people.contacts import Contact, Contacts
from peer.store import Store
from peer.ways.outgoing import Outgoing
from wire.codec import encode
from wire.ids import PersonId

AT_ONCE: Final = 4
"""Requests that need not wait for a pause, as long as they ask for something new."""
PAUSES: Final = (60.0, 600.0, 3600.0, 6 * 3600.0)


class Gaps:
    """The letters that are known to be missing.

    Args:
        store: the phone's file.
        outgoing: takes the requests.
        now: returns Unix seconds.
    """

    def __init__(self, store: Store, outgoing: Outgoing, *, now: Callable[[], float]) -> None:
        self._store = store
        self._outgoing = outgoing
        self._now = now
        self._letters = Letters(store.vault)
        self._contacts = Contacts(store.db)
        self._seen: dict[PersonId, tuple[bytes, float]] = {}

    def counts(self) -> dict[PersonId, int]:
        """Return how many letters of each contact are missing."""
        found = {}
        for contact in self._contacts.all():
            ranges = [one for resend in self._wanted(contact) for one in resend.ranges]
            if ranges:
                found[contact.person] = sum(one.last - one.first + 1 for one in ranges)
        return found

    def ask(self, *, after: float = 0.0) -> None:
        """Ask every contact for what is missing, as far as it is time to.

        Args:
            after: seconds that it must have been missing; letters that several commands send at
                once come in any order.
        """
        for contact in self._contacts.all():
            wanted = self._wanted(contact)
            if self._long_enough(contact, wanted, after):
                with self._store.transaction():
                    self._ask(contact, wanted)

    def _wanted(self, contact: Contact) -> tuple[Resend, ...]:
        """Return what is missing of the devices that stand on the contact's card."""
        if contact.blocked:
            return ()
        missing = self._letters.missing(contact.person)
        return tuple(one for one in missing if contact.card.device(one.device) is not None)

    def _long_enough(self, contact: Contact, wanted: tuple[Resend, ...], after: float) -> bool:
        now, mark = self._now(), _mark(wanted)
        seen, since = self._seen.get(contact.person, (b"", now))
        if seen != mark:
            self._seen[contact.person] = mark, now
            since = now
        return not 0 <= now - since < after

    def _ask(self, contact: Contact, wanted: tuple[Resend, ...]) -> None:
        db, now, mark = self._store.db, self._now(), _mark(wanted)
        row = db.execute(
            "SELECT asks, asked, asked_for FROM contact WHERE person = ?", (contact.person.raw,)
        ).fetchone()
        if row is None:
            return
        asks, asked, asked_for = row
        if not wanted:
            if asks:
                self._note(contact, asks=0, asked=0.0, mark=b"")
            return
        if 0 <= now - asked < pause(asks, new=bytes(asked_for) != mark):
            return
        self._note(contact, asks=asks + 1, asked=now, mark=mark)
        for resend in wanted:
            self._outgoing.put(contact, resend)

    def _note(self, contact: Contact, *, asks: int, asked: float, mark: bytes) -> None:
        self._store.db.execute(
            "UPDATE contact SET asks = ?, asked = ?, asked_for = ? WHERE person = ?",
            (asks, asked, mark, contact.person.raw),
        )


def pause(asks: int, *, new: bool) -> float:
    """Return the seconds to wait after the last request.

    Args:
        asks: requests made since something is missing.
        new: whether something else is missing than was asked for last.
    """
    if asks == 0 or (new and asks < AT_ONCE):
        return 0.0
    return PAUSES[min(max(asks - AT_ONCE, 0) if new else asks - 1, len(PAUSES) - 1)]


def _mark(wanted: tuple[Resend, ...]) -> bytes:
    if not wanted:
        return b""
    said = encode(
        [[one.device.raw, [[range_.first, range_.last] for range_ in one.ranges]] for one in wanted]
    )
    return hashlib.blake2b(said, digest_size=16).digest()
