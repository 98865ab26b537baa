"""Logins and lane openings: good at one gateway, over one certificate, for one nonce."""

from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hostile import damaged, refuses_with_only
from tests.wire.people import device, named, public, signing
from tests.wire.strategies import raw16, raw32
from wire.auth import LOGIN_LIMIT, Channel, Joining, LaneOpening, Login
from wire.errors import Malformed, UnknownVersion
from wire.ids import GatewayId, LaneId, PersonId
from wire.lanes import LaneSecret

GATEWAY = GatewayId(public("gateway"))
CHANNEL = Channel.over(GATEWAY, certificate=b"certificate")
LOGIN = Login.sign(signing("phone"), channel=CHANNEL, nonce=named("nonce"))
PERSON = PersonId(named("person"))
JOINING = Joining.sign(signing("phone"), person=PERSON, channel=CHANNEL, nonce=named("nonce"))
LANE = LaneSecret(named("lane")).at(GATEWAY)

LOGIN_ERRORS = {
    Malformed,  # not the map of four, or a field of another size
    UnknownVersion,  # field 0 is no 1
}


def test_a_login_comes_back_as_it_went_and_fits() -> None:
    read = Login.decode(LOGIN.encode())

    assert read == LOGIN
    assert read.device == device("phone")
    read.verify(CHANNEL)
    assert len(LOGIN.encode()) <= LOGIN_LIMIT


@given(damaged(LOGIN.encode()))
def test_a_damaged_login_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(Login.decode, data, LOGIN_ERRORS)


def test_a_joining_comes_back_as_it_went_and_fits() -> None:
    read = Joining.decode(JOINING.encode())

    assert read == JOINING
    read.verify(CHANNEL)
    assert len(JOINING.encode()) <= LOGIN_LIMIT


@given(damaged(JOINING.encode()))
def test_a_damaged_joining_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(Joining.decode, data, LOGIN_ERRORS)


@given(raw16, raw32, raw16)
def test_an_opening_comes_back_as_it_went(lane: bytes, nonce: bytes, proof: bytes) -> None:
    opening = LaneOpening(LaneId(lane), nonce, proof)

    assert LaneOpening.decode(opening.encode()) == opening


@given(st.binary(max_size=130).filter(lambda data: len(data) != LaneOpening.SIZE))
def test_an_opening_has_one_length(data: bytes) -> None:
    try:
        LaneOpening.decode(data)
    except Malformed:
        return
    raise AssertionError("it was taken")


def test_an_opening_fits_its_lane_and_purpose() -> None:
    opening = LaneOpening.make(LANE, channel=CHANNEL, nonce=named("nonce"), purpose="deposit")

    assert opening.proved_by(LANE, channel=CHANNEL, purpose="deposit")
    assert not opening.proved_by(LANE, channel=CHANNEL, purpose="prekeys")


def test_a_proof_is_not_printed() -> None:
    opening = LaneOpening.make(LANE, channel=CHANNEL, nonce=named("nonce"), purpose="deposit")

    assert "proof" not in repr(opening)
