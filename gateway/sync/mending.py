"""Finds cards, devices and prekeys that the disk has changed; what is not whole goes.

Cards and prekeys are signed, and a device's id is the hash of its key, so they need no checksum.
Whatever goes, its device brings again.
"""

import sqlite3

from wire.card import Card
from wire.errors import CardRejected, Malformed, WireError
from wire.ids import DeviceKey, PersonId
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
    return None


def mend_cards(connection: sqlite3.Connection) -> None:
    """Drop cards that can no longer be followed, devices that are not their key's, and prekeys."""
    connection.execute("DELETE FROM prekey")
    connection.executemany("DELETE FROM device WHERE device = ?", _damaged_devices(connection))
    connection.executemany("DELETE FROM card WHERE seat = ?", _damaged_cards(connection))


def _damaged_devices(connection: sqlite3.Connection) -> list[tuple[bytes]]:
    rows = connection.execute("SELECT device, device_key FROM device").fetchall()
    return [(device,) for device, key in rows if DeviceKey(key).device.raw != device]


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
