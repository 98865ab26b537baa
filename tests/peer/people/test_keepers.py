"""Rows of shares: ours until a keeper has it, theirs until its owner takes it back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from peer.items.kinds import Keeping, KeptShare
from peer.keys.helping import rehearsal_proof, share_proof_key
from peer.people.keepers import YEAR, Keepers
from peer.store import Store, open_store
from wire.ids import ItemId, PersonId

ANA, BEN = PersonId(b"a" * 32), PersonId(b"b" * 32)
SHARE = KeptShare(b"s" * 16, b"x" * 25, 3, b"m" * 24, b"n" * 16)
ITEM = ItemId(b"i" * 16)
NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path, create=True)
    assert opened is not None
    yield opened
    opened.close()


def test_an_item_with_a_share_is_erased_when_its_keeper_has_it(store: Store) -> None:
    keepers = Keepers(store.db)
    with store.transaction() as db:
        db.execute("INSERT INTO item VALUES (?, ?)", (ITEM.raw, SHARE.share))
        keepers.give(BEN, SHARE, item=ITEM, now=NOW)
        keepers.heard(BEN, Keeping(b"?" * 16), now=NOW)  # of a set that is no more
        assert keepers.all()[0].confirmed is None
        keepers.heard(BEN, Keeping(SHARE.set), now=NOW)

    [keeper] = keepers.all()
    assert (keeper.person, keeper.confirmed) == (BEN, NOW)
    assert store.db.execute("SELECT * FROM item").fetchall() == []
    assert not keeper.rehearsal_due(NOW + YEAR)
    assert keeper.rehearsal_due(NOW + YEAR + 1)


def test_only_who_has_the_share_passes_a_rehearsal(store: Store) -> None:
    keepers = Keepers(store.db)
    with store.transaction():
        keepers.give(BEN, SHARE, item=ITEM, now=NOW)
        asked = keepers.rehearse(BEN)
        keepers.heard(BEN, Keeping(SHARE.set, b"wrong proof 1234"), now=NOW)
        assert keepers.all()[0].rehearsed is None
        right = rehearsal_proof(share_proof_key(SHARE.share), asked.nonce)
        keepers.heard(BEN, Keeping(SHARE.set, right), now=NOW)
        assert keepers.all()[0].rehearsed == NOW
        keepers.given_up(BEN, SHARE.set, now=NOW)

    assert keepers.all()[0].given_up == NOW


def test_a_kept_share_answers_its_owner_and_is_erased_at_her_word(store: Store) -> None:
    keepers = Keepers(store.db)
    with store.transaction():
        assert keepers.keep(ANA, SHARE, now=NOW) == Keeping(SHARE.set)
        kept = keepers.kept_for(ANA)
        assert kept is not None
        assert (kept.share, kept.nonce, kept.alarm) == (SHARE.share, None, None)
        keepers.erase(ANA, of=b"?" * 16)
        assert keepers.kept_for(ANA) is not None
        keepers.erase(ANA, of=SHARE.set)
        assert keepers.kept() == []
        keepers.keep(ANA, SHARE, now=NOW)
        keepers.forget(ANA)

    assert keepers.kept() == []
    assert SHARE.share.hex() not in repr(kept)
