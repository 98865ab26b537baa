"""The certificate's voucher: who can make it, and that common tools can carry it."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.wire.people import public, signing
from wire.certificate import EXTENSION_BYTES, EXTENSION_OID, check_extension, identity_extension
from wire.errors import NotSigned
from wire.ids import GatewayId

GATEWAY = GatewayId(public("gateway"))
VALUE = identity_extension(signing("gateway"), spki=b"spki")


def test_a_gateway_vouches_for_its_certificate() -> None:
    check_extension(VALUE, spki=b"spki", gateway=GATEWAY)

    assert len(VALUE) == EXTENSION_BYTES == 96
    assert VALUE[:32] == GATEWAY.raw


@pytest.mark.parametrize(
    ("value", "spki", "gateway"),
    [
        (VALUE, b"other", GATEWAY),
        (VALUE, b"spki", GatewayId(public("other"))),
        (VALUE[:-1], b"spki", GATEWAY),
        (VALUE + b"\0", b"spki", GATEWAY),
        (b"", b"spki", GATEWAY),
        (VALUE[:32] + bytes(64), b"spki", GATEWAY),
        (public("other") + VALUE[32:], b"spki", GATEWAY),
        (identity_extension(signing("thief"), spki=b"spki"), b"spki", GATEWAY),
        (public("gateway") + VALUE[32:95] + b"\xff", b"spki", GATEWAY),
    ],
)
def test_nobody_else_vouches_for_it_and_for_no_other(
    value: bytes, spki: bytes, gateway: GatewayId
) -> None:
    """P5: a certificate that is swapped is not vouched for."""
    with pytest.raises(NotSigned):
        check_extension(value, spki=spki, gateway=gateway)


def test_cryptography_and_openssl_both_carry_the_extension(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    value = identity_extension(signing("gateway"), spki=spki)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "homepost gateway")])
    oid = x509.ObjectIdentifier(EXTENSION_OID)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(1970, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "gateway.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    shown = subprocess.run(
        ["openssl", "x509", "-in", path, "-noout", "-text"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    read = x509.load_pem_x509_certificate(path.read_bytes())
    extension = read.extensions.get_extension_for_oid(oid).value
    assert isinstance(extension, x509.UnrecognizedExtension)

    assert EXTENSION_OID in shown
    check_extension(extension.value, spki=spki, gateway=GATEWAY)
