"""Reads the line with which a proxy says for whom it connects.

    PROXY TCP4 203.0.113.7 192.0.2.1 50123 4433\\r\\n

Source: the PROXY protocol of HAProxy, version 1 (doc/proxy-protocol.txt §2.1). Version 2 says the
same in bytes; every proxy that speaks it speaks this one too.
"""

import ipaddress
from typing import Final

from wire.errors import Malformed

START: Final = b"PROXY "
"""With what it begins; no request of HTTP begins so."""
MAX_LINE: Final = 107
"""Bytes of the longest that there is, its end included."""
_END: Final = b"\r\n"


def begins(data: bytes) -> bool | None:
    """Return whether a connection begins with an introduction; None if more bytes have to come."""
    if len(data) < len(START):
        return None if START.startswith(data) else False
    return data.startswith(START)


def read_line(data: bytes) -> tuple[str | None, int] | None:
    """Read the introduction at the beginning of `data`.

    Returns:
        The visitor's address, None where the proxy speaks for itself (UNKNOWN), and how many bytes
        that were; None instead of both if the line has no end yet.

    Raises:
        Malformed: it is none.
    """
    end = data.find(_END, 0, MAX_LINE)
    if end < 0:
        if len(data) >= MAX_LINE:
            raise Malformed("an introduction without an end")
        return None
    return _address(data[:end]), end + len(_END)


def _address(line: bytes) -> str | None:
    try:
        words = line.decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise Malformed("an introduction that is no text") from None
    if words[:2] == ["PROXY", "UNKNOWN"]:
        return None
    if len(words) != 6 or words[0] != "PROXY" or words[1] not in ("TCP4", "TCP6"):
        raise Malformed("an introduction of another form")
    try:
        found = ipaddress.ip_address(words[2])
    except ValueError:
        raise Malformed("an introduction without an address") from None
    if f"TCP{found.version}" != words[1]:
        raise Malformed("an introduction with an address of another kind")
    return str(found)
