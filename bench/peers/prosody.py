"""Prosody with its internal storage: messages to accounts that are away.

It is asked after each message whether it has dealt with it (XEP-0198). Then the message is in the
kernel's cache, not on the disk: it promises less than we do, and is here for its speed alone.
"""

import base64
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Final

from bench.peers.debian import Unpacked
from bench.peers.payloads import items
from bench.peers.server import Server
from bench.processes import listening, start
from bench.subjects import IN_FLIGHT, How, prepared
from bench.talks import Depositor, Notes, Work

PACKAGES: Final = (
    "prosody", "lua5.4", "lua-expat", "lua-filesystem", "lua-sec", "lua-socket", "lua-bitop",
    "libexpat1", "libreadline8", "libicu72", "libssl3",
)  # fmt: skip
"""Of Debian 12: the server, and what a machine without it may lack."""
_STREAM: Final = (
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    b" to='localhost' version='1.0'>"
)
_BIND: Final = (
    b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    b"<resource>x</resource></bind></iq>"
)
_SETTINGS: Final = """\
run_as_root = true
pidfile = "{folder}/prosody.pid"; data_path = "{folder}/accounts"
interfaces = {{ "127.0.0.1" }}; c2s_ports = {{ {port} }}; s2s_ports = {{}}
http_ports = {{}}; https_ports = {{}}
modules_enabled = {{ "saslauth", "smacks", "offline", "roster" }}
modules_disabled = {{ "s2s", "tls" }}
c2s_require_encryption = false; allow_unencrypted_plain_auth = true
authentication = "internal_plain"; network_settings = {{ read_timeout = 600 }}; c2s_timeout = 600
storage = "internal"; log = {{ error = "*console" }}
VirtualHost "localhost"
"""


class Prosody:
    """A Prosody server of our own.

    Args:
        unpacked: where its packages are.
        folder: of its own.
        processor: on which it runs.
    """

    name = "prosody"

    def __init__(self, unpacked: Unpacked, folder: Path, *, processor: int | None) -> None:
        self._root = unpacked.root
        self._unpacked = unpacked
        self._server = Server(folder, processor=processor)
        self.address = self._server.address
        self.folder = folder

    @property
    def pid(self) -> int:
        """Its process."""
        return self._server.pid

    async def start(self, *, environment: Mapping[str, str] | None = None) -> float:
        """Start it; return the seconds until it takes connections."""
        settings = self.folder / "prosody.cfg.lua"
        settings.write_text(
            _SETTINGS.format(folder=self.folder, port=self.address.port), encoding="utf-8"
        )
        script = self.folder / "prosody"  # says where it was installed, and it was not
        original = self._unpacked.program("prosody").read_text(encoding="utf-8")
        script.write_text(
            original.replace("'/usr/lib/prosody", f"'{self._root}/usr/lib/prosody"),
            encoding="utf-8",
        )
        lua = self._root / "usr/share/lua/5.4"
        compiled = [one / "lua/5.4" for one in self._unpacked.libraries]
        paths = {
            "LUA_PATH": f"{lua}/?.lua;{lua}/?/init.lua;;",
            "LUA_CPATH": ";".join(f"{one}/?.so" for one in compiled) + ";;",
        }
        self._server.process = start(
            [str(self._unpacked.program("lua5.4")), str(script), "-F", "--config", str(settings)],
            folder=self.folder,
            processor=self._server.processor,
            environment={**self._unpacked.environment, **paths, **(environment or {})},
        )
        return await listening(self.address.port, self._server.process)

    async def kill(self) -> None:
        """End it at once."""
        await self._server.kill()

    async def furnish(self, mailboxes: int) -> None:
        """Make accounts, for recipients and for senders."""
        accounts = self.folder / "accounts" / "localhost" / "accounts"
        accounts.mkdir(parents=True, exist_ok=True)
        names = [f"r{one}" for one in range(mailboxes)] + [f"s{one}" for one in range(IN_FLIGHT)]
        for name in names:
            content = 'return {\n\t["password"] = "x";\n};\n'
            (accounts / f"{name}.dat").write_text(content, encoding="utf-8")

    async def depositors(
        self, how: How, notes: Notes, *, count: int, to: Sequence[int], by_itself: bool = True
    ) -> list[Depositor]:
        """Return those who hand in, an account for each item on its way."""
        supply = prepared(_stanzas(count, to), count)
        return [
            Writer(notes, supply, account=f"s{one}", window=int(by_itself))
            for one in range(IN_FLIGHT)
        ]


def _stanzas(count: int, to: Sequence[int]) -> Iterator[Work]:
    turn = cycle(to)
    for one in items(count):
        text = base64.b64encode(one.data)
        stanza = b"<message to='r%d@localhost' type='chat'><body>%s</body></message>" % (
            next(turn),
            text,
        )
        yield Work(stanza + b"<r xmlns='urn:xmpp:sm:3'/>", one.ids)


class Writer(Depositor):
    """Logs in, then writes one message after the other.

    Args:
        account: whose.
    """

    _ACK: Final = re.compile(rb"<a [^>]*/>")

    def __init__(
        self, notes: Notes, supply: Iterator[Work], *, account: str, window: int = 1
    ) -> None:
        super().__init__(notes, supply, window=window)
        self.greeted = False
        login = base64.b64encode(b"\0" + account.encode() + b"\0x")
        sasl = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
        self._steps = deque(
            [
                (rb"</stream:features>", sasl + login + b"</auth>"),
                (rb"<success[^>]*>", _STREAM),
                (rb"</stream:features>", _BIND),
                (rb"</iq>", b"<enable xmlns='urn:xmpp:sm:3'/>"),
                (rb"<enabled[^>]*/>", b""),
            ]
        )
        self._received = b""
        self._waiting: deque[tuple[Work, float]] = deque()

    def hello(self) -> bytes:
        """Open the stream."""
        return _STREAM

    def hand_in(self, work: Work, now: float) -> bytes:
        """Return a message."""
        self._waiting.append((work, now))
        return work.data

    def heard(self, data: bytes, now: float) -> bytes:
        """Take the steps of the login, then acknowledgements."""
        self._received += data
        if self._steps:
            found = re.search(self._steps[0][0], self._received)
            if found is None:
                return b""
            self._received = self._received[found.end() :]
            said = self._steps.popleft()[1]
            self.greeted = not self._steps
            return said
        said = b""
        while (found := self._ACK.search(self._received)) is not None:
            self._received = self._received[found.end() :]
            work, since = self._waiting.popleft()
            said += self.stored(work, since=since, now=now)
        return said
