"""Sessions as rows, and the keys of letters that have not come yet."""

from typing import Final

from peer import sqlite
from peer.keys.errors import Damaged
from peer.keys.ratchet import MAX_SKIPPED, Place, SkippedKey
from peer.keys.schema import Table
from peer.keys.sessions import Session, SessionId
from wire.ids import DeviceKey, PersonId

_MAX_READ: Final = 256

Row = tuple[object, ...]


class SessionTable(Table):
    """All sessions of this device.

    A row is read anew for each step, because another process may have made one; what it was read as
    is remembered together with the row, and serves again where the row is the same.
    """

    def __init__(self, connection: sqlite.Connection) -> None:
        super().__init__(connection)
        self._read: dict[bytes, tuple[Row, Session]] = {}

    def find(self, session: SessionId) -> Session | None:
        """Return a session by its id."""
        row = self._db.execute("SELECT * FROM sessions WHERE id = ?", (session.raw,)).fetchone()
        return None if row is None else self._session(row)

    def of_device(self, person: PersonId, device: DeviceKey) -> list[Session]:
        """Return all sessions with a device."""
        rows = self._db.execute(
            "SELECT * FROM sessions WHERE person = ? AND device = ?", (person.raw, device.raw)
        )
        return [self._session(row) for row in rows]

    def keep(self, session: Session) -> None:
        """Store a session as it is after a step."""
        self._in_transaction()
        row = _row(session)
        stepped = self._db.execute(
            "UPDATE sessions SET set_up = ?5, state = ?6, heard = ?8, unanswered = ?9,"
            " unsaid = ?10, closed = ?11 WHERE id = ?1",
            row,
        ).rowcount
        if not stepped:
            self._db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._remember(row, session)

    def _session(self, row: Row) -> Session:
        known = self._read.get(row[0]) if isinstance(row[0], bytes) else None
        if known is not None and known[0] == row:
            return known[1]
        session = _session(row)
        self._remember(row, session)
        return session

    def _remember(self, row: Row, session: Session) -> None:
        if len(self._read) >= _MAX_READ:
            self._read.clear()
        self._read[session.id.raw] = row, session

    def close(self, person: PersonId, device: DeviceKey) -> None:
        """Send nothing more in the sessions with a device; what comes in them is still opened."""
        self._in_transaction()
        self._db.execute(
            "UPDATE sessions SET closed = 1 WHERE person = ? AND device = ?",
            (person.raw, device.raw),
        )

    def skipped(self, session: SessionId, place: Place) -> SkippedKey | None:
        """Return the key kept for one place."""
        row = self._db.execute(
            "SELECT key FROM skipped_keys WHERE session = ? AND chain = ? AND number = ?",
            (session.raw, place.chain, place.number),
        ).fetchone()
        return None if row is None else SkippedKey(place, row[0])

    def keep_skipped(
        self, session: SessionId, skipped: tuple[SkippedKey, ...], *, now: float
    ) -> None:
        """Store keys of letters that have not come; beyond a thousand the oldest go."""
        self._in_transaction()
        if not skipped:
            return
        self._db.executemany(
            "INSERT INTO skipped_keys VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [(session.raw, one.place.chain, one.place.number, one.key, now) for one in skipped],
        )
        self._db.execute(
            "DELETE FROM skipped_keys WHERE session = ?1 AND rowid <= (SELECT rowid FROM"
            " skipped_keys WHERE session = ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2)",
            (session.raw, MAX_SKIPPED),
        )

    def use_skipped(self, session: SessionId, place: Place) -> None:
        """Forget a key after its letter was opened."""
        self._in_transaction()
        self._db.execute(
            "DELETE FROM skipped_keys WHERE session = ? AND chain = ? AND number = ?",
            (session.raw, place.chain, place.number),
        )

    def tidy(self, before: float) -> None:
        """Delete sessions that were last used, and skipped keys that were made, before then."""
        self._in_transaction()
        self._db.execute("DELETE FROM skipped_keys WHERE made < ?", (before,))
        self._db.execute(
            "DELETE FROM sessions WHERE made < ?1 AND coalesce(heard, made) < ?1", (before,)
        )


def _row(session: Session) -> Row:
    return (
        session.id.raw,
        session.person.raw,
        session.device.raw,
        session.transcript,
        session.set_up,
        session.state,
        session.made,
        session.heard,
        session.unanswered,
        session.unsaid,
        int(session.closed),
    )


def _session(row: Row) -> Session:
    match row:
        case (
            bytes(id_),
            bytes(person),
            bytes(device),
            bytes(transcript),
            bytes() | None as set_up,
            bytes(state),
            float(made),
            float() | None as heard,
            int(unanswered),
            int(unsaid),
            int(closed),
        ):
            return Session(
                SessionId(id_),
                PersonId(person),
                DeviceKey(device),
                transcript,
                set_up,
                state,
                made=made,
                heard=heard,
                unanswered=unanswered,
                unsaid=unsaid,
                closed=bool(closed),
            )
        case _:
            raise Damaged("a session has another form")
