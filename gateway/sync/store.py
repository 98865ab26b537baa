"""Persons' cards and devices at this gateway: who has a seat, and which device may ask for it.

    enrol        a seat for the person, a place on it for the device, in one transaction; repeated,
                 it changes nothing and says the same
    put_card     takes the statements that continue the card; one for each place, so that devices
                 that are online never fork. A device that is no longer listed is revoked with it.
    join         gives a device that the card lists its place, at its own word; no code is needed
    put_person_key   takes the record of a person key, and with it the statements on which it stands

A revoked device stays known, so that it can be told so and never comes back.
"""

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import aiosqlite

from gateway.clock import SteadyClock
from gateway.database import Database
from gateway.errors import (
    CardRefused,
    CardTaken,
    DeviceRevoked,
    DeviceUnknown,
    NoSuchSeat,
    OtherCard,
    PairAgain,
    SeatTaken,
)
from gateway.sync.prekeys import forget_handouts
from wire.card import Card, Position, Signed, Verdict
from wire.errors import CardRejected, WireError
from wire.ids import DeviceId, DeviceKey, PersonId, SeatId
from wire.parcel import DAY
from wire.person_keys import MAX_RECORDS, PersonKeyRecord

__all__ = ["CardChange", "CardRefused", "Enrolment", "NoSuchSeat", "SyncStore"]

PAIRING_REMEMBERED: Final = 1.0 * DAY
"""Seconds for which a phone that asks again is told how its pairing ended."""


OnConfirmed: TypeAlias = Callable[[sqlite3.Connection, SeatId], None]
"""Runs in the transaction in which a device of a seat is confirmed after a restore."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """How a pairing ended, for a phone that did not hear it."""

    request: bytes
    """The hash (32 bytes) by which the request is known again."""
    nonce: bytes
    """The gateway's part of the check code, 16 bytes."""


@dataclass(frozen=True, slots=True)
class CardChange:
    """What taking statements did."""

    seat: SeatId
    position: Position
    """Where the card stands now."""
    revoked: tuple[DeviceId, ...]
    """Devices that lost their place by it: their connections end now."""


