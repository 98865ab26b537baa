"""All that phones ask, put together over the stores: one application, and the way to end it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from quart import Blueprint, Quart

from gateway.answers import answer_errors
from gateway.auth import Auth, Caller
from gateway.bodies import read_patiently
from gateway.clock import Clock
from gateway.identity import Identity
from gateway.mailbox.counter import Counter
from gateway.mailbox.direct import Direct
from gateway.mailbox.live import Lines
from gateway.mailbox.opening import Openings
from gateway.mailbox.routes import Mailroom, mailbox_routes
from gateway.mailbox.store import MailboxStore
from gateway.push.off import off_routes
from gateway.relay.rendezvous import rendezvous_routes
from gateway.relay.slots import Slots
from gateway.rings import Attention, NobodyListens
from gateway.sync.pairing_desk import PairingDesk
from gateway.sync.pairing_routes import pairing_routes
from gateway.sync.prekeys import PrekeyStore
from gateway.sync.recovery import RecoveryStore
from gateway.sync.recovery_routes import Comeback, recovery_routes
from gateway.sync.routes import Registry, sync_routes
from gateway.sync.segment_routes import archive_routes
from gateway.sync.segments import ArchiveStore
from gateway.sync.state_log import StateLogStore
from gateway.sync.store import CardChange, SyncStore
from wire.ids import DeviceId, SeatId
from wire.receipt import Receipt

LEAVING: Final = "going-away"
"""What connected devices are told when the gateway ends: come back soon."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Where everything lies that phones ask for."""

    mailbox: MailboxStore
    sync: SyncStore
    prekeys: PrekeyStore
    archive: ArchiveStore
    recovery: RecoveryStore
    state: StateLogStore


class Front:
    """The application for phones, and who is connected to it.

    Args:
        stores: what it answers from.
        desk: where phones are paired.
        identity: the gateway's keys.
        clock: the machine's clocks.
        version: of this program.
        attention: told who is here and what is stored; nobody by default.
        push: the routes by which phones say how they are woken.
    """

    def __init__(
        self,
        stores: Stores,
        *,
        desk: PairingDesk,
        identity: Identity,
        clock: Clock,
        version: str,
        attention: Attention | None = None,
        push: Callable[[Auth], Blueprint] = off_routes,
    ) -> None:
        self._auth = Auth(
            channel=identity.channel,
            clock=clock,
            seat_of=stores.sync.seat_of,
            joins=stores.sync.join,
        )
        self._attention = attention or NobodyListens()
        self._lines = Lines(self._attention)
        self._slots = Slots()
        openings = Openings(self._auth, stores.mailbox)
        self._counter = counter = Counter(
            stores.mailbox, self._lines, signs=partial(Receipt.sign, identity.key)
        )
        self.app = Quart("gateway")
        read_patiently(self.app)
        answer_errors(self.app)
        room = Mailroom(self._auth, stores.mailbox, openings, counter, self._lines, clock, version)
        registry = Registry(
            self._auth,
            stores.sync,
            stores.prekeys,
            stores.state,
            openings.check,
            self.devices_revoked,
        )
        self.app.register_blueprint(pairing_routes(desk))
        self.app.register_blueprint(mailbox_routes(room))
        self.app.register_blueprint(sync_routes(registry))
        self.app.register_blueprint(archive_routes(self._auth, stores.archive))
        comeback = Comeback(
            self._auth, stores.recovery, on_change=self.card_changed, on_asked=self.look_again
        )
        self.app.register_blueprint(recovery_routes(comeback))
        self.app.register_blueprint(rendezvous_routes(self._auth, clock=clock, slots=self._slots))
        self.app.register_blueprint(push(self._auth))
        setattr(self.app, "asgi_app", Direct(room, self.app.asgi_app))  # noqa: B010  # a method

    def seat_removed(self, seat: SeatId) -> None:
        """End everything that the devices of a removed seat have open."""
        self._end(lambda caller: caller.seat == seat, code="login-needed")
        self._slots.close_of(seat)
        self._attention.seat_gone(seat)

    def look_again(self, seat: SeatId) -> None:
        """Let the devices of a seat that are connected come again, and see what they must see."""
        self._lines.hang_up(lambda caller: caller.seat == seat, code=LEAVING)

    def card_changed(self, change: CardChange) -> None:
        """End what devices have open that a card no longer lists."""
        self.devices_revoked(change.seat, change.revoked)

    def close(self) -> None:
        """Tell everybody who is connected that the gateway ends."""
        self._lines.hang_up(lambda _: True, code=LEAVING)
        self._lines.stop_waiting()
        self._counter.close(LEAVING)

    def devices_revoked(self, seat: SeatId, devices: tuple[DeviceId, ...]) -> None:
        def revoked(caller: Caller) -> bool:
            return caller.seat == seat and caller.device.device in devices

        self._end(revoked, code="revoked")
        self._attention.gone(devices)

    def _end(self, which: Callable[[Caller], bool], *, code: str) -> None:
        self._auth.drop(which)
        self._lines.hang_up(which, code=code)
        self._lines.stop_waiting()
