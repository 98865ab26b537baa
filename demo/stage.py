"""Real gateways and real phones, started and watched from outside, as a person would start them.

Nothing here imports the gateway or the phone's side: everything goes through the two commands and
what they print with `--json`. A gateway says that it is ready through the socket that systemd would
listen on, so that nobody has to guess how long a start takes.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

START_SECONDS: Final = 60.0
"""A start takes under a second; this is what a hang would break."""
STEP_SECONDS: Final = 60.0

Event = dict[str, Any]
"""One line that a command printed with `--json`."""


class StepFailed(Exception):
    """A step of the story did not do what it should; the sentence says what was seen."""


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A command that was started: its lines as they come, its answer, its end."""

    def __init__(self, process: asyncio.subprocess.Process, *, name: str) -> None:
        self._process = process
        self._name = name
        self._errors: list[str] = []
        self._input, self._output = _pipe(process.stdin), _pipe(process.stdout)
        self._reader = asyncio.create_task(self._collect_errors())

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    @property
    def errors(self) -> str:
        """What it wrote to its error output until now."""
        return "".join(self._errors)

    async def event(self, wanted: str, *, within: float = STEP_SECONDS) -> Event:
        """Return the next line whose "event" or "state" is `wanted`, skipping others.

        Raises:
            StepFailed: it ended, or `within` seconds passed, without that line.
        """
        try:
            async with asyncio.timeout(within):
                while line := await self._output.readline():
                    found: Event = json.loads(line)
                    if wanted in (found.get("event"), found.get("state")):
                        return found
        except TimeoutError:
            raise StepFailed(f"{self._name}: no “{wanted}” within {within:.0f} seconds") from None
        await self.end()
        raise StepFailed(f"{self._name}: ended before “{wanted}”. It said: {self.errors.strip()}")

    async def answer(self, line: Event) -> None:
        """Write one line of JSON to the command's input."""
        self._input.write(json.dumps(line).encode() + b"\n")
        await self._input.drain()

    async def rest(self) -> list[Event]:
        """Close its input and return all lines that it still prints."""
        self._input.close()
        output = await self._output.read()
        return [json.loads(line) for line in output.splitlines() if line.strip()]

    async def end(self, *, within: float = STEP_SECONDS) -> int:
        """Wait for its end and return its exit status."""
        try:
            async with asyncio.timeout(within):
                status = await self._process.wait()
        except TimeoutError:
            raise StepFailed(f"{self._name}: still running after {within:.0f} seconds") from None
        await self._reader
        return status

    async def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        if self.running:
            self._process.send_signal(signal_number)
        return await self.end()

    async def _collect_errors(self) -> None:
        stderr = _pipe(self._process.stderr)
        while line := await stderr.readline():
            self._errors.append(line.decode(errors="replace"))


P = TypeVar("P")


def _pipe(end: P | None) -> P:
    if end is None:
        raise ValueError("the process was started without this pipe")
    return end


async def start(
    name: str,
    *arguments: str | Path,
    environment: dict[str, str] | None = None,
    inside: Sequence[str] = (),
) -> Process:
    """Start the module that `arguments` name, with pipes on all three ends.

    Args:
        name: what it is called when it fails.
        arguments: the module and its arguments.
        environment: more variables for it.
        inside: a command that runs it somewhere else, such as in another network.
    """
    process = await asyncio.create_subprocess_exec(
        *inside,
        sys.executable,
        "-m",
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=4 << 20,
        env={**os.environ, **(environment or {})},
    )
    return Process(process, name=name)


