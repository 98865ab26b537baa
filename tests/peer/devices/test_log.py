"""Batches are taken once and in order, snapshots stand for them, and a cut ends a device's word."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from peer.devices.belongings import Kind
from peer.devices.clock import Stamp
from peer.devices.log import (
    ENTRIES,
    StateLog,
    plain_snapshot,
    read_snapshot,
    snapshot,
)
from peer.devices.state import Entry
from peer.errors import PhoneCopied
from peer.keys.person import PersonKey, root_key
from peer.keys.primitives import system_random
from peer.keys.state_seals import seal_batch
from tests.peer.devices.two_phones import list_devices, second_device
from tests.peer.household import Household, Phone, household
from wire.card import NO_PREVIOUS, Signed, Statement, StatementKind
from wire.codec import encode
from wire.errors import Malformed, NotSigned
from wire.ids import DeviceId
from wire.state_log import MAX_BATCH, Batch, Head, SnapshotHead
from wire.statements import CARD_SECONDS


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    async with household(tmp_path) as one:
        yield one


def log(phone: Phone) -> StateLog:
    return StateLog(phone.peer._store, phone.peer.me)


def device(phone: Phone) -> DeviceId:
    return phone.peer.me.identity.device.id


def exchange(*phones: Phone) -> None:
    """Let devices hear each other without a gateway, as on one network."""
    for phone in phones:
        if phone.peer.me.belongings.has_begun():
            log(phone).seal()
    for phone in phones:
        for other in phones:
            log(phone).take(log(other).beyond(log(phone).vector()))
        log(phone).synced([], now=phone.hands.now())
        log(phone).seal()
    for phone in phones:
        for other in phones:
            log(phone).take(log(other).beyond(log(phone).vector()))


def state(phone: Phone) -> dict[bytes, Entry]:
    return {one.key: one for one in snapshot(phone.peer._store)}


def setting(phone: Phone, name: str, value: bytes) -> None:
    with phone.peer._store.transaction():
        phone.peer._store.keep_note(f"setting/{name}", value)


def settings(phone: Phone) -> dict[str, bytes]:
    return dict(phone.rows("SELECT name, value FROM note WHERE name GLOB 'setting/*'"))


@pytest.fixture
async def both(house: Household) -> tuple[Phone, Phone]:
    """Ana's phone and tablet, in step."""
    ana = await house.phone("Ana")
    tablet = await second_device(house, ana)
    exchange(ana, tablet)
    return ana, tablet


async def test_two_devices_come_into_step_without_a_gateway(
    house: Household, both: tuple[Phone, Phone]
) -> None:
    ana, tablet = both
    setting(ana, "colour", b"red")
    setting(tablet, "size", b"large")
    exchange(ana, tablet)

    assert state(ana) == state(tablet)
    assert settings(ana) == settings(tablet) == {"setting/colour": b"red", "setting/size": b"large"}


async def test_a_batch_is_taken_in_its_turn_and_once(both: tuple[Phone, Phone]) -> None:
    ana, tablet = both
    for value in (b"1", b"2", b"3"):
        setting(ana, "count", value)
        log(ana).seal()
    first, second, third = log(ana).beyond(log(tablet).vector())

    assert log(tablet).take([third]).lacking == {device(ana)}
    assert settings(tablet) == {}
    assert log(tablet).take([first, second]).changed
    assert not log(tablet).take([first, second, first]).changed
    assert settings(tablet) == {"setting/count": b"2"}
    log(tablet).take([third])
    assert settings(tablet) == {"setting/count": b"3"}


async def test_many_changes_make_batches_of_their_size(both: tuple[Phone, Phone]) -> None:
    ana, tablet = both
    with ana.peer._store.transaction():
        for number in range(2 * ENTRIES + 5):
            ana.peer._store.keep_note(f"setting/{number}", b"x" * 150)
    log(ana).seal()
    batches = log(ana).beyond(log(tablet).vector())

    assert len(batches) >= 3
    assert max(map(len, batches)) <= MAX_BATCH
    log(tablet).take(batches)
    assert len(settings(tablet)) == 2 * ENTRIES + 5
    assert state(ana) == state(tablet)


