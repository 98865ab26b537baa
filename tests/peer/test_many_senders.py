"""Fifty commands at once beside one that watches: several processes share a phone's file."""

import pytest

from demo.meeting import befriend, pair
from demo.stage import Phone, stage

SENDERS = 50
HANGS = 900.0
"""Seconds that would be a hang: starting Python fifty times is what takes the time."""


@pytest.mark.timeout(HANGS)
async def test_fifty_letters_sent_at_once_beside_a_watch_arrive_each_once() -> None:
    async with stage() as theatre:
        box, anna, ben = theatre.box("box"), theatre.phone("Anna"), theatre.phone("Ben")
        await box.start()
        for phone in (anna, ben):
            await phone.run("new", "--name", phone.name)
            await pair(box, phone)
        await befriend(anna, ben)
        hers, his = await anna.start("watch"), await ben.start("watch")
        for watching in (hers, his):
            await watching.event("here")

        sending = [await anna.start("send", "Ben", f"letter {n}") for n in range(SENDERS)]
        states = [(await one.rest())[-1]["state"] for one in sending]
        sent = [await one.end() for one in sending]
        texts = [(await his.event("letter"))["text"] for _ in range(SENDERS)]
        ends = [await watching.stop() for watching in (hers, his)]
        more = (await ben.run("read"))["letters"]

        assert sent == [0] * SENDERS
        assert set(states) == {"at Ben’s gateway"}
        assert sorted(texts) == sorted(f"letter {number}" for number in range(SENDERS))
        assert more == []
        assert ends == [0, 0]
        assert await _waiting(anna) == 0


async def _waiting(phone: Phone) -> int:
    waiting: int = (await phone.run("status"))["waiting"]
    return waiting
