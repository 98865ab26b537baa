from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.keys.envelope import (
    Envelope,
    Packet,
    first_packet,
    open_body,
    open_envelope,
    seal_body,
    seal_envelope,
    split_first_packet,
)
from peer.keys.errors import BodySwapped, Broken, NotForUs, TooLarge, WrongAuthor
from peer.keys.person import PairKey
from peer.keys.primitives import seal, system_random
from wire.card import Position
from wire.errors import Malformed, UnknownVersion, WireError
from wire.ids import DeviceId, ParcelId, PersonId
from wire.kdf import framed
from wire.padding import padded_length
from wire.parcel import MAX_BODY, MIN_BODY

ANA, BEN = PersonId(b"a" * 32), PersonId(b"b" * 32)
DEVICE, PARCEL = DeviceId(b"d" * 16), ParcelId(b"p" * 16)
KEY, OTHER = PairKey(b"k" * 32), PairKey(b"o" * 32)
HERE = Position(1, 0, b"h" * 32)
ENVELOPE = Envelope(ANA, DEVICE, 1, (Packet(DEVICE, 1, b"raw"),), b"body", HERE, HERE)


def _sealed(envelope: Envelope = ENVELOPE) -> bytes:
    return seal_envelope(envelope, key=KEY, recipient=BEN, parcel=PARCEL, random=system_random)


def _open(body: bytes, *, keys: tuple[PairKey, ...] = (KEY,)) -> Envelope:
    return open_envelope(body, keys=keys, sender=ANA, recipient=BEN, parcel=PARCEL)


def _hand_sealed(plaintext: bytes) -> bytes:
    """Seal what no program of ours would."""
    child = KEY.child("envelope", sender=ANA, recipient=BEN)
    about = framed("envelope", b"\x01", ANA.raw, BEN.raw, PARCEL.raw)
    return b"\x01" + seal(child, plaintext, about=about, random=system_random)


def _padded(inner: bytes, *, filler: bytes = b"\0", total: int = 512) -> bytes:
    plain = len(inner).to_bytes(4, "big") + inner
    return plain + filler * (total - 41 - len(plain))


ENVELOPES = st.builds(
    Envelope,
    st.just(ANA),
    st.binary(min_size=16, max_size=16).map(DeviceId),
    st.integers(1, (1 << 63) - 1),
    st.lists(
        st.builds(
            Packet,
            st.binary(min_size=16, max_size=16).map(DeviceId),
            st.integers(0, 255),
            st.binary(max_size=64),
        ),
        max_size=4,
        unique_by=lambda packet: packet.device,
    ).map(tuple),
    st.binary(max_size=900),
    st.just(HERE),
    st.builds(Position, st.integers(1, 9), st.integers(0, 9), st.just(bytes(32))),
    st.integers(0, 99),
)


@given(ENVELOPES)
@settings(max_examples=60, deadline=None)
def test_an_envelope_comes_out_as_it_went_in_and_padded(envelope: Envelope) -> None:
    body = _sealed(envelope)

    assert len(body) >= MIN_BODY
    assert padded_length(len(body)) == len(body)
    assert _open(body) == envelope


@given(st.binary(max_size=300))
@settings(max_examples=80)
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        Envelope.decode(data)


def test_older_keys_are_tried_after_the_newest() -> None:
    assert _open(_sealed(), keys=(OTHER, KEY)) == ENVELOPE
    with pytest.raises(NotForUs):
        _open(_sealed(), keys=(OTHER,))
    with pytest.raises(NotForUs):
        _open(_sealed(), keys=())


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"sender": BEN, "recipient": ANA},
        {"sender": PersonId(b"e" * 32)},
        {"recipient": PersonId(b"e" * 32)},
        {"parcel": ParcelId(bytes(16))},
    ],
)
def test_an_envelope_opens_in_its_own_place_only(elsewhere: dict[str, PersonId]) -> None:
    place = {"sender": ANA, "recipient": BEN, "parcel": PARCEL, **elsewhere}

    with pytest.raises(NotForUs):
        open_envelope(_sealed(), keys=(KEY,), **place)  # type: ignore[arg-type]  # mixed ids


def test_another_author_inside_than_outside_is_refused() -> None:
    with pytest.raises(WrongAuthor):
        _open(_hand_sealed(_padded(replace(ENVELOPE, author=BEN).encode())))


def test_padding_is_zeros_and_as_long_as_it_says() -> None:
    assert _open(_hand_sealed(_padded(ENVELOPE.encode()))) == ENVELOPE
    with pytest.raises(Malformed, match="zeros"):
        _open(_hand_sealed(_padded(ENVELOPE.encode(), filler=b"\x01")))
    with pytest.raises(Malformed, match="zeros"):
        _open(_hand_sealed((1 << 31).to_bytes(4, "big") + bytes(467)))


@pytest.mark.parametrize("size", [0, 255, 257, 513])
def test_a_body_of_no_padded_length_is_refused(size: int) -> None:
    with pytest.raises(Malformed):
        _open(b"\x01" * size)


def test_a_suite_we_do_not_know_asks_for_a_newer_app() -> None:
    with pytest.raises(UnknownVersion):
        _open(b"\x02" + _sealed()[1:])


def test_two_packets_for_one_device_are_refused() -> None:
    double = replace(ENVELOPE, packets=ENVELOPE.packets * 2)

    with pytest.raises(Malformed, match="two packets"):
        Envelope.decode(double.encode())


def test_what_does_not_fit_in_a_parcel_is_too_large() -> None:
    with pytest.raises(TooLarge):
        _sealed(replace(ENVELOPE, body=bytes(MAX_BODY)))


def test_an_envelope_without_our_device_is_not_for_us() -> None:
    with pytest.raises(NotForUs):
        ENVELOPE.packet_for(DeviceId(bytes(16)))


def test_a_body_opens_with_its_packet_only() -> None:
    packet, body = seal_body(b"item", author=ANA, random=system_random)
    other_packet, other_body = seal_body(b"item", author=ANA, random=system_random)

    assert len(packet) == 96
    assert open_body(packet, body, author=ANA) == b"item"
    with pytest.raises(BodySwapped):
        open_body(packet, other_body, author=ANA)
    with pytest.raises(Broken):
        open_body(packet, body, author=BEN)
    with pytest.raises(Broken):
        open_body(other_packet[:32] + packet[32:], body, author=ANA)
    with pytest.raises(Broken):
        open_body(packet[:-1], body, author=ANA)


def test_a_first_packet_comes_apart_again() -> None:
    assert split_first_packet(first_packet(b"set-up", b"message")) == (b"set-up", b"message")


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\x00\x05four"])
def test_a_first_packet_cut_short_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        split_first_packet(raw)
