"""The one way out of the box: asks a server whose address somebody else chose, not led astray.

    address    https, a name or an address in its plain spelling, port 443 or above 1023, no user
    resolve    once; every address that comes back must be one of the open internet
    connect    to that address; the name is asked for nothing more, so it cannot change its mind
    ask        one request; no redirect, no proxy, nothing out of the environment
    bounds     10 s for all of it, 4 KiB of an answer, a few connections at a time

`ipaddress.is_global` is not asked: on Python 3.11 it takes 224.0.0.251, ::127.0.0.1 and
64:ff9b::7f00:1 for global. Source: RFC 6890 with the registries that it began, RFC 4291 §2.5.5.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import h11

from gateway.errors import Refusal, StartupError

MAX_ADDRESS: Final = 1000
"""Bytes of an address. Source: UnifiedPush, Android 3.0.0."""
TOTAL_SECONDS: Final = 10.0
"""For resolving, connecting, asking and reading together."""
MAX_ANSWER: Final = 4096
"""Bytes of an answer's body that are read."""
MAX_HEAD: Final = 16 * 1024
"""Bytes of an answer's head."""
AT_A_TIME: Final = 64
"""Requests under way together, each some 100 kB: more than a few servers that keep us waiting."""
TO_ONE_SERVER: Final = 4
"""Of them to one server, so that one that answers nobody does not hold up the others."""
HTTPS: Final = 443
FIRST_FREE_PORT: Final = 1024
"""Below it only 443: no mail server and no shell is spoken to."""

_CLOSED_4: Final = tuple(
    ipaddress.IPv4Network(one)
    for one in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # a provider's inside
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, and the metadata of clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays from IPv6
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
    )
)
_OPEN_6: Final = ipaddress.IPv6Network("2000::/3")
"""All that is handed out of IPv6; everything else is local, mapped or not there."""
_CLOSED_6: Final = tuple(
    ipaddress.IPv6Network(one)
    for one in (
        "2001::/23",  # Teredo, ORCHID and others that carry an address inside
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",
    )
)
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.ASCII)
_PATH: Final = re.compile(r"[!-~]*", re.ASCII)
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?", re.ASCII)

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host, in the order in which they are to be tried."""


class AddressRefused(Refusal):
    """The box does not ask at this address, whoever wants it to."""

    code = "address-refused"
    status = 400

    def __init__(self, reason: str) -> None:
        super().__init__(f"the address cannot be used: {reason}")
        self.reason = reason


class NotReached(OSError):
    """There was no answer that could be read; the sentence says why and names no address."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where an address leads, and what is asked for there."""

    host: str
    port: int
    target: str
    """Path and query."""

    @property
    def origin(self) -> str:
        """Scheme, host and, where it is not the usual one, port. Source: RFC 6454 §6.2."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}" if self.port == HTTPS else f"https://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered; bytes beyond `MAX_ANSWER` were not read."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case; of several with one name the first."""
    body: bytes


def read_address(text: str) -> Server:
    """Return where an address leads.

    Raises:
        AddressRefused: it leads nowhere that the box would ask, or is spelled in a way that another
            program might read differently.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_ADDRESS:
        raise AddressRefused("too-long")
    if not _PATH.fullmatch(text) or "\\" in text or "#" in text:
        raise AddressRefused("spelling")  # control characters, blanks, other alphabets
    if not text.startswith("https://"):
        raise AddressRefused("not-https")
    try:
        parts = urlsplit(text)
        found = _HOST.fullmatch(parts.netloc.lower())
    except ValueError:
        raise AddressRefused("spelling") from None
    if "@" in parts.netloc:
        raise AddressRefused("user")
    if found is None:
        raise AddressRefused("host")
    port = int(found[2]) if found[2] else HTTPS
    if port != HTTPS and not FIRST_FREE_PORT <= port < 1 << 16:
        raise AddressRefused("port")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Server(_host(found[1]), port, target)


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise AddressRefused("host") from None
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # a resolver may take it for an address: 0x7f.1, 2130706433
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError:
            raise AddressRefused("host") from None
    if len(labels) < 2 or not all(_LABEL.fullmatch(one) for one in labels) or len(text) > 253:
        raise AddressRefused("host")
    return text


def is_open(address: str) -> bool:
    """Return whether an IP address is one of the open internet: nobody's home, nobody's inside."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # with a zone, too
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in one for one in _CLOSED_4)
    return found in _OPEN_6 and not any(found in one for one in _CLOSED_6)


