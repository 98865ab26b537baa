"""Keeps count of what phones write to each other: lost, shown twice, turned round, missed."""

from collections import defaultdict
from dataclasses import dataclass, field

from tests.essay.ledger import Ledger
from tests.essay.phones import Pocket

Way = tuple[str, str]
"""Who writes, and to whom."""


@dataclass
class Mail:
    """Letters between some phones, from when they were written until somebody saw them."""

    written: dict[Way, list[str]] = field(default_factory=lambda: defaultdict(list))
    arrived: dict[Way, list[str]] = field(default_factory=lambda: defaultdict(list))
    looks: int = 0
    away: int = 0
    """Looks at which the gateway did not answer."""
    waited: int = 0
    """Times that letters had to wait on the phone which wrote them."""
    missed: int = 0
    """Looks at which a phone knew that something was missing, though it was said to be stored."""

    async def write(self, sender: Pocket, to: Pocket, *, count: int = 1) -> int:
        """Let one phone write to another; return how many items then wait on it."""
        way = (sender.name, to.name)
        number = len(self.written[way])
        texts = [f"{sender.name} to {to.name}, {number + one}" for one in range(1, count + 1)]
        self.written[way] += texts
        waiting = await sender.write(to.name, texts)
        self.waited += waiting > 0
        return waiting

    async def look(self, phone: Pocket) -> bool:
        """Let a phone collect, and send what waits on it; return whether its gateway answered."""
        reading = await phone.read()
        self.looks += 1
        self.away += reading.away is not None
        self.missed += bool(reading.missing)
        for one in reading.letters:
            self.arrived[one.contact, phone.name].append(one.text)
        return reading.away is None

    async def settle(self, *phones: Pocket, at_most: int = 20) -> int:
        """Let all phones look until everything has arrived; return how often that took."""
        for turn in range(at_most):
            if not self.lost:
                return turn
            for phone in phones:
                await self.look(phone)
        return at_most

    @property
    def count(self) -> int:
        """How many letters were written."""
        return sum(map(len, self.written.values()))

    @property
    def lost(self) -> int:
        """How many of them nobody has seen."""
        return sum(len(set(texts) - set(self.arrived[way])) for way, texts in self.written.items())

    @property
    def doubled(self) -> int:
        """How many letters were shown that had been shown before."""
        return sum(len(texts) - len(set(texts)) for texts in self.arrived.values())

    @property
    def turned(self) -> int:
        """How many ways there are on which letters were shown in another order."""
        pairs = ((self.arrived[way], texts) for way, texts in self.written.items())
        return sum(
            [one for one in arrived if one in set(texts)]
            != [one for one in texts if one in set(arrived)]
            for arrived, texts in pairs
        )

    def report(self, ledger: Ledger) -> None:
        """Enter into the ledger that nothing was lost, doubled or turned round."""
        ledger.true("letters written", self.count > 0, self.count)
        ledger.equal("of them lost", self.lost, 0)
        ledger.equal("shown twice", self.doubled, 0)
        ledger.equal("directions in which they came in another order", self.turned, 0)
        ledger.equal("looks at which a letter said to be stored was missing", self.missed, 0)
