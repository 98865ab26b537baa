"""How the gateway is: what an owner sees without looking into anybody's mailbox."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from gateway.clock import BUILD_DATE, Clock
from gateway.sync.seats import Seat
from wire.ids import GatewayId
from wire.places import Place


def version() -> str:
    """Return the version of this program."""
    try:
        return metadata.version("homepost")
    except metadata.PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that the data folder lies on."""

    free_bytes: int
    total_bytes: int
    used_bytes: int
    """By the files in the data folder."""


def read_disk(folder: Path) -> Disk:
    """Return how full the disk is; zeros if it cannot be asked."""
    try:
        space = os.statvfs(folder)
        used = sum(one.stat().st_size for one in folder.iterdir() if one.is_file())
    except OSError:
        return Disk(0, 0, 0)
    return Disk(space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize, used)


@dataclass(frozen=True, slots=True)
class Running:
    """What does not change while one process serves."""

    gateway: GatewayId
    data: Path
    clock: Clock
    places: Callable[[], Sequence[Place]]
    started: float
    """Monotonic seconds."""

    def report(
        self, seats: Sequence[Seat], *, port: int, damage: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return the answer of `GET /status` (docs/openapi.json).

        Args:
            seats: all of them.
            port: where phones reach it.
            damage: what was found damaged lately and put aside, in sentences.
        """
        now = self.clock.now()
        return {
            "version": version(),
            "gateway": self.gateway.text,
            "data": str(self.data),
            "port": port,
            "places": [str(place) for place in self.places()],
            "uptime_seconds": int(self.clock.monotonic() - self.started),
            "seats": len(seats),
            "waiting": sum(seat.waiting for seat in seats),
            "waiting_bytes": sum(seat.used_bytes for seat in seats),
            "unconfirmed": sum(seat.unconfirmed for seat in seats),
            "damage": list(damage),
            "disk": asdict(read_disk(self.data)),
            "clock": {
                "state": "plausible" if now >= BUILD_DATE else "unset",
                "now": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            },
        }
