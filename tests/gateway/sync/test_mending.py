"""Cards and devices that no longer fit together go; their owner's phone brings them again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.sync.mending import find_damaged_card, mend_cards
from tests.gateway.sync.office import Office, open_office
from tests.gateway.sync.people import Person, Phone


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path / "store.sqlite") as opened:
        yield opened


async def change(office: Office, sql: str) -> None:
    await office.database.write(lambda store: store.execute(sql).rowcount)


async def find(office: Office) -> str | None:
    return await office.database.write(find_damaged_card)


async def test_what_fits_together_stays_but_for_prekeys(office: Office) -> None:
    phone = Phone()
    person = Person(phone)
    seat = (await office.enrol(person, phone)).seat
    await office.prekeys.upload(phone.key, phone.prekeys(one_time=3, kem=3))

    assert await find(office) is None
    await office.database.write(mend_cards)

    assert await office.sync.card(seat) == person.card.chain
    assert await office.sync.seat_of(phone.key) == seat
    assert await office.count("prekey") == 0


async def test_a_card_that_cannot_be_followed_goes_and_is_taken_again(office: Office) -> None:
    phone = Phone()
    person = Person(phone)
    seat = (await office.enrol(person, phone)).seat
    await change(office, "UPDATE card SET statement = X'00'")

    assert await find(office) == "a card is not what was signed"
    await office.database.write(mend_cards)

    assert await office.sync.card(seat) == ()
    await office.enrol(person, phone)
    assert await office.sync.card(seat) == person.card.chain


async def test_a_device_that_is_not_its_keys_goes(office: Office) -> None:
    phone = Phone()
    person = Person(phone)
    seat = (await office.enrol(person, phone)).seat
    await change(office, "UPDATE device SET device_key = randomblob(32)")

    assert await find(office) == "a device is not its key's"
    await office.database.write(mend_cards)

    assert await office.count("device") == 0
    assert (await office.enrol(person, phone)).seat == seat


@pytest.mark.parametrize(
    "what",
    ["kind = 4 - kind", "id = id + 1", "public = randomblob(32)", "signature = zeroblob(64)"],
)
async def test_a_prekey_that_is_not_what_was_signed_is_found(office: Office, what: str) -> None:
    phone = Phone()
    await office.enrol(Person(phone), phone)
    await office.prekeys.upload(phone.key, phone.prekeys(one_time=3))
    await change(office, f"UPDATE prekey SET {what} WHERE kind = 3 AND id = 2")  # noqa: S608

    assert await find(office) == "a prekey is not what was signed"


@pytest.mark.parametrize("what", ["generation = 7", "record = X'00'"])
async def test_a_record_of_a_person_key_that_was_changed_goes(office: Office, what: str) -> None:
    phone = Phone()
    person = Person(phone)
    seat = (await office.enrol(person, phone)).seat
    await office.sync.put_person_key(seat, person.record(phone, phone), ())
    assert await find(office) is None
    await change(office, f"UPDATE person_key SET {what}")  # noqa: S608

    assert await find(office) == "a record of a person key is not what was signed"
    await office.database.write(mend_cards)

    assert await office.sync.person_keys(seat) == ()


async def test_a_card_of_another_person_is_found(office: Office) -> None:
    phone = Phone()
    await office.enrol(Person(phone), phone)
    await change(office, "UPDATE seat SET person = randomblob(32)")

    assert await find(office) == "a card is not what was signed"
