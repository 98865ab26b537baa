"""What was promised: kept by whoever deposits and collects, and held against the gateway later."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from wire.ids import ParcelId
from wire.parcel import Parcel


@dataclass
class Ledger:
    """Parcels by what the gateway has said about them."""

    offered: dict[ParcelId, Parcel] = field(default_factory=dict)
    """Sent, whatever the answer was."""
    stored: set[ParcelId] = field(default_factory=set)
    """The gateway said that it has them."""
    refused: set[ParcelId] = field(default_factory=set)
    """The gateway said that it does not, and never said the contrary."""
    gone: set[ParcelId] = field(default_factory=set)
    """The gateway heard, and said so, that every device has them."""
    let_go: set[ParcelId] = field(default_factory=set)
    """A device said that it has them and heard no answer: they may come again, or not."""
    _answered: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, parcels: Iterable[Parcel]) -> None:
        """Note what is about to be sent; under one id the first is the one that counts."""
        for one in parcels:
            self.offered.setdefault(one.id, one)

    def answer(self, parcel: ParcelId, *, stored: bool) -> None:
        """Note what the gateway said."""
        self._answered.set()
        if stored:
            self.stored.add(parcel)
            self.refused.discard(parcel)
        elif parcel not in self.stored:
            self.refused.add(parcel)

    async def until_stored(self, count: int) -> None:
        """Return as soon as the gateway has said of `count` parcels that it has them."""
        while len(self.stored) < count:
            self._answered.clear()
            await self._answered.wait()

    def copy(self) -> "Ledger":
        """Return the ledger of a copy of the gateway: it owes the same, and goes its own way."""
        return Ledger(
            dict(self.offered),
            set(self.stored),
            set(self.refused),
            set(self.gone),
            set(self.let_go),
        )

    @property
    def owed(self) -> set[ParcelId]:
        """What must be there when somebody collects."""
        return self.stored - self.gone - self.let_go

    @property
    def possible(self) -> set[ParcelId]:
        """What may be there: whatever was sent and neither refused nor collected."""
        return set(self.offered) - self.gone - self.refused
