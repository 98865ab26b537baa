"""A push service can check who pushes."""

from pathlib import Path

import pytest

from gateway.errors import StartupError
from gateway.identity import VAPID_NAME
from gateway.push.vapid import LIFE, RENEW, Vapid, load_key
from tests.gateway.far import Asked
from tests.gateway.hands import Hands
from tests.gateway.push.service import check_vapid

CONTACT = "mailto:anna@example.org"


def note(vapid: Vapid, host: str) -> Asked:
    """Return a request with the note for a push service."""
    return Asked("/x", {"authorization": vapid.header(f"https://{host}"), "host": host}, b"")


def test_46_each_push_service_gets_a_note_of_its_own(tmp_path: Path) -> None:
    hands = Hands()
    vapid = Vapid(load_key(tmp_path), contact=CONTACT, now=hands.now)

    for host in ("push.example.net", "other.example.net:8443", "push.example.net"):
        claims = check_vapid(note(vapid, host), now=hands.now())
        assert claims["aud"] == f"https://{host}"
        assert claims["exp"] == int(hands.now() + LIFE)


def test_a_note_is_used_until_it_is_nearly_over(tmp_path: Path) -> None:
    hands = Hands()
    vapid = Vapid(load_key(tmp_path), contact=CONTACT, now=hands.now)
    first = vapid.header("https://push.example.net")

    hands.live(LIFE - RENEW - 1)
    assert vapid.header("https://push.example.net") == first
    hands.live(2)
    second = vapid.header("https://push.example.net")
    assert second != first
    hands.wall -= 86_400  # the clock was wrong, and so was the note
    assert vapid.header("https://push.example.net") != second


def test_the_key_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    first = load_key(tmp_path).private_numbers()
    path = tmp_path / VAPID_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)

    assert load_key(tmp_path).private_numbers() == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [VAPID_NAME]


@pytest.mark.parametrize("content", [b"", b"x" * 31, bytes(32), b"\xff" * 32, b"x" * 33])
def test_a_damaged_key_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / VAPID_NAME).write_bytes(content)

    with pytest.raises(StartupError, match="damaged"):
        load_key(tmp_path)
    assert (tmp_path / VAPID_NAME).read_bytes() == content


def test_a_folder_that_takes_no_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="cannot be used"):
        load_key(tmp_path / "nowhere")
