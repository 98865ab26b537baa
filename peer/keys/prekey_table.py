"""Secret halves of our prekeys as rows, and the first letters that used them."""

from typing import Final

from peer.keys.errors import PrekeyGone
from peer.keys.schema import Table
from peer.keys.sessions import SessionId
from wire.ids import DeviceKey, PersonId
from wire.kdf import hash16
from wire.prekeys import PrekeyKind

MAX_ONE_TIME: Final = 1000
"""Secret halves of one-time prekeys kept at most; the oldest go first."""


class PrekeyTable(Table):
    """All prekeys of this device."""

    def next_id(self, kind: PrekeyKind) -> int:
        """Return an id that no prekey of this kind has had, higher than all before."""
        self._in_transaction()
        row = self._db.execute(
            "INSERT INTO prekey_ids VALUES (?, 1)"
            " ON CONFLICT (kind) DO UPDATE SET last = last + 1 RETURNING last",
            (int(kind),),
        ).fetchone()
        return int(row[0])

    def keep(self, kind: PrekeyKind, id: int, *, secret: bytes, offered: bool, now: float) -> None:
        """Store the secret half of a prekey before its public half leaves the phone."""
        self._in_transaction()
        self._db.execute(
            "INSERT INTO own_prekeys VALUES (?, ?, ?, ?, NULL, ?)",
            (int(kind), id, secret, now, offered),
        )

    def unoffered(self, kind: PrekeyKind) -> list[tuple[int, bytes]]:
        """Return id and secret half of prekeys whose way to the gateway was not confirmed."""
        rows = self._db.execute(
            "SELECT id, secret FROM own_prekeys WHERE kind = ? AND NOT offered ORDER BY id",
            (int(kind),),
        )
        return [(id, bytes(secret)) for id, secret in rows]

    def offered(self, kind: PrekeyKind, id: int) -> None:
        """Note that the gateway has confirmed a prekey."""
        self._in_transaction()
        self._db.execute(
            "UPDATE own_prekeys SET offered = 1 WHERE kind = ? AND id = ?", (int(kind), id)
        )

    def secret(self, kind: PrekeyKind, id: int) -> bytes:
        """Return a secret half.

        Raises:
            PrekeyGone: used, too old, or never ours.
        """
        row = self._db.execute(
            "SELECT secret FROM own_prekeys WHERE kind = ? AND id = ?", (int(kind), id)
        ).fetchone()
        if row is None:
            raise PrekeyGone("it was begun with a prekey that is no longer here")
        return bytes(row[0])

    def use(self, kind: PrekeyKind, id: int) -> None:
        """Forget a one-time prekey after the session it began was opened."""
        self._in_transaction()
        self._db.execute("DELETE FROM own_prekeys WHERE kind = ? AND id = ?", (int(kind), id))

    def current(self, kind: PrekeyKind) -> tuple[int, bytes, float] | None:
        """Return id, secret half and age of the prekey of a kind that is now handed out."""
        row = self._db.execute(
            "SELECT id, secret, made FROM own_prekeys WHERE kind = ? AND retired IS NULL"
            " ORDER BY made DESC LIMIT 1",
            (int(kind),),
        ).fetchone()
        return None if row is None else (row[0], bytes(row[1]), row[2])

    def retire(self, kind: PrekeyKind, *, but: int, now: float) -> None:
        """Note that prekeys of a kind are handed out no more; they are kept for late letters."""
        self._in_transaction()
        self._db.execute(
            "UPDATE own_prekeys SET retired = ? WHERE kind = ? AND id <> ? AND retired IS NULL",
            (now, int(kind), but),
        )

    def keep_bundle(
        self, person: PersonId, device: DeviceKey, *, bundle: bytes, now: float
    ) -> None:
        """Store the prekeys that a contact handed over for our first letter."""
        self._in_transaction()
        self._db.execute(
            "INSERT INTO kept_bundles VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (person, device) DO UPDATE SET bundle = ?3, made = ?4",
            (person.raw, device.raw, bundle, now),
        )

    def bundle(self, person: PersonId, device: DeviceKey) -> bytes | None:
        """Return the prekeys kept for a device of a contact."""
        row = self._db.execute(
            "SELECT bundle FROM kept_bundles WHERE person = ? AND device = ?",
            (person.raw, device.raw),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def use_bundle(self, person: PersonId, device: DeviceKey) -> None:
        """Forget kept prekeys: they are good for one session."""
        self._in_transaction()
        self._db.execute(
            "DELETE FROM kept_bundles WHERE person = ? AND device = ?", (person.raw, device.raw)
        )

    def first_letter(self, ephemeral: bytes) -> tuple[bytes, SessionId] | None:
        """Return hash of the set-up and session of a first letter with this ephemeral key."""
        row = self._db.execute(
            "SELECT set_up, session FROM first_letters WHERE ephemeral = ?",
            (hash16("ephemeral", ephemeral),),
        ).fetchone()
        return None if row is None else (bytes(row[0]), SessionId(row[1]))

    def keep_first_letter(
        self, ephemeral: bytes, *, set_up: bytes, session: SessionId, signed: int
    ) -> None:
        """Remember a first letter, so that it begins one session only."""
        self._in_transaction()
        self._db.execute(
            "INSERT INTO first_letters VALUES (?, ?, ?, ?)",
            (hash16("ephemeral", ephemeral), set_up, session.raw, signed),
        )

    def tidy(self, before: float) -> None:
        """Delete prekeys retired before then, what began with them, and one-time keys too many."""
        self._in_transaction()
        self._db.execute("DELETE FROM own_prekeys WHERE retired < ?", (before,))
        self._db.execute("DELETE FROM kept_bundles WHERE made < ?", (before,))
        self._db.execute(
            "DELETE FROM first_letters WHERE signed NOT IN"
            " (SELECT id FROM own_prekeys WHERE kind = ?)",
            (int(PrekeyKind.SIGNED),),
        )
        for kind in (PrekeyKind.ONE_TIME, PrekeyKind.ONE_TIME_KEM):
            self._db.execute(
                "DELETE FROM own_prekeys WHERE kind = ?1 AND id IN (SELECT id FROM own_prekeys"
                " WHERE kind = ?1 ORDER BY made DESC, id LIMIT -1 OFFSET ?2)",
                (int(kind), MAX_ONE_TIME),
            )
