"""The verbs of a case: what owners, phones and power cuts can do to a gateway process.

    box     start · stop · kill · ended · health · show · enrol · connect · backup · restore
    phone   lane · fetch · ack · drain · revoke · live · pair_again
    sender  deposit

Everything goes through the sockets and files that anybody else would use, so that a case knows
nothing of the gateway's inside and outlives a redesign.
"""

import asyncio
import itertools
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import aiohttp

from gateway.control_client import ControlClient
from peer.ways.tls import look_at, pinned
from tests.faults.connection import Answer, Connection, NoAnswer, Refused, spelled
from tests.faults.ledger import Ledger
from tests.gateway.phones import asks
from tests.gateway.sync.people import Person, Phone
from wire.auth import Channel, Login
from wire.codec import encode
from wire.codes import GatewayCode
from wire.fields import Fields
from wire.frames import (
    NOWHERE,
    Ack,
    Cursor,
    Delivered,
    Deposit,
    Hello,
    Parcels,
    Proved,
    Result,
    Results,
    Resume,
    decode_frame,
    encode_frame,
)
from wire.ids import ParcelId
from wire.lanes import Lane, LaneRight, LaneSecret, WakeRule
from wire.pairing import PairAnswer, PairingState, PairRequest
from wire.parcel import Lifetime, Parcel
from wire.places import Place

PROJECT: Final = Path(__file__).parents[2]
HANG: Final = 60.0
"""Seconds after which something hangs."""


