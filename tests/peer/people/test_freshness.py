"""A card is fresh as long as its person is there to say so."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from peer.me import Me
from peer.people.freshness import RENEW_LEFT, Freshness
from peer.store import Store, open_store
from wire.card import Card, FreshnessNote, GatewayEntry, Role
from wire.ids import GatewayId
from wire.statements import CARD_SECONDS

NOW = 1_790_000_000.0
DAY = 86_400.0


@dataclass
class Phone:
    """A phone on a real file, with a clock that can be set."""

    store: Store
    me: Me
    now: float = NOW

    @property
    def freshness(self) -> Freshness:
        return Freshness(self.store, self.me, now=lambda: self.now)

    def renew(self) -> bool:
        with self.store.transaction():
            return self.freshness.renew()

    def hear(self, card: Card, note: bytes) -> None:
        with self.store.transaction():
            self.freshness.take(card, note)


@pytest.fixture(name="phones")
def _phones(tmp_path: Path) -> Iterator[tuple[Phone, Phone]]:
    with ExitStack() as opened:
        made = []
        for name in ("Ana", "Ben"):
            store = open_store(tmp_path / name, create=True)
            assert store is not None
            opened.callback(store.close)
            with store.transaction():
                made.append(Phone(store, Me.begin(store, name=name, role=Role.PHONE, now=NOW)))
        yield made[0], made[1]


def test_a_card_is_prolonged_when_half_of_its_time_is_over(phones: tuple[Phone, Phone]) -> None:
    ana, ben = phones
    ana.now = NOW + CARD_SECONDS - RENEW_LEFT
    early = ana.renew()
    ana.now += 1
    due, again = ana.renew(), ana.renew()
    ben.hear(ana.me.card, ana.freshness.mine)
    ben.now = ana.now + CARD_SECONDS - 1

    assert (early, due, again) == (False, True, False)
    assert not ben.freshness.stale(ana.me.card)
    ben.now += 2
    assert ben.freshness.stale(ana.me.card)


def test_a_card_that_was_over_is_fresh_again_when_its_phone_comes_back(
    phones: tuple[Phone, Phone],
) -> None:
    ana, ben = phones
    ana.now = ben.now = NOW + 200 * DAY
    before = ben.freshness.stale(ana.me.card)
    assert ana.renew()
    ben.hear(ana.me.card, ana.freshness.mine)

    assert before
    assert not ben.freshness.stale(ana.me.card)


def test_a_note_is_good_for_the_card_as_it_stood_alone(phones: tuple[Phone, Phone]) -> None:
    ana, ben = phones
    ana.now = NOW + 50 * DAY
    assert ana.renew()
    old, note = ana.me.card, ana.freshness.mine
    with ana.store.transaction():
        ana.me.state_gateway(GatewayEntry(GatewayId(bytes(32)), ("192.0.2.7",)), now=ana.now)

    assert ana.freshness.mine == b""
    ben.hear(ana.me.card, note)
    assert ben.freshness.mine == b""
    assert FreshnessNote.decode(note).position == old.position
    ben.now = NOW + 141 * DAY  # the new statement is over, the note would not be
    assert ben.freshness.stale(ana.me.card)


def test_nobody_else_prolongs_a_card_and_nothing_shortens_it(phones: tuple[Phone, Phone]) -> None:
    """A8: a gateway that withholds a card cannot keep the old one fresh either."""
    ana, ben = phones
    card, device = ana.me.card, ana.me.identity.device.signing
    late, soon = int(NOW + 300 * DAY), int(NOW + 100 * DAY)
    good = FreshnessNote.make(card, device, expires=late)
    stranger = FreshnessNote.make(card, SigningKey.generate(), expires=late)
    for forged in (
        stranger.encode(),
        replace(stranger, signer=good.signer).encode(),
        replace(good, expires=late + 1).encode(),
        good.encode()[:-1],
        b"",
    ):
        ben.hear(card, forged)
    ben.now = NOW + 91 * DAY
    assert ben.freshness.stale(card)

    ben.hear(card, good.encode())
    ben.hear(card, FreshnessNote.make(card, device, expires=soon).encode())
    ben.now = NOW + 299 * DAY
    assert not ben.freshness.stale(card)
