"""Plays one row and says how it went."""

import time
from dataclasses import dataclass
from typing import Any

from demo.stage import StepFailed
from peer.errors import PeerError
from tests.essay.ledger import Ledger, Measure, Row
from tests.essay.memory import MemoryUnreadable
from tests.essay.rows import (
    adding,
    centralised,
    devices,
    federated,
    forced,
    lasting,
    lost,
    peer_to_peer,
    stolen,
    zero_knowledge,
)
from tests.essay.scene import scene

__all__ = ["Played", "play"]

ROOMS = (
    centralised,
    lasting,
    devices,
    adding,
    peer_to_peer,
    federated,
    forced,
    zero_knowledge,
    lost,
    stolen,
)
"""Where the rows are; importing them enters them into the list."""


@dataclass(frozen=True, slots=True)
class Played:
    """A row after it was played."""

    row: Row
    measures: tuple[Measure, ...]
    passed: bool
    seconds: float
    trouble: str = ""
    """Why it could not be played to its end."""

    def to_json(self) -> dict[str, Any]:
        """Return everything in a form for programs."""
        measures = [
            {"what": one.what, "seen": one.seen, "passed": one.passed} for one in self.measures
        ]
        return {
            "row": self.row.id,
            "passed": self.passed,
            "seconds": round(self.seconds, 1),
            "measures": measures,
            "trouble": self.trouble or None,
        }


async def play(row: Row, *, short: bool, seed: int) -> Played:
    """Play a row; what keeps it from its end makes it fail, and is told."""
    ledger, trouble, began = Ledger(), "", time.monotonic()
    try:
        async with scene(ledger, short=short, seed=seed) as stage:
            await row.run(stage)
    except (StepFailed, MemoryUnreadable, PeerError) as error:
        trouble = str(error)
    seconds = time.monotonic() - began
    return Played(
        row, tuple(ledger.measures), ledger.passed and not trouble, seconds, trouble=trouble
    )
