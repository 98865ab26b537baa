from collections.abc import Iterator
from pathlib import Path

import pytest

from peer.items.kinds import Heartbeat, Item, Letter, Unknown
from peer.keys.errors import DeviceUnknown, TooLarge, WrongAuthor
from peer.keys.person import Device, Identity
from peer.keys.primitives import system_random
from peer.keys.signed_items import read_item, write_item
from tests.peer.keys.people import NOW, Person, person
from wire.codec import decode, encode
from wire.errors import Malformed, NotSigned
from wire.signing import sign


@pytest.fixture(name="ana")
def _ana(tmp_path: Path) -> Iterator[Person]:
    ana = person(tmp_path, "ana")
    yield ana
    ana.close()


def test_an_item_is_read_as_it_was_written(ana: Person) -> None:
    written = ana.write("hello")

    assert read_item(written.raw, card=ana.card) == written
    assert written.item.seconds == NOW


def test_the_same_words_twice_are_two_items(ana: Person) -> None:
    assert ana.write("yes").id != ana.write("yes").id


def test_another_persons_item_is_refused(ana: Person, tmp_path: Path) -> None:
    ben = person(tmp_path, "ben")

    with pytest.raises(WrongAuthor):
        read_item(ben.write("hello").raw, card=ana.card)
    ben.close()


def test_an_item_of_a_device_that_is_not_on_the_card_is_refused(ana: Person) -> None:
    other = Identity(ana.identity.person, Device.generate(system_random), ana.identity.person_key)
    item = write_item(Heartbeat(), identity=other, now=NOW)

    with pytest.raises(DeviceUnknown):
        read_item(item.raw, card=ana.card)


def test_a_signature_of_another_kind_or_over_other_bytes_is_refused(ana: Person) -> None:
    value = decode(ana.write("hello").raw, limit=1000)
    assert isinstance(value, list)
    body = value[0]
    assert isinstance(body, bytes)
    for signature in (sign(ana.identity.device.signing, "introduction", body), bytes(64), b""):
        with pytest.raises(NotSigned):
            read_item(encode([body, signature]), card=ana.card)


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\x82\x40\x01", b"\x82\x40\x40"])
def test_what_is_no_item_is_refused(ana: Person, raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_item(raw, card=ana.card)


def test_an_item_that_no_parcel_holds_is_too_large(ana: Person) -> None:
    with pytest.raises(TooLarge):
        ana.write(Unknown(77, bytes(1_000_000)))


def test_the_bytes_are_kept_when_this_program_does_not_know_all_of_them(ana: Person) -> None:
    item = Item(ana.card.person, ana.identity.device.id, 1, bytes(16), Letter("hello"))
    value = decode(item.encode(), limit=1000)
    assert isinstance(value, dict)
    body = encode({**value, 9: "a field of tomorrow"})
    raw = encode([body, sign(ana.identity.device.signing, "item", body)])
    found = read_item(raw, card=ana.card)

    assert found.item.content == Letter("hello")
    assert found.raw == raw
