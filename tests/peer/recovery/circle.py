"""Somebody whose friends keep shares, for tests of coming back with their help."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from peer.recovery.asking import Asking
from tests.peer.household import Box, Household, Phone, befriend, household
from wire.codes import AnswerCode

NAMES = ("Ben", "Cleo", "Dan", "Eve")


@dataclass
class Circle:
    """Ana, whose four friends keep shares, at one box."""

    house: Household
    box: Box
    ana: Phone
    friends: dict[str, Phone]

    async def settle(self) -> None:
        """Let everybody collect, twice: an answer goes back."""
        for _ in range(2):
            for phone in (*self.friends.values(), self.ana):
                await phone.peer.read_quietly()

    def helps(self, name: str, asking: Asking) -> AnswerCode:
        """Let a friend compare, and hand out the share."""
        friend, progress = self.friends[name].peer.friends, asking.begin()
        contact, number = friend.may_help("Ana", progress.code)
        assert number == progress.number
        return friend.help(contact, progress.code)


@asynccontextmanager
async def open_circle(folder: Path) -> AsyncIterator[Circle]:
    """Give Ana with her friends, and end everything afterwards."""
    async with household(folder) as house:
        box = await house.box()
        ana = await house.phone("Ana", box)
        friends = {name: await house.phone(name, box) for name in NAMES}
        for friend in friends.values():
            await befriend(friend, ana)  # a seat has three slots in ten minutes
        chosen, need = ana.peer.friends.look_up(NAMES, None)
        await ana.peer.friends.choose(chosen, need=need, seed=None)
        circle = Circle(house, box, ana, friends)
        await ana.peer.try_outbox()
        await circle.settle()
        yield circle
