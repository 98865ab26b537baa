"""The key of a phone's file comes from where its header says, or the sentence says why not."""

import asyncio
from pathlib import Path

import pytest

from peer.errors import KeyringAway, Locked, StoreUnusable, WrongPin
from peer.header import KEY_NAME, write_header
from peer.keys.file_key import FileKey, Header, LockKind
from peer.locking import Locking
from peer.store import SEALED_NAME
from peer.unlocking import file_key, lock_kind, lock_name
from tests.peer.locked import CHEAP, PIN, key_of, lock, opened
from tests.peer.rings import Ring, system_with


def without_asking(home: Path) -> FileKey | None:
    return asyncio.run(file_key(home, None))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the folder of a phone that is not sealed."""
    opened(tmp_path / "phone").close()
    return tmp_path / "phone"


def test_a_plain_file_has_no_key_and_nobody_is_asked(home: Path) -> None:
    assert without_asking(home) is None
    assert without_asking(home / "nowhere") is None
    assert (lock_kind(home), lock_name(home)) == (None, "none")


def test_a_pin_opens_it_and_no_other_however_often_it_is_tried(home: Path) -> None:
    lock(home)
    for number in range(20):
        with pytest.raises(WrongPin, match="not counted, only slow"):
            key_of(home, f"{number:06}")

    assert key_of(home) is not None
    assert (lock_kind(home), lock_name(home)) == (LockKind.PIN, "pin")


def test_where_nobody_can_be_asked_the_sentence_names_the_option(home: Path) -> None:
    lock(home)

    with pytest.raises(Locked, match="--pin-file"):
        without_asking(home)


def test_a_keyring_opens_it_without_asking(home: Path) -> None:
    with system_with(Ring()):
        Locking(home).lock_with_keyring(None)
        assert without_asking(home) is not None
    assert (lock_kind(home), lock_name(home)) == (LockKind.KEYRING, "keyring")


def test_a_keyring_that_does_not_have_the_key_is_said(home: Path) -> None:
    ring = Ring()
    with system_with(ring):
        Locking(home).lock_with_keyring(None)
        ring.locked = True
        with pytest.raises(KeyringAway, match="unlock it"):
            without_asking(home)
        ring.locked = False
        for name in ring.kept:
            ring.kept[name] = bytes(32).hex()
        with pytest.raises(KeyringAway, match="only another one"):
            without_asking(home)
        ring.kept.clear()
        with pytest.raises(KeyringAway, match="another user"):
            without_asking(home)


def test_a_sealed_file_without_its_header_is_not_called_damaged(home: Path) -> None:
    lock(home)
    (home / KEY_NAME).unlink()

    with pytest.raises(StoreUnusable, match=r"phone\.key beside it is gone; put that back"):
        key_of(home)
    assert (home / SEALED_NAME).exists()


def test_the_header_of_another_phone_is_not_taken_for_damage_that_ends_all(
    home: Path, tmp_path: Path
) -> None:
    lock(home)
    key = FileKey.generate()
    write_header(home, Header.under_pin(key, PIN, cost=CHEAP))

    with pytest.raises(StoreUnusable, match="belongs to another file"):
        opened(home)


def test_a_header_beside_a_plain_file_opens_nothing_and_is_not_asked_for(home: Path) -> None:
    (home / KEY_NAME).write_bytes(b"left by a change that was cut off")

    assert without_asking(home) is None
