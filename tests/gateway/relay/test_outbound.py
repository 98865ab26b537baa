"""The way out of the box leads nowhere that somebody else would like it to lead."""

import asyncio
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StartupError
from gateway.relay import outbound
from gateway.relay.outbound import (
    MAX_ADDRESS,
    MAX_ANSWER,
    AddressRefused,
    NotReached,
    Outbound,
    Resolve,
    is_open,
    read_address,
    system_trust,
    trust_of,
)
from tests.gateway.far import NAME, OTHER_NAME, Asked, Far, open_far, said

CANARY = 8443
"""A port that would be allowed: `test_no_spelling_reaches_the_canary` puts the real one there."""

SPELLINGS = (
    "http://push.example.net/x",
    "HTTPS://push.example.net/x",
    "//push.example.net/x",
    "push.example.net/x",
    "file:///etc/passwd",
    "gopher://127.0.0.1:8443/_x",
    "ftp://127.0.0.1:8443/x",
    "unix:///run/docker.sock",
    "javascript:alert(1)",
    "data:text/plain,x",
    "",
    "https://",
    "https:///x",
    "https://:8443/x",
    "https:127.0.0.1:8443/x",
    "https:/127.0.0.1:8443/x",
    "https:\\\\127.0.0.1:8443/x",
    "https://127.0.0.1:8443/x",
    "https://127.0.0.2:8443/x",
    "https://127.1:8443/x",
    "https://127.0.1:8443/x",
    "https://0177.0.0.1:8443/x",
    "https://0x7f.1:8443/x",
    "https://0x7f000001:8443/x",
    "https://0x7F.0.0.1:8443/x",
    "https://0x:8443/x",
    "https://2130706433:8443/x",
    "https://017700000001:8443/x",
    "https://127.0.0.1.:8443/x",
    "https://localhost:8443/x",
    "https://localhost.:8443/x",
    "https://LOCALHOST:8443/x",
    "https://0:8443/x",
    "https://0.0.0.0:8443/x",
    "https://10.0.0.1:8443/x",
    "https://100.64.0.1:8443/x",
    "https://169.254.169.254:8443/latest/meta-data",
    "https://172.16.0.1:8443/x",
    "https://172.31.255.254:8443/x",
    "https://192.0.0.8:8443/x",
    "https://192.168.1.1:8443/x",
    "https://198.18.0.1:8443/x",
    "https://224.0.0.251:8443/x",
    "https://255.255.255.255:8443/x",
    "https://[::1]:8443/x",
    "https://[::]:8443/x",
    "https://[0:0:0:0:0:0:0:1]:8443/x",
    "https://[::127.0.0.1]:8443/x",
    "https://[::ffff:127.0.0.1]:8443/x",
    "https://[::ffff:7f00:1]:8443/x",
    "https://[64:ff9b::7f00:1]:8443/x",
    "https://[64:ff9b:1::a00:1]:8443/x",
    "https://[2002:7f00:1::]:8443/x",
    "https://[2001:0:7f00:1::]:8443/x",
    "https://[fc00::1]:8443/x",
    "https://[fd12:3456::1]:8443/x",
    "https://[fe80::1]:8443/x",
    "https://[fe80::1%25eth0]:8443/x",
    "https://[fec0::1]:8443/x",
    "https://[ff02::fb]:8443/x",
    "https://[::1:8443/x",
    "https://①②⑦.0.0.1:8443/x",
    "https://127。0。0。1:8443/x",
    "https://push.exämple.net/x",
    "https://push.example.net\u200b/x",
    "https://user@push.example.net/x",
    "https://user:pass@127.0.0.1:8443/x",
    "https://push.example.net@127.0.0.1:8443/x",
    "https://push.example.net\\@127.0.0.1:8443/x",
    "https://push.example.net%40127.0.0.1:8443/x",
    "https://push.example.net:22/x",
    "https://push.example.net:25/x",
    "https://push.example.net:80/x",
    "https://push.example.net:0/x",
    "https://push.example.net:65536/x",
    "https://push.example.net:8443:22/x",
    "https://push.example.net:+443/x",
    "https://push.example.net:٤٤٣/x",
    "https://push.example.net./x",
    "https://-push.example.net/x",
    "https://push..example.net/x",
    "https://push.example.net/x#127.0.0.1",
    "https://push.example.net/x y",
    "https://push.example.net/x\r\nHost: 127.0.0.1",
    "https://push.example.net/\tx",
    " https://127.0.0.1:8443/x",
    "https://push.example.net/" + "x" * MAX_ADDRESS,
)


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[Far]:
    async with open_far(tmp_path) as opened:
        yield opened


