"""How a gateway's key vouches for its TLS certificate: an extension that only the key could make.

The certificate is self-signed, P-256, and valid for ever: what is pinned is the identity key, and a
small box may boot in 1970. Its one extension holds `identity key (32) || signature (64)`, where the
signature is of kind `gateway-certificate` over the certificate's SubjectPublicKeyInfo in DER
(docs/protocol.md §3.2; the same idea as libp2p's TLS handshake).
"""

from typing import Final

from nacl.signing import SigningKey

from wire.errors import NotSigned
from wire.ids import GatewayId
from wire.signing import SIGNATURE_BYTES, sign, verify

EXTENSION_OID: Final = "2.25.190227181882810380294286331599812196928"
"""A UUID under the arc that ITU-T X.667 gives to everybody, so that no registry was needed."""
EXTENSION_BYTES: Final = 32 + SIGNATURE_BYTES
_KIND: Final = "gateway-certificate"


def identity_extension(key: SigningKey, *, spki: bytes) -> bytes:
    """Return the extension's value (96 bytes) for a certificate with this SubjectPublicKeyInfo."""
    return bytes(key.verify_key) + sign(key, _KIND, spki)


def check_extension(value: bytes, *, spki: bytes, gateway: GatewayId) -> None:
    """Check that `gateway` vouches for the certificate.

    Raises:
        NotSigned: another gateway, another certificate, or no such extension.
    """
    if len(value) != EXTENSION_BYTES or value[:32] != gateway.raw:
        raise NotSigned("the certificate is not vouched for by this gateway")
    verify(gateway.raw, _KIND, body=spki, signature=value[32:])
