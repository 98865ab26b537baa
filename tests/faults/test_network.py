"""Networks that lose answers, cut connections, change bits and bring everything twice."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest

from tests.essay.phones import Pocket
from tests.essay.sockets import sockets_of
from tests.faults.adapter import Box, Handset, Sender, letters, open_box
from tests.faults.conftest import Amount
from tests.faults.connection import NoAnswer, Refused
from tests.faults.here import patience, times
from tests.faults.oracle import check_bounds, check_disk, collect_and_check, memory
from tests.faults.tools.bad_line import bad_line
from tests.faults.tools.faketime import LeapingClock, leaping_clock
from tests.faults.tools.proxy import Fault, Proxy, proxy
from tests.gateway.eventually import eventually
from wire.frames import MAX_PARCELS, Bye, Ping, Result, Resume, decode_frame, encode_frame
from wire.parcel import MAX_BODY, Parcel

T = TypeVar("T")

pytestmark = pytest.mark.timeout(patience())


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        await opened.start()
        yield opened


@pytest.fixture
async def phone(box: Box) -> Handset:
    return await box.enrol()


@pytest.fixture
async def network(box: Box) -> AsyncIterator[Proxy]:
    async with proxy(box.port) as made:
        yield made


async def check_at_last(box: Box, phone: Handset) -> None:
    """Collect everything, stop, and look whether all of it was as promised."""
    await collect_and_check(box, phone)
    check_bounds(box)
    assert await box.stop() == 0
    check_disk(box)


async def test_nf_01_a_deposit_whose_answer_was_lost_is_stored_once(
    box: Box, phone: Handset, network: Proxy
) -> None:
    """NF-01: the deposit arrives, its answer does not; asking again gives the same answer."""
    sender = await phone.sender()
    through = await box.sender(sender.lane, port=network.port)
    for _ in range(times(5, long=100)):
        parcels = letters(sender.lane, 3)
        headers = await sender.connection.opening(sender.lane)
        await through.connection.nonce()  # the connection is open: what comes down is the answer
        box.ledger.offer(parcels)
        network.fault = Fault(lose_reply=True)
        with pytest.raises(NoAnswer):
            await through.connection.ask(
                "POST", "/v1/deposit", sender.frame(parcels), headers=headers
            )
        assert network.fault.struck
        network.fault = Fault()

        again = [await one.deposit(parcels) for one in (through, sender, through)]

        assert again == [[Result.STORED] * 3] * 3

    found = await collect_and_check(box, phone)
    assert [one.seq for one in found] == list(range(1, len(box.ledger.offered) + 1))


async def test_nf_02_an_upload_that_breaks_off_leaves_nothing(
    box: Box, phone: Handset, network: Proxy
) -> None:
    """NF-02: reset somewhere in an upload of 1 MiB; nothing is seen of it, and nothing left."""
    sender = await phone.sender()
    through = await box.sender(sender.lane, port=network.port)
    [large] = letters(sender.lane, 1, size=MAX_BODY)
    files = {one.name for one in box.data.iterdir()}
    start = memory(box.pid)
    step = MAX_BODY // times(12, long=1024)
    for after in range(300, MAX_BODY, step):
        headers = await sender.connection.opening(sender.lane)
        await through.connection.nonce()
        network.fault = Fault(reset_after=after)
        with pytest.raises(NoAnswer):
            await through.connection.ask(
                "POST", "/v1/deposit", sender.frame([large]), headers=headers
            )
        assert network.fault.struck
        network.fault = Fault()

    assert await phone.fetch() == ()
    assert {one.name for one in box.data.iterdir()} <= files
    assert memory(box.pid) - start < 32 << 20
    assert await through.deposit([large]) == [Result.STORED]
    await check_at_last(box, phone)


async def until_it_fails(sender: Sender, parcels: list[Parcel]) -> None:
    """Deposit the same a few times: in the handshake, the challenge, the request, the answer."""
    for _ in range(8):
        await sender.deposit(parcels)


async def test_nf_09_a_bit_that_changed_on_the_way_is_noticed(
    box: Box, phone: Handset, network: Proxy
) -> None:
    """NF-09: one bit flips, up or down, in the handshake or after it; retried, it arrives."""
    sender = await phone.sender()
    size = len(sender.frame(letters(sender.lane, 1))) + 300
    for n in range(times(24, long=400)):
        through = await box.sender(sender.lane, port=network.port)
        [letter] = letters(sender.lane, 1)
        at = n * 37 % size
        network.fault = Fault(flip_up=at) if n % 2 else Fault(flip_down=at)
        with pytest.raises(NoAnswer):
            await until_it_fails(through, [letter])
        assert network.fault.struck
        network.fault = Fault()

        assert await through.deposit([letter]) == [Result.STORED]

    await check_at_last(box, phone)


async def test_nf_10_deposits_that_come_again_and_shuffled_are_stored_once(
    box: Box, phone: Handset
) -> None:
    """NF-10: one deposit a hundred times, others in any order; each once, each sender in order."""
    sender = await phone.sender()
    [first] = letters(sender.lane, 1)
    senders = [await box.sender(sender.lane) for _ in range(4)]

    async def repeat(one: Sender) -> None:
        for _ in range(times(25, long=250)):
            assert await one.deposit([first]) == [Result.STORED]

    await asyncio.gather(*map(repeat, senders))
    shuffled = letters(sender.lane, times(200, long=1000)) * 2
    random.Random(20).shuffle(shuffled)  # noqa: S311  # the same order every time
    frames = [shuffled[n : n + 7] for n in range(0, len(shuffled), 7)]
    for frame in frames:
        assert set(await sender.deposit(frame)) == {Result.STORED}
    in_order = letters(sender.lane, MAX_PARCELS)
    for one in in_order:
        await sender.deposit([one])

    found = await collect_and_check(box, phone)
    assert [one.seq for one in found] == list(range(1, len(box.ledger.offered) + 1))
    assert found[0].parcel == first
    assert [one.parcel for one in found][-MAX_PARCELS:] == in_order
    earliest = dict.fromkeys(one.id for one in shuffled)  # as each was first handed in
    assert [one.parcel.id for one in found][1:-MAX_PARCELS] == list(earliest)


async def test_nf_10_a_deposit_that_is_repeated_whole_is_refused(box: Box, phone: Handset) -> None:
    """NF-10: who records a request and sends it again gets nothing, not even the answer."""
    sender = await phone.sender()
    parcels = letters(sender.lane, 1)
    headers = await sender.connection.opening(sender.lane)
    box.ledger.offer(parcels)
    await sender.connection.must("POST", "/v1/deposit", sender.frame(parcels), headers=headers)

    with pytest.raises(Refused, match="challenge-stale"):
        await sender.connection.must("POST", "/v1/deposit", sender.frame(parcels), headers=headers)

    found = await phone.drain()
    assert [one.parcel for one in found] == parcels


def is_held(pid: int, port: int) -> bool:
    """Return whether a process has a connection that comes from a port."""
    return any(one.there.endswith(f":{port:04X}") for one in sockets_of(pid))


async def nudge(box: Box) -> None:
    """Ask for something on a new connection: those that were idle are over when time has leapt.

    A new one is, too, if time leaps between its beginning and the request.
    """
    connection = await box.connect()
    with suppress(NoAnswer):
        await connection.nonce()
    await connection.close()


async def nudge_until(clock: LeapingClock, box: Box, ends: asyncio.Future[T]) -> T:
    """Let time leap until something comes of it: a process looks at the clock when it is asked."""
    async with asyncio.timeout(30):
        while not ends.done():
            await nudge(box)
            await asyncio.wait({ends}, timeout=0.05)
    return ends.result()


async def test_nf_06_a_phone_that_is_frozen_is_let_go_and_others_are_not_harmed(
    tmp_path: Path,
) -> None:
    """NF-06: stopped with its mailbox open: a Ping, a minute, and it is out; polls go on."""
    clock = leaping_clock(tmp_path)
    async with open_box(tmp_path / "box") as box:
        await box.start(environment=clock.environment())
        frozen, phone = await box.enrol(), await box.enrol()
        live = await frozen.live()
        port = live.get_extra_info("sockname")[1]
        assert is_held(box.pid, port)

        clock.leap(31)
        await nudge(box)
        await phone.reconnect()
        sender = await phone.sender()
        pinged = asyncio.ensure_future(live.receive())
        assert decode_frame((await nudge_until(clock, box, pinged)).data) == Ping()
        waiting = asyncio.create_task(phone.fetch(wait=25))
        await nudge(box)
        await sender.deposit(letters(sender.lane, 1))
        assert len(await waiting) == 1
        clock.leap(31)
        ended = asyncio.ensure_future(live.receive())
        assert decode_frame((await nudge_until(clock, box, ended)).data) == Bye("too-slow")
        assert (await live.receive()).type is aiohttp.WSMsgType.CLOSE

        await eventually(lambda: not is_held(box.pid, port))
        await nudge(box)
        await phone.reconnect()
        await collect_and_check(box, phone)
        check_bounds(box)


async def test_nf_06_a_phone_that_stops_reading_in_the_middle_is_let_go(tmp_path: Path) -> None:
    """NF-06: frozen while a full mailbox is being sent: memory stays flat, soon it is out."""
    clock = leaping_clock(tmp_path)
    async with open_box(tmp_path / "box") as box:
        await box.start(environment=clock.environment())
        phone = await box.enrol()
        sender = await phone.sender()
        for _ in range(12):
            await sender.deposit(letters(sender.lane, 1, size=MAX_BODY))
        start = memory(box.pid)
        with await freeze_in_the_middle(phone) as frozen:
            port = frozen.getsockname()[1]
            assert is_held(box.pid, port)
            assert memory(box.pid) - start < 32 << 20
            clock.leap(31)
            async with asyncio.timeout(30):
                while is_held(box.pid, port):
                    await nudge(box)

        await nudge(box)
        await phone.reconnect()
        await collect_and_check(box, phone)
        check_bounds(box)


async def freeze_in_the_middle(phone: Handset) -> socket.socket:
    """Ask for a mailbox and read one byte of it, as a phone does whose battery died."""
    connection, body = phone.connection, encode_frame(Resume(phone.cursor))
    fields = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **await phone.auth()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    head = f"POST /v1/mailbox/collect HTTP/1.1\r\n{lines}\r\n"

    def ask() -> socket.socket:
        bare = socket.create_connection(("127.0.0.1", connection.port))
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made = connection.tls.wrap_socket(bare)
        made.sendall(head.encode() + body)
        made.recv(1)
        return made

    return await asyncio.to_thread(ask)


async def test_nf_03_letters_get_through_a_line_that_loses_a_third(
    tmp_path: Path, amount: Amount
) -> None:
    """NF-03: 30 % of the packets are lost each way, 256 kbit/s: every letter is shown, once."""
    count = times(8, long=200)
    texts = [f"letter {number}" for number in range(count)]
    async with bad_line() as line, open_box(tmp_path / "box") as box, AsyncExitStack() as ends:
        box.host = line.box
        await box.start(under=line.inside)
        anna, ben = (Pocket(name, tmp_path / name) for name in ("Anna", "Ben"))
        for one in (anna, ben):
            ends.push_async_callback(one.off)
            await one.pair(box)
        await anna.meet(ben)
        await line.spoil(loss=30, kbit=256)

        shown = list[str]()
        waiting = await anna.write("Ben", texts)
        async with asyncio.timeout(20 * count):
            while waiting or len(shown) < count:
                anna.days += 1 / 24  # so that what waits is due
                waiting = await (await anna.on()).try_outbox()
                shown += await ben.texts()
        lost = await line.lost()

    assert sorted(shown) == sorted(texts)
    assert lost > count
    amount(f"{count} letters, {lost} packets lost")
