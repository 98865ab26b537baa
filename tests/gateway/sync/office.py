"""The stores of seats, cards and prekeys on one real file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.clock import SteadyClock
from gateway.database import Database, open_database
from gateway.sync.prekeys import PrekeyStore
from gateway.sync.recovery import RecoveryStore
from gateway.sync.seats import Seats
from gateway.sync.segments import ArchiveStore
from gateway.sync.store import CardChange, SyncStore
from tests.gateway.hands import Hands
from tests.gateway.sync.people import Person, Phone
from wire.ids import LaneId, SeatId

LIMIT = 1 << 30


@dataclass
class Office:
    """What a test needs."""

    database: Database
    sync: SyncStore
    prekeys: PrekeyStore
    seats: Seats
    archive: ArchiveStore
    recovery: RecoveryStore
    hands: Hands
    clock: SteadyClock

    async def enrol(
        self, person: Person, phone: Phone, *, request: bytes = b"r" * 32
    ) -> CardChange:
        """Enrol a device with its person's present card."""
        return await self.sync.enrol(person.card, phone.key, request=request, nonce=b"n" * 16)

    async def lane(self, seat: SeatId, id: bytes) -> LaneId:
        """Put a lane into the file, without the mailbox store."""
        sql = (
            "INSERT INTO lane (lane, seat, lane_key, rule, wakes_per_day, bytes_waiting,"
            " last_tenth) VALUES (?, ?, zeroblob(32), 1, 1, 1, 0)"
        )
        await self.database.write(lambda store: store.execute(sql, (id, seat.raw)).rowcount)
        return LaneId(id)

    async def count(self, table: str) -> int:
        """Return how many rows a table has."""
        sql = f"SELECT count(*) FROM {table}"  # noqa: S608
        found: int = await self.database.write(lambda store: store.execute(sql).fetchone()[0])
        return found


@asynccontextmanager
async def open_office(path: Path) -> AsyncIterator[Office]:
    """Open the stores at `path`."""
    hands = Hands()
    clock = hands.steady_clock()
    failures: list[str] = []
    async with open_database(path, on_fatal=failures.append, now=hands.now()) as database:
        yield Office(
            database,
            SyncStore(database, clock=clock, limit_bytes=LIMIT),
            PrekeyStore(database, clock=clock),
            Seats(database),
            ArchiveStore(database),
            RecoveryStore(database, clock=clock),
            hands,
            clock,
        )
    assert failures == []
