"""Which addresses phones should use."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.lan.addresses import LOOPBACK, MAX_PLACES, InterfaceAddress, choose, reachable


def at(interface: str, address: str, *, default: bool = False,
       lasting: bool = True) -> InterfaceAddress:  # fmt: skip
    return InterfaceAddress(interface, address, default, lasting)


PI = [
    at("lo", "127.0.0.1"),
    at("lo", "::1"),
    at("docker0", "172.17.0.1"),
    at("wg0", "100.64.3.4"),
    at("eth0", "192.168.1.20", default=True),
    at("eth0", "fe80::ba27:ebff:fe00:1", default=True),
    at("eth0", "2001:db8:1::20", default=True),
    at("eth0", "2001:db8:1::dead:beef", default=True, lasting=False),
    at("eth0", "fd12:3456::20", default=True),
]


def test_the_home_network_comes_first_and_what_leads_nowhere_is_left_out() -> None:
    assert choose(PI) == ("192.168.1.20", "fd12:3456::20", "2001:db8:1::20", "100.64.3.4")


def test_the_interface_that_leads_to_the_internet_comes_before_its_like() -> None:
    two = [at("wlan0", "192.168.2.5"), at("eth0", "192.168.1.20", default=True)]

    assert choose(two) == ("192.168.1.20", "192.168.2.5")


@pytest.mark.parametrize("interface", ["docker0", "br-1f2e3d", "veth12", "virbr0", "lxcbr0"])
def test_addresses_of_containers_and_virtual_machines_are_left_out(interface: str) -> None:
    assert choose([at(interface, "172.18.0.1"), at("eth0", "10.0.0.2")]) == ("10.0.0.2",)


def test_a_home_bridge_counts() -> None:
    assert choose([at("br0", "192.168.1.2"), at("br-lan", "192.168.9.1")]) == ("192.168.1.2",)


def test_a_server_has_its_public_address() -> None:
    assert choose([at("eth0", "8.8.4.4", default=True)]) == ("8.8.4.4",)


def test_a_machine_without_network_is_reached_from_itself() -> None:
    assert choose([at("lo", "127.0.0.1")]) == (LOOPBACK,)
    assert choose([]) == (LOOPBACK,)


def test_only_addresses_that_are_listened_on_are_told() -> None:
    assert reachable(PI, listen=["0.0.0.0"]) == ("192.168.1.20", "100.64.3.4")  # noqa: S104
    assert reachable(PI, listen=["::"]) == ("fd12:3456::20", "2001:db8:1::20")
    assert reachable(PI, listen=["127.0.0.1"]) == ("127.0.0.1",)
    assert reachable(PI, listen=["192.168.1.20", "::"])[0] == "192.168.1.20"


def test_listening_on_all_without_a_network_still_names_an_address() -> None:
    assert reachable([], listen=["::", "0.0.0.0"]) == (LOOPBACK,)  # noqa: S104
    assert reachable([], listen=["::"]) == ("::1",)


@given(
    st.lists(
        st.builds(
            InterfaceAddress,
            st.sampled_from(["eth0", "wlan0", "docker0", "lo"]),
            st.one_of(st.ip_addresses().map(str), st.text(max_size=9)),
            st.booleans(),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_whatever_the_system_tells_a_few_real_addresses_come_out(
    addresses: list[InterfaceAddress],
) -> None:
    chosen = choose(addresses)

    assert 1 <= len(chosen) <= MAX_PLACES
    assert len(set(chosen)) == len(chosen)
    for one in chosen:
        address = ipaddress.ip_address(one)
        assert one == LOOPBACK or not (address.is_link_local or address.is_multicast)