async def test_what_nobody_of_the_person_has_signed_is_passed_over(
    house: Household, both: tuple[Phone, Phone]
) -> None:
    """A1, A3. A gateway, a stranger and a thief of a batch change nothing."""
    ana, tablet = both
    eve = await house.phone("Eve")
    setting(ana, "colour", b"red")
    log(ana).seal()
    [raw] = log(ana).beyond(log(tablet).vector())
    batch = Batch.decode(raw)
    log(eve).seal()
    forged = [
        replace(batch, signature=bytes(64)).encode(),
        replace(batch, sealed=batch.sealed[:-1] + b"x").encode(),
        *log(eve).beyond({}),
        b"nothing",
    ]

    assert not log(tablet).take(forged).changed
    assert settings(tablet) == {}
    assert log(tablet).take([raw]).changed


async def test_a_batch_of_ours_that_we_do_not_know_proves_a_copy(
    both: tuple[Phone, Phone],
) -> None:
    """L11, RS."""
    ana, _ = both
    me = ana.peer.me.identity
    number = log(ana).vector()[device(ana)]
    for seq in (number, number + 1):
        sealed = seal_batch(me.person_key, b"other", device=me.device.id, seq=seq)
        batch = Batch.sign(
            me.device.signing, device=me.device.id, seq=seq, generation=1, sealed=sealed
        )
        with pytest.raises(PhoneCopied):
            log(ana).take([batch.encode()])


async def test_a_snapshot_stands_for_all_batches_before_it(
    house: Household, both: tuple[Phone, Phone]
) -> None:
    ana, tablet = both
    setting(ana, "colour", b"red")
    exchange(ana, tablet)
    third = await second_device(house, ana)
    log(third).take_snapshot(log(ana).snapshot().encode())

    assert state(third) == state(ana)
    assert log(third).vector() == log(ana).vector()
    assert settings(third) == {"setting/colour": b"red"}


async def test_a_snapshot_of_a_stranger_or_with_our_unknown_batches_is_not_taken(
    house: Household, both: tuple[Phone, Phone]
) -> None:
    ana, tablet = both
    eve = await house.phone("Eve")
    with pytest.raises(Malformed):
        log(ana).take_snapshot(log(eve).snapshot().encode())
    forged = replace(log(tablet).snapshot(), vector={device(tablet): 99})
    with pytest.raises(NotSigned):
        log(ana).take_snapshot(forged.encode())
    log(tablet)._came_to(device(ana), 99)
    with pytest.raises(PhoneCopied):
        log(ana).take_snapshot(log(tablet).snapshot().encode())


def revoke(by: Phone, gone: Phone, *others: Phone) -> None:
    """Take a device off the card, turn the person key, and let the others learn both."""
    store = by.peer._store
    with store.transaction():
        generation = store.vault.identity().person_key.generation + 1
        key = PersonKey.generate(generation, system_random)
        store.vault.keep_person_key(key)
    list_devices(by, [one for one in by.peer.me.card.devices if one.id != device(gone)])
    log(by).name_cuts()
    for other in others:
        with other.peer._store.transaction():
            other.peer._store.vault.keep_person_key(key)
            other.peer.me.take_statements(by.peer.me.card.chain)


