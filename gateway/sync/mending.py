"""Finds cards, devices, prekeys and segments that the disk has changed; what is not whole goes.

Cards, prekeys and the heads of segments are signed, a head names the hash of its body, and a
device's id is the hash of its key, so they need no checksum. Whatever goes, its device brings
again. Of a segment whose body is not whole the head stays, and says what is missing.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Final

from wire.archive import Segment, SignedHead
from wire.card import Card
from wire.errors import CardRejected, Malformed, WireError
from wire.ids import DeviceKey, PersonId
from wire.person_keys import PersonKeyRecord
from wire.prekeys import Prekey, PrekeyKind


def find_damaged_card(connection: sqlite3.Connection) -> str | None:
    """Return what is wrong with the first card, device or prekey that is not what was stored."""
    if _damaged_devices(connection):
        return "a device is not its key's"
    if _damaged_cards(connection):
        return "a card is not what was signed"
    rows = connection.execute(
        "SELECT d.device_key, p.kind, p.id, p.public, p.signature"
        " FROM prekey p JOIN device d ON d.device = p.device"
    )
    if not all(_is_signed(*row) for row in rows):
        return "a prekey is not what was signed"
    if _damaged_person_keys(connection):
        return "a record of a person key is not what was signed"
    if any(damage for _, _, _, damage in _segments(connection)):
        return "a segment is not what was signed"
    if connection.execute(_MISCOUNTED).fetchone():
        return "an archive does not hold what its counter says"
    return None


def mend_cards(connection: sqlite3.Connection) -> None:
    """Drop cards that can no longer be followed, devices that are not their key's, and prekeys."""
    connection.execute("DELETE FROM prekey")
    connection.executemany("DELETE FROM device WHERE device = ?", _damaged_devices(connection))
    connection.executemany("DELETE FROM card WHERE seat = ?", _damaged_cards(connection))
    connection.executemany(
        "DELETE FROM person_key WHERE seat = ? AND generation = ?", _damaged_person_keys(connection)
    )
    used = Counter[bytes]()
    for number, seat, size, damage in list(_segments(connection)):
        if damage == "head":
            connection.execute("DELETE FROM segment WHERE number = ?", (number,))
            continue
        if damage == "body":
            connection.execute("UPDATE segment SET body = x'' WHERE number = ?", (number,))
        used[seat] += size
    connection.execute("UPDATE seat SET archive_used_bytes = 0")
    connection.executemany(
        "UPDATE seat SET archive_used_bytes = ? WHERE seat = ?",
        [(size, seat) for seat, size in used.items()],
    )


_MISCOUNTED: Final = (
    "SELECT 1 FROM seat s WHERE archive_used_bytes <>"
    " (SELECT coalesce(sum(length(head) + length(body)), 0) FROM segment g WHERE g.seat = s.seat)"
)


def _segments(connection: sqlite3.Connection) -> Iterator[tuple[int, bytes, int, str]]:
    """Yield number, seat, size that is whole, and what is damaged of each segment."""
    rows = connection.execute(
        "SELECT g.number, g.seat, g.seq, s.person, g.head, g.body"
        " FROM segment g JOIN seat s ON s.seat = g.seat ORDER BY g.number"
    )
    for number, seat, seq, person, head, body in rows:
        try:
            signed = SignedHead.decode(head)
            if (signed.head.seq, signed.head.person.raw) != (seq, person):
                raise Malformed("a segment stands at another's place")
        except WireError:
            yield number, seat, 0, "head"
            continue
        try:
            Segment.of(signed, body)
        except WireError:
            yield number, seat, len(head), "body"
        else:
            yield number, seat, len(head) + len(body), ""


def _damaged_devices(connection: sqlite3.Connection) -> list[tuple[bytes]]:
    rows = connection.execute("SELECT device, device_key FROM device").fetchall()
    return [(device,) for device, key in rows if DeviceKey(key).device.raw != device]


def _damaged_person_keys(connection: sqlite3.Connection) -> list[tuple[bytes, int]]:
    rows = connection.execute("SELECT seat, generation, record FROM person_key").fetchall()
    return [(seat, number) for seat, number, record in rows if not _is_record(record, number)]


def _is_record(record: bytes, generation: int) -> bool:
    try:
        return PersonKeyRecord.decode(record).generation == generation
    except WireError:
        return False


def _damaged_cards(connection: sqlite3.Connection) -> list[tuple[bytes]]:
    """Return the seats whose card cannot be followed; a seat that lost its card has none."""
    found = []
    for seat, person in connection.execute("SELECT seat, person FROM seat").fetchall():
        rows = connection.execute(
            "SELECT statement FROM card WHERE seat = ? ORDER BY epoch, seq", (seat,)
        ).fetchall()
        if rows and not _follows(PersonId(person), [row[0] for row in rows]):
            found.append((seat,))
    return found


def _follows(person: PersonId, chain: list[bytes]) -> bool:
    try:
        Card.follow(person, chain)
    except (CardRejected, WireError):
        return False
    return True


def _is_signed(key: bytes, kind: int, id: int, public: bytes, signature: bytes) -> bool:
    try:
        Prekey(PrekeyKind(kind), id, public, signature).verify(DeviceKey(key))
    except (ValueError, Malformed, WireError):
        return False
    return True
