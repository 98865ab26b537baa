"""Makes the gateway's TLS certificate, once: self-signed, P-256, vouched for by the identity key.

P-256 because iPhones offer no Ed25519 in TLS. `cryptography` is loaded here, when a certificate is
made, and at no other time: it costs 10 MiB of memory. Where it cannot be loaded (a router without a
wheel for its processor) the `openssl` program does the same.

Reading one back needs neither: our own certificate has a public key of one shape and one extension
(docs/protocol.md §3.2).
"""

import datetime
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from gateway.errors import StartupError
from wire.certificate import EXTENSION_BYTES, EXTENSION_OID, identity_extension

COMMON_NAME: Final = "homepost gateway"
SPKI_BYTES: Final = 91

_BEGIN: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_END: Final = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
_SPKI_HEAD: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""Everything before the 65 bytes of an uncompressed P-256 point. Source: RFC 5480 §2."""


class NoCertificate(StartupError):
    """Nothing on this machine can make a certificate."""

    code = "no-certificate"


def make_certificate(key: SigningKey, folder: Path) -> bytes:
    """Return a new certificate for the holder of `key`, and its private key, in PEM.

    Args:
        key: the identity key.
        folder: the data folder; if files are needed on the way, they lie there and nowhere else.

    Raises:
        NoCertificate: neither `cryptography` nor `openssl` works here.
    """
    try:
        return with_cryptography(key)
    except ImportError:
        return with_openssl(key, folder)


def with_cryptography(key: SigningKey) -> bytes:
    """Make it with the library.

    Raises:
        ImportError: the library is not there or does not fit this machine.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    tls_key = ec.generate_private_key(ec.SECP256R1())
    spki = tls_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, COMMON_NAME)])
    vouched = x509.UnrecognizedExtension(
        x509.ObjectIdentifier(EXTENSION_OID), identity_extension(key, spki=spki)
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(tls_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .add_extension(vouched, critical=False)
        .sign(tls_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + tls_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def with_openssl(key: SigningKey, folder: Path) -> bytes:
    """Make it with the `openssl` program, 1.1.1 or later.

    Raises:
        NoCertificate: the program is not there or failed.
    """
    program = shutil.which("openssl")
    if program is None:
        raise NoCertificate(
            "A TLS certificate is needed, and neither the Python library cryptography nor the "
            "program openssl is here to make it. Install one of them, for example with "
            "`apt install openssl`, and start again."
        )
    with tempfile.TemporaryDirectory(prefix=".tls-", dir=folder) as name:
        folder = Path(name)
        folder.joinpath("serials").touch()
        _run(program, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-out", "tls.key", folder=folder)  # fmt: skip
        _run(program, "pkey", "-in", "tls.key", "-pubout", "-outform", "DER", "-out", "spki",
             folder=folder)  # fmt: skip
        spki = folder.joinpath("spki").read_bytes()
        folder.joinpath("ca.cnf").write_text(_CONFIG.format(
            name=COMMON_NAME, oid=EXTENSION_OID, value=identity_extension(key, spki=spki).hex()
        ), encoding="ascii")  # fmt: skip
        _run(program, "req", "-new", "-config", "ca.cnf", "-key", "tls.key", "-out", "request",
             folder=folder)  # fmt: skip
        _run(program, "ca", "-batch", "-notext", "-selfsign", "-config", "ca.cnf", "-rand_serial",
             "-keyfile", "tls.key", "-in", "request", "-out", "tls.crt", folder=folder)  # fmt: skip
        return folder.joinpath("tls.crt").read_bytes() + folder.joinpath("tls.key").read_bytes()


def signed_parts(certificate: bytes) -> tuple[bytes, bytes]:
    """Return public key (SubjectPublicKeyInfo) and identity extension of our own certificate.

    Args:
        certificate: in DER, as `make_certificate` makes it.

    Raises:
        ValueError: it has another shape.
    """
    key_at = certificate.index(_SPKI_HEAD)
    oid = _oid(EXTENSION_OID)
    head = oid + bytes([0x04, EXTENSION_BYTES])  # the OCTET STRING that holds the value
    value_at = certificate.index(head) + len(head)
    return (
        certificate[key_at : key_at + SPKI_BYTES],
        certificate[value_at : value_at + EXTENSION_BYTES],
    )


def _oid(text: str) -> bytes:
    """Return the DER form of an object identifier. Source: X.690 §8.19."""
    first, second, *rest = (int(one) for one in text.split("."))
    body = b"".join(_base128(one) for one in (40 * first + second, *rest))
    return bytes([0x06, len(body)]) + body


def _base128(number: int) -> bytes:
    groups = [number & 127]
    while number := number >> 7:
        groups.append(number & 127 | 128)
    return bytes(reversed(groups))


def _run(program: str, *arguments: str, folder: Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603  # our own words only, no shell
            [program, *arguments],
            cwd=folder,
            capture_output=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCertificate(f"{program} could not make a TLS certificate: {error}.") from error
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise NoCertificate(f"{program} {arguments[0]} failed: {''.join(last)}")


_CONFIG: Final = """\
[req]
distinguished_name = who
prompt = no
[who]
CN = {name}
[ca]
default_ca = once
[once]
database = serials
new_certs_dir = .
default_md = sha256
default_startdate = 19700101000000Z
default_enddate = 99991231235959Z
policy = anybody
unique_subject = no
rand_serial = yes
serial = number
x509_extensions = vouched
[anybody]
commonName = supplied
[vouched]
{oid} = DER:{value}
"""
