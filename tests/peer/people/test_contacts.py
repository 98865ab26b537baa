"""Contacts: their names are ours to give, their cards theirs; whoever is blocked cannot tell."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from peer.errors import EmptyName, GatewayRefused, NameTaken, NoSuchContact
from peer.keys.primitives import system_random
from peer.me import Certificates
from peer.people.contacts import MAX_NAME, Contact, Contacts, follow
from peer.people.lanes import Lanes
from peer.store import Store, open_store
from peer.ways.connection import connect
from peer.ways.gateway_client import DepositClient
from tests.gateway.mailbox.house import parcel
from tests.gateway.sync.people import Person, Phone
from tests.peer.household import Household, befriend, household, texts, they_write
from tests.peer.household import Phone as App
from wire.frames import Proved, Result
from wire.lanes import Lane, LaneClass, LaneSecret

NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a phone's file."""
    found = open_store(tmp_path / "phone", create=True)
    assert found is not None
    yield found
    found.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


def add(store: Store, name: str, person: Person | None = None, *, verified: bool = True) -> Contact:
    """Add somebody who calls himself `name`."""
    person = person or Person(Phone())
    with store.transaction() as db:
        return Contacts(db).add(person.card, introduced=name, verified=verified, now=NOW)


def rename(store: Store, contact: Contact, name: str) -> Contact:
    """Call somebody something else."""
    with store.transaction() as db:
        return Contacts(db).rename(contact, name)


# Names


def test_a_contact_is_found_by_name_in_whatever_case_it_is_typed(store: Store) -> None:
    ben = add(store, "Ben  Müller")
    for typed in ("Ben Müller", "ben müller", "  BEN   MÜLLER "):
        assert Contacts(store.db).named(typed) == ben


def test_a_name_in_another_spelling_of_the_same_letters_is_the_same(store: Store) -> None:
    """A keyboard may type é as one character or as two; nobody sees the difference."""
    jose = add(store, "Jose\u0301")
    assert Contacts(store.db).named("Jos\u00e9").person == jose.person
    other = add(store, "Ben")
    with pytest.raises(NameTaken):
        rename(store, other, "Jos\u00e9")


def test_nobody_of_a_name_is_said_with_those_there_are(store: Store) -> None:
    with pytest.raises(NoSuchContact, match="no contacts yet"):
        Contacts(store.db).named("Ben")
    for name in ("Carl", "ana"):
        add(store, name)
    with pytest.raises(NoSuchContact, match="ana, Carl"):
        Contacts(store.db).named("Ben")


def test_two_who_call_themselves_the_same_can_be_told_apart(store: Store) -> None:
    names = [add(store, name).name for name in ("Ben", "ben", "BEN")]
    assert names == ["Ben", "ben 2", "BEN 3"]
    assert len({one.person for one in map(Contacts(store.db).named, names)}) == 3


@pytest.mark.parametrize("name", ["", " ", "\n\n", "\u202e\u2066", "\x00\x07"])
def test_somebody_without_a_name_gets_one(store: Store, name: str) -> None:
    assert add(store, name).name == "somebody"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Ben\x1b[2J", "Ben [2J"),
        ("Ben\r\nAna", "Ben Ana"),
        ("\u202eneB", "neB"),
        ("Ben\u2066\u2069", "Ben"),
        ("Ben\u200b\u200e", "Ben"),
        ("Ben\x00", "Ben"),
        ("x" * 500, "x" * MAX_NAME),
    ],
)
def test_a_name_that_others_chose_is_kept_as_far_as_it_can_be_seen(
    store: Store, said: str, kept: str
) -> None:
    contact = add(store, said)
    assert contact.name == kept
    assert rename(store, add(store, "Carl"), f"2{said}").name.isprintable()


def test_a_name_is_given_and_stays_mine_when_he_calls_himself_otherwise(store: Store) -> None:
    person = Person(Phone())
    rename(store, add(store, "Ben", person), "Brother")
    again = add(store, "Benjamin", person)
    assert (again.name, again.introduced) == ("Brother", "Benjamin")


