"""A rendezvous slot: whose messages are whose."""

from wire.rendezvous import GUEST_MESSAGES, HOST_MESSAGES, MAX_SLOTS, MAX_SLOTS_OF_SEAT, MESSAGES


def test_every_message_is_one_side_s_and_the_guest_begins() -> None:
    assert {*GUEST_MESSAGES, *HOST_MESSAGES} == set(range(1, MESSAGES + 1))
    assert not GUEST_MESSAGES & HOST_MESSAGES
    assert 1 in GUEST_MESSAGES


def test_no_seat_takes_all_slots() -> None:
    assert MAX_SLOTS_OF_SEAT * 4 < MAX_SLOTS
