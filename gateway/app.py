"""The one place where a gateway is put together.

    async with open_gateway(config, identity=identity, port=port, on_fatal=stop) as gateway:
        ...   # gateway.app for phones, gateway.control for the owner's commands

Nothing here listens or reads a key; `service.py` does, and tests bring their own.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from quart import Quart, Response, jsonify

from gateway.afresh import relearn_lanes, rooms
from gateway.clock import Clock, SteadyClock, SystemClock
from gateway.config import Config, place_of
from gateway.control import control_app
from gateway.copies import Copies
from gateway.database import Database, open_database
from gateway.database.quarantine import put_aside
from gateway.database.steady import run_steady_clock
from gateway.errors import Refusal
from gateway.front import Front, Stores
from gateway.identity import Identity
from gateway.lan.addresses import InterfaceAddress, reachable
from gateway.lan.interfaces import machine_addresses
from gateway.mailbox.store import MailboxStore
from gateway.push.off import off_routes
from gateway.status import Running, version
from gateway.sync.pairing_desk import PairingDesk
from gateway.sync.prekeys import PrekeyStore, drop_one_time
from gateway.sync.recovery import RecoveryStore
from gateway.sync.seats import Seats
from gateway.sync.segments import ArchiveStore
from gateway.sync.state_log import StateLogStore
from gateway.sync.store import SyncStore
from wire.places import Place

if TYPE_CHECKING:
    from gateway.push.waking import Waking
    from gateway.pushes import Pushes
    from gateway.relay.outbound import Outbound

STORE_NAME: Final = "gateway.sqlite"
SWEEP_EVERY: Final = 3600.0
"""Seconds between two looks for parcels at the end of their lives, which are counted in days."""
LOOK_EVERY: Final = 86_400.0
"""Seconds between two looks through the whole store, each of which reads all of it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that answers, from whatever is put in front of it."""

    app: Quart
    """What phones ask."""
    control: Quart
    """What the owner's commands ask."""
    identity: Identity
    database: Database
    desk: PairingDesk
    front: Front
    places: Callable[[], tuple[Place, ...]]
    """Where phones should look for it just now, best first."""
    seat_count: Callable[[], Awaitable[int]]
    port: int
    waking: "Waking | None" = None

    def healthy(self) -> bool:
        """Return whether what is acknowledged is still stored."""
        return self.database.failed is None

    def close(self) -> None:
        """Let nobody wait any longer."""
        self.desk.close()
        self.front.close()


@asynccontextmanager
async def open_gateway(
    config: Config,
    *,
    identity: Identity,
    port: int,
    on_fatal: Callable[[str], None],
    clock: Clock | None = None,
    addresses: Callable[[], Iterable[InterfaceAddress]] = machine_addresses,
    outbound: "Outbound | None" = None,
) -> AsyncIterator[Gateway]:
    """Open the store and build a gateway that answers until the block ends.

    Args:
        config: the owner's settings.
        identity: the gateway's keys.
        port: where phones reach it.
        on_fatal: called with the reason when the disk failed: end the process.
        clock: the machine's clocks, unless a test brings its own.
        addresses: what this machine is reached by.
        outbound: the way out to push services, unless a test brings its own.

    Raises:
        StartupError: the store cannot be used; the sentence says why.
    """
    clock = clock or SystemClock()

    def places() -> tuple[Place, ...]:
        if config.hosts:
            return tuple(place_of(host, port=port) for host in config.hosts)
        return tuple(Place(one, port) for one in reachable(addresses(), listen=config.listen))

    path = config.data / STORE_NAME
    async with (
        open_database(path, on_fatal=on_fatal, now=clock.now(), rooms=rooms()) as database,
        run_steady_clock(database, clock) as steady,
    ):
        pushes = _pushes(config, database, clock=clock, steady=steady, outbound=outbound)
        mailbox = MailboxStore(
            database,
            clock=steady,
            gateway=identity.gateway,
            on_new_epoch=[drop_one_time],
            beside=None if pushes is None else pushes.pending,
        )
        waking = None if pushes is None else pushes.waking(mailbox.waits)
        sync = SyncStore(
            database,
            clock=steady,
            limit_bytes=config.seat_limit,
            archive_limit_bytes=config.archive_limit,
            on_confirmed=relearn_lanes(steady),
        )
        desk = PairingDesk(
            sync,
            channel=identity.channel,
            clock=clock,
            places=places,
            on_change=lambda change: front.devices_revoked(change.seat, change.revoked),
        )
        seats, copies = Seats(database), Copies(database, path)
        copies.drop()  # of a process that was killed
        running = Running(identity.gateway, config.data, clock, places, clock.monotonic())

        async def status() -> dict[str, Any]:
            damage = [one.sentence for one in put_aside(path)]
            return running.report(await seats.all(), port=port, damage=damage)

        stores = Stores(
            mailbox,
            sync,
            PrekeyStore(database, clock=steady),
            ArchiveStore(database),
            RecoveryStore(database, clock=steady, on_confirmed=relearn_lanes(steady)),
            StateLogStore(database, clock=steady),
        )
        front = Front(
            stores,
            desk=desk,
            identity=identity,
            clock=clock,
            version=version(),
            attention=waking,
            push=off_routes
            if pushes is None or waking is None
            else partial(pushes.routes, waking=waking),
        )
        app = front.app
        control = control_app(
            desk=desk,
            seats=seats,
            on_removed=front.seat_removed,
            healthy=lambda: database.failed is None,
            status=status,
            copies=copies,
        )
        gateway = Gateway(
            app, control, identity, database, desk, front, places, seats.count, port, waking
        )

        @app.get("/healthz")
        async def healthz() -> tuple[Response, int]:
            return jsonify(ok=gateway.healthy()), 200 if gateway.healthy() else 503

        async with AsyncExitStack() as beside:
            if waking is not None:
                await beside.enter_async_context(waking.running())
            await beside.enter_async_context(_housekeeping(database, stores, waking))
            yield gateway
        gateway.close()


def _pushes(
    config: Config,
    database: Database,
    *,
    clock: Clock,
    steady: SteadyClock,
    outbound: "Outbound | None",
) -> "Pushes | None":
    if not config.web_push:
        return None
    from gateway.pushes import Pushes  # some 10 MB with its libraries: only where it is wanted

    return Pushes(config, database, clock=clock, steady=steady, outbound=outbound)


async def sweep(stores: Stores, waking: "Waking | None" = None) -> None:
    """Delete everything that is at the end of its life.

    Raises:
        Refusal: the store takes no write.
    """
    await stores.mailbox.expire()
    await stores.sync.expire()
    await stores.recovery.expire()
    if waking is not None:
        await waking.expire()


@asynccontextmanager
async def _housekeeping(
    database: Database, stores: Stores, waking: "Waking | None"
) -> AsyncIterator[None]:
    """Look whether the store is whole, each day, and sweep, each hour, until the block ends.

    What a disk has changed is found while others still have it. And it is looked for before
    anything is deleted: a parcel may say that its life is over because a bit has turned.
    """

    async def keep_house() -> None:
        look_in = 0.0
        while True:
            with suppress(Refusal):  # a full or failed disk: next time, or never
                if look_in <= 0:
                    await database.check()
                    look_in = LOOK_EVERY
                    log.info("the store was looked through and is whole")
                await sweep(stores, waking)
            await asyncio.sleep(SWEEP_EVERY)
            look_in -= SWEEP_EVERY

    task = asyncio.create_task(keep_house(), name="housekeeping")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
