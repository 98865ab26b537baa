"""What all peers have in common: a process in a folder, ended by its id."""

import signal
from pathlib import Path

from bench.links import Address
from bench.processes import Running, free_port


class Server:
    """A peer's process.

    Args:
        folder: of its own.
        processor: on which it runs.
    """

    def __init__(self, folder: Path, *, processor: int | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.address = Address(free_port(), tls=False)
        self.processor = processor
        self.process: Running | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        if self.process is None:
            raise RuntimeError("it was not started")
        return self.process.pid

    async def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            await self.process.end(signal.SIGKILL)
            self.process = None
