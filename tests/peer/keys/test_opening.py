from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from peer.items.kinds import Heartbeat, Letter, Range, Unknown
from peer.keys.letters import Letters, Received, Refused
from peer.keys.sessions import HEARTBEAT_AFTER
from tests.peer.keys.people import Person, two

Pair = tuple[Person, Person]


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> Iterator[Pair]:
    ana, ben = two(tmp_path)
    yield ana, ben
    ana.close()
    ben.close()


def test_the_envelope_says_what_both_know_of_each_others_cards(pair: Pair) -> None:
    ana, ben = pair
    received = ben.open(ana, ana.seal(ben))

    assert isinstance(received, Received)
    assert (received.theirs, received.ours) == (ana.card.position, ben.card.position)
    assert received.device == ana.identity.device.id
    assert (received.number, received.again) == (1, 0)
    assert (received.began, received.last_resort) == (True, False)


def test_what_could_not_be_opened_counts_as_missing(pair: Pair) -> None:
    ana, ben = pair
    ben.open(ana, ana.seal(ben))
    ana.open(ben, ben.seal(ana))
    ben.connection.execute("DELETE FROM sessions")
    refused = ben.open(ana, ana.seal(ben))

    assert isinstance(refused, Refused)
    assert (refused.code, refused.number) == ("session-unknown", 2)
    assert refused.device == ana.identity.device.id
    [request] = ben.letters.missing(ana.card.person)
    assert request.ranges == (Range(2, 2),)


def test_numbers_of_a_device_that_is_not_on_the_card_are_not_counted(pair: Pair) -> None:
    ana, ben = pair
    ben.read(ana, ana.seal(ben))
    stranger = replace(ana.identity.device, signing=SigningKey.generate())
    with ana.step():
        ana.vault.keep_identity(replace(ana.identity, device=stranger), seed=None)
        lying = Letters(ana.vault)
        letter = lying.seal(ana.write(), to=ben.card, own=ana.card, now=ana.now)

    assert ben.refuses(ana, letter) == "device-unknown"
    assert ben.connection.execute("SELECT count(*) FROM senders").fetchone() == (1,)
    assert ben.letters.missing(ana.card.person) == ()


def test_fifty_letters_without_an_answer_ask_for_a_heartbeat(pair: Pair) -> None:
    ana, ben = pair
    due = []
    for _ in range(HEARTBEAT_AFTER):
        received = ben.open(ana, ana.seal(ben))
        assert isinstance(received, Received)
        due.append(received.heartbeat_due)

    assert due == [False] * (HEARTBEAT_AFTER - 1) + [True]
    answer = ana.open(ben, ben.seal(ana, Heartbeat()))
    assert isinstance(answer, Received)
    assert answer.item.item.content == Heartbeat()
    after = ben.open(ana, ana.seal(ben))
    assert isinstance(after, Received)
    assert not after.heartbeat_due


def test_an_unknown_kind_is_opened_and_kept(pair: Pair) -> None:
    ana, ben = pair
    received = ben.open(ana, ana.seal(ben, Unknown(77, {0: "from the future"})))

    assert isinstance(received, Received)
    assert received.item.item.content == Unknown(77, {0: "from the future"})
    assert b"from the future" in received.item.raw


def test_text_of_a_letter_does_not_show_in_a_repr(pair: Pair) -> None:
    ana, ben = pair
    received = ben.open(ana, ana.seal(ben, Letter("a secret")))

    assert "a secret" not in repr(received)
