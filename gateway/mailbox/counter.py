"""Takes deposits and tells whom they concern; whoever hung up meanwhile changes nothing of that."""

import asyncio
from collections.abc import Sequence

from gateway.mailbox.live import Lines
from gateway.mailbox.store import MailboxStore
from wire.frames import Outcome, Proved


class Counter:
    """Where parcels are handed in.

    Args:
        store: where they are stored.
        lines: who is told.
    """

    def __init__(self, store: MailboxStore, lines: Lines) -> None:
        self._store = store
        self._lines = lines
        self._running: set[asyncio.Task[tuple[Outcome, ...]]] = set()

    async def take(self, parcels: Sequence[Proved]) -> tuple[Outcome, ...]:
        """Store parcels; return what became of each, once it is on disk.

        The work goes on when the caller is cancelled: the recipient is told of what was stored
        although whoever deposited it has hung up.
        """
        task = asyncio.create_task(self._take(parcels))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _take(self, parcels: Sequence[Proved]) -> tuple[Outcome, ...]:
        deposited = await self._store.deposit_all(parcels)
        self._lines.arrived(deposited.arrived)
        return deposited.outcomes
