"""Keeps the state log of each seat: batches of its devices, until a snapshot stands for them.

    leave       batches, whoever of the seat's devices brings them; the same again is no error
    ask         what somebody lacks; how far he has come is noted, so that what all have can go
    snapshot    one of each device; batches go that one has and every live device has come past

What is brought was signed by a device of the person, which is all that can be checked here: another
batch under the same number is refused, and tells its device that it was copied.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

import aiosqlite

from gateway.clock import SteadyClock
from gateway.database import Database
from gateway.errors import StateFull, StateRefused, StateTaken
from gateway.sync.store import held_card
from wire.codec import decode, encode
from wire.errors import NotSigned
from wire.ids import DeviceId, DeviceKey, SeatId
from wire.parcel import DAY
from wire.state_log import (
    MAX_BATCHES,
    MAX_MESSAGE,
    MAX_VECTOR,
    Batch,
    Head,
    LogAnswer,
    Snapshot,
    SnapshotHead,
    covers,
    vector_from,
    vector_value,
)

LIVE_SECONDS: Final = 180 * DAY
"""A device that was away for longer reads a snapshot instead of what it missed."""
MAX_STATE: Final = 32 << 20
"""Bytes of state log and snapshots of one seat."""
_VECTOR_LIMIT: Final = 4096


class StateLogStore:
    """The state logs of all seats.

    Args:
        database: where they lie.
        clock: by which a device is live.
    """

    def __init__(self, database: Database, *, clock: SteadyClock) -> None:
        self._database = database
        self._clock = clock

    async def leave(self, seat: SeatId, batches: Sequence[Batch]) -> None:
        """Keep batches. May be repeated.

        Raises:
            StateRefused: one is signed by no device of this person.
            StateTaken: another batch stands under the number of one.
            StateFull: there is no room for more.
        """
        await self._database.write(
            lambda store: _leave(store, seat, batches), carries=sum(len(b.sealed) for b in batches)
        )

    async def ask(
        self, seat: SeatId, reader: DeviceId, vector: Mapping[DeviceId, int]
    ) -> LogAnswer:
        """Return what a device lacks that has come to `vector`, as much as one message holds."""

        async def look(store: aiosqlite.Connection) -> tuple[LogAnswer, bool]:
            return await _look(store, seat, reader, vector)

        answer, news = await self._database.read(look)
        if news:
            await self._database.write(
                lambda store: _saw(store, seat, reader, vector, now=self._clock.now()), frees=True
            )
        return answer

    async def snapshot(self, seat: SeatId, device: DeviceId) -> bytes | None:
        """Return the snapshot that a device has left."""
        rows = await self._database.look(
            "SELECT body FROM state_snapshot WHERE seat = ? AND device = ?", seat.raw, device.raw
        )
        return next((bytes(row[0]) for row in rows), None)

    async def leave_snapshot(self, seat: SeatId, snapshot: Snapshot) -> None:
        """Keep a snapshot in place of its device's last one, unless it stands for less.

        Raises:
            StateRefused: it is signed by no device of this person, or is older than the last.
            StateFull: there is no room for it.
        """
        await self._database.write(
            lambda store: _leave_snapshot(store, seat, snapshot, now=self._clock.now()),
            carries=len(snapshot.sealed),
        )


def find_damaged_state(store: sqlite3.Connection) -> str | None:
    """Return what is wrong with the first batch or snapshot that is not what its device signed."""
    return "a batch of the state log is not what was signed" if _damaged(store) else None


def mend_state(store: sqlite3.Connection) -> None:
    """Drop what is not what its device signed: the devices bring it again, or a snapshot."""
    for table, seat, device, seq in _damaged(store):
        if table == "state_batch":  # with what follows it, which can be taken only after it
            store.execute(
                "DELETE FROM state_batch WHERE seat = ? AND device = ? AND seq >= ?",
                (seat, device, seq),
            )
            store.execute(
                "UPDATE state_head SET newest = max(floor, min(newest, ?))"
                " WHERE seat = ? AND device = ?",
                (seq - 1, seat, device),
            )
        else:
            store.execute(
                "DELETE FROM state_snapshot WHERE seat = ? AND device = ?", (seat, device)
            )
    for (seat,) in store.execute("SELECT seat FROM seat").fetchall():
        _count(store, SeatId(seat))


def _damaged(store: sqlite3.Connection) -> list[tuple[str, bytes, bytes, int]]:
    found, keys = [], dict[tuple[bytes, bytes], DeviceKey | None]()
    batches = store.execute("SELECT 'state_batch', seat, device, seq, body FROM state_batch")
    snapshots = store.execute("SELECT 'state_snapshot', seat, device, 0, body FROM state_snapshot")
    for table, seat, device, seq, body in (*batches, *snapshots):
        if (seat, device) not in keys:
            keys[seat, device] = _key(store, SeatId(seat), DeviceId(device))
        key = keys[seat, device]
        try:
            read = Batch.decode(body) if table == "state_batch" else Snapshot.decode(body)
            if key is not None:
                read.verify(key)
        except Exception:  # whatever a turned bit makes of it
            found.append((table, seat, device, seq))
    return found


def _key(store: sqlite3.Connection, seat: SeatId, device: DeviceId) -> DeviceKey | None:
    """Return the key of a device of this seat, revoked or not, enrolled or on the card."""
    row = store.execute(
        "SELECT device_key FROM device WHERE seat = ? AND device = ?", (seat.raw, device.raw)
    ).fetchone()
    if row is not None:
        return DeviceKey(row[0])
    card = held_card(store, seat)
    entry = None if card is None else card.device(device)
    return None if entry is None else entry.key


def _leave(store: sqlite3.Connection, seat: SeatId, batches: Sequence[Batch]) -> None:
    keys = dict[DeviceId, DeviceKey | None]()
    for batch in sorted(batches, key=lambda one: (one.device.raw, one.seq)):
        if batch.device not in keys:
            keys[batch.device] = _key(store, seat, batch.device)
        _keep(store, seat, batch, keys[batch.device])
    _count(store, seat)


def _keep(store: sqlite3.Connection, seat: SeatId, batch: Batch, key: DeviceKey | None) -> None:
    try:
        batch.verify(key or DeviceKey(bytes(32)))
    except NotSigned:
        raise StateRefused("signature") from None
    body, place = batch.encode(), (seat.raw, batch.device.raw)
    row = store.execute(
        "SELECT newest, floor FROM state_head WHERE seat = ? AND device = ?", place
    ).fetchone()
    newest, floor = row or (0, 0)
    if batch.seq <= floor:
        return  # every live device has come past it
    there = store.execute(
        "SELECT body FROM state_batch WHERE seat = ? AND device = ? AND seq = ?",
        (*place, batch.seq),
    ).fetchone()
    if there is not None:
        if there[0] != body:
            raise StateTaken(device=batch.device.text, seq=batch.seq)
        return
    if batch.seq > newest + 1:  # nobody has those before it any more: only a snapshot leads here
        floor = batch.seq - 1
        store.execute("DELETE FROM state_batch WHERE seat = ? AND device = ?", place)
    store.execute("INSERT INTO state_batch VALUES (?, ?, ?, ?)", (*place, batch.seq, body))
    store.execute(
        "INSERT INTO state_head VALUES (?, ?, ?, ?) ON CONFLICT (seat, device)"
        " DO UPDATE SET newest = excluded.newest, floor = excluded.floor",
        (*place, max(newest, batch.seq), floor),
    )
    devices = store.execute("SELECT count(*) FROM state_head WHERE seat = ?", (seat.raw,))
    if devices.fetchone()[0] > MAX_VECTOR:
        raise StateRefused("devices")


def _count(store: sqlite3.Connection, seat: SeatId) -> None:
    """Count what the log of a seat takes.

    Raises:
        StateFull: more than it may.
    """
    [batches] = store.execute(
        "SELECT coalesce(sum(length(body)), 0) FROM state_batch WHERE seat = ?", (seat.raw,)
    ).fetchone()
    [snapshots] = store.execute(
        "SELECT coalesce(sum(length(body)), 0) FROM state_snapshot WHERE seat = ?", (seat.raw,)
    ).fetchone()
    if batches + snapshots > MAX_STATE:
        raise StateFull(limit=MAX_STATE)
    store.execute("UPDATE seat SET state_bytes = ? WHERE seat = ?", (batches + snapshots, seat.raw))


async def _look(
    store: aiosqlite.Connection, seat: SeatId, reader: DeviceId, vector: Mapping[DeviceId, int]
) -> tuple[LogAnswer, bool]:
    heads = [
        Head(DeviceId(device), newest, floor)
        for device, newest, floor in await store.execute_fetchall(
            "SELECT device, newest, floor FROM state_head WHERE seat = ? ORDER BY device",
            (seat.raw,),
        )
    ]
    snapshots = [
        SnapshotHead(DeviceId(device), generation, vector_from(decode(data, limit=_VECTOR_LIMIT)))
        for device, generation, data in await store.execute_fetchall(
            "SELECT device, generation, vector FROM state_snapshot WHERE seat = ? ORDER BY device",
            (seat.raw,),
        )
    ]
    batches, size, more = list[bytes](), 0, False
    for head in heads:
        after = max(vector.get(head.device, 0), head.floor)
        if head.newest <= after or more:
            continue
        async with store.execute(
            "SELECT body FROM state_batch WHERE seat = ? AND device = ? AND seq > ? ORDER BY seq",
            (seat.raw, head.device.raw, after),
        ) as rows:
            async for (body,) in rows:
                if batches and (size + len(body) > MAX_MESSAGE or len(batches) == MAX_BATCHES):
                    more = True
                    break
                batches.append(body)
                size += len(body)
    seen = {
        DeviceId(device): seq
        for device, seq in await store.execute_fetchall(
            "SELECT device, seq FROM state_seen WHERE reader = ?", (reader.raw,)
        )
    }
    return LogAnswer(tuple(heads), tuple(snapshots), tuple(batches), more), seen != dict(vector)


def _saw(
    store: sqlite3.Connection,
    seat: SeatId,
    reader: DeviceId,
    vector: Mapping[DeviceId, int],
    *,
    now: float,
) -> None:
    store.execute("DELETE FROM state_seen WHERE reader = ?", (reader.raw,))
    store.executemany(
        "INSERT INTO state_seen SELECT device, ?2, ?3 FROM device WHERE device = ?1",
        [(reader.raw, device.raw, seq) for device, seq in vector.items()],
    )
    _trim(store, seat, now=now)


def _leave_snapshot(
    store: sqlite3.Connection, seat: SeatId, snapshot: Snapshot, *, now: float
) -> None:
    try:
        snapshot.verify(_key(store, seat, snapshot.device) or DeviceKey(bytes(32)))
    except NotSigned:
        raise StateRefused("signature") from None
    place = (seat.raw, snapshot.device.raw)
    row = store.execute(
        "SELECT vector FROM state_snapshot WHERE seat = ? AND device = ?", place
    ).fetchone()
    if row is not None:
        before = vector_from(decode(row[0], limit=_VECTOR_LIMIT))
        if not covers(snapshot.vector, before):
            raise StateRefused("older")
    store.execute(
        "INSERT OR REPLACE INTO state_snapshot VALUES (?, ?, ?, ?, ?)",
        (
            *place,
            snapshot.generation,
            encode(vector_value(snapshot.vector)),
            snapshot.encode(),
        ),
    )
    _trim(store, seat, now=now)
    _count(store, seat)


def _trim(store: sqlite3.Connection, seat: SeatId, *, now: float) -> None:
    """Drop batches that a snapshot stands for and every live device has come past.

    What a revoked device has left as a snapshot stands for nothing, and goes once another is there.
    """
    live = store.execute(
        "SELECT device FROM device WHERE seat = ? AND revoked = 0 AND collected_at > ?",
        (seat.raw, now - LIVE_SECONDS),
    ).fetchall()
    seen = [
        dict(
            store.execute("SELECT device, seq FROM state_seen WHERE reader = ?", reader).fetchall()
        )
        for reader in live
    ]
    rows = store.execute(
        "SELECT s.vector FROM state_snapshot s LEFT JOIN device d ON d.device = s.device"
        " WHERE s.seat = ? AND coalesce(d.revoked, 0) = 0",
        (seat.raw,),
    ).fetchall()
    if not rows:
        return
    vectors = [vector_from(decode(data, limit=_VECTOR_LIMIT)) for (data,) in rows]
    for device, floor in store.execute(
        "SELECT device, floor FROM state_head WHERE seat = ?", (seat.raw,)
    ).fetchall():
        covered = max(one.get(DeviceId(device), 0) for one in vectors)
        upto = min([covered, *(one.get(device, 0) for one in seen)])
        if upto > floor:
            store.execute(
                "DELETE FROM state_batch WHERE seat = ? AND device = ? AND seq <= ?",
                (seat.raw, device, upto),
            )
            store.execute(
                "UPDATE state_head SET floor = ?, newest = max(newest, ?)"
                " WHERE seat = ? AND device = ?",
                (upto, upto, seat.raw, device),
            )
    store.execute(
        "DELETE FROM state_snapshot WHERE seat = ? AND device IN"
        " (SELECT device FROM device WHERE revoked = 1)",
        (seat.raw,),
    )
