"""TLS to a gateway that has no name: the key is pinned, and checked before a byte of ours is sent.

    first contact   no verification by TLS; the certificate must carry the voucher of the key that
                    the code names, else the connection ends without a byte from us
    afterwards      that certificate and no other is accepted; if another one is shown, it is looked
                    at as at first contact, for a gateway may make itself a new one

(docs/protocol.md §3.2)
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from peer.errors import GatewayNotThere, WrongGateway
from wire.certificate import EXTENSION_BYTES, EXTENSION_OID, check_extension
from wire.codes import fingerprint
from wire.errors import NotSigned
from wire.ids import GatewayId
from wire.places import Place

CONNECT_SECONDS: Final = 10.0
"""Time for a box to answer: a sleeping disk and a slow mobile network together take less."""

Expected = Callable[[GatewayId], bool]


async def look_at(place: Place, expected: Expected) -> tuple[GatewayId, bytes]:
    """Return which gateway answers at `place`, and its certificate in DER.

    Not one byte goes to whoever is there but the TLS handshake itself.

    Args:
        place: where to look.
        expected: whether this key is the one we look for.

    Raises:
        GatewayNotThere: nobody answers there, or not with TLS.
        WrongGateway: somebody else does.
    """
    context = _context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(place.host, place.port, ssl=context)
    except (OSError, ssl.SSLError, TimeoutError):
        raise GatewayNotThere(_NOT_THERE.format(place)) from None
    try:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        # In Python 3.11.2 aborting what the other side has ended raises AttributeError.
        with suppress(AttributeError):
            writer.transport.abort()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
    return _vouched(der, expected), der


def named(gateway: GatewayId) -> Expected:
    """Expect the gateway with this key."""
    return lambda found: found == gateway


def with_fingerprint(wanted: bytes) -> Expected:
    """Expect the gateway whose key has this fingerprint."""
    return lambda found: fingerprint(found) == wanted


def pinned(der: bytes) -> ssl.SSLContext:
    """Return a context that accepts the certificate `der` and no other."""
    context = _context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=der)
    return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    return context


def _vouched(der: bytes, expected: Expected) -> GatewayId:
    """Return the gateway that vouches for a certificate, if it is the expected one."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        extension = certificate.extensions.get_extension_for_oid(
            x509.ObjectIdentifier(EXTENSION_OID)
        )
        value = extension.value.public_bytes()
        spki = certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        if len(value) != EXTENSION_BYTES:
            raise NotSigned("the voucher has another length")
        gateway = GatewayId(value[:32])
        check_extension(value, spki=spki, gateway=gateway)
    except (
        ValueError,
        UnsupportedAlgorithm,
        x509.ExtensionNotFound,
        x509.DuplicateExtension,
        NotSigned,
    ):
        raise WrongGateway(_WRONG) from None
    if not expected(gateway):
        raise WrongGateway(_WRONG)
    return gateway


_NOT_THERE: Final = "no gateway answers at {}. Is the box on, and is this device in its network?"
_WRONG: Final = (
    "somebody else answers where the gateway should be; nothing was sent to them. Look at its"
    " address, and if the box was set up anew, pair with it again"
)
