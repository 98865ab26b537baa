from pathlib import Path

import pytest

from peer.keys.birth import state_gateways
from peer.keys.person import root_key
from tests.peer.keys.people import NOW, person
from wire.card import Card, GatewayEntry, Role
from wire.errors import CardRejected
from wire.ids import GatewayId


def test_a_new_person_has_a_card_that_anybody_can_verify(tmp_path: Path) -> None:
    ana = person(tmp_path, "ana")
    card = Card.follow(ana.identity.person, ana.card.chain)
    [device] = card.devices

    assert (device.key, device.exchange_key, device.role) == (
        ana.identity.device.key,
        ana.identity.device.exchange.public,
        Role.PHONE,
    )
    assert card.person_public == ana.identity.person_key.box.public
    assert not card.stale(NOW)
    assert bytes(root_key(ana.vault.seed() or b"").verify_key) == card.root_key
    ana.close()


def test_two_people_share_nothing(tmp_path: Path) -> None:
    ana, ben = person(tmp_path, "ana"), person(tmp_path, "ben")

    assert ana.identity.person != ben.identity.person
    assert ana.identity.device.key != ben.identity.device.key
    ana.close()
    ben.close()


def test_the_device_states_where_the_mailbox_is(tmp_path: Path) -> None:
    ana, ben = person(tmp_path, "ana"), person(tmp_path, "ben")
    gateways = (GatewayEntry(GatewayId(b"g" * 32), ("192.0.2.7",)),)
    card, signed = state_gateways(ana.identity, ana.card, gateways=gateways, now=NOW)

    assert card.gateways == gateways
    assert card.devices == ana.card.devices
    assert Card.follow(card.person, card.chain) == card
    assert card.chain == (*ana.card.chain, signed.encode())
    with pytest.raises(CardRejected):
        state_gateways(ben.identity, ana.card, gateways=gateways, now=NOW)
    ana.close()
    ben.close()
