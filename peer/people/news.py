"""What the cards of people say that a person should see: devices that came and went, disputes.

    added       a device that was not on the card before
    revoked     one that is not on it any more
    root        the recovery key has signed: a new beginning, with the devices that it lists
    disputed    two statements that cannot both be honest; only devices in both are sealed to

A row is written where a card is continued, for contacts and for our own, and shown once.
"""

from dataclasses import dataclass
from typing import Final

from peer import sqlite
from wire.card import Card, Role, StatementKind
from wire.ids import DeviceId, PersonId

ADDED: Final = "added"
REVOKED: Final = "revoked"
ROOT: Final = "root"
DISPUTED: Final = "disputed"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a card says."""

    person: PersonId
    what: str
    device: DeviceId | None
    role: Role | None
    since: float
    """When the statement was issued, by its signer's clock."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """A notice with the names that people go by."""

    contact: str
    """Whose card it is; empty for our own."""
    what: str
    device: str
    """What our own device is called; of others only what it is: phone, tablet, computer."""
    since: float


class News:
    """What happened to cards. What changes something wants an open transaction."""

    def __init__(self, db: sqlite.Connection) -> None:
        self._db = db

    def compare(self, before: Card, after: Card) -> None:
        """Note what is otherwise on a card now."""
        since = after.newest.statement.issued
        root = after.newest.statement.kind is StatementKind.ROOT
        if root and after.position.epoch > before.position.epoch:
            self._note(after.person, ROOT, None, None, since)
        if after.fork is not None and before.fork is None:
            self._note(after.person, DISPUTED, None, None, since)
        for entry in after.devices:
            if before.device(entry.id) is None:
                self._note(after.person, ADDED, entry.id, entry.role, since)
        for entry in before.devices:
            if after.device(entry.id) is None:
                self._note(after.person, REVOKED, entry.id, entry.role, since)

    def unshown(self) -> list[Notice]:
        """Return what nobody has seen, and count it as seen from now on."""
        rows = self._db.execute(
            "UPDATE news SET shown = 1 WHERE NOT shown"
            " RETURNING number, person, what, device, role, since"
        ).fetchall()
        return [_notice(row[1:]) for row in sorted(rows)]

    def of(self, person: PersonId) -> list[Notice]:
        """Return all that was noted about a person's card, the oldest first."""
        rows = self._db.execute(
            "SELECT person, what, device, role, since FROM news WHERE person = ? ORDER BY number",
            (person.raw,),
        ).fetchall()
        return [_notice(row) for row in rows]

    def forget(self, person: PersonId) -> None:
        """Delete what was noted about a person."""
        self._db.execute("DELETE FROM news WHERE person = ?", (person.raw,))

    def _note(
        self, person: PersonId, what: str, device: DeviceId | None, role: Role | None, since: float
    ) -> None:
        self._db.execute(
            "INSERT INTO news (person, what, device, role, since) VALUES (?, ?, ?, ?, ?)",
            (
                person.raw,
                what,
                None if device is None else device.raw,
                None if role is None else int(role),
                float(since),
            ),
        )


def _notice(row: tuple[bytes, str, bytes | None, int | None, float]) -> Notice:
    person, what, device, role, since = row
    return Notice(
        PersonId(person),
        what,
        None if device is None else DeviceId(device),
        None if role is None else Role(role),
        since,
    )
