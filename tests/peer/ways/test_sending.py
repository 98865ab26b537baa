"""What leaves a phone: never lost, never doubled, wherever it is killed and whatever answers."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import pytest

from gateway.sync.seats import Seats
from peer import sqlite
from peer.app import open_peer
from peer.items.kinds import Letter
from peer.store import Store
from peer.ways.outbox import FIRST_RETRY, LONGEST_RETRY
from peer.ways.sending import Sending, gave_up_because, waiting_because
from tests.peer.household import (
    PATIENCE,
    Box,
    Household,
    Phone,
    When,
    befriend,
    end,
    household,
    texts,
    they_write,
)
from wire.frames import Result, Results, decode_frame, encode_frame

DEPOSIT = "POST /v1/deposit"
MINUTE = 60.0


@pytest.fixture(name="home")
async def _home(tmp_path: Path) -> AsyncIterator[Household]:
    async with household(tmp_path) as made:
        yield made


async def two(home: Household) -> tuple[Box, Phone, Phone]:
    """Return a box, and Anna and Ben, who are paired with it and know each other."""
    box = await home.box()
    anna, ben = await home.phone("Anna", box), await home.phone("Ben", box)
    await befriend(anna, ben)
    return box, anna, ben


def sending(phone: Phone) -> Sending:
    """Return what carries a phone's letters, as a program that watches has it."""
    peer = phone.peer
    return Sending(peer._store, peer.me, now=phone.hands.now, random=lambda: 0.5)


def deposits(box: Box) -> int:
    return box.line.names().count(DEPOSIT)


# Killed between any two steps (L12)


class BatteryPulled(Exception):
    """The phone is off from now on."""


class Battery:
    """Pulls a phone's battery before or after one of its transactions, counted from 0."""

    def __init__(self, phone: Phone, at: int) -> None:
        self._phone = phone
        self._at = at
        self._edges = 0
        self._rest = phone.home.with_name(f"{phone.home.name}+{at}")
        self.pulled = False

    @contextmanager
    def watching(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Look at every transaction of the phone while the block lasts."""
        plain = Store.transaction

        @contextmanager
        def transaction(store: Store) -> Iterator[sqlite.Connection]:
            self._edge(store)
            with plain(store) as db:
                yield db
            self._edge(store)

        with monkeypatch.context() as patch:
            patch.setattr(Store, "transaction", transaction)
            yield

    def _edge(self, store: Store) -> None:
        if store.path.parent != self._phone.home:
            return
        if self._edges == self._at:  # what is on the disk now is all that is left
            shutil.copytree(self._phone.home, self._rest)
            self.pulled = True
        self._edges += 1
        if self.pulled:
            raise BatteryPulled

    async def put_back(self) -> None:
        """Start the phone with what was on its disk, after what it had claimed is free again."""
        await self._phone.close()
        if self.pulled:
            self._phone.home = self._rest
        self._phone.hands.live(2 * MINUTE)
        await self._phone.open()


async def killed(
    phone: Phone,
    at: int,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[], Awaitable[object]],
) -> bool:
    """Do something and pull the battery at an edge; return whether it came to that."""
    battery = Battery(phone, at)
    with battery.watching(monkeypatch):
        try:
            await act()
        except (BatteryPulled, BaseExceptionGroup):
            assert battery.pulled
    await battery.put_back()
    return battery.pulled


async def test_killed_between_any_two_steps_of_sending_a_letter_comes_once(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, anna, ben = await two(home)
    for at in count():
        text = f"killed at {at}"
        was_killed = await killed(anna, at, monkeypatch, lambda t=text: anna.peer.send("Ben", t))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        kept = [one.text for one in (await anna.peer.read(everything=True)).letters if one.outgoing]
        written = kept.count(text)

        assert written == (0 if at == 0 else 1)
        assert await texts(ben) == [text] * written
        if not was_killed:
            break
    assert at >= 6
    assert (await anna.peer.status())["waiting"] == 0
    await they_write(anna, ben)


async def test_killed_between_any_two_steps_of_receiving_a_letter_comes_once(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, anna, ben = await two(home)
    sent = []
    for at in count():
        sent += [f"first, {at}", f"second, {at}"]
        for text in sent[-2:]:
            assert not (await anna.peer.send("Ben", text)).waiting
        was_killed = await killed(ben, at, monkeypatch, ben.peer.read)
        again = await ben.peer.read(everything=True)

        assert [one.text for one in again.letters if not one.outgoing] == sent
        assert (again.troubles, again.missing, again.away) == ((), (), None)
        assert await texts(ben) == []
        if not was_killed:
            break
    assert at >= 6
    assert (await ben.peer.status())["mailbox"]["waiting"] == 0
    await they_write(anna, ben)
    assert deposits(box) == len(sent) + 2


async def test_killed_while_a_gateway_answers_a_letter_comes_once(home: Household) -> None:
    box, anna, ben = await two(home)
    for when in When:
        held = box.line.hold(0, by=lambda one: one.name == DEPOSIT, when=when)
        task = asyncio.create_task(anna.peer.send("Ben", f"killed {when.name}"))
        async with asyncio.timeout(PATIENCE):
            await held.happened.wait()
        await anna.pull_battery(task)
        home.hands.live(2 * MINUTE)
        assert await anna.peer.try_outbox() == 0
        assert await texts(ben) == [f"killed {when.name}"]


# Two processes


async def test_what_two_processes_try_at_once_is_deposited_once(home: Household) -> None:
    box, anna, ben = await two(home)
    await box.stop()
    for number in range(5):
        await anna.peer.send("Ben", str(number))
    await box.start()
    before = deposits(box)
    async with open_peer(anna.home, now=home.hands.now) as other:
        left = await asyncio.gather(*(one.try_outbox() for one in [anna.peer, other] * 2))

    assert min(left) == 0
    assert deposits(box) == before + 1
    assert await texts(ben) == [str(number) for number in range(5)]


# What a gateway may say


def saying(result: Result, *, wait: int = 0) -> Callable[[bytes], bytes]:
    """Change a gateway's answer to deposits into another one."""

    def change(body: bytes) -> bytes:
        answer = decode_frame(body)
        assert isinstance(answer, Results)
        outcomes = (replace(one, result=result, retry_after=wait) for one in answer.outcomes)
        return encode_frame(replace(answer, outcomes=tuple(outcomes)))

    return change


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (Result.DISK_FULL, "the disk of Ben’s gateway is full"),
        (Result.BUSY, "Ben’s gateway has too much to do"),
        (Result.TOO_MANY_REQUESTS, "Ben’s gateway wants us to come later"),
    ],
)
async def test_while_a_gateway_cannot_take_it_a_letter_waits_and_says_so(
    home: Household, result: Result, words: str
) -> None:
    box, anna, ben = await two(home)
    box.line.changed[DEPOSIT] = saying(result, wait=300)
    state = await anna.peer.send("Ben", "hello")
    before = deposits(box)
    home.hands.live(299)
    assert await sending(anna).deliver(due_only=True) == 1
    assert deposits(box) == before
    box.line.changed.clear()
    home.hands.live(1)

    assert (state.waiting, state.text) == (True, f"waiting here: {words}")
    assert await sending(anna).deliver(due_only=True) == 0
    assert await texts(ben) == ["hello"]


