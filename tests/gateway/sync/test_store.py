"""Who has a seat, and which device may ask for it."""

import asyncio
from pathlib import Path

import pytest

from gateway.errors import (
    CardRefused,
    CardTaken,
    DeviceRevoked,
    DeviceUnknown,
    PairAgain,
    SeatTaken,
)
from gateway.sync.store import PAIRING_REMEMBERED, Enrolment, ask_for_confirmation
from tests.gateway.sync.office import open_office
from tests.gateway.sync.people import Person, Phone
from wire.card import Card
from wire.ids import SeatId


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def test_the_first_device_of_a_person_makes_the_seat(path: Path) -> None:
    phone = Phone()
    person = Person(phone)
    async with open_office(path) as office:
        assert not await office.sync.is_enrolled(phone.key)
        change = await office.enrol(person, phone)

        assert change.revoked == ()
        assert change.position == person.card.position
        assert await office.sync.seat_of(phone.key) == change.seat
        assert await office.sync.is_enrolled(phone.key)
        assert await office.sync.card(change.seat) == person.card.chain


async def test_enrolling_again_changes_nothing_and_says_the_same(path: Path) -> None:
    phone = Phone()
    person = Person(phone)
    async with open_office(path) as office:
        changes = await asyncio.gather(*(office.enrol(person, phone) for _ in range(5)))

        assert len({change.seat for change in changes}) == 1
        assert await office.seats.count() == 1
        assert await office.count("device") == 1


async def test_a_phone_that_did_not_hear_the_answer_is_told_it_for_a_day(path: Path) -> None:
    phone = Phone()
    person = Person(phone)
    async with open_office(path) as office:
        assert await office.sync.enrolment(phone.key) is None
        await office.enrol(person, phone, request=b"q" * 32)
    async with open_office(path) as office:
        assert await office.sync.enrolment(phone.key) == Enrolment(b"q" * 32, b"n" * 16)

        office.hands.live(PAIRING_REMEMBERED)
        assert await office.sync.enrolment(phone.key) is None
        assert await office.sync.expire() == 1
        assert await office.sync.is_enrolled(phone.key)


async def test_a_second_device_comes_to_the_same_seat(path: Path) -> None:
    phone, tablet = Phone(), Phone()
    person = Person(phone)
    async with open_office(path) as office:
        first = await office.enrol(person, phone)
        person.take(person.device_statement(phone, phone, tablet))
        second = await office.enrol(person, tablet)

        assert first.seat == second.seat
        assert len(await office.sync.card(first.seat)) == 2


async def test_a_device_that_the_card_lists_comes_in_at_its_own_word(path: Path) -> None:
    phone, tablet = Phone(), Phone()
    person = Person(phone)
    async with open_office(path) as office:
        seat = (await office.enrol(person, phone)).seat
        with pytest.raises(DeviceUnknown):
            await office.sync.join(person.id, tablet.key)
        person.take(added := person.device_statement(phone, phone, tablet))
        await office.sync.put_card(seat, [added.encode()])

        assert not await office.sync.is_enrolled(tablet.key)
        for _ in range(2):  # it may be repeated
            await office.sync.join(person.id, tablet.key)

        assert await office.sync.seat_of(tablet.key) == seat
        with pytest.raises(DeviceUnknown):
            await office.sync.join(Person(Phone()).id, tablet.key)


async def test_who_lists_anothers_device_does_not_take_its_place(path: Path) -> None:
    phone, tablet, evil = Phone(), Phone(), Phone()
    person, eve = Person(phone), Person(evil)
    async with open_office(path) as office:
        seat = (await office.enrol(person, phone)).seat
        eves = (await office.enrol(eve, evil)).seat
        await office.sync.put_card(eves, [eve.device_statement(evil, evil, tablet).encode()])
        await office.sync.put_card(seat, [person.device_statement(phone, phone, tablet).encode()])

        await office.sync.join(person.id, tablet.key)

        assert await office.sync.seat_of(tablet.key) == seat
        with pytest.raises(SeatTaken):
            await office.sync.join(eve.id, tablet.key)


async def test_a_revoked_device_does_not_come_in_again_by_being_listed(path: Path) -> None:
    phone, tablet = Phone(), Phone()
    person = Person(phone)
    async with open_office(path) as office:
        seat = (await office.enrol(person, phone)).seat
        for listed in ((phone, tablet), (phone,), (phone, tablet)):
            person.take(signed := person.device_statement(phone, *listed))
            await office.sync.put_card(seat, [signed.encode()])
            if tablet in listed and len(person.card.chain) == 2:
                await office.sync.join(person.id, tablet.key)

        with pytest.raises(DeviceRevoked):
            await office.sync.join(person.id, tablet.key)


async def test_after_a_restore_nobody_comes_in_before_a_device_was_confirmed(path: Path) -> None:
    phone, tablet = Phone(), Phone()
    person = Person(phone, tablet)
    async with open_office(path) as office:
        await office.enrol(person, phone)
        await office.database.write(ask_for_confirmation)

        with pytest.raises(PairAgain):
            await office.sync.join(person.id, tablet.key)
        with pytest.raises(PairAgain):
            await office.sync.join(person.id, phone.key)
        await office.enrol(person, phone)
        await office.sync.join(person.id, tablet.key)


