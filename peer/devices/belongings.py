"""Which rows of the phone's file belong to the state, under which key, and how they get there.

    a row changes      a trigger notes which (peer/schema.py), whoever changed it
    the commit comes   `stamp` compares what is noted with the state, and stamps what differs
    entries come       `take` joins them with the state, and writes the rows anew that differ

So no code that changes a contact or a lane knows of other devices. Rows are compared and not only
noted: what `take` wrote is no change of ours, and is not told again.

What a key is about is hashed under the account key, and only the rows themselves name it: a lane
names its person in the value (docs/protocol.md §15.2).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import IntEnum
from typing import Final

from peer import sqlite
from peer.devices.clock import Clock, Stamp
from peer.devices.merges import Dotted, ReadMark, dotted_of
from peer.devices.state import Entry, Merge, is_sound, joined, merge_of
from peer.keys.number_table import NumberTable
from peer.keys.state_seals import account_key
from peer.people.contacts import clean_name, follow
from peer.people.news import News
from peer.store import Store
from wire.card import MAX_CHAIN, MAX_KEPT, MAX_STATEMENT, Card
from wire.codec import Value, decode, encode
from wire.errors import Malformed, WireError
from wire.ids import DeviceId, GatewayId, PersonId
from wire.kdf import mac16

MAX_ROW: Final = 512 * 1024
MAX_NEEDED: Final = 256
"""Numbers that a read mark leaves out at most; beyond so many gaps it says less than was read."""
BEGUN: Final = "state-begun"
CLOCK: Final = "state-clock"
TOLD: Final = "state-told"
HANDED: Final = "state-handed-over"
_ZERO: Final = 1 << 63


class Kind(IntEnum):
    """What a key is about: its first byte. Divided by ten: how two values become one."""

    NOTE = 1
    CONTACT = 2
    PETNAME = 3
    VERIFIED = 4
    PAIR_SECRET = 5
    BOX_KEY = 6
    LANE_GIVEN = 7
    LANE_TAKEN = 8
    CARD = 9
    READ = 10
    BLOCK = 20
    DRAFT = 30
    MEMBER = 40


OF_CONTACT: Final = (Kind.PAIR_SECRET, Kind.BOX_KEY, Kind.LANE_GIVEN, Kind.LANE_TAKEN)
"""Rows that belong to the state while their person is a contact."""

Part = bytes | str | int


class Belongings:
    """The state of this phone's person, and the rows that follow from it.

    Args:
        store: the phone's file.
        person: whose phone it is.
        device: which device of theirs this is.
    """

    def __init__(self, store: Store, *, person: PersonId, device: DeviceId) -> None:
        self._store = store
        self._db = store.db
        self._person = person
        self._device = device

    # What changed here

    def stamp(self) -> None:
        """Stamp what was changed in this transaction; the store calls it before the commit.

        A device that was added just now first hears what the others have: until then it has
        nothing to say.
        """
        if self._db.execute("SELECT 1 FROM state_dirty LIMIT 1").fetchone() is None:
            return
        if (names := account_key(self._store.vault)) is None or not self.has_begun():
            return
        dirty = self._db.execute(
            "DELETE FROM state_dirty RETURNING kind, one, two, three"
        ).fetchall()
        for kind, *parts in sorted(set(dirty), key=lambda row: int(row[0])):
            self._stamp_row(names, Kind(kind), [one for one in parts if one != b""])

    def change(self, kind: Kind, *parts: Part, change: Callable[[bytes | None], bytes]) -> None:
        """Change a value that has no row of its own, inside a transaction."""
        names = account_key(self._store.vault)
        if names is None:
            return
        key = key_of(names, kind, *parts)
        held = self.held(key)
        self._write(key, change(None if held is None else held.value))

    def _stamp_row(self, names: bytes, kind: Kind, parts: list[Part]) -> None:
        if kind in OF_CONTACT and not self._is_contact(parts[0]):
            known = self.held(key_of(names, Kind.CONTACT, parts[0]))
            if known is None or known.value is not None:
                return  # of somebody who is being added here, or not yet here
        key = key_of(names, kind, *parts)
        held = self.held(key)
        before = None if held is None else held.value
        value = self._value(kind, parts, before)
        if value != before:
            self._write(key, value)

    def _write(self, key: bytes, value: bytes | None) -> None:
        clock = self.clock().tick(self._store.now() * 1000)
        self._keep_clock(clock)
        stamp = Stamp(clock.epoch, clock.time, self._device.raw, self.last_seq() + 1)
        self._keep(Entry(key, stamp, value), pending=True)

    def _value(self, kind: Kind, parts: list[Part], before: bytes | None) -> bytes | None:
        match kind, parts:
            case Kind.NOTE, [str(name)]:
                value = self._store.note(name)
                return None if value is None else encode([name, value])
            case Kind.CARD, _:
                return self._store.note("card")
            case Kind.READ, [bytes(person), bytes(device)]:
                return self._read_mark(person, device, before)
            case Kind.BLOCK, [bytes(person)]:
                return self._block(person, before)
            case _:
                row = self._db.execute(_ROWS[kind], parts).fetchone()
                return None if row is None else encode(list(row))

    def _block(self, person: bytes, before: bytes | None) -> bytes | None:
        """Return the blocks of a contact: a new one, or none of those that are known here."""
        row = self._db.execute("SELECT blocked FROM contact WHERE person = ?", (person,)).fetchone()
        held = Dotted() if before is None else dotted_of(before)[1]
        if row is None or bool(row[0]) == bool(held.held):
            return before
        now = held.put(self._device.raw, b"") if row[0] else held.cleared()
        return encode([person, now.to_value()])

    def _read_mark(self, person: bytes, device: bytes, before: bytes | None) -> bytes | None:
        upto, missing = self._was_read(person, device)
        mark = ReadMark() if before is None else ReadMark.decode(before)
        value = mark.with_read(upto, missing).encode()
        return before if upto == 0 and before is None else value

    def _was_read(self, person: bytes, device: bytes) -> tuple[int, frozenset[int]]:
        """Return the highest number that was shown, and those below it that were not."""
        upto = self._db.execute(
            "SELECT max(counted) FROM letter WHERE person = ? AND device = ? AND shown"
            " AND NOT outgoing",
            (person, device),
        ).fetchone()[0]
        if upto is None:
            return 0, frozenset()
        unshown = self._db.execute(
            "SELECT counted FROM letter WHERE person = ? AND device = ? AND NOT shown"
            " AND counted < ?",
            (person, device, upto),
        )
        missing = {number for (number,) in unshown}
        gaps = NumberTable(self._db).missing(PersonId(person)).get(DeviceId(device), ())
        for gap in gaps:
            if gap.first > upto or len(missing) > MAX_NEEDED:
                break
            missing.update(range(gap.first, min(gap.last, upto, gap.first + MAX_NEEDED) + 1))
        if len(missing) > MAX_NEEDED:
            upto = sorted(missing)[MAX_NEEDED] - 1
        return upto, frozenset(one for one in missing if one <= upto)

    # What others changed

    def take(self, entries: Iterable[Entry]) -> bool:
        """Join entries with the state, inside a transaction; return whether a row changed.

        Any order and any number of times: the same is the end of it.
        """
        changed = dict[bytes, bytes | None]()
        clock = self.clock()
        for entry in entries:
            if not is_sound(entry):
                continue  # of a program that is wrong: every device passes over it
            clock = clock.seen(entry.stamp.epoch, entry.stamp.time)
            held = self.held(entry.key)
            counts = entry if held is None else joined(held, entry)
            if counts == held:
                continue
            pending = held is not None and self._is_pending(entry.key)
            if pending and counts.stamp != entry.stamp:
                pass  # ours is later, and still has to be told
            elif pending and counts.value != entry.value:  # of both, which only we know
                clock = clock.tick(0)
                stamp = Stamp(clock.epoch, clock.time, self._device.raw, self.last_seq() + 1)
                counts = replace(counts, stamp=stamp)
            else:
                pending = False
            self._keep(counts, pending=pending)
            changed.setdefault(entry.key, None if held is None else held.value)
        self._keep_clock(clock)
        return self._write_rows(changed)

    def read_elsewhere(self) -> int:
        """Count as shown what was read on another device; return how many letters that were.

        Called in a transaction, after the state was taken and before anything is told.
        """
        if (names := account_key(self._store.vault)) is None:
            return 0
        threads = self._db.execute(
            "SELECT DISTINCT person, device FROM letter WHERE NOT shown AND NOT outgoing"
            " AND counted IS NOT NULL"
        ).fetchall()
        count = 0
        for person, device in threads:
            held = self.held(key_of(names, Kind.READ, person, device))
            if held is None or held.value is None:
                continue
            mark = ReadMark.decode(held.value)
            letters = self._db.execute(
                "SELECT number, counted FROM letter WHERE person = ? AND device = ?"
                " AND NOT shown AND NOT outgoing",
                (person, device),
            )
            read = [(number,) for number, counted in letters.fetchall() if mark.covers(counted)]
            self._db.executemany("UPDATE letter SET shown = 1 WHERE number = ?", read)
            count += len(read)
        return count

    def has_begun(self) -> bool:
        """Return whether this device has heard what there was before it, and may change it."""
        return self._store.note(BEGUN) is not None

    def begin(self) -> None:
        """Have something to say from now on, inside a transaction: the person's first device at
        once, any other when it has taken what there is.
        """
        self._store.keep_note(BEGUN, b"")

    def _write_rows(self, changed: dict[bytes, bytes | None]) -> bool:
        came = set[bytes]()
        for key in sorted(changed):
            held = self.held(key)
            value = None if held is None else held.value
            try:
                self._write_row(key, value, changed[key], came)
            except (WireError, sqlite.IntegrityError):
                continue  # of a newer program: kept, and written when this one knows it
        if came:
            self._write_rows_of(came)
        read = self.read_elsewhere()
        return bool(changed) or read > 0

    def _write_row(
        self, key: bytes, value: bytes | None, before: bytes | None, came: set[bytes]
    ) -> None:
        kind = key[0]
        if merge_of(key) == Merge.READ:
            return  # letters are compared with it when they are all here
        told = value if value is not None else before
        if told is None:
            return
        if kind == Kind.CARD:
            self._take_card(told)
            return
        parts = decode(told, limit=MAX_ROW)
        gone = value is None
        match kind, parts:
            case Kind.NOTE, [str(name), bytes(note)]:
                self._store.keep_note(name, None if gone else note)
            case Kind.CONTACT, [bytes(person), str(introduced), bytes(chain), int(added)]:
                if gone:
                    self._forget(PersonId(person))
                elif self._take_contact(PersonId(person), introduced, chain, added / 1000):
                    came.add(person)
            case Kind.PETNAME, [bytes(person), str(name)] if not gone:
                self._call(person, name)
            case Kind.VERIFIED, [bytes(person), int(verified)] if not gone:
                self._update("verified", person, int(bool(verified)))
            case Kind.BLOCK, [bytes(person), dotted] if not gone:
                self._update("blocked", person, int(bool(Dotted.from_value(dotted).held)))
            case _, [bytes(person), *_] if kind in OF_CONTACT and isinstance(parts, list):
                if gone or self._is_contact(person):
                    self._write_row_of_contact(Kind(kind), parts, gone=gone)

    def _write_row_of_contact(self, kind: Kind, parts: list[Value], *, gone: bool) -> None:
        db = self._db
        match kind, parts:
            case Kind.PAIR_SECRET, [person, transcript, secret, int(made)]:
                if gone:
                    db.execute(
                        "DELETE FROM pair_secrets WHERE person = ? AND transcript = ?",
                        (person, transcript),
                    )
                else:
                    db.execute(
                        "INSERT INTO pair_secrets VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                        (person, transcript, secret, made / 1000),
                    )
            case Kind.BOX_KEY, [person, generation, public, int(made)] if not gone:
                db.execute(
                    "INSERT INTO box_keys VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (person, generation, public, made / 1000),
                )
            case Kind.LANE_GIVEN, [person, number, secret, int(revoked)]:
                if not gone:
                    db.execute(
                        "INSERT INTO lane_given (person, class, secret) VALUES (?, ?, ?)"
                        " ON CONFLICT DO NOTHING",
                        (person, number, secret),
                    )
                if gone or revoked:  # the gateway is told from here as well
                    db.execute("UPDATE lane_given SET revoked = 1 WHERE secret = ?", (secret,))
            case Kind.LANE_TAKEN, [person, number, secret]:
                if gone:
                    db.execute(
                        "DELETE FROM lane_taken WHERE person = ? AND class = ?", (person, number)
                    )
                else:
                    db.execute(
                        "INSERT INTO lane_taken VALUES (?1, ?2, ?3) ON CONFLICT (person, class)"
                        " DO UPDATE SET secret = ?3 WHERE secret <> ?3",
                        (person, number, secret),
                    )

    def _write_rows_of(self, persons: set[bytes]) -> None:
        """Write the rows of contacts that are new here and whose entries came before them."""
        names = account_key(self._store.vault)
        for person in persons if names is not None else ():
            for kind in (Kind.PETNAME, Kind.VERIFIED, Kind.BLOCK):
                key = key_of(names or b"", kind, person)
                if (held := self.held(key)) is not None:
                    self._write_row(key, held.value, None, set())
                else:  # nobody has said it yet: what stands there for now is no change of ours
                    self._db.execute(
                        "DELETE FROM state_dirty WHERE kind = ? AND one = ?", (int(kind), person)
                    )
        low, high = bytes([min(OF_CONTACT)]), bytes([max(OF_CONTACT) + 1])
        rows = self._db.execute(
            "SELECT key, value FROM state WHERE key >= ? AND key < ? AND value IS NOT NULL",
            (low, high),
        ).fetchall()
        for key, value in rows:
            match decode(value, limit=MAX_ROW):
                case [bytes(person), *_] if person in persons:
                    self._write_row(key, value, None, set())

    def _take_contact(self, person: PersonId, introduced: str, kept: bytes, added: float) -> bool:
        """Write a contact; return whether they are new here."""
        statements = _statements(kept)
        row = self._db.execute(
            "SELECT chain FROM contact WHERE person = ?", (person.raw,)
        ).fetchone()
        if row is None:
            card = Card.restore(person, statements)
            self._db.execute(
                "INSERT INTO contact (person, name, introduced, chain, verified, added)"
                " VALUES (?, ?, ?, ?, 0, ?)",
                (person.raw, self._free(introduced, person.raw), introduced, _kept(card), added),
            )
            return True
        before = Card.restore(person, _statements(row[0]))
        card = follow(before, tuple(statements))
        News(self._db).compare(before, card)
        self._db.execute(
            "UPDATE contact SET introduced = ?2, chain = ?3, added = ?4 WHERE person = ?1"
            " AND (introduced <> ?2 OR chain <> ?3 OR added <> ?4)",
            (person.raw, introduced, _kept(card), added),
        )
        return False

    def _take_card(self, chain: bytes) -> None:
        held = self._store.note("card")
        if held is None or held == chain:
            return
        before = Card.restore(self._person, _statements(held))
        card = follow(before, tuple(_statements(chain)))
        if (continued := _kept(card)) != held:
            self._store.keep_note("card", continued)
            News(self._db).compare(before, card)

    def _call(self, person: bytes, name: str) -> None:
        """Call a contact something; of two who are to have one name, one gets a number."""
        row = self._db.execute("SELECT name FROM contact WHERE person = ?", (person,)).fetchone()
        if row is None or row[0] == name:
            return
        other = self._db.execute(
            "SELECT person, name FROM contact WHERE person <> ? AND name = ?", (person, name)
        ).fetchone()
        if other is not None and bytes(other[0]) > person:
            self._update("name", bytes(other[0]), self._free(name, bytes(other[0])))
        self._update("name", person, self._free(name, person))

    def _free(self, wanted: str, person: bytes) -> str:
        wanted = clean_name(wanted) or "somebody"
        rows = self._db.execute("SELECT name FROM contact WHERE person <> ?", (person,))
        taken, name, number = {one.casefold() for (one,) in rows}, wanted, 1
        while name.casefold() in taken:
            number += 1
            name = f"{wanted} {number}"
        return name

    def _update(self, column: str, person: bytes, value: str | int) -> None:
        self._db.execute(
            f"UPDATE contact SET {column} = ?2 WHERE person = ?1 AND {column} <> ?2",  # noqa: S608
            (person, value),
        )

    def _forget(self, person: PersonId) -> None:
        for table in ("contact", "lane_taken", "letter", "outgoing", "sent", "trouble"):
            self._db.execute(f"DELETE FROM {table} WHERE person = ?", (person.raw,))  # noqa: S608
        self._db.execute(
            "DELETE FROM item WHERE item NOT IN (SELECT item FROM letter"
            " UNION SELECT item FROM outgoing UNION SELECT item FROM sent)"
        )
        self._db.execute("DELETE FROM note WHERE name GLOB ?", (f"*/{person.text}",))
        self._db.execute("UPDATE lane_given SET revoked = 1 WHERE person = ?", (person.raw,))
        self._store.vault.forget(person)

    def _is_contact(self, person: Part) -> bool:
        sql = "SELECT 1 FROM contact WHERE person = ?"
        return self._db.execute(sql, (person,)).fetchone() is not None

    # The state itself

    def all(self) -> Iterator[Entry]:
        """Yield every entry of the state."""
        for row in self._db.execute(f"{_SELECT} ORDER BY key"):
            yield _entry(row)

    def pending(self) -> list[Entry]:
        """Return what still has to be told, oldest first."""
        return [
            _entry(row) for row in self._db.execute(f"{_SELECT} WHERE pending ORDER BY epoch, time")
        ]

    def has_pending(self) -> bool:
        """Return whether something has to be told."""
        return self._db.execute("SELECT 1 FROM state WHERE pending").fetchone() is not None

    def has_news(self, *, at: GatewayId, alone: bool) -> bool:
        """Return whether there is something to tell a gateway, or something to hear there.

        Args:
            at: which gateway.
            alone: whether this is the person's only device: then nobody else has news.
        """
        return not alone or self.has_untold() or self._store.note(TOLD) != at.raw

    def has_untold(self) -> bool:
        """Return whether something was changed here that no gateway has been given."""
        return self.has_pending() or self.last_seq() > self.handed_over()

    def handed_over(self) -> int:
        """Return up to which of our batches a gateway was given them."""
        return int.from_bytes(self._store.note(HANDED) or b"", "big")

    def told_to(self, gateway: GatewayId) -> None:
        """Note that a gateway has all that there was."""
        if self._store.note(TOLD) != gateway.raw:
            self._store.keep_note(TOLD, gateway.raw)

    def told(self, entries: Iterable[Entry], *, seq: int) -> None:
        """Note that entries stand in our batch of this number."""
        self._db.executemany(
            "UPDATE state SET pending = 0, seq = ? WHERE key = ? AND pending",
            [(seq, one.key) for one in entries],
        )

    def replace_all(self, entries: Iterable[Entry]) -> None:
        """Forget what was taken, but for what we have not told yet, and begin with `entries`.

        Rows are written anew from all of it.
        """
        before = {one.key: one.value for one in self.all()}
        self._db.execute("DELETE FROM state WHERE NOT pending")
        self.take(entries)
        changed = dict[bytes, bytes | None]()
        for key, value in before.items():
            held = self.held(key)
            if (None if held is None else held.value) != value:
                changed[key] = value
        self._write_rows(changed)

    def held(self, key: bytes) -> Entry | None:
        """Return the entry of a key."""
        row = self._db.execute(f"{_SELECT} WHERE key = ?", (key,)).fetchone()
        return None if row is None else _entry(row)

    def clock(self) -> Clock:
        """Return how far the common clock has come."""
        begun = Clock.of_generation(self._store.vault.identity().person_key.generation)
        match decode(self._store.note(CLOCK) or encode([]), limit=64):
            case [int(epoch), int(time)]:
                return begun.seen(epoch, time)
        return begun

    def last_seq(self) -> int:
        """Return the number of our newest batch, 0 if there is none."""
        row = self._db.execute(
            "SELECT seq FROM state_vector WHERE device = ?", (self._device.raw,)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def turn_epoch(self) -> None:
        """Begin a new sync epoch, inside a transaction: each change beats all earlier ones."""
        self._keep_clock(self.clock().turned())

    def _keep_clock(self, clock: Clock) -> None:
        value = encode([clock.epoch, clock.time])
        if self._store.note(CLOCK) != value:
            self._store.keep_note(CLOCK, value)

    def _is_pending(self, key: bytes) -> bool:
        row = self._db.execute("SELECT pending FROM state WHERE key = ?", (key,)).fetchone()
        return row is not None and bool(row[0])

    def _keep(self, entry: Entry, *, pending: bool) -> None:
        stamp = entry.stamp
        self._db.execute(
            "INSERT INTO state VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO UPDATE"
            " SET epoch = ?2, time = ?3, device = ?4, seq = ?5, value = ?6, pending = ?7",
            (
                entry.key,
                stamp.epoch,
                stamp.time - _ZERO,
                stamp.device,
                stamp.seq,
                entry.value,
                int(pending),
            ),
        )


def key_of(names: bytes, kind: Kind, *parts: Part) -> bytes:
    """Return the key (16 bytes) of what `parts` name; `names` is the account key."""
    spelled = [one if isinstance(one, bytes) else _spelled(one) for one in parts]
    return bytes([kind]) + mac16(names, "state-key", bytes([kind]), *spelled)[1:]


def _spelled(part: str | int) -> bytes:
    return part.encode("utf-8") if isinstance(part, str) else part.to_bytes(8, "big")


_ROWS: Final = {
    Kind.CONTACT: "SELECT person, introduced, chain, CAST(round(added * 1000) AS INTEGER)"
    " FROM contact WHERE person = ?",
    Kind.PETNAME: "SELECT person, name FROM contact WHERE person = ?",
    Kind.VERIFIED: "SELECT person, verified FROM contact WHERE person = ?",
    Kind.PAIR_SECRET: "SELECT person, transcript, secret, CAST(round(made * 1000) AS INTEGER)"
    " FROM pair_secrets WHERE person = ? AND transcript = ?",
    Kind.BOX_KEY: "SELECT person, generation, public, CAST(round(made * 1000) AS INTEGER)"
    " FROM box_keys WHERE person = ? AND generation = ?",
    Kind.LANE_GIVEN: "SELECT person, class, secret, revoked FROM lane_given"
    " WHERE person = ? AND class = ? AND secret = ?",
    Kind.LANE_TAKEN: "SELECT person, class, secret FROM lane_taken WHERE person = ? AND class = ?",
}
_SELECT: Final = "SELECT key, epoch, time, device, seq, value FROM state"


def _entry(row: tuple[bytes, int, int, bytes, int, bytes | None]) -> Entry:
    key, epoch, time, device, seq, value = row
    return Entry(key, Stamp(epoch, time + _ZERO, device, seq), value)


def _statements(kept: bytes) -> list[bytes]:
    value = decode(kept, limit=(MAX_CHAIN + MAX_KEPT) * (MAX_STATEMENT + 8))
    if not isinstance(value, list):
        raise Malformed("a card is a list of statements")
    return [one for one in value if isinstance(one, bytes)]


def _kept(card: Card) -> bytes:
    kept: list[Value] = list(card.kept)
    return encode(kept)
