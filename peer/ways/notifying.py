"""What may wake this phone, when not, and why it was woken: asked of our gateway and told to it.

Rules for a contact are settings of mine, which all my devices know and no contact learns. They are
kept here first and told to the gateway with the next chance. Hours, and rules that hold for this
device alone, are kept at the gateway.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from peer.errors import GatewayNotThere, GatewayRefused, NotPaired, WrongGateway
from peer.me import Me
from peer.people.contacts import Contact, Contacts
from peer.people.lanes import Lanes
from peer.store import Store
from peer.ways.furnishing import at_home
from peer.ways.gateway_client import GatewayClient
from wire.ids import LaneId
from wire.lanes import LaneClass, WakeRule
from wire.pushes import Address, Hours, Reach

KINDS: Final = (LaneClass.LETTER, LaneClass.ORDINARY)
"""Classes that have a rule of their own today."""


@dataclass(frozen=True, slots=True)
class RuleLine:
    """What parcels of one class of one contact may do."""

    contact: str
    kind: LaneClass
    rule: WakeRule
    here: WakeRule | None
    """What they may do on this device, where that is something else."""


@dataclass(frozen=True, slots=True)
class Reason:
    """How often something was decided in an hour."""

    hour: int
    """Unix seconds at which it began."""
    why: str
    contact: str | None
    """Whose parcels; None: nobody's in particular, or somebody's who is none any more."""
    kind: LaneClass | None
    times: int


class Notifications:
    """What may wake this phone.

    Args:
        store: the phone's file.
        me: whose phone it is.
        now: returns Unix seconds.
    """

    def __init__(self, store: Store, me: Me, *, now: Callable[[], float]) -> None:
        self._store = store
        self._me = me
        self._now = now
        self._lanes = Lanes(store.db)

    # Rules

    async def set_rule(self, contact: Contact, kind: LaneClass, rule: WakeRule) -> bool:
        """Set what parcels of a contact may do to my devices; return whether the gateway knows."""
        with self._store.transaction():
            self._lanes.set_rule(contact.person, kind, rule)
        try:
            async with self._gateway():
                return True
        except (NotPaired, GatewayNotThere, WrongGateway):
            return False

    async def set_rule_here(self, contact: Contact, kind: LaneClass, rule: WakeRule | None) -> None:
        """Set what they may do to this device alone; None: what they may do to all.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway
            GatewayRefused: it pushes to nobody.
        """
        async with self._gateway() as gateway:
            lanes = [
                lane
                for lane, (person, of_kind) in self._by_lane().items()
                if person == contact.person.raw and of_kind is kind
            ]
            await gateway.set_own_rules(dict.fromkeys(lanes, rule))

    async def rules(self) -> list[RuleLine]:
        """Return what each contact's parcels may do; what holds here alone, if it can be asked."""
        here: dict[LaneId, WakeRule | None] = {}
        with suppress(NotPaired, GatewayNotThere, WrongGateway, GatewayRefused):
            async with self._gateway() as gateway:
                here = await gateway.own_rules()
        own = {
            of: rule for lane, of in self._by_lane().items() if (rule := here.get(lane)) is not None
        }
        return [
            RuleLine(
                one.name,
                kind,
                self._lanes.rule(one.person, kind),
                own.get((one.person.raw, kind)),
            )
            for one in Contacts(self._store.db).all()
            if not one.blocked
            for kind in KINDS
        ]

    # Hours

    async def reach(self) -> Reach:
        """Return how the gateway wakes this device, and when not.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        async with self._gateway() as gateway:
            return await gateway.reach()

    async def set_quiet(self, quiet: tuple[int, int] | None, *, zone: str | None = None) -> Hours:
        """Set quiet hours, in minutes after midnight of a time zone; None: none.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway
            GatewayRefused: it does not know the zone, or pushes to nobody.
        """
        return await self._change_hours(zone, quiet=quiet)

    async def set_digests(self, digests: tuple[int, ...], *, zone: str | None = None) -> Hours:
        """Set when to tell of what did not wake.

        Raises:
            as `set_quiet` does.
        """
        return await self._change_hours(zone, digests=digests)

    async def snooze(self, until: int) -> Hours:
        """Let nothing wake this device until then, in Unix seconds; 0 ends it.

        Raises:
            as `set_quiet` does.
        """
        return await self._change_hours(None, snooze_until=until)

    async def _change_hours(self, zone: str | None, **changes: object) -> Hours:
        async with self._gateway() as gateway:
            hours = (await gateway.reach()).hours
            hours = replace(hours, zone=zone or hours.zone, **changes)  # type: ignore[arg-type]  # fields
            await gateway.set_hours(hours)
            return hours

    # Addresses

    async def register(self, address: Address) -> None:
        """Say where this device is pushed to; a token comes through it, to be confirmed.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        async with self._gateway() as gateway:
            await gateway.register_address(address)

    async def confirm(self, token: bytes) -> None:
        """Bring back the token that was pushed.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        async with self._gateway() as gateway:
            await gateway.confirm_address(token)

    async def unregister(self) -> None:
        """Be pushed to no more.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        async with self._gateway() as gateway:
            await gateway.drop_address()

    async def test(self) -> None:
        """Have a test pushed here, all the way.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        async with self._gateway() as gateway:
            await gateway.test_push()

    # What happened

    async def tell_read(self) -> None:
        """Tell the gateway that all that was collected was read here, if that helps anybody."""
        seq = self._me.cursor.seq
        if self._me.home is None or len(self._me.card.devices) < 2 or seq == 0:
            return
        with suppress(GatewayNotThere, WrongGateway, GatewayRefused):
            async with self._gateway() as gateway:
                await gateway.tell_read(seq)

    async def why(self) -> list[Reason]:
        """Return why this device rang in the last seven days, and why it did not.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        async with self._gateway() as gateway:
            lines = await gateway.whys()
        by_lane = self._by_lane()
        names = {one.person.raw: one.name for one in Contacts(self._store.db).all()}
        found: dict[tuple[int, str, str | None, LaneClass | None], int] = {}
        for line in lines:
            person, kind = by_lane.get(line.lane, (None, None)) if line.lane else (None, None)
            key = (line.hour, line.why, names.get(person) if person else None, kind)
            found[key] = found.get(key, 0) + line.times
        return [Reason(*key, times) for key, times in found.items()]

    def _by_lane(self) -> dict[LaneId, tuple[bytes, LaneClass]]:
        home = self._me.needs_home().gateway if self._me.home else None
        if home is None:
            return {}
        return {one.secret.at(home).id: (one.person.raw, one.kind) for one in self._lanes.given()}

    @asynccontextmanager
    async def _gateway(self) -> AsyncIterator[GatewayClient]:
        async with at_home(self._store, self._me, now=self._now()) as gateway:
            yield gateway