@pytest.mark.parametrize("name", ["", "   ", "\t\n", "\u202e", "\x1b"])
def test_a_name_of_nothing_to_see_is_refused(store: Store, name: str) -> None:
    ben = add(store, "Ben")
    with pytest.raises(EmptyName):
        rename(store, ben, name)
    assert Contacts(store.db).named("Ben") == ben


@pytest.mark.parametrize("name", ["Carl", "CARL", " carl "])
def test_a_name_that_another_has_is_refused(store: Store, name: str) -> None:
    ben = add(store, "Ben")
    add(store, "Carl")
    with pytest.raises(NameTaken):
        rename(store, ben, name)
    assert Contacts(store.db).named("Ben") == ben


def test_a_contact_may_be_called_the_same_in_another_case(store: Store) -> None:
    assert rename(store, add(store, "ben"), "Ben").name == "Ben"


# Cards


def test_a_card_is_read_as_it_was_stored(store: Store) -> None:
    person = Person(Phone())
    contact = add(store, "Ben", person)
    found = Contacts(store.db).of(contact.person)
    assert found is not None
    assert found.card == person.card


def test_a_card_goes_on_with_what_continues_it(store: Store) -> None:
    first, second = Phone(), Phone()
    person = Person(first)
    contact = add(store, "Ben", person)
    statement = person.device_statement(first, first, second)
    person.take(statement)
    with store.transaction() as db:
        card = Contacts(db).take_statements(contact, (b"rubbish", statement.encode()))
    assert {one.key for one in card.devices} == {first.key, second.key}
    assert Contacts(store.db).named("Ben").card == person.card


def test_another_persons_statements_change_nothing(store: Store) -> None:
    """A13: what a contact tells of a third person's card is taken as her own, and fits nowhere."""
    phone, other_phone = Phone(), Phone()
    person, other = Person(phone), Person(other_phone)
    contact = add(store, "Ben", person)
    statement = other.device_statement(other_phone, other_phone, Phone())
    with store.transaction() as db:
        assert Contacts(db).take_statements(contact, (statement.encode(),)) == person.card


def test_an_older_card_does_not_take_the_place_of_a_newer_one(store: Store) -> None:
    first, second = Phone(), Phone()
    person = Person(first)
    older = person.card
    person.take(person.device_statement(first, first, second))
    add(store, "Ben", person)
    with store.transaction() as db:
        again = Contacts(db).add(older, introduced="Ben", verified=True, now=NOW)
    assert again.card == person.card


def test_a_fork_is_still_known_after_a_restart(tmp_path: Path) -> None:
    """Two statements in one place prove that a device lied; forgetting one would hide it."""
    first, one, other = Phone(), Phone(), Phone()
    person = Person(first)
    rivals = [person.device_statement(first, first, phone).encode() for phone in (one, other)]
    opened = open_store(tmp_path / "phone", create=True)
    assert opened is not None
    contact = add(opened, "Ben", person)
    with opened.transaction() as db:
        forked = Contacts(db).take_statements(contact, tuple(rivals))
    opened.close()
    opened = open_store(tmp_path / "phone")
    assert opened is not None
    assert forked.fork is not None
    assert Contacts(opened.db).named("Ben").card == forked
    opened.close()


def test_statements_after_a_gap_wait_for_what_is_between(store: Store) -> None:
    first, second, third = Phone(), Phone(), Phone()
    person = Person(first)
    before = person.card
    middle = person.device_statement(first, first, second)
    person.take(middle)
    last = person.device_statement(first, first, second, third)
    assert follow(before, (last.encode(),)) == before
    assert follow(before, (middle.encode(), last.encode())) == person.take(last)


def test_whether_a_check_code_was_compared_is_never_unlearned(store: Store) -> None:
    person = Person(Phone())
    for verified, known in ((False, False), (True, True), (False, True)):
        assert add(store, "Ben", person, verified=verified).verified is known


# Block and forget


async def two(house: Household) -> tuple[App, App]:
    """Return Ana and Ben, who write to each other, each with a box."""
    ana = await house.phone("Ana", await house.box())
    ben = await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    await they_write(ana, ben)
    return ana, ben


