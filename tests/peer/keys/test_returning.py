"""Who comes back has new keys, a higher epoch, and the old person keys from the records."""

import pytest

from peer.errors import WrongKit
from peer.keys.person import PersonKey, recovery_box
from peer.keys.person_records import write_record
from peer.keys.primitives import system_random
from peer.keys.returning import Returning, Root, earlier_keys
from wire.auth import Channel
from wire.card import Card, Role, Verdict
from wire.ids import GatewayId, RecoveryId

ROOT, OTHER = Root(bytes(range(16))), Root(bytes(16))
NOW = 1_800_000_000
HERE = Channel(GatewayId(b"g" * 32), b"c" * 32)


def begin(before: Card | None = None, root: Root = ROOT) -> Returning:
    return Returning.begin(root, before, role=Role.PHONE, now=NOW)


def test_where_the_card_is_known_epoch_and_generation_go_on() -> None:
    first = begin()
    second = begin(first.card)

    assert second.card.position.epoch == first.card.position.epoch + 1
    assert second.card.person_generation == first.card.person_generation + 1
    assert [one.key for one in second.card.devices] == [second.identity.device.key]
    assert first.card.take(second.statement)[1] is Verdict.EXTENDED
    assert second.recovery == recovery_box(ROOT.seed).public


def test_where_it_is_not_the_time_is_higher_than_what_was_counted() -> None:
    alone = begin()

    assert (alone.card.position.epoch, alone.card.person_generation) == (NOW, NOW)
    assert alone.card.gateways == ()


def test_another_root_makes_nothing_of_it() -> None:
    """R3."""
    with pytest.raises(WrongKit):
        begin(begin().card, root=OTHER)
    with pytest.raises(WrongKit):
        OTHER.check(ROOT.person)
    ROOT.check(ROOT.person)


def test_its_answers_are_bound_to_the_connection() -> None:
    back = begin()
    signed, device = back.answer(channel=HERE, nonce=bytes(32)).verify(HERE)
    assert (signed, device.key) == (back.statement, back.identity.device.key)
    request = RecoveryId(b"r" * 16)
    proof = ROOT.proving(request)(channel=HERE, nonce=bytes(32), purpose="recovery-cancel")
    proof.verify(HERE, purpose="recovery-cancel")
    assert proof.about == request.raw


def test_all_person_keys_that_the_records_hold_are_opened() -> None:
    first = begin()
    card, device = first.card, first.identity.device
    older = PersonKey(1, bytes(range(32)))
    record = write_record(
        card,
        device,
        key=first.identity.person_key,
        before=older,
        recovery=first.recovery,
        random=system_random,
    )
    foreign = write_record(
        card,
        device,
        key=PersonKey(7, bytes(32)),
        before=None,
        recovery=recovery_box(OTHER.seed).public,
        random=system_random,
    )

    assert earlier_keys(ROOT, [foreign, record]) == (first.identity.person_key, older)
    assert earlier_keys(OTHER, [record]) == ()


def test_the_seed_is_not_printed() -> None:
    assert repr(ROOT.seed) not in repr(ROOT)
