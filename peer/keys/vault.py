"""Where this device keeps its keys: SQL over the connection of the phone's file.

Every change wants an open transaction and fails without one. A ratchet step loads, steps and stores
inside one `BEGIN IMMEDIATE`, because `watch` and `send` are two processes on one file: without the
lock both would take the same message key. What is sent is stored in that transaction too, before a
byte leaves; what is received is stored with the step that opened it (docs/protocol.md §6.8).
"""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from nacl.signing import SigningKey

from peer import sqlite
from peer.keys.errors import Damaged
from peer.keys.number_table import NumberTable
from peer.keys.person import BoxKey, Device, Identity, PersonKey, recovery_box
from peer.keys.prekey_table import PrekeyTable
from peer.keys.primitives import Exchange
from peer.keys.schema import SCHEMA, Table
from peer.keys.session_table import SessionTable
from peer.keys.sessions import DAY
from wire.ids import PersonId

KEEP_SECONDS: Final = 194 * DAY
"""A parcel may wait 180 days; two weeks more for a phone that is itself late."""
TOGETHER_SECONDS: Final = 600.0
"""Two exchanges within the life of a code may have crossed; later ones followed each other."""

MAX_BOXES: Final = 8
"""Box keys of a person that are kept: each of them is tried on what no other opens, and who turns
hers with every letter must not make the next ones ever dearer."""

_OF_A_CONTACT: Final = (
    "pair_secrets",
    "box_keys",
    "sessions",
    "kept_bundles",
    "senders",
    "received",
    "gone",
    "resets",
)


@lru_cache(maxsize=512)
def _seen_by(person: PersonId) -> str:
    return f"seen/{person.text}"


