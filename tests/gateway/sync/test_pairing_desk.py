"""Pairing phones at a gateway with a real store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.errors import Busy, CardRefused, CardTaken, DeviceRevoked, DiskFull
from gateway.sync.pairing import (
    COMPARE_SECONDS,
    CodeExpired,
    CodeUsed,
    CodeWrong,
    Stage,
    TooManyTries,
)
from gateway.sync.pairing_desk import (
    MAX_SECONDS,
    MAX_WAITING,
    NoSuchCode,
    PairingDesk,
    Shown,
    verified_card,
)
from gateway.sync.store import CardChange, ask_for_confirmation
from tests.gateway.phones import asks
from tests.gateway.sync.office import Office, open_office
from tests.gateway.sync.people import Person, Phone
from wire.auth import Channel
from wire.check_code import digits, pictures
from wire.codes import GatewayCode
from wire.ids import GatewayId
from wire.pairing import MAX_PLACES, MAX_TRIES, PairAnswer, PairingState, PairRequest
from wire.places import Place

CHANNEL = Channel(GatewayId(b"g" * 32), b"c" * 32)
PLACES = (Place("2001:db8::7", 4433), Place("192.0.2.7", 4433))


@dataclass
class Hall:
    """A desk, and the store behind it."""

    office: Office
    desk: PairingDesk
    revoked: list[CardChange]

    def request(self, shown: Shown, **more: object) -> PairRequest:
        """Return the request of a phone that read the shown code."""
        return asks(shown.code, channel=CHANNEL, **more)  # type: ignore[arg-type]  # passed on

    async def pair(self, person: Person, phone: Phone) -> PairRequest:
        """Pair a phone from beginning to end; return its request."""
        shown = self.desk.show()
        request = self.request(shown, person=person, phone=phone)
        await self.desk.ask(request)
        await self.desk.say(shown.id, same=True)
        answer = await self.desk.ask(replace(request, confirmed=True))
        assert answer.state is PairingState.PAIRED
        return request


@asynccontextmanager
async def open_hall(path: Path, *, places: tuple[Place, ...] = PLACES) -> AsyncIterator[Hall]:
    async with open_office(path) as office:
        revoked: list[CardChange] = []
        desk = PairingDesk(
            office.sync,
            channel=CHANNEL,
            clock=office.hands,
            places=lambda: places,
            on_change=revoked.append,
        )
        yield Hall(office, desk, revoked)


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    async with open_hall(tmp_path / "store.sqlite") as opened:
        yield opened


def test_a_code_carries_the_key_the_expiry_and_the_place_that_keeps_it_small(hall: Hall) -> None:
    shown = hall.desk.show()

    assert shown.code.gateway == CHANNEL.gateway
    assert shown.code.expires == int(hall.office.hands.now()) + 120
    assert shown.code.place == Place("192.0.2.7", 4433)
    assert GatewayCode.parse(shown.code.text()) == shown.code


def test_no_code_stays_open_for_longer_than_ten_minutes(hall: Hall) -> None:
    shown = hall.desk.show(seconds=1e9)

    assert shown.code.expires == int(hall.office.hands.now() + MAX_SECONDS)


def test_the_secret_is_not_in_what_is_printed(hall: Hall) -> None:
    shown = hall.desk.show()

    assert shown.code.secret.hex() not in repr(shown)
    assert shown.code.text() not in repr(shown)
    assert repr(shown.code.secret) not in repr(shown)


async def test_a_phone_is_paired_after_two_yeses(hall: Hall) -> None:
    shown, phone = hall.desk.show(), Phone()
    request = hall.request(shown, phone=phone)

    first = await hall.desk.ask(request)
    assert first.state is PairingState.WAITING
    assert first.places == ()
    view = await hall.desk.look(shown.id)
    number = request.check_number(nonce=first.nonce)
    assert (view.stage, view.check) == (Stage.COMPARE, digits(number))
    assert view.pictures == pictures(number)

    assert (await hall.desk.say(shown.id, same=True)).stage is Stage.COMPARE
    assert not await hall.office.sync.is_enrolled(phone.key)
    last = await hall.desk.ask(replace(request, confirmed=True))

    assert last.state is PairingState.PAIRED
    assert last.places == ("[2001:db8::7]:4433", "192.0.2.7:4433")
    assert await hall.office.sync.is_enrolled(phone.key)
    assert (await hall.desk.look(shown.id)).stage is Stage.PAIRED


async def test_after_a_restore_a_phone_that_was_paired_needs_both_yeses_again(hall: Hall) -> None:
    phone = Phone()
    person = Person(phone)
    before = await hall.pair(person, phone)
    await hall.office.database.write(ask_for_confirmation)

    with pytest.raises(CodeExpired):  # what it was told then is no confirmation now
        await PairingDesk(
            hall.office.sync, channel=CHANNEL, clock=hall.office.hands, places=lambda: PLACES
        ).ask(before)
    shown = hall.desk.show()
    request = hall.request(shown, person=person, phone=phone)
    assert (await hall.desk.ask(request)).state is PairingState.WAITING
    await hall.desk.say(shown.id, same=True)
    assert not await hall.office.sync.is_enrolled(phone.key)
    answer = await hall.desk.ask(replace(request, confirmed=True))

    assert answer.state is PairingState.PAIRED
    assert await hall.office.sync.is_enrolled(phone.key)


async def test_the_owners_yes_may_come_last(hall: Hall) -> None:
    shown = hall.desk.show()
    request = hall.request(shown, confirmed=True)

    assert (await hall.desk.ask(request)).state is PairingState.WAITING
    assert (await hall.desk.say(shown.id, same=True)).stage is Stage.PAIRED
    assert (await hall.desk.ask(request)).state is PairingState.PAIRED


async def test_a_waiting_phone_hears_at_once(hall: Hall) -> None:
    shown = hall.desk.show()
    request = hall.request(shown, confirmed=True)
    waiting = asyncio.create_task(hall.desk.ask(request, wait=25))
    await hall.desk.look(shown.id, wait=25)
    await hall.desk.say(shown.id, same=True)

    async with asyncio.timeout(5):
        assert (await waiting).state is PairingState.PAIRED


async def test_a_waiting_owner_hears_at_once(hall: Hall) -> None:
    shown = hall.desk.show()
    looking = asyncio.create_task(hall.desk.look(shown.id, wait=25))
    await asyncio.sleep(0)
    request = hall.request(shown)
    await hall.desk.ask(request)
    assert (await looking).stage is Stage.COMPARE
    looking = asyncio.create_task(hall.desk.look(shown.id, wait=25, seen=Stage.COMPARE))
    await asyncio.sleep(0)
    await hall.desk.refuse(request)

    async with asyncio.timeout(5):
        assert (await looking).stage is Stage.REFUSED


async def test_a_wait_is_over_when_the_gateway_ends(hall: Hall) -> None:
    shown = hall.desk.show()
    looking = asyncio.create_task(hall.desk.look(shown.id, wait=25))
    await asyncio.sleep(0)
    hall.desk.close()

    async with asyncio.timeout(5):
        assert (await looking).stage is Stage.EXPIRED


async def test_only_so_many_may_wait(hall: Hall) -> None:
    shown = hall.desk.show()
    looking = [asyncio.create_task(hall.desk.look(shown.id, wait=25)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)

    with pytest.raises(Busy):
        await hall.desk.look(shown.id, wait=25)
    assert (await hall.desk.look(shown.id)).stage is Stage.OPEN
    hall.desk.close()
    await asyncio.gather(*looking)


async def test_the_owners_no_stores_nothing(hall: Hall) -> None:
    shown = hall.desk.show()
    request = hall.request(shown, confirmed=True)
    await hall.desk.ask(request)
    await hall.desk.say(shown.id, same=False)

    assert (await hall.desk.ask(request)).state is PairingState.REFUSED
    assert await hall.office.seats.count() == 0


@pytest.mark.parametrize("asked_before", [True, False])
async def test_the_phones_no_kills_the_code(hall: Hall, asked_before: bool) -> None:
    shown = hall.desk.show()
    request = hall.request(shown)
    if asked_before:
        await hall.desk.ask(request)

    assert (await hall.desk.refuse(request)).state is PairingState.REFUSED
    assert (await hall.desk.say(shown.id, same=True)).stage is Stage.REFUSED
    assert await hall.office.seats.count() == 0


async def test_a_strangers_no_does_not_kill_the_code_of_another(hall: Hall) -> None:
    shown = hall.desk.show()
    request = hall.request(shown)
    await hall.desk.ask(request)

    with pytest.raises(CodeUsed):
        await hall.desk.refuse(hall.request(shown))
    with pytest.raises(CodeWrong):
        await hall.desk.refuse(asks(b"g" * 16, channel=CHANNEL))
    assert (await hall.desk.ask(request)).state is PairingState.WAITING


async def test_a_phone_is_told_no_more_places_than_an_answer_holds(tmp_path: Path) -> None:
    many = tuple(Place(f"box-{number}.example", 4433) for number in range(MAX_PLACES + 1))
    async with open_hall(tmp_path / "store.sqlite", places=many) as hall:
        shown = hall.desk.show()
        request = hall.request(shown)
        await hall.desk.ask(request)
        await hall.desk.say(shown.id, same=True)
        answer = await hall.desk.ask(replace(request, confirmed=True))

    assert answer.places == tuple(map(str, many[:MAX_PLACES]))
    assert PairAnswer.decode(answer.encode()) == answer


async def test_a_newer_code_replaces_the_one_that_was_open(hall: Hall) -> None:
    first, second = hall.desk.show(), hall.desk.show()

    assert (await hall.desk.look(first.id)).stage is Stage.EXPIRED
    with pytest.raises(CodeExpired):
        await hall.desk.ask(hall.request(first))
    assert (await hall.desk.ask(hall.request(second))).state is PairingState.WAITING


async def test_an_old_code_is_no_guess_at_the_new_one(hall: Hall) -> None:
    first, second = hall.desk.show(), hall.desk.show()
    for _ in range(2 * MAX_TRIES):
        with pytest.raises(CodeExpired):
            await hall.desk.ask(hall.request(first))

    assert (await hall.desk.look(second.id)).stage is Stage.OPEN


async def test_without_a_code_nobody_is_paired(hall: Hall) -> None:
    with pytest.raises(CodeExpired):
        await hall.desk.ask(asks(b"g" * 16, channel=CHANNEL))


async def test_five_wrong_guesses_burn_the_code(hall: Hall) -> None:
    shown = hall.desk.show()
    for _ in range(MAX_TRIES):
        with pytest.raises(CodeWrong):
            await hall.desk.ask(asks(b"g" * 16, channel=CHANNEL))

    for request in (hall.request(shown), asks(b"g" * 16, channel=CHANNEL)):
        with pytest.raises(TooManyTries):
            await hall.desk.ask(request)
    assert (await hall.desk.look(shown.id)).stage is Stage.BURNT


async def test_a_request_is_bound_to_the_certificate(hall: Hall) -> None:
    shown = hall.desk.show()
    elsewhere = Channel(CHANNEL.gateway, b"x" * 32)

    with pytest.raises(CodeWrong):
        await hall.desk.ask(asks(shown.code, channel=elsewhere))


async def test_what_takes_too_long_to_compare_is_over(hall: Hall) -> None:
    shown = hall.desk.show()
    request = hall.request(shown, confirmed=True)
    await hall.desk.ask(request)
    hall.office.hands.live(COMPARE_SECONDS)

    assert (await hall.desk.say(shown.id, same=True)).stage is Stage.EXPIRED
    assert (await hall.desk.ask(request)).state is PairingState.REFUSED
    assert await hall.office.seats.count() == 0


async def test_a_clock_that_jumps_does_not_touch_a_code(hall: Hall) -> None:
    shown = hall.desk.show()
    hall.office.hands.wall += 10 * 365 * 86_400

    assert (await hall.desk.ask(hall.request(shown))).state is PairingState.WAITING


async def test_a_paired_phone_that_asks_again_hears_the_same(hall: Hall) -> None:
    request = await hall.pair(Person(phone := Phone()), phone)
    answers = [await hall.desk.ask(request) for _ in range(3)]

    assert len(set(answers)) == 1
    assert answers[0].state is PairingState.PAIRED
    assert await hall.office.seats.count() == 1


async def test_a_paired_phone_that_asks_again_after_a_restart_hears_the_same(
    tmp_path: Path,
) -> None:
    path, phone = tmp_path / "store.sqlite", Phone()
    async with open_hall(path) as hall:
        request = await hall.pair(Person(phone), phone)
        before = await hall.desk.ask(request)
    async with open_hall(path) as hall:
        assert await hall.desk.ask(request) == before
        assert await hall.desk.ask(replace(request, confirmed=True)) == before
        assert await hall.desk.refuse(request) == before
        shown = hall.desk.show()
        assert await hall.desk.ask(request) == before
        assert (await hall.desk.look(shown.id)).stage is Stage.OPEN


async def test_another_request_of_a_paired_phone_is_a_guess(tmp_path: Path) -> None:
    path, phone = tmp_path / "store.sqlite", Phone()
    async with open_hall(path) as hall:
        request = await hall.pair(Person(phone), phone)
    async with open_hall(path) as hall:
        hall.desk.show()
        with pytest.raises(CodeWrong):
            await hall.desk.ask(replace(request, mac=b"m" * 32))


async def test_a_second_phone_of_a_person_joins_the_seat(hall: Hall) -> None:
    first, second = Phone(), Phone()
    person = Person(first)
    await hall.pair(person, first)
    person.take(person.device_statement(first, first, second))
    await hall.pair(person, second)

    [seat] = await hall.office.seats.all()
    assert seat.devices == 2


async def test_a_phone_that_is_paired_already_needs_no_comparing(hall: Hall) -> None:
    phone = Phone()
    person = Person(phone)
    await hall.pair(person, phone)
    shown = hall.desk.show()
    answer = await hall.desk.ask(hall.request(shown, person=person, phone=phone))

    assert answer.state is PairingState.PAIRED
    assert (await hall.desk.look(shown.id)).stage is Stage.PAIRED


async def test_whoever_lost_a_phone_pairs_the_next_with_his_root(hall: Hall) -> None:
    lost, bought = Phone(), Phone()
    person = Person(lost)
    await hall.pair(person, lost)
    person.take(person.root_statement(bought, epoch=2))
    await hall.pair(person, bought)

    assert not await hall.office.sync.is_enrolled(lost.key)
    assert await hall.office.sync.is_enrolled(bought.key)
    assert [change.revoked for change in hall.revoked][-1] == (lost.key.device,)


async def test_a_lost_phone_with_its_old_card_does_not_come_back(hall: Hall) -> None:
    lost, bought = Phone(), Phone()
    person = Person(lost)
    await hall.pair(person, lost)
    old = person.card
    person.take(person.root_statement(bought, epoch=2))
    await hall.pair(person, bought)
    person.card = old
    shown = hall.desk.show()
    await hall.desk.ask(hall.request(shown, person=person, phone=lost, confirmed=True))

    with pytest.raises((CardRefused, CardTaken, DeviceRevoked)):
        await hall.desk.say(shown.id, same=True)
    assert (await hall.desk.look(shown.id)).stage is Stage.REFUSED
    assert not await hall.office.sync.is_enrolled(lost.key)


async def test_a_card_without_the_device_is_refused_and_costs_no_code(hall: Hall) -> None:
    shown = hall.desk.show()
    with pytest.raises(CardRefused) as caught:
        await hall.desk.ask(hall.request(shown, person=Person(Phone()), phone=Phone()))

    assert caught.value.facts() == {"reason": "device-missing"}
    assert (await hall.desk.look(shown.id)).stage is Stage.OPEN


def test_a_card_must_list_the_key_that_sessions_begin_with(hall: Hall) -> None:
    phone = Phone()
    person = Person(phone)
    phone.exchange = Phone().exchange

    with pytest.raises(CardRefused, match="device-missing"):
        verified_card(hall.request(hall.desk.show(), person=person, phone=phone))


@pytest.mark.parametrize("harm", [b"", b"\x00", b"no card"])
def test_a_card_that_is_none_is_refused(hall: Hall, harm: bytes) -> None:
    request = replace(hall.request(hall.desk.show()), chain=(harm,))

    with pytest.raises(CardRefused):
        verified_card(request)


def test_a_chain_whose_signature_was_touched_is_refused(hall: Hall) -> None:
    request = hall.request(hall.desk.show())
    touched = request.chain[0][:-1] + bytes([request.chain[0][-1] ^ 1])

    with pytest.raises(CardRefused, match="not-signed"):
        verified_card(replace(request, chain=(touched,)))


async def test_a_seat_that_cannot_be_stored_is_told_to_nobody_and_can_be_tried_again(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = hall.desk.show()
    request = hall.request(shown, confirmed=True)
    await hall.desk.ask(request)
    write = hall.office.database.write

    async def full(*arguments: object, **more: object) -> None:
        raise DiskFull

    monkeypatch.setattr(hall.office.database, "write", full)
    with pytest.raises(DiskFull):
        await hall.desk.say(shown.id, same=True)
    with pytest.raises(DiskFull):
        await hall.desk.ask(request)
    monkeypatch.setattr(hall.office.database, "write", write)

    assert (await hall.desk.ask(request)).state is PairingState.PAIRED


async def test_a_phone_that_hangs_up_while_its_seat_is_stored_finds_it(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = hall.desk.show()
    request = hall.request(shown)
    await hall.desk.ask(request)
    await hall.desk.say(shown.id, same=True)
    write, begun, go_on = hall.office.database.write, asyncio.Event(), asyncio.Event()

    async def slow(work: object, **more: object) -> object:
        begun.set()
        await go_on.wait()
        return await write(work, **more)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(hall.office.database, "write", slow)
    asking = asyncio.create_task(hall.desk.ask(replace(request, confirmed=True)))
    await begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    go_on.set()
    view = await hall.desk.look(shown.id, wait=25, seen=Stage.COMPARE)

    assert view.stage is Stage.PAIRED
    assert (await hall.desk.ask(request)).state is PairingState.PAIRED


async def test_a_pairing_that_is_not_remembered_is_said_to_be_unknown(hall: Hall) -> None:
    with pytest.raises(NoSuchCode):
        await hall.desk.look("nothing")
    with pytest.raises(NoSuchCode):
        await hall.desk.say("nothing", same=True)
