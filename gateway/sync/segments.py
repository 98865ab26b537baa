"""Persons' archives at this gateway: sealed segments, each on top of the one before.

    append   takes the segment that comes next; whoever was slower is told where the chain stands
    extent   how much is here, and the newest head
    range    segments, the newest first, as many as one answer holds

A segment is deleted with its seat and by nothing else: a thief's device can erase no history. The
room is apart from the mailbox's, so that neither fills the other (docs/protocol.md §17.2).
"""

import sqlite3
from typing import Final

import aiosqlite

from gateway.database import Database
from gateway.errors import ArchiveFull, ArchiveMoved, NoSegment, NoSuchSeat
from wire.archive import MAX_RANGE, NOTHING_BEFORE, Extent, Segment, SignedHead
from wire.errors import NotSigned
from wire.ids import PersonId, SeatId

REMOVED_AT_ONCE: Final = 16
"""Segments that one transaction deletes when a seat goes: nobody waits long behind it."""


class ArchiveStore:
    """The archives of all seats.

    Args:
        database: where they lie.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, seat: SeatId, segment: Segment) -> None:
        """Keep the next segment. May be repeated.

        Raises:
            NotSigned: it is of another person.
            ArchiveMoved: another segment stands at its place, or it leaves one out.
            ArchiveFull: the archive has no room.
            NoSuchSeat: the seat was removed.
        """
        head, body = segment.signed.encode(), segment.body
        size = len(head) + len(body)

        def work(store: sqlite3.Connection) -> None:
            row = store.execute(
                "SELECT person, archive_used_bytes, archive_quota_bytes FROM seat WHERE seat = ?",
                (seat.raw,),
            ).fetchone()
            if row is None:
                raise NoSuchSeat
            person, used, quota = row
            if segment.head.person != PersonId(person):
                raise NotSigned("this segment belongs to another person's archive")
            newest = _newest(store, seat)
            if newest is not None and newest.head == segment.head:
                return
            seq, before = (0, NOTHING_BEFORE) if newest is None else _place(newest)
            if (segment.head.seq, segment.head.before) != (seq + 1, before):
                raise ArchiveMoved(seq=seq, hash=before.hex())
            if used + size > quota:
                raise ArchiveFull(limit=quota)
            store.execute(
                "INSERT INTO segment (seat, seq, head, body) VALUES (?, ?, ?, ?)",
                (seat.raw, segment.head.seq, head, body),
            )
            store.execute(
                "UPDATE seat SET archive_used_bytes = archive_used_bytes + ? WHERE seat = ?",
                (size, seat.raw),
            )

        await self._database.write(work, carries=size)

    async def extent(self, seat: SeatId) -> Extent:
        """Return what is held of a seat's archive.

        Raises:
            NoSuchSeat: the seat was removed.
        """

        async def look(store: aiosqlite.Connection) -> Extent:
            rows = await store.execute_fetchall(
                "SELECT archive_used_bytes, archive_quota_bytes,"
                " (SELECT min(seq) FROM segment g WHERE g.seat = s.seat),"
                " (SELECT head FROM segment g WHERE g.seat = s.seat ORDER BY seq DESC LIMIT 1)"
                " FROM seat s WHERE seat = ?",
                (seat.raw,),
            )
            for used, limit, first, head in rows:
                return Extent(first or 0, used, limit, SignedHead.decode(head) if head else None)
            raise NoSuchSeat

        return await self._database.read(look)

    async def one(self, seat: SeatId, seq: int) -> bytes:
        """Return a segment as it travels.

        Raises:
            NoSegment: there is none of this number.
        """
        found = await self.range(seat, upto=seq, down_to=seq)
        if not found:
            raise NoSegment
        return found[0]

    async def range(self, seat: SeatId, *, upto: int, down_to: int) -> list[bytes]:
        """Return segments from `upto` downwards, as many as one answer holds.

        They are not verified again: whoever reads them does it, and is to see what is damaged.
        """

        async def look(store: aiosqlite.Connection) -> list[bytes]:
            found, size = list[bytes](), 0
            async with store.execute(
                "SELECT head, body FROM segment WHERE seat = ? AND seq BETWEEN ? AND ?"
                " ORDER BY seq DESC",
                (seat.raw, down_to, upto),
            ) as rows:
                async for head, body in rows:
                    size += len(head) + len(body)
                    if found and size > MAX_RANGE:
                        break
                    found.append(Segment(SignedHead.decode(head), body).encode())
            return found

        return await self._database.read(look)


def _newest(store: sqlite3.Connection, seat: SeatId) -> SignedHead | None:
    row = store.execute(
        "SELECT head FROM segment WHERE seat = ? ORDER BY seq DESC LIMIT 1", (seat.raw,)
    ).fetchone()
    return None if row is None else SignedHead.decode(row[0])


def _place(signed: SignedHead) -> tuple[int, bytes]:
    return signed.head.seq, signed.head.hash
