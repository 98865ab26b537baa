"""Making the TLS certificate with the library and with the program, and reading it back."""

import shutil
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nacl.signing import SigningKey

from gateway import tls_certificate
from gateway.tls_certificate import (
    NoCertificate,
    make_certificate,
    signed_parts,
    with_cryptography,
    with_openssl,
)
from wire.certificate import EXTENSION_BYTES, EXTENSION_OID, check_extension
from wire.errors import NotSigned
from wire.ids import GatewayId

KEY = SigningKey(b"k" * 32)
GATEWAY = GatewayId(bytes(KEY.verify_key))

Way = Callable[[Path], bytes]
WAYS: list[Way] = [
    lambda folder: with_cryptography(KEY),
    lambda folder: with_openssl(KEY, folder),
]
both_ways = pytest.mark.parametrize("way", WAYS, ids=["cryptography", "openssl"])


@both_ways
def test_the_certificate_says_what_the_protocol_wants(way: Way, tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(way(tmp_path))
    extension = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(EXTENSION_OID))

    assert certificate.subject.rfc4514_string() == "CN=homepost gateway"
    assert certificate.issuer == certificate.subject
    assert certificate.not_valid_before_utc.isoformat() == "1970-01-01T00:00:00+00:00"
    assert certificate.not_valid_after_utc.isoformat() == "9999-12-31T23:59:59+00:00"
    assert not any(one.critical for one in certificate.extensions)
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    assert len(extension.value.value) == EXTENSION_BYTES
    public_key = certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert public_key.curve.name == "secp256r1"


@both_ways
def test_the_parts_read_back_are_those_that_a_phone_finds(way: Way, tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(way(tmp_path))
    extension = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(EXTENSION_OID))
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    found = signed_parts(certificate.public_bytes(serialization.Encoding.DER))

    assert found == (spki, extension.value.value)
    check_extension(found[1], spki=found[0], gateway=GATEWAY)


@both_ways
def test_python_serves_with_it(way: Way, tmp_path: Path) -> None:
    pem = tmp_path / "tls.pem"
    pem.write_bytes(way(tmp_path))

    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pem)


@both_ways
def test_another_key_does_not_vouch_for_it(way: Way, tmp_path: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert(way(tmp_path).decode().split("-----BEGIN PRIVATE")[0])
    spki, value = signed_parts(der)
    stranger = GatewayId(bytes(SigningKey(b"s" * 32).verify_key))

    with pytest.raises(NotSigned):
        check_extension(value, spki=spki, gateway=stranger)


def test_two_certificates_have_keys_and_numbers_of_their_own() -> None:
    one, other = (x509.load_pem_x509_certificate(with_cryptography(KEY)) for _ in range(2))

    assert one.public_key() != other.public_key()
    assert one.serial_number != other.serial_number


def test_without_the_library_the_program_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def missing(key: SigningKey) -> bytes:
        raise ImportError("no wheel for this processor")

    def program(key: SigningKey, folder: Path) -> bytes:
        asked.append(folder)
        return with_openssl(key, folder)

    monkeypatch.setattr(tls_certificate, "with_cryptography", missing)
    monkeypatch.setattr(tls_certificate, "with_openssl", program)

    assert x509.load_pem_x509_certificate(make_certificate(KEY, tmp_path))
    assert asked == [tmp_path]


def test_the_program_leaves_no_key_behind(tmp_path: Path) -> None:
    with_openssl(KEY, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_what_the_program_writes_on_its_way_is_closed_to_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    modes = []
    run = tls_certificate._run

    def watched(program: str, *arguments: str, folder: Path) -> None:
        modes.append(stat.S_IMODE(folder.stat().st_mode))
        run(program, *arguments, folder=folder)

    monkeypatch.setattr(tls_certificate, "_run", watched)
    with_openssl(KEY, tmp_path)

    assert set(modes) == {0o700}


def test_with_neither_the_owner_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    with pytest.raises(NoCertificate, match="apt install openssl"):
        with_openssl(KEY, tmp_path)


def test_a_program_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tls_certificate, "_CONFIG", "no configuration {name}{oid}{value}")

    with pytest.raises(NoCertificate, match="openssl req failed: "):
        with_openssl(KEY, tmp_path)


def test_a_certificate_of_another_shape_is_not_read() -> None:
    with pytest.raises(ValueError, match="subsection not found"):
        signed_parts(b"\x30\x03\x02\x01\x00")
