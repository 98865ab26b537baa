"""Four messages between two phones that have just met."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.relay.slots import Guest, Host, SlotGone, Slots, SlotsFull, SlotTaken
from wire.errors import Malformed
from wire.ids import DeviceKey, SeatId, SlotId
from wire.rendezvous import MAX_MESSAGE, MAX_SLOTS, MAX_SLOTS_OF_SEAT, SLOT_SECONDS

SLOT = SlotId(b"s" * 16)
HOST = Host(SeatId(b"h" * 16), DeviceKey(b"d" * 32))
GUEST = Guest(b"g" * 16)
EVE = Guest(b"e" * 16)


def numbered(number: int) -> SlotId:
    return SlotId(number.to_bytes(16, "big"))


@pytest.fixture
def slots() -> Slots:
    opened = Slots()
    opened.open(SLOT, HOST, now=0)
    return opened


def test_four_messages_go_to_and_fro(slots: Slots) -> None:
    for number, by in ((1, GUEST), (2, HOST), (3, GUEST), (4, HOST)):
        assert slots.read(SLOT, number, now=1) is None
        slots.write(SLOT, number, b"message", by=by, now=1)
        assert slots.read(SLOT, number, now=1) == b"message"


def test_a_message_may_be_written_again_word_for_word_only(slots: Slots) -> None:
    slots.write(SLOT, 1, b"one", by=GUEST, now=1)
    slots.write(SLOT, 1, b"one", by=GUEST, now=2)

    with pytest.raises(SlotTaken):
        slots.write(SLOT, 1, b"other", by=GUEST, now=3)
    assert slots.read(SLOT, 1, now=4) == b"one"


@pytest.mark.parametrize(("number", "by"), [(2, GUEST), (4, GUEST), (1, HOST), (3, HOST)])
def test_nobody_writes_the_others_messages(slots: Slots, number: int, by: Host | Guest) -> None:
    with pytest.raises(SlotTaken):
        slots.write(SLOT, number, b"message", by=by, now=1)


def test_the_first_guest_keeps_the_place(slots: Slots) -> None:
    slots.write(SLOT, 1, b"one", by=GUEST, now=1)

    for number in (1, 3):
        with pytest.raises(SlotTaken):
            slots.write(SLOT, number, b"one", by=EVE, now=2)
    slots.write(SLOT, 3, b"three", by=GUEST, now=3)


def test_another_device_is_not_the_host(slots: Slots) -> None:
    other = replace(HOST, device=DeviceKey(b"x" * 32))

    with pytest.raises(SlotTaken):
        slots.write(SLOT, 2, b"two", by=other, now=1)
    with pytest.raises(SlotTaken):
        slots.open(SLOT, other, now=1)


def test_a_slot_is_gone_after_ten_minutes_however_often_it_is_opened(slots: Slots) -> None:
    slots.write(SLOT, 1, b"one", by=GUEST, now=1)
    slots.open(SLOT, HOST, now=SLOT_SECONDS - 1)
    assert slots.read(SLOT, 1, now=SLOT_SECONDS - 1) == b"one"

    with pytest.raises(SlotGone):
        slots.read(SLOT, 1, now=SLOT_SECONDS)
    with pytest.raises(SlotGone):
        slots.write(SLOT, 2, b"two", by=HOST, now=SLOT_SECONDS)
    assert list(slots) == []


def test_a_slot_that_nobody_opened_is_gone(slots: Slots) -> None:
    with pytest.raises(SlotGone):
        slots.read(numbered(1), 1, now=1)


def test_a_seat_has_three_slots_and_gets_another_when_one_ends() -> None:
    slots = Slots()
    for number in range(MAX_SLOTS_OF_SEAT):
        slots.open(numbered(number), HOST, now=number)

    with pytest.raises(SlotsFull):
        slots.open(numbered(9), HOST, now=10)
    slots.open(numbered(9), HOST, now=SLOT_SECONDS)


def test_a_gateway_has_so_many_slots_in_all() -> None:
    slots = Slots()
    for number in range(MAX_SLOTS):
        host = replace(HOST, seat=SeatId(number.to_bytes(16, "big")))
        slots.open(numbered(number), host, now=0)

    with pytest.raises(SlotsFull):
        slots.open(numbered(99), HOST, now=1)


def test_the_slots_of_a_removed_seat_close(slots: Slots) -> None:
    other = replace(HOST, seat=SeatId(b"o" * 16))
    slots.open(numbered(1), other, now=0)

    slots.close_of(HOST.seat)

    assert list(slots) == [numbered(1)]


@pytest.mark.parametrize("size", [0, MAX_MESSAGE + 1])
def test_a_message_has_a_size(slots: Slots, size: int) -> None:
    with pytest.raises(Malformed):
        slots.write(SLOT, 1, bytes(size), by=GUEST, now=1)
    slots.write(SLOT, 1, bytes(MAX_MESSAGE), by=GUEST, now=1)


@pytest.mark.parametrize("number", [-1, 0, 5, 1 << 64])
def test_there_are_four_messages(slots: Slots, number: int) -> None:
    with pytest.raises(Malformed):
        slots.read(SLOT, number, now=1)
    with pytest.raises(Malformed):
        slots.write(SLOT, number, b"x", by=GUEST, now=1)


def test_a_side_is_named_by_sixteen_bytes_that_are_not_shown() -> None:
    with pytest.raises(Malformed):
        Guest(b"short")
    assert "g" * 16 not in repr(GUEST)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([GUEST, EVE, HOST]), st.integers(1, 4), st.sampled_from([b"a", b"b"])
        ),
        max_size=30,
    )
)
def test_whatever_is_tried_what_stands_once_stands(
    tried: list[tuple[Guest | Host, int, bytes]],
) -> None:
    slots = Slots()
    slots.open(SLOT, HOST, now=0)
    stands: dict[int, bytes] = {}
    guests = set()
    for by, number, message in tried:
        try:
            slots.write(SLOT, number, message, by=by, now=1)
        except SlotTaken:
            pass
        else:
            assert stands.setdefault(number, message) == message
            assert (number % 2 == 0) == (by is HOST)
            guests.update({by} - {HOST})
        assert {n: slots.read(SLOT, n, now=1) for n in stands} == stands
    assert len(guests) <= 1
