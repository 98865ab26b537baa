"""A phone's person: keys and card, where the mailbox is, and how far it has been collected."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from peer.errors import EmptyName, NoPerson, NotPaired, PersonExists
from peer.me import LEFT_SECONDS, MAX_LEFT, Certificates, Home, Me
from peer.store import Store, open_store
from wire.auth import Channel
from wire.card import MAX_CHAIN, GatewayEntry, Role
from wire.codec import encode
from wire.errors import Malformed
from wire.frames import NOWHERE, Cursor
from wire.ids import CursorEpoch, GatewayId, ParcelId
from wire.places import Place

NOW = 1_800_000_000.0
HERE = Place("192.0.2.7", 4433)


def a_gateway() -> GatewayId:
    """Return the key of a new gateway."""
    return GatewayId(bytes(SigningKey.generate().verify_key))


def cursor(seq: int, *, epoch: int = 1) -> Cursor:
    """Return a place in a mailbox."""
    return Cursor(CursorEpoch(epoch.to_bytes(CursorEpoch.size, "big")), seq, ParcelId(bytes(16)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a phone's file with nobody in it."""
    found = open_store(tmp_path / "phone", create=True)
    assert found is not None
    yield found
    found.close()


@pytest.fixture
def me(store: Store) -> Me:
    """Return Ana, on a new phone."""
    return begin(store, "Ana")


def begin(store: Store, name: str) -> Me:
    """Make a person."""
    with store.transaction():
        return Me.begin(store, name=name, role=Role.COMPUTER, now=NOW)


def test_a_phone_without_a_person_has_nobody(store: Store) -> None:
    with pytest.raises(NoPerson):
        Me(store)


def test_a_person_is_the_same_after_a_restart(tmp_path: Path) -> None:
    first = open_store(tmp_path / "again", create=True)
    assert first is not None
    before = begin(first, "Ana")
    known = (before.person, before.name, before.card, before.identity.device.key)
    first.close()
    second = open_store(tmp_path / "again")
    assert second is not None
    after = Me(second)
    assert (after.person, after.name, after.card, after.identity.device.key) == known
    second.close()


def test_a_second_person_is_refused_and_the_first_stays(store: Store, me: Me) -> None:
    before = (me.person, me.name, me.card)
    with pytest.raises(PersonExists):
        begin(store, "Ben")
    assert (Me(store).person, Me(store).name, Me(store).card) == before


@pytest.mark.parametrize("name", ["", "   ", "\n\t", "\u202e", "\x1b\x07", "\u200b"])
def test_a_name_of_nothing_to_see_makes_nobody(store: Store, name: str) -> None:
    with pytest.raises(EmptyName):
        begin(store, name)
    with pytest.raises(NoPerson):
        Me(store)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("  Ana  Maria ", "Ana Maria"), ("Ana\x1b[31m", "Ana [31m"), ("Zoë 🐢", "Zoë 🐢")],
)
def test_a_name_is_kept_as_far_as_it_can_be_seen(store: Store, typed: str, kept: str) -> None:
    assert begin(store, typed).name == kept


def test_a_new_card_lists_this_device_alone_and_no_gateway(me: Me) -> None:
    assert [one.key for one in me.card.devices] == [me.identity.device.key]
    assert me.card.gateways == ()
    assert me.card.person == me.person


def test_a_login_is_this_devices_for_that_channel_and_no_other(me: Me) -> None:
    gateway = a_gateway()
    channel = Channel.over(gateway, certificate=b"certificate")
    login = me.signs(channel=channel, nonce=bytes(32))
    login.verify(channel)
    assert login.device == me.identity.device.key


# The gateway on the card


def entry(gateway: GatewayId, *places: str) -> GatewayEntry:
    """Return what a card says of a gateway."""
    return GatewayEntry(gateway, places or (str(HERE),))


def test_stating_a_gateway_puts_it_alone_on_the_card(store: Store, me: Me) -> None:
    first, second = entry(a_gateway()), entry(a_gateway())
    for one in (first, second):
        with store.transaction():
            assert me.state_gateway(one, now=NOW)
        assert Me(store).card.gateways == (one,)


def test_stating_the_same_again_leaves_the_card_as_it_was(store: Store, me: Me) -> None:
    one = entry(a_gateway())
    with store.transaction():
        me.state_gateway(one, now=NOW)
    before = me.card
    with store.transaction():
        assert not me.state_gateway(one, now=NOW + 1)
    assert me.card == before


def test_a_box_that_moves_every_day_never_fills_the_card(store: Store, me: Me) -> None:
    gateway = a_gateway()
    for day in range(MAX_CHAIN + 10):
        one = entry(gateway, f"192.0.2.{day}")
        with store.transaction():
            assert me.state_gateway(one, now=NOW + day)
        assert me.card.gateways == (one,)


