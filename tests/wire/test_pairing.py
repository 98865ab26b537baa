"""Pairing messages: what the proof covers, and what is refused."""

from dataclasses import replace

import pytest
from hypothesis import given

from tests.wire.hostile import damaged, refuses_with_only
from tests.wire.people import birth, device, exchange, named, public
from wire.auth import Channel
from wire.card import MAX_CHAIN, MAX_STATEMENT
from wire.errors import Malformed, UnknownVersion
from wire.ids import GatewayId
from wire.pairing import REQUEST_LIMIT, PairAnswer, PairingState, PairRequest

CHANNEL = Channel.over(GatewayId(public("gateway")), certificate=b"certificate")
SECRET, NONCE = named("secret", 16), named("nonce", 16)
ALLOWED = {
    Malformed,  # not the map that it should be, or a field out of bounds
    UnknownVersion,  # field 0 is no 1
}


def request(*chain: bytes, confirmed: bool = False) -> PairRequest:
    """Return what a phone asks with."""
    return PairRequest.make(
        SECRET,
        channel=CHANNEL,
        device=device("phone"),
        exchange_key=exchange("phone"),
        chain=chain or (birth("phone").encode(),),
        confirmed=confirmed,
    )


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_request_comes_back_as_it_went(confirmed: bool) -> None:
    asked = request(confirmed=confirmed)

    assert PairRequest.decode(asked.encode()) == asked
    assert asked.made_with(SECRET, channel=CHANNEL)


@given(damaged(request().encode()))
def test_a_damaged_request_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(PairRequest.decode, data, ALLOWED)


def test_the_longest_card_fits_into_a_request() -> None:
    longest = request(*[bytes(MAX_STATEMENT)] * MAX_CHAIN)

    assert len(longest.encode()) <= REQUEST_LIMIT
    assert PairRequest.decode(longest.encode()) == longest
    for chain in ([bytes(MAX_STATEMENT + 1)], [b""], [b"x"] * (MAX_CHAIN + 1)):
        with pytest.raises(Malformed):
            PairRequest.decode(replace(longest, chain=tuple(chain)).encode())


def test_a_request_without_a_card_is_malformed() -> None:
    with pytest.raises(Malformed, match="without a card"):
        PairRequest.decode(replace(request(), chain=()).encode())


@pytest.mark.parametrize(
    "altered",
    [
        replace(request(), device=device("thief")),
        replace(request(), exchange_key=exchange("thief")),
        replace(request(), chain=(birth("thief").encode(),)),
        replace(request(), chain=(*request().chain, b"more")),
        replace(request(), mac=bytes(32)),
        replace(request(), mac=request().mac[:16]),
    ],
)
def test_the_proof_covers_every_key_that_the_gateway_will_trust(altered: PairRequest) -> None:
    assert not altered.made_with(SECRET, channel=CHANNEL)


def test_the_proof_is_good_at_one_gateway_over_one_certificate_with_one_secret() -> None:
    asked = request()
    other_gateway = Channel.over(GatewayId(public("other")), certificate=b"certificate")
    other_certificate = Channel.over(CHANNEL.gateway, certificate=b"other")

    assert not asked.made_with(bytes(16), channel=CHANNEL)
    assert not asked.made_with(SECRET, channel=other_gateway)
    assert not asked.made_with(SECRET, channel=other_certificate)


def test_the_check_number_changes_with_the_nonce_and_the_request() -> None:
    numbers = {
        request().check_number(nonce=NONCE),
        request().check_number(nonce=bytes(16)),
        replace(request(), mac=bytes(32)).check_number(nonce=NONCE),
        replace(request(), device=device("thief")).check_number(nonce=NONCE),
    }

    assert len(numbers) == 4
    assert request(confirmed=True).check_number(nonce=NONCE) in numbers


ANSWER = PairAnswer(PairingState.PAIRED, NONCE, ("192.0.2.7:4433", "box.example:4433"))


@pytest.mark.parametrize("state", PairingState)
def test_an_answer_comes_back_as_it_went(state: PairingState) -> None:
    answer = replace(ANSWER, state=state)

    assert PairAnswer.decode(answer.encode()) == answer


@given(damaged(ANSWER.encode()))
def test_a_damaged_answer_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(PairAnswer.decode, data, ALLOWED)


def test_the_longest_answer_is_read() -> None:
    longest = replace(ANSWER, places=("ü" * 150,) * 16)

    assert PairAnswer.decode(longest.encode()) == longest
    for places in (("ü" * 151,), ("a",) * 17):
        with pytest.raises(Malformed):
            PairAnswer.decode(replace(ANSWER, places=places).encode())
