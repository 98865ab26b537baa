"""Records of person keys: whoever may have a secret gets it from them, and nobody else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from peer.keys.errors import Broken
from peer.keys.person import Device, PersonKey, recovery_box
from peer.keys.person_records import (
    learn,
    make_record,
    older_keys,
    open_for_recovery,
    open_record,
)
from peer.keys.primitives import system_random
from tests.peer.keys.people import Person, person
from wire.card import Card, DeviceEntry, Role, Signed, StatementKind
from wire.person_keys import PersonKeyRecord


@pytest.fixture
def ana(tmp_path: Path) -> Iterator[Person]:
    someone = person(tmp_path, "ana")
    yield someone
    someone.close()


def stated(ana: Person, *devices: Device, key: PersonKey) -> Card:
    """Return the card of ana with these devices besides hers, and this person key."""
    own, before = ana.identity.device, ana.card.newest
    entries = [DeviceEntry(one.key, one.exchange.public, Role.PHONE) for one in (own, *devices)]
    statement = replace(
        before.statement,
        kind=StatementKind.DEVICE,
        seq=before.statement.seq + 1,
        prev=before.hash,
        devices=tuple(sorted(entries, key=lambda one: one.key.raw)),
        person_generation=key.generation,
        person_public=key.box.public,
        signer=own.key.raw,
    )
    ana.card, _ = ana.card.take(Signed.make(statement, own.signing))
    return ana.card


def recorded(ana: Person, key: PersonKey) -> PersonKeyRecord:
    """Return the record of a key on the card as it stands, as a gateway hands it out."""
    with ana.step():
        ana.vault.keep_person_key(key)
    made = make_record(ana.vault, ana.card, key=key)
    assert made is not None
    return PersonKeyRecord.decode(made.encode())


def tablet_of(ana: Person, tmp_path: Path) -> Person:
    """Return another device of ana that holds an old person key only."""
    other = person(tmp_path, "tablet")
    with other.step():
        other.vault._keep("person", ana.identity.person.raw)
        other.connection.execute("DELETE FROM own_keys WHERE name IN ('seed', 'recovery')")
    return other


def test_each_device_of_the_card_finds_the_secret_and_no_other(ana: Person) -> None:
    tablet, stranger = Device.generate(system_random), Device.generate(system_random)
    key = ana.identity.person_key
    stated(ana, tablet, key=key)
    record = recorded(ana, key)

    assert record.stands_on(ana.card)
    assert open_record(record, ana.identity.device) == key
    assert open_record(record, tablet) == key
    with pytest.raises(Broken):
        open_record(record, stranger)
    with pytest.raises(Broken):
        open_record(record, Device(tablet.signing, stranger.exchange))


def test_the_kit_finds_it_and_another_kit_does_not(ana: Person) -> None:
    seed = ana.vault.seed()
    assert seed is not None
    record = recorded(ana, ana.identity.person_key)

    assert open_for_recovery(record, recovery_box(seed)) == ana.identity.person_key
    with pytest.raises(Broken):
        open_for_recovery(record, recovery_box(bytes(16)))


def test_a_phone_without_the_seed_still_seals_to_the_kit(ana: Person) -> None:
    seed = ana.vault.seed()
    assert seed is not None
    with ana.step():
        ana.vault.wipe_seed()

    record = recorded(ana, ana.identity.person_key)

    assert open_for_recovery(record, recovery_box(seed)) == ana.identity.person_key


def test_a_phone_of_before_knows_its_kit_by_the_seed(ana: Person) -> None:
    before = ana.vault.recovery_public()
    with ana.step():
        ana.connection.execute("DELETE FROM own_keys WHERE name = 'recovery'")

    assert ana.vault.recovery_public() == before
    with ana.step():
        ana.vault.wipe_seed()
    assert make_record(ana.vault, ana.card, key=ana.identity.person_key) is None


def test_a_box_of_one_generation_device_or_person_opens_for_no_other(ana: Person) -> None:
    tablet = Device.generate(system_random)
    stated(ana, tablet, key=ana.identity.person_key)
    record = recorded(ana, ana.identity.person_key)
    boxes = dict(record.devices)
    swapped = tuple((one, boxes[tablet.id]) for one in boxes)

    for wrong in (
        replace(record, generation=2),
        replace(record, devices=swapped),
        replace(record, public=bytes(31) + b"\x09"),
    ):
        with pytest.raises(Broken):
            open_record(wrong, ana.identity.device)


def test_the_newest_record_leads_back_to_all_before(ana: Person, tmp_path: Path) -> None:
    tablet = tablet_of(ana, tmp_path)
    keys = [ana.identity.person_key]
    records = [recorded(ana, keys[0])]
    for generation in (2, 3, 4):
        keys.append(PersonKey.generate(generation, system_random))
        devices = (tablet.identity.device,) if generation == 4 else ()
        stated(ana, *devices, key=keys[-1])
        records.append(recorded(ana, keys[-1]))

    with tablet.step():
        assert learn(tablet.vault, ana.card, records)

    assert [one for one in tablet.vault.person_keys() if one in keys] == list(reversed(keys))
    assert tablet.vault.identity().person_key == keys[-1]
    assert tablet.vault.recovery_public() == ana.vault.recovery_public()
    assert older_keys(keys[-1], [records[0], records[3]]) == (keys[2],)
    assert older_keys(keys[-1], [replace(records[3], previous=(9, bytes(72)))]) == ()
    tablet.close()


def test_a_record_by_a_device_that_is_off_the_card_is_not_taken(
    ana: Person, tmp_path: Path
) -> None:
    tablet = tablet_of(ana, tmp_path)
    lost = Device.generate(system_random)
    key = PersonKey.generate(2, system_random)
    stated(ana, tablet.identity.device, key=key)
    record = replace(recorded(ana, key), signer=lost.key).signed(lost.signing)

    with tablet.step():
        assert not learn(tablet.vault, ana.card, [record])
    assert tablet.vault.identity().person_key.generation == 1
    tablet.close()


def test_of_two_keys_of_one_generation_that_of_the_card_seals_and_both_open(ana: Person) -> None:
    lost, counting = (PersonKey.generate(2, system_random) for _ in range(2))
    with ana.step():
        ana.vault.keep_person_key(lost)
        ana.vault.keep_person_key(counting)

    assert ana.vault.identity().person_key == counting
    assert ana.vault.person_keys()[:2] == (counting, lost)
    with ana.step():  # the card turns out to name the other
        ana.vault.keep_person_key(lost)
    assert ana.vault.identity().person_key == lost
    assert set(ana.vault.person_keys()[:2]) == {counting, lost}