async def test_what_a_revoked_device_says_after_its_cut_is_taken_by_nobody(
    house: Household, both: tuple[Phone, Phone]
) -> None:
    """A10. Also by those who had taken it already: they end where the revoker is."""
    ana, tablet = both
    thief = await second_device(house, ana)
    exchange(ana, tablet, thief)
    with tablet.peer._store.transaction():
        tablet.peer.me.take_statements(ana.peer.me.card.chain)
    exchange(ana, tablet, thief)
    setting(ana, "colour", b"red")
    exchange(ana, tablet, thief)
    setting(thief, "colour", b"stolen")
    setting(thief, "other", b"stolen")
    exchange(tablet, thief)  # and not with Ana's phone
    assert settings(tablet)["setting/colour"] == b"stolen"
    setting(tablet, "size", b"large")
    revoke(ana, thief, tablet)
    log(ana).seal()
    log(tablet).seal()
    log(tablet).take_snapshot(log(ana).snapshot().encode())
    exchange(ana, tablet)
    late = log(thief).beyond({})

    assert settings(ana) == settings(tablet)
    assert settings(ana) == {"setting/colour": b"red", "setting/size": b"large"}
    assert state(ana) == state(tablet)
    assert not log(ana).take(late).changed
    assert not log(tablet).take(late).changed
    assert log(ana).cuts() == log(tablet).cuts()


async def test_a_later_epoch_beats_what_a_poisoned_clock_has_written(
    both: tuple[Phone, Phone],
) -> None:
    """CK: turning the epoch undoes it without revoking anybody."""
    ana, tablet = both
    now = tablet.hands.now
    tablet.peer._store.now = lambda: now() + 40 * 365 * 86_400
    setting(tablet, "colour", b"future")
    tablet.peer._store.now = now
    log(ana).turn_epoch()
    setting(ana, "colour", b"red")
    exchange(ana, tablet)

    assert settings(ana) == settings(tablet) == {"setting/colour": b"red"}
    found = [one.stamp for one in snapshot(ana.peer._store) if one.value == _value(b"red")]
    assert [(one.epoch, one.time >> 16) for one in found] == [((1 << 16) + 1, int(now() * 1000))]


def _value(value: bytes) -> bytes:
    return encode(["setting/colour", value])


async def test_a_phone_of_a_newer_generation_takes_batches_of_the_older(
    house: Household, both: tuple[Phone, Phone]
) -> None:
    """A tablet from a drawer has not learned the new person key when it writes."""
    ana, tablet = both
    third = await second_device(house, ana)
    exchange(ana, third)
    setting(tablet, "drawer", b"kept")
    log(tablet).seal()
    revoke(ana, third)
    setting(ana, "colour", b"red")
    log(ana).seal()

    assert log(tablet).take(log(ana).beyond(log(tablet).vector())).lacking == {device(ana)}
    log(ana).take(log(tablet).beyond(log(ana).vector()))
    assert settings(ana) == {"setting/drawer": b"kept", "setting/colour": b"red"}


async def test_an_epoch_of_a_person_key_that_its_author_lacks_is_refused(
    both: tuple[Phone, Phone],
) -> None:
    """CK: a stolen device must not write what no later person key could undo."""
    ana, tablet = both
    me = tablet.peer.me.identity
    seq = log(tablet).vector().get(device(tablet), 0) + 1
    plain = encode([1, 9 << 16, 5, [[bytes([Kind.NOTE]) + bytes(15), 0, b"x"]]])
    sealed = seal_batch(me.person_key, plain, device=me.device.id, seq=seq)
    batch = Batch.sign(me.device.signing, device=me.device.id, seq=seq, generation=1, sealed=sealed)

    assert not log(ana).take([batch.encode()]).changed
    assert log(ana).vector().get(device(tablet), 0) == seq - 1


async def test_a_snapshot_is_due_when_it_should_be(house: Household) -> None:
    ana = await house.phone("Ana")
    setting(ana, "colour", b"red")
    log(ana).seal()
    me, now = device(ana), ana.hands.now()
    have = log(ana).vector()[me]
    log(ana).synced([], now=now)
    heads = [Head(me, have, 0)]

    assert not log(ana).is_due(heads, [], now=now)
    assert log(ana).is_due(heads, [], now=now + 7 * 86_400)  # a week
    assert not log(ana).is_due(heads, [SnapshotHead(me, 1, {me: have})], now=now + 7 * 86_400)
    assert log(ana).is_due([Head(me, have, 1)], [], now=now)  # something was dropped
    log(ana)._came_to(me, 600)
    assert log(ana).is_due([Head(me, 600, 0)], [], now=now)  # five hundred batches


