"""Parcels: seventy bytes and a body, and what a proof covers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hostile import damaged, refuses_with_only
from tests.wire.people import named, public
from tests.wire.strategies import parcels
from wire.errors import Malformed, UnknownVersion
from wire.ids import GatewayId, ParcelId
from wire.lanes import LaneSecret
from wire.padding import padded_length
from wire.parcel import HEADER_BYTES, MAX_BODY, MIN_BODY, Lifetime, Parcel, read_parcel

GATEWAY = GatewayId(public("gateway"))
LANE = LaneSecret(named("lane")).at(GATEWAY)
PARCEL = Parcel(LANE.id, ParcelId(named("id", 16)), Lifetime.WEEK, named("purge"), bytes(256))

ALLOWED = {
    Malformed,  # cut short, or a field out of bounds
    UnknownVersion,  # the first byte is no 1
}


@given(parcels, st.binary(max_size=20))
def test_a_parcel_comes_back_as_it_went(parcel: Parcel, before: bytes) -> None:
    data = before + parcel.encode()

    assert read_parcel(data, len(before)) == (parcel, len(data))
    assert read_parcel(data + b"next", len(before)) == (parcel, len(data))


@given(parcels.map(Parcel.encode).flatmap(damaged))
def test_a_damaged_parcel_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(read_parcel, data, ALLOWED)


def test_a_header_is_laid_out_as_written() -> None:
    header = PARCEL.header()

    assert len(header) == HEADER_BYTES == 70
    assert header[0] == 1
    assert header[1:17] == LANE.id.raw
    assert header[17:33] == PARCEL.id.raw
    assert header[33] == 1
    assert header[34:66] == PARCEL.purge
    assert header[66:] == (256).to_bytes(4, "big")


@pytest.mark.parametrize("size", [0x8000_0000, 0xFFFF_FFFF, MAX_BODY + 1, MAX_BODY, MIN_BODY - 1])
def test_a_lying_length_takes_no_room(size: int) -> None:
    """BI-05: a length beyond what has arrived is refused, whatever it promises."""
    data = PARCEL.header()[:66] + size.to_bytes(4, "big") + bytes(300)

    with pytest.raises(Malformed):
        read_parcel(data)


def test_only_padded_bodies_of_256_bytes_and_more_are_parcels() -> None:
    """CY-08: what a gateway sees of a length is one of a few."""
    for size in range(0, 65_537, 17):
        body = bytes(size)
        if size >= MIN_BODY and padded_length(size) == size:
            assert replace(PARCEL, body=body).body == body
        else:
            with pytest.raises(Malformed):
                replace(PARCEL, body=body)


def test_the_largest_body_fits_and_no_larger() -> None:
    largest = replace(PARCEL, body=bytes(MAX_BODY))

    assert read_parcel(largest.encode())[0] == largest
    with pytest.raises(Malformed):
        replace(PARCEL, body=bytes(padded_length(MAX_BODY + 1)))


def test_a_purge_hash_has_thirty_two_bytes() -> None:
    with pytest.raises(Malformed, match="32"):
        replace(PARCEL, purge=bytes(31))


def test_a_proof_fits_its_parcel_its_lane_and_its_gateway() -> None:
    proof = PARCEL.proof(LANE, gateway=GATEWAY)

    assert PARCEL.proved_by(proof, LANE, gateway=GATEWAY)
    assert not PARCEL.proved_by(proof[:15], LANE, gateway=GATEWAY)
    assert not PARCEL.proved_by(b"", LANE, gateway=GATEWAY)
    assert len(proof) == 16


@pytest.mark.parametrize("bucket", Lifetime)
def test_a_lifetime_is_one_of_four(bucket: Lifetime) -> None:
    assert bucket.seconds == {0: 1, 1: 7, 2: 30, 3: 180}[bucket] * 86_400


def test_neither_body_nor_purge_hash_is_printed() -> None:
    assert "body" not in repr(PARCEL)
    assert "purge" not in repr(PARCEL)
