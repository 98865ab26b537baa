"""Numbers as rows: how far we have counted, what has come, and what is missing.

Each device counts its letters towards each person from 1. A gap in what came is a letter that some
gateway lost or holds back; a number used twice is a phone that was copied or set back.
(docs/protocol.md §8.5)
"""

from typing import Final

from peer.items.kinds import Range
from peer.keys.schema import Table
from peer.keys.sessions import DAY
from wire.ids import DeviceId, PersonId
from wire.kdf import hash32

RESET_SECONDS: Final = DAY
"""One request to begin again for each pair of devices in this time."""

_BEFORE: Final = "coalesce((SELECT last FROM sent_numbers WHERE person = ?2), 0)"
"""How far was counted towards somebody who was forgotten since."""


def _forgotten(person: PersonId) -> bytes:
    return hash32("forgotten-count", person.raw)


class NumberTable(Table):
    """Numbers towards and from all persons."""

    def next_number(self, person: PersonId) -> int:
        """Count one on towards `person` and return the number."""
        self._in_transaction()
        row = self._db.execute(
            f"INSERT INTO sent_numbers VALUES (?1, 1 + {_BEFORE})"  # noqa: S608  # constants
            " ON CONFLICT (person) DO UPDATE SET last = last + 1 RETURNING last",
            (person.raw, _forgotten(person)),
        ).fetchone()
        return int(row[0])

    def forget(self, person: PersonId) -> None:
        """Keep only how far we have counted, under a hash: met again, she gets new numbers."""
        self._in_transaction()
        self._db.execute(
            "UPDATE OR REPLACE sent_numbers SET person = ? WHERE person = ?",
            (_forgotten(person), person.raw),
        )

    def give_back(self, person: PersonId, number: int) -> None:
        """Let the number just counted be the next one again: nothing was sealed under it."""
        self._in_transaction()
        self._db.execute(
            "UPDATE sent_numbers SET last = last - 1 WHERE person = ? AND last = ?",
            (person.raw, number),
        )

    def last_number(self, person: PersonId) -> int:
        """Return the last number used towards `person`, 0 if none."""
        row = self._db.execute(
            "SELECT max(last) FROM sent_numbers WHERE person IN (?, ?)",
            (person.raw, _forgotten(person)),
        ).fetchone()
        return int(row[0] or 0)

    def count_from(self, person: PersonId, number: int) -> None:
        """Use no number up to `number` again: the other side has seen it."""
        self._in_transaction()
        self._db.execute(
            f"INSERT INTO sent_numbers VALUES (?1, max(?3, {_BEFORE}))"  # noqa: S608  # constants
            " ON CONFLICT (person) DO UPDATE SET last = max(last, ?3)",
            (person.raw, _forgotten(person), number),
        )

    def expect_from(self, person: PersonId, device: DeviceId, *, first: int) -> None:
        """Begin to count a device anew: nothing before `first` is asked for."""
        self._in_transaction()
        key = (person.raw, device.raw)
        self._db.execute("DELETE FROM received WHERE person = ? AND device = ?", key)
        self._db.execute("DELETE FROM gone WHERE person = ? AND device = ?", key)
        self._db.execute(
            "INSERT INTO senders VALUES (?, ?, ?3, ?3)"
            " ON CONFLICT (person, device) DO UPDATE SET floor = ?3, highest = ?3",
            (*key, first - 1),
        )

    def saw_number(self, person: PersonId, device: DeviceId, number: int) -> None:
        """Note that a number is in use, whether or not its letter could be opened."""
        self._in_transaction()
        self._db.execute(
            "INSERT INTO senders VALUES (?, ?, 0, ?3)"
            " ON CONFLICT (person, device) DO UPDATE SET highest = max(highest, ?3)",
            (person.raw, device.raw, number),
        )

    def received(self, person: PersonId, device: DeviceId, number: int) -> bytes | None:
        """Return the hash of what came under a number: empty if its item came under another."""
        row = self._db.execute(
            "SELECT parcel FROM received WHERE person = ? AND device = ? AND number = ?",
            (person.raw, device.raw, number),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def keep_received(
        self, person: PersonId, device: DeviceId, *, number: int, parcel: bytes, now: float
    ) -> None:
        """Note that a letter was opened; an empty `parcel`: under another number."""
        self._in_transaction()
        self._db.execute(
            "INSERT INTO received VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (person, device, number) DO UPDATE SET parcel = excluded.parcel"
            " WHERE parcel = x''",
            (person.raw, device.raw, number, parcel, now),
        )
        in_order = self._db.execute(  # the next one and none beyond it: nothing to look through
            "UPDATE senders SET floor = ?3, highest = ?3"
            " WHERE person = ?1 AND device = ?2 AND floor = ?3 - 1 AND highest <= ?3",
            (person.raw, device.raw, number),
        ).rowcount
        if not in_order:
            if parcel:
                self.saw_number(person, device, number)
            self._raise_floor(person, device)

    def keep_gone(self, person: PersonId, device: DeviceId, ranges: tuple[Range, ...]) -> None:
        """Note what its sender can send no more; should it come all the same it is opened."""
        self._in_transaction()
        self._db.executemany(
            "INSERT INTO gone VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (person, device, first) DO UPDATE SET last = max(last, ?4)",
            [(person.raw, device.raw, one.first, one.last) for one in ranges],
        )

    def _raise_floor(self, person: PersonId, device: DeviceId) -> None:
        """Count what came or is gone without a gap once and for all; above it `missing` looks."""
        self._db.execute(
            "WITH RECURSIVE there (number) AS ("
            "  SELECT floor FROM senders WHERE person = ?1 AND device = ?2"
            "  UNION SELECT r.number FROM there JOIN received r"
            "    ON r.person = ?1 AND r.device = ?2 AND r.number = there.number + 1"
            "  UNION SELECT (SELECT max(g.last, there.number) FROM gone g WHERE g.person = ?1"
            "    AND g.device = ?2 AND g.first <= there.number + 1 ORDER BY g.first DESC LIMIT 1)"
            "    FROM there)"
            " UPDATE senders SET floor = (SELECT max(number) FROM there)"
            " WHERE person = ?1 AND device = ?2",
            (person.raw, device.raw),
        )

    def highest(self, person: PersonId, device: DeviceId) -> int:
        """Return the highest number seen of a device, 0 if none."""
        row = self._db.execute(
            "SELECT highest FROM senders WHERE person = ? AND device = ?",
            (person.raw, device.raw),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def missing(self, person: PersonId) -> dict[DeviceId, tuple[Range, ...]]:
        """Return what each device of `person` has sent and this one has not opened."""
        senders = self._db.execute(
            "SELECT device, floor, highest FROM senders WHERE person = ? ORDER BY device",
            (person.raw,),
        ).fetchall()
        found = {}
        for device, floor, highest in senders:
            ranges = self._gaps(person, device, floor, highest)
            if ranges:
                found[DeviceId(device)] = ranges
        return found

    def _gaps(self, person: PersonId, device: bytes, floor: int, highest: int) -> tuple[Range, ...]:
        rows = self._db.execute(
            "SELECT number AS first, number AS last FROM received"
            " WHERE person = ?1 AND device = ?2 AND number > ?3"
            " UNION ALL SELECT first, last FROM gone"
            " WHERE person = ?1 AND device = ?2 AND last > ?3 ORDER BY first",
            (person.raw, device, floor),
        )
        ranges, expected = [], floor + 1
        for first, last in rows:
            if first > highest:
                break
            if first > expected:
                ranges.append(Range(expected, first - 1))
            expected = max(expected, last + 1)
        if expected <= highest:
            ranges.append(Range(expected, highest))
        return tuple(ranges)

    def may_reset(self, person: PersonId, device: DeviceId, *, asked: bool, now: float) -> bool:
        """Take the one reset of a day, asked by us or of us; return whether it was still there."""
        self._in_transaction()
        row = self._db.execute(
            "INSERT INTO resets VALUES (?1, ?2, ?3, ?4) ON CONFLICT (person, device, direction)"
            " DO UPDATE SET made = ?4 WHERE abs(?4 - made) >= ?5 RETURNING made",
            (person.raw, device.raw, int(asked), now, RESET_SECONDS),
        ).fetchone()
        return row is not None
