"""Parcels are cut out of their frames, whatever their sizes."""

from hypothesis import given
from hypothesis import strategies as st

from bench.deposits import parcel
from bench.recipients import cut
from wire.frames import Delivered, Parcels, encode_frame
from wire.ids import GatewayId
from wire.lanes import LaneSecret

LANE = LaneSecret(bytes(32)).at(GatewayId(bytes(32)))


@given(st.lists(st.sampled_from([256, 512, 1024]), min_size=1, max_size=8))
def test_every_parcel_of_a_frame_is_found(sizes: list[int]) -> None:
    sent = [Delivered(7 + at, parcel(LANE, size=size)) for at, size in enumerate(sizes)]

    found = cut(encode_frame(Parcels(tuple(sent))))

    assert found == [(one.seq, one.parcel.id.raw) for one in sent]
