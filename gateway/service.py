"""Serves until told to stop: locks, ports, two listeners, systemd's wishes, an orderly end.

start  hold the folder, open the ports, read the keys, open the store, answer, say so
stop   SIGTERM, SIGINT or SIGHUP: take nothing new, finish what is begun, at most 10 s, exit 0
fail   the disk failed: acknowledge nothing more, end at once, exit 1; systemd starts us again
"""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from typing import Final

from gateway.app import STORE_NAME, Gateway, open_gateway
from gateway.config import Config, command, place_of
from gateway.console import ForPeople, Lines, on_terminal, pair_first_phone
from gateway.control_client import ControlClient, ControlError
from gateway.control_socket import SOCKET_NAME, listen, short_address
from gateway.database.folder import hold_folder, unusable
from gateway.identity import load_identity
from gateway.listener import Caps, serve_local, serve_phones
from gateway.logs import set_up_logging
from gateway.ports import open_ports
from gateway.status import version

GRACE: Final = 5.0
"""Seconds that requests may take to finish once we are told to stop; the store gets what is left
of ten."""
LOOPBACK: Final = ("127.0.0.1", "::1")
"""Where the plain port is: what has no TLS leaves this machine for nowhere."""
SETTLED_SECONDS: Final = 1.0
"""After the start: whoever waited for it is answered first."""
SPARE_FILES: Final = 64
"""Descriptors for everything but connections: store, sockets, libraries."""

log = logging.getLogger(__name__)


def serve(config: Config) -> int:
    """Run the gateway in this process until it is told to stop; return the exit status.

    Raises:
        StartupError: it cannot start; the sentence says why.
    """
    set_up_logging(level=config.log_level, style=config.log_format)
    harden()
    with hold_folder(config.data):
        return asyncio.run(_serve(config))


def harden() -> None:
    """Leave nothing behind that others could read, and allow as many files as we may have."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold keys
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # unlimited is refused by some kernels
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def caps(config: Config) -> Caps:
    """Return how many connections there may be: never more than there are files for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files - SPARE_FILES if files != resource.RLIM_INFINITY else config.connections
    connections = max(1, min(config.connections, most))
    if connections < config.connections:
        log.warning(
            "only %d connections at a time: this process may open %d files (ulimit -n)",
            connections,
            files,
        )
    return Caps(
        connections,
        min(config.connections_per_address, connections),
        config.refusals_per_minute,
        frozenset(config.trusted_proxies),
    )


def names(config: Config) -> frozenset[str]:
    """Return the names that the owner gave this box, without the ports."""
    return frozenset(place_of(host, port=config.port or 1).host for host in config.hosts)


async def _serve(config: Config) -> int:
    stop, failures = asyncio.Event(), list[str]()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)

    def fail(reason: str) -> None:
        failures.append(reason)
        stop.set()

    fresh = not (config.data / STORE_NAME).exists()
    identity = load_identity(config.data, fresh=fresh)
    with ExitStack() as ports:
        ports.callback(notify, "STOPPING=1")
        sockets = open_ports(config.listen, config.port)
        _close_at_the_end(sockets, ports)
        plain = open_ports(LOOPBACK, config.plain_port) if config.plain_port else []
        _close_at_the_end(plain, ports)
        port = sockets[0].getsockname()[1]
        async with open_gateway(config, identity=identity, port=port, on_fatal=fail) as gateway:
            await _answer(config, gateway, sockets=sockets, plain=plain, stop=stop)
    if failures:
        damaged = "SQLITE_CORRUPT" in failures[0]
        log.critical(
            "the disk failed at %s: %s. %s",
            config.data / STORE_NAME,
            failures[0],
            "The next start carries over what can be read"
            if damaged
            else "Nothing that was acknowledged is lost",
        )
    return 1 if failures else 0


def _close_at_the_end(sockets: list[socket.socket], stack: ExitStack) -> None:
    for one in sockets:
        stack.callback(one.close)


async def _answer(
    config: Config,
    gateway: Gateway,
    *,
    sockets: list[socket.socket],
    plain: list[socket.socket],
    stop: asyncio.Event,
) -> None:
    """Serve all listeners until `stop`."""
    identity, ended = gateway.identity, asyncio.Event()
    with closing(_control_socket(config)) as control:
        listeners = [
            asyncio.create_task(
                serve_phones(
                    gateway.app,
                    sockets=sockets,
                    tls=identity.tls,
                    caps=caps(config),
                    stop=ended.wait,
                    grace=GRACE,
                    plain=plain,
                    names=names(config),
                )
            ),
            asyncio.create_task(
                serve_local(gateway.control, sock=control, stop=ended.wait, grace=GRACE)
            ),
        ]
        async with _accompanied(config, gateway):
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({stopping, *listeners}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        notify("STOPPING=1")
        ended.set()
        gateway.close()
        await asyncio.gather(*listeners)
    _remove_socket(config)


@asynccontextmanager
async def _accompanied(config: Config, gateway: Gateway) -> AsyncIterator[None]:
    """Tell systemd and the owner that we are there, and keep telling until the block ends."""
    asyncio.get_running_loop().call_later(SETTLED_SECONDS, settle_memory)
    notify("READY=1")
    beside = [asyncio.create_task(_keep_watchdog(gateway))]
    first = await gateway.seat_count() == 0
    if on_terminal():
        screen = ForPeople(lines=Lines(sys.stdin), out=sys.stdout)
        screen.say(_greeting(config, gateway, first=first))
        if first:
            beside.append(asyncio.create_task(_pair_first_phone(config, screen)))
    else:
        log.info("version %s answers on port %d, data in %s", version(), gateway.port, config.data)
        if first:
            log.info("no phone is paired yet; run: %s", command("pair", data=config.data))
    try:
        yield
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


def settle_memory() -> None:
    """Collect garbage from now on, but not among what the start has left.

    That stays: looking at it at each collection takes 30 ms.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


async def _pair_first_phone(config: Config, screen: ForPeople) -> None:
    with suppress(ControlError):  # the gateway is ending, and says so itself
        await pair_first_phone(ControlClient(config.data), screen)
    screen.say("\nThe gateway goes on running; Ctrl-C ends it. To pair a phone:\n")
    screen.say(f"    {command('pair', data=config.data)}\n")


def _greeting(config: Config, gateway: Gateway, *, first: bool) -> str:
    places = ", ".join(str(place) for place in gateway.places())
    lines = [
        f"Homepost gateway {version()} is running.",
        "",
        f"  Data    {config.data}",
        f"  Phones  {places}",
        "  Stop    Ctrl-C",
    ]
    if not first:
        lines += ["", f"To pair another phone: {command('pair', data=config.data)}"]
    return "\n".join(lines)


def _control_socket(config: Config) -> socket.socket:
    try:
        return listen(config.data)
    except OSError as error:
        raise unusable(config.data / SOCKET_NAME, error) from error


def _remove_socket(config: Config) -> None:
    with suppress(OSError), short_address(config.data) as address:
        os.unlink(address)


async def _keep_watchdog(gateway: Gateway) -> None:
    """Tell systemd that the loop turns and the store stores, twice in the time it allows."""
    allowed = os.environ.get("WATCHDOG_USEC", "")
    while allowed.isdecimal() and gateway.healthy():
        notify("WATCHDOG=1")
        await asyncio.sleep(int(allowed) / 2_000_000)


def notify(state: str) -> None:
    """Tell systemd, if it started us. Source: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
        telling.connect("\0" + address[1:] if address.startswith("@") else address)
        telling.sendall(state.encode())
