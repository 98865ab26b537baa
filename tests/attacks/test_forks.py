"""Forks of a card between people with several devices: what of it letters feel (A7)."""

from collections.abc import Iterator

import pytest

from peer.items.kinds import Letter
from peer.keys.errors import NeedsBundles
from peer.keys.letters import Received, Refused
from peer.keys.person import Device, Identity
from peer.keys.signed_items import write_item
from tests.attacks.world import EXPIRES, NOW, Person, Phone, Sent, World, entry_of, on_top, settled
from wire.card import Signed

DEVICES = 5


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    world = World()
    world.meet()
    ana = world.people[0]
    for _ in range(DEVICES - 1):
        world.add_a_device(0, 0)
    for phone in ana.phones:
        phone.cards[ana.id] = settled(phone.cards[ana.id], ana.statements)
        phone.learn()
    yield world
    world.teardown()


def tell(phone: Phone, person: Person, *statements: Signed) -> None:
    """Show statements about a person to one device, and let it take what follows from them."""
    phone.cards[person.id] = settled(phone.cards[person.id], statements)
    phone.learn()


def offline(world: World, phone: Phone, *gone: Phone) -> Signed:
    """Let a device revoke others while it sees nothing of what its siblings do."""
    ids = {one.id for one in gone}
    key = phone.person.new_key(phone.own.person_generation + 1)
    rest = [one for one in phone.own.devices if one.id not in ids]
    statement = on_top(phone.own, rest, phone.identity.device.signing, key=key)
    phone.person.statements.append(statement)
    tell(phone, phone.person, statement)
    assert phone.own.newest == statement
    return statement


def adds(world: World, phone: Phone) -> tuple[Signed, Phone]:
    """Let a device add another one while it sees nothing of what its siblings do."""
    new = Device.generate(world.random)
    key = phone.person.keys[phone.own.person_public]
    statement = on_top(
        phone.own, [*phone.own.devices, entry_of(new)], phone.identity.device.signing
    )
    other = Phone(phone.person, Identity(phone.person.id, new, key), stolen=False)
    with other.vault.transaction():
        other.vault.keep_pair_secret(
            world.other(phone.person).id,
            transcript=world.transcript,
            secret=world.secret,
            now=NOW,
        )
    phone.person.statements.append(statement)
    tell(phone, phone.person, statement)
    other.cards = dict(phone.cards)
    phone.person.phones.append(other)
    return statement, other


def letter(world: World, author: Phone) -> Sent:
    sent = world._write(author, lying=False)
    assert sent is not None
    return sent


def test_two_devices_that_were_offline_stop_no_letter(world: World) -> None:
    """A7 a: each adds a device; one of the two counts, and whoever is listed there reads on."""
    ana, ben = world.people
    first, one = adds(world, ana.phones[0])
    second, two = adds(world, ana.phones[1])
    author = ben.phones[0]
    tell(author, ana, *ana.statements)
    for phone in ana.phones:
        tell(phone, ana, *ana.statements)

    counts = author.cards[ana.id].newest
    winner, loser = (one, two) if counts == first else (two, one)
    sent = letter(world, author)

    assert counts in (first, second)
    for phone in (*ana.phones[:DEVICES], winner):
        assert isinstance(phone.open(sent), Received)
    refused = loser.open(sent)
    assert isinstance(refused, Refused)
    assert refused.code == "not-for-us"
    tell(author, ana, on_top_again(ana.phones[0], loser))
    after = letter(world, author)
    for phone in ana.phones:
        tell(phone, ana, *ana.statements)
        assert isinstance(phone.open(after), Received)


def on_top_again(by: Phone, loser: Phone) -> Signed:
    """Return what adds the device whose statement did not count once more."""
    devices = [*by.own.devices, entry_of(loser.identity.device)]
    statement = on_top(by.own, devices, by.identity.device.signing)
    by.person.statements.append(statement)
    return statement


def test_in_a_fork_only_devices_in_both_get_packets(world: World) -> None:
    """A7 b: one signer, two statements; a device that only one of them has is left out."""
    ana, ben = world.people
    phone = ana.phones[0]
    card = phone.own
    new = Device.generate(world.random)
    sides = [
        on_top(card, [*card.devices, entry_of(new)], phone.identity.device.signing),
        on_top(card, card.devices, phone.identity.device.signing, expires=EXPIRES - 1),
    ]
    author = ben.phones[0]
    tell(author, ana, *ana.statements, *sides)

    sent = letter(world, author)

    assert author.cards[ana.id].fork is not None
    assert sent.devices == {one.id for one in card.devices}
    assert new.key.device not in sent.devices


def test_in_the_worst_of_forks_a_letter_waits(world: World) -> None:
    """A7 b: where no device stands in both, nothing is sealed to anybody."""
    ana, ben = world.people
    begun = ana.state([entry_of(ana.phones[0].identity.device)], ana.new_key(9))
    other = ana.state([entry_of(ana.phones[1].identity.device)], ana.new_key(9))
    ana.epoch += 1
    sides = [ana.state(one.statement.devices, ana.new_key(10)) for one in (begun, other)]
    author = ben.phones[0]
    tell(author, ana, *sides)

    assert author.cards[ana.id].sealable() == ()
    assert world._write(author, lying=False) is None
    item = write_item(Letter("x"), identity=author.identity, now=NOW)
    with author.vault.transaction(), pytest.raises(NeedsBundles):
        author.letters.seal(item, to=author.cards[ana.id], own=author.own, now=NOW)


def test_a_device_that_followed_the_losing_side_writes_under_the_key_that_counts(
    world: World,
) -> None:
    """A7 a: the side that lost had turned the person key twice, the other one once."""
    ana, ben = world.people
    first, second, third, fourth, fifth = ana.phones
    before = len(ana.statements)
    offline(world, second, fourth)
    offline(world, second, fifth)
    tell(third, ana, *ana.statements)  # which believes it, and has the keys of that side
    assert third.own.person_generation == 3
    del ana.statements[before:]
    winning = offline(world, first, second)
    reader = ben.phones[0]
    tell(reader, ana, *ana.statements)
    tell(third, ana, *ana.statements)
    assert third.own.newest == winning
    assert third.own.person_generation == 2

    sent = letter(world, third)

    assert isinstance(reader.open(sent), Received)
    answer = letter(world, reader)
    assert isinstance(third.open(answer), Received)
