from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from peer.items.kinds import Unknown
from peer.keys.errors import NeedsBundles, NotForUs, TooLarge
from peer.keys.letters import Received
from peer.keys.sessions import FRESH_AFTER
from tests.peer.keys.people import DAY, Person, meet, person, two
from wire.ids import LaneId
from wire.parcel import Lifetime, Parcel

Pair = tuple[Person, Person]


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> Iterator[Pair]:
    ana, ben = two(tmp_path)
    yield ana, ben
    ana.close()
    ben.close()


def test_a_body_is_one_that_a_parcel_takes(pair: Pair) -> None:
    ana, ben = pair
    letter = ana.seal(ben)

    Parcel(LaneId(bytes(16)), letter.parcel, Lifetime.MONTH, bytes(32), letter.body)


def test_the_first_letter_needs_no_prekeys_from_the_gateway(pair: Pair) -> None:
    ana, ben = pair

    assert ana.letters.wants_bundles(ben.card, now=ana.now) == ()
    ana.seal(ben)


def test_without_prekeys_nothing_is_sealed_and_the_devices_are_named(tmp_path: Path) -> None:
    ana, ben = person(tmp_path, "ana"), person(tmp_path, "ben")
    meet(ana, ben, bundles=False)
    before = ana.state()

    assert ana.letters.wants_bundles(ben.card, now=ana.now) == (ben.identity.device.id,)
    with pytest.raises(NeedsBundles) as caught:
        ana.seal(ben)
    assert caught.value.devices == (ben.identity.device.id,)
    assert ana.state() == before
    assert ben.read(ana, ana.seal(ben, bundles=(ben.bundle(),))) == "hello"


def test_whoever_is_no_contact_is_not_written_to(tmp_path: Path) -> None:
    ana, ben = person(tmp_path, "ana"), person(tmp_path, "ben")

    with pytest.raises(NotForUs):
        ana.seal(ben, bundles=(ben.bundle(),))


def test_after_500_unanswered_letters_a_new_session_is_wanted(pair: Pair) -> None:
    ana, ben = pair
    for _ in range(FRESH_AFTER):
        last = ana.seal(ben)

    assert ana.letters.wants_bundles(ben.card, now=ana.now) == (ben.identity.device.id,)
    assert ben.read(ana, ana.seal(ben, "still in the old one")) == "still in the old one"
    fresh = ana.seal(ben, "fresh", bundles=(ben.bundle(),))
    received = ben.open(ana, fresh)
    assert isinstance(received, Received)
    assert received.began
    assert ben.read(ana, last) == "hello"
    assert ana.letters.wants_bundles(ben.card, now=ana.now) == ()


def test_a_session_is_renewed_after_thirty_days(pair: Pair) -> None:
    ana, ben = pair
    ben.open(ana, ana.seal(ben))
    ana.open(ben, ben.seal(ana))
    ana.now += 30 * DAY

    assert ana.letters.wants_bundles(ben.card, now=ana.now) == (ben.identity.device.id,)
    received = ben.open(ana, ana.seal(ben, bundles=(ben.bundle(),)))
    assert isinstance(received, Received)
    assert received.began


def test_the_largest_item_fits_and_one_more_byte_is_refused(pair: Pair) -> None:
    ana, ben = pair
    room = 1_000_000 - 200
    big = Unknown(77, bytes(room))

    assert isinstance(ben.open(ana, ana.seal(ben, big)), Received)
    item = ana.write(Unknown(77, bytes(room)))
    longer = replace(item, raw=item.raw + bytes(50_000))
    before = ana.state()
    with ana.step(), pytest.raises(TooLarge):
        ana.letters.seal(longer, to=ben.card, own=ana.card, now=ana.now)
    assert ana.state() == before
    with pytest.raises(TooLarge):
        ana.seal(ben, Unknown(77, bytes(room + 200)))


def test_nothing_is_sealed_outside_a_transaction(pair: Pair) -> None:
    ana, ben = pair

    with pytest.raises(RuntimeError):
        ana.letters.seal(ana.write(), to=ben.card, own=ana.card, now=ana.now)
