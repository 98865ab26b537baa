"""Attacks on messages: replayed elsewhere, altered, presented as another kind, lying, oversized."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vectors.wire_messages import ORDER, SMALL_ORDER
from tests.wire.hostile import damaged
from tests.wire.people import device, named, public, signing
from tests.wire.strategies import frames, prekey, values
from wire.auth import Channel, LaneOpening, Login, Purpose
from wire.codec import decode, encode
from wire.errors import Malformed, NotSigned, WireError
from wire.frames import decode_frame, encode_frame
from wire.ids import GatewayId, Id, LaneId, ParcelId
from wire.lanes import LaneSecret
from wire.padding import padded_length
from wire.parcel import MIN_BODY, Lifetime, Parcel
from wire.prekeys import PrekeyKind
from wire.signing import sign, verify

GATEWAY, ELSEWHERE = GatewayId(public("gateway")), GatewayId(public("other gateway"))
HERE = Channel.over(GATEWAY, certificate=b"certificate")
OTHER_CHANNELS = [
    Channel.over(ELSEWHERE, certificate=b"certificate"),
    Channel.over(GATEWAY, certificate=b"other certificate"),
    Channel.over(ELSEWHERE, certificate=b"other certificate"),
]
NONCE = named("nonce")
SECRET = LaneSecret(named("lane"))
LANE = SECRET.at(GATEWAY)
PARCEL = Parcel(LANE.id, ParcelId(named("id", 16)), Lifetime.WEEK, named("purge"), bytes(256))


def flipped(data: bytes) -> list[bytes]:
    """Return `data` with one bit changed, for each of its bytes."""
    return [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :] for at in range(len(data))]


@pytest.mark.parametrize("channel", OTHER_CHANNELS)
def test_a_login_that_is_caught_opens_nothing_elsewhere(channel: Channel) -> None:
    """G6, AZ-07: a relay with a certificate of its own gets an answer that fits only itself."""
    login = Login.sign(signing("phone"), channel=HERE, nonce=NONCE)

    login.verify(HERE)
    with pytest.raises(NotSigned):
        login.verify(channel)


def test_a_login_altered_anywhere_is_refused() -> None:
    """AZ-08: every byte of device, nonce and signature counts."""
    login = Login.sign(signing("phone"), channel=HERE, nonce=NONCE)
    altered = [replace(login, nonce=nonce) for nonce in flipped(login.nonce)]
    altered += [replace(login, signature=signature) for signature in flipped(login.signature)]
    altered += [replace(login, device=device("tablet"))]

    for one in altered:
        with pytest.raises(NotSigned):
            one.verify(HERE)


@pytest.mark.parametrize("channel", OTHER_CHANNELS)
def test_a_lane_opening_that_is_caught_opens_nothing_elsewhere(channel: Channel) -> None:
    """AZ-07: neither at another gateway, nor through a relay, nor for another purpose."""
    opening = LaneOpening.make(LANE, channel=HERE, nonce=NONCE, purpose="deposit")

    assert opening.proved_by(LANE, channel=HERE, purpose="deposit")
    assert not opening.proved_by(LANE, channel=channel, purpose="deposit")
    assert not opening.proved_by(SECRET.at(ELSEWHERE), channel=channel, purpose="deposit")
    assert not opening.proved_by(LANE, channel=HERE, purpose="prekeys")


@pytest.mark.parametrize("purpose", ["deposit", "prekeys"])
def test_a_lane_opening_altered_anywhere_is_refused(purpose: Purpose) -> None:
    """AZ-08: lane, nonce and proof, byte by byte, against the lane that is then named."""
    opening = LaneOpening.make(LANE, channel=HERE, nonce=NONCE, purpose=purpose)

    for data in flipped(opening.encode()):
        one = LaneOpening.decode(data)
        assert not one.proved_by(replace(LANE, id=one.lane), channel=HERE, purpose=purpose)


def test_a_parcel_s_proof_covers_every_byte_of_it() -> None:
    """AZ-08: header and body; what is altered needs a proof of its own."""
    proof = PARCEL.proof(LANE, gateway=GATEWAY)
    altered = [replace(PARCEL, body=body) for body in flipped(PARCEL.body)]
    altered += [replace(PARCEL, purge=purge) for purge in flipped(PARCEL.purge)]
    altered += [replace(PARCEL, id=ParcelId(raw)) for raw in flipped(PARCEL.id.raw)]
    altered += [replace(PARCEL, lane=LaneId(raw)) for raw in flipped(PARCEL.lane.raw)]
    altered += [replace(PARCEL, lifetime=one) for one in Lifetime if one != PARCEL.lifetime]
    altered += [replace(PARCEL, body=bytes(288))]

    assert PARCEL.proved_by(proof, LANE, gateway=GATEWAY)
    for one in altered:
        assert not one.proved_by(proof, LANE, gateway=GATEWAY)
    for wrong in flipped(proof):
        assert not PARCEL.proved_by(wrong, LANE, gateway=GATEWAY)


def test_a_parcel_s_proof_is_worth_nothing_at_the_next_gateway() -> None:
    """AZ-07: a gateway that records a proof cannot use it at another, nor its key there."""
    proof = PARCEL.proof(LANE, gateway=GATEWAY)

    assert not PARCEL.proved_by(proof, LANE, gateway=ELSEWHERE)
    assert not PARCEL.proved_by(proof, SECRET.at(ELSEWHERE), gateway=ELSEWHERE)


@pytest.mark.parametrize("kind", PrekeyKind)
def test_a_prekey_altered_in_any_field_is_refused(kind: PrekeyKind) -> None:
    """AZ-08: device, kind, id, key and signature."""
    good = prekey(kind, 7)
    good.verify(device("phone"))
    altered = [replace(good, kind=other) for other in PrekeyKind if other is not kind]
    altered += [replace(good, id=8)]
    altered += [replace(good, public=key) for key in flipped(good.public)[:40]]
    altered += [replace(good, signature=one) for one in flipped(good.signature)]

    for one in altered:
        with pytest.raises(NotSigned):
            one.verify(device("phone"))
    with pytest.raises(NotSigned):
        good.verify(device("tablet"))


@pytest.mark.parametrize("text", SMALL_ORDER.values(), ids=SMALL_ORDER)
def test_a_small_order_key_or_point_is_refused_with_a_typed_error(text: str) -> None:
    """CY-01: at every verification there is, since there is one."""
    small, identity = bytes.fromhex(text), b"\1" + bytes(31)
    good = sign(signing("phone"), "login", b"body")

    for key, signature in (
        (small, identity + bytes(32)),
        (small, small + bytes(32)),
        (small, good),
        (public("phone"), small + good[32:]),
    ):
        with pytest.raises(NotSigned):
            verify(key, "login", body=b"body", signature=signature)


def test_a_signature_is_not_malleable() -> None:
    """CY-01: S plus the order of the group is the same point, and no second signature."""
    good = sign(signing("phone"), "login", b"body")
    s = int.from_bytes(good[32:], "little")

    for times in (1, 2, 8):
        twin = good[:32] + (s + times * ORDER).to_bytes(32, "little")
        with pytest.raises(NotSigned):
            verify(public("phone"), "login", body=b"body", signature=twin)


KINDS = [
    "card-root",
    "card-device",
    "freshness-note",
    "login",
    "gateway-certificate",
    "receipt",
    *(kind.domain for kind in PrekeyKind),
]


def test_a_signature_of_one_kind_is_none_of_any_other() -> None:
    """CY-03, A3: over the same bytes, by the same key."""
    for made in KINDS:
        signature = sign(signing("phone"), made, b"the same bytes")
        for asked in KINDS:
            if asked == made:
                verify(public("phone"), asked, body=b"the same bytes", signature=signature)
                continue
            with pytest.raises(NotSigned):
                verify(public("phone"), asked, body=b"the same bytes", signature=signature)


def test_no_kind_is_the_beginning_of_another() -> None:
    """CY-03: so that a body cannot make up for a missing part of the kind."""
    prefixes = [f"homepost/{kind}/1\0" for kind in KINDS]

    assert not any(a != b and b.startswith(a) for a in prefixes for b in prefixes)


@given(st.integers(0, 65_536))
@settings(max_examples=300)
def test_a_sealed_body_has_one_of_a_few_sizes(length: int) -> None:
    """CY-08, G2: from 256 bytes on, Padmé sizes and no others are parcels."""
    padded = max(MIN_BODY, padded_length(length))

    assert len(replace(PARCEL, body=bytes(padded)).body) == padded
    if length != padded:
        with pytest.raises(Malformed):
            replace(PARCEL, body=bytes(length))


@given(values)
def test_a_value_has_one_encoding_and_other_spellings_are_refused(value: object) -> None:
    """BI-04: a trailing byte and a longer head are no second spelling."""
    data = encode(value)  # type: ignore[arg-type]  # the strategy makes nothing else

    for other in (data + b"\0", data + data, b"\xd9\xd9\xf7" + data, b"\x9f" + data + b"\xff"):
        with pytest.raises(Malformed):
            decode(other, limit=1 << 20)


@given(frames.map(encode_frame).flatmap(damaged))
def test_no_two_messages_are_one_frame(data: bytes) -> None:
    """BI-04, NF-09: damage is refused, or it is another frame, spelled in its one way."""
    try:
        frame = decode_frame(data)
    except WireError:
        return
    assert encode_frame(frame) == data


@pytest.mark.parametrize("kind", [ParcelId, GatewayId])
def test_an_id_has_one_spelling(kind: type[Id]) -> None:
    """BI-04: base32 has spare bits, cases and padding; one form is taken."""
    one = kind(named("id", kind.size))
    last = "abcdefghijklmnopqrstuvwxyz234567"
    twins = [one.text[:-1] + letter for letter in last if letter != one.text[-1]]
    twins += [one.text.upper(), one.text + "=", f" {one.text}", one.text + "\n", one.text + "\0"]

    taken = []
    for text in twins:
        try:
            taken.append(kind.from_text(text))
        except Malformed:
            continue
    assert one not in taken
    assert len(set(taken)) == len(taken)


@pytest.mark.parametrize(
    "data",
    [
        b"\x5a\x80\x00\x00\x00",
        b"\x5b" + b"\xff" * 8,
        b"\x9a\x80\x00\x00\x00",
        b"\x9b" + b"\xff" * 8,
        b"\xbb" + b"\xff" * 8,
        b"\x7b" + b"\xff" * 8,
    ],
    ids=lambda data: data.hex(),
)
def test_a_length_that_lies_is_refused(data: bytes) -> None:
    """BI-05: 2^31 and 2^64-1 bytes, elements and pairs that are not there."""
    with pytest.raises(Malformed):
        decode(data, limit=1 << 20)
    with pytest.raises(Malformed):
        decode(b"\x81" + data, limit=1 << 20)


@pytest.mark.parametrize("size", [0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_a_parcel_that_promises_gigabytes_is_refused(size: int) -> None:
    """BI-05: in a deposit and in a delivery."""
    parcel = PARCEL.header()[:66] + size.to_bytes(4, "big") + PARCEL.body

    for frame in (
        b"\x20" + bytes(4) + b"\0\1" + bytes(16) + parcel,
        b"\x02" + b"\0\1" + bytes(7) + b"\1" + parcel,
    ):
        with pytest.raises(Malformed):
            decode_frame(frame)
