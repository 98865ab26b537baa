"""P5: nobody but the gateway that was meant hears a byte from us."""

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nacl.signing import SigningKey

from peer.errors import GatewayNotThere, WrongGateway
from peer.ways.tls import look_at, named, pinned, with_fingerprint
from tests.peer.stranger import Keys, Stranger, stranger
from wire.certificate import EXTENSION_OID, identity_extension
from wire.codes import fingerprint
from wire.places import Place


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Return the gateway that we look for."""
    return Keys(tmp_path)


async def refused(keys: Keys, there: Stranger) -> None:
    """Prove that we take `there` for somebody else, and say nothing to it."""
    with pytest.raises(WrongGateway) as refusal:
        await look_at(there.place, named(keys.gateway))
    assert "nothing was sent" in str(refusal.value)
    assert await there.heard() == b""
    assert [one.agreed for one in there.visits] == [True]


async def test_the_gateway_that_was_meant_is_found_and_sent_nothing_yet(keys: Keys) -> None:
    async with stranger(keys.certificate()) as there:
        found = await look_at(there.place, named(keys.gateway))
        assert found == (keys.gateway, there.der)
        assert await there.heard() == b""


async def test_a_fingerprint_finds_the_same_gateway(keys: Keys) -> None:
    async with stranger(keys.certificate()) as there:
        expected = with_fingerprint(fingerprint(keys.gateway))
        assert await look_at(there.place, expected) == (keys.gateway, there.der)


async def test_another_gateway_at_the_right_address_hears_nothing(
    keys: Keys, tmp_path: Path
) -> None:
    other = Keys(tmp_path)
    async with stranger(other.certificate()) as there:
        await refused(keys, there)


async def test_another_gateway_does_not_have_the_fingerprint(keys: Keys, tmp_path: Path) -> None:
    other = Keys(tmp_path)
    async with stranger(other.certificate()) as there:
        with pytest.raises(WrongGateway):
            await look_at(there.place, with_fingerprint(fingerprint(keys.gateway)))
        assert await there.heard() == b""


Voucher = Callable[[Keys, bytes], bytes | None]
"""Returns the extension's value for a gateway and the public key in the certificate."""


def of_another_key(keys: Keys, spki: bytes) -> bytes:
    """A whole voucher, of somebody else."""
    return identity_extension(SigningKey.generate(), spki=spki)


def copied(keys: Keys, spki: bytes) -> bytes:
    """The right gateway's own voucher, copied from its certificate onto another key's."""
    return identity_extension(keys.key, spki=b"the public key in its real certificate")


def named_but_not_signed(keys: Keys, spki: bytes) -> bytes:
    """The right gateway's name, signed by somebody else."""
    return keys.gateway.raw + identity_extension(SigningKey.generate(), spki=spki)[32:]


def without_a_signature(keys: Keys, spki: bytes) -> bytes:
    """The right gateway's name and nothing behind it."""
    return keys.gateway.raw


def too_long(keys: Keys, spki: bytes) -> bytes:
    """A good voucher and one byte more."""
    return identity_extension(keys.key, spki=spki) + b"\0"


def missing(keys: Keys, spki: bytes) -> None:
    """No voucher at all, as any web server has none."""


@pytest.mark.parametrize(
    "voucher",
    [of_another_key, copied, named_but_not_signed, without_a_signature, too_long, missing],
    ids=lambda one: one.__name__,
)
async def test_a_certificate_without_a_good_voucher_ends_it_before_a_byte_of_ours(
    keys: Keys, voucher: Voucher, tmp_path: Path
) -> None:
    async with stranger(certificate_with(voucher, keys, tmp_path)) as there:
        await refused(keys, there)


async def test_a_voucher_in_a_certificate_that_repeats_it_ends_it_before_a_byte_of_ours(
    keys: Keys, tmp_path: Path
) -> None:
    """What two readers could take for two gateways is nobody's."""
    other = Keys(tmp_path)
    async with stranger(certificate_with_two(keys, other, tmp_path)) as there:
        await refused(keys, there)


async def test_nobody_there_is_said_with_the_address(keys: Keys) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # held, and nobody listens
        place = Place("127.0.0.1", held.getsockname()[1])
        with pytest.raises(GatewayNotThere, match=str(place)):
            await look_at(place, named(keys.gateway))


@pytest.mark.parametrize("greeting", [b"", b"220 mail.example ESMTP\r\n", b"\x16\x03\x03\xff\xff"])
async def test_what_speaks_no_tls_is_nobody_there(keys: Keys, greeting: bytes) -> None:
    async with speaking(greeting) as place:
        with pytest.raises(GatewayNotThere):
            await look_at(place, named(keys.gateway))


