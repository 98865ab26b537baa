"""Prekeys that devices leave here, handed out one bundle at a time to holders of a lane.

A one-time key is handed out once: it is deleted in the transaction that hands it out, and an upload
that is repeated later brings no key back, because the ids of a device only rise. When none is left
the bundle carries the last resort alone. A lane gets one bundle of a device an hour and three in
thirty days, so that nobody can empty the pool (docs/protocol.md §10.3).
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import aiosqlite

from gateway.clock import SteadyClock
from gateway.database import Database
from gateway.errors import DeviceRevoked, DeviceUnknown, NoPrekeys, TooManyRequests
from wire.ids import DeviceId, DeviceKey, LaneId, SeatId
from wire.prekeys import Bundle, Prekey, PrekeyKind

HANDOUT_EVERY: Final = 3600.0
"""Seconds between two bundles of one device for one lane."""

HANDOUTS: Final = 3
"""Bundles of a device for one lane in `HANDOUT_WINDOW`: a session may fail to begin twice."""

HANDOUT_WINDOW: Final = 30 * 86_400.0

MAX_POOL: Final[Mapping[PrekeyKind, int]] = {
    PrekeyKind.SIGNED: 1,
    PrekeyKind.LAST_RESORT: 1,
    PrekeyKind.ONE_TIME: 200,
    PrekeyKind.ONE_TIME_KEM: 50,
}
"""Keys of each kind that are kept for a device; the oldest go first. Twice what a phone leaves."""

_ONE_TIME: Final = (PrekeyKind.ONE_TIME, PrekeyKind.ONE_TIME_KEM)


@dataclass(frozen=True, slots=True)
class PrekeyCounts:
    """How many prekeys of a device are here; its phone brings more when they run out."""

    signed: int
    last_resort: int
    one_time: int
    one_time_kem: int


class PrekeyStore:
    """The prekeys of all devices of this gateway.

    Args:
        database: where they lie.
        clock: by which handing out is limited.
    """

    def __init__(self, database: Database, *, clock: SteadyClock) -> None:
        self._database = database
        self._clock = clock

    async def upload(self, device: DeviceKey, prekeys: Sequence[Prekey]) -> PrekeyCounts:
        """Keep prekeys of a device; return how many it has now. May be repeated.

        Raises:
            NotSigned: one was not signed by this device as what it is.
            DeviceUnknown, DeviceRevoked
        """
        await asyncio.to_thread(_verify_all, device, prekeys)
        return await self._database.write(
            lambda store: _upload(store, device.device, prekeys),
            carries=sum(len(one.public) for one in prekeys),
        )

    async def counts(self, device: DeviceId) -> PrekeyCounts:
        """Return how many prekeys of a device are here; all 0 for one that is not."""

        async def look(store: aiosqlite.Connection) -> PrekeyCounts:
            return _counted(await store.execute_fetchall(_COUNT, (device.raw,)))

        return await self._database.read(look)

    async def hand_out(self, seat: SeatId, lane: LaneId) -> tuple[Bundle, ...]:
        """Hand out one bundle for each device of a seat that has prekeys.

        Args:
            seat: whose devices; the lane leads to it.
            lane: who asks, proved by the caller.

        Raises:
            TooManyRequests: the lane has had all that it may have by now.
            NoPrekeys: no device of the seat has left any.
        """
        now = self._clock.now()
        return await self._database.write(lambda store: _hand_out(store, seat, lane, now=now))

    async def reset(self, seat: SeatId, lane: LaneId) -> None:
        """Let a lane of this seat have bundles again at once; its owner's device asks."""
        await self._database.write(lambda store: _reset(store, seat, lane))


def drop_one_time(store: sqlite3.Connection, seat: SeatId) -> None:
    """Drop the one-time prekeys of a seat: after a restore some may have been handed out before.

    Called in the transaction that begins a new epoch. The ids still only rise.
    """
    store.execute(
        "DELETE FROM prekey WHERE kind IN (?, ?) AND device IN"
        " (SELECT device FROM device WHERE seat = ?)",
        (*_ONE_TIME, seat.raw),
    )


def forget_handouts(store: sqlite3.Connection, seat: SeatId, *, now: float) -> int:
    """Forget what was handed out to a seat's lanes too long ago to count; return how much."""
    return store.execute(
        "DELETE FROM handout WHERE at <= ? AND lane IN (SELECT lane FROM lane WHERE seat = ?)",
        (now - HANDOUT_WINDOW, seat.raw),
    ).rowcount


_COUNT: Final = "SELECT kind, count(*) FROM prekey WHERE device = ? GROUP BY kind"


def _counted(rows: Iterable[Sequence[int]]) -> PrekeyCounts:
    found = {PrekeyKind(kind): count for kind, count in rows}
    return PrekeyCounts(*(found.get(kind, 0) for kind in PrekeyKind))


