"""A household: gateways that really listen, phones on real files, and one clock for all of them.

Requests reach a gateway through a `Line`, which writes down what it sees and can do what networks
and batteries do: lose an answer, or hold a request until the phone that sent it has died.
"""

import asyncio
import shutil
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

from gateway.app import STORE_NAME, Gateway, open_gateway
from gateway.config import Config
from gateway.database.folder import hold_folder
from gateway.identity import load_identity
from gateway.listener import serve_phones
from gateway.relay.outbound import Outbound
from peer.app import Peer, open_peer
from peer.people.contacts import Contact
from tests.gateway.hands import Hands
from tests.gateway.served import ROOMY
from wire.check_code import digits
from wire.codes import ContactCode
from wire.places import Place

PATIENCE: Final = 20.0
"""Seconds after which a step that hangs has failed; nothing here waits that long."""

Ask = Callable[[int], Awaitable[bool]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """What a gateway was asked."""

    method: str
    path: str
    headers: dict[str, str]
    caller: tuple[str, int]
    """Address and port of the connection it came on."""
    status: int = 0
    """How it was answered, if it was."""

    @property
    def name(self) -> str:
        """Method and path, with the slot of a rendezvous left out."""
        parts = self.path.split("/")
        if parts[2:3] == ["rendezvous"]:
            parts[3] = "*"
        return f"{self.method} {'/'.join(parts)}"


class When(Enum):
    """Where an accident happens."""

    BEFORE = auto()
    """The gateway never hears of the request."""
    AFTER = auto()
    """The gateway has done it, and its answer is lost."""


@dataclass
class Accident:
    """Something that is to happen to one request."""

    names: Callable[[Request], bool]
    when: When
    skip: int = 0
    """Fitting requests that go well before."""
    happened: asyncio.Event = field(default_factory=asyncio.Event)
    holds: bool = False
    """Whether the connection hangs instead of breaking."""


class Line:
    """What lies between phones and a gateway."""

    def __init__(self) -> None:
        self.app: Any = None
        self.requests: list[Request] = []
        self.accidents: deque[Accident] = deque()
        self.changed: dict[str, Callable[[bytes], bytes]] = {}
        """What becomes of messages on their way, by the name of the request: of its body where it
        is a PUT, of the answer where it is a GET. Sizes must stay."""
        self._cut = asyncio.Event()

    def lose(
        self, name: str, *, when: When = When.AFTER, times: int = 1, skip: int = 0
    ) -> list[Accident]:
        """Break the connections of the next requests of a name; return what is to happen."""
        return [self._plan(lambda one: one.name == name, when, skip=skip) for _ in range(times)]

    def hold(self, nth: int, *, by: Callable[[Request], bool], when: When) -> Accident:
        """Hold the nth request from now on (from 0) for which `by` is true."""
        accident = self._plan(by, when, skip=nth)
        accident.holds = True
        return accident

    def cut(self) -> None:
        """End what is held."""
        self._cut.set()

    def names(self) -> list[str]:
        """Return the names of all requests, in order."""
        return [one.name for one in self.requests]

    def sizes(self, name: str) -> list[int]:
        """Return the sizes of the bodies that came in requests of a name."""
        found = [one.headers for one in self.requests if one.name == name]
        return [int(one.get("content-length", "0")) for one in found]

    def _plan(self, names: Callable[[Request], bool], when: When, *, skip: int) -> Accident:
        accident = Accident(names, when, skip=skip)
        self.accidents.append(accident)
        return accident

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        method = scope.get("method", "WEBSOCKET")
        request = Request(method, scope["path"], headers, tuple(scope["client"]))
        number = len(self.requests)
        self.requests.append(request)
        accident = self._due(request)
        if (change := self.changed.get(request.name)) is not None:
            receive, send = _changing(receive, send, change, inwards=request.method == "PUT")
        if accident is None or accident.when is When.AFTER:
            await self.app(scope, receive, self._sender(number, send, lost=accident is not None))
        if accident is not None:
            accident.happened.set()
            if accident.holds:
                await self._cut.wait()
            scope["state"]["homepost.visit"].abort()

    def _sender(self, number: int, send: Send, *, lost: bool) -> Send:
        async def pass_on(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                was = self.requests[number]
                self.requests[number] = Request(
                    was.method, was.path, was.headers, was.caller, message["status"]
                )
            if not lost:
                await send(message)

        return pass_on

    def _due(self, request: Request) -> Accident | None:
        for accident in self.accidents:
            if accident.names(request):
                if accident.skip == 0:
                    self.accidents.remove(accident)
                    return accident
                accident.skip -= 1
                return None
        return None


def _changing(
    receive: Receive, send: Send, change: Callable[[bytes], bytes], *, inwards: bool
) -> tuple[Receive, Send]:
    """Return both ends with the bodies changed that come in, or those that go out."""

    def changed(message: dict[str, Any], kind: str) -> dict[str, Any]:
        if message["type"] == kind and message.get("body"):
            body = change(message["body"])
            assert len(body) == len(message["body"])
            return {**message, "body": body}
        return message

    async def receive_changed() -> dict[str, Any]:
        return changed(await receive(), "http.request")

    async def send_changed(message: dict[str, Any]) -> None:
        await send(changed(message, "http.response.body"))

    return (receive_changed, send) if inwards else (receive, send_changed)


class Box:
    """A gateway with a folder and a port, which it keeps over restarts."""

    def __init__(
        self,
        folder: Path,
        hands: Hands,
        *,
        place: Place | None = None,
        outbound: Outbound | None = None,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.outbound = outbound
        self.settings = settings
        self.hands = hands
        self.line = Line()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.place = place or Place("127.0.0.1", self.port)
        self.failures: list[str] = []
        self._running: AsyncExitStack | None = None
        self._gateway: Gateway | None = None

    @property
    def gateway(self) -> Gateway:
        """The gateway, which must be running."""
        assert self._gateway is not None
        return self._gateway

    async def start(self) -> None:
        """Open the store and listen."""
        async with AsyncExitStack() as stack:
            stack.enter_context(hold_folder(self.folder))
            fresh = not (self.folder / STORE_NAME).exists()
            self._gateway = await stack.enter_async_context(
                open_gateway(
                    Config(data=self.folder, hosts=(str(self.place),), **self.settings),
                    identity=load_identity(self.folder, fresh=fresh),
                    port=self.port,
                    on_fatal=self.failures.append,
                    clock=self.hands,
                    addresses=list,
                    outbound=self.outbound,
                )
            )
            self.line.app = self._gateway.app
            await stack.enter_async_context(self._listening(self._gateway))
            self._running = stack.pop_all()

    @asynccontextmanager
    async def _listening(self, gateway: Gateway) -> AsyncIterator[None]:
        stop = asyncio.Event()
        serving = asyncio.create_task(
            serve_phones(
                self.line,
                sockets=[socket.create_server(("127.0.0.1", self.port))],
                tls=gateway.identity.tls,
                caps=ROOMY,
                stop=stop.wait,
                grace=0.2,
            )
        )
        try:
            yield
        finally:
            gateway.close()
            self.line.cut()
            stop.set()
            await serving

    async def stop(self) -> None:
        """End it; nobody answers at its port afterwards."""
        running, self._running = self._running, None
        if running is not None:
            await running.aclose()
            assert not self.failures

    async def renew_certificate(self) -> None:
        """Lose the TLS certificate, so that the same key vouches for another one."""
        await self.stop()
        (self.folder / "tls.pem").unlink()
        await self.start()

    def show(self, *, seconds: float = 120) -> tuple[str, str]:
        """Show a code; return the pairing's name and the code."""
        shown = self.gateway.desk.show(seconds=seconds)
        return shown.id, shown.code.text()

    async def pair(self, phone: "Phone") -> tuple[Place, ...]:
        """Pair a phone with this gateway, the owner and its holder comparing the codes."""
        id, code = self.show()

        async def ask(number: int) -> bool:
            desk = self.gateway.desk
            same = (await desk.look(id)).check == digits(number)
            await desk.say(id, same=same)
            return same

        return await phone.peer.pair(code, ask)


class Phone:
    """A phone with a folder; `peer` is the app on it while it is open."""

    def __init__(self, name: str, home: Path, hands: Hands) -> None:
        self.name = name
        self.home = home
        self.hands = hands
        self._open: AsyncExitStack | None = None
        self._peer: Peer | None = None

    @property
    def peer(self) -> Peer:
        """The app, which must be open."""
        assert self._peer is not None
        return self._peer

    async def open(self) -> Peer:
        """Open the app."""
        async with AsyncExitStack() as stack:
            self._peer = await stack.enter_async_context(
                open_peer(self.home, create=True, now=self.hands.now)
            )
            self._open = stack.pop_all()
        return self._peer

    async def close(self) -> None:
        """Close the app."""
        opened, self._open, self._peer = self._open, None, None
        if opened is not None:
            await opened.aclose()

    async def restart(self) -> Peer:
        """Close the app and open it again."""
        await self.close()
        return await self.open()

    async def pull_battery(self, *tasks: asyncio.Future[Any]) -> Peer:
        """Go on with what is on the disk at this instant: nothing that ran tidies up behind it.

        Args:
            tasks: what runs on this phone; it ends on a copy that is thrown away.
        """
        home = self.home.with_name(f"{self.home.name}-again")
        shutil.copytree(self.home, home)
        await end(*tasks)
        await self.close()
        self.home = home
        return await self.open()

    def rows(self, question: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Look into the phone's file."""
        return self.peer._store.db.execute(question, parameters).fetchall()


class Lookers:
    """Two people who hold their screens side by side, and say no when they differ."""

    def __init__(self) -> None:
        self._shown: dict[str, asyncio.Future[int]] = {
            side: asyncio.get_running_loop().create_future() for side in ("host", "guest")
        }

    def __getitem__(self, side: str) -> Ask:
        async def ask(number: int) -> bool:
            self._shown[side].set_result(number)
            host, guest = await asyncio.gather(*self._shown.values())
            return host == guest

        return ask


@dataclass
class Screen:
    """Somebody who looks at a check code, and what she says to it."""

    says: bool = True
    shown: list[int] = field(default_factory=list)

    async def ask(self, number: int) -> bool:
        """Note the number and answer."""
        self.shown.append(number)
        return self.says


@dataclass
class Meeting:
    """Two phones of which one shows a code and the other reads it."""

    host: Phone
    guest: Phone
    host_screen: Screen = field(default_factory=Screen)
    guest_screen: Screen = field(default_factory=Screen)
    host_ask: Ask | None = None
    guest_ask: Ask | None = None
    verified: bool = True
    shown: asyncio.Future[ContactCode] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    async def show(self) -> Contact:
        """Let the host show a code until somebody has answered it."""

        async def on_code(code: ContactCode) -> None:
            if not self.shown.done():
                self.shown.set_result(code)

        ask = (self.host_ask or self.host_screen.ask) if self.verified else None
        return await self.host.peer.show_card(on_code, ask)

    async def read(self) -> Contact:
        """Let the guest read the code that is shown."""
        code = await asyncio.shield(self.shown)
        ask = (self.guest_ask or self.guest_screen.ask) if self.verified else None
        return await self.guest.peer.add(code.text(), ask)

    async def hold(self) -> tuple[Contact, Contact]:
        """Go through with it; return the guest as the host has him, and the host."""
        async with asyncio.timeout(PATIENCE):
            return await together(self.show(), self.read())


async def outcomes(meeting: Meeting) -> tuple[Any, Any]:
    """Go through with it; return what each side has of it, a contact or what went wrong."""
    async with asyncio.timeout(PATIENCE):
        host, guest = await asyncio.gather(meeting.show(), meeting.read(), return_exceptions=True)
        return host, guest


async def together(one: Awaitable[Any], other: Awaitable[Any]) -> tuple[Any, Any]:
    """Run two things side by side; when one fails, end the other and raise."""
    tasks = [asyncio.ensure_future(one), asyncio.ensure_future(other)]
    try:
        first, second = await asyncio.gather(*tasks)
        return first, second
    finally:
        await end(*tasks)


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks, and wait until they are gone."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def befriend(host: Phone, guest: Phone) -> Meeting:
    """Make two people contacts of each other."""
    meeting = Meeting(host, guest)
    await meeting.hold()
    assert meeting.host_screen.shown == meeting.guest_screen.shown
    return meeting


async def texts(phone: Phone) -> list[str]:
    """Collect a phone's mailbox; return the texts of the letters that are new."""
    reading = await phone.peer.read()
    assert reading.away is None, reading.away
    assert reading.troubles == ()
    assert reading.missing == ()
    return [one.text for one in reading.letters]


async def they_write(one: Phone, other: Phone, *, tag: str = "") -> None:
    """Prove that a letter gets through each way, and is shown once."""
    for author, reader in ((one, other), (other, one)):
        text = f"{author.name} to {reader.name} {tag}"
        sent = await author.peer.send(reader.name, text)
        assert not sent.waiting, sent
        assert await texts(reader) == [text]
        assert await texts(reader) == []


class Household:
    """Boxes and phones that live for one test."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.hands = Hands()
        self._stack = stack
        self._count = 0

    async def box(
        self, *, place: Place | None = None, outbound: Outbound | None = None, **settings: Any
    ) -> Box:
        """Return a new gateway, running."""
        self._count += 1
        folder = self.folder / f"box-{self._count}"
        folder.mkdir(mode=0o700)
        box = Box(folder, self.hands, place=place, outbound=outbound, **settings)
        self._stack.push_async_callback(box.stop)
        await box.start()
        return box

    def dead_place(self) -> Place:
        """Return an address at which nobody listens until the end of the test."""
        held = self._stack.enter_context(socket.socket())
        held.bind(("127.0.0.1", 0))
        return Place("127.0.0.1", held.getsockname()[1])

    async def phone(self, name: str, box: Box | None = None) -> Phone:
        """Return a new person's phone, paired with `box` if there is one."""
        self._count += 1
        phone = Phone(name, self.folder / f"phone-{self._count}", self.hands)
        self._stack.push_async_callback(phone.close)
        (await phone.open()).begin(name)
        if box is not None:
            await box.pair(phone)
        return phone


@asynccontextmanager
async def household(folder: Path) -> AsyncIterator[Household]:
    """Give a household, and end everything in it afterwards."""
    async with AsyncExitStack() as stack:
        yield Household(folder, stack)