class Ended(Exception):
    """The gateway's process ended before it was ready."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"ended with {status}: {said[-2000:]}")
        self.status = status


def letters(
    lane: Lane, count: int, *, size: int = 256, life: Lifetime = Lifetime.MONTH
) -> list[Parcel]:
    """Return parcels of random content for a lane."""
    return [
        Parcel(
            lane.id,
            ParcelId(secrets.token_bytes(16)),
            life,
            secrets.token_bytes(32),
            secrets.token_bytes(size),
        )
        for _ in range(count)
    ]


class Box:
    """A gateway with a data folder that it keeps over restarts.

    Args:
        folder: of its own; `data` and its log lie in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.ledger = Ledger()
        self.host = "127.0.0.1"
        """Where it listens; another one for a box in another network."""
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._stack = AsyncExitStack()
        self._certificate: tuple[Channel, bytes] | None = None

    @property
    def owner(self) -> ControlClient:
        """Asks as the owner's commands do."""
        return ControlClient(self.data)

    @property
    def pid(self) -> int:
        """The gateway's own process, also where another program runs it."""
        return int((self.data / "gateway.lock").read_text())

    @property
    def logged(self) -> str:
        """All that it has logged, from its first start on."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    @property
    def store(self) -> Path:
        """The file that holds what it was given."""
        return self.data / "gateway.sqlite"

    async def start(
        self,
        *flags: str,
        under: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> float:
        """Start it; return the seconds until it said that it was ready.

        Args:
            flags: of `serve`.
            under: a command that runs it.
            environment: variables that it sees beside ours.

        Raises:
            Ended: it ended instead.
        """
        command = [*under, sys.executable, "-m", "gateway.cli", "serve", "--data", str(self.data)]
        command += ["--listen", self.host, "--port", "0"]
        command += ["--refusals-per-minute", "100000", *flags]  # cases ask for much that is none
        with (
            tempfile.TemporaryDirectory() as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
            self.log.open("ab") as log,
        ):
            ready.bind(f"{folder}/ready")
            ready.setblocking(False)
            begun = time.monotonic()
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
                env=_environment(environment or {}, NOTIFY_SOCKET=f"{folder}/ready"),
                cwd=PROJECT,
                start_new_session=True,  # so that it can be ended with all it started
            )
            await self._until_ready(ready)
            took = time.monotonic() - begun
        self.port = (await self.owner.ask("GET", "/status"))["port"]
        return took

    async def _until_ready(self, ready: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.create_task(self.ended())
        try:
            async with asyncio.timeout(HANG):
                while True:
                    said = asyncio.create_task(loop.sock_recv(ready, 4096))
                    await asyncio.wait({said, ended}, return_when=asyncio.FIRST_COMPLETED)
                    if not said.done():
                        said.cancel()
                        raise Ended(ended.result(), self.logged)
                    if b"READY=1" in said.result():
                        return
        finally:
            ended.cancel()

    async def ended(self, *, within: float = HANG) -> int:
        """Wait for its end; return the exit status, or minus the signal that ended it."""
        assert self._process is not None
        async with asyncio.timeout(within):
            return await self._process.wait()

    async def stop(self, *, within: float = HANG) -> int:
        """Ask it to end, as the system does; return the exit status."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        return await self.ended(within=within)

    async def kill(self) -> None:
        """End it as a power cut would, but for what the kernel still writes."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def close(self) -> None:
        """End it and everything that was connected to it."""
        await self._stack.aclose()
        await self.kill()

    async def health(self) -> bool:
        """Return whether it says that it stores."""
        answer = await (await self.connect()).ask("GET", "/healthz")
        return answer.status == 200

    async def command(
        self, *words: str, stdin: str = "", under: Sequence[str] = ()
    ) -> tuple[int, str]:
        """Run one of the owner's commands to its end; return its exit status and what it said.

        Args:
            words: the command.
            stdin: what the owner types.
            under: a command that runs it.
        """
        process = await asyncio.create_subprocess_exec(
            *(*under, sys.executable, "-m", "gateway.cli", *words, "--data", str(self.data)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_environment({}),
            cwd=PROJECT,
        )
        async with asyncio.timeout(HANG * 5):
            said, _ = await process.communicate(stdin.encode())
        return await process.wait(), said.decode()

    async def backup(self, target: Path) -> str:
        """Back the running gateway up; return the secret that the owner was shown."""
        status, said = await self.command("backup", str(target), "--json")
        assert status == 0, said
        secret: str = json.loads(said)["secret"]
        return secret

    async def restore(
        self, source: Path, secret: str, *flags: str, under: Sequence[str] = ()
    ) -> tuple[int, str]:
        """Put a backup back; return the command's exit status and what it said."""
        return await self.command("restore", str(source), *flags, stdin=f"{secret}\n", under=under)

    async def connect(self, *, port: int = 0, source: str | None = None) -> Connection:
        """Return connections that nobody else uses, pinned to the gateway's certificate.

        Args:
            port: of something that stands before the gateway.
            source: address of ours to connect from.
        """
        if self._certificate is None:
            gateway, der = await look_at(Place(self.host, self.port), lambda found: True)
            self._certificate = Channel.over(gateway, certificate=der), der
        channel, der = self._certificate
        local = (source, 0) if source else None
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(local_addr=local),
            timeout=aiohttp.ClientTimeout(total=30.0),
        )
        await self._stack.enter_async_context(session)
        return Connection(session, port or self.port, pinned(der), channel, self.host)

    async def show(self, **options: int) -> tuple[str, GatewayCode]:
        """Show a pairing code as the owner does; return the pairing's name and the code."""
        shown = await self.owner.ask("POST", "/pair", body=options)
        return shown["id"], GatewayCode.parse(shown["code"])

    async def say(self, id: str, *, same: bool) -> str:
        """Answer for the owner, who has compared the check code; return how the pairing stands."""
        answer = await self.owner.ask("POST", f"/pair/{id}", body={"same": same})
        return str(answer["state"])

    async def enrol(self, person: Person | None = None, phone: Phone | None = None) -> "Handset":
        """Pair a phone, of a new person unless told otherwise."""
        phone = phone or Phone()
        person = person or Person(phone)
        connection = await self.connect()
        id, code = await self.show()
        request = asks(code, channel=connection.channel, phone=phone, person=person)
        await pair(connection, request)
        await self.say(id, same=True)
        answer = await pair(connection, replace(request, confirmed=True))
        assert answer.state is PairingState.PAIRED, answer
        return Handset(self, person, phone, connection, request)

    async def sender(self, lane: Lane, *, port: int = 0) -> "Sender":
        """Return somebody who holds a lane."""
        return Sender(self.ledger, lane, await self.connect(port=port))

    async def senders(self, lanes: Sequence[Lane]) -> "list[Sender]":
        """Return one for each lane: on one lane only a few may deposit at a time."""
        return [await self.sender(one) for one in lanes]


