"""Says whether a Host header names this box, or something that a web page made up.

A page on the internet can point its own name at a box at home (DNS rebinding) and then ask it as if
it were part of the page. So a request has to name the box by something that nobody outside can own:

    an address                      192.168.1.20, [fd00::7]
    a name of the home network      pi, pi.local, pi.home.arpa, pi.internal, localhost
    what the owner set in `hosts`   box.example

Source: RFC 6761 §6.3, RFC 6762 §3, RFC 8375 §3, RFC 9110 §7.2; `.internal` is reserved by ICANN.
"""

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from gateway.errors import Refusal

_HOST: Final = re.compile(r"(?:\[([^\[\]]{2,80})\]|([^\[\]:]{1,253}))(?::[0-9]{0,5})?")
_HOME: Final = re.compile(
    r"[a-z0-9_-]{1,63}|(?:[a-z0-9_-]{1,63}\.){1,8}(?:local|localhost|home\.arpa|internal)"
)


class WrongHost(Refusal):
    """The request names another host; what to do stands in the setting `hosts`."""

    code = "wrong-host"
    status = 421


def is_ours(host: bytes, names: Collection[str]) -> bool:
    """Return whether a Host header may stand for this box.

    Args:
        host: the header's value; the port in it says nothing, for routers forward others.
        names: in lower case, what the owner set in `hosts`, without ports.
    """
    found = _HOST.fullmatch(host.decode("latin-1").strip().lower())
    if found is None:
        return False
    if found[1] is not None:
        return _is_address(found[1], version=6)
    name = found[2].removesuffix(".")
    return _is_address(name, version=4) or name in names or _HOME.fullmatch(name) is not None


def _is_address(text: str, *, version: int) -> bool:
    """Return whether `text` is an address in its one spelling: not 127.1, not 0x7f000001."""
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False
