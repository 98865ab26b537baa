"""Ids: lengths, kinds, spellings."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.people import device, public
from tests.wire.strategies import raw16, raw32
from wire.errors import Malformed
from wire.ids import (
    CursorEpoch,
    DeviceId,
    DeviceKey,
    GatewayId,
    Id,
    ItemId,
    LaneId,
    ParcelId,
    PersonId,
    SeatId,
    SlotId,
)

SHORT = (DeviceId, ParcelId, LaneId, ItemId, SeatId, SlotId, CursorEpoch)
LONG = (PersonId, DeviceKey, GatewayId)


@pytest.mark.parametrize("kind", [*SHORT, *LONG])
def test_an_id_has_one_length(kind: type[Id]) -> None:
    for size in (0, kind.size - 1, kind.size + 1):
        with pytest.raises(Malformed):
            kind(bytes(size))
    assert kind(bytes(kind.size)).raw == bytes(kind.size)


@pytest.mark.parametrize("kinds", [SHORT, LONG])
def test_ids_of_different_kinds_are_never_equal(kinds: tuple[type[Id], ...]) -> None:
    """A4: an id of one thing cannot stand for another, whatever its bytes."""
    made: set[Id] = {kind(bytes(kind.size)) for kind in kinds}

    assert len(made) == len(kinds)


@given(st.one_of(raw16.map(ParcelId), raw32.map(PersonId)))
def test_an_id_is_read_as_it_was_printed(one: Id) -> None:
    assert type(one).from_text(one.text) == one
    assert one.text == one.text.lower()


@given(raw16.map(ParcelId), st.text(max_size=30))
def test_no_other_spelling_is_taken(one: ParcelId, text: str) -> None:
    """BI-04, BI-06: what is read as an id would be printed in the same way."""
    for other in (text, one.text.upper(), one.text + "=", one.text + text, text + one.text):
        with suppress(Malformed):
            assert ParcelId.from_text(other).text == other


def test_an_id_in_a_log_is_short() -> None:
    one = LaneId(bytes(range(16)))

    assert str(one) == f"{one.text[:8]}…"
    assert repr(one) == f"LaneId({one.text[:8]}…)"


def test_a_person_and_a_device_are_named_after_their_keys() -> None:
    assert PersonId.of_root(public("root")) == PersonId.of_root(public("root"))
    assert PersonId.of_root(public("root")) != PersonId.of_root(public("thief"))
    assert device("phone").device != device("tablet").device
    assert PersonId.of_root(public("phone")).raw[:16] != device("phone").device.raw
