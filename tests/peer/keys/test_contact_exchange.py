from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.keys.contact_exchange import Guest, Host
from peer.keys.errors import Broken, CommitmentBroken, Damaged, KeysError, OtherPerson, OutOfTurn
from peer.keys.introduction import SIZES
from tests.peer.keys.people import Person, contact_code, introduction, person
from wire.codes import ContactCode
from wire.errors import Malformed, UnknownVersion, WireError
from wire.rendezvous import MAX_MESSAGE

Pair = tuple[Person, Person]


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> Pair:
    return person(tmp_path, "ana"), person(tmp_path, "ben")


def _until_three(host_person: Person, guest_person: Person) -> tuple[Host, Guest]:
    host = Host.begin(contact_code(host_person))
    guest = Guest.begin(ContactCode.parse(host.code.text()))
    host = host.hear_one(guest.message_one)
    guest = guest.hear_two(host.message_two)
    with guest_person.step():
        ours = introduction(guest_person, guest.code.person)
    return host, guest.introduce(ours, device=guest_person.identity.device)


def test_both_learn_the_same_and_each_the_other(pair: Pair) -> None:
    ana, ben = pair
    host, guest = _until_three(ana, ben)
    assert guest.three is not None
    host, host_met = host.hear_three(guest.three)
    with ana.step():
        ours = introduction(ana, host_met.person)
    host = host.introduce(ours, device=ana.identity.device)
    assert host.four is not None
    guest_met = guest.hear_four(host.four)

    assert host.check == guest.check
    assert host_met.shared == guest_met.shared
    assert host_met.transcript == guest_met.transcript
    assert (host_met.person, guest_met.person) == (ben.card.person, ana.card.person)
    assert guest_met.introduction == ours
    assert host_met.introduction.bundle is not None


def test_messages_three_and_four_have_one_length_and_fit(pair: Pair) -> None:
    ana, ben = pair
    host, guest = _until_three(ana, ben)
    assert guest.three is not None
    host, met = host.hear_three(guest.three)
    with ana.step():
        short = introduction(ana, met.person, bundle=False)
    host = host.introduce(short, device=ana.identity.device)

    assert len(guest.three) == len(host.four or b"") == SIZES[0] - 1
    assert len(host.message_two) <= MAX_MESSAGE


def test_two_exchanges_have_nothing_in_common(pair: Pair) -> None:
    ana, ben = pair
    first, second = (_until_three(ana, ben) for _ in range(2))
    met = [host.hear_three(guest.three or b"")[1] for host, guest in (first, second)]

    assert met[0].shared != met[1].shared
    assert met[0].transcript != met[1].transcript


def test_every_message_is_repeated_word_for_word_after_a_crash(pair: Pair) -> None:
    ana, ben = pair
    host = Host.begin(contact_code(ana))
    guest = Guest.begin(host.code)
    assert Guest.load(guest.save()).message_one == guest.message_one
    host = Host.load(host.save()).hear_one(guest.message_one).hear_one(guest.message_one)
    assert Host.load(host.save()).message_two == host.message_two
    guest = Guest.load(guest.save()).hear_two(host.message_two).hear_two(host.message_two)
    with ben.step():
        ours = introduction(ben, ana.card.person)
    guest = Guest.load(guest.save()).introduce(ours, device=ben.identity.device)
    again = Guest.load(guest.save()).introduce(ours, device=ben.identity.device)
    assert again == guest
    assert again.three is not None
    host, met = Host.load(host.save()).hear_three(again.three)
    host, met_again = Host.load(host.save()).hear_three(again.three)
    assert met == met_again
    with ana.step():
        ours = introduction(ana, met.person)
    host = host.introduce(ours, device=ana.identity.device)
    assert Host.load(host.save()).introduce(ours, device=ana.identity.device) == host
    assert host.four is not None

    assert Guest.load(guest.save()).hear_four(host.four).shared == met.shared


