"""Deposits of one connection on their way to the disk."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gateway.mailbox import intake
from gateway.mailbox.framed import Framed
from gateway.mailbox.intake import BYTES, FRAMES, Intake
from gateway.mailbox.store import Deposited
from tests.gateway.eventually import eventually
from tests.gateway.mailbox.house import GATEWAY, parcel, prove
from tests.gateway.mailbox.test_framed import Socket
from wire.frames import (
    MAX_OUTCOMES,
    MAX_PARCELS,
    Bye,
    Deposit,
    Outcome,
    Ping,
    Proved,
    Result,
    Results,
    encode_frame,
)
from wire.lanes import LaneSecret

LANE = LaneSecret(bytes(32)).at(GATEWAY)


@dataclass
class Slow:
    """A store that decides when it is told to."""

    handed: list[tuple[tuple[Proved, ...], Callable[[Deposited], None]]] = field(
        default_factory=list
    )

    def hand_in(self, parcels: tuple[Proved, ...], answer: Callable[[Deposited], None]) -> None:
        self.handed.append((parcels, answer))

    def decide(self, *numbers: int) -> None:
        """Say of some frames that they are stored."""
        for number in numbers:
            parcels, answer = self.handed[number]
            answer(
                Deposited(tuple(Outcome(one.parcel.id, Result.STORED, 0) for one in parcels), ())
            )


@dataclass
class Taking:
    """An intake at work."""

    socket: Socket
    store: Slow
    task: asyncio.Task[None]

    def send(self, tag: int, *, count: int = 1, size: int = 256) -> None:
        proved = tuple(prove(LANE, parcel(LANE, size=size)) for _ in range(count))
        self.socket.incoming.put_nowait(encode_frame(Deposit(tag, proved)))

    async def until_handed(self, count: int) -> None:
        await eventually(lambda: len(self.store.handed) == count)

    async def until_answered(self, count: int) -> list[object]:
        await eventually(lambda: len(self.socket.sent) == count)
        return self.socket.frames

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def begin() -> Taking:
    socket, store = Socket(), Slow()
    running = asyncio.create_task(Intake(Framed(socket), store.hand_in).run())
    return Taking(socket, store, running)


def told(frame: object) -> tuple[int, int]:
    """Return the tag and the number of outcomes of an answer."""
    assert isinstance(frame, Results)
    return frame.tag, len(frame.outcomes)


async def test_the_next_frame_is_taken_before_the_last_is_decided() -> None:
    taking = await begin()
    for tag in range(3):
        taking.send(tag)

    await taking.until_handed(3)

    assert taking.socket.sent == []
    await taking.stop()


async def test_what_was_decided_together_is_answered_in_one_frame() -> None:
    taking = await begin()
    for tag in range(3):
        taking.send(tag, count=2)
    await taking.until_handed(3)

    taking.store.decide(0, 1, 2)

    [answer] = await taking.until_answered(1)
    assert told(answer) == (2, 6)
    assert isinstance(answer, Results)
    sent = [one.parcel.id for parcels, _ in taking.store.handed for one in parcels]
    assert [one.parcel for one in answer.outcomes] == sent
    await taking.stop()


async def test_answers_keep_the_order_whatever_is_decided_first() -> None:
    taking = await begin()
    for tag in range(3):
        taking.send(tag)
    await taking.until_handed(3)

    taking.store.decide(1)
    taking.send(3)
    await taking.until_handed(4)
    assert taking.socket.sent == []
    taking.store.decide(0)

    assert [told(one) for one in await taking.until_answered(1)] == [(1, 2)]
    taking.store.decide(2, 3)
    assert [told(one) for one in await taking.until_answered(2)] == [(1, 2), (3, 2)]
    await taking.stop()


async def test_one_answer_holds_only_so_much() -> None:
    taking = await begin()
    frames = MAX_OUTCOMES // MAX_PARCELS + 1
    for tag in range(frames):
        taking.send(tag, count=MAX_PARCELS)
    await taking.until_handed(frames)

    taking.store.decide(*range(frames))

    answers = [told(one) for one in await taking.until_answered(2)]
    assert answers == [(frames - 2, MAX_OUTCOMES), (frames - 1, MAX_PARCELS)]
    await taking.stop()


@pytest.mark.parametrize(("size", "most"), [(256, FRAMES), (1 << 20, BYTES >> 20)])
async def test_only_so_much_is_on_its_way_and_then_some_more(size: int, most: int) -> None:
    taking = await begin()
    for tag in range(most + 2):
        taking.send(tag, size=size)
    await taking.until_handed(most)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(taking.store.handed) == most

    taking.store.decide(0, 1)

    await taking.until_handed(most + 2)
    await taking.stop()


async def test_another_frame_ends_it() -> None:
    taking = await begin()
    taking.socket.incoming.put_nowait(encode_frame(Ping()))
    await taking.task

    assert taking.socket.frames == [Bye("malformed")]


async def test_whoever_waits_for_the_disk_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "IDLE_SECONDS", 0.05)
    taking = await begin()
    taking.send(1)
    await taking.until_handed(1)
    done, _ = await asyncio.wait({taking.task}, timeout=0.3)
    assert not done

    taking.store.decide(0)
    await asyncio.wait_for(taking.task, 10)

    assert [type(one) for one in taking.socket.frames] == [Results, Bye]
    assert taking.socket.frames[-1] == Bye("too-slow")


async def test_what_is_decided_after_the_end_troubles_nobody() -> None:
    taking = await begin()
    taking.send(1)
    await taking.until_handed(1)
    await taking.stop()

    taking.store.decide(0)

    assert taking.socket.sent == []
