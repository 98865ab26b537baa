"""Opens the TCP sockets that phones come to, or says who sits on the port."""

import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from gateway.errors import StartupError

BACKLOG: Final = 128
TRIES: Final = 100
"""Free ports that are tried until one is free at every address: connections that ended a moment ago
may hold half of them at one address and none at another."""
_LISTENING: Final = "0A"
"""The state LISTEN in /proc/net/tcp. Source: include/net/tcp_states.h of Linux."""


class PortUnusable(StartupError):
    """The port cannot be listened on."""

    code = "port-unusable"


Opens = Callable[[str, int], socket.socket]
"""Returns a socket that listens at an address and port."""


def open_ports(
    listen: tuple[str, ...], port: int, *, opens: Opens | None = None
) -> list[socket.socket]:
    """Return a listening socket for each address, all on one port.

    An address of a kind that this machine lacks (no IPv6) is left out if another remains.

    Args:
        listen: IP addresses.
        port: TCP port; 0 takes a free one.
        opens: opens one of them, unless a test brings its own.

    Raises:
        PortUnusable: in use, not allowed, or none of the addresses is this machine's.
    """
    for _ in range(TRIES if port == 0 else 0):
        with suppress(_Taken):
            return _open_all(listen, 0, opens or _open)
    try:
        return _open_all(listen, port, opens or _open)
    except _Taken as taken:
        raise PortUnusable(_in_use(taken.port)) from None


class _Taken(Exception):
    """Somebody else has the port."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.port = port


def _open_all(listen: tuple[str, ...], port: int, opens: Opens) -> list[socket.socket]:
    opened: list[socket.socket] = []
    trouble: OSError | None = None
    with ExitStack() as undo:
        for address in listen:
            try:
                opened.append(undo.enter_context(opens(address, port)))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise _Taken(port) from None
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise PortUnusable(_sentence(error, address=address, port=port)) from None
                trouble = error
            else:
                port = opened[-1].getsockname()[1]
        if not opened:
            raise PortUnusable(
                f"None of {', '.join(listen)} is an address of this machine"
                f" ({trouble.strerror if trouble else 'none given'}): correct the setting listen."
            )
        undo.pop_all()
    return opened


def _open(address: str, port: int) -> socket.socket:
    six = ipaddress.ip_address(address).version == 6
    opened = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # 22 handshakes/s without it
        if six:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened


def _sentence(error: OSError, *, address: str, port: int) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"This user may not listen on port {port}. Choose one from 1024 on with --port, or "
            "let systemd grant CAP_NET_BIND_SERVICE."
        )
    return f"{address} port {port} cannot be listened on: {error.strerror or error}."


def _in_use(port: int) -> str:
    holder = holder_of(port) or "another program"
    return (
        f"Port {port} is in use by {holder}. Stop that one, or choose another port: "
        f"--port {port + 1 if port < 65_535 else port - 1}. Phones that are already paired "
        "look for the gateway at the port they were told."
    )


def holder_of(port: int) -> str | None:
    """Return the name and number of the process that listens on `port`, if this user may know."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listeners(table, port)}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    if not wanted:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(_link(one) in wanted for one in (process / "fd").iterdir()):
                return f"{_name(process)} (process {process.name})"
    return None


def _name(process: Path) -> str:
    """Return what a process is called; the kernel itself cuts it after 15 characters."""
    name = (process / "comm").read_text(errors="replace").strip()
    words = (process / "cmdline").read_text(errors="replace").split("\0")
    return next((one for one in map(os.path.basename, words) if one.startswith(name)), name)


def _listeners(table: str, port: int) -> list[str]:
    try:
        lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return []
    rows = (line.split() for line in lines)
    return [
        row[9]
        for row in rows
        if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port
    ]


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
