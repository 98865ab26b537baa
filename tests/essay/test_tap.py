"""The tap passes everything on, keeps it in the clear, and nobody in front of it notices."""

import asyncio
import ssl
from pathlib import Path

from nacl.signing import SigningKey

from gateway.tls_certificate import make_certificate
from tests.essay.tap import tap


async def _upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each line in capitals, until there are no more."""
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


def _tls(pem: Path, *, side: int) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.check_hostname = False
    if side == ssl.PROTOCOL_TLS_SERVER:
        context.load_cert_chain(pem)
    else:
        context.load_verify_locations(pem)
    return context


async def test_both_ways_pass_and_are_kept_in_the_clear(tmp_path: Path) -> None:
    pem = tmp_path / "tls.pem"
    pem.write_bytes(make_certificate(SigningKey.generate(), tmp_path))
    server = await asyncio.start_server(
        _upper, host="127.0.0.1", port=0, ssl=_tls(pem, side=ssl.PROTOCOL_TLS_SERVER)
    )
    async with tap(pem, port=server.sockets[0].getsockname()[1]) as wire:
        wire.take_key()
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", wire.port, ssl=_tls(pem, side=ssl.PROTOCOL_TLS_CLIENT)
        )
        for word in (b"one\n", b"two\n" * 50_000):
            writer.write(word)
            assert await reader.readexactly(len(word)) == word.upper()
        writer.close()
    server.close()

    (link,) = wire.links
    assert link.caller == "127.0.0.1"
    assert bytes(link.up) == b"one\n" + b"two\n" * 50_000
    assert bytes(link.down) == bytes(link.up).upper()
    assert (wire.up, wire.down, wire.bytes) == (200_004, 200_004, 400_008)


async def test_a_gateway_that_is_away_is_away_behind_the_tap_too(tmp_path: Path) -> None:
    pem = tmp_path / "tls.pem"
    pem.write_bytes(make_certificate(SigningKey.generate(), tmp_path))
    async with tap(pem, port=1) as wire:
        wire.take_key()
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", wire.port, ssl=_tls(pem, side=ssl.PROTOCOL_TLS_CLIENT)
        )
        assert await reader.read() == b""
        writer.close()

    assert wire.bytes == 0
