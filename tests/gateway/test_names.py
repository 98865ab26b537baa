"""Which Host headers may stand for this box."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.names import is_ours

NAMES = frozenset({"box.example", "home.example"})


@pytest.mark.parametrize(
    "host",
    [
        b"192.168.1.20",
        b"192.168.1.20:4433",
        b"[fd00::7]",
        b"[FD00::7]:8443",
        b"[fe80::1%eth0]:4433",
        b"localhost:4433",
        b"pi",
        b"raspberrypi.local",
        b"box.home.arpa:1",
        b"a.b.internal",
        b"x.localhost",
        b"box.example",
        b"BOX.Example:4433",
        b"box.example.",
    ],
)
def test_an_address_a_name_of_the_home_network_and_a_set_name_are_ours(host: bytes) -> None:
    assert is_ours(host, NAMES)


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"192.168.1.20.evil.example",
        b"192.168.1.20@evil.example",
        b"box.example.evil.example",
        b"box.example:4433:5",
        b"box.example/",
        b"local",
        b"evil.local.example",
        b".local",
        b"",
        b":4433",
        b"127.1",
        b"0177.0.0.1",
        b"0x7f.0.0.1",
        b"[192.168.1.20]",
        b"fd00::7",
        b"[evil.example]",
        b"[]",
        b"b\xc3\xbcro.example",
        b"a" * 300,
    ],
)
def test_everything_else_is_not(host: bytes) -> None:
    # A name without a dot is one that nobody outside can own, whatever it says.
    assert is_ours(host, NAMES) == (host == b"local")


def test_without_the_setting_only_what_nobody_outside_can_own_is_ours() -> None:
    assert not is_ours(b"box.example", ())
    assert is_ours(b"192.0.2.1", ())


@given(st.one_of(st.binary(max_size=300), st.text(max_size=40).map(lambda one: one.encode())))
@example(b"[" * 300)
@example(b"a." * 140 + b"local")
def test_whatever_a_header_holds_is_ours_or_not(host: bytes) -> None:
    assert is_ours(host, NAMES) in (True, False)