class SyncStore:
    """Cards and devices of all seats.

    Args:
        database: where they lie.
        clock: for what is forgotten after a time.
        limit_bytes: how much may wait for a new seat.
        archive_limit_bytes: how much its archive may hold.
        on_confirmed: what else happens in the transaction that confirms a device after a restore.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: SteadyClock,
        limit_bytes: int,
        archive_limit_bytes: int = 1 << 30,
        on_confirmed: OnConfirmed = lambda store, seat: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._limits = limit_bytes, archive_limit_bytes
        self._on_confirmed = on_confirmed

    async def enrol(
        self, card: Card, device: DeviceKey, *, request: bytes, nonce: bytes
    ) -> CardChange:
        """Give a device of the person whose card this is a place on that person's seat.

        The person's first device makes the seat. May be repeated.

        Args:
            card: verified; the device stands in it.
            device: which.
            request: hash (32 bytes) of the pairing request, for `enrolment`.
            nonce: the gateway's part of the check code (16 bytes).

        Raises:
            CardRefused: the card does not continue the one that is here, or lacks the device.
            CardTaken: another statement stands at one of its places.
            DeviceRevoked: the device was revoked; it never comes back.
            SeatTaken: the device belongs to another person's seat.
        """
        now = self._clock.now()

        def work(store: sqlite3.Connection) -> CardChange:
            seat = _seat_for(store, card.person, limits=self._limits)
            change = put_card(store, seat, card.person, chain=card.chain)
            take_in(store, seat, device, now=now, on_confirmed=self._on_confirmed)
            store.execute(
                "INSERT OR REPLACE INTO pairing (device, request, nonce, forget_at)"
                " VALUES (?, ?, ?, ?)",
                (device.device.raw, request, nonce, now + PAIRING_REMEMBERED),
            )
            return change

        return await self._database.write(work)

    async def join(self, person: PersonId, device: DeviceKey) -> None:
        """Give a device that stands on its person's card a place on her seat. May be repeated.

        The card came from a device that had its place already; that this one asks is the caller's
        to check. No listed device gets a place unasked: who has a seat could else take the place of
        anybody whose key he knows.

        Raises:
            DeviceUnknown: this person has no seat here, or a card that does not list the device.
            DeviceRevoked: it was taken off the card; it never comes back.
            PairAgain: no device of this seat was confirmed since the store was restored, so that
                nobody knows whom the card would list now.
            SeatTaken: it belongs to another person's seat.
        """
        now = self._clock.now()
        await self._database.write(lambda store: _join(store, person, device, now=now))

    async def is_enrolled(self, device: DeviceKey) -> bool:
        """Return whether a device has its place on a seat, and nobody has to confirm it."""
        try:
            await self.seat_of(device)
        except (DeviceUnknown, DeviceRevoked, PairAgain):
            return False
        return True

    async def seat_of(self, device: DeviceKey) -> SeatId:
        """Return the seat that a device may ask for.

        Raises:
            DeviceUnknown: no seat knows it.
            DeviceRevoked: it was taken off its person's card.
            PairAgain: it was not confirmed since the store was restored.
        """

        async def look(store: aiosqlite.Connection) -> SeatId:
            rows = await store.execute_fetchall(
                "SELECT seat, revoked, confirmed FROM device WHERE device_key = ?", (device.raw,)
            )
            for seat, revoked, confirmed in rows:
                if revoked:
                    raise DeviceRevoked
                if not confirmed:
                    raise PairAgain
                return SeatId(seat)
            raise DeviceUnknown

        return await self._database.read(look)

    async def enrolment(self, device: DeviceKey) -> Enrolment | None:
        """Return how the pairing of a device ended, if that was not long ago."""
        now = self._clock.now()

        async def look(store: aiosqlite.Connection) -> Enrolment | None:
            rows = await store.execute_fetchall(
                "SELECT request, nonce FROM pairing WHERE device = ? AND forget_at > ?",
                (device.device.raw, now),
            )
            return next((Enrolment(*row) for row in rows), None)

        return await self._database.read(look)

    async def put_card(self, seat: SeatId, chain: Sequence[bytes]) -> CardChange:
        """Take statements that continue a seat's card. May be repeated.

        Args:
            seat: whose card.
            chain: statements as signed, oldest first; those that are here already are passed over.

        Raises:
            NoSuchSeat: the seat was removed.
            CardRefused: a statement does not belong there.
            CardTaken: another statement stands at its place.
        """

        def work(store: sqlite3.Connection) -> CardChange:
            row = store.execute("SELECT person FROM seat WHERE seat = ?", (seat.raw,)).fetchone()
            if row is None:
                raise NoSuchSeat
            return put_card(store, seat, PersonId(row[0]), chain=chain)

        return await self._database.write(work)

    async def put_person_key(
        self, seat: SeatId, record: PersonKeyRecord, chain: Sequence[bytes]
    ) -> CardChange:
        """Take the record of a person key, and before it statements, or neither. May be repeated.

        Args:
            seat: whose.
            record: its signature was checked.
            chain: statements that continue the card, oldest first.

        Raises:
            NoSuchSeat: the seat was removed.
            CardRefused, CardTaken: a statement is not taken.
            OtherCard: the record was not made on the card as it stands then.
        """

        def work(store: sqlite3.Connection) -> CardChange:
            row = store.execute("SELECT person FROM seat WHERE seat = ?", (seat.raw,)).fetchone()
            if row is None:
                raise NoSuchSeat
            person = PersonId(row[0])
            change = put_card(store, seat, person, chain=chain) if chain else None
            card = held_card(store, seat)
            if card is None or not record.stands_on(card):
                raise OtherCard
            _keep_record(store, seat, record)
            return change or CardChange(seat, card.position, ())

        return await self._database.write(work, carries=len(record.body()))

    async def person_keys(self, seat: SeatId) -> tuple[bytes, ...]:
        """Return the records of a seat's person keys as signed, the oldest generation first."""

        async def look(store: aiosqlite.Connection) -> tuple[bytes, ...]:
            rows = await store.execute_fetchall(
                "SELECT record FROM person_key WHERE seat = ? ORDER BY generation", (seat.raw,)
            )
            return tuple(row[0] for row in rows)

        return await self._database.read(look)

    async def card(self, seat: SeatId) -> tuple[bytes, ...]:
        """Return a seat's card: its statements as signed, oldest first; empty for no seat."""

        async def look(store: aiosqlite.Connection) -> tuple[bytes, ...]:
            rows = await store.execute_fetchall(_CHAIN, (seat.raw,))
            return tuple(row[0] for row in rows)

        return await self._database.read(look)

    async def expire(self) -> int:
        """Forget how old pairings ended, and bundles handed out long ago; return how many."""

        async def look(store: aiosqlite.Connection) -> list[SeatId]:
            return [SeatId(row[0]) for row in await store.execute_fetchall("SELECT seat FROM seat")]

        return sum([await self._forget(seat) for seat in await self._database.read(look)])

    async def _forget(self, seat: SeatId) -> int:
        def work(store: sqlite3.Connection) -> int:
            now = self._clock.now()
            pairings = store.execute(
                "DELETE FROM pairing WHERE forget_at <= ? AND device IN"
                " (SELECT device FROM device WHERE seat = ?)",
                (now, seat.raw),
            ).rowcount
            return pairings + forget_handouts(store, seat, now=now)

        return await self._database.write(work, frees=True)