async def test_a_server_that_knows_only_old_tls_is_nobody_there(keys: Keys, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(keys.certificate())
    async with speaking(b"", tls=context) as place:
        with pytest.raises(GatewayNotThere):
            await look_at(place, named(keys.gateway))


async def test_a_pinned_certificate_is_accepted_and_no_other_of_the_same_gateway(
    keys: Keys,
) -> None:
    async with stranger(keys.certificate()) as there, stranger(keys.certificate()) as other:
        context = pinned(there.der)
        await says_hello(there.place, context)
        with pytest.raises(ssl.SSLCertVerificationError):
            await says_hello(other.place, context)
        assert await there.heard() == b"hello"
        assert await other.heard() == b""


async def test_a_pinned_certificate_is_no_authority_for_others(keys: Keys, tmp_path: Path) -> None:
    """What the holder of the pinned key signs for another key is not the pinned certificate."""
    pem = keys.certificate()
    signed = signed_by(pem, tmp_path)
    async with stranger(pem) as there, stranger(signed) as other:
        with pytest.raises(ssl.SSLCertVerificationError):
            await says_hello(other.place, pinned(there.der))
        assert await other.heard() == b""


def test_a_pinned_context_knows_no_authority_of_the_system(keys: Keys, tmp_path: Path) -> None:
    pem = keys.certificate()
    context = pinned(ssl.PEM_cert_to_DER_cert(pem.read_text().partition("-----BEGIN PRIVATE")[0]))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.cert_store_stats()["x509"] == 1


async def says_hello(place: Place, context: ssl.SSLContext) -> None:
    """Connect and say a word."""
    _, writer = await asyncio.open_connection(place.host, place.port, ssl=context)
    writer.write(b"hello")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def certificate_with(voucher: Voucher, keys: Keys, folder: Path) -> Path:
    """Make a certificate of a new key with a voucher of a test's choice."""
    key, spki = _new_key()
    builder = _builder().public_key(key.public_key())
    value = voucher(keys, spki)
    if value is not None:
        builder = _vouched(builder, EXTENSION_OID, value)
    return _written(builder.sign(key, hashes.SHA256()).public_bytes(_DER), key, folder)


def certificate_with_two(keys: Keys, other: Keys, folder: Path) -> Path:
    """Make a certificate in which two gateways vouch, each in the same kind of extension."""
    key, spki = _new_key()
    builder = _builder().public_key(key.public_key())
    builder = _vouched(builder, EXTENSION_OID, identity_extension(keys.key, spki=spki))
    builder = _vouched(builder, _NEXT_OID, identity_extension(other.key, spki=spki))
    der = builder.sign(key, hashes.SHA256()).public_bytes(_DER)
    # No library writes the same extension twice; what is written last differs in one byte.
    one, next_one = (x509.ObjectIdentifier(text) for text in (EXTENSION_OID, _NEXT_OID))
    assert der.count(_oid_bytes(next_one)) == 1
    return _written(der.replace(_oid_bytes(next_one), _oid_bytes(one)), key, folder)


def signed_by(pem: Path, folder: Path) -> Path:
    """Let the TLS key in `pem` sign a certificate for another key, as an authority does."""
    data = pem.read_bytes()
    signer = serialization.load_pem_private_key(data, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(data).subject
    builder = _builder(issuer).public_key(key.public_key())
    return _written(builder.sign(signer, hashes.SHA256()).public_bytes(_DER), key, folder)


_DER = serialization.Encoding.DER
_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "homepost gateway")])


def _new_key() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key, key.public_key().public_bytes(_DER, kind)


def _builder(issuer: x509.Name = _NAME) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC))
    )


def _vouched(builder: x509.CertificateBuilder, oid: str, value: bytes) -> x509.CertificateBuilder:
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
    return builder.add_extension(extension, critical=False)


_NEXT_OID = f"2.25.{int(EXTENSION_OID.rpartition('.')[2]) ^ 1}"


def _oid_bytes(oid: x509.ObjectIdentifier) -> bytes:
    """Return the number after 2.25 as X.690 §8.19 writes it."""
    number, groups = int(oid.dotted_string.rpartition(".")[2]), bytearray()
    groups.append(number & 127)
    while number := number >> 7:
        groups.append(number & 127 | 128)
    return bytes(reversed(groups))


def _written(der: bytes, key: ec.EllipticCurvePrivateKey, folder: Path) -> Path:
    """Write certificate and key as a server loads them."""
    path = folder / "made-up.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_text(ssl.DER_cert_to_PEM_cert(der) + private.decode())
    return path


@asynccontextmanager
async def speaking(greeting: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Place]:
    """Let something listen that is no gateway: it says its greeting and ends."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield Place("127.0.0.1", server.sockets[0].getsockname()[1])
