"""Which connections a process has opened itself, seen from outside. Source: proc(5), /proc/net/tcp.

The gateway waits for phones and calls nobody; a connection whose end at the gateway is not one of
the ports it listens on was opened by the gateway.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

LOOK_EVERY: Final = 0.02
"""Seconds between two looks; a connection with a TLS handshake lives longer."""
_LISTEN: Final = "0A"


@dataclass(frozen=True, slots=True)
class Ends:
    """A TCP socket: both ends as the kernel writes them, in hex."""

    here: str
    there: str
    listens: bool

    @property
    def port(self) -> str:
        """The port at this end, in hex."""
        return self.here.rpartition(":")[2]


def sockets_of(pid: int) -> list[Ends]:
    """Return the TCP sockets of a process; none if it has ended."""
    owned = set()
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                owned.add(os.readlink(entry.path))
    found = []
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                parts = line.split()
                if f"socket:[{parts[9]}]" in owned:
                    found.append(Ends(parts[1], parts[2], parts[3] == _LISTEN))
    return found


@dataclass
class Calls:
    """Connections that a process was seen to open."""

    opened: set[Ends] = field(default_factory=set)
    looks: int = 0

    def look(self, pid: int) -> None:
        """Take note of what is open just now."""
        ends = sockets_of(pid)
        ports = {one.port for one in ends if one.listens}
        self.opened |= {one for one in ends if not one.listens and one.port not in ports}
        self.looks += 1


@asynccontextmanager
async def calls_of(pid: int) -> AsyncIterator[Calls]:
    """Look again and again which connections a process opens, until the block ends."""
    calls = Calls()

    async def keep_looking() -> None:
        while True:
            calls.look(pid)
            await asyncio.sleep(LOOK_EVERY)

    task = asyncio.create_task(keep_looking())
    try:
        yield calls
    finally:
        task.cancel()
        calls.look(pid)
