"""What goes wrong is said in sentences that a person can act on, and in codes that stay."""

import re
from pathlib import Path

import pytest

import peer.errors as errors
from peer.errors import SENTENCES, GatewayRefused, NoPerson, NotPaired, PeerError

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"


def kinds(base: type[PeerError] = PeerError) -> list[type[PeerError]]:
    """Return all kinds that are defined in `peer.errors`."""
    found = [one for one in base.__subclasses__() if one.__module__ == errors.__name__]
    return [*found, *(deeper for one in found for deeper in kinds(one))]


def test_each_kind_has_a_code_of_its_own_in_the_usual_form() -> None:
    codes = [one.code for one in kinds()]
    assert len(set(codes)) == len(codes)
    assert PeerError.code not in codes
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", one) for one in codes)


def test_the_table_of_the_module_names_each_kind_once() -> None:
    table = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted(table) == sorted(one.__name__ for one in kinds())


def test_each_kind_says_what_it_is() -> None:
    for one in kinds():
        first = (one.__doc__ or "").strip().splitlines()[0]
        assert first.endswith("."), one


@pytest.mark.parametrize("error", [NoPerson(), NotPaired()], ids=lambda one: one.code)
def test_what_a_person_meets_first_says_what_to_type(error: PeerError) -> None:
    assert re.search(r": (homepost )?(new|pair)", str(error))


@pytest.mark.parametrize("reason", SENTENCES)
def test_a_refusal_that_we_know_is_said_in_words_for_people(reason: str) -> None:
    refused = GatewayRefused(reason, {"retry_after": 7})
    assert str(refused) == SENTENCES[reason]
    assert (refused.reason, refused.facts) == (reason, {"retry_after": 7})
    assert refused.code == "gateway-refused"
    assert len(str(refused).split()) > 5


OURS = {"replaced", "malformed", "too-large", "redirected"}
"""Codes that we give ourselves to answers that are none, or that come in a Bye."""


def test_each_refusal_that_we_know_is_one_of_the_protocol() -> None:
    written = set(re.findall(r"^\| ([a-z-]+) \|", PROTOCOL.read_text(encoding="utf-8"), re.M))
    assert set(SENTENCES) - OURS <= written


def test_a_refusal_of_a_newer_gateway_is_said_with_its_code() -> None:
    assert "out-of-paper" in str(GatewayRefused("out-of-paper", {}))


def test_all_of_them_are_caught_as_one() -> None:
    with pytest.raises(PeerError):
        raise GatewayRefused("busy", {})
    assert not issubclass(PeerError, (ValueError, OSError))
