from dataclasses import replace
from pathlib import Path

import pytest

from peer.keys.birth import state_gateways
from peer.keys.errors import Broken, TooLarge, WrongAuthor
from peer.keys.introduction import Channel, Introduction, introduce, remember
from peer.keys.primitives import system_random
from tests.peer.keys.people import NOW, Person, introduction, meet, person
from wire.card import GatewayEntry
from wire.errors import NotSigned
from wire.ids import GatewayId

CHANNEL = Channel(bytes(32), b"c" * 32)
Pair = tuple[Person, Person]


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> Pair:
    return person(tmp_path, "ana"), person(tmp_path, "ben")


def _of(speaker: Person, to: Person) -> Introduction:
    with speaker.step():
        return introduction(speaker, to.card.person)


def _seal(ours: Introduction, speaker: Person, *, side: str = "guest") -> bytes:
    return CHANNEL.seal(ours, side=side, device=speaker.identity.device, random=system_random)


def test_an_introduction_comes_out_as_it_went_in(pair: Pair) -> None:
    ana, ben = pair
    ours = _of(ana, ben)

    assert CHANNEL.open(_seal(ours, ana), side="guest") == ours


def test_the_sides_and_the_exchanges_do_not_mix(pair: Pair) -> None:
    ana, ben = pair
    sealed = _seal(_of(ana, ben), ana)

    with pytest.raises(Broken):
        CHANNEL.open(sealed, side="host")
    with pytest.raises(Broken):
        replace(CHANNEL, transcript=b"t" * 32).open(sealed, side="guest")
    with pytest.raises(Broken):
        replace(CHANNEL, secret=b"o" * 32).open(sealed, side="guest")


def test_only_the_device_itself_can_introduce_its_person(pair: Pair) -> None:
    ana, ben = pair

    with pytest.raises(NotSigned):
        CHANNEL.open(_seal(_of(ana, ben), ben), side="guest")
    as_ben = _seal(replace(_of(ana, ben), device=ben.identity.device.key), ben)
    with pytest.raises(WrongAuthor):
        CHANNEL.open(as_ben, side="guest")
    with_bens = _seal(replace(_of(ana, ben), bundle=_of(ben, ana).bundle), ana)
    with pytest.raises(WrongAuthor):
        CHANNEL.open(with_bens, side="guest")


def test_prekeys_that_their_device_did_not_sign_are_refused(pair: Pair) -> None:
    ana, ben = pair
    ours = _of(ana, ben)
    assert ours.bundle is not None
    swapped = replace(ours.bundle.signed, public=ben.identity.device.exchange.public)
    lying = replace(ours, bundle=replace(ours.bundle, signed=swapped))

    with pytest.raises(NotSigned):
        CHANNEL.open(_seal(lying, ana), side="guest")


def _longer(speaker: Person, statements: int) -> None:
    for number in range(statements):
        gateways = (GatewayEntry(GatewayId(bytes([number + 1]) * 32), ("h" * 200,) * 4),)
        speaker.card, _signed = state_gateways(
            speaker.identity, speaker.card, gateways=gateways, now=NOW
        )


def test_a_long_card_takes_the_place_of_the_prekeys(pair: Pair) -> None:
    ana, ben = pair
    _longer(ana, 20)
    sizes = set()
    for _ in range(10):
        _longer(ana, 1)
        sealed = _seal(_of(ana, ben), ana)
        sizes.add(len(sealed))
        found = CHANNEL.open(sealed, side="guest")
        assert found.card == ana.card
        if found.bundle is None:
            break

    assert found.bundle is None
    assert len(sizes) == 1


def test_a_card_that_does_not_fit_at_all_is_said(pair: Pair) -> None:
    ana, ben = pair
    _longer(ana, 40)

    with pytest.raises(TooLarge):
        _seal(_of(ana, ben), ana)


def test_what_was_met_is_remembered_and_repeating_it_changes_nothing(pair: Pair) -> None:
    ana, ben = pair
    host_met, _guest_met = meet(ana, ben)
    before = ana.state()
    with ana.step():
        remember(ana.vault, host_met, now=ana.now)

    assert ana.state() == before
    assert ana.vault.pair_secrets(ben.card.person) == (host_met.shared,)
    assert ana.vault.prekeys.bundle(ben.card.person, ben.identity.device.key) is not None


def test_the_next_number_is_told(pair: Pair) -> None:
    ana, ben = pair
    meet(ana, ben)
    ana.seal(ben)
    again = introduce(
        ana.vault,
        ana.identity,
        card=ana.card,
        to=ben.card.person,
        lanes=(),
        bundle=None,
        name="Ana",
    )

    assert again.number == 2
