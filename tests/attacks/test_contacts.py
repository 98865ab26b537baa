"""Attacks by whoever is added, or was once, on the phone that adds them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from peer.errors import BadCode
from peer.keys.contact_exchange import Guest, Host
from peer.keys.introduction import introduce
from peer.keys.minting import private_bundle
from peer.keys.person import Device
from peer.keys.primitives import system_random
from peer.me import Me
from peer.people.adding import Adding
from peer.people.contacts import Contact, Contacts
from peer.people.lanes import Lanes
from peer.store import Store, open_store
from wire.card import Card, DeviceEntry, Role, Signed, Statement, StatementKind
from wire.codes import CONTACT_CODE_SECONDS, ContactCode
from wire.ids import PersonId, SlotId
from wire.places import Place

NOW = 1_790_000_000.0


@dataclass
class Phone:
    """A phone on a real file."""

    store: Store
    me: Me
    card: Card
    device: Device

    @property
    def adding(self) -> Adding:
        return Adding(self.store, self.me, lambda: NOW)

    def contact(self, other: "Phone") -> Contact:
        found = Contacts(self.store.db).of(other.me.person)
        assert found is not None
        return found

    def block(self, other: "Phone") -> None:
        with self.store.transaction():
            Contacts(self.store.db).block(self.contact(other))
            Lanes(self.store.db).revoke(other.me.person)

    def rows(self) -> list[tuple[object, ...]]:
        """Return what an addition changes."""
        tables = ("contact", "lane_taken", "pair_secrets", "kept_bundles", "senders")
        return [
            row
            for table in tables
            for row in self.store.db.execute(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608
        ]


@contextmanager
def _phone(folder: Path, name: str) -> Iterator[Phone]:
    store = open_store(folder / name, create=True)
    assert store is not None
    try:
        with store.transaction():
            me = Me.begin(store, name=name, role=Role.PHONE, now=NOW)
        yield Phone(store, me, me.card, me.identity.device)
    finally:
        store.close()


@pytest.fixture(name="phones")
def _phones(tmp_path: Path) -> Iterator[tuple[Phone, Phone]]:
    with ExitStack() as open_:
        ana, ben = (open_.enter_context(_phone(tmp_path, name)) for name in ("Ana", "Ben"))
        _meet(ana, ben)
        yield ana, ben


def _code(person: PersonId, *, expires: int = int(NOW) + CONTACT_CODE_SECONDS) -> ContactCode:
    slot, place = SlotId(system_random(SlotId.size)), Place("127.0.0.1", 1)
    return ContactCode(person, bytes(16), slot, expires, bytes(16), place)


def _meet(host: Phone, guest: Phone, *, compared: bool = True) -> None:
    """Let `guest` answer the code of `host`, with whatever card and device he claims."""
    showing = Host.begin(_code(host.me.person))
    reading = Guest.begin(showing.code)
    showing = showing.hear_one(reading.message_one)
    reading = reading.hear_two(showing.message_two)
    with guest.store.transaction():
        ours = introduce(
            guest.store.vault,
            replace(guest.me.identity, device=guest.device),
            card=guest.card,
            to=host.me.person,
            lanes=Lanes(guest.store.db).give(host.me.person),
            bundle=private_bundle(
                guest.store.vault, replace(guest.me.identity, device=guest.device), now=NOW
            ),
            name="Ben",
        )
    reading = reading.introduce(ours, device=guest.device)
    assert reading.three is not None
    showing, met = showing.hear_three(reading.three)
    host.adding._meet_as_host(showing, met, verified=compared)


def _moved_to_another_phone(ben: Phone) -> Signed:
    """Return the statement with which Ben's new phone takes the place of the lost one."""
    new, at = Device.generate(system_random), ben.card.position
    entry = DeviceEntry(new.key, new.exchange.public, Role.PHONE)
    devices = tuple(sorted((entry, *ben.card.devices), key=lambda one: one.key.raw))
    both = _statement(ben.card, at.seq + 1, at.hash, devices=devices, generation=1)
    added = Signed.make(both, ben.device.signing)
    alone = _statement(ben.card, at.seq + 2, added.hash, devices=(entry,), generation=2)
    alone = replace(alone, signer=new.key.raw, person_public=new.exchange.public)
    ben.card, _ = ben.card.take(added)
    return Signed.make(alone, new.signing)


def _statement(
    card: Card, seq: int, prev: bytes, *, devices: tuple[DeviceEntry, ...], generation: int
) -> Statement:
    return Statement(
        StatementKind.DEVICE,
        card.root_key,
        epoch=1,
        seq=seq,
        prev=prev,
        devices=devices,
        person_generation=generation,
        person_public=card.person_public,
        gateways=(),
        issued=0,
        expires=1 << 40,
        signer=card.devices[0].key.raw,
    )


def test_a_lost_phone_cannot_be_added_in_its_persons_name(phones: tuple[Phone, Phone]) -> None:
    """A9: the thief shows Ben's card as it was when the phone was still on it."""
    ana, ben = phones
    without = _moved_to_another_phone(ben)
    with ana.store.transaction():
        statements = (*ben.card.chain, without.encode())
        Contacts(ana.store.db).take_statements(ana.contact(ben), statements)
    assert ana.contact(ben).card.device(ben.device.id) is None
    before = ana.rows()

    with pytest.raises(BadCode, match="taken off the card"):
        _meet(ana, ben)
    assert ana.rows() == before


def test_whoever_is_blocked_gets_lanes_only_from_somebody_who_compares(
    phones: tuple[Phone, Phone],
) -> None:
    ana, ben = phones
    ana.block(ben)
    before = ana.rows()

    with pytest.raises(BadCode, match="blocked"):
        _meet(ana, ben, compared=False)
    assert ana.rows() == before
    _meet(ana, ben)
    assert not ana.contact(ben).blocked


async def test_a_code_of_years_holds_an_addition_open_for_minutes(
    phones: tuple[Phone, Phone],
) -> None:
    """Whoever shows it could keep the mailbox waiting for an addition that never ends."""
    ana, ben = phones
    code = _code(ben.me.person, expires=(1 << 32) - 1)
    with pytest.raises(BadCode, match="longer"):
        await ana.adding.read(code, gateway=None, ask=None)

    ahead = _code(ben.me.person, expires=int(NOW) + CONTACT_CODE_SECONDS + 3000)
    ana.adding._begin_or_go_on(ahead)
    [(expires,)] = ana.store.db.execute("SELECT expires FROM exchange WHERE side IS NOT NULL")
    assert expires <= NOW + CONTACT_CODE_SECONDS
