"""A gateway's word that can be handed on."""

from dataclasses import replace

import pytest

from tests.wire.people import named, public, signing
from wire.errors import NotSigned
from wire.ids import GatewayId, ParcelId
from wire.receipt import Receipt, Stored

GATEWAY = GatewayId(public("gateway"))
PARCELS = tuple(Stored(ParcelId(named(name, 16)), named(f"{name} body")) for name in ("one", "two"))


def test_whoever_knows_the_gateway_can_check_what_it_signed_for() -> None:
    Receipt.sign(signing("gateway"), PARCELS).verify(GATEWAY)


@pytest.mark.parametrize(
    "changed",
    [
        PARCELS[:1],
        PARCELS[::-1],
        (*PARCELS, PARCELS[0]),
        (replace(PARCELS[0], body_hash=named("another body")), PARCELS[1]),
        (replace(PARCELS[0], parcel=ParcelId(named("another", 16))), PARCELS[1]),
    ],
)
def test_nothing_can_be_added_left_out_or_exchanged(changed: tuple[Stored, ...]) -> None:
    receipt = Receipt.sign(signing("gateway"), PARCELS)

    with pytest.raises(NotSigned):
        replace(receipt, stored=changed).verify(GATEWAY)


def test_a_receipt_of_another_gateway_is_none() -> None:
    with pytest.raises(NotSigned):
        Receipt.sign(signing("other gateway"), PARCELS).verify(GATEWAY)