async def test_while_a_mailbox_is_full_letters_wait_and_say_so(home: Household) -> None:
    box, anna, ben = await two(home)
    seats = Seats(box.gateway.database)
    limits = {one.id: one.limit_bytes for one in await seats.all()}
    for seat in limits:
        await seats.set_limit(seat, 0)
    state = await anna.peer.send("Ben", "hello")
    for seat, limit in limits.items():
        await seats.set_limit(seat, limit)

    assert (state.waiting, state.text) == (True, "waiting here: Ben’s mailbox is full")
    assert await anna.peer.try_outbox() == 0
    assert await texts(ben) == ["hello"]


async def test_whose_id_is_taken_is_sealed_anew_and_read_once(home: Household) -> None:
    """The first parcel is there, and the gateway takes it for another's."""
    box, anna, ben = await two(home)
    box.line.lose(DEPOSIT)
    assert (await anna.peer.send("Ben", "hello")).waiting
    forget_bodies(box)
    for _ in range(2):
        await anna.peer.try_outbox()

    assert await anna.peer.try_outbox() == 0
    assert await texts(ben) == ["hello"]
    await they_write(anna, ben)


def forget_bodies(box: Box) -> None:
    """Let a gateway believe that other bodies came under the ids that it knows."""
    with sqlite3.connect(box.folder / "gateway.sqlite", timeout=10) as store:
        store.execute("UPDATE deposit SET body_hash = randomblob(32)")
    store.close()


async def test_what_is_too_large_for_a_gateway_is_given_up_and_the_rest_goes(
    home: Household,
) -> None:
    box, anna, ben = await two(home)
    box.line.changed[DEPOSIT] = saying(Result.PARCEL_TOO_LARGE)
    state = await anna.peer.send("Ben", "too large")
    box.line.changed.clear()
    again = await anna.peer.send("Ben", "small")
    given_up = (await anna.peer.status())["given_up"]

    assert (state.waiting, state.text) == (False, "gave up: it is too large for Ben’s gateway")
    assert given_up == [{"to": "Ben", "why": state.text}]
    assert not again.waiting
    assert "small" in [one.text for one in (await ben.peer.read()).letters]


async def test_a_gateway_that_answers_nonsense_loses_nothing(home: Household) -> None:
    box, anna, ben = await two(home)
    box.line.changed[DEPOSIT] = lambda body: bytes(len(body))
    state = await anna.peer.send("Ben", "hello")
    box.line.changed.clear()

    assert state.waiting
    assert await anna.peer.try_outbox() == 0
    assert await texts(ben) == ["hello"]


# Later, and where