async def test_two_persons_have_two_seats(path: Path) -> None:
    phones = [Phone(), Phone()]
    async with open_office(path) as office:
        changes = [await office.enrol(Person(phone), phone) for phone in phones]

        assert changes[0].seat != changes[1].seat


async def test_a_device_that_its_card_does_not_list_gets_no_seat(path: Path) -> None:
    person = Person(Phone())
    async with open_office(path) as office:
        with pytest.raises(CardRefused, match="device-missing"):
            await office.enrol(person, Phone())

        assert await office.seats.count() == 0


async def test_a_device_of_one_person_cannot_sit_on_anothers_seat(path: Path) -> None:
    phone = Phone()
    async with open_office(path) as office:
        await office.enrol(Person(phone), phone)

        with pytest.raises(SeatTaken):
            await office.enrol(Person(phone), phone)
        assert await office.seats.count() == 1


async def test_a_revoked_device_loses_its_place_and_never_comes_back(path: Path) -> None:
    phone, tablet = Phone(), Phone()
    person = Person(phone, tablet)
    async with open_office(path) as office:
        seat = (await office.enrol(person, phone)).seat
        await office.enrol(person, tablet)
        await office.prekeys.upload(tablet.key, tablet.prekeys(one_time=5))
        without = person.take(person.device_statement(phone, phone))
        change = await office.sync.put_card(seat, without.chain)

        assert change.revoked == (tablet.key.device,)
        with pytest.raises(DeviceRevoked):
            await office.sync.seat_of(tablet.key)
        assert await office.sync.enrolment(tablet.key) is None
        assert (await office.prekeys.counts(tablet.key.device)).one_time == 0
        person.take(person.device_statement(phone, phone, tablet))
        with pytest.raises(DeviceRevoked):
            await office.enrol(person, tablet)
        assert await office.sync.put_card(seat, without.chain) == await office.sync.put_card(
            seat, without.chain
        )


async def test_the_gateway_takes_one_statement_for_each_place(path: Path) -> None:
    phone, tablet = Phone(), Phone()
    person = Person(phone, tablet)
    async with open_office(path) as office:
        seat = (await office.enrol(person, phone)).seat
        ours = person.device_statement(phone, phone, tablet, Phone())
        theirs = person.device_statement(tablet, phone, tablet, Phone())

        await office.sync.put_card(seat, [ours.encode()])
        with pytest.raises(CardTaken) as refused:
            await office.sync.put_card(seat, [theirs.encode()])

        assert refused.value.facts() == {"epoch": 1, "seq": 1}
        assert await office.sync.card(seat) == (*person.card.chain, ours.encode())


async def test_devices_that_change_the_card_at_once_do_not_fork_it(path: Path) -> None:
    phones = [Phone() for _ in range(4)]
    person = Person(*phones)
    async with open_office(path) as office:
        seat = (await office.enrol(person, phones[0])).seat
        rivals = [person.device_statement(one, *phones, Phone()) for one in phones]
        results = await asyncio.gather(
            *(office.sync.put_card(seat, [one.encode()]) for one in rivals), return_exceptions=True
        )

        assert sum(isinstance(one, CardTaken) for one in results) == 3
        Card.follow(person.id, await office.sync.card(seat))


async def test_a_root_statement_begins_the_card_anew(path: Path) -> None:
    phone, stolen = Phone(), Phone()
    person = Person(stolen)
    async with open_office(path) as office:
        seat = (await office.enrol(person, stolen)).seat
        person.take(person.root_statement(phone, epoch=2))
        change = await office.enrol(person, phone)

        assert change.seat == seat
        assert change.revoked == (stolen.key.device,)
        assert await office.sync.card(seat) == person.card.chain
        assert len(person.card.chain) == 1


async def test_an_older_card_cannot_be_put_back(path: Path) -> None:
    phone = Phone()
    person = Person(phone)
    old = person.card.chain
    async with open_office(path) as office:
        seat = (await office.enrol(person, phone)).seat
        person.take(person.root_statement(phone, epoch=2))
        await office.sync.put_card(seat, person.card.chain)

        with pytest.raises(CardRefused, match="rollback"):
            await office.sync.put_card(seat, old)
        assert await office.sync.card(seat) == person.card.chain


@pytest.mark.parametrize("damage", ["another person", "not signed", "nonsense", "gap"])
async def test_a_statement_that_does_not_belong_there_changes_nothing(
    path: Path, damage: str
) -> None:
    phone = Phone()
    person = Person(phone)
    next_one = person.device_statement(phone, phone, Phone())
    bad = {
        "another person": Person(phone).root_statement(phone, epoch=2).encode(),
        "not signed": next_one.encode()[:-1] + bytes([next_one.encode()[-1] ^ 1]),
        "nonsense": b"\xff",
        "gap": Person(phone).device_statement(phone, phone).encode(),
    }
    async with open_office(path) as office:
        seat = (await office.enrol(person, phone)).seat

        with pytest.raises(CardRefused):
            await office.sync.put_card(seat, [next_one.encode(), bad[damage]])
        assert await office.sync.card(seat) == person.card.chain


async def test_who_is_not_known_is_told_so(path: Path) -> None:
    async with open_office(path) as office:
        with pytest.raises(DeviceUnknown):
            await office.sync.seat_of(Phone().key)
        assert await office.sync.card(SeatId(bytes(16))) == ()
