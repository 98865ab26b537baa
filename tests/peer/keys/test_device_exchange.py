"""Adding a device: who stands between makes other digits, and nothing secret goes before them."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from peer.keys.device_exchange import NewDevice, OldDevice
from peer.keys.errors import Broken, CommitmentBroken, OutOfTurn, WeakKey
from peer.keys.grant import Grant, Offer
from peer.keys.person import Device, PersonKey
from peer.keys.primitives import system_random
from tests.wire.hostile import damaged, refuses_with_only
from wire.card import DeviceEntry, Position, Role
from wire.codec import encode
from wire.codes import DeviceCode, ShownBy
from wire.errors import Malformed, NotSigned, UnknownVersion, WireError
from wire.ids import GatewayId, PersonId, SlotId
from wire.places import Place
from wire.rendezvous import MAX_MESSAGE

DEVICE = Device.generate(system_random)
OFFER = Offer(DeviceEntry(DEVICE.key, DEVICE.exchange.public, Role.TABLET), "kitchen")
GRANT = Grant(
    PersonId(bytes(32)),
    "Ana",
    PersonKey(3, b"s" * 32),
    Position(1, 4, b"h" * 32),
    b"r" * 32,
    GatewayId(b"g" * 32),
    ("192.0.2.7:4433",),
    ((DEVICE.id, "kitchen"),),
)


def code(shown_by: ShownBy) -> DeviceCode:
    return DeviceCode(shown_by, bytes(16), SlotId(b"s" * 16), 7, bytes(16), Place("192.0.2.7"))


def shown_by_new() -> tuple[NewDevice, OldDevice]:
    """Return both sides before the grant, the new one having shown the code."""
    new = NewDevice.showing(code(ShownBy.NEW))
    old = OldDevice.reading(new.code)
    new = new.reveal(old.opening_message, OFFER, device=DEVICE)
    return new, old.hear_revealing(new.revealing)


def shown_by_old() -> tuple[NewDevice, OldDevice]:
    """Return both sides before the grant, the old one having shown the code."""
    old = OldDevice.showing(code(ShownBy.OLD))
    new = NewDevice.reading(old.code)
    old = old.reveal(new.opening_message)
    new = new.hear_revealing(old.revealing)
    return new, old.hear_offer(new.offering(OFFER, device=DEVICE))


@pytest.mark.parametrize("way", [shown_by_new, shown_by_old])
def test_both_see_the_same_digits_and_the_grant_opens(way: object) -> None:
    new, old = way()  # type: ignore[operator]  # one of the two

    assert old.offer == OFFER
    assert new.check == old.check
    message = old.granting(GRANT)
    assert len(message) < MAX_MESSAGE
    assert new.open_grant(message) == GRANT


@pytest.mark.parametrize("way", [shown_by_new, shown_by_old])
def test_a_grant_of_another_exchange_does_not_open(way: object) -> None:
    new, _ = way()  # type: ignore[operator]
    _, other = way()  # type: ignore[operator]

    with pytest.raises(Broken):
        new.open_grant(other.granting(GRANT))


def test_the_largest_grant_fits_into_a_message() -> None:
    _, old = shown_by_old()
    names = tuple((DEVICE.id, "\U0001f4f1" * 40) for _ in range(10))
    largest = replace(GRANT, name="ü" * 120, places=("h" * 253 + ":65535",) * 4, names=names)

    assert len(old.granting(largest)) <= MAX_MESSAGE


def test_p4_whoever_stands_between_makes_other_digits_on_the_two_screens() -> None:
    """P4: he answers both sides in the other's place; neither sees what the other does."""
    old = OldDevice.showing(code(ShownBy.OLD))
    new, evil = NewDevice.reading(old.code), NewDevice.reading(old.code)
    evil_old = OldDevice.showing(code(ShownBy.OLD))

    with pytest.raises(CommitmentBroken):
        new.hear_revealing(evil_old.reveal(new.opening_message).revealing)
    old = old.reveal(evil.opening_message)
    assert new.hear_revealing(old.revealing).check != old.check


def test_p4_a_code_that_somebody_slips_in_gets_the_public_keys_of_nobody() -> None:
    """P4: what the old device says before the digits is one fresh public key."""
    evil = NewDevice.showing(code(ShownBy.NEW))
    old = OldDevice.reading(evil.code)

    assert old.opening_message == encode({0: 1, 1: old.exchange.public})
    with pytest.raises(OutOfTurn):
        assert old.check


def test_an_offer_is_signed_by_the_device_that_it_offers() -> None:
    other = Device.generate(system_random)
    new, old = NewDevice.showing(code(ShownBy.NEW)), None
    old = OldDevice.reading(new.code)
    new = new.reveal(old.opening_message, OFFER, device=other)

    with pytest.raises(NotSigned):
        old.hear_revealing(new.revealing)


def test_an_offer_of_another_exchange_is_refused() -> None:
    old, other = OldDevice.showing(code(ShownBy.OLD)), OldDevice.showing(code(ShownBy.OLD))
    new, stranger = NewDevice.reading(old.code), NewDevice.reading(other.code)
    old, other = old.reveal(new.opening_message), other.reveal(stranger.opening_message)
    offered = stranger.hear_revealing(other.revealing).offering(OFFER, device=DEVICE)

    with pytest.raises(Broken):
        old.hear_offer(offered)


def test_a12_a_key_of_low_order_is_refused() -> None:
    """A12: neither side agrees with a key that makes every secret the same."""
    new, old = NewDevice.showing(code(ShownBy.NEW)), OldDevice.showing(code(ShownBy.OLD))
    weak = encode({0: 1, 1: bytes(32)})

    with pytest.raises(WeakKey):
        new.reveal(weak, OFFER, device=DEVICE)
    with pytest.raises((WeakKey, Broken)):
        old.reveal(weak).hear_offer(encode({0: 1, 1: bytes(1088), 2: bytes(60)}))


ALLOWED: set[type[WireError]] = {Malformed, UnknownVersion}


@given(damaged(OldDevice.reading(code(ShownBy.NEW)).opening_message))
def test_a_damaged_opening_is_refused_with_a_wire_error(data: bytes) -> None:
    old = OldDevice.showing(code(ShownBy.OLD))
    refuses_with_only(old.reveal, data, ALLOWED)


def test_what_is_kept_secret_is_not_printed(tmp_path: Path) -> None:
    _, old = shown_by_new()

    assert "ssss" not in repr(GRANT)
    assert old.kem_secret.hex() not in repr(old)
    assert repr(old.kem_secret)[2:-1] not in repr(old)
