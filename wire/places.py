"""Where a gateway may be reached: a host and a port, in a form short enough for a QR.

    4 || IPv4 (4) || port (2)        6 || IPv6 (16) || port (2)        1 || port (2) || name

In text it is `192.0.2.7:4433`, `[2001:db8::7]:4433` or `box.example:4433`; without a port, 4433.
A place is only ever a hint: who answers there is checked by its key (docs/protocol.md §3.1).
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from wire.errors import Malformed

DEFAULT_PORT: Final = 4433
MAX_NAME: Final = 253
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Place:
    """A host, which is an IP address or a name in lower case, and a TCP port."""

    host: str
    port: int = DEFAULT_PORT

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65_535:
            raise Malformed(f"no port {self.port}")
        address = _address(self.host)
        if address is None and not _is_name(self.host):
            raise Malformed("no address and no host name")
        if address is not None and str(address) != self.host:
            raise Malformed("an address in another spelling than the usual one")

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Read `host`, `host:port` or `[address]:port`, as a person or a file writes it.

        Raises:
            Malformed: no such form, or no such host or port.
        """
        text = text.strip().lower()
        bracketed = re.fullmatch(r"\[([0-9a-f:.]+)\](?::([0-9]{1,5}))?", text)
        if bracketed:
            host, port = bracketed[1], bracketed[2]
        elif text.count(":") > 1:
            host, port = text, None
        else:
            host, _, after = text.partition(":")
            port = after or None
            if ":" in text and port is None:
                raise Malformed("a colon without a port")
        if port is not None and not re.fullmatch(r"[0-9]{1,5}", port):
            raise Malformed("a port is a number")
        address = _address(host)
        return cls(str(address) if address else host, int(port) if port else DEFAULT_PORT)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def encode(self) -> bytes:
        """Return the short form."""
        port = self.port.to_bytes(2, "big")
        address = _address(self.host)
        if address is None:
            return b"\x01" + port + self.host.encode("ascii")
        return bytes([address.version]) + address.packed + port

    @classmethod
    def decode(cls, data: bytes) -> "Place":
        """Read the short form.

        Raises:
            Malformed: not exactly one place.
        """
        kind, rest = data[:1], data[1:]
        if kind in (b"\x04", b"\x06") and len(rest) == (6 if kind == b"\x04" else 18):
            return cls(str(ipaddress.ip_address(rest[:-2])), int.from_bytes(rest[-2:], "big"))
        if kind == b"\x01" and len(rest) > 2 and rest[2:].isascii():
            place = cls(rest[2:].decode("ascii"), int.from_bytes(rest[:2], "big"))
            if _address(place.host) is None:
                return place
        raise Malformed("no place has this form")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise Malformed("an address with a zone means something on one machine only")
    return address


def _is_name(host: str) -> bool:
    labels = host.split(".")
    if labels[-1].isdigit():  # resolvers take 127.1 and 2130706433 for addresses
        return False
    return len(host) <= MAX_NAME and all(_LABEL.fullmatch(label) for label in labels)