def test_a_snapshots_text_is_read_as_it_was_written() -> None:
    one, two = b"1" * 16, b"2" * 16
    entries = tuple(
        Entry(bytes([1, number]) + bytes(14), Stamp(epoch, number, device, 3), value)
        for number, (epoch, device, value) in enumerate(
            [(1 << 16, one, b"x"), (2 << 16, two, None), (2 << 16, one, b"y")]
        )
    )
    cuts = {DeviceId(two): 7}

    assert read_snapshot(plain_snapshot(entries, cuts), generation=2) == (entries, cuts)
    with pytest.raises(Malformed):
        read_snapshot(plain_snapshot(entries, cuts), generation=1)
    for wrong in ([2, [], [], []], [1, [], [[1, [7]]], []], [1, [], [7], []], [1, [], [], [7]]):
        with pytest.raises(Malformed):
            read_snapshot(encode(wrong), generation=2)  # type: ignore[arg-type]


async def test_one_read_mark_in_a_batch_of_many_costs_little(
    house: Household,
) -> None:
    """At most 90 bytes each in a padded batch of 32."""
    ana, ben = await house.phone("Ana"), await house.phone("Ben")
    del ben
    log(ana).seal()
    before = log(ana).vector()
    with ana.peer._store.transaction():
        for number in range(32):
            ana.peer.me.belongings.change(
                Kind.READ,
                bytes([number]) * 32,
                bytes([number]) * 16,
                change=lambda _before: encode([70_000]),
            )
    log(ana).seal()
    [raw] = log(ana).beyond(before)

    assert len(raw) <= 32 * 90


async def test_who_comes_back_alone_takes_what_her_lost_devices_have_told(
    house: Household, both: tuple[Phone, Phone]
) -> None:
    """The card of the new epoch does not tell their keys; the seal does."""
    ana, tablet = both
    setting(ana, "colour", b"red")
    setting(tablet, "size", b"large")
    exchange(ana, tablet)
    back = await second_device(house, ana)
    begin_epoch(ana, back)
    log(back).take_snapshot(log(ana).snapshot().encode())
    setting(tablet, "late", b"one")
    log(tablet).seal()
    log(back).take(log(tablet).beyond(log(back).vector()))
    log(back).name_cuts()
    log(back).synced([], now=back.hands.now())

    assert settings(back) == {
        "setting/colour": b"red",
        "setting/size": b"large",
        "setting/late": b"one",
    }
    assert log(back).cuts() == {one: seq for one, seq in log(tablet).vector().items()}
    setting(tablet, "late", b"two")
    log(tablet).seal()
    assert not log(back).take(log(tablet).beyond(log(back).vector())).changed


def begin_epoch(by: Phone, alone: Phone) -> None:
    """Let the root, whose seed `by` still has, begin an epoch of the card with one device."""
    store, card = alone.peer._store, by.peer.me.card
    seed = by.peer._store.vault.seed()
    assert seed is not None
    root = root_key(seed)
    statement = Statement(
        StatementKind.ROOT,
        card.root_key,
        epoch=card.position.epoch + 1,
        seq=0,
        prev=NO_PREVIOUS,
        devices=tuple(one for one in card.devices if one.id == device(alone)),
        person_generation=card.person_generation,
        person_public=card.person_public,
        gateways=card.gateways,
        issued=int(by.hands.now()),
        expires=int(by.hands.now()) + CARD_SECONDS,
        signer=card.root_key,
    )
    with store.transaction():
        alone.peer.me.take_statements((Signed.make(statement, root).encode(),))
    assert len(alone.peer.me.card.devices) == 1
