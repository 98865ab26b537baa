from pathlib import Path

from peer.keys.keyring import Keyring
from peer.keys.person import PersonKey
from peer.keys.primitives import system_random
from tests.peer.keys.people import person, two


def test_both_ends_hold_the_same_pair_key(tmp_path: Path) -> None:
    ana, ben = two(tmp_path)
    with ana.step(), ben.step():
        anas = list(Keyring(ana.vault).pair_keys(ben.card, now=ana.now))
        bens = list(Keyring(ben.vault).pair_keys(ana.card, now=ben.now))

    assert anas == bens
    assert len(anas) == 1


def test_a_stranger_shares_no_key(tmp_path: Path) -> None:
    ana, ben = person(tmp_path, "ana"), person(tmp_path, "ben")
    with ana.step():
        assert list(Keyring(ana.vault).pair_keys(ben.card, now=ana.now)) == []


def test_keys_of_an_older_generation_are_tried_after_the_newest(tmp_path: Path) -> None:
    ana, ben = two(tmp_path)
    with ana.step():
        before = list(Keyring(ana.vault).pair_keys(ben.card, now=ana.now))
        ana.vault.keep_person_key(PersonKey.generate(2, system_random))
        after = list(Keyring(ana.vault).pair_keys(ben.card, now=ana.now))

    assert len(after) == 2
    assert after[1] == before[0]
    assert after[0] != before[0]


def test_a_device_is_one_end_of_its_sessions(tmp_path: Path) -> None:
    ana = person(tmp_path, "ana")
    [entry] = ana.card.devices
    party = Keyring(ana.vault).party

    assert (party.person, party.device, party.exchange) == (
        ana.card.person,
        entry.key,
        entry.exchange_key,
    )