@dataclass
class Box:
    """A gateway with a data folder and a port that it keeps over restarts."""

    name: str
    data: Path
    port: int = field(default_factory=free_port)
    process: Process | None = None
    module: str = "gateway.cli"
    """What is started; a test puts a gateway that misbehaves here."""
    flags: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    shown: str | None = None
    """Where phones are told to look, if not straight at its port."""
    said: str = ""
    """What its earlier processes wrote to their error outputs."""

    @property
    def place(self) -> str:
        """Where phones find it."""
        return self.shown or f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that it has logged, from its first start on."""
        return self.said + (self.process.errors if self.process else "")

    async def start(self) -> None:
        """Start it and wait until it says that it is ready.

        Raises:
            StepFailed: it ended instead, or is not ready in time.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory() as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
        ):
            ready.bind(f"{folder}/ready")
            ready.setblocking(False)
            self.process = await start(
                self.name,
                self.module,
                "serve",
                "--data",
                self.data,
                "--listen",
                "127.0.0.1",
                "--port",
                str(self.port),
                "--hosts",
                self.place,
                *self.flags,
                environment={**self.environment, "NOTIFY_SOCKET": f"{folder}/ready"},
            )
            await self._until_ready(self.process, ready)

    async def _until_ready(self, process: Process, ready: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.create_task(process.end(within=START_SECONDS + 1))
        try:
            async with asyncio.timeout(START_SECONDS):
                while True:
                    said = asyncio.create_task(loop.sock_recv(ready, 4096))
                    await asyncio.wait({said, ended}, return_when=asyncio.FIRST_COMPLETED)
                    if not said.done():
                        said.cancel()
                        raise StepFailed(f"{self.name} ended: {process.errors.strip()}")
                    if b"READY=1" in said.result():
                        return
        except TimeoutError:
            raise StepFailed(f"{self.name} is not ready after {START_SECONDS:.0f} s") from None
        finally:
            ended.cancel()

    async def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """End it with a signal; return its exit status."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        status = await process.stop(signal_number)
        self.said += process.errors
        return status

    async def command(self, *arguments: str) -> Event:
        """Run an owner's command with `--json` and return the one line it prints."""
        return await run(
            f"{self.name}: {arguments[0]}",
            "gateway.cli",
            *arguments,
            "--data",
            str(self.data),
            "--json",
        )


async def run(name: str, *arguments: str | Path, inside: Sequence[str] = ()) -> Event:
    """Run a command to its end and return the last line it printed.

    Raises:
        StepFailed: it ended with another status than 0, or printed nothing.
    """
    process = await start(name, *arguments, inside=inside)
    lines = await process.rest()
    status = await process.end()
    if status != 0 or not lines:
        raise StepFailed(f"{name} ended with {status}. It said: {process.errors.strip() or lines}")
    return lines[-1]


@dataclass
class Phone:
    """A person's phone: a folder of its own, and the command line on it."""

    name: str
    home: Path
    inside: tuple[str, ...] = ()
    """A command that puts it into a network of its own."""

    async def start(self, *arguments: str | Path) -> Process:
        """Start a command of this phone with `--json`."""
        name = f"{self.name}’s phone"
        words = ("peer.cli", "--home", self.home, *arguments, "--json")
        return await start(name, *words, inside=self.inside)

    async def run(self, *arguments: str | Path) -> Event:
        """Run a command of this phone to its end; return the last line it printed."""
        name = f"{self.name}’s phone, {arguments[0]}"
        words = ("peer.cli", "--home", self.home, *arguments, "--json")
        return await run(name, *words, inside=self.inside)


@asynccontextmanager
async def stage() -> AsyncIterator["Stage"]:
    """Give a folder that is gone afterwards, and end whatever was started in it."""
    folder = Path(tempfile.mkdtemp(prefix="homepost-"))
    theatre = Stage(folder)
    try:
        yield theatre
    finally:
        for box in theatre.boxes:
            await box.stop(signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


class Stage:
    """Boxes and phones that live for one story."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boxes: list[Box] = []

    def box(self, name: str, **settings: Any) -> Box:
        """Return a gateway that was not started yet."""
        box = Box(name, self.folder / f"box-{len(self.boxes)}", **settings)
        self.boxes.append(box)
        return box

    def phone(self, name: str) -> Phone:
        """Return a phone with nothing on it."""
        return Phone(name, self.folder / f"phone-{name.lower()}")
