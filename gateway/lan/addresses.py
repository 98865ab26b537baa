"""Which of a machine's addresses phones should use, best first.

A Pi in the hall has more addresses than one would think: Docker bridges, tunnels, addresses that
change each day. Pure: the list comes from `interfaces.py`.

    0  home network, IPv4          what a phone in the house reaches
    1  home network, IPv6 (ULA)
    2  public IPv6, lasting        reached from outside if the router lets it in
    3  public IPv4                 a server
    4  behind the provider's or an overlay's NAT (100.64.0.0/10)
    -  loopback, link-local, multicast, temporary, deprecated; bridges and tunnels of programs

Within a row the interface of the default route comes first. A machine without any is reached from
itself only, and its loopback address is what is left.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_PLACES: Final = 6
"""Each is one more connection that a phone may try in vain."""

LOOPBACK: Final = "127.0.0.1"

_VIRTUAL: Final = re.compile(
    r"(docker|br-|veth|virbr|vmnet|vboxnet|lxc|lxd|cni|flannel|podman|tap)"
)
_SHARED: Final = ipaddress.ip_network("100.64.0.0/10")
_UNIQUE_LOCAL: Final = ipaddress.ip_network("fc00::/7")
_HOME: Final = tuple(
    ipaddress.ip_network(one) for one in ("192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12")
)
_GLOBAL_V6: Final = ipaddress.ip_network("2000::/3")


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """One address of one network interface, as the system tells it."""

    interface: str
    address: str
    default_route: bool = False
    """Whether traffic to the internet leaves by this interface."""
    lasting: bool = True
    """False for IPv6 addresses that are temporary, deprecated or not yet checked."""


def choose(addresses: Iterable[InterfaceAddress]) -> tuple[str, ...]:
    """Return at most `MAX_PLACES` addresses that phones should try, best first; never none."""
    ranked = [
        (rank, not one.default_route, number, one.address)
        for number, one in enumerate(addresses)
        if (rank := _rank(one)) is not None
    ]
    found = dict.fromkeys(address for *_, address in sorted(ranked))
    return tuple(found)[:MAX_PLACES] or (LOOPBACK,)


def reachable(addresses: Iterable[InterfaceAddress], *, listen: Iterable[str]) -> tuple[str, ...]:
    """Return the chosen addresses that are listened on.

    Args:
        addresses: those of the machine.
        listen: the IP addresses of the open sockets; `0.0.0.0` and `::` stand for all of a kind.
    """
    wanted = tuple(ipaddress.ip_address(one) for one in listen)
    every = {one.version for one in wanted if one.is_unspecified}
    single = tuple(str(one) for one in wanted if not one.is_unspecified)
    chosen = [one for one in choose(addresses) if ipaddress.ip_address(one).version in every]
    return tuple(dict.fromkeys([*single, *chosen])) or (LOOPBACK if 4 in every else "::1",)


def _rank(one: InterfaceAddress) -> int | None:
    if not one.lasting or _VIRTUAL.match(one.interface):
        return None
    try:
        address = ipaddress.ip_address(one.address)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return 1 if address in _UNIQUE_LOCAL else 2 if address in _GLOBAL_V6 else None
    if any(address in network for network in _HOME):
        return 0
    if address in _SHARED:
        return 4
    usable = not (address.is_loopback or address.is_link_local or address.is_multicast)
    return 3 if usable and not address.is_unspecified and not address.is_reserved else None
