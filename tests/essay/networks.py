"""Two homes behind two translators each, made of network namespaces; gone when the block ends.

    phone 192.168.1.2 ── home ── 100.64.k.0/24 ── carrier ── 198.18.p.0/24 ── the internet
                         NAT                       NAT                           = this machine

Both translators of each home drop whatever was not asked for from inside, as home routers and
mobile networks do. A counter on each phone counts connections from outside that got through.
Needs root, `ip` (iproute2) and `nft` (nftables).
"""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INTERNET: Final = f"198.18.{os.getpid() % 256}"
"""Addresses for trials: no real network has them. Source: RFC 2544, appendix C.2.2."""
SERVER: Final = f"{INTERNET}.1"
STEP_SECONDS: Final = 10.0
_OURS: Final = f"hp{os.getpid()}"
"""The cable from this machine to the switch."""


class NoNetworks(Exception):
    """Namespaces cannot be made here; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Home:
    """A phone's network behind two translators."""

    number: int

    @property
    def phone(self) -> str:
        """The namespace of the phone."""
        return _name(f"phone{self.number}")

    @property
    def outside(self) -> str:
        """The address under which the internet sees this home."""
        return f"{INTERNET}.{10 + self.number}"

    @property
    def inside(self) -> tuple[str, ...]:
        """The command that runs another one on the phone."""
        return _inside(self.phone)

    async def called(self) -> int:
        """Return how many connections from outside have reached the phone."""
        listed = await _run(*self.inside, "nft", "list", "counters")
        words = listed.split()
        return int(words[words.index("packets") + 1])


def missing() -> str:
    """Return why namespaces cannot be made here; empty if they can."""
    if os.geteuid() != 0:
        return "only root may make networks"
    absent = [name for name in ("ip", "nft") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


@asynccontextmanager
async def two_homes() -> AsyncIterator[tuple[Home, Home]]:
    """Make two homes on one internet, on which this machine is `SERVER`.

    Raises:
        NoNetworks: the kernel or the system does not let us.
    """
    if why := missing():
        raise NoNetworks(why)
    homes = (Home(0), Home(1))
    names = [_name("net")] + [
        _name(f"{what}{home.number}") for home in homes for what in ("phone", "home", "carrier")
    ]
    made: list[str] = []
    await _sweep()
    try:
        for name in names:
            await _run("ip", "netns", "add", name)
            made.append(name)
        await _internet()
        for home in homes:
            await _build(home)
        yield homes
    finally:
        for name in made:
            await _run("ip", "netns", "delete", name)
        with suppress(NoNetworks):  # it may have gone with the other end of its cable
            await _run("ip", "link", "delete", _OURS)


async def _sweep() -> None:
    """Delete what a run left behind that was killed."""
    for line in (await _run("ip", "netns", "list")).splitlines():
        name = line.split()[0]
        made_by = re.fullmatch(r"hp(\d+)-\w+", name)
        if made_by and not Path(f"/proc/{made_by[1]}").exists():
            await _run("ip", "netns", "delete", name)


async def _internet() -> None:
    """A switch, and this machine at it."""
    net = _name("net")
    await _in(net, "ip link add switch type bridge", "ip link set switch up")
    await _run(*f"ip link add {_OURS} type veth peer name us netns {net}".split())
    await _in(net, "ip link set us master switch up")
    await _run("ip", "address", "add", f"{SERVER}/24", "dev", _OURS)
    await _run("ip", "link", "set", _OURS, "up")


async def _build(home: Home) -> None:
    number = home.number
    phone, router, carrier = (_name(f"{one}{number}") for one in ("phone", "home", "carrier"))
    await _cable((phone, "192.168.1.2/24"), (router, "192.168.1.1/24"))
    await _cable((router, f"100.64.{number}.2/24"), (carrier, f"100.64.{number}.1/24"))
    net = _name("net")
    await _in(carrier, f"ip link add out type veth peer name c{number} netns {net}")
    await _in(net, f"ip link set c{number} master switch up")
    await _in(carrier, f"ip address add {home.outside}/24 dev out", "ip link set out up")
    await _in(phone, "ip route add default via 192.168.1.1")
    await _in(router, f"ip route add default via 100.64.{number}.1")
    await _in(carrier, f"ip route add default via {SERVER}")
    for translator in (router, carrier):
        await _run(*_inside(translator), "tee", "/proc/sys/net/ipv4/ip_forward", said="1")
        await _rules(translator, _TRANSLATOR)
    await _rules(phone, _PHONE)


async def _cable(inner: tuple[str, str], outer: tuple[str, str]) -> None:
    """Connect `out` of the inner namespace with `in` of the outer one."""
    (near, near_address), (far, far_address) = inner, outer
    await _in(near, f"ip link add out type veth peer name in netns {far}")
    await _in(near, "ip link set lo up", f"ip address add {near_address} dev out")
    await _in(near, "ip link set out up")
    await _in(far, f"ip address add {far_address} dev in", "ip link set in up")


_TRANSLATOR: Final = """
table ip translator {
    chain out {
        type nat hook postrouting priority srcnat;
        oifname "out" masquerade
    }
    chain through {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "in" accept
    }
    chain self {
        type filter hook input priority filter; policy drop;
    }
}
"""
_PHONE: Final = """
table ip phone {
    counter called { }
    chain incoming {
        type filter hook input priority filter;
        iifname "out" ct state new counter name called
    }
}
"""


async def _rules(namespace: str, rules: str) -> None:
    await _run(*_inside(namespace), "nft", "-f", "-", said=rules)


async def _in(namespace: str, *commands: str) -> None:
    for command in commands:
        await _run(*_inside(namespace), *command.split())


async def _run(*command: str, said: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(STEP_SECONDS):
        out, err = await process.communicate(said.encode())
    if process.returncode != 0:
        raise NoNetworks(f"{' '.join(command)}: {err.decode().strip()}")
    return out.decode()


def _inside(namespace: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", namespace)


def _name(what: str) -> str:
    return f"hp{os.getpid()}-{what}"