def to(
    far: Far, *, own: Sequence[str] = (NAME, OTHER_NAME), resolve: Resolve | None = None
) -> Outbound:
    """Return a way out for which the server is one of the owner's own."""
    return Outbound(own=own, resolve=resolve or far.resolve, trust=far.trust)


async def ask(way: Outbound, address: str) -> outbound.Reply:
    """Send something there."""
    return await way.post(address, headers={"TTL": "60"}, body=b"wake")


def answers(*addresses: str) -> Resolve:
    """Return a resolver that gives these, whatever it is asked."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


def test_there_are_at_least_sixty_spellings() -> None:
    assert len(set(SPELLINGS)) >= 60


@pytest.mark.parametrize("spelling", SPELLINGS, ids=range(len(SPELLINGS)))
async def test_no_spelling_reaches_the_canary(far: Far, spelling: str) -> None:
    """SS-01: neither when it is registered nor when it is sent to."""
    address, way = spelling.replace(f":{CANARY}", f":{far.port}"), Outbound(trust=far.trust)

    with pytest.raises(AddressRefused):
        way.check(address)
    with pytest.raises(AddressRefused):
        await ask(way, address)

    assert far.connections == 0


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://push.example.net/a?b=c", "https://push.example.net"),
        ("https://push.example.net:443/a", "https://push.example.net"),
        ("https://Push.Example.Net:8443", "https://push.example.net:8443"),
        ("https://xn--exmple-cua.net/a", "https://xn--exmple-cua.net"),
        ("https://93.184.216.34/a", "https://93.184.216.34"),
        ("https://[2606:2800:220:1::1]:8443/a", "https://[2606:2800:220:1::1]:8443"),
    ],
)
def test_a_plain_address_is_taken(address: str, origin: str) -> None:
    assert Outbound().check(address) == origin


@given(st.text(max_size=80) | st.from_regex(r"https://[\[\]a-f0-9.:@%/]{0,40}", fullmatch=True))
def test_whatever_is_read_is_refused_or_leads_to_one_host(text: str) -> None:
    try:
        server = read_address(text)
    except AddressRefused:
        return
    assert text.startswith("https://")
    assert server.target.startswith("/")
    assert server.host == server.host.lower()


@given(st.ip_addresses(v=4))
def test_no_mapped_address_is_open(inside: ipaddress.IPv4Address) -> None:
    number = int(inside)
    carried = [
        ipaddress.IPv6Address(number),
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(0x64FF9B << 96 | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80),
        ipaddress.IPv6Address(0x20010000 << 96 | (number ^ 0xFFFFFFFF)),
    ]
    assert not any(is_open(str(one)) for one in carried)


@pytest.mark.parametrize(
    "address",
    ["192.0.0.8", "224.0.0.251", "ff02::fb", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1",
     "2002:7f00:1::", "fec0::1", "fe80::1%eth0", "not one"],
)  # fmt: skip
def test_what_the_standard_library_takes_for_global_is_not_open(address: str) -> None:
    assert not is_open(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "100.128.0.1"])
def test_the_internet_is_open(address: str) -> None:
    assert is_open(address)


async def test_a_request_arrives_as_it_was_meant(far: Far) -> None:
    far.answer = lambda asked: said(201, "TTL: 30", "ttl: 40", body=b"thanks")

    reply = await ask(to(far), f"{far.url}?q=1")

    assert (reply.status, reply.headers["ttl"], reply.body) == (201, "30", b"thanks")
    [asked] = far.asked
    assert (asked.target, asked.body) == ("/push/abc?q=1", b"wake")
    assert asked.headers["host"] == f"{NAME}:{far.port}"
    assert asked.headers["ttl"] == "60"
    assert set(asked.headers) == {"host", "content-length", "connection", "ttl"}


async def test_a_name_that_leads_home_is_not_asked(far: Far) -> None:
    for addresses in (["127.0.0.1"], ["::1"], ["93.184.216.34", "127.0.0.1"]):
        with pytest.raises(AddressRefused, match="not-public"):
            await ask(to(far, own=(), resolve=answers(*addresses)), far.url)

    assert far.connections == 0


async def test_a_name_is_resolved_once_and_connected_to_where_it_was_then(far: Far) -> None:
    """SS-02: public when it is checked, 127.0.0.1 a moment later."""
    asked = list[str]()

    async def rebinds(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["2001:db8::1"] if len(asked) > 1 else ["127.0.0.1"]

    assert (await ask(to(far, resolve=rebinds), far.url)).status == 201
    assert asked == [NAME]
    with pytest.raises(AddressRefused):
        await ask(to(far, own=(), resolve=rebinds), far.url)
    assert far.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(far: Far, status: int) -> None:
    """SS-03: neither to a local address nor from https to http."""
    far.answer = lambda asked: said(status, f"Location: https://{OTHER_NAME}:{far.port}/inside")

    assert (await ask(to(far), far.url)).status == status
    assert [one.target for one in far.asked] == ["/push/abc"]


async def test_nothing_of_the_environment_counts(
    far: Far, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SS-12: no proxy, no netrc, no certificates of somebody's."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text(f"machine {NAME} login me password secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "far.pem"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    assert (await ask(to(far), far.url)).status == 201
    assert "authorization" not in far.asked[0].headers
    with pytest.raises(NotReached, match="not trusted"):
        await ask(Outbound(own=[NAME], resolve=far.resolve), far.url)
    assert not (tmp_path / "keys").exists()


async def test_a_certificate_for_another_name_is_not_believed(far: Far) -> None:
    with pytest.raises(NotReached, match="not trusted"):
        await ask(to(far, own=["third.example.net"]), f"https://third.example.net:{far.port}/push")
    assert far.asked == []


@pytest.mark.parametrize(
    "answer",
    [b"", b"\0" * 100, b"HTTP/1.1 two hundred\r\n\r\n", b"SSH-2.0-x\r\n", said(200)[:20],
     b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000],
    ids=["nothing", "zeros", "no status", "ssh", "cut", "an endless head"],
)  # fmt: skip
async def test_what_is_no_answer_is_an_error(far: Far, answer: bytes) -> None:
    far.answer = lambda asked: answer

    with pytest.raises(NotReached):
        await ask(to(far), far.url)


@pytest.mark.parametrize("size", [MAX_ANSWER + 1, 1_000_000])
async def test_an_endless_answer_is_read_to_its_bound(far: Far, size: int) -> None:
    """SS-06: the head counts, and 4 KiB of the rest."""
    far.answer = lambda asked: said(410, body=b"x" * size)

    reply = await ask(to(far), far.url)

    assert (reply.status, len(reply.body)) == (410, MAX_ANSWER)


async def test_a_server_that_dribbles_is_given_up_and_others_are_on_time(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SS-06: a byte a second, never an end."""
    monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.5)
    held = asyncio.Event()

    async def never(asked: Asked) -> bytes:
        await held.wait()
        return said(201)

    far.answer = lambda asked: never(asked) if asked.headers["host"][:4] == "push" else said(201)
    way, began = to(far), time.monotonic()
    slow = [asyncio.create_task(ask(way, far.url)) for _ in range(6)]
    await far.until(4)

    assert (await ask(way, far.url.replace(NAME, OTHER_NAME))).status == 201
    ended = await asyncio.gather(*slow, return_exceptions=True)

    assert [type(one) for one in ended] == [NotReached] * 6
    assert time.monotonic() - began < 5
    assert len(far.asked) == 5  # no more than four at a time to one server
    held.set()


async def test_nobody_there_is_an_error_that_names_no_address(far: Far) -> None:
    async def fails(host: str, port: int) -> Sequence[str]:
        raise OSError(f"{host} is not there")

    for resolve in (fails, answers()):
        with pytest.raises(NotReached) as caught:
            await ask(to(far, resolve=resolve), far.url)
        assert NAME not in str(caught.value)
    with pytest.raises(NotReached) as caught:
        await ask(to(far), f"https://{NAME}:1025/x")
    assert "127" not in str(caught.value)


async def test_certificates_of_the_owners_are_believed_of_his_own_servers_only(
    far: Far, tmp_path: Path
) -> None:
    trust = trust_of(tmp_path / "far.pem")

    mine = Outbound(own=[NAME], resolve=far.resolve, own_trust=trust)
    assert (await ask(mine, far.url)).status == 201
    named = Outbound(own=[NAME, OTHER_NAME], resolve=far.resolve)
    with pytest.raises(NotReached, match="not trusted"):
        await ask(named, far.url)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_without_certificates_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "trust.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(StartupError, match="push_trust"):
        trust_of(path)


def test_the_machines_own_certificates_are_trusted_and_checked() -> None:
    context = system_trust()

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.keylog_filename is None