_LEAVES_NOTHING_IN: Final = (
    "prekey", "prekey_top", "pairing", "handout",
    "push_address", "push_hours", "push_rule", "wake", "push_why",
)  # fmt: skip
"""Tables from which a device goes that was taken off its card."""

_CHAIN: Final = "SELECT statement FROM card WHERE seat = ? ORDER BY epoch, seq"


def _seat_for(store: sqlite3.Connection, person: PersonId, *, limits: tuple[int, int]) -> SeatId:
    row = store.execute("SELECT seat FROM seat WHERE person = ?", (person.raw,)).fetchone()
    if row is not None:
        return SeatId(row[0])
    seat = SeatId(secrets.token_bytes(SeatId.size))
    store.execute(
        "INSERT INTO seat (seat, person, quota_bytes, archive_quota_bytes, epoch)"
        " VALUES (?, ?, ?, ?, ?)",
        (seat.raw, person.raw, *limits, secrets.token_bytes(16)),
    )
    return seat


def ask_for_confirmation(store: sqlite3.Connection) -> None:
    """Open every seat only to devices that are confirmed once more, as at pairing.

    Who was taken off a card since the copy was made that is here is not known here.
    """
    store.execute("UPDATE device SET confirmed = 0 WHERE revoked = 0")
    store.execute("DELETE FROM pairing")  # what it answered then is no confirmation now


def take_in(
    store: sqlite3.Connection,
    seat: SeatId,
    device: DeviceKey,
    *,
    now: float,
    on_confirmed: OnConfirmed,
) -> None:
    """Give a device that the card lists its place on the seat, inside a transaction.

    Raises:
        SeatTaken, DeviceRevoked, CardRefused: as `SyncStore.enrol`.
    """
    listed = store.execute(
        "SELECT seat, revoked, confirmed FROM device WHERE device = ?", (device.device.raw,)
    ).fetchone()
    if listed is not None and listed[0] != seat.raw:
        raise SeatTaken
    if listed is not None and listed[1]:
        raise DeviceRevoked
    card = held_card(store, seat)
    if card is None or card.device(device.device) is None:
        raise CardRefused("device-missing")
    if listed is None:  # being enrolled counts as having collected: it is here
        store.execute(
            "INSERT INTO device (device, seat, device_key, collected_at) VALUES (?, ?, ?, ?)",
            (device.device.raw, seat.raw, device.raw, now),
        )
    elif not listed[2]:
        store.execute("UPDATE device SET confirmed = 1 WHERE device = ?", (device.device.raw,))
        on_confirmed(store, seat)


def _join(store: sqlite3.Connection, person: PersonId, device: DeviceKey, *, now: float) -> None:
    row = store.execute("SELECT seat FROM seat WHERE person = ?", (person.raw,)).fetchone()
    if row is None:
        raise DeviceUnknown
    seat = SeatId(row[0])
    listed = store.execute(
        "SELECT seat, revoked, confirmed FROM device WHERE device = ?", (device.device.raw,)
    ).fetchone()
    if listed is not None:
        if listed[0] != seat.raw:
            raise SeatTaken
        if listed[1]:
            raise DeviceRevoked
        if not listed[2]:
            raise PairAgain
        return
    card = held_card(store, seat)
    if card is None or card.device(device.device) is None:
        raise DeviceUnknown
    sql = "SELECT 1 FROM device WHERE seat = ? AND confirmed = 1 AND revoked = 0"
    if store.execute(sql, (seat.raw,)).fetchone() is None:
        raise PairAgain
    store.execute(
        "INSERT INTO device (device, seat, device_key, collected_at) VALUES (?, ?, ?, ?)",
        (device.device.raw, seat.raw, device.raw, now),
    )


