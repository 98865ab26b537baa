"""The system's keyring keeps a key, or says why not."""

from collections.abc import Iterator

import pytest

from peer.errors import KeyringAway
from peer.system_keyring import system_keyring
from tests.peer.rings import Ring, system_with

FILE, KEY = bytes(range(16)), bytes(range(32))


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring()
    with system_with(made):
        yield made


def test_a_key_is_kept_until_it_is_forgotten(ring: Ring) -> None:
    keyring = system_keyring()
    assert keyring.get(FILE) is None
    keyring.keep(FILE, KEY)

    assert system_keyring().get(FILE) == KEY
    assert ring.kept == {("homepost", FILE.hex()): KEY.hex()}
    keyring.forget(FILE)
    keyring.forget(FILE)
    assert keyring.get(FILE) is None


def test_a_locked_keyring_is_said(ring: Ring) -> None:
    keyring = system_keyring()
    ring.locked = True

    with pytest.raises(KeyringAway, match="unlock it"):
        keyring.get(FILE)
    with pytest.raises(KeyringAway, match="unlock it"):
        keyring.keep(FILE, KEY)
    with pytest.raises(KeyringAway, match="unlock it"):
        keyring.forget(FILE)


def test_a_keyring_that_keeps_nothing_is_noticed_before_anything_rests_on_it(ring: Ring) -> None:
    ring.forgetful = True

    with pytest.raises(KeyringAway, match="did not keep"):
        system_keyring().keep(FILE, KEY)


def test_what_somebody_else_wrote_under_its_name_is_no_key(ring: Ring) -> None:
    ring.kept["homepost", FILE.hex()] = "not hexadecimal"

    with pytest.raises(KeyringAway):
        system_keyring().get(FILE)


@pytest.mark.parametrize("priority", [0, 0.5], ids=["none", "plain file"])
def test_where_there_is_none_that_is_fit_the_sentence_says_what_else(priority: float) -> None:
    with system_with(Ring(priority=priority)), pytest.raises(KeyringAway, match="take a PIN"):
        system_keyring()
