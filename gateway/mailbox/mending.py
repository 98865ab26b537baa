"""Looks through mailboxes for what the disk has changed, and makes salvaged ones fit together."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Final

from gateway.database.failure import DamagedRow
from gateway.mailbox.deposits import STORED, as_stored
from wire.frames import StoredRow
from wire.parcel import HEADER_BYTES

_SENSELESS: Final = {
    "SELECT 1 FROM lane WHERE rule NOT IN (1, 2, 3, 4)": "a lane has a rule that there is not",
    "SELECT 1 FROM device d JOIN seat s ON s.seat = d.seat WHERE d.cursor_seq > s.last_seq": (
        "a device has acknowledged what was never stored"
    ),
    "SELECT 1 FROM seat s WHERE last_seq <"
    " (SELECT coalesce(max(seq), 0) FROM parcel p WHERE p.seat = s.seat)"
    " OR used_bytes <> (SELECT coalesce(sum(length(body) + :header), 0)"
    " FROM parcel p WHERE p.seat = s.seat)": "a mailbox does not hold what its counters say",
}
"""Questions of which a whole store answers none."""


def find_damaged_row(connection: sqlite3.Connection) -> str | None:
    """Return what is wrong with the first row that is not what was stored; None for none."""
    for _, row in _parcels(connection):
        if isinstance(row, DamagedRow):
            return str(row)
    for question, answer in _SENSELESS.items():
        if connection.execute(question, {"header": HEADER_BYTES}).fetchone():
            return answer
    return None


def mend_mailboxes(connection: sqlite3.Connection) -> None:
    """Drop what is not what was stored; count anew what is left.

    What is remembered of deposits goes where the parcel is not here: it may have been lost and not
    collected, and whoever sends it again must not be told that it lies here.
    """
    seats, lanes, last = Counter[bytes](), Counter[tuple[bytes, bytes]](), dict[bytes, int]()
    damaged = []
    for number, row in _parcels(connection):
        if isinstance(row, DamagedRow):
            damaged.append((number,))
        else:
            seat, (seq, lane, *_, body) = row
            size = HEADER_BYTES + len(body)
            seats[seat] += size
            lanes[seat, lane] += size
            last[seat] = max(last.get(seat, 0), seq)
    connection.executemany("DELETE FROM parcel WHERE number = ?", damaged)
    connection.execute(
        "DELETE FROM deposit WHERE (lane, parcel) NOT IN (SELECT lane, parcel FROM parcel)"
    )
    connection.execute("UPDATE device SET cursor_seq = 0, cursor_parcel = zeroblob(16)")
    connection.execute("UPDATE seat SET used_bytes = 0")
    connection.execute(
        "UPDATE lane SET used_bytes = 0,"
        " rule = CASE WHEN rule IN (1, 2, 3, 4) THEN rule ELSE 4 END,"
        " remembered = (SELECT count(*) FROM deposit d WHERE d.lane = lane.lane)"
    )
    connection.executemany(
        "UPDATE seat SET used_bytes = ?, last_seq = max(last_seq, ?) WHERE seat = ?",
        [(size, last[seat], seat) for seat, size in seats.items()],
    )
    connection.executemany(
        "UPDATE lane SET used_bytes = ? WHERE lane = ? AND seat = ?",
        [(size, lane, seat) for (seat, lane), size in lanes.items()],
    )


def _parcels(
    connection: sqlite3.Connection,
) -> Iterator[tuple[int, tuple[bytes, StoredRow] | DamagedRow]]:
    """Yield every parcel with its seat by its number, or what is wrong with it."""
    rows = connection.execute(
        f"SELECT p.number, p.seat, {STORED} FROM parcel p ORDER BY p.number"  # noqa: S608
    )
    for number, seat, *row in rows:
        try:
            yield number, (seat, as_stored(row, seat=seat))
        except DamagedRow as damaged:
            yield number, damaged
