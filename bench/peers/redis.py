"""Redis with its append-only file: a stream for each mailbox, read through a consumer group.

Entered with XADD, taken with XREADGROUP, then XACK and XDEL. `appendfsync always` answers after the
file was synchronised, once for each turn of its loop, and so promises what we do.
"""

import asyncio
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Final

from bench.peers.debian import Unpacked
from bench.peers.payloads import items
from bench.peers.server import Server
from bench.processes import START_SECONDS, listening, start
from bench.subjects import IN_FLIGHT, How, prepared
from bench.talks import ID_BYTES, Depositor, Notes, NotStored, Work

PACKAGES: Final = ("redis-server", "redis-tools", "libatomic1", "libjemalloc2", "liblzf1")
"""Of Debian: the server, and the libraries that a machine without it may lack."""
LOOK_EVERY: Final = 0.005

Reply = bytes | int | None | list["Reply"]


def command(*words: bytes) -> bytes:
    """Return a command as it travels."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(one), one) for one in words)


def take_reply(received: bytearray, at: int = 0) -> tuple[Reply, int] | None:
    """Read the reply that begins at `at`; return it and where it ends, None if it is cut short.

    Raises:
        NotStored: an error of the server's.
    """
    line_end = received.find(b"\r\n", at)
    if line_end < 0:
        return None
    kind, line, end = received[at : at + 1], bytes(received[at + 1 : line_end]), line_end + 2
    if kind == b"-":
        raise NotStored(line.decode())
    if kind == b":":
        return int(line), end
    if kind == b"$" and (size := int(line)) >= 0:
        whole = len(received) >= end + size + 2
        return (bytes(received[end : end + size]), end + size + 2) if whole else None
    if kind == b"$" or line == b"-1":
        return None, end
    if kind == b"*":
        found: list[Reply] = []
        for _ in range(int(line)):
            if (one := take_reply(received, end)) is None:
                return None
            found.append(one[0])
            end = one[1]
        return found, end
    return line, end


class Redis:
    """A Redis server of our own.

    Args:
        unpacked: where its packages are.
        folder: of its own.
        processor: on which it runs.
    """

    name = "redis"

    def __init__(self, unpacked: Unpacked, folder: Path, *, processor: int | None) -> None:
        self._unpacked = unpacked
        self._server = Server(folder, processor=processor)
        self.address = self._server.address
        self.folder = folder

    @property
    def pid(self) -> int:
        """Its process."""
        return self._server.pid

    async def start(self, *, environment: Mapping[str, str] | None = None) -> float:
        """Start it; return the seconds until it has read its file and answers."""
        begun = time.perf_counter()
        settings = {
            "port": str(self.address.port), "bind": "127.0.0.1", "dir": str(self.folder),
            "appendonly": "yes", "appendfsync": "always", "save": "", "daemonize": "no",
            "auto-aof-rewrite-percentage": "0", "logfile": "",
        }  # fmt: skip
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._server.process = start(
            [str(self._unpacked.program("redis-server")), *words],
            folder=self.folder,
            processor=self._server.processor,
            environment={**self._unpacked.environment, **(environment or {})},
        )
        await listening(self.address.port, self._server.process)
        # It takes connections while it reads its file, and tells nobody when it has.
        while not self._answers() and time.perf_counter() - begun < START_SECONDS:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY)
        return time.perf_counter() - begun

    def _answers(self) -> bool:
        with socket.create_connection((self.address.host, self.address.port)) as asking:
            asking.sendall(command(b"PING"))
            return asking.recv(100).startswith(b"+PONG")

    async def kill(self) -> None:
        """End it at once."""
        await self._server.kill()

    async def furnish(self, mailboxes: int) -> None:
        """Make streams with a group of readers each."""
        with socket.create_connection((self.address.host, self.address.port)) as asking:
            for one in range(mailboxes):
                asking.sendall(command(b"XGROUP", b"CREATE", _key(one), b"g", b"0", b"MKSTREAM"))
                asking.recv(100)

    async def depositors(
        self, how: How, notes: Notes, *, count: int, to: Sequence[int], by_itself: bool = True
    ) -> list[Depositor]:
        """Return those who hand in, a connection for each item on its way."""
        supply = prepared(_entries(count, to), count)
        return [Adder(notes, supply, window=int(by_itself)) for _ in range(IN_FLIGHT)]

    async def collector(self, mailbox: int, notes: Notes) -> "Reader":
        """Return a reader of a stream."""
        return Reader(notes, _key(mailbox))


def _key(mailbox: int) -> bytes:
    return b"s:%d" % mailbox


def _entries(count: int, to: Sequence[int]) -> Iterator[Work]:
    turn = cycle(to)
    for one in items(count):
        yield Work(command(b"XADD", _key(next(turn)), b"*", b"d", one.data), one.ids)


class Adder(Depositor):
    """Adds one entry after the other."""

    def __init__(self, notes: Notes, supply: Iterator[Work], *, window: int = 1) -> None:
        super().__init__(notes, supply, window=window)
        self._received = bytearray()
        self._waiting: list[tuple[Work, float]] = []

    def hand_in(self, work: Work, now: float) -> bytes:
        """Return a command."""
        self._waiting.append((work, now))
        return work.data

    def heard(self, data: bytes, now: float) -> bytes:
        """Take replies."""
        self._received += data
        said = b""
        while (found := take_reply(self._received)) is not None:
            del self._received[: found[1]]
            work, since = self._waiting.pop(0)
            said += self.stored(work, since=since, now=now)
        return said


class Reader:
    """Takes entries off a stream, as many as there are, and deletes them.

    Args:
        notes: where it is noted.
        key: of the stream.
    """

    greeted = True

    def __init__(self, notes: Notes, key: bytes) -> None:
        self.notes = notes
        self._key = key
        self._received = bytearray()

    def hello(self) -> bytes:
        """Ask for entries, and wait for them."""
        return command(
            b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"100", b"BLOCK", b"0",
            b"STREAMS", self._key, b">",
        )  # fmt: skip

    def heard(self, data: bytes, now: float) -> bytes:
        """Take entries; acknowledge and delete them, and ask for more."""
        self._received += data
        said = b""
        while (found := take_reply(self._received)) is not None:
            del self._received[: found[1]]
            if isinstance(found[0], list):
                said += self._take(found[0], now)
        return said

    def _take(self, streams: list[Reply], now: float) -> bytes:
        entries = [
            (number, fields[1])
            for stream in streams
            if isinstance(stream, list) and isinstance(stream[1], list)
            for entry in stream[1]
            if isinstance(entry, list)
            for number, fields in [entry]
            if isinstance(fields, list)
        ]
        numbers = [number for number, _ in entries if isinstance(number, bytes)]
        for _, value in entries:
            if isinstance(value, bytes):
                self.notes.got.setdefault(value[:ID_BYTES], now)
        return (
            command(b"XACK", self._key, b"g", *numbers)
            + command(b"XDEL", self._key, *numbers)
            + self.hello()
        )