async def pair(connection: Connection, request: PairRequest) -> PairAnswer:
    """Send a pairing request.

    Raises:
        Refused, NoAnswer
    """
    return PairAnswer.decode(await connection.must("POST", "/v1/pair", request.encode()))


@dataclass
class Sender:
    """Somebody who holds a lane, on connections without login."""

    ledger: Ledger
    lane: Lane
    connection: Connection

    async def deposit(self, parcels: Sequence[Parcel]) -> list[Result]:
        """Hand parcels in, in one frame; return what became of each, noted in the ledger.

        Raises:
            Refused, NoAnswer
        """
        headers = await self.connection.opening(self.lane)
        self.ledger.offer(parcels)
        data = await self.connection.must(
            "POST", "/v1/deposit", self.frame(parcels), headers=headers
        )
        results = decode_frame(data)
        assert isinstance(results, Results)
        assert [one.parcel for one in results.outcomes] == [one.id for one in parcels]
        for one in results.outcomes:
            if one.result is not Result.STORAGE_FAILED:  # then nobody knows what is on the disk
                self.ledger.answer(one.parcel, stored=one.result is Result.STORED)
        return [one.result for one in results.outcomes]

    async def keep_on(self, *, size: int = 256, batch: int = 1, most: int | None = None) -> str:
        """Deposit until the gateway does not answer any more, or refuses; return how it ended.

        Args:
            size: bytes of each parcel.
            batch: parcels in a frame.
            most: frames after which it is enough; None for no end.
        """
        for _ in range(most) if most else itertools.count():
            try:
                for result in await self.deposit(letters(self.lane, batch, size=size)):
                    if result is not Result.STORED:
                        return result.code
            except Refused as refused:
                return refused.code or "refused"
            except NoAnswer:
                return "no answer"
        return "enough"

    async def insist(self, parcels: Sequence[Parcel]) -> None:
        """Hand parcels in again and again until all of them are stored."""
        async with asyncio.timeout(HANG):
            # Nobody says when a disk has room again.
            while set(await self.deposit(parcels)) != {Result.STORED}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def frame(self, parcels: Sequence[Parcel]) -> bytes:
        """Return the frame in which parcels are handed in."""
        gateway = self.connection.channel.gateway
        proved = [Proved(one.proof(self.lane, gateway=gateway), one) for one in parcels]
        return encode_frame(Deposit(1, tuple(proved)))


