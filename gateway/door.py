"""Counts who is inside, and turns away who is too many, before a byte is read.

asyncio takes in whatever comes: a few hundred idle connections from one place shut everybody else
out, and without descriptors it spins and writes a traceback each time. Here a connection counts
from the moment it is taken in until its socket is closed, TLS handshake included. Whoever was
refused too often is not taken in at all for a while, and whoever leaves without having asked
anything counts as refused.
"""

import errno
import gc
import ipaddress
import logging
import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from gateway.patience import Patience

SEND_BUFFER: Final = 64 * 1024
"""Bytes that the kernel holds for one connection; Linux takes twice that for itself."""
RECEIVE_BUFFER: Final = 48 * 1024
"""The same in the other direction; by itself it would let six megabytes come."""
REFUSED_AT_ONCE: Final = 64
"""Connections over the cap that are turned away before others get their turn."""
REFUSALS: Final = 300
"""Refusals a minute after which one address is not listened to: a phone has some in a day."""
FORGOTTEN_TOGETHER: Final = 64
"""Connections that came to nothing after which Python is told to collect what it has lost: asyncio
leaves a circle of 62 kB for each broken TLS handshake, and thousands of them would wait."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caps:
    """How many connections there may be."""

    connections: int
    """In all; below the number of files that this process may open."""
    per_address: int
    """From one IPv4 address or one IPv6 network of 64 bits, which one household has."""
    refusals: int = REFUSALS
    """In a minute, from one of these, before it is not listened to for a while."""
    trusted: frozenset[str] = frozenset()
    """Addresses of proxies: each speaks for many, so none of them counts as one visitor."""


class Door:
    """Counts connections from before the first byte until the socket is closed.

    Used as a context, since it keeps one descriptor in reserve: with none left, a connection could
    not even be taken in to be turned away.
    """

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._inside: dict[int, Guest] = {}
        self._patience = Patience(caps.refusals)
        self._by_network: Counter[str] = Counter()
        self._reserve: int | None = None
        self._came_to_nothing = 0

    def __enter__(self) -> "Door":
        self._keep_reserve()
        return self

    def __exit__(self, *_: object) -> None:
        self._spend_reserve()

    @property
    def inside(self) -> int:
        """How many connections there are."""
        return len(self._inside)

    def admit(self, guest: "Guest") -> bool:
        """Let a connection in, if there is room for one more from there."""
        if len(self._inside) >= self._caps.connections:
            return False
        if guest.network is not None and not self._has_room(guest.network):
            return False
        self._inside[guest.fileno()] = guest
        if guest.network is not None:
            self._by_network[guest.network] += 1
        return True

    def network_of(self, address: str) -> str | None:
        """Return as what an address is counted; None for a proxy that is trusted."""
        return None if address in self._caps.trusted else network_of(address)

    def guest(self, descriptor: int) -> "Guest":
        """Return the connection that has a descriptor.

        Raises:
            ConnectionError: it is over.
        """
        try:
            return self._inside[descriptor]
        except KeyError:
            raise ConnectionAbortedError from None

    def introduced(self, guest: "Guest", address: str) -> bool:
        """Count a proxy's connection as one of whom it is for; return whether he may come in."""
        network = network_of(address)
        if guest.network is not None or not self._has_room(network):
            return False
        guest.network = network
        self._by_network[network] += 1
        return True

    def refused(self, guest: "Guest") -> None:
        """Note that somebody asked for what he may not have."""
        if guest.network is not None and self._patience.refused(guest.network):
            network, _, _ = guest.network.partition("/")
            log.warning("%s was refused too often and is not listened to for now", network)

    def is_patient_with(self, guest: "Guest") -> bool:
        """Return whether this visitor is still listened to."""
        return guest.network is None or not self._patience.is_over(guest.network)

    def leave(self, guest: "Guest", descriptor: int) -> None:
        """Note that a connection is over."""
        if self._inside.get(descriptor) is not guest:
            return
        del self._inside[descriptor]
        if not guest.was_answered:
            self.refused(guest)
            self._came_to_nothing += 1
            if self._came_to_nothing % FORGOTTEN_TOGETHER == 0:
                gc.collect()
        if guest.network is None:
            return
        self._by_network[guest.network] -= 1
        if not self._by_network[guest.network]:
            del self._by_network[guest.network]

    def _has_room(self, network: str) -> bool:
        full = self._by_network[network] >= self._caps.per_address
        return not full and not self._patience.is_over(network)

    def hang_up(self) -> None:
        """End every connection."""
        for guest in tuple(self._inside.values()):
            with suppress(OSError):
                guest.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def without_reserve(self) -> Iterator[None]:
        """Free one descriptor for a moment."""
        self._spend_reserve()
        try:
            yield
        finally:
            with suppress(OSError):
                self._keep_reserve()

    def _keep_reserve(self) -> None:
        self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _spend_reserve(self) -> None:
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None


class Guest(socket.socket):
    """A connection that the door has counted, until it is closed.

    Args:
        connection: just accepted; taken over.
        network: where it comes from, as far as it is counted; None for a proxy.
        door: who counts.
    """

    was_answered = False
    """Whether it asked anything and was told something."""

    def __init__(self, connection: socket.socket, *, network: str | None, door: Door) -> None:
        super().__init__(
            connection.family, connection.type, connection.proto, fileno=connection.detach()
        )
        self.network = network
        self._door = door

    def close(self) -> None:
        """Close the connection and make room for another."""
        descriptor = self.fileno()
        super().close()
        self._door.leave(self, descriptor)


class Entrance(socket.socket):
    """A listening socket that lets in only as many as the door allows.

    asyncio accepts by calling `accept`; whoever is turned away never gets a TLS object or a task.

    Args:
        listening: bound and listening; taken over.
        door: who counts.
    """

    def __init__(self, listening: socket.socket, door: Door) -> None:
        super().__init__(
            listening.family, listening.type, listening.proto, fileno=listening.detach()
        )
        self.setblocking(False)
        # Accepted connections inherit these. The kernel would keep megabytes for one that is slow;
        # asyncio sets the other only where it is told the protocol's number: 22 handshakes/s else.
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._door = door

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection that there is room for.

        Raises:
            BlockingIOError: there is none just now.
        """
        for _ in range(REFUSED_AT_ONCE):
            connection, address = self._next()
            network = self._door.network_of(address[0])
            guest = Guest(connection, network=network, door=self._door)
            if self._door.admit(guest):
                return guest, address
            guest.close()
        raise BlockingIOError(errno.EAGAIN, "others have their turn")

    def _next(self) -> tuple[socket.socket, Any]:
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            with self._door.without_reserve(), suppress(OSError):
                super().accept()[0].close()
            raise BlockingIOError(errno.EAGAIN, "no descriptor is left") from None


def network_of(address: str) -> str:
    """Return what is counted as one visitor: an IPv4 address, or an IPv6 network of 64 bits."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
