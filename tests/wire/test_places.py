"""Places: what people write, and the short form in a code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hostile import damaged, refuses_with_only
from tests.wire.strategies import places
from wire.errors import Malformed
from wire.places import DEFAULT_PORT, Place

ALLOWED = {Malformed}  # no place has that form, host or port


@given(places)
def test_a_place_comes_back_as_it_went(place: Place) -> None:
    assert Place.decode(place.encode()) == place
    assert Place.parse(str(place)) == place


@given(places.map(Place.encode).flatmap(damaged))
def test_a_damaged_short_form_is_malformed_or_another_place(data: bytes) -> None:
    refuses_with_only(Place.decode, data, ALLOWED)


@given(st.binary(max_size=24))
def test_a_place_has_one_short_form(data: bytes) -> None:
    """BI-04: whatever is read would be written in the same way."""
    try:
        place = Place.decode(data)
    except Malformed:
        return
    assert place.encode() == data


@given(st.text(max_size=30))
def test_any_text_is_a_place_or_malformed(text: str) -> None:
    refuses_with_only(lambda _: Place.parse(text), b"", ALLOWED)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.7", "192.0.2.7", DEFAULT_PORT),
        (" Box.Example:80\n", "box.example", 80),
        ("[2001:DB8::0:7]:1", "2001:db8::7", 1),
        ("2001:db8::7", "2001:db8::7", DEFAULT_PORT),
    ],
)
def test_a_place_is_read_as_people_write_it(text: str, host: str, port: int) -> None:
    assert Place.parse(text) == Place(host, port)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "256.0.0.1", "0x7f.1", "box.1"])
def test_what_a_resolver_would_take_for_an_address_is_no_name(host: str) -> None:
    with pytest.raises(Malformed):
        Place(host)


@pytest.mark.parametrize(
    "host", ["2001:DB8::7", "2001:db8:0::7", "fe80::1%eth0", "192.0.2.07", "Box"]
)
def test_a_place_is_kept_in_one_spelling(host: str) -> None:
    with pytest.raises(Malformed):
        Place(host)


@pytest.mark.parametrize(
    "text", ["a\r\nb", "a\0b", "../a", "a%2fb", "a\u202eb", "a b", "a@b", "a/b"]
)
def test_a_host_holds_nothing_that_means_something_elsewhere(text: str) -> None:
    """BI-06: no line breaks, zero bytes, paths or marks that turn the text round."""
    with pytest.raises(Malformed):
        Place.parse(text)