async def as_deposited(app: App, to: App, lane: Lane) -> tuple[object, ...]:
    """Knock at `to`'s box with a lane; return all that is answered, for letters and for prekeys."""
    home, one = to.peer.me.needs_home(), parcel(lane)
    certificates = Certificates(app.peer._store)
    destination = certificates.of(home.gateway, home.places)
    async with connect(destination, learned=certificates.learn) as connection:
        client = DepositClient(connection)
        with pytest.raises(GatewayRefused) as letters:
            await client.deposit(lane, [Proved(one.proof(lane, gateway=home.gateway), one)])
        with pytest.raises(GatewayRefused) as prekeys:
            await client.bundles(lane)
    return (
        (letters.value.reason, letters.value.facts),
        (prekeys.value.reason, prekeys.value.facts),
    )


def lane_of(app: App, to: App) -> Lane:
    """Return the lane on which one writes to the other."""
    gateway = to.peer.me.needs_home().gateway
    lane = Lanes(app.peer._store.db).to(to.peer.person, LaneClass.LETTER, gateway=gateway)
    assert lane is not None
    return lane


async def test_whoever_is_blocked_is_answered_like_somebody_who_never_had_a_lane(
    house: Household,
) -> None:
    ana, ben = await two(house)
    assert await ana.peer.block("Ben")
    state = await ben.peer.send("Ana", "are you there?")
    assert state.waiting
    assert state.trouble == Result.LANE_REFUSED.code
    assert "block" not in state.text
    assert await texts(ana) == []
    made_up = LaneSecret(system_random(32)).at(ana.peer.me.needs_home().gateway)
    assert await as_deposited(ben, ana, lane_of(ben, ana)) == await as_deposited(ben, ana, made_up)


async def test_block_and_forget_and_a_removed_seat_look_the_same_to_him(house: Household) -> None:
    states = []
    for end in ("block", "forget", "seat"):
        box = await house.box()
        ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
        await befriend(ana, ben)
        await they_write(ana, ben)
        if end == "seat":
            control = box.gateway.control.test_client()
            (seat,) = (await (await control.get("/seats")).get_json())["seats"]
            assert (await control.delete(f"/seats/{seat['seat']}")).status_code == 204
        else:
            assert await (ana.peer.block if end == "block" else ana.peer.forget)("Ben")
        state = await ben.peer.send("Ana", "are you there?")
        states.append((state.text, state.trouble, await as_deposited(ben, ana, lane_of(ben, ana))))
    assert states[0] == states[1] == states[2]


async def test_blocking_one_contact_changes_nothing_for_another(house: Household) -> None:
    ana, ben = await two(house)
    carl = await house.phone("Carl", await house.box())
    await befriend(ana, carl)
    await ana.peer.block("Ben")
    await they_write(ana, carl)
    assert (await ben.peer.send("Ana", "hello?")).waiting


async def test_a_letter_that_lay_there_when_he_was_blocked_is_not_shown(house: Household) -> None:
    ana, ben = await two(house)
    await ben.peer.send("Ana", "just before")
    await ana.peer.block("Ben")
    assert await texts(ana) == []


async def test_whoever_was_blocked_and_is_met_again_writes_again(house: Household) -> None:
    ana, ben = await two(house)
    await ana.peer.block("Ben")
    assert ana.peer.contacts.named("Ben").blocked
    await befriend(ana, ben)
    assert not ana.peer.contacts.named("Ben").blocked
    await they_write(ana, ben, tag="again")


async def test_nothing_of_a_contact_is_left_when_he_is_forgotten(house: Household) -> None:
    ana, ben = await two(house)
    person = ben.peer.person.raw
    assert await ana.peer.forget("Ben")
    tables = [name for (name,) in ana.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = [row[1] for row in ana.rows(f"PRAGMA table_info({table})")]
        for column in columns:
            found = ana.rows(f"SELECT 1 FROM {table} WHERE {column} = ?", person)  # noqa: S608  # names from the file itself
            assert found == [], (table, column)
    assert (await ben.peer.send("Ana", "hello?")).waiting


async def test_forgetting_while_the_box_is_off_is_made_good_later(house: Household) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    await box.stop()
    assert not await ana.peer.forget("Ben")
    await box.start()
    assert await texts(ana) == []
    assert (await ben.peer.send("Ana", "hello?")).trouble == Result.LANE_REFUSED.code
