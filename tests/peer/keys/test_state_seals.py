"""What own devices tell each other opens at its place only, and its length says little."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.keys.errors import Broken
from peer.keys.person import PersonKey
from peer.keys.primitives import system_random
from peer.keys.state_seals import (
    FLOOR,
    account_key,
    open_batch,
    open_snapshot,
    seal_batch,
    seal_snapshot,
)
from peer.me import Me
from peer.store import open_store
from wire.card import Role
from wire.ids import DeviceId
from wire.padding import padded_length

ONE, TWO = DeviceId(b"1" * 16), DeviceId(b"2" * 16)
KEY = PersonKey(3, b"s" * 32)


@given(st.binary(max_size=2000), st.integers(1, 1 << 40))
def test_what_is_sealed_opens_and_is_padded(plain: bytes, seq: int) -> None:
    sealed = seal_batch(KEY, plain, device=ONE, seq=seq)

    assert open_batch(KEY, sealed, device=ONE, seq=seq) == plain
    assert len(sealed) - 40 == padded_length(max(FLOOR, len(plain) + 4))


def test_a_batch_opens_in_its_place_only() -> None:
    sealed = seal_batch(KEY, b"changes", device=ONE, seq=5)
    for key, device, seq in (
        (KEY, TWO, 5),
        (KEY, ONE, 6),
        (PersonKey(4, KEY.seed), ONE, 5),
        (PersonKey(3, b"t" * 32), ONE, 5),
    ):
        with pytest.raises(Broken):
            open_batch(key, sealed, device=device, seq=seq)
    with pytest.raises(Broken):
        open_snapshot(KEY, sealed, device=ONE)


def test_a_snapshot_opens_in_its_place_only() -> None:
    sealed = seal_snapshot(KEY, b"everything", device=ONE)

    assert open_snapshot(KEY, sealed, device=ONE) == b"everything"
    with pytest.raises(Broken):
        open_snapshot(KEY, sealed, device=TWO)


def test_the_account_key_stays_when_the_person_key_turns(tmp_path: Path) -> None:
    store = open_store(tmp_path, create=True)
    assert store is not None
    with store.transaction():
        Me.begin(store, name="Ana", role=Role.PHONE, now=1_800_000_000)
    before = account_key(store.vault)
    with store.transaction():
        store.vault.keep_person_key(PersonKey.generate(2, system_random))

    assert before is not None
    assert account_key(store.vault) == before
    with store.transaction() as db:
        db.execute("DELETE FROM own_keys WHERE name = 'person/1'")
    assert account_key(store.vault) is None
    store.close()