def test_a_change_that_is_rolled_back_is_none(store: Store, me: Me) -> None:
    before = me.card
    with pytest.raises(EmptyName), store.transaction():
        state_and_fail(me)
    assert Me(store).card == before


def state_and_fail(me: Me) -> None:
    """Change the card, and find out that something else in the transaction cannot be."""
    assert me.state_gateway(entry(a_gateway()), now=NOW)
    raise EmptyName("nothing to see")


# Where the mailbox is


def test_a_phone_without_a_gateway_says_that_it_is_not_paired(me: Me) -> None:
    assert me.home is None
    assert me.cursor == NOWHERE
    with pytest.raises(NotPaired):
        me.needs_home()


def test_a_home_is_read_as_it_was_written() -> None:
    home = Home(a_gateway(), (HERE, Place("box.example", 443), Place("2001:db8::7", 1)))
    assert Home.decode(home.encode()) == home


@pytest.mark.parametrize(
    "data",
    [encode([]), encode([b"x" * 32]), encode([b"x" * 32, "192.0.2.7"]), encode({0: b"x" * 32})],
)
def test_a_home_in_another_form_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        Home.decode(data)


def test_the_gateway_before_is_emptied_for_thirty_days(store: Store, me: Me) -> None:
    first, second = Home(a_gateway(), (HERE,)), Home(a_gateway(), (HERE,))
    for home in (first, second):
        with store.transaction():
            me.move_in(home, now=NOW)
    assert me.needs_home() == second
    assert me.left_homes(now=NOW + LEFT_SECONDS - 1) == (first,)
    assert me.left_homes(now=NOW + LEFT_SECONDS) == ()


def test_moving_back_leaves_the_other(store: Store, me: Me) -> None:
    first, second = Home(a_gateway(), (HERE,)), Home(a_gateway(), (HERE,))
    for home in (first, second, first):
        with store.transaction():
            me.move_in(home, now=NOW)
    assert me.needs_home() == first
    assert me.left_homes(now=NOW) == (second,)


def test_the_same_gateway_at_another_place_was_not_left(store: Store, me: Me) -> None:
    gateway = a_gateway()
    for place in (HERE, Place("192.0.2.8", 4433)):
        with store.transaction():
            me.move_in(Home(gateway, (place,)), now=NOW)
    assert me.left_homes(now=NOW) == ()


def test_of_many_gateways_that_were_left_the_last_few_are_kept(store: Store, me: Me) -> None:
    homes = [Home(a_gateway(), (HERE,)) for _ in range(MAX_LEFT + 3)]
    for home in homes:
        with store.transaction():
            me.move_in(home, now=NOW)
    assert me.left_homes(now=NOW) == tuple(homes[-MAX_LEFT - 1 : -1])


# How far it has been collected


def test_a_cursor_rises_within_an_epoch_and_never_falls(store: Store, me: Me) -> None:
    gateway = a_gateway()
    for seq in (3, 7, 5):
        with store.transaction():
            me.keep_cursor(cursor(seq), at=gateway)
    assert me.cursor_at(gateway) == cursor(7)


def test_a_new_epoch_begins_where_it_says(store: Store, me: Me) -> None:
    gateway = a_gateway()
    for one in (cursor(7), cursor(2, epoch=2)):
        with store.transaction():
            me.keep_cursor(one, at=gateway)
    assert me.cursor_at(gateway) == cursor(2, epoch=2)


def test_each_gateway_has_a_cursor_of_its_own(store: Store, me: Me) -> None:
    here, there = a_gateway(), a_gateway()
    with store.transaction():
        me.move_in(Home(here, (HERE,)), now=NOW)
        me.keep_cursor(cursor(4), at=here)
        me.keep_cursor(cursor(9), at=there)
    assert (me.cursor, me.cursor_at(there)) == (cursor(4), cursor(9))
    with store.transaction():
        me.forget_cursor(at=here)
    assert (me.cursor, me.cursor_at(there)) == (NOWHERE, cursor(9))


# Certificates


def test_the_certificate_that_was_learned_last_is_the_pinned_one(store: Store) -> None:
    gateway, certificates = a_gateway(), Certificates(store)
    assert certificates.of(gateway, (HERE,)).certificate is None
    for der in (b"first", b"second"):
        certificates.learn(gateway, der)
    found = certificates.of(gateway, (HERE,))
    assert (found.gateway, found.places, found.certificate) == (gateway, (HERE,), b"second")
    assert certificates.of(a_gateway(), (HERE,)).certificate is None
