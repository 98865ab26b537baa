"""The SQL of cursors: how far each device has come, and what may therefore go."""

import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.errors import DeviceRevoked, DeviceUnknown
from gateway.mailbox.lanes import relearn
from gateway.mailbox.rules import Known, Progress, Verdict, deletable_up_to, judge
from gateway.mailbox.tally import Tally
from gateway.rings import InTransaction
from wire.frames import Cursor
from wire.ids import CursorEpoch, DeviceId, LaneId, ParcelId, SeatId
from wire.parcel import HEADER_BYTES

SEEN_EVERY: Final = 3600.0
"""Seconds: when a device was here is kept to the hour, which fourteen days need no finer."""

DROPPED_AT_ONCE: Final = 1 << 20
"""Bytes that one transaction deletes: overwriting them takes as much room in the log."""

PAST_EPOCHS: Final = 64
"""Epochs that are over and still known; a seat whose file is never restored has none."""

OnNewEpoch: TypeAlias = Callable[[sqlite3.Connection, SeatId], None]
"""Runs in the transaction that begins a new epoch."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where delivery to a device goes on."""

    seat: SeatId
    epoch: CursorEpoch
    newest: int
    """The highest number given in this mailbox."""
    after: int
    """The device holds everything up to this number."""
    reset: bool
    """Its cursor was of no use here: everything held is sent again."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What one step of deleting did."""

    parcels: int
    more: bool
    """Whether there may be more to delete."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """That a cursor was good, and what is left to delete."""

    seat: SeatId
    more: bool


@dataclass(frozen=True, slots=True)
class _Device:
    id: DeviceId
    seat: SeatId
    known: Known


def resume(
    connection: sqlite3.Connection,
    tally: Tally,
    device: DeviceId,
    cursor: Cursor,
    *,
    now: float,
    on_new_epoch: Sequence[OnNewEpoch],
    beside: InTransaction | None = None,
) -> Resumed:
    """Take a device's word for how far it has come; what it holds counts as acknowledged.

    Raises:
        DeviceUnknown, DeviceRevoked
    """
    one = _load(connection, device, cursor)
    _seen(connection, one, now=now)
    if beside is not None:
        beside.fetched(connection, device)
    epoch, verdict = one.known.epoch, judge(cursor, one.known)
    match verdict:
        case Verdict.GOOD:
            _advance(connection, tally, one, cursor, now=now)
        case Verdict.START_OVER:
            connection.execute(
                "UPDATE device SET cursor_seq = 0, cursor_parcel = zeroblob(16) WHERE device = ?",
                (device.raw,),
            )
        case Verdict.RESTORED:
            epoch = begin_epoch(connection, one.seat, on_new_epoch=on_new_epoch)
            tally.settle(connection)
            relearn(connection, one.seat, now=now)
            tally.forget()  # it knows of lanes when they die
    reset = verdict is not Verdict.GOOD
    after = 0 if reset else cursor.seq
    return Resumed(one.seat, epoch, one.known.last_seq, after, reset)


def acknowledge(
    connection: sqlite3.Connection, tally: Tally, device: DeviceId, cursor: Cursor, *, now: float
) -> Acknowledged | None:
    """Delete what every live device now holds.

    Returns:
        None if the cursor is not good; then nothing was changed, and the device learns why when it
        resumes.

    Raises:
        DeviceUnknown, DeviceRevoked
    """
    one = _load(connection, device, cursor)
    if judge(cursor, one.known) is not Verdict.GOOD:
        return None
    _seen(connection, one, now=now)
    return Acknowledged(one.seat, more=_advance(connection, tally, one, cursor, now=now))


def begin_epoch(
    connection: sqlite3.Connection, seat: SeatId, *, on_new_epoch: Sequence[OnNewEpoch]
) -> CursorEpoch:
    """Begin a new epoch of one mailbox: everything held is sent again to all its devices."""
    connection.execute(
        "INSERT OR IGNORE INTO past_epoch (seat, epoch)"
        " SELECT seat, epoch FROM seat WHERE seat = ?",
        (seat.raw,),
    )
    [count] = connection.execute(
        "SELECT count(*) FROM past_epoch WHERE seat = ?", (seat.raw,)
    ).fetchone()
    if count > PAST_EPOCHS:  # any of them: a device that returns with it begins one epoch more
        connection.execute(
            "DELETE FROM past_epoch WHERE seat = ? AND epoch ="
            " (SELECT min(epoch) FROM past_epoch WHERE seat = ?)",
            (seat.raw, seat.raw),
        )
    epoch = CursorEpoch(secrets.token_bytes(16))
    connection.execute("UPDATE seat SET epoch = ? WHERE seat = ?", (epoch.raw, seat.raw))
    connection.execute(
        "UPDATE device SET cursor_seq = 0, cursor_parcel = zeroblob(16) WHERE seat = ?", (seat.raw,)
    )
    for hook in on_new_epoch:
        hook(connection, seat)
    return epoch


def drop_acknowledged(
    connection: sqlite3.Connection, tally: Tally, seat: SeatId, *, now: float
) -> Dropped:
    """Delete what every live device of a seat, and at least one, has acknowledged.

    At most about `DROPPED_AT_ONCE` bytes; what is left is no longer delivered, and goes next time.
    """
    rows = connection.execute(
        "SELECT cursor_seq, collected_at FROM device WHERE seat = ? AND revoked = 0", (seat.raw,)
    ).fetchall()
    up_to = deletable_up_to([Progress(*row) for row in rows], now=now)
    acknowledged = connection.execute(
        "SELECT seq, lane, length(body) FROM parcel WHERE seat = ? AND seq <= ? ORDER BY seq",
        (seat.raw, up_to),
    )
    count, last, total, by_lane = 0, 0, 0, Counter[bytes]()
    for seq, lane, body in acknowledged:
        count, last, size = count + 1, seq, HEADER_BYTES + body
        total += size
        by_lane[lane] += size
        if total >= DROPPED_AT_ONCE:
            break
    if count:
        connection.execute("DELETE FROM parcel WHERE seat = ? AND seq <= ?", (seat.raw, last))
        for lane, size in by_lane.items():
            tally.give_back(connection, seat, LaneId(lane), size)
    return Dropped(count, more=total >= DROPPED_AT_ONCE)


def _load(connection: sqlite3.Connection, device: DeviceId, cursor: Cursor) -> _Device:
    row = connection.execute(
        "SELECT d.seat, d.revoked, d.cursor_seq, d.cursor_parcel, s.epoch, s.last_seq"
        " FROM device d JOIN seat s ON s.seat = d.seat WHERE d.device = ?",
        (device.raw,),
    ).fetchone()
    if row is None:
        raise DeviceUnknown
    seat_raw, revoked, acknowledged, there, epoch, last_seq = row
    if revoked:
        raise DeviceRevoked
    seat = SeatId(seat_raw)
    if cursor.seq != acknowledged:
        there = _parcel_at(connection, seat, cursor.seq)
    past = connection.execute(
        "SELECT 1 FROM past_epoch WHERE seat = ? AND epoch = ?", (seat.raw, cursor.epoch.raw)
    ).fetchone()
    known = Known(
        epoch=CursorEpoch(epoch),
        past={cursor.epoch} if past else set(),
        last_seq=last_seq,
        acknowledged=acknowledged,
        parcel_there=None if there is None else ParcelId(there),
    )
    return _Device(device, seat, known)


def _parcel_at(connection: sqlite3.Connection, seat: SeatId, seq: int) -> bytes | None:
    found = connection.execute(
        "SELECT parcel FROM parcel WHERE seat = ? AND seq = ?", (seat.raw, seq)
    ).fetchone()
    return None if found is None else bytes(found[0])


def _seen(connection: sqlite3.Connection, device: _Device, *, now: float) -> None:
    connection.execute(
        "UPDATE device SET collected_at = ? WHERE device = ? AND collected_at <= ?",
        (now, device.id.raw, now - SEEN_EVERY),
    )


def _advance(
    connection: sqlite3.Connection, tally: Tally, device: _Device, cursor: Cursor, *, now: float
) -> bool:
    """Move the device's cursor forward, never back, and drop what nobody needs any more.

    Returns:
        whether there may be more to drop.
    """
    if cursor.seq <= device.known.acknowledged:
        return False
    connection.execute(
        "UPDATE device SET cursor_seq = ?, cursor_parcel = ? WHERE device = ?",
        (cursor.seq, cursor.parcel.raw, device.id.raw),
    )
    return drop_acknowledged(connection, tally, device.seat, now=now).more