def held_card(store: sqlite3.Connection, seat: SeatId) -> Card | None:
    """Return the card of a seat as its statements here make it; None if there is none."""
    chain = [row[0] for row in store.execute(_CHAIN, (seat.raw,))]
    if not chain:
        return None
    [person] = store.execute("SELECT person FROM seat WHERE seat = ?", (seat.raw,)).fetchone()
    return Card.follow(PersonId(person), chain)


def put_card(
    store: sqlite3.Connection, seat: SeatId, person: PersonId, *, chain: Sequence[bytes]
) -> CardChange:
    """Take statements that continue a seat's card, inside a transaction.

    Raises:
        CardRefused, CardTaken: as `SyncStore.put_card`.
    """
    before = held_card(store, seat)
    try:
        card = before
        for statement in chain:
            card = _take(card, person, Signed.decode(statement))
    except CardRejected as error:
        raise CardRefused(error.reason) from None
    except WireError as error:
        raise CardRefused(error.code) from None
    if card is None:
        raise CardRefused("empty")
    if card == before:
        return CardChange(seat, card.position, ())
    store.execute("DELETE FROM card WHERE seat = ?", (seat.raw,))
    store.executemany(
        "INSERT INTO card (seat, epoch, seq, statement) VALUES (?, ?, ?, ?)",
        [
            (seat.raw, one.statement.epoch, one.statement.seq, one.encode())
            for one in (*card.roots, *card.history)
        ],
    )
    return CardChange(seat, card.position, _revoke_unlisted(store, seat, card))


def _keep_record(store: sqlite3.Connection, seat: SeatId, record: PersonKeyRecord) -> None:
    """Keep a record in place of the one of its generation, and no more than are allowed."""
    store.execute(
        "INSERT INTO person_key (seat, generation, record) VALUES (?, ?, ?)"
        " ON CONFLICT (seat, generation) DO UPDATE SET record = excluded.record",
        (seat.raw, record.generation, record.encode()),
    )
    store.execute(
        "DELETE FROM person_key WHERE seat = ?1 AND generation NOT IN (SELECT generation"
        " FROM person_key WHERE seat = ?1 ORDER BY generation DESC LIMIT ?2)",
        (seat.raw, MAX_RECORDS),
    )


def _take(card: Card | None, person: PersonId, signed: Signed) -> Card:
    """Return the card with one more statement, or refuse the statement.

    Raises:
        CardTaken: another statement stands at its place.
        CardRefused: it cannot be joined to what is here.
        WireError: it could stand nowhere.
    """
    if card is None:
        return Card.begin(person, signed)
    after, verdict = card.take(signed)
    statement = signed.statement
    match verdict:
        case Verdict.EXTENDED | Verdict.KNOWN:
            return after
        case Verdict.ROLLBACK if any(one.body == signed.body for one in card.roots):
            return card
        case Verdict.KEPT | Verdict.REPLACED | Verdict.FORKED:
            raise CardTaken(epoch=statement.epoch, seq=statement.seq)
        case _:
            raise CardRefused(verdict.name.lower())


def _revoke_unlisted(store: sqlite3.Connection, seat: SeatId, card: Card) -> tuple[DeviceId, ...]:
    """Revoke the devices that the card no longer lists: all but their names goes with it."""
    rows = store.execute("SELECT device FROM device WHERE seat = ? AND revoked = 0", (seat.raw,))
    enrolled = [DeviceId(row[0]) for row in rows]
    revoked = tuple(one for one in enrolled if card.device(one) is None)
    for device in revoked:
        store.execute("UPDATE device SET revoked = 1 WHERE device = ?", (device.raw,))
        for table in _LEAVES_NOTHING_IN:
            store.execute(f"DELETE FROM {table} WHERE device = ?", (device.raw,))  # noqa: S608
    return revoked
