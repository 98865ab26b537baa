"""A mailbox on its way to a device that is connected, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.mailbox import framed, live
from tests.gateway.eventually import eventually
from tests.gateway.served import LiveLine, Served, at, letters, open_served
from wire import delivery
from wire.frames import NOWHERE, Ack, Cursor, Hello, Parcels, Ping, Pong, Result, Resume
from wire.ids import CursorEpoch, ParcelId


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


async def test_what_waits_comes_in_order_and_in_frames(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    sent = letters(lane, 150)
    anna = await served.visitor()
    for start in range(0, 150, 50):
        await anna.deposit(lane, *sent[start : start + 50])

    line = await bob.live()

    assert line.hello.newest == 150
    assert await line.collect(150) == list(range(1, 151))
    async with asyncio.timeout(5):
        while await bob.waiting():
            await line.send(Pong())


async def test_a_new_parcel_comes_at_once(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    line = await bob.live()

    [letter] = letters(lane, 1)
    await (await served.visitor()).deposit(lane, letter)

    found = await line.frame(Parcels)
    assert [one.parcel for one in found.parcels] == [letter]


async def test_no_more_is_sent_than_the_window_holds(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    anna = await served.visitor()
    for _ in range(2):
        await anna.deposit(lane, *letters(lane, 50))
    line = await bob.live()

    first = await line.frame(Parcels)
    with pytest.raises(TimeoutError):
        await line.any(within=0.3)
    assert [one.seq for one in first.parcels] == list(range(1, delivery.WINDOW + 1))
    await line.acknowledge(first)

    second = await line.frame(Parcels)
    assert [one.seq for one in second.parcels] == list(range(delivery.WINDOW + 1, 101))


async def test_a_device_that_comes_back_gets_what_it_has_not_acknowledged(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    await (await served.visitor()).deposit(lane, *letters(lane, 3))
    line = await bob.live()
    found = await line.frame(Parcels)
    await line.socket.close()

    again = await bob.live(at(line.hello.epoch, found))
    hello, rest = await bob.collect()

    assert not again.hello.reset
    assert rest.parcels == ()
    assert hello.newest == 3


async def test_a_cursor_that_proves_a_restore_is_told_so_and_everything_comes_again(
    served: Served,
) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    await (await served.visitor()).deposit(lane, *letters(lane, 2))
    epoch = (await bob.collect())[0].epoch

    line = await bob.live(Cursor(epoch, 99, ParcelId(b"x" * 16)))

    assert line.hello.reset
    assert line.hello.epoch != epoch
    assert await line.collect(2) == [1, 2]


async def test_a_device_of_another_epoch_starts_over(served: Served) -> None:
    bob = await served.enrolled()

    line = await bob.live(Cursor(CursorEpoch(b"e" * 16), 0, ParcelId(bytes(16))))

    assert line.hello.reset


async def test_the_newest_connection_of_a_device_replaces_the_older(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    old = await bob.live()
    new = await bob.live()

    assert await old.farewell() == "replaced"
    await (await served.visitor()).deposit(lane, *letters(lane, 1))
    assert await new.collect(1) == [1]


async def test_an_acknowledgement_of_what_was_never_sent_ends_the_line(served: Served) -> None:
    bob = await served.enrolled()
    line = await bob.live()

    await line.send(Ack(Cursor(line.hello.epoch, 5, ParcelId(b"x" * 16))))

    assert await line.farewell() == "ack-beyond-sent"


async def test_an_acknowledgement_of_another_parcel_ends_the_line(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    await (await served.visitor()).deposit(lane, *letters(lane, 1))
    line = await bob.live()
    await line.frame(Parcels)

    await line.send(Ack(Cursor(line.hello.epoch, 1, ParcelId(b"x" * 16))))

    assert await line.farewell() == "cursor-unknown"
    assert len((await bob.collect())[1].parcels) == 1


@pytest.mark.parametrize(
    "message", [b"", b"\x99", b"\x20" + bytes(6), b"\x10" + bytes(39), "text", b"\x13"]
)
async def test_a_first_message_that_is_no_resume_ends_the_line(
    served: Served, message: bytes | str
) -> None:
    bob = await served.enrolled()
    line = LiveLine(await bob.visitor.connect("/v1/mailbox", bob.auth))

    if isinstance(message, str):
        await line.socket.send_str(message)
    else:
        await line.socket.send_bytes(message)

    assert await line.farewell() == "malformed"


async def test_a_second_resume_ends_the_line(served: Served) -> None:
    bob = await served.enrolled()
    line = await bob.live()

    await line.send(Resume(NOWHERE))

    assert await line.farewell() == "malformed"


async def test_a_device_that_says_nothing_at_first_is_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FIRST_FRAME_SECONDS", 0.1)
    bob = await served.enrolled()
    line = LiveLine(await bob.visitor.connect("/v1/mailbox", bob.auth))

    assert await line.farewell() == "too-slow"


async def test_a_quiet_device_is_asked_and_then_given_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "QUIET", 0.0)
    monkeypatch.setattr(delivery, "ACK_TIMEOUT", 0.2)
    bob = await served.enrolled()
    line = await bob.live()
    await line.frame(Ping)
    served.hands.live(1)

    assert await line.farewell() == "too-slow"


async def test_a_device_that_takes_a_frame_over_a_slow_network_counts_as_there(
    served: Served,
) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    line = await bob.live()
    [inside] = served.gateway.front._lines._lines[bob.seat]
    served.hands.live(20)

    await (await served.visitor()).deposit(lane, *letters(lane, 1))
    await line.frame(Parcels)

    await eventually(lambda: inside._courier.due() == served.hands.steady + delivery.QUIET)


async def test_a_line_ends_when_the_gateway_does(served: Served) -> None:
    bob = await served.enrolled()
    line = await bob.live()

    served.gateway.close()

    assert await line.farewell() == "going-away"


async def test_a_device_that_stopped_reading_is_hung_up_on_all_the_same(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framed, "FAREWELL_SECONDS", 0.5)
    bob = await served.enrolled()
    lane = await bob.lane()
    anna = await served.visitor()
    for _ in range(12):
        await anna.deposit(lane, *letters(lane, 1, size=1 << 20))
    line = LiveLine(await bob.visitor.connect("/v1/mailbox", bob.auth))
    transport = line.socket._response.connection.transport  # type: ignore[union-attr]  # open
    await line.send(Resume(NOWHERE))
    transport.pause_reading()  # type: ignore[union-attr]  # open
    lines = served.gateway.front._lines
    await eventually(lambda: bool(lines._lines))
    await asyncio.sleep(0.3)

    async with asyncio.timeout(5):
        served.gateway.front.seat_removed(bob.seat)
        await eventually(lambda: not lines._lines)


async def test_a_parcel_stored_while_a_device_says_hello_is_not_missed(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    anna = await served.visitor()

    for _ in range(10):
        depositing = asyncio.create_task(anna.deposit(lane, *letters(lane, 1)))
        line = await bob.live()
        found = await line.frame(Parcels)
        assert await depositing == [Result.STORED]
        await line.acknowledge(found)
        await line.socket.close()


async def test_devices_of_one_seat_each_get_everything(served: Served) -> None:
    bob = await served.enrolled()
    other = await served.enrolled_beside(bob)
    lane = await bob.lane()
    lines = [await bob.live(), await other.live()]

    await (await served.visitor()).deposit(lane, *letters(lane, 5))

    assert [await line.collect(5) for line in lines] == [[1, 2, 3, 4, 5]] * 2
    assert isinstance(lines[0].hello, Hello)
