"""Who keeps shares of our recovery seed, and whose shares we keep.

    ours     given -> confirmed -> rehearsed once a year; given up, or taken back by choosing anew
    theirs   came -> kept until its owner takes it back; it goes into no letter, log or state

Both sides are rows of the phone's file, changed in the transaction in which an item is taken or
written (docs/protocol.md §16.4).
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from peer import sqlite
from peer.items.kinds import PROOF_BYTES, Keeping, KeptShare, Rehearsal
from peer.keys.helping import rehearsal_proof, share_proof_key
from wire.errors import WireError
from wire.ids import ItemId, PersonId
from wire.recovery import Alarm

YEAR: Final = 365 * 86_400.0
"""After which a rehearsal is due: people move, and phones are lost without a word."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """A contact who was given a share of ours."""

    person: PersonId
    set: bytes
    sent: float
    confirmed: float | None
    rehearsed: float | None
    rehearsing: bool
    given_up: float | None

    def rehearsal_due(self, now: float) -> bool:
        """Return whether it is a year since we last heard that the share is there."""
        heard = max(self.rehearsed or 0.0, self.confirmed or 0.0)
        return self.given_up is None and now - heard > YEAR


@dataclass(frozen=True, slots=True)
class Kept:
    """A share that we keep for a contact."""

    person: PersonId
    set: bytes
    share: bytes = field(repr=False)
    need: int
    marks: bytes
    notice: bytes = field(repr=False)
    came: float
    nonce: bytes | None
    helped: float | None
    looked: float
    alarm: Alarm | None


class Keepers:
    """Both sides of keeping shares. What changes something wants an open transaction."""

    def __init__(self, db: sqlite.Connection) -> None:
        self._db = db

    # Ours

    def all(self) -> list[Keeper]:
        """Return everybody who was given a share of the set in force."""
        rows = self._db.execute(
            "SELECT person, share_set, sent, confirmed, rehearsed, nonce, given_up FROM keeper"
            " ORDER BY person"
        )
        return [
            Keeper(PersonId(person), set_, sent, confirmed, rehearsed, nonce is not None, given_up)
            for person, set_, sent, confirmed, rehearsed, nonce, given_up in rows
        ]

    def give(self, person: PersonId, kept: KeptShare, *, item: ItemId, now: float) -> None:
        """Note that a contact is given a share, which is on its way in an item."""
        self._db.execute(
            "INSERT OR REPLACE INTO keeper (person, share_set, proof_key, item, sent)"
            " VALUES (?, ?, ?, ?, ?)",
            (person.raw, kept.set, share_proof_key(kept.share), item.raw, now),
        )

    def drop(self, person: PersonId) -> None:
        """Forget that a contact keeps a share."""
        self._erase_sent(person)
        self._db.execute("DELETE FROM keeper WHERE person = ?", (person.raw,))

    def rehearse(self, person: PersonId) -> Rehearsal:
        """Begin a rehearsal with a keeper; return what to ask."""
        nonce = secrets.token_bytes(PROOF_BYTES)
        self._db.execute("UPDATE keeper SET nonce = ? WHERE person = ?", (nonce, person.raw))
        [set_] = self._db.execute(
            "SELECT share_set FROM keeper WHERE person = ?", (person.raw,)
        ).fetchone()
        return Rehearsal(set_, nonce)

    def heard(self, person: PersonId, keeping: Keeping, *, now: float) -> None:
        """Take a keeper's word that he keeps the share, and his proof of it.

        The item in which it went out is erased here: whoever takes this phone finds no share.
        """
        row = self._db.execute(
            "SELECT proof_key, nonce FROM keeper WHERE person = ? AND share_set = ?",
            (person.raw, keeping.set),
        ).fetchone()
        if row is None:
            return
        proof_key, nonce = row
        if keeping.proof and nonce is not None:
            if hmac.compare_digest(keeping.proof, rehearsal_proof(proof_key, nonce)):
                self._db.execute(
                    "UPDATE keeper SET nonce = NULL, rehearsed = ?, given_up = NULL"
                    " WHERE person = ?",
                    (now, person.raw),
                )
        elif not keeping.proof:
            self._db.execute(
                "UPDATE keeper SET confirmed = ?, given_up = NULL WHERE person = ?",
                (now, person.raw),
            )
            self._erase_sent(person)

    def _erase_sent(self, person: PersonId) -> None:
        row = self._db.execute("SELECT item FROM keeper WHERE person = ?", (person.raw,)).fetchone()
        for table in ("outgoing", "sent", "item"):
            self._db.execute(f"DELETE FROM {table} WHERE item = ?", row or (b"",))  # noqa: S608

    def given_up(self, person: PersonId, set_: bytes, *, now: float) -> None:
        """Take a keeper's word that he keeps the share no more."""
        self._db.execute(
            "UPDATE keeper SET given_up = ? WHERE person = ? AND share_set = ?",
            (now, person.raw, set_),
        )

    # Theirs

    def kept(self) -> list[Kept]:
        """Return the shares that we keep."""
        rows = self._db.execute(
            "SELECT person, share_set, share, need, marks, notice, came, nonce, helped, looked,"
            " alarm FROM kept_share ORDER BY person"
        )
        return [_kept(row) for row in rows]

    def kept_for(self, person: PersonId) -> Kept | None:
        """Return the share that we keep for a contact."""
        return next((one for one in self.kept() if one.person == person), None)

    def keep(self, person: PersonId, kept: KeptShare, *, now: float) -> Keeping:
        """Keep a share in place of the one before; return what to answer."""
        self._db.execute(
            "INSERT OR REPLACE INTO kept_share"
            " (person, share_set, share, need, marks, notice, came) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (person.raw, kept.set, kept.share, kept.need, kept.marks, kept.notice, now),
        )
        return Keeping(kept.set)

    def asked(self, person: PersonId, rehearsal: Rehearsal) -> None:
        """Note that the owner of a share wants to see that it is still here."""
        self._db.execute(
            "UPDATE kept_share SET nonce = ? WHERE person = ? AND share_set = ?",
            (rehearsal.nonce, person.raw, rehearsal.set),
        )

    def show(self, kept: Kept) -> Keeping:
        """Answer a rehearsal: the holder of this phone has agreed."""
        proof = rehearsal_proof(share_proof_key(kept.share), kept.nonce or b"")
        self._db.execute("UPDATE kept_share SET nonce = NULL WHERE person = ?", (kept.person.raw,))
        return Keeping(kept.set, proof)

    def helped(self, person: PersonId, *, now: float) -> None:
        """Note that a share was handed out."""
        self._db.execute("UPDATE kept_share SET helped = ? WHERE person = ?", (now, person.raw))

    def looked(self, person: PersonId, alarm: Alarm | None, *, now: float) -> None:
        """Note what the owner's gateway says of requests; None: it did not answer."""
        self._db.execute(
            "UPDATE kept_share SET looked = ?, alarm = coalesce(?, alarm) WHERE person = ?",
            (now, None if alarm is None else alarm.encode(), person.raw),
        )

    def erase(self, person: PersonId, *, of: bytes | None = None) -> None:
        """Erase a share that we keep: its owner has taken it back, or we have forgotten her."""
        self._db.execute(
            "DELETE FROM kept_share WHERE person = ?1 AND (?2 IS NULL OR share_set = ?2)",
            (person.raw, of),
        )

    def forget(self, person: PersonId) -> None:
        """Forget a contact on both sides."""
        self.drop(person)
        self.erase(person)


def _kept(row: Sequence[Any]) -> Kept:
    person, set_, share, need, marks, notice, came, nonce, helped, looked, alarm = row
    try:
        known = None if alarm is None else Alarm.decode(alarm)
    except WireError:  # of another program
        known = None
    return Kept(
        PersonId(person),
        set_,
        share,
        int(need),
        marks,
        notice,
        float(came),
        nonce,
        None if helped is None else float(helped),
        float(looked),
        known,
    )