def test_steps_come_in_their_turn(pair: Pair) -> None:
    ana, ben = pair
    host, guest = Host.begin(contact_code(ana)), Guest.begin(contact_code(ana))
    with ben.step():
        ours = introduction(ben, ana.card.person)

    with pytest.raises(OutOfTurn):
        _ = guest.check
    with pytest.raises(OutOfTurn):
        _ = host.check
    with pytest.raises(OutOfTurn):
        guest.introduce(ours, device=ben.identity.device)
    with pytest.raises(OutOfTurn):
        guest.hear_four(b"")
    with pytest.raises(OutOfTurn):
        host.introduce(ours, device=ben.identity.device)


def test_another_message_in_the_place_of_one_that_came_is_refused(pair: Pair) -> None:
    ana, ben = pair
    host, guest = _until_three(ana, ben)
    assert guest.three is not None
    host, _met = host.hear_three(guest.three)

    with pytest.raises(OutOfTurn):
        host.hear_three(guest.three[:-1] + bytes([guest.three[-1] ^ 1]))
    with pytest.raises(OutOfTurn):
        guest.hear_two(host.message_two + b"\0")


def test_an_altered_message_is_refused(pair: Pair) -> None:
    ana, ben = pair
    host, guest = _until_three(ana, ben)
    assert guest.three is not None
    for position in (20, 1000, 1110, -1):
        altered = bytearray(guest.three)
        altered[position] ^= 1
        with pytest.raises(Broken):
            host.hear_three(bytes(altered))
    two = bytearray(host.message_two)
    two[-1] ^= 1
    with pytest.raises(CommitmentBroken):
        replace(guest, two=None).hear_two(bytes(two))


def test_whoever_has_another_card_than_the_code_says_is_refused(pair: Pair) -> None:
    ana, ben = pair
    code = replace(contact_code(ana), person=ben.card.person)
    host = Host.begin(code)
    guest = Guest.begin(host.code)
    host = host.hear_one(guest.message_one)
    guest = guest.hear_two(host.message_two)
    eve = person(ana.file.parent, "eve")
    with eve.step():
        eves = introduction(eve, ben.card.person)
    guest = guest.introduce(eves, device=eve.identity.device)
    assert guest.three is not None
    host, met = host.hear_three(guest.three)
    with ana.step():
        ours = introduction(ana, met.person)
    host = host.introduce(ours, device=ana.identity.device)
    assert host.four is not None

    with pytest.raises(OtherPerson):
        guest.hear_four(host.four)


def test_nobody_adds_herself(pair: Pair) -> None:
    ana, _ben = pair
    host = Host.begin(contact_code(ana))
    guest = Guest.begin(host.code)
    host = host.hear_one(guest.message_one)
    guest = guest.hear_two(host.message_two)
    with ana.step():
        ours = introduction(ana, ana.card.person)

    with pytest.raises(OtherPerson):
        guest.introduce(ours, device=ana.identity.device)


@given(st.binary(max_size=120))
@settings(max_examples=60)
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    for load in (Host.load, Guest.load):
        with pytest.raises(Damaged):
            load(data)


@pytest.mark.parametrize("message", [b"", b"\xa0", b"\xa1\x00\x01", bytes(5000)])
def test_what_is_no_message_is_refused(pair: Pair, message: bytes) -> None:
    ana, ben = pair
    host, guest = _until_three(ana, ben)
    fresh = Host.begin(contact_code(ana))

    for hear in (fresh.hear_one, replace(guest, two=None).hear_two, guest.hear_four):
        with pytest.raises((WireError, KeysError)):
            hear(message)
    with pytest.raises(Malformed):
        host.hear_three(message)


def test_a_message_of_tomorrow_asks_for_a_newer_app(pair: Pair) -> None:
    ana, _ben = pair

    with pytest.raises(UnknownVersion):
        Host.begin(contact_code(ana)).hear_one(b"\xa2\x00\x02\x01\x40")


def test_secrets_do_not_show(pair: Pair) -> None:
    ana, ben = pair
    host, guest = _until_three(ana, ben)

    assert "kem_secret" not in repr(guest)
    assert "seed" not in repr(host)
    assert "shared" not in repr(host.hear_three(guest.three or b"")[1])
