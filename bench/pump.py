"""Moves bytes between sockets and conversations as fast as one thread can.

A conversation is a machine without a socket: it hears bytes and says bytes. The pump reads and
writes for all of them in one epoll loop, because at eighty thousand items a second an event loop
with a task for each would be what is measured. Nothing else runs meanwhile.
"""

import contextlib
import heapq
import itertools
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from bench.links import Address, Lost, tls_context

READ: Final = 256 * 1024
HANG: Final = 120.0
"""Seconds without a byte from anybody after which something hangs."""
TICK: Final = 0.05
"""Seconds after which it is looked whether all is done, if nobody says anything."""


class Talk(Protocol):
    """One side of a conversation."""

    @property
    def greeted(self) -> bool:
        """Whether what it began with was answered, so that it can be used."""

    def hello(self) -> bytes:
        """Return what is said first."""

    def heard(self, data: bytes, now: float) -> bytes:
        """Take what came; return what is said to that."""


class Line:
    """A socket with the conversation that is held over it."""

    def __init__(self, connection: socket.socket, talk: Talk) -> None:
        self._connection = connection
        self._tls = isinstance(connection, ssl.SSLSocket)
        self._unsent = bytearray()
        self.talk = talk

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._connection.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether something waits until the socket takes more."""
        return bool(self._unsent)

    def say(self, data: bytes) -> None:
        """Write what the socket takes, and keep the rest."""
        if data or self._unsent:
            self._unsent += data
            self.flush()

    def flush(self) -> None:
        """Go on writing."""
        with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            while self._unsent:
                sent = self._connection.send(self._unsent)
                del self._unsent[:sent]

    def listen(self) -> bool:
        """Read all that came and answer it; return whether there was anything.

        Raises:
            Lost: the other side hung up.
        """
        found = False
        while True:
            try:
                data = self._connection.recv(READ)
            except (BlockingIOError, ssl.SSLWantReadError):
                return found
            except OSError as error:
                raise Lost(str(error)) from None
            if not data:
                raise Lost("the other side hung up")
            found = True
            self.say(self.talk.heard(data, time.perf_counter()))
            if not self._tls and len(data) < READ:
                return found

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class Pump:
    """All conversations of one measurement."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._lines: dict[int, Line] = {}
        self._writing: set[int] = set()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def open(self, address: Address, talk: Talk) -> Line:
        """Connect, and hold the conversation until it was greeted.

        Raises:
            OSError, Lost
        """
        connection = socket.create_connection((address.host, address.port), timeout=HANG)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.tls:
            connection = tls_context().wrap_socket(connection)
        connection.setblocking(False)
        line = Line(connection, talk)
        self._lines[line.fileno()] = line
        self._epoll.register(line.fileno(), select.EPOLLIN)
        self.say(line, talk.hello())
        self.run(lambda: talk.greeted)
        return line

    def say(self, line: Line, data: bytes) -> None:
        """Say something of one's own accord."""
        try:
            line.say(data)
        except OSError as error:
            raise Lost(str(error)) from None
        self._watch(line)

    def at(self, moment: float, do: Callable[[], None]) -> None:
        """Have something done at a time on the clock of `perf_counter`, while running."""
        heapq.heappush(self._later, (moment, next(self._order), do))

    def run(self, done: Callable[[], bool]) -> None:
        """Keep the conversations going until `done`.

        Raises:
            Lost: somebody hung up.
            TimeoutError: nobody says anything any more.
        """
        heard = time.perf_counter()
        while not done():
            for number, event in self._epoll.poll(self._patience()):
                line = self._lines[number]
                if event & select.EPOLLOUT:
                    line.flush()
                if event & ~select.EPOLLOUT and line.listen():
                    heard = time.perf_counter()
                self._watch(line)
            now = time.perf_counter()
            while self._later and self._later[0][0] <= now:
                heapq.heappop(self._later)[2]()
                heard = now
            if now - heard > HANG:
                raise TimeoutError("nobody says anything any more")

    def _patience(self) -> float:
        if not self._later:
            return TICK
        return max(0.0, min(TICK, self._later[0][0] - time.perf_counter()))

    def _watch(self, line: Line) -> None:
        """Ask to be told when a socket takes more, only while something waits for that."""
        number = line.fileno()
        if line.wants_to_write != (number in self._writing):
            wanted = select.EPOLLIN | (select.EPOLLOUT if line.wants_to_write else 0)
            self._epoll.modify(number, wanted)
            self._writing ^= {number}

    def close(self, lines: Iterable[Line] | None = None) -> None:
        """Hang up on some, or on all, and end."""
        for line in list(self._lines.values()) if lines is None else lines:
            if self._lines.pop(line.fileno(), None) is not None:
                self._writing.discard(line.fileno())
                self._epoll.unregister(line.fileno())
                line.close()
        if lines is None:
            self._epoll.close()
