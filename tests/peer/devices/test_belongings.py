"""Whatever changes a row that belongs to the state is stamped with it; what others told is not."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from peer import sqlite
from peer.devices.belongings import Kind, key_of
from peer.devices.clock import LATEST, Stamp
from peer.devices.log import snapshot, take
from peer.devices.state import Entry
from peer.keys.state_seals import account_key
from tests.peer.devices.two_phones import second_device
from tests.peer.household import Household, Phone, befriend, household
from wire.codec import decode, encode
from wire.ids import PersonId

OTHER = b"o" * 16


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    async with household(tmp_path) as one:
        yield one


@pytest.fixture
async def ana(house: Household) -> Phone:
    """Ana, who has Ben as a contact."""
    box = await house.box()
    ana = await house.phone("Ana", box)
    await befriend(ana, await house.phone("Ben", box))
    return ana


def person(phone: Phone) -> PersonId:
    return phone.peer.contacts.all()[0].person


def entry(phone: Phone, kind: Kind, *parts: bytes | str | int) -> Entry | None:
    names = account_key(phone.peer._store.vault)
    assert names is not None
    return phone.peer.me.belongings.held(key_of(names, kind, *parts))


def said(phone: Phone, kind: Kind, *parts: bytes | str | int) -> object:
    found = entry(phone, kind, *parts)
    return None if found is None or found.value is None else decode(found.value, limit=1 << 20)


def from_elsewhere(one: Entry, value: bytes | None, *, later: int = 1 << 30) -> Entry:
    """Return what another device makes of an entry it has seen."""
    stamp = one.stamp
    return Entry(one.key, Stamp(stamp.epoch, stamp.time + later, OTHER, 1), value)


@contextmanager
def undone(phone: Phone) -> Iterator[sqlite.Connection]:
    """Give a transaction in which a contact was renamed, and in which something goes wrong."""
    with phone.peer._store._lock.held():
        db = phone.peer._store.db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("UPDATE contact SET name = 'Nobody'")
            phone.peer.me.belongings.stamp()
            yield db
        finally:
            db.execute("ROLLBACK")


async def test_a_new_contact_belongs_to_the_state_with_all_that_is_shared(ana: Phone) -> None:
    ben = person(ana).raw
    kinds = [one.key[0] for one in snapshot(ana.peer._store)]

    assert said(ana, Kind.PETNAME, ben) == [ben, "Ben"]
    assert said(ana, Kind.VERIFIED, ben) == [ben, 1]
    assert kinds.count(Kind.CONTACT) == kinds.count(Kind.PAIR_SECRET) == 1
    assert kinds.count(Kind.LANE_GIVEN) == kinds.count(Kind.LANE_TAKEN) == 2
    assert said(ana, Kind.NOTE, "name") == ["name", b"Ana"]


async def test_nothing_that_belongs_to_one_device_alone_is_part_of_it(ana: Phone) -> None:
    """L10. No ratchet, no prekey, no number and no key of the device leaves it."""
    store = ana.peer._store
    values = b"".join(one.value or b"" for one in snapshot(store))
    secrets = [value for (value,) in ana.rows("SELECT value FROM own_keys")]
    secrets += [value for (value,) in ana.rows("SELECT secret FROM own_prekeys")]
    secrets += [value for (value,) in ana.rows("SELECT state FROM sessions")]

    assert len(secrets) > 100
    own = [one for one in secrets if len(one) >= 32 and one != ana.peer.me.person.raw]
    assert [one for one in own if one in values] == []


async def test_a_change_is_stamped_in_the_transaction_that_makes_it(ana: Phone) -> None:
    before = entry(ana, Kind.PETNAME, person(ana).raw)
    ana.peer.rename("Ben", "Benny")
    after = entry(ana, Kind.PETNAME, person(ana).raw)

    assert before is not None
    assert after is not None
    assert before.stamp < after.stamp
    with pytest.raises(sqlite.IntegrityError), undone(ana) as db:
        db.execute("INSERT INTO contact SELECT * FROM contact")
    assert entry(ana, Kind.PETNAME, person(ana).raw) == after


async def test_a_change_to_what_it_was_is_none(ana: Phone) -> None:
    before = snapshot(ana.peer._store)
    with ana.peer._store.transaction() as db:
        db.execute("UPDATE contact SET name = 'X'")
        db.execute("UPDATE contact SET name = 'Ben', chain = chain, verified = verified")

    assert snapshot(ana.peer._store) == before


async def test_what_another_device_told_is_written_and_not_told_again(ana: Phone) -> None:
    await ana.peer.try_state()
    ben = person(ana).raw
    held = entry(ana, Kind.PETNAME, ben)
    assert held is not None
    told = from_elsewhere(held, encode([ben, "Benny"]))

    assert take(ana.peer._store, [told])
    assert not take(ana.peer._store, [told, held])
    assert [one.name for one in ana.peer.contacts.all()] == ["Benny"]
    assert entry(ana, Kind.PETNAME, ben) == told
    assert not ana.peer.me.belongings.has_pending()


async def test_a_change_made_after_hearing_of_a_clock_that_runs_ahead_wins_over_it(
    ana: Phone,
) -> None:
    """CK: another device of hers is thirty years ahead."""
    ben = person(ana).raw
    held = entry(ana, Kind.PETNAME, ben)
    assert held is not None
    ahead = from_elsewhere(held, encode([ben, "Future"]), later=30 * 365 * 86_400_000 << 16)
    take(ana.peer._store, [ahead])
    ana.peer.rename("Future", "Now")

    assert [one.name for one in ana.peer.contacts.all()] == ["Now"]
    take(ana.peer._store, [ahead])
    assert [one.name for one in ana.peer.contacts.all()] == ["Now"]


async def test_a_clock_at_the_end_of_time_does_not_stop_anybody(ana: Phone) -> None:
    """CK: what is written after it is of the next epoch, and beats it."""
    ben = person(ana).raw
    held = entry(ana, Kind.PETNAME, ben)
    assert held is not None
    last = Entry(held.key, Stamp(held.stamp.epoch, LATEST, OTHER, 1), encode([ben, "Last"]))
    take(ana.peer._store, [last])
    ana.peer.rename("Last", "Next")
    after = entry(ana, Kind.PETNAME, ben)

    assert after is not None
    assert after.stamp.epoch == held.stamp.epoch + 1
    assert after.stamp > last.stamp


async def test_a_contact_that_was_forgotten_elsewhere_goes_with_all_that_was_exchanged(
    ana: Phone,
) -> None:
    await ana.peer.send("Ben", "hello")
    held = entry(ana, Kind.CONTACT, person(ana).raw)
    assert held is not None
    take(ana.peer._store, [from_elsewhere(held, None)])

    assert ana.peer.contacts.all() == []
    for table in ("letter", "item", "pair_secrets", "lane_taken", "sessions"):
        assert ana.rows(f"SELECT * FROM {table}") == [], table  # noqa: S608
    assert {revoked for (revoked,) in ana.rows("SELECT revoked FROM lane_given")} == {1}


async def test_lanes_that_come_before_their_contact_are_written_when_it_comes(
    house: Household, ana: Phone
) -> None:
    entries = snapshot(ana.peer._store)
    contact = [one for one in entries if one.key[0] == Kind.CONTACT]
    tablet = await second_device(house, ana)
    take(tablet.peer._store, [one for one in entries if one not in contact])

    assert tablet.rows("SELECT * FROM lane_given") == []
    take(tablet.peer._store, contact)
    sql = "SELECT person, class, secret FROM lane_given ORDER BY secret"
    assert tablet.rows(sql) == ana.rows(sql)
    assert [one.verified for one in tablet.peer.contacts.all()] == [True]


async def test_a_device_that_was_just_added_says_nothing_before_it_has_heard(
    house: Household, ana: Phone
) -> None:
    tablet = await second_device(house, ana)
    with tablet.peer._store.transaction():
        tablet.peer._store.keep_note("name", b"New tablet")

    assert snapshot(tablet.peer._store) == ()
    take(tablet.peer._store, snapshot(ana.peer._store))
    assert tablet.peer.me.name == "Ana"


async def test_two_contacts_who_were_given_one_name_get_a_number(
    house: Household, ana: Phone
) -> None:
    eve = await house.phone("Eve", await house.box())
    await befriend(ana, eve)
    both = {one.name: one.person.raw for one in ana.peer.contacts.all()}
    held = entry(ana, Kind.PETNAME, both["Eve"])
    assert held is not None
    take(ana.peer._store, [from_elsewhere(held, encode([both["Eve"], "Ben"]))])

    assert sorted(one.name for one in ana.peer.contacts.all()) == ["Ben", "Ben 2"]


async def test_what_makes_no_sense_is_passed_over_and_the_rest_is_taken(ana: Phone) -> None:
    ben = person(ana).raw
    names = account_key(ana.peer._store.vault)
    assert names is not None
    stamp = Stamp(1 << 16, LATEST - 9, OTHER, 1)
    wrong = [
        Entry(key_of(names, kind, ben), stamp, value)
        for kind in (*Kind,)
        for value in (b"\xff", encode(7), encode([ben]), encode([ben, [[], 3]]))
        if kind not in (Kind.PETNAME, Kind.MEMBER)
    ]
    right = Entry(key_of(names, Kind.PETNAME, ben), stamp, encode([ben, "Right"]))
    newer = Entry(b"\x63" + bytes(15), stamp, b"of a newer program")
    take(ana.peer._store, [*wrong, right, newer])

    assert [one.name for one in ana.peer.contacts.all()] == ["Right"]
    assert newer in snapshot(ana.peer._store)
