"""The addresses of this machine, asked of the kernel without a library.

Linux tells the IPv4 address of an interface by ioctl and all IPv6 addresses, with their state, in
/proc/net/if_inet6. Elsewhere the routing table is asked which address would be used to reach the
internet; nothing is sent for that.
"""

import fcntl
import ipaddress
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.lan.addresses import InterfaceAddress

_SIOCGIFADDR: Final = 0x8915
"""`man 7 netdevice`."""
_NOT_LASTING: Final = 0x01 | 0x20 | 0x40
"""IFA_F_TEMPORARY, IFA_F_DEPRECATED, IFA_F_TENTATIVE of linux/if_addr.h."""
_FAR: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses of the documentation (RFC 5737, RFC 3849): nobody has them."""


def machine_addresses() -> list[InterfaceAddress]:
    """Return what this machine is reached by; empty when the system tells nothing."""
    found: list[InterfaceAddress] = []
    if sys.platform == "linux":
        default = default_interfaces(_text("/proc/net/route"))
        found = _ipv4(default) + ipv6_addresses(_text("/proc/net/if_inet6"), default=default)
    return found or _by_route()


def default_interfaces(table: str) -> frozenset[str]:
    """Return the interfaces of the default route in the text of /proc/net/route."""
    rows = (line.split() for line in table.splitlines()[1:])
    return frozenset(row[0] for row in rows if len(row) > 7 and row[1] == row[7] == "00000000")


def ipv6_addresses(table: str, *, default: frozenset[str]) -> list[InterfaceAddress]:
    """Return the addresses in the text of /proc/net/if_inet6."""
    found = []
    for row in (line.split() for line in table.splitlines()):
        with suppress(ValueError, IndexError):
            address = str(ipaddress.IPv6Address(bytes.fromhex(row[0])))
            lasting = not int(row[4], 16) & _NOT_LASTING
            found.append(InterfaceAddress(row[5], address, row[5] in default, lasting))
    return found


def _ipv4(default: frozenset[str]) -> list[InterfaceAddress]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # an interface without an IPv4 address
                request = struct.pack("256s", name.encode()[:15])
                answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, request)
                address = socket.inet_ntoa(answer[20:24])
                found.append(InterfaceAddress(name, address, name in default))
    return found


def _by_route() -> list[InterfaceAddress]:
    found = []
    for family, far in _FAR:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((far, 9))
            found.append(InterfaceAddress("", asking.getsockname()[0], default_route=True))
    return found


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
