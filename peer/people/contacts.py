"""Contacts: whose card I hold, what I call them, and whether their check code was compared."""

import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache

from peer import sqlite
from peer.errors import EmptyName, NameTaken, NoSuchContact
from peer.people.news import News
from wire.card import MAX_CHAIN, MAX_KEPT, MAX_STATEMENT, Card, Signed, Verdict
from wire.codec import Value, decode, encode
from wire.errors import WireError
from wire.ids import PersonId

MAX_NAME = 60
"""Characters of a name that I give; a line of a terminal with room to spare."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A person whose card I hold and to whom I gave lanes."""

    person: PersonId
    name: str
    """What I call them."""
    introduced: str
    """What they call themselves."""
    card: Card
    verified: bool
    blocked: bool
    added: float


class Contacts:
    """All contacts of this phone. What changes something wants an open transaction."""

    def __init__(self, db: sqlite.Connection) -> None:
        self._db = db

    def all(self) -> list[Contact]:
        """Return all contacts by name."""
        rows = self._db.execute(f"{_SELECT} ORDER BY name COLLATE NOCASE")
        return [_contact(row) for row in rows]

    def of(self, person: PersonId) -> Contact | None:
        """Return the contact who is this person."""
        row = self._db.execute(f"{_SELECT} WHERE person = ?", (person.raw,)).fetchone()
        return None if row is None else _contact(row)

    def named(self, name: str) -> Contact:
        """Return the contact of this name, in whatever case it was typed.

        Raises:
            NoSuchContact: there is none; those there are are named.
        """
        wanted = clean_name(name).casefold()
        everybody = self.all()
        for one in everybody:
            if one.name.casefold() == wanted:
                return one
        names = ", ".join(one.name for one in everybody)
        known = f"your contacts are: {names}" if names else "you have no contacts yet"
        raise NoSuchContact(f"you have no contact called {name!r}; {known}")

    def add(self, card: Card, *, introduced: str, verified: bool, now: float) -> Contact:
        """Add a person, or renew one who was added before; one who was blocked is not any more."""
        held = self.of(card.person)
        if held is not None:
            newer = follow(held.card, card.chain)
            self._compare(held.card, newer)
            if verified:
                self._note_recovered(card.person, None)
            self._db.execute(
                "UPDATE contact SET introduced = ?, chain = ?, verified = max(verified, ?),"
                " blocked = 0 WHERE person = ?",
                (introduced, _kept(newer), verified, card.person.raw),
            )
        else:
            self._db.execute(
                "INSERT INTO contact (person, name, introduced, chain, verified, added)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    card.person.raw,
                    self._free_name(introduced),
                    introduced,
                    _kept(card),
                    verified,
                    now,
                ),
            )
        found = self.of(card.person)
        assert found is not None  # noqa: S101  # it was written just now
        return found

    def rename(self, contact: Contact, name: str) -> Contact:
        """Call a contact something else, and return it so; they do not hear of it.

        Raises:
            EmptyName: nothing to see in it.
            NameTaken: another contact has it.
        """
        name = clean_name(name)
        if not name:
            raise EmptyName("a name needs at least one character")
        for other in self.all():
            if other.person != contact.person and other.name.casefold() == name.casefold():
                raise NameTaken(f"you call somebody else {name!r} already")
        self._db.execute("UPDATE contact SET name = ? WHERE person = ?", (name, contact.person.raw))
        return replace(contact, name=name)

    def block(self, contact: Contact) -> None:
        """Take nothing more from a contact."""
        self._db.execute("UPDATE contact SET blocked = 1 WHERE person = ?", (contact.person.raw,))

    def forget(self, contact: Contact) -> None:
        """Delete a contact."""
        self._db.execute("DELETE FROM contact WHERE person = ?", (contact.person.raw,))
        News(self._db).forget(contact.person)

    def take_statements(self, contact: Contact, statements: tuple[bytes, ...]) -> Card:
        """Continue a contact's card; return it as it stands now."""
        held = self.of(contact.person) or contact
        card = follow(held.card, statements)
        if card == held.card:
            return card
        self._compare(held.card, card)
        self._db.execute(
            "UPDATE contact SET chain = ? WHERE person = ?", (_kept(card), contact.person.raw)
        )
        return card

    def recovered(self, person: PersonId) -> float | None:
        """Return when a contact came back on a new device and was not met since, Unix seconds."""
        row = self._db.execute(
            "SELECT value FROM note WHERE name = ?", (_RECOVERED + person.text,)
        ).fetchone()
        return None if row is None else float(int.from_bytes(row[0], "big"))

    def _compare(self, before: Card, after: Card) -> None:
        """Note what the card says of devices, and that somebody came back.

        Then the root has signed, and no device of before is left.
        """
        News(self._db).compare(before, after)
        left = any(before.device(one.id) is not None for one in after.devices)
        if after.position.epoch > before.position.epoch and not left:
            self._note_recovered(after.person, after.newest.statement.issued)

    def _note_recovered(self, person: PersonId, when: int | None) -> None:
        self._db.execute("DELETE FROM note WHERE name = ?", (_RECOVERED + person.text,))
        if when is not None:
            self._db.execute(
                "INSERT INTO note VALUES (?, ?)",
                (_RECOVERED + person.text, when.to_bytes(8, "big")),
            )

    def _free_name(self, introduced: str) -> str:
        wanted = clean_name(introduced) or "somebody"
        taken = {one.name.casefold() for one in self.all()}
        name, number = wanted, 1
        while name.casefold() in taken:
            number += 1
            name = f"{wanted} {number}"
        return name


def follow(card: Card, statements: tuple[bytes, ...]) -> Card:
    """Take what continues `card`, in order; what does not is passed over.

    A fork is kept in the card, as its rules say.
    """
    for data in statements[:MAX_CHAIN]:
        try:
            card, verdict = card.take(Signed.decode(data))
        except WireError:
            continue
        if verdict is Verdict.GAP:
            break
    return card


_RECOVERED = "recovered/"
_SELECT = "SELECT person, name, introduced, chain, verified, blocked, added FROM contact"


def _contact(row: tuple[bytes, str, str, bytes, int, int, float]) -> Contact:
    person, name, introduced, chain, verified, blocked, added = row
    id = PersonId(person)
    return Contact(id, name, introduced, _card(id, chain), bool(verified), bool(blocked), added)


def _kept(card: Card) -> bytes:
    kept: list[Value] = list(card.kept)
    return encode(kept)


@lru_cache(maxsize=512)
def _card(person: PersonId, kept: bytes) -> Card:
    """Restore a card; remembered, since every signature in it is checked again."""
    value = decode(kept, limit=(MAX_CHAIN + MAX_KEPT) * (MAX_STATEMENT + 8))
    statements = value if isinstance(value, list) else []
    return Card.restore(person, [one for one in statements if isinstance(one, bytes)])


def clean_name(name: str) -> str:
    """Return a name as it is kept: what can be seen of it, on one line, at most `MAX_NAME` long."""
    composed = unicodedata.normalize("NFC", name)  # é is one name, however it was typed
    seen = "".join(one if one.isprintable() else " " for one in composed)
    return " ".join(seen.split())[:MAX_NAME]