async def test_a_box_that_is_off_is_asked_less_and_less_and_never_given_up(
    home: Household,
) -> None:
    box, anna, ben = await two(home)
    await box.stop()
    await anna.peer.send("Ben", "hello")
    carrier, due = sending(anna), list[float]()
    for _ in range(40):
        planned = carrier.outgoing.next_due()
        assert planned is not None
        home.hands.live(max(0.0, planned - home.hands.now()))
        due.append(home.hands.now())
        assert await carrier.deliver(due_only=True) == 1
    pauses = [later - earlier for earlier, later in pairwise(due)]
    await box.start()
    home.hands.live(LONGEST_RETRY)

    assert pauses == sorted(pauses)
    assert pauses[0] >= FIRST_RETRY
    assert pauses[-1] == LONGEST_RETRY
    assert await carrier.deliver(due_only=True) == 0
    assert await texts(ben) == ["hello"]


async def test_whoever_is_slow_keeps_nobody_else_waiting(home: Household) -> None:
    box, anna, _ben = await two(home)
    carol = await home.phone("Carol", await home.box())
    await befriend(anna, carol)
    held = box.line.hold(0, by=lambda one: one.name == DEPOSIT, when=When.BEFORE)
    stored, peer = asyncio.Event(), anna.peer
    carrier = Sending(
        peer._store, peer.me, now=home.hands.now, on_stored=lambda _item: stored.set()
    )
    for name in ("Ben", "Carol"):
        carrier.write(peer.contacts.named(name), Letter("hello"))
    task = asyncio.create_task(carrier.deliver())
    async with asyncio.timeout(PATIENCE):
        await held.happened.wait()
        await stored.wait()

    assert not task.done()
    assert await texts(carol) == ["hello"]
    await end(task)


async def test_after_a_wipe_contacts_who_paired_anew_find_each_other_without_codes(
    home: Household,
) -> None:
    """C13: neither knows the other's new gateway; each looks at its own, and it is there."""
    box, anna, ben = await two(home)
    await they_write(anna, ben)
    await box.stop()
    waiting = await anna.peer.send("Ben", "in between")
    fresh = await home.box()
    for phone in (anna, ben):
        await fresh.pair(phone)
    await anna.peer.try_outbox()

    assert waiting.waiting
    assert "in between" in [one.text for one in (await ben.peer.read()).letters]
    await ben.peer.read()
    await anna.peer.read()
    await they_write(anna, ben, tag="at the new one")
    assert (await anna.peer.send("Ben", "x")).text == "at Ben’s gateway"


async def test_where_a_lane_is_refused_the_next_gateway_is_tried(home: Household) -> None:
    """Ben has left a gateway whose owner removed his seat, and his new card has not come."""
    box, anna, ben = await two(home)
    other = await home.box()
    for phone in (ben, anna):
        await other.pair(phone)
    seats = Seats(box.gateway.database)
    for seat in await seats.all():
        await seats.remove(seat.id)
    before = deposits(other)
    state = await anna.peer.send("Ben", "found you")

    refused = [one.status for one in box.line.requests if one.name == DEPOSIT]
    assert refused[-1] == 403
    assert state.text == "at Ben’s gateway"
    assert deposits(other) > before
    assert "found you" in [one.text for one in (await ben.peer.read()).letters]


async def test_where_every_gateway_refuses_the_lane_a_letter_waits_and_says_so(
    home: Household,
) -> None:
    box, anna, ben = await two(home)
    await ben.peer.block("Anna")
    state = await anna.peer.send("Ben", "hello?")

    assert state.text == "waiting here: Ben’s gateway takes no letters from you just now"
    assert await anna.peer.try_outbox() == 1
    assert deposits(box) == 2


# Nothing goes out because something came in (G8)


async def test_after_letters_were_opened_nothing_leaves_the_phone(home: Household) -> None:
    box, anna, ben = await two(home)
    await they_write(anna, ben)
    for number in range(5):
        await anna.peer.send("Ben", str(number))
    before = deposits(box)
    for _ in range(3):
        await ben.peer.read()
        assert ben.rows("SELECT count(*) FROM outgoing") == [(0,)]
        await ben.peer.status()
        home.hands.live(MINUTE)
    async for _event in ben.peer.watch(until_idle=True):
        pass

    assert len((await ben.peer.read(everything=True)).letters) == 7
    assert deposits(box) == before


# Words


@pytest.mark.parametrize(
    "result", [one for one in Result if one not in (Result.STORED, Result.STORAGE_FAILED)]
)
def test_everything_a_gateway_may_answer_is_said_in_words(result: Result) -> None:
    given_up = result is Result.PARCEL_TOO_LARGE
    renewed = result is Result.ID_TAKEN
    said = (gave_up_because if given_up else waiting_because)(result.code, "Ben")

    assert renewed or result.code not in said
    assert renewed or "Ben" in said


def test_without_a_reason_it_just_waits() -> None:
    assert waiting_because("", "Ben") == "waiting here"
    assert "Ben has not signed" in waiting_because("not-signed", "Ben")
