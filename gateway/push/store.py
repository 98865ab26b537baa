"""What the gateway keeps for waking phones: addresses, hours, rules, and why it rang.

Every method that changes something returns when it is fsynced, and may be repeated.
"""

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.clock import SteadyClock
from gateway.database import Database
from gateway.errors import Refusal
from gateway.push.bell import Row, Why
from gateway.push.pending import PendingWakes
from wire.ids import DeviceId, LaneId, SeatId
from wire.lanes import WakeRule
from wire.parcel import DAY
from wire.pushes import (
    MAX_WHYS,
    TOKEN_BYTES,
    TOKEN_SECONDS,
    Address,
    AddressKind,
    Hours,
    WhyLine,
)

WHY_SECONDS: Final = 7 * DAY
"""For so long a holder can ask why it rang."""
MAX_RULES_KEPT: Final = 10_000
"""Rules of one device: as many as its seat can have lanes."""


class ConfirmationWrong(Refusal):
    """What was brought back is not what was pushed, or came too late."""

    code = "confirmation-wrong"
    status = 403


class TooManyRules(Refusal):
    """A device has all the rules of its own that it can have."""

    code = "too-many-rules"
    status = 409


@dataclass(frozen=True, slots=True)
class Reached:
    """A device that can be woken, as it is kept."""

    device: DeviceId
    seat: SeatId
    address: Address
    hours: Hours
    row: Row


_REACHED: Final = (
    "SELECT a.device, w.seat, a.kind, a.endpoint, a.public, a.auth,"
    " h.zone, h.quiet_begin, h.quiet_end, h.snooze_until, h.digests,"
    " w.wake, w.outside, w.digest, d.cursor_seq, w.read, w.pushes, w.pushed_at,"
    " w.hour_began, w.hour_pushes"
    " FROM push_address a JOIN wake w ON w.device = a.device"
    " JOIN device d ON d.device = a.device LEFT JOIN push_hours h ON h.device = a.device"
    " WHERE a.confirmed = 1 AND d.revoked = 0"
)
_HOURS: Final = (
    "SELECT zone, quiet_begin, quiet_end, snooze_until, digests FROM push_hours WHERE device = ?"
)