@dataclass
class Handset:
    """A phone that was paired."""

    box: Box
    person: Person
    phone: Phone
    connection: Connection
    request: PairRequest
    """With which it was paired."""
    cursor: Cursor = NOWHERE
    """How far it has collected."""
    bearer: bytes = field(default=b"", repr=False)

    async def reconnect(self) -> None:
        """Connect anew, as phones do when the gateway was away."""
        self.connection = await self.box.connect()
        self.bearer = b""

    async def pair_again(self) -> None:
        """Be confirmed once more by the owner, as a gateway asks that was restored."""
        again = await self.box.enrol(self.person, self.phone)
        self.connection, self.request, self.bearer = again.connection, again.request, b""

    async def login(self, *, nonce: bytes | None = None) -> Answer:
        """Log in; keep the bearer if that went well."""
        nonce = nonce or await self.connection.nonce()
        login = Login.sign(self.phone.signing, channel=self.connection.channel, nonce=nonce)
        answer = await self.connection.ask("POST", "/v1/login", login.encode())
        if answer.status == 200:
            self.bearer = Fields.read(answer.data, limit=100, what="bearer").raw(1)
        return answer

    async def auth(self) -> dict[str, str]:
        """Return the header that says who asks."""
        if not self.bearer:
            await self.login()
        return {"Authorization": f"Bearer {spelled(self.bearer)}"}

    async def ask(self, method: str, path: str, data: bytes = b"") -> Answer:
        """Ask as this phone."""
        return await self.connection.ask(method, path, data, headers=await self.auth())

    async def must(self, method: str, path: str, data: bytes = b"") -> bytes:
        """Ask as this phone for what should be granted.

        Raises:
            Refused, NoAnswer
        """
        return await self.connection.must(method, path, data, headers=await self.auth())

    async def lane(self, *, bytes_waiting: int = 1 << 30) -> Lane:
        """Mint a lane."""
        lane = LaneSecret(secrets.token_bytes(32)).at(self.connection.channel.gateway)
        right = LaneRight(
            lane,
            WakeRule.WAKE,
            wakes_per_day=200,
            bytes_waiting=bytes_waiting,
            expires=0,
            last_tenth=True,
        )
        await self.must("PUT", "/v1/lanes", encode({0: 1, 1: 0, 2: [right.to_value()]}))
        return lane

    async def lanes(self, count: int) -> list[Lane]:
        """Mint some lanes."""
        return [await self.lane() for _ in range(count)]

    async def sender(self, **lane: int) -> Sender:
        """Mint a lane and return somebody who holds it."""
        return await self.box.sender(await self.lane(**lane))

    async def fetch(self, *, wait: int = 0) -> tuple[Delivered, ...]:
        """Return what comes next after what was acknowledged, without acknowledging it.

        Raises:
            Refused, NoAnswer
        """
        resume = encode_frame(Resume(self.cursor))
        data = await self.must("POST", f"/v1/mailbox/collect?wait={wait}", resume)
        frames = []
        while data:
            size = int.from_bytes(data[:4], "big")
            frames.append(decode_frame(data[4 : 4 + size]))
            data = data[4 + size :]
        hello, *more = frames
        assert isinstance(hello, Hello)
        if hello.reset:
            self.cursor = Cursor.start(hello.epoch)
        found = more[0] if more else Parcels(())
        assert isinstance(found, Parcels)
        return found.parcels

    async def ack(self, fetched: Sequence[Delivered]) -> None:
        """Say that all of `fetched` is on this phone's disk; note it in the ledger.

        Raises:
            Refused, NoAnswer
        """
        last, ids = fetched[-1], {one.parcel.id for one in fetched}
        cursor = Cursor(self.cursor.epoch, last.seq, last.parcel.id)
        self.box.ledger.let_go |= ids
        await self.must("POST", "/v1/mailbox/ack", encode_frame(Ack(cursor)))
        self.cursor = cursor
        self.box.ledger.gone |= ids

    async def drain(self) -> list[Delivered]:
        """Fetch and acknowledge until nothing comes any more; return it all."""
        found: list[Delivered] = []
        while fetched := await self.fetch():
            found += fetched
            await self.ack(fetched)
        return found

    async def revoke(self, other: "Handset") -> Answer:
        """Take another phone of the same person off the card, as one does with a lost one."""
        signed = self.person.device_statement(self.phone, self.phone)
        assert other.phone.entry.key in {one.key for one in self.person.card.devices}
        answer = await self.ask("POST", "/v1/card", signed.encode())
        self.person.take(signed)
        return answer

    async def live(self) -> aiohttp.ClientWebSocketResponse:
        """Connect for good and resume; return the socket after its Hello."""
        socket = await self.connection.websocket("/v1/mailbox", await self.auth())
        await socket.send_bytes(encode_frame(Resume(self.cursor)))
        hello = decode_frame((await socket.receive(timeout=HANG)).data)
        assert isinstance(hello, Hello)
        return socket


@asynccontextmanager
async def open_box(folder: Path) -> AsyncIterator[Box]:
    """Give a box that was not started yet, and end whatever was started of it."""
    folder.mkdir(parents=True, exist_ok=True)
    box = Box(folder)
    try:
        yield box
    finally:
        await box.close()


def _environment(wanted: Mapping[str, str], **more: str) -> dict[str, str]:
    kept = {name: one for name, one in os.environ.items() if not name.startswith("HOMEPOST_")}
    return {**kept, "PYTHONPATH": str(PROJECT), **wanted, **more}