def trust_of(path: Path) -> ssl.SSLContext:
    """Return the trust in the certificates of a file alone.

    Raises:
        StartupError: there are none in it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise StartupError(
            f"{path} (push_trust) holds no certificates in PEM that can be read."
        ) from None
    return context


def system_trust() -> ssl.SSLContext:
    """Return whom this machine trusts, whatever the environment says of certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    places = ssl.get_default_verify_paths()
    for cafile, capath in ((places.openssl_cafile, None), (None, places.openssl_capath)):
        with suppress(OSError):
            context.load_verify_locations(cafile=cafile, capath=capath)
    return context


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Return what the machine's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Outbound:
    """Asks servers.

    Args:
        own: names and addresses of servers of the owner's, which may be on the home network.
        resolve: asks for the addresses of a name.
        trust: whose certificates are believed; those that the machine trusts by default.
        own_trust: whose are believed of servers of the owner's; as others' by default.
    """

    def __init__(
        self,
        *,
        own: Collection[str] = (),
        resolve: Resolve = system_resolver,
        trust: ssl.SSLContext | None = None,
        own_trust: ssl.SSLContext | None = None,
    ) -> None:
        self._own = frozenset(one.lower() for one in own)
        self._resolve = resolve
        self._trust = trust
        self._own_trust = own_trust
        self._places = asyncio.Semaphore(AT_A_TIME)
        self._at: Counter[str] = Counter()
        self._left = asyncio.Event()

    def check(self, address: str) -> str:
        """Return the origin of an address that may be asked, as far as can be seen without asking.

        Raises:
            AddressRefused: it may not.
        """
        server = read_address(address)
        literal = ":" in server.host or _NUMBER.fullmatch(server.host.rpartition(".")[2])
        if literal and not self._may(server, server.host):
            raise AddressRefused("not-public")
        return server.origin

    async def post(self, address: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request; return the answer, whatever its status.

        Raises:
            AddressRefused: the address, or one that its name stands for, may not be asked.
            NotReached: nobody answered in time, or not in HTTP.
        """
        server = read_address(address)
        try:
            async with asyncio.timeout(TOTAL_SECONDS), self._place(server):
                return await self._ask(server, headers, body)
        except TimeoutError:
            raise NotReached("no answer in time") from None

    def _may(self, server: Server, address: str) -> bool:
        return server.host in self._own or is_open(address)

    @asynccontextmanager
    async def _place(self, server: Server) -> AsyncIterator[None]:
        """Hold one of the places, and one of those that there are for this server."""
        while self._at[server.host] >= TO_ONE_SERVER:
            await self._left.wait()
        self._at[server.host] += 1
        try:
            async with self._places:
                yield
        finally:
            self._at[server.host] -= 1
            if not self._at[server.host]:
                del self._at[server.host]
            self._left.set()
            self._left = asyncio.Event()

    async def _ask(self, server: Server, headers: Mapping[str, str], body: bytes) -> Reply:
        try:
            addresses = await self._resolve(server.host, server.port)
        except (OSError, UnicodeError):
            raise NotReached("the name is not known") from None
        if not addresses:
            raise NotReached("the name has no address")
        if not all(self._may(server, one) for one in addresses):
            raise AddressRefused("not-public")  # one of several would do for somebody patient
        reader, writer = await self._connect(server, addresses)
        try:
            return await _exchange(reader, writer, server, headers, body)
        except (OSError, ssl.SSLError) as error:
            raise NotReached(f"the connection broke ({type(error).__name__})") from None
        finally:
            writer.transport.abort()

    async def _connect(
        self, server: Server, addresses: Sequence[str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        trust = self._own_trust if server.host in self._own else None
        if trust is None:
            if self._trust is None:
                self._trust = system_trust()  # reads files: only where somebody is asked at all
            trust = self._trust
        trouble = "nobody listens"
        for address in addresses[:3]:
            try:
                return await asyncio.open_connection(
                    address, server.port, ssl=trust, server_hostname=server.host, limit=8192
                )
            except ssl.SSLCertVerificationError:
                raise NotReached("the certificate is not trusted") from None
            except OSError as error:  # ssl.SSLError is one
                trouble = f"no connection ({type(error).__name__})"
        raise NotReached(trouble)


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    server: Server,
    headers: Mapping[str, str],
    body: bytes,
) -> Reply:
    http = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    host = server.origin.removeprefix("https://")
    said = [("Host", host), ("Content-Length", str(len(body))), ("Connection", "close")]
    request = h11.Request(method="POST", target=server.target, headers=[*said, *headers.items()])
    for event in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(http.send(event) or b"")
    await writer.drain()
    head: h11.Response | None = None
    found = bytearray()
    try:
        while len(found) < MAX_ANSWER:
            match http.next_event():
                case h11.NEED_DATA:
                    http.receive_data(await reader.read(4096))
                case h11.Response() as response:
                    head = response
                case h11.Data(data=data):
                    found += data
                case h11.InformationalResponse():
                    continue
                case _:
                    break
    except h11.RemoteProtocolError:
        if head is None:
            raise NotReached("what came back is no HTTP") from None
    if head is None:
        raise NotReached("the connection ended without an answer")
    names: dict[str, str] = {}
    for name, value in head.headers:
        names.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return Reply(head.status_code, names, bytes(found[:MAX_ANSWER]))