def _verify_all(device: DeviceKey, prekeys: Sequence[Prekey]) -> None:
    for prekey in prekeys:
        prekey.verify(device)


def _upload(store: sqlite3.Connection, device: DeviceId, prekeys: Sequence[Prekey]) -> PrekeyCounts:
    row = store.execute("SELECT revoked FROM device WHERE device = ?", (device.raw,)).fetchone()
    if row is None:
        raise DeviceUnknown
    if row[0]:
        raise DeviceRevoked
    for kind in PrekeyKind:
        if offered := [one for one in prekeys if one.kind is kind]:
            _take(store, device, kind, offered)
    return _counted(store.execute(_COUNT, (device.raw,)))


def _take(
    store: sqlite3.Connection, device: DeviceId, kind: PrekeyKind, offered: Sequence[Prekey]
) -> None:
    """Keep those above the highest id ever taken, and no more than the pool holds."""
    row = store.execute(
        "SELECT top FROM prekey_top WHERE device = ? AND kind = ?", (device.raw, kind)
    ).fetchone()
    top = row[0] if row else -1
    new = {one.id: one for one in offered if one.id > top}
    if not new:
        return
    store.executemany(
        "INSERT INTO prekey (device, kind, id, public, signature) VALUES (?, ?, ?, ?, ?)",
        [(device.raw, int(kind), one.id, one.public, one.signature) for one in new.values()],
    )
    store.execute(
        "INSERT INTO prekey_top (device, kind, top) VALUES (?, ?, ?)"
        " ON CONFLICT (device, kind) DO UPDATE SET top = excluded.top",
        (device.raw, int(kind), max(new)),
    )
    store.execute(
        "DELETE FROM prekey WHERE device = ?1 AND kind = ?2 AND id NOT IN (SELECT id FROM prekey"
        " WHERE device = ?1 AND kind = ?2 ORDER BY id DESC LIMIT ?3)",
        (device.raw, int(kind), MAX_POOL[kind]),
    )


def _hand_out(
    store: sqlite3.Connection, seat: SeatId, lane: LaneId, *, now: float
) -> tuple[Bundle, ...]:
    bundles, limited = list[Bundle](), False
    devices = store.execute(
        "SELECT device_key FROM device WHERE seat = ? AND revoked = 0 ORDER BY device", (seat.raw,)
    ).fetchall()
    for [key] in devices:
        device = DeviceKey(key)
        if _is_limited(store, lane, device.device, now=now):
            limited = True
        elif bundle := _bundle(store, device):
            bundles.append(bundle)
            store.execute(
                "INSERT INTO handout (lane, device, at) VALUES (?, ?, ?)",
                (lane.raw, device.device.raw, now),
            )
    if bundles:
        return tuple(bundles)
    raise TooManyRequests(retry_after=int(HANDOUT_EVERY)) if limited else NoPrekeys


def _is_limited(store: sqlite3.Connection, lane: LaneId, device: DeviceId, *, now: float) -> bool:
    count, last = store.execute(
        "SELECT count(*), max(at) FROM handout WHERE lane = ? AND device = ? AND at > ?",
        (lane.raw, device.raw, now - HANDOUT_WINDOW),
    ).fetchone()
    return bool(count >= HANDOUTS or (count and now - last < HANDOUT_EVERY))


def _bundle(store: sqlite3.Connection, device: DeviceKey) -> Bundle | None:
    """Take one bundle out of the pool; None if the device has left nothing that can be used."""
    signed = _oldest(store, device, PrekeyKind.SIGNED)
    last_resort = _oldest(store, device, PrekeyKind.LAST_RESORT)
    if signed is None or last_resort is None:
        return None
    one_time, kem = (_take_out(store, device, kind) for kind in _ONE_TIME)
    return Bundle(device, signed, kem or last_resort, one_time)


def _oldest(store: sqlite3.Connection, device: DeviceKey, kind: PrekeyKind) -> Prekey | None:
    row = store.execute(
        "SELECT id, public, signature FROM prekey WHERE device = ? AND kind = ?"
        " ORDER BY id LIMIT 1",
        (device.device.raw, int(kind)),
    ).fetchone()
    return None if row is None else Prekey(kind, *row)


def _take_out(store: sqlite3.Connection, device: DeviceKey, kind: PrekeyKind) -> Prekey | None:
    prekey = _oldest(store, device, kind)
    if prekey is not None:
        store.execute(
            "DELETE FROM prekey WHERE device = ? AND kind = ? AND id = ?",
            (device.device.raw, int(kind), prekey.id),
        )
    return prekey


def _reset(store: sqlite3.Connection, seat: SeatId, lane: LaneId) -> None:
    store.execute(
        "DELETE FROM handout WHERE lane IN (SELECT lane FROM lane WHERE lane = ? AND seat = ?)",
        (lane.raw, seat.raw),
    )
