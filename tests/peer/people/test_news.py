"""What cards say is noted once for each change, and shown once."""

from pathlib import Path

import pytest

from peer.people.news import ADDED, DISPUTED, REVOKED, ROOT, News
from peer.store import Store, open_store
from tests.wire.people import PERSON, birth, device, step
from wire.card import Card, Signed


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = open_store(tmp_path / "phone", create=True)
    assert opened is not None
    return opened


def told(store: Store, first: Signed, *more: Signed) -> list[tuple[str, bytes | None]]:
    """Continue a card with statements; return what was noted."""
    card = Card.begin(PERSON, first)
    with store.transaction():
        for one in more:
            before = card
            card, _ = card.take(one)
            News(store.db).compare(before, card)
        return [
            (one.what, None if one.device is None else one.device.raw)
            for one in News(store.db).unshown()
        ]


def test_devices_that_come_and_go_are_noted(store: Store) -> None:
    first = birth("phone")
    added = step(first, "phone", "phone", "tablet")
    gone = step(added, "tablet", "tablet")

    assert told(store, first, added, gone) == [
        (ADDED, device("tablet").device.raw),
        (REVOKED, device("phone").device.raw),
    ]
    with store.transaction():
        assert News(store.db).unshown() == []
    assert [one.what for one in News(store.db).of(PERSON)] == [ADDED, REVOKED]
    with store.transaction():
        News(store.db).forget(PERSON)
    assert News(store.db).of(PERSON) == []


def test_a_card_that_says_nothing_new_about_devices_is_no_news(store: Store) -> None:
    first = birth("phone")

    assert told(store, first, step(first, "phone", issued=7)) == []


def test_the_recovery_key_and_a_dispute_are_noted(store: Store) -> None:
    first = birth("phone", "tablet")
    one = step(first, "phone", "phone", "tablet", "one")
    other = step(first, "phone", "phone", "tablet", "other")

    noted = told(store, first, one, other, birth("new", epoch=2))

    assert (DISPUTED, None) in noted
    assert (ROOT, None) in noted
    assert (ADDED, device("new").device.raw) in noted
