"""Looks whether somebody asks for a gateway's share of our seed, or of a friend's whom we help.

    ours      at our gateway, whenever we come to it: it sends connected devices to look at once
    theirs    at the gateway of whose share we keep, once a day, by a word that came with the share

Each request is told once when it begins, and once more when it was stopped or its share went out
(docs/protocol.md §16.3).
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from peer.errors import GatewayNotThere, GatewayRefused, WrongGateway
from peer.keys.helping import help_number
from peer.me import Certificates, Me
from peer.people.contacts import Contact, Contacts
from peer.people.keepers import Keepers, Kept
from peer.recovery.friends import CHOSEN
from peer.store import Store
from peer.ways.connection import connect
from peer.ways.gateway_client import GatewayClient
from peer.ways.recovery_client import RecoveryClient
from wire.codec import Value, decode, encode
from wire.errors import WireError
from wire.ids import RecoveryId
from wire.places import Place
from wire.recovery import Alarm, Asked, Stage

OTHERS_EVERY: Final = 86_400.0
"""Seconds between two looks at a friend's gateway: she has three days."""
OWN_EVERY: Final = 3600.0
"""Seconds between two looks of a device that does not know whether friends were chosen."""
_ALARM, _TOLD, _LOOKED = "alarm", "alarms-told", "alarm-looked"
_MAX_TOLD: Final = 256


@dataclass(frozen=True, slots=True)
class Alarmed:
    """Somebody asks for a gateway's share."""

    contact: str | None
    """Of whose seed, by the name that we gave; None: of ours."""
    request: RecoveryId
    stage: Stage
    left: int
    """Seconds until the share goes out, when the gateway was last asked."""
    number: int
    """The check number that the device shows which asks."""
    named: bool
    """Whether this device is named as lost, and cannot stop it without the kit."""


class Guard:
    """Requests for shares, as this phone knows of them.

    Args:
        store: the phone's file.
        me: whose phone it is.
        now: returns Unix seconds.
    """

    def __init__(self, store: Store, me: Me, *, now: Callable[[], float]) -> None:
        self._store = store
        self._me = me
        self._now = now
        self._contacts = Contacts(store.db)
        self._keepers = Keepers(store.db)

    async def look(self, gateway: GatewayClient, *, at_once: bool = False) -> None:
        """Look at our own gateway, as often as there is something to look for.

        Args:
            gateway: ours.
            at_once: whether it may have sent us to look.
        """
        now = self._now()
        looked = int.from_bytes(self._store.note(_LOOKED) or b"", "big")
        known = self._store.note(CHOSEN) is not None or self._store.note(_ALARM) is not None
        if not at_once and not known and 0 <= now - looked < OWN_EVERY:
            return
        try:
            alarm = await gateway.alarm()
        except GatewayRefused:
            return  # of a gateway that keeps no shares
        with self._store.transaction():
            self._store.keep_note(_LOOKED, int(now).to_bytes(8, "big"))
            self._store.keep_note(_ALARM, alarm.encode() if alarm.asked else None)

    async def look_for_friends(self, *, at_once: bool = False) -> None:
        """Look at the gateways of those whose shares we keep, once a day each, or at once."""
        for kept in self._keepers.kept():
            contact = self._contacts.of(kept.person)
            soon = 0 <= self._now() - kept.looked < OTHERS_EVERY
            if contact is None or (soon and not at_once):
                continue
            alarm = await self._asked_of(contact, kept)
            with self._store.transaction():
                self._keepers.looked(kept.person, alarm, now=self._now())

    async def _asked_of(self, contact: Contact, kept: Kept) -> Alarm | None:
        certificates = Certificates(self._store)
        for entry in contact.card.gateways:
            places = list[Place]()
            for text in entry.places:
                with suppress(WireError):
                    places.append(Place.parse(text))
            destination = certificates.of(entry.gateway, tuple(places))
            with suppress(GatewayNotThere, WrongGateway, GatewayRefused):
                async with connect(destination, learned=certificates.learn) as connection:
                    return await RecoveryClient(connection).notice(kept.notice)
        return None

    def alarms(self) -> tuple[Alarmed, ...]:
        """Return all requests that are known, ours first."""
        device, found = self._me.identity.device.id, list[Alarmed]()
        for one in self._own().asked:
            found.append(_alarmed(one, None, named=device in one.lost))
        for kept in self._keepers.kept():
            contact = self._contacts.of(kept.person)
            if contact is not None and kept.alarm is not None:
                found += [_alarmed(one, contact.name, named=False) for one in kept.alarm.asked]
        return tuple(found)

    def untold(self) -> tuple[Alarmed, ...]:
        """Return what nobody was told yet, and count it as told."""
        before = self._told()
        fresh = [one for one in self.alarms() if _mark(one) not in before]
        if fresh:
            marks: list[Value] = [*before, *map(_mark, fresh)]
            with self._store.transaction():
                self._store.keep_note(_TOLD, encode(marks[-_MAX_TOLD:]))
        return tuple(fresh)

    def _own(self) -> Alarm:
        note = self._store.note(_ALARM)
        try:
            return Alarm(False, ()) if note is None else Alarm.decode(note)
        except WireError:  # of another program
            return Alarm(False, ())

    def _told(self) -> list[bytes]:
        value = decode(self._store.note(_TOLD) or encode([]), limit=_MAX_TOLD * 32)
        return [one for one in value if isinstance(one, bytes)] if isinstance(value, list) else []


def _alarmed(asked: Asked, contact: str | None, *, named: bool) -> Alarmed:
    number = help_number(asked.exchange_key)
    return Alarmed(contact, asked.request, asked.stage, asked.left, number, named)


def _mark(alarm: Alarmed) -> bytes:
    return alarm.request.raw + bytes([alarm.stage])