class Vault(Table):
    """The key store of one device.

    Args:
        connection: in autocommit mode (`isolation_level=None`), foreign keys on.
    """

    def __init__(self, connection: sqlite.Connection) -> None:
        if connection.isolation_level is not None:
            raise ValueError("the connection must leave transactions to us")
        super().__init__(connection)
        self.sessions = SessionTable(connection)
        self.prekeys = PrekeyTable(connection)
        self.numbers = NumberTable(connection)

    def create(self) -> None:
        """Create the tables, inside the transaction that creates the file's other tables."""
        self._in_transaction()
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                self._db.execute(statement)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the file's write lock for one step; all of it counts, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Undo what a failed part of a transaction has written, and keep the rest of it."""
        self._in_transaction()
        self._db.execute("SAVEPOINT keys")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO keys")
            self._db.execute("RELEASE keys")
            raise
        self._db.execute("RELEASE keys")

    # Our own keys

    def keep_identity(self, identity: Identity, *, seed: bytes | None) -> None:
        """Store a new person's keys; `seed` is kept until the kit has been printed."""
        rows = {
            "person": identity.person.raw,
            "signing": bytes(identity.device.signing),
            "exchange": identity.device.exchange.secret,
            "seed": seed,
        }
        for name, value in rows.items():
            if value is not None:
                self._keep(name, value)
        if seed is not None:
            self.keep_recovery_public(recovery_box(seed).public)
        self.keep_person_key(identity.person_key)

    def keep_person_key(self, key: PersonKey) -> None:
        """Store the person key of a generation; the highest one counts.

        One of the same generation that was here is kept for opening: two devices may have made one
        each, and what was sealed under the one that does not count is on its way.
        """
        row = self._db.execute(
            "SELECT value FROM own_keys WHERE name = ?", (f"person/{key.generation}",)
        ).fetchone()
        if row is not None and not hmac.compare_digest(row[0], key.seed):
            other = PersonKey(key.generation, bytes(row[0]))
            self._keep(f"person/{key.generation}/{other.box.public[:8].hex()}", other.seed)
        self._keep(f"person/{key.generation}", key.seed)
        self._db.execute(
            "DELETE FROM own_keys WHERE name = ?",
            (f"person/{key.generation}/{key.box.public[:8].hex()}",),
        )
        here = self._db.execute("SELECT value FROM own_keys WHERE name = 'generation'").fetchone()
        if here is None or int.from_bytes(here[0], "big") < key.generation:
            self._keep("generation", key.generation.to_bytes(8, "big"))

    def keep_coming_key(self, key: PersonKey) -> None:
        """Put by the person key of a statement that our gateway has not taken yet."""
        self._keep(f"coming/{key.generation}/{key.box.public[:8].hex()}", key.seed)

    def coming_keys(self) -> tuple[PersonKey, ...]:
        """Return the person keys that were put by."""
        rows = self._db.execute("SELECT name, value FROM own_keys WHERE name LIKE 'coming/%'")
        return tuple(PersonKey(int(name.split("/")[1]), bytes(seed)) for name, seed in rows)

    def drop_coming_keys(self) -> None:
        """Forget the person keys that were put by."""
        self._in_transaction()
        self._db.execute("DELETE FROM own_keys WHERE name LIKE 'coming/%'")

    def identity(self) -> Identity:
        """Return our own keys.

        Raises:
            Damaged: one is missing.
        """
        generation = int.from_bytes(self._own("generation"), "big")
        return Identity(
            PersonId(self._own("person")),
            Device(SigningKey(self._own("signing")), Exchange(self._own("exchange"))),
            PersonKey(generation, self._own(f"person/{generation}")),
        )

    def person_keys(self) -> tuple[PersonKey, ...]:
        """Return the person keys of all generations, the newest first, each before its rivals."""
        rows = self._db.execute("SELECT name, value FROM own_keys WHERE name GLOB 'person/*'")
        found = [(name.split("/"), seed) for name, seed in rows]
        found.sort(key=lambda one: (-int(one[0][1]), len(one[0])))
        return tuple(PersonKey(int(name[1]), seed) for name, seed in found)

    def keep_recovery_public(self, public: bytes) -> None:
        """Store the public half of the recovery box key (32 bytes)."""
        self._keep("recovery", public)

    def recovery_public(self) -> bytes | None:
        """Return the public half of the recovery box key, also after the seed has gone.

        None on a device that was added and has seen no record of a person key yet.
        """
        row = self._db.execute("SELECT value FROM own_keys WHERE name = 'recovery'").fetchone()
        if row is not None:
            return bytes(row[0])
        seed = self.seed()  # a phone of before there was this record
        return None if seed is None else recovery_box(seed).public

    def seed(self) -> bytes | None:
        """Return the recovery seed while it is still here."""
        row = self._db.execute("SELECT value FROM own_keys WHERE name = 'seed'").fetchone()
        return None if row is None else bytes(row[0])

    def wipe_seed(self) -> None:
        """Forget the recovery seed: from now on only the kit has it."""
        self._in_transaction()
        self._db.execute("DELETE FROM own_keys WHERE name = 'seed'")

    def _keep(self, name: str, value: bytes) -> None:
        self._in_transaction()
        self._db.execute(
            "INSERT INTO own_keys VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = ?2",
            (name, value),
        )

    def _own(self, name: str) -> bytes:
        row = self._db.execute("SELECT value FROM own_keys WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise Damaged(f"the key {name.partition('/')[0]} is missing")
        return bytes(row[0])

    # What two persons share

    def keep_pair_secret(
        self, person: PersonId, *, transcript: bytes, secret: bytes, now: float
    ) -> None:
        """Store S of an exchange; the same exchange twice is one."""
        self._in_transaction()
        self._db.execute(
            "INSERT INTO pair_secrets VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (person.raw, transcript, secret, now),
        )

    def pair_secrets(self, person: PersonId) -> tuple[bytes, ...]:
        """Return all S with `person`, first the one that sealing uses.

        That is the newest; among exchanges that may have crossed, the one with the lowest hash.
        """
        rows = self._db.execute(
            "SELECT transcript, secret, made FROM pair_secrets WHERE person = ?", (person.raw,)
        ).fetchall()
        newest = max((made for _, _, made in rows), default=0.0)
        crossed = [row for row in rows if newest - row[2] <= TOGETHER_SECONDS]
        before = [row for row in rows if newest - row[2] > TOGETHER_SECONDS]
        crossed.sort()
        before.sort(key=lambda row: -row[2])
        return tuple(bytes(secret) for _, secret, _ in (*crossed, *before))

    def keep_box(self, box: BoxKey, *, now: float) -> None:
        """Remember a box key from a card: what was sealed under it is still on its way."""
        self._in_transaction()
        added = self._db.execute(
            "INSERT INTO box_keys VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (box.person.raw, box.generation, box.public, now),
        ).rowcount
        if added:
            self._db.execute(
                "DELETE FROM box_keys WHERE person = ?1 AND generation NOT IN (SELECT generation"
                " FROM box_keys WHERE person = ?1 ORDER BY made DESC, generation DESC LIMIT ?2)",
                (box.person.raw, MAX_BOXES),
            )

    def boxes(self, person: PersonId) -> tuple[BoxKey, ...]:
        """Return the box keys of `person` that were seen, the newest generation first."""
        rows = self._db.execute(
            "SELECT generation, public FROM box_keys WHERE person = ? ORDER BY generation DESC",
            (person.raw,),
        )
        return tuple(BoxKey(person, generation, bytes(public)) for generation, public in rows)

    # Which of our person keys others know

    def expect_known(self, generation: int) -> None:
        """Note that contacts know the person key of this generation, until each shows otherwise.

        When the key turns they do not know it yet: what tells them is sealed with the one before.
        """
        self._keep("seen", generation.to_bytes(8, "big"))

    def turned(self, *, before: int, now: int) -> None:
        """Note that the person key turned: contacts know the one before, until they show otherwise.

        Args:
            before: the generation that was in force.
            now: the one that is.
        """
        seen = self._db.execute("SELECT 1 FROM own_keys WHERE name = 'seen'").fetchone()
        if seen is None and before < now:
            self.expect_known(before)

    def keep_known(self, person: PersonId, generation: int) -> None:
        """Note that a contact has shown that he knows the person key of this generation."""
        if self.known(person) is not None:
            self._keep(_seen_by(person), generation.to_bytes(8, "big"))

    def known(self, person: PersonId) -> int | None:
        """Return which generation of our person key a contact knows; None: it never turned."""
        rows = self._db.execute(
            "SELECT value FROM own_keys WHERE name IN ('seen', ?) ORDER BY name DESC",
            (_seen_by(person),),
        )
        return next((int.from_bytes(value, "big") for (value,) in rows), None)

    def pairing(self, person: PersonId) -> tuple[tuple[object, ...], ...]:
        """Return the rows from which the keys shared with `person` follow: the same, same keys."""
        rows = self._db.execute(
            "SELECT 1, name, value, NULL FROM own_keys WHERE name GLOB 'person/*'"
            " OR name IN ('seen', ?2)"
            " UNION ALL SELECT 2, generation, public, made FROM box_keys WHERE person = ?1"
            " UNION ALL SELECT 3, transcript, secret, made FROM pair_secrets WHERE person = ?1",
            (person.raw, _seen_by(person)),
        )
        return tuple(rows)

    def forget(self, person: PersonId) -> None:
        """Delete all that is shared with `person`: nothing of theirs opens any more.

        How far we have counted towards her stays, under a hash. Whoever is met again must not get
        another letter under a number that she has read one by: her devices would take it for read.
        """
        self._in_transaction()
        self.numbers.forget(person)
        for table in _OF_A_CONTACT:
            self._db.execute(f"DELETE FROM {table} WHERE person = ?", (person.raw,))  # noqa: S608  # constants
        self._db.execute("DELETE FROM own_keys WHERE name = ?", (_seen_by(person),))

    def tidy(self, now: float) -> None:
        """Delete keys that nothing can need any more; once a day is enough."""
        before = now - KEEP_SECONDS
        self.sessions.tidy(before)
        self.prekeys.tidy(before)
