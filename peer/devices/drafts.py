"""Letters that are begun: on all devices of a person, none lost when two are written at once."""

from dataclasses import dataclass, field
from typing import Final

from peer.devices.belongings import Kind, key_of
from peer.devices.merges import Dotted, dotted_of
from peer.errors import TooLarge
from peer.keys.state_seals import account_key
from peer.me import Me
from peer.people.contacts import Contact
from peer.store import Store
from wire.codec import encode
from wire.ids import DeviceId

MAX_DRAFT: Final = 32 * 1024
"""Bytes of a draft: it has to fit into one batch of the state log."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A letter that somebody began."""

    text: str = field(repr=False)
    here: bool
    """Whether it was written on this device."""


class Drafts:
    """The drafts of this phone's person.

    Args:
        store: the phone's file.
        me: whose phone it is.
    """

    def __init__(self, store: Store, me: Me) -> None:
        self._store = store
        self._me = me

    def of(self, contact: Contact) -> tuple[Draft, ...]:
        """Return what was begun for a contact; several if devices wrote without hearing."""
        here = self._me.identity.device.id
        return tuple(
            Draft(text.decode("utf-8", "replace"), DeviceId(device) == here)
            for (device, _), text in sorted(self._held(contact).held.items())
        )

    def keep(self, contact: Contact, text: str) -> None:
        """Keep a draft in place of all that this device has seen.

        Raises:
            TooLarge: it is longer than a draft may be.
        """
        said = text.encode("utf-8")
        if len(said) > MAX_DRAFT:
            raise TooLarge(f"a draft has at most {MAX_DRAFT // 1024} KiB; send it, or keep less")
        device = self._me.identity.device.id.raw
        self._change(contact, self._held(contact).put(device, said))

    def drop(self, contact: Contact, text: str | None = None) -> None:
        """Drop all drafts for a contact, or those that say `text`."""
        held = self._held(contact)
        gone = held.cleared() if text is None else held.without(text.encode("utf-8"))
        if gone != held:
            self._change(contact, gone)

    def _held(self, contact: Contact) -> Dotted:
        names = account_key(self._store.vault)
        key = key_of(names, Kind.DRAFT, contact.person.raw) if names is not None else bytes(16)
        entry = self._me.belongings.held(key)
        return Dotted() if entry is None or entry.value is None else dotted_of(entry.value)[1]

    def _change(self, contact: Contact, dotted: Dotted) -> None:
        value = encode([contact.person.raw, dotted.to_value()])
        with self._store.transaction():
            self._me.belongings.change(Kind.DRAFT, contact.person.raw, change=lambda _before: value)
