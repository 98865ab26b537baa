"""What a segment holds is read as it was written, and a letter of somebody else is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.devices.contents import MAX_CARD, Contents, Kept, small_enough
from peer.items.kinds import Letter
from peer.keys.person import Device, Identity, PersonKey
from peer.keys.primitives import system_random
from peer.keys.signed_items import write_item
from wire.codec import encode
from wire.errors import Malformed, UnknownVersion
from wire.ids import DeviceId, PersonId

OWNER, BEN = PersonId(b"o" * 32), PersonId(b"b" * 32)
NOW = 1_800_000_000.123


def kept(author: PersonId, *, outgoing: bool) -> Kept:
    identity = Identity(author, Device.generate(system_random), PersonKey(1, b"s" * 32))
    item = write_item(Letter("Soup?"), identity=identity, now=NOW)
    device, counted = (item.item.device, item.item.time >> 16) if outgoing else (None, None)
    return Kept(item.id, item.raw, BEN, outgoing, NOW, NOW + 1, device, counted)


def test_letters_in_and_out_come_back_as_they_were() -> None:
    contents = Contents((b"statement",), (kept(BEN, outgoing=False), kept(OWNER, outgoing=True)))

    assert Contents.decode(contents.encode(), owner=OWNER) == contents


def test_a_letter_keeps_its_place_among_those_of_its_device() -> None:
    one = kept(BEN, outgoing=False)
    counted = Kept(one.item, one.raw, BEN, False, NOW, NOW, DeviceId(b"d" * 16), 7)

    [found] = Contents.decode(Contents((), (counted,)).encode(), owner=OWNER).letters
    assert (found.device, found.counted) == (DeviceId(b"d" * 16), 7)


@pytest.mark.parametrize(("author", "outgoing"), [(OWNER, False), (BEN, True)])
def test_a_letter_by_another_author_than_it_says_is_refused(
    author: PersonId, outgoing: bool
) -> None:
    wrong = Contents((), (kept(author, outgoing=outgoing),)).encode()

    with pytest.raises(Malformed):
        Contents.decode(wrong, owner=OWNER)


def test_what_a_newer_program_adds_is_passed_over() -> None:
    assert Contents.decode(encode({0: 1, 1: [], 2: [], 9: b"new"}), owner=OWNER) == Contents((), ())
    with pytest.raises(UnknownVersion):
        Contents.decode(encode({0: 2, 1: [], 2: []}), owner=OWNER)


def test_a_card_goes_with_it_unless_it_is_very_long() -> None:
    assert small_enough([b"x" * MAX_CARD]) == (b"x" * MAX_CARD,)
    assert small_enough([b"x" * MAX_CARD, b"x"]) == ()


@given(st.binary(max_size=300))
def test_any_bytes_are_contents_or_a_typed_refusal(data: bytes) -> None:
    with suppress(Malformed, UnknownVersion):
        Contents.decode(data, owner=OWNER)
