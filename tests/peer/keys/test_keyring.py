from dataclasses import replace
from pathlib import Path

from peer.keys.keyring import Keyring
from peer.keys.person import BoxKey, PairKey, PersonKey
from peer.keys.primitives import system_random
from tests.peer.keys.people import Person, person, two
from wire.card import Card, Signed, StatementKind


def test_both_ends_hold_the_same_pair_key(tmp_path: Path) -> None:
    ana, ben = two(tmp_path)
    with ana.step(), ben.step():
        anas = list(Keyring(ana.vault).pair_keys(ben.card, own=ana.card, now=ana.now))
        bens = list(Keyring(ben.vault).pair_keys(ana.card, own=ben.card, now=ben.now))

    assert anas == bens
    assert len(anas) == 1


def test_a_stranger_shares_no_key(tmp_path: Path) -> None:
    ana, ben = person(tmp_path, "ana"), person(tmp_path, "ben")
    with ana.step():
        assert list(Keyring(ana.vault).pair_keys(ben.card, own=ana.card, now=ana.now)) == []


def test_the_key_on_our_card_comes_first_and_newer_and_older_ones_after_it(tmp_path: Path) -> None:
    ana, ben = two(tmp_path)
    losing, counting = (PersonKey.generate(2, system_random) for _ in range(2))
    with ana.step():
        before = list(Keyring(ana.vault).pair_keys(ben.card, own=ana.card, now=ana.now))
        ana.vault.keep_person_key(losing)
        ana.vault.keep_person_key(PersonKey.generate(3, system_random))
        ana.vault.keep_person_key(counting)
        keys = Keyring(ana.vault)
        unturned = list(keys.pair_keys(ben.card, own=ana.card, now=ana.now))
        ana.card = _turned(ana, counting)
        ana.vault.turned(before=1, now=counting.generation)
        untold = list(keys.pair_keys(ben.card, own=ana.card, now=ana.now))
        ana.vault.keep_known(ben.card.person, counting.generation)  # Ben has seen the card
        turned = list(keys.pair_keys(ben.card, own=ana.card, now=ana.now))

    assert untold[0] == before[0]
    assert unturned[0] == before[0]
    assert len(unturned) == 4
    assert set(turned) == set(unturned)
    assert turned[0] == PairKey.of(
        ana.card.person,
        counting,
        theirs=BoxKey(ben.card.person, 1, ben.card.person_public),
        shared=ana.vault.pair_secrets(ben.card.person)[0],
    )


def _turned(ana: Person, key: PersonKey) -> Card:
    """Return Ana's card with another person key on it."""
    before = ana.card.newest.statement
    device = ana.identity.device
    statement = replace(
        before,
        kind=StatementKind.DEVICE,
        seq=1,
        prev=ana.card.newest.hash,
        person_generation=key.generation,
        person_public=key.box.public,
        signer=device.key.raw,
    )
    card, _ = ana.card.take(Signed.make(statement, device.signing))
    return card


def test_a_device_is_one_end_of_its_sessions(tmp_path: Path) -> None:
    ana = person(tmp_path, "ana")
    [entry] = ana.card.devices
    party = Keyring(ana.vault).party

    assert (party.person, party.device, party.exchange) == (
        ana.card.person,
        entry.key,
        entry.exchange_key,
    )
