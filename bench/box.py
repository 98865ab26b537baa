"""Our gateway as its owner starts it: a process with a data folder, spoken to from outside."""

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.framing import request
from bench.links import Address, connect
from bench.processes import PROJECT, Running, free_port, listening, start
from bench.seats import Seat, pair

CONNECTIONS: Final = 4096
"""As many as the rows about idle connections need, and all from one address."""


class Box:
    """A gateway that may be stopped and started over the same data.

    Args:
        folder: of its own.
        tls: whether it is spoken to with TLS, or as by a proxy that ends TLS before it.
        processor: on which it runs.
    """

    def __init__(self, folder: Path, *, tls: bool = True, processor: int | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._tls = Address(free_port())
        self.address = self._tls if tls else Address(free_port(), tls=False)
        self.seats: list[Seat] = []
        self._processor = processor
        self._process: Running | None = None

    @property
    def door(self) -> Address:
        """Where it listens with TLS."""
        return self._tls

    @property
    def pid(self) -> int:
        """Its process."""
        if self._process is None:
            raise RuntimeError("it was not started")
        return self._process.pid

    async def start(
        self,
        *flags: str,
        under: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> float:
        """Start it; return the seconds until it answered that it stores.

        Args:
            flags: of `serve`.
            under: a command that runs it.
            environment: variables that it sees beside ours.
        """
        command = [*under, sys.executable, "-m", "gateway.cli", "serve", *self._flags(), *flags]
        # Compiled once, as where it is installed, whatever the shell that started us has set.
        ours = {"PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": ""}
        seen = {**ours, **(environment or {})}
        begun = time.perf_counter()
        self._process = start(
            command, folder=self.folder, processor=self._processor, environment=seen
        )
        await listening(self.address.port, self._process)
        link = await connect(self.address)  # its port is open before its store is
        await link.must(request("GET", "/healthz"))
        took = time.perf_counter() - begun
        link.close()
        return took

    def _flags(self) -> list[str]:
        many = str(CONNECTIONS)
        plain = [] if self.address.tls else ["--plain-port", str(self.address.port)]
        return [
            "--data", str(self.data), "--listen", "127.0.0.1", "--port", str(self._tls.port),
            "--connections", many, "--connections-per-address", many, "--log-level", "error",
            *plain,
        ]  # fmt: skip

    async def stop(self) -> None:
        """End it as the system does."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it as a power cut would, but for what the kernel still writes."""
        await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            await self._process.end(how)
            self._process = None

    async def furnish(self, count: int, *, lanes: int = 1) -> list[Seat]:
        """Pair phones of new persons, each of whom gives away some lanes; return the new seats."""
        for _ in range(count):
            seat = await pair(self.data, self._tls, address=self.address)
            await seat.mint(lanes)
            self.seats.append(seat)
        return self.seats[-count:]


@asynccontextmanager
async def open_box(
    folder: Path, *, tls: bool = True, processor: int | None = None
) -> AsyncIterator[Box]:
    """Give a gateway that was not started yet, and end whatever was started of it."""
    folder.mkdir(parents=True, exist_ok=True)
    box = Box(folder, tls=tls, processor=processor)
    try:
        yield box
    finally:
        await box.kill()


def disk_bytes(folder: Path) -> int:
    """Return how many bytes the files below a folder take on the disk."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(os.stat(path).st_blocks * 512 for path in files)
