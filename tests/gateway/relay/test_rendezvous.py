"""Two phones that meet at a gateway, over real connections."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.served import Answer, Handset, Served, Visitor, open_served, spelled
from wire.ids import SlotId
from wire.rendezvous import MAX_MESSAGE, MAX_SLOTS_OF_SEAT, SLOT_SECONDS


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


def somewhere() -> str:
    return f"/v1/rendezvous/{SlotId(secrets.token_bytes(16)).text}"


async def opened(host: Handset) -> str:
    """Open a slot; return where it is."""
    where = somewhere()
    assert (await host.ask("POST", where)).status == 204
    return where


class Guest:
    """Whoever read the code."""

    def __init__(self, visitor: Visitor, side: bytes | None = None) -> None:
        self.visitor = visitor
        self.side = {"Homepost-Side": spelled(side or secrets.token_bytes(16))}

    async def put(self, where: str, number: int, message: bytes) -> Answer:
        return await self.visitor.ask("PUT", f"{where}/{number}", message, headers=self.side)

    async def get(self, where: str, number: int, *, wait: int = 0) -> Answer:
        return await self.visitor.ask("GET", f"{where}/{number}?wait={wait}", headers=self.side)


async def test_two_phones_meet_in_four_messages(served: Served) -> None:
    host, guest = await served.enrolled(), Guest(await served.visitor())
    where = await opened(host)

    assert (await guest.put(where, 1, b"one")).status == 204
    assert (await host.ask("GET", f"{where}/1")).data == b"one"
    assert (await host.ask("PUT", f"{where}/2", b"two")).status == 204
    assert (await guest.get(where, 2)).data == b"two"
    assert (await guest.put(where, 3, b"three")).status == 204
    assert (await host.ask("PUT", f"{where}/4", b"four")).status == 204
    assert (await guest.get(where, 4)).data == b"four"


async def test_a_phone_may_wait_for_the_next_message(served: Served) -> None:
    host, guest = await served.enrolled(), Guest(await served.visitor())
    where = await opened(host)
    waiting = asyncio.create_task(guest.get(where, 2, wait=25))
    await guest.put(where, 1, b"one")
    await host.ask("PUT", f"{where}/2", b"two")

    async with asyncio.timeout(5):
        assert (await waiting).data == b"two"


async def test_a_message_that_is_not_there_yet_is_nothing(served: Served) -> None:
    host = await served.enrolled()

    answer = await host.ask("GET", f"{await opened(host)}/1")

    assert (answer.status, answer.data) == (204, b"")


async def test_only_a_seats_device_opens_a_slot(served: Served) -> None:
    answer = await (await served.visitor()).ask("POST", somewhere())

    assert (answer.status, answer.code) == (401, "login-needed")


async def test_another_guest_and_other_words_are_refused(served: Served) -> None:
    host, guest = await served.enrolled(), Guest(await served.visitor())
    eve = Guest(await served.visitor())
    where = await opened(host)
    await guest.put(where, 1, b"one")

    again, other, stranger = (
        await guest.put(where, 1, b"one"),
        await guest.put(where, 1, b"other"),
        await eve.put(where, 1, b"one"),
    )

    assert again.status == 204
    assert (other.status, other.code) == (409, "slot-taken")
    assert (stranger.status, stranger.code) == (409, "slot-taken")


async def test_a_slot_that_is_not_there_is_gone_before_a_byte_is_read(served: Served) -> None:
    guest = Guest(await served.visitor())

    put, get = await guest.put(somewhere(), 1, b"one"), await guest.get(somewhere(), 1, wait=25)

    assert (put.status, put.code) == (404, "slot-gone")
    assert (get.status, get.code) == (404, "slot-gone")


async def test_a_slot_ends_after_ten_minutes(served: Served) -> None:
    host = await served.enrolled()
    where = await opened(host)
    served.hands.live(SLOT_SECONDS)

    answer = await host.ask("GET", f"{where}/1")

    assert (answer.status, answer.code) == (404, "slot-gone")


async def test_a_seat_opens_three_slots(served: Served) -> None:
    host = await served.enrolled()
    for _ in range(MAX_SLOTS_OF_SEAT):
        await opened(host)

    answer = await host.ask("POST", somewhere())

    assert (answer.status, answer.code) == (429, "slots-full")


async def test_a_message_that_is_too_long_is_refused(served: Served) -> None:
    host = await served.enrolled()
    where = await opened(host)

    answer = await Guest(await served.visitor()).put(where, 1, bytes(MAX_MESSAGE + 1))

    assert (answer.status, answer.json) == (413, {"error": "too-large", "limit": MAX_MESSAGE})


@pytest.mark.parametrize(
    ("slot", "number", "status"),
    [
        ("a" * 26, "0", 400),
        ("a" * 26, "5", 400),
        ("a" * 26, "one", 404),
        ("a" * 26, "-1", 404),
        ("short", "1", 400),
        ("A" * 26, "1", 400),
        ("b" * 26, "1", 400),
        ("..%2f..", "1", 404),
        ("%00", "1", 400),
    ],
)
async def test_only_a_slots_own_spelling_names_it(
    served: Served, slot: str, number: str, status: int
) -> None:
    guest = Guest(await served.visitor())

    assert (await guest.get(f"/v1/rendezvous/{slot}", int("1"))).status in (400, 404)
    path = f"/v1/rendezvous/{slot}/{number}"
    assert (await guest.visitor.ask("GET", path, headers=guest.side)).status == status


async def test_a_removed_seats_slots_are_gone(served: Served) -> None:
    host = await served.enrolled()
    where = await opened(host)

    served.gateway.front.seat_removed(host.seat)

    answer = await Guest(await served.visitor()).get(where, 1)
    assert (answer.status, answer.code) == (404, "slot-gone")
