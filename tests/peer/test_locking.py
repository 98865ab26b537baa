"""A person puts the lock on, changes it and takes it off, and the phone stays what it was."""

from pathlib import Path

import pytest

from peer.errors import KeyringAway, NoPerson, PersonExists, WeakPin, WrongPin
from peer.header import read_header
from peer.keys.file_key import LockKind
from peer.locking import Locking, check_pin, search_seconds
from peer.store import SEALED_NAME
from peer.unlocking import lock_kind
from tests.peer.locked import CHEAP, PIN, key_of, lock, opened, readable, sing, sings, unlock
from tests.peer.rings import Ring, system_with

OTHER = "battery staple"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the folder of a phone that is not sealed."""
    store = opened(tmp_path / "phone")
    sing(store)
    store.close()
    return tmp_path / "phone"


def whole(home: Path, pin: str = PIN) -> bool:
    """Return whether a phone opens with all that was in it."""
    store = opened(home, pin)
    try:
        return sings(store)
    finally:
        store.close()


def test_a_new_pin_leaves_the_file_alone_and_those_who_have_it_open(home: Path) -> None:
    lock(home)
    watching = opened(home)
    before = (home / SEALED_NAME).read_bytes()
    lock(home, OTHER)

    assert (home / SEALED_NAME).read_bytes() == before
    assert sings(watching)
    watching.close()
    assert whole(home, OTHER)
    with pytest.raises(WrongPin):
        key_of(home, PIN)


def test_a_pin_is_replaced_by_the_keyring_and_back(home: Path) -> None:
    ring = Ring()
    lock(home)
    with system_with(ring):
        name = Locking(home).lock_with_keyring(key_of(home))
        assert name == ring.name
        assert lock_kind(home) is LockKind.KEYRING
        assert whole(home)
        assert len(ring.kept) == 1

        Locking(home, cost=CHEAP).lock_with_pin(OTHER, key_of(home))
        assert ring.kept == {}
        assert lock_kind(home) is LockKind.PIN
        assert whole(home, OTHER)


def test_the_keyring_twice_is_once(home: Path) -> None:
    ring = Ring()
    with system_with(ring):
        Locking(home).lock_with_keyring(None)
        before = dict(ring.kept)
        Locking(home).lock_with_keyring(key_of(home))

        assert ring.kept == before
        assert whole(home)


def test_a_lock_that_is_taken_off_leaves_no_key_behind(home: Path) -> None:
    ring = Ring()
    with system_with(ring):
        Locking(home).lock_with_keyring(None)
        unlock(home)

    assert ring.kept == {}
    assert read_header(home) is None
    assert whole(home)


def test_each_lock_after_none_has_a_key_of_its_own(home: Path) -> None:
    lock(home)
    first = key_of(home)
    unlock(home)
    lock(home)
    second = key_of(home)

    assert first is not None
    assert second is not None
    assert first.secret != second.secret


def test_where_there_is_no_keyring_nothing_is_changed(home: Path) -> None:
    with system_with(Ring(priority=0)):
        with pytest.raises(KeyringAway):
            Locking(home).lock_with_keyring(None)
        assert Locking(home).state().keyring is None

    assert lock_kind(home) is None
    assert whole(home)


def test_the_state_says_what_could_be(home: Path) -> None:
    ring = Ring()
    with system_with(ring):
        state = Locking(home).state()

    assert (state.kind, state.can_seal, state.keyring) == (None, True, ring.name)
    lock(home)
    assert Locking(home).state().kind is LockKind.PIN


@pytest.mark.parametrize("pin", ["", "12345", "a" * 1025])
def test_a_pin_that_would_be_found_is_refused_before_anything_is_done(home: Path, pin: str) -> None:
    with pytest.raises(WeakPin):
        Locking(home, cost=CHEAP).lock_with_pin(pin, None)

    assert lock_kind(home) is None


def test_a_phone_can_be_sealed_from_the_first(tmp_path: Path) -> None:
    home = tmp_path / "phone"
    Locking(home, cost=CHEAP).prepare(PIN)
    store = opened(home)
    sing(store)

    assert store.sealed
    assert readable(home) == []  # while it is open, too
    store.close()
    assert readable(home) == []
    with pytest.raises(PersonExists):
        Locking(home, cost=CHEAP).prepare(OTHER)
    assert whole(home)


async def test_where_there_is_no_phone_there_is_nothing_to_lock(tmp_path: Path) -> None:
    with pytest.raises(NoPerson):
        await Locking(tmp_path / "phone").key(None)
    assert not (tmp_path / "phone").exists()


def test_a_short_number_is_called_what_it_is() -> None:
    six, ten = search_seconds("123456"), search_seconds("1234567890")

    assert six is not None
    assert ten is not None
    assert six == pytest.approx(6000)
    assert ten > 365 * 86_400
    assert search_seconds("correct horse") is None
    check_pin("123456")
