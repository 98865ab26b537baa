from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peer.items.kinds import Range
from tests.peer.keys.people import DAY, NOW, Person, person
from wire.ids import DeviceId, PersonId

BEN, PHONE, TABLET = PersonId(b"b" * 32), DeviceId(b"p" * 16), DeviceId(b"t" * 16)


@pytest.fixture(name="ana")
def _ana(tmp_path: Path) -> Iterator[Person]:
    ana = person(tmp_path, "ana")
    yield ana
    ana.close()


def _receive(ana: Person, *numbers: int, device: DeviceId = PHONE) -> None:
    with ana.step():
        for number in numbers:
            ana.vault.numbers.saw_number(BEN, device, number)
            ana.vault.numbers.keep_received(BEN, device, number=number, parcel=b"x" * 16, now=NOW)


def test_numbers_count_from_one_for_each_person(ana: Person) -> None:
    numbers = ana.vault.numbers
    with ana.step():
        assert [numbers.next_number(BEN) for _ in range(3)] == [1, 2, 3]
        assert numbers.next_number(PersonId(bytes(32))) == 1
        numbers.count_from(BEN, 10)
        numbers.count_from(BEN, 5)
        assert numbers.next_number(BEN) == 11

    assert numbers.last_number(BEN) == 11


@given(received=st.sets(st.integers(1, 30)), gone=st.sets(st.integers(1, 30), max_size=5))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_missing_is_what_neither_came_nor_is_gone(
    ana: Person, received: set[int], gone: set[int]
) -> None:
    with ana.step():
        ana.vault.numbers.expect_from(BEN, PHONE, first=1)
        ana.vault.numbers.keep_gone(BEN, PHONE, tuple(Range(one, one) for one in gone))
    _receive(ana, *received)
    ranges = ana.vault.numbers.missing(BEN).get(PHONE, ())
    missing = {number for one in ranges for number in range(one.first, one.last + 1)}

    assert missing == set(range(1, max(received, default=0) + 1)) - received - gone
    assert all(one.last + 1 < two.first for one, two in pairwise(ranges))


def test_each_device_counts_for_itself(ana: Person) -> None:
    _receive(ana, 2)
    _receive(ana, 1, 3, device=TABLET)

    assert ana.vault.numbers.missing(BEN) == {PHONE: (Range(1, 1),), TABLET: (Range(2, 2),)}


def test_nothing_before_the_beginning_is_asked_for(ana: Person) -> None:
    with ana.step():
        ana.vault.numbers.expect_from(BEN, PHONE, first=58)
    _receive(ana, 60)

    assert ana.vault.numbers.missing(BEN) == {PHONE: (Range(58, 59),)}


def test_a_number_seen_and_not_opened_is_missing(ana: Person) -> None:
    with ana.step():
        ana.vault.numbers.saw_number(BEN, PHONE, 2)

    assert ana.vault.numbers.missing(BEN) == {PHONE: (Range(1, 2),)}


def test_a_huge_number_costs_no_more_than_a_small_one(ana: Person) -> None:
    last = (1 << 63) - 1
    _receive(ana, last)

    assert ana.vault.numbers.missing(BEN) == {PHONE: (Range(1, last - 1),)}


def test_what_came_without_a_gap_is_not_looked_at_again(ana: Person) -> None:
    with ana.step():
        ana.vault.numbers.keep_gone(BEN, PHONE, (Range(4, 5), Range(9, 9)))
    _receive(ana, 1, 2, 3, 6, 8)
    _receive(ana, 1, 3, device=TABLET)

    assert _floors(ana) == {PHONE: 6, TABLET: 1}
    _receive(ana, 7)
    assert _floors(ana) == {PHONE: 9, TABLET: 1}
    assert ana.vault.numbers.missing(BEN) == {TABLET: (Range(2, 2),)}


def test_a_contact_who_calls_everything_gone_costs_one_step(ana: Person) -> None:
    last = (1 << 63) - 1
    with ana.step():
        ana.vault.numbers.keep_gone(BEN, PHONE, (Range(1, last), Range(2, last)))
    _receive(ana, 3, last)

    assert _floors(ana) == {PHONE: last}
    assert ana.vault.numbers.missing(BEN) == {}


def _floors(ana: Person) -> dict[DeviceId, int]:
    rows = ana.connection.execute("SELECT device, floor FROM senders WHERE person = ?", (BEN.raw,))
    return {DeviceId(device): floor for device, floor in rows}


def test_what_came_under_another_number_may_still_come_itself(ana: Person) -> None:
    numbers = ana.vault.numbers
    with ana.step():
        numbers.keep_received(BEN, PHONE, number=1, parcel=b"", now=NOW)
        assert numbers.received(BEN, PHONE, 1) == b""
        numbers.keep_received(BEN, PHONE, number=1, parcel=b"x", now=NOW)
        numbers.keep_received(BEN, PHONE, number=1, parcel=b"y", now=NOW)

    assert numbers.received(BEN, PHONE, 1) == b"x"
    assert numbers.received(BEN, PHONE, 2) is None


def test_one_reset_a_day_in_each_direction(ana: Person) -> None:
    numbers = ana.vault.numbers
    with ana.step():
        taken = [
            numbers.may_reset(BEN, PHONE, asked=asked, now=NOW + after)
            for asked, after in (
                (False, 0), (False, 1), (True, 1), (False, DAY - 1), (False, DAY), (False, DAY + 1),
            )
        ]  # fmt: skip

    assert taken == [True, False, True, False, True, False]


def test_the_count_towards_a_forgotten_person_goes_on_under_a_hash(ana: Person) -> None:
    numbers = ana.vault.numbers
    with ana.step():
        assert [numbers.next_number(BEN) for _ in range(3)] == [1, 2, 3]
        numbers.forget(BEN)
        rows = ana.connection.execute("SELECT person FROM sent_numbers").fetchall()
        assert rows != [(BEN.raw,)]
        assert numbers.last_number(BEN) == 3
        numbers.count_from(BEN, 1)
        assert numbers.next_number(BEN) == 4
        numbers.forget(BEN)
        assert numbers.next_number(BEN) == 5
