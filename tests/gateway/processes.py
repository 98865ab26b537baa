"""Real gateway processes, and a phone that talks to them over TLS."""

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from gateway.control_client import ControlClient, NotRunning
from tests.gateway.phones import asks
from wire.auth import Channel
from wire.codes import GatewayCode
from wire.pairing import PairAnswer, PairingState, PairRequest

PROJECT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "gateway.cli")
PATIENCE = 30.0


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str


@dataclass
class Process:
    """A gateway that runs."""

    data: Path
    process: asyncio.subprocess.Process
    log: Path
    port: int = 0

    async def command(self, *words: str, stdin: str = "") -> Done:
        """Run a command against this gateway."""
        return await run(*words, "--data", str(self.data), stdin=stdin)

    async def json(self, *words: str) -> Any:
        """Run a command that must succeed; return its answer."""
        done = await self.command(*words, "--json")
        assert done.status == 0, done
        return json.loads(done.out)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; return the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    def logged(self) -> str:
        """Return what it wrote on stderr."""
        return self.log.read_text()


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a new process, without settings of ours."""
    kept = {key: one for key, one in os.environ.items() if not key.startswith("HOMEPOST_")}
    return {**kept, "PYTHONPATH": str(PROJECT), **more}


async def run(*words: str, stdin: str = "", **more: str) -> Done:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(**more),
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate(stdin.encode())
    return Done(process.returncode or 0, out.decode(), err.decode())


@asynccontextmanager
async def started(folder: Path, *words: str, **more: str) -> AsyncIterator[Process]:
    """Start a gateway on a free port of 127.0.0.1 and stop it at the end."""
    log = folder / "stderr"
    data = folder / "data"
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *("serve", "--data", str(data), "--listen", "127.0.0.1", "--port", "0"),
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            env=environment(**more),
        )
    gateway = Process(data, process, log)
    try:
        gateway.port = await _port(gateway)
        yield gateway
        await gateway.stop()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _port(gateway: Process) -> int:
    """Return the port once the gateway answers."""
    async with asyncio.timeout(PATIENCE):
        while True:
            assert gateway.process.returncode is None, gateway.logged()
            try:
                port: int = (await ControlClient(gateway.data).ask("GET", "/status"))["port"]
            except NotRunning:
                await asyncio.sleep(0.02)
            else:
                return port


@dataclass
class Call:
    """A phone's connection to a gateway."""

    session: aiohttp.ClientSession
    base: str
    certificate: bytes

    async def ask(self, request: PairRequest, *, wait: int = 0) -> PairAnswer:
        """Send a pairing request that must be answered."""
        url = f"{self.base}/v1/pair?wait={wait}"
        async with self.session.post(url, data=request.encode()) as response:
            assert response.status == 200, await response.text()
            return PairAnswer.decode(await response.read())

    async def get(self, path: str) -> tuple[int, Any]:
        """Ask for something in JSON."""
        async with self.session.get(f"{self.base}{path}") as response:
            return response.status, await response.json()


@asynccontextmanager
async def call(gateway: Process) -> AsyncIterator[Call]:
    """Connect as a phone does for the first time, and read the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, ssl=context)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Call(session, f"https://127.0.0.1:{gateway.port}", certificate)


async def pair_phone(gateway: Process) -> PairRequest:
    """Pair a new phone through the control socket; return its request."""
    owner = ControlClient(gateway.data)
    shown = await owner.ask("POST", "/pair", body={})
    code = GatewayCode.parse(shown["code"])
    async with call(gateway) as phone:
        channel = Channel.over(code.gateway, certificate=phone.certificate)
        request = asks(code, channel=channel)
        await phone.ask(request)
        await owner.ask("POST", f"/pair/{shown['id']}", body={"same": True})
        answer = await phone.ask(replace(request, confirmed=True))
    assert answer.state is PairingState.PAIRED
    return request
