"""A gateway that kills itself at one moment of a wake, for `test_killed.py`.

    python -m tests.gateway.push.killed FOLDER MOMENT

Every push is a line in FOLDER/pushes, written before the push service is said to have taken it.
"""

import asyncio
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Final

from gateway.mailbox.store import MailboxStore
from gateway.push.outcomes import KEEP_SECONDS, Outcome, Taken
from gateway.push.pending import PendingWakes
from gateway.push.store import PushStore
from gateway.push.waking import Message, Waking
from tests.gateway.hands import Hands
from tests.gateway.mailbox.house import GATEWAY, House, open_house, parcel, prove
from tests.gateway.push.service import Receiver
from wire.pushes import Address

MOMENTS: Final = ("stored", "pushing", "pushed")
"""Moments at which it dies; at any other word it goes on to the end."""


class Paper:
    """A push service that writes down what it gets, and where the process ends."""

    key = bytes(65)

    def __init__(self, folder: Path, moment: str) -> None:
        self._path = folder / "pushes"
        self._moment = moment

    def check(self, address: Address) -> str:
        """Take every address."""
        return "https://push.example.net"

    async def send(self, address: Address, message: Message, token: bytes = b"") -> Outcome:
        """Write a push down."""
        if message is Message.CONFIRM:
            return Taken(KEEP_SECONDS)
        if self._moment == "pushing":
            die()
        with self._path.open("a") as file:
            file.write(f"{message.name}\n")
        if self._moment == "pushed":
            die()
        return Taken(KEEP_SECONDS)


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


async def run(folder: Path, moment: str) -> None:
    """Open the gateway's store, deposit a letter if it is new, and wake the phone."""
    fresh = not (folder / "store").exists()
    async with open_house(folder / "store", hands=Hands()) as house:
        pending = PendingWakes()
        mailbox = MailboxStore(house.database, clock=house.clock, gateway=GATEWAY, beside=pending)
        house.store = mailbox
        pushes = PushStore(house.database, clock=house.clock, pending=pending)
        waking = Waking(
            pushes,
            provider=Paper(folder, moment),
            still_waits=mailbox.waits,
            clock=house.hands,
            steady=house.clock,
        )
        async with waking.running():
            if fresh:
                await _deposit(house, pushes, waking, moment)
            await waking.settled()


async def _deposit(house: House, pushes: PushStore, waking: Waking, moment: str) -> None:
    seat = await house.seat()
    device = await house.device(seat)
    receiver = Receiver(f"https://push.example.net/{secrets.token_hex(4)}")
    token = await pushes.propose(seat, device, receiver.address)
    assert token is not None
    await waking.confirm(device, token)
    lane = await house.lane(seat)
    done = await house.store.deposit_all([prove(lane, parcel(lane))])
    if moment == "stored":
        die()
    waking.arrived(done.arrived)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2]))