class PushStore:
    """Addresses, settings and reasons.

    Args:
        database: where they lie.
        clock: for what is over after a time.
        pending: what the writer knows of pending wakes.
    """

    def __init__(self, database: Database, *, clock: SteadyClock, pending: PendingWakes) -> None:
        self._database = database
        self._clock = clock
        self._pending = pending

    # Addresses

    async def propose(self, seat: SeatId, device: DeviceId, address: Address) -> bytes | None:
        """Keep an address until it is confirmed; return what must come back through it.

        The one that is confirmed already goes on being used meanwhile. None: it is this one.
        """
        token, now = secrets.token_bytes(TOKEN_BYTES), self._clock.now()

        def work(store: sqlite3.Connection) -> bytes | None:
            row = store.execute(
                "SELECT kind, endpoint, public, auth FROM push_address"
                " WHERE device = ? AND confirmed = 1",
                (device.raw,),
            ).fetchone()
            if row is not None and _address(*row) == address:
                return None
            store.execute(
                "INSERT OR REPLACE INTO push_address (device, confirmed, kind, endpoint, public,"
                " auth, challenge, ends_at) VALUES (?, 0, ?, ?, ?, ?, ?, ?)",
                (device.raw, *_columns(address), _hash(token), now + TOKEN_SECONDS),
            )
            store.execute(
                "INSERT OR IGNORE INTO wake (device, seat) VALUES (?, ?)", (device.raw, seat.raw)
            )
            return token

        return await self._database.write(work)

    async def confirm(self, device: DeviceId, token: bytes) -> tuple[Reached, tuple[DeviceId, ...]]:
        """Take what came through a proposed address: from now on it is the device's.

        Another device that was pushed to at the same address was this one before: it loses it, so
        that one parcel does not ring twice there.

        Returns:
            the device, and those who lost the address.

        Raises:
            ConfirmationWrong: not what was pushed, too late, or nothing is proposed.
        """
        now = self._clock.now()

        def work(store: sqlite3.Connection) -> tuple[DeviceId, ...]:
            row = store.execute(
                "SELECT challenge, ends_at, endpoint FROM push_address"
                " WHERE device = ? AND confirmed = 0",
                (device.raw,),
            ).fetchone()
            known = row[0] if row is not None else bytes(32)
            right = hmac.compare_digest(_hash(token), known)
            if row is None or not right or row[1] < now:
                raise ConfirmationWrong
            others = store.execute(
                "SELECT device FROM push_address WHERE endpoint = ? AND device <> ?",
                (row[2], device.raw),
            ).fetchall()
            store.execute(
                "DELETE FROM push_address WHERE (device = ?1 AND confirmed = 1)"
                " OR (endpoint = ?2 AND device <> ?1)",
                (device.raw, row[2]),
            )
            store.execute("UPDATE push_address SET confirmed = 1 WHERE device = ?", (device.raw,))
            return tuple(DeviceId(one) for (one,) in others)

        lost = await self._database.write(work)
        reached = await self.reached(device)
        if reached is None:  # revoked in between
            raise ConfirmationWrong
        return reached, lost

    async def drop(self, device: DeviceId, *, only: Address | None = None) -> bool:
        """Delete the addresses of a device; return whether there is none any more.

        Args:
            device: whose.
            only: this one, if it is still the device's: it may have brought another meanwhile.
        """

        def work(store: sqlite3.Connection) -> bool:
            if only is None:
                store.execute("DELETE FROM push_address WHERE device = ?", (device.raw,))
            else:
                store.execute(
                    "DELETE FROM push_address WHERE device = ? AND kind = ? AND endpoint = ?"
                    " AND public = ? AND auth = ?",
                    (device.raw, *_columns(only)),
                )
            left = store.execute(
                "SELECT 1 FROM push_address WHERE device = ? AND confirmed = 1", (device.raw,)
            ).fetchone()
            return left is None

        return await self._database.write(work, frees=True)

    async def addresses(self, device: DeviceId) -> tuple[AddressKind | None, bool]:
        """Return the kind of a device's confirmed address, and whether another waits."""
        rows = await self._database.look(
            "SELECT confirmed, kind FROM push_address WHERE device = ?", device.raw
        )
        kinds = {confirmed: AddressKind(kind) for confirmed, kind in rows}
        return kinds.get(1), 0 in kinds

    async def reached(self, device: DeviceId) -> Reached | None:
        """Return a device that can be woken."""
        rows = await self._database.look(f"{_REACHED} AND a.device = ?", device.raw)
        return next((_reached(row) for row in rows), None)

    async def everybody(self) -> list[Reached]:
        """Return all devices that can be woken."""
        return [_reached(row) for row in await self._database.look(_REACHED)]

    # What holders set

    async def hours(self, device: DeviceId) -> Hours:
        """Return what a device's holder has set."""
        rows = await self._database.look(_HOURS, device.raw)
        return next((_hours(*row) for row in rows), Hours())

    async def set_hours(self, device: DeviceId, hours: Hours) -> None:
        """Set when a device is not to be woken."""
        begin, end = hours.quiet or (None, None)
        digests = ",".join(map(str, hours.digests))

        def work(store: sqlite3.Connection) -> None:
            store.execute(
                "INSERT OR REPLACE INTO push_hours (device, zone, quiet_begin, quiet_end,"
                " snooze_until, digests) VALUES (?, ?, ?, ?, ?, ?)",
                (device.raw, hours.zone, begin, end, hours.snooze_until, digests),
            )

        await self._database.write(work)

    async def set_rules(
        self, seat: SeatId, device: DeviceId, rules: Mapping[LaneId, WakeRule | None]
    ) -> None:
        """Set rules of one device for lanes of its seat; other lanes are passed over.

        Raises:
            TooManyRules: it has all that it can have.
        """

        def work(store: sqlite3.Connection) -> None:
            for lane, rule in rules.items():
                if rule is None:
                    store.execute(
                        "DELETE FROM push_rule WHERE lane = ? AND device = ?",
                        (lane.raw, device.raw),
                    )
                else:
                    store.execute(
                        "INSERT OR REPLACE INTO push_rule (lane, device, rule)"
                        " SELECT lane, ?, ? FROM lane WHERE lane = ? AND seat = ?",
                        (device.raw, int(rule), lane.raw, seat.raw),
                    )
            [count] = store.execute(
                "SELECT count(*) FROM push_rule WHERE device = ?", (device.raw,)
            ).fetchone()
            if count > MAX_RULES_KEPT:
                raise TooManyRules

        await self._database.write(work)

    async def rules(self, device: DeviceId) -> dict[LaneId, WakeRule | None]:
        """Return the rules of one device."""
        rows = await self._database.look(
            "SELECT lane, rule FROM push_rule WHERE device = ? ORDER BY lane", device.raw
        )
        return {LaneId(lane): WakeRule(rule) for lane, rule in rows}

    # What happened

    async def pushed(self, device: DeviceId, row: Row, *, lane: LaneId | None) -> None:
        """Note that a device was woken."""
        now = self._clock.now()

        def work(store: sqlite3.Connection) -> None:
            store.execute(
                "UPDATE wake SET pushes = ?, pushed_at = ?, hour_began = ?, hour_pushes = ?"
                " WHERE device = ?",
                (row.pushes, row.pushed_at, row.hour_began, row.hour_pushes, device.raw),
            )
            if lane is not None:
                self._pending.charge(store, lane, now=now)

        await self._database.write(work, frees=True, by_heart=True)

    async def read(self, devices: list[DeviceId], *, up_to: int) -> None:
        """Note that what came up to a number was read, or is gone: it wakes these no more."""

        def work(store: sqlite3.Connection) -> None:
            store.executemany(
                "UPDATE wake SET read = max(read, ?) WHERE device = ?",
                [(up_to, one.raw) for one in devices],
            )

        await self._database.write(work, frees=True, by_heart=True)

    async def explain(self, times: Mapping[tuple[DeviceId, int, Why, LaneId | None], int]) -> None:
        """Add to what was decided, by device, Unix hour, reason and lane."""

        def work(store: sqlite3.Connection) -> None:
            store.executemany(
                "INSERT INTO push_why (device, hour, why, lane, times)"
                " SELECT device, ?, ?, ?, ? FROM device WHERE device = ?"
                " ON CONFLICT (device, hour, why, lane)"
                " DO UPDATE SET times = times + excluded.times",
                [
                    (hour, why.value, lane.raw if lane else b"", count, device.raw)
                    for (device, hour, why, lane), count in times.items()
                ],
            )

        await self._database.write(work, by_heart=True)

    async def whys(self, device: DeviceId) -> list[WhyLine]:
        """Return what was decided for a device in the last seven days, oldest first."""
        rows = await self._database.look(
            "SELECT hour, why, lane, times FROM push_why WHERE device = ?"
            " ORDER BY hour DESC, why, lane LIMIT ?",
            device.raw,
            MAX_WHYS,
        )
        return [
            WhyLine(hour * 3600, why, LaneId(lane) if lane else None, times)
            for hour, why, lane, times in reversed(rows)
        ]

    async def expire(self, *, wall: float) -> None:
        """Forget reasons of more than seven days ago, and addresses that nobody confirmed."""
        now = self._clock.now()

        def work(store: sqlite3.Connection) -> None:
            store.execute(
                "DELETE FROM push_why WHERE hour < ?", (int((wall - WHY_SECONDS) // 3600),)
            )
            store.execute("DELETE FROM push_address WHERE confirmed = 0 AND ends_at < ?", (now,))

        await self._database.write(work, frees=True)


def _hash(token: bytes) -> bytes:
    return hashlib.blake2b(token, digest_size=32).digest()


def _columns(address: Address) -> tuple[int, str, bytes, bytes]:
    return int(address.kind), address.endpoint, address.public, address.auth


def _address(kind: int, endpoint: str, public: bytes, auth: bytes) -> Address:
    return Address(AddressKind(kind), endpoint, public, auth)


def _hours(zone: str, begin: int | None, end: int | None, snooze_until: int, digests: str) -> Hours:
    return Hours(
        zone=zone,
        quiet=None if begin is None or end is None else (begin, end),
        snooze_until=snooze_until,
        digests=tuple(int(one) for one in digests.split(",") if one),
    )


def _reached(row: tuple[object, ...]) -> Reached:
    match row:
        case (bytes(device), bytes(seat), int(kind), str(endpoint), bytes(public), bytes(auth),
              zone, begin, end, snooze, digests,
              int(wake), int(outside), int(digest), int(held), int(read), int(pushes),
              float(pushed_at), float(began), int(count)):  # fmt: skip
            pass
        case _:
            raise ValueError("a row of push_address has another form")
    hours = Hours() if zone is None else _hours(zone, begin, end, snooze, digests)  # type: ignore[arg-type]  # as the schema says
    return Reached(
        DeviceId(device),
        SeatId(seat),
        _address(kind, endpoint, public, auth),
        hours,
        Row(
            wake=wake,
            outside=outside,
            digest=digest,
            held=held,
            read=read,
            pushes=pushes,
            pushed_at=pushed_at,
            hour_began=began,
            hour_pushes=count,
        ),
    )
