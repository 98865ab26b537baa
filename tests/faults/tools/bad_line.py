"""A box at the end of a bad line: a network namespace, packets that get lost, few bits a second.

    this machine 198.19.p.1 ══ tbf ══ nft: one packet in three ══ 198.19.p.2 the box

Needs root, `ip` and `tc` (iproute2) and `nft` (nftables). The addresses are for trials alone.
Source: RFC 2544, appendix C.2.2.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tests.faults.here import NotPossibleHere, need_program

STEP_SECONDS: Final = 20.0
_RULES: Final = """
table ip weather {{
    chain incoming {{
        type filter hook input priority filter;
        iifname "line" numgen random mod 100 < {loss} counter drop
    }}
    chain outgoing {{
        type filter hook output priority filter;
        oifname "line" numgen random mod 100 < {loss} counter drop
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What leads to a namespace."""

    name: str
    cable: str
    network: str

    @property
    def box(self) -> str:
        """The address at its far end."""
        return f"{self.network}.2"

    @property
    def inside(self) -> tuple[str, ...]:
        """The command that runs another one at its far end."""
        return (need_program("ip"), "netns", "exec", self.name)

    async def spoil(self, *, loss: int, kbit: int) -> None:
        """Lose `loss` of a hundred packets each way, and let `kbit` a second through each way.

        Raises:
            NotPossibleHere: the kernel cannot.
        """
        shape = f"root tbf rate {kbit}kbit burst 8kb latency 400ms".split()
        tc = need_program("tc")
        await _run(tc, "qdisc", "add", "dev", self.cable, *shape)
        await _run(*self.inside, tc, "qdisc", "add", "dev", "line", *shape)
        await _run(*self.inside, need_program("nft"), "-f", "-", said=_RULES.format(loss=loss))

    async def lost(self) -> int:
        """Return how many packets were lost until now."""
        listed = (await _run(*self.inside, need_program("nft"), "list", "ruleset")).split()
        return sum(int(listed[n + 1]) for n, word in enumerate(listed) if word == "packets")


@asynccontextmanager
async def bad_line() -> AsyncIterator[Line]:
    """Make a line that is still good.

    Raises:
        NotPossibleHere: this user, or this machine, may not.
    """
    if os.geteuid() != 0:
        raise NotPossibleHere("only root may make networks")
    number, ip = os.getpid(), need_program("ip")
    line = Line(f"hp{number}-box", f"hpb{number}", f"198.19.{number % 256}")
    need_program("nft")
    await _run(ip, "netns", "add", line.name)
    try:
        make = f"link add {line.cable} type veth peer name line netns {line.name}"
        await _run(ip, *make.split())
        await _run(ip, "address", "add", f"{line.network}.1/30", "dev", line.cable)
        await _run(ip, "link", "set", line.cable, "up")
        for command in (
            "link set lo up",
            f"address add {line.box}/30 dev line",
            "link set line up",
        ):
            await _run(*line.inside, ip, *command.split())
        yield line
    finally:
        await _run(ip, "netns", "delete", line.name)


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
        raise NotPossibleHere(f"{' '.join(command)}: {err.decode().strip()}")
    return out.decode()
