"""Lanes that are minted anew: the ones before go when a contact uses the new, or in a month."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from peer.people.lanes import MINTED, OLD_SECONDS, Lanes
from peer.store import Store, open_store
from wire.ids import GatewayId, LaneId, PersonId
from wire.lanes import LaneSecret

BEN, HOME = PersonId(b"b" * 32), GatewayId(b"g" * 32)
NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path, create=True)
    assert opened is not None
    yield opened
    opened.close()


def good(store: Store) -> set[bytes]:
    """Return the secrets of lanes that were not taken back."""
    rows = store.db.execute("SELECT secret FROM lane_given WHERE NOT revoked")
    return {secret for (secret,) in rows}


def test_old_lanes_are_good_until_a_new_one_is_used(store: Store) -> None:
    lanes = Lanes(store.db)
    with store.transaction():
        old = {secret.raw for _, secret in lanes.give(BEN)}
        fresh = lanes.renew(BEN, now=NOW)
        assert lanes.give(BEN) == fresh
        new = {secret.raw for _, secret in fresh}
        assert good(store) == old | new

        for secret in old:
            used = next(one for kind, one in lanes.give(BEN) if kind in MINTED)
            assert used.raw not in old
            lanes.used(BEN, _lane(secret), at=HOME, now=NOW)
        assert good(store) == old | new
        lanes.used(BEN, fresh[0][1].at(HOME).id, at=HOME, now=NOW)
        assert good(store) == new


def test_in_a_month_they_go_in_any_case(store: Store) -> None:
    lanes = Lanes(store.db)
    with store.transaction():
        old = [secret for _, secret in lanes.give(BEN)]
        fresh = {secret.raw for _, secret in lanes.renew(BEN, now=NOW)}
        lanes.used(BEN, old[0].at(HOME).id, at=HOME, now=NOW + OLD_SECONDS - 1)
        assert len(good(store)) == 2 * len(MINTED)
        lanes.used(BEN, old[0].at(HOME).id, at=HOME, now=NOW + OLD_SECONDS)

    assert good(store) == fresh


def _lane(secret: bytes) -> LaneId:
    return LaneSecret(secret).at(HOME).id
