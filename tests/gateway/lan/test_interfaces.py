"""Asking the kernel for the addresses of this machine."""

import ipaddress
import socket

from gateway.lan import interfaces
from gateway.lan.addresses import InterfaceAddress
from gateway.lan.interfaces import default_interfaces, ipv6_addresses, machine_addresses

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
wlan0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""

IF_INET6 = """\
fd120000000000000000000000000020 02 40 00 80     eth0
20010db8000100000000000000000020 02 40 00 01     eth0
20010db8000200000000000000000020 03 40 00 20    wlan0
00000000000000000000000000000001 01 80 10 80       lo
not an address
"""


def test_the_machine_knows_that_it_reaches_itself() -> None:
    addresses = [one.address for one in machine_addresses()]

    assert addresses
    for address in addresses:
        ipaddress.ip_address(address)


def test_the_route_to_everywhere_names_its_interface() -> None:
    assert default_interfaces(ROUTES) == {"eth0"}
    assert default_interfaces("") == frozenset()


def test_temporary_and_deprecated_addresses_do_not_last() -> None:
    assert ipv6_addresses(IF_INET6, default=frozenset({"eth0"})) == [
        InterfaceAddress("eth0", "fd12::20", True, True),
        InterfaceAddress("eth0", "2001:db8:1::20", True, False),
        InterfaceAddress("wlan0", "2001:db8:2::20", False, False),
        InterfaceAddress("lo", "::1", False, True),
    ]


def test_where_the_kernel_tells_nothing_the_routing_table_is_asked() -> None:
    found = interfaces._by_route()

    assert all(one.default_route for one in found)
    for one in found:
        family = socket.AF_INET6 if ":" in one.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as mine:
            mine.bind((one.address, 0))  # succeeds for addresses of this machine only
