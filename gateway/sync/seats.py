"""Seats as the owner of the box sees them: who has a place, how full it is, its limit."""

import sqlite3
from dataclasses import dataclass
from typing import Final

import aiosqlite

from gateway.database import Database
from gateway.errors import NoSuchSeat
from gateway.sync.segments import REMOVED_AT_ONCE as SEGMENTS_REMOVED_AT_ONCE
from wire.ids import SeatId

REMOVED_AT_ONCE: Final = 32
"""Parcels that one transaction deletes when a seat goes: nobody waits long behind it."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One seat. There is no name in it: the gateway knows none."""

    id: SeatId
    devices: int
    """Those that are not revoked."""
    unconfirmed: int
    """Of these, those that have to be paired again since the store was restored."""
    waiting: int
    """Parcels that nobody has collected yet."""
    used_bytes: int
    limit_bytes: int
    archive_used_bytes: int
    archive_limit_bytes: int


class Seats:
    """What the owner can do with seats."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Seat]:
        """Return every seat."""

        async def look(store: aiosqlite.Connection) -> list[Seat]:
            rows = await store.execute_fetchall(
                "SELECT seat,"
                " (SELECT count(*) FROM device d WHERE d.seat = s.seat AND d.revoked = 0),"
                " (SELECT count(*) FROM device d WHERE d.seat = s.seat AND d.revoked = 0"
                " AND d.confirmed = 0),"
                " (SELECT count(*) FROM parcel p WHERE p.seat = s.seat),"
                " used_bytes, quota_bytes, archive_used_bytes, archive_quota_bytes"
                " FROM seat s ORDER BY seat"
            )
            return [Seat(SeatId(row[0]), *row[1:]) for row in rows]

        return await self._database.read(look)

    async def count(self) -> int:
        """Return how many seats there are."""
        return len(await self.all())

    async def set_limit(self, seat: SeatId, limit_bytes: int) -> None:
        """Give a seat another amount of room. What waits already stays, even above it.

        Raises:
            NoSuchSeat: there is none of this id.
        """

        def work(store: sqlite3.Connection) -> None:
            sql = "UPDATE seat SET quota_bytes = ? WHERE seat = ?"
            if not store.execute(sql, (limit_bytes, seat.raw)).rowcount:
                raise NoSuchSeat

        await self._database.write(work)

    async def set_archive_limit(self, seat: SeatId, limit_bytes: int) -> None:
        """Give a seat's archive another amount of room. What is in it stays, even above it.

        Raises:
            NoSuchSeat: there is none of this id.
        """

        def work(store: sqlite3.Connection) -> None:
            sql = "UPDATE seat SET archive_quota_bytes = ? WHERE seat = ?"
            if not store.execute(sql, (limit_bytes, seat.raw)).rowcount:
                raise NoSuchSeat

        await self._database.write(work)

    async def remove(self, seat: SeatId) -> None:
        """Remove a seat with its devices, lanes, prekeys, card, archive and all that waits in it.

        From the first step on nobody reaches it any more. If the rest is interrupted the seat is
        still listed, empty of devices, and can be removed again.

        Raises:
            NoSuchSeat: there is none of this id.
        """

        def close(store: sqlite3.Connection) -> None:
            if not store.execute("SELECT 1 FROM seat WHERE seat = ?", (seat.raw,)).fetchone():
                raise NoSuchSeat
            store.execute("DELETE FROM lane WHERE seat = ?", (seat.raw,))
            store.execute("DELETE FROM device WHERE seat = ?", (seat.raw,))

        def empty(store: sqlite3.Connection) -> int:
            return store.execute(
                "DELETE FROM parcel WHERE number IN"
                " (SELECT number FROM parcel WHERE seat = ? LIMIT ?)",
                (seat.raw, REMOVED_AT_ONCE),
            ).rowcount

        def forget_archive(store: sqlite3.Connection) -> int:
            return store.execute(
                "DELETE FROM segment WHERE number IN"
                " (SELECT number FROM segment WHERE seat = ? LIMIT ?)",
                (seat.raw, SEGMENTS_REMOVED_AT_ONCE),
            ).rowcount

        def remove(store: sqlite3.Connection) -> None:
            store.execute("DELETE FROM seat WHERE seat = ?", (seat.raw,))

        await self._database.write(close, frees=True)
        for step in (empty, forget_archive):
            while await self._database.write(step, frees=True):
                pass
        await self._database.write(remove, frees=True)
