"""The gateway's keys on the disk: made once, kept, and never quietly replaced."""

import logging
import os
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from gateway.identity import KEY_NAME, TLS_NAME, Identity, IdentityUnusable, load_identity
from gateway.tls_certificate import NoCertificate, with_cryptography


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def not_again(key: SigningKey, folder: Path) -> bytes:
    raise AssertionError("a certificate is made once")


@pytest.fixture
def made(tmp_path: Path) -> Identity:
    return load_identity(tmp_path, fresh=True)


def test_a_first_start_makes_keys_that_only_we_can_read(made: Identity, tmp_path: Path) -> None:
    assert {one.name for one in tmp_path.iterdir()} == {KEY_NAME, TLS_NAME}
    assert mode(tmp_path / KEY_NAME) == 0o600
    assert mode(tmp_path / TLS_NAME) == 0o600


def test_a_second_start_has_the_same_keys_and_makes_nothing(made: Identity, tmp_path: Path) -> None:
    again = load_identity(tmp_path, fresh=False, make=not_again)

    assert again.gateway == made.gateway
    assert again.certificate == made.certificate
    assert again.channel == made.channel


def test_a_second_start_does_not_load_cryptography(made: Identity, tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from pathlib import Path; from gateway.identity import load_identity;"
        f"load_identity(Path({str(tmp_path)!r}), fresh=False);"
        "sys.exit('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=Path.cwd(), check=False)

    assert done.returncode == 0


def test_the_key_is_not_in_what_is_printed(made: Identity) -> None:
    assert bytes(made.key).hex() not in repr(made)
    assert repr(bytes(made.key)) not in repr(made)


def test_without_its_key_a_gateway_with_a_store_does_not_become_another(
    made: Identity, tmp_path: Path
) -> None:
    (tmp_path / KEY_NAME).unlink()

    with pytest.raises(IdentityUnusable, match="Put the file back from a copy"):
        load_identity(tmp_path, fresh=False)
    assert not (tmp_path / KEY_NAME).exists()


def test_a_damaged_key_is_left_as_it_is(made: Identity, tmp_path: Path) -> None:
    (tmp_path / KEY_NAME).write_bytes(b"short")

    with pytest.raises(IdentityUnusable, match="has 5 bytes instead of 32"):
        load_identity(tmp_path, fresh=True)
    assert (tmp_path / KEY_NAME).read_bytes() == b"short"


def lose(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def strange(path: Path) -> None:
    path.write_bytes(with_cryptography(SigningKey(b"s" * 32)))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def wrong_key(path: Path) -> None:
    certificate, _ = path.read_text().split("-----BEGIN PRIVATE")
    other = with_cryptography(SigningKey(b"s" * 32)).decode().split("-----BEGIN PRIVATE")[1]
    path.write_text(certificate + "-----BEGIN PRIVATE" + other)


@pytest.mark.parametrize("harm", [lose, cut, strange, empty, binary, wrong_key])
def test_a_certificate_that_is_of_no_use_is_made_anew(
    made: Identity, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    harm(tmp_path / TLS_NAME)

    again = load_identity(tmp_path, fresh=False)

    assert again.gateway == made.gateway
    assert again.certificate != made.certificate
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(again.tls)


def test_files_that_others_could_read_are_closed_and_it_is_said(
    made: Identity, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / KEY_NAME).chmod(0o644)

    with caplog.at_level(logging.WARNING):
        load_identity(tmp_path, fresh=False)

    assert mode(tmp_path / KEY_NAME) == 0o600
    assert "identity.key could be read by other users" in caplog.text


def test_a_link_in_the_place_of_the_key_is_not_followed(made: Identity, tmp_path: Path) -> None:
    (tmp_path / KEY_NAME).rename(tmp_path / "elsewhere")
    (tmp_path / KEY_NAME).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(IdentityUnusable, match="cannot be read"):
        load_identity(tmp_path, fresh=False)


def test_a_folder_that_is_not_there_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(IdentityUnusable, match="cannot be written"):
        load_identity(tmp_path / "none", fresh=True)


def test_what_a_killed_start_left_does_not_hinder_the_next(tmp_path: Path) -> None:
    (tmp_path / f"{KEY_NAME}.new").write_bytes(b"half")

    assert load_identity(tmp_path, fresh=True)
    assert not (tmp_path / f"{KEY_NAME}.new").exists()


def test_a_start_that_cannot_make_a_certificate_keeps_the_key_for_the_next(tmp_path: Path) -> None:
    def fails(key: SigningKey, folder: Path) -> bytes:
        raise NoCertificate("nothing here makes certificates")

    with pytest.raises(NoCertificate):
        load_identity(tmp_path, fresh=True, make=fails)
    key = (tmp_path / KEY_NAME).read_bytes()

    assert bytes(load_identity(tmp_path, fresh=True).key) == key
    assert sorted(os.listdir(tmp_path)) == [KEY_NAME, TLS_NAME]
