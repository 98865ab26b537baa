"""Brings my seat at the gateway up to date: card, person key, lanes, prekeys.

Every step may be repeated and notes what it has done only after the gateway took it, so that this
runs before everything else that needs the gateway, and costs nothing when nothing has changed.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, TypeVar

from peer.devices.witness import keep_archive
from peer.errors import GatewayRefused, PhoneCopied
from peer.items.kinds import Lanes as LanesItem
from peer.keys.minting import confirm, mint
from peer.keys.person_records import learn, make_record
from peer.me import PERSON_KEY_TOLD, PREKEYS_LOOKED_AT, Certificates, Home, Me
from peer.people.contacts import Contacts
from peer.people.lanes import Given, Lanes
from peer.people.ourselves import has_others, own_lane, own_right
from peer.store import Store
from peer.ways.connection import connect
from peer.ways.gateway_client import GatewayClient
from peer.ways.outgoing import Outgoing
from peer.ways.state_sync import sync_state
from wire.card import Card
from wire.errors import WireError
from wire.ids import LaneId
from wire.lanes import LaneSecret
from wire.person_keys import PersonKeyRecord

LANES_AT_ONCE: Final = 128
UNKNOWN_HERE: Final = frozenset(
    {"login-refused", "login-needed", "pair-again", "revoked", "device-revoked"}
)
"""What a gateway says to a phone that has no seat there."""
_CHANGES: Final = "lane-changes"
_OWN_LANE: Final = "own-lane"
PREKEYS_EVERY: Final = 3600.0
"""Seconds between two looks at how many prekeys are left: a bundle an hour is what a lane gets."""


T = TypeVar("T")


@asynccontextmanager
async def at_home(store: Store, me: Me, *, now: float) -> AsyncIterator[GatewayClient]:
    """Give our own gateway, brought up to date as far as it lets us: letters are collected anyway.

    Raises:
        NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
    """
    home, certificates = me.needs_home(), Certificates(store)
    destination = replace(certificates.of(home.gateway, home.places), ours=True)
    async with connect(destination, learned=certificates.learn) as connection:
        gateway = GatewayClient(connection, me.signs, me.joins)
        await furnish_what_it_takes(store, me, gateway, now=now)
        await keep_archive(store, me, gateway, now=now)
        try:
            yield gateway
        except WireError:
            raise GatewayRefused("malformed", {}) from None


@asynccontextmanager
async def at_left_home(store: Store, me: Me, home: Home) -> AsyncIterator[GatewayClient]:
    """Give a gateway that was left, to empty the mailbox there; it is told nothing new.

    Raises:
        GatewayNotThere, WrongGateway, GatewayRefused
    """
    certificates = Certificates(store)
    destination = certificates.of(home.gateway, home.places)
    async with connect(destination, learned=certificates.learn) as connection:
        yield GatewayClient(connection, me.signs)


async def furnish_what_it_takes(
    store: Store, me: Me, gateway: GatewayClient, *, now: float
) -> None:
    """Tell the gateway what it does not know yet; what it refuses does not stop the letters.

    Raises:
        GatewayNotThere, WrongGateway
        GatewayRefused: it does not serve this phone at all.
    """
    try:
        await furnish(store, me, gateway, now=now)
    except GatewayRefused as refused:
        if refused.reason in UNKNOWN_HERE:  # nothing else will be answered either
            raise


async def furnish(
    store: Store, me: Me, gateway: GatewayClient, *, now: float, in_step: bool = True
) -> None:
    """Tell the gateway what it does not know yet.

    Args:
        store: the phone's file.
        me: whose phone it is.
        gateway: which one.
        now: Unix seconds.
        in_step: whether the state is taken and told too; not while somebody waits for us.

    Raises:
        GatewayNotThere, WrongGateway, GatewayRefused
    """
    if len(me.card.devices) > 1:
        await learn_card(store, me, gateway)
    await tell_card(store, me, gateway)
    await keep_person_key(store, me, gateway)
    if in_step:
        await keep_in_step(store, me, gateway, now=now)
    try:
        await _change_lanes(store, me, gateway, now=now)
    except GatewayRefused as refused:
        if refused.reason != "sync-first":
            raise
        # Another device changed lanes: perhaps some of those that this one is about to register.
        await keep_in_step(store, me, gateway, now=now)
        await _change_lanes(store, me, gateway, now=now)
    if in_step and me.belongings.has_untold():  # lanes that are gone, or others in their place
        await keep_in_step(store, me, gateway, now=now)
    await _leave_prekeys(store, me, gateway, now=now)


async def keep_in_step(store: Store, me: Me, gateway: GatewayClient, *, now: float) -> None:
    """Take and tell the state; what stands in the way of that does not stop the letters.

    Raises:
        GatewayNotThere, WrongGateway
        GatewayRefused: it does not serve this phone at all.
    """
    if not me.belongings.has_news(at=me.needs_home().gateway, alone=len(me.card.devices) == 1):
        return
    try:
        await sync_state(store, me, gateway, now=now)
        with store.transaction():
            me.belongings.told_to(me.needs_home().gateway)
    except PhoneCopied:
        pass  # it is noted, and shown
    except GatewayRefused as refused:
        if refused.reason in UNKNOWN_HERE:
            raise


async def _keep_own_lane(store: Store, me: Me, gateway: GatewayClient) -> None:
    """Register the lane on which our devices write to each other; one of an older key goes."""
    home, key = me.needs_home().gateway, me.person_key
    lane = own_lane(me, gateway=home)
    if lane is None or key is None:
        return
    mark = home.raw + lane.id.raw
    before = store.note(_OWN_LANE)
    if before == mark:
        return
    await _change(store, gateway.mint_lanes, [own_right(lane)])
    if before is not None and before[:32] == home.raw:
        await _change(store, gateway.revoke_lanes, [LaneId(before[32:])])
    with store.transaction():
        store.keep_note(_OWN_LANE, mark)


async def learn_card(store: Store, me: Me, gateway: GatewayClient) -> None:
    """Continue our card with what another device of ours has said at the gateway."""
    chain = await gateway.card()
    with store.transaction():
        me.take_statements(chain)


async def tell_card(store: Store, me: Me, gateway: GatewayClient) -> None:
    """Hand over the statements of our card that this gateway was not told of.

    Another device may have said something else there: what counts of the two is then known here.
    """
    card, home = me.card, me.needs_home()
    mark = hashlib.blake2b(home.gateway.raw + card.position.hash, digest_size=16).digest()
    if me.card_told == mark:
        return
    for statement in card.chain:  # what it has already it takes again
        try:
            await gateway.put_card(statement)
        except GatewayRefused as refused:
            if refused.reason not in ("card-taken", "card-rejected"):
                raise
            await learn_card(store, me, gateway)
            return
    with store.transaction():
        me.keep_card_told(mark)


async def keep_person_key(store: Store, me: Me, gateway: GatewayClient) -> None:
    """Let the gateway keep our person key for our other devices and the kit, or learn it there.

    Once for each state of the card, unless the card names a key that is not here: then each time.
    """
    card, home = me.card, me.needs_home()
    mark = hashlib.blake2b(home.gateway.raw + card.position.hash, digest_size=16).digest()
    if store.note(PERSON_KEY_TOLD) == mark and me.has_person_key:
        return
    records = await gateway.person_keys()
    with store.transaction():
        held = store.vault.identity().person_key.generation
        if learn(store.vault, card, records):
            store.vault.turned(before=held, now=card.person_generation)
        record = make_record(store.vault, card, key=key) if (key := me.person_key) else None
    if record is None:
        return  # another of our devices has made it, and is about to hand it over
    if not any(_serves(one, card) for one in records):
        try:
            await gateway.put_person_key(record)
        except GatewayRefused as refused:
            if refused.reason != "other-card":
                raise
            return  # another device was quicker: this one learns its card first
    with store.transaction():
        store.keep_note(PERSON_KEY_TOLD, mark)


def _serves(record: PersonKeyRecord, card: Card) -> bool:
    """Return whether a record that lies there is as good as one that we would make."""
    listed = {one.id for one in card.devices}
    active = card.device(record.signer.device) is not None
    return active and record.opens(card) and {one for one, _ in record.devices} == listed


async def _change_lanes(store: Store, me: Me, gateway: GatewayClient, *, now: float) -> None:
    if has_others(me):
        await _keep_own_lane(store, me, gateway)
    lanes, home = Lanes(store.db), me.needs_home().gateway
    with store.transaction():
        lanes.revoke_unfinished(now=now)
        lanes.drop_revoked(but_at=home)
    if gone := lanes.to_revoke(home):
        await _change(store, gateway.revoke_lanes, gone)
        with store.transaction():
            lanes.revoked(gone)
    fresh = set[LaneSecret]()
    while new := lanes.unregistered(home)[:LANES_AT_ONCE]:
        try:
            await _change(store, gateway.mint_lanes, [one.right(home) for one in new])
        except GatewayRefused as refused:
            if refused.reason != "lane-refused":
                raise
            await _mint_others(store, me, gateway, new, fresh=fresh, now=now)
            continue
        with store.transaction():
            lanes.registered(new, gateway=home)


async def _mint_others(
    store: Store,
    me: Me,
    gateway: GatewayClient,
    new: list[Given],
    *,
    fresh: set[LaneSecret],
    now: float,
) -> None:
    """Register lanes one by one; whoever's lane is taken there gets others.

    A contact knows the secrets of his lanes. With a seat at the gateway that we move to, he could
    have registered them as his own, and we could not. Nobody knows those in `fresh`, which were
    minted for this: a gateway that refuses them refuses all.
    """
    lanes, home = Lanes(store.db), me.needs_home().gateway
    outgoing = Outgoing(store, me, now=lambda: now)
    for one in new:
        try:
            await _change(store, gateway.mint_lanes, [one.right(home)])
        except GatewayRefused as refused:
            if refused.reason != "lane-refused" or one.secret in fresh:
                raise
            with store.transaction():
                lanes.drop(one)
                contact = Contacts(store.db).of(one.person)
                if contact is not None:
                    others = lanes.give(one.person)
                    fresh.add(dict(others)[one.kind])
                    outgoing.put(contact, LanesItem(others))
        else:
            with store.transaction():
                lanes.registered([one], gateway=home)


async def _change(store: Store, change: Callable[..., Awaitable[None]], lanes: list[T]) -> None:
    """Change lanes.

    Raises:
        GatewayRefused: `sync-first` if another device or process was quicker; the next change goes
            on from there, once the state was learned that it made.
    """
    try:
        await change(lanes, rests_on=_next_change(store, at_least=0))
    except GatewayRefused as refused:
        newest = refused.facts.get("position")
        if refused.reason == "sync-first" and isinstance(newest, int):
            _next_change(store, at_least=newest)
        raise


def _next_change(store: Store, *, at_least: int) -> int:
    """Return a number that is higher than that of any earlier change of lanes."""
    with store.transaction():
        last = int.from_bytes(store.note(_CHANGES) or b"", "big")
        number = max(last, at_least) + 1
        store.keep_note(_CHANGES, number.to_bytes(8, "big"))
    return number


async def _leave_prekeys(store: Store, me: Me, gateway: GatewayClient, *, now: float) -> None:
    looked = store.note(PREKEYS_LOOKED_AT)
    mark = me.needs_home().gateway.raw
    if looked is not None and looked[8:] == mark:
        since = now - int.from_bytes(looked[:8], "big")
        if 0 <= since < PREKEYS_EVERY:
            return
    counts = await gateway.prekey_counts()
    with store.transaction():
        prekeys = mint(store.vault, me.identity, counts=counts, now=now)
    if prekeys:
        await gateway.upload_prekeys(prekeys)
        with store.transaction():
            confirm(store.vault, prekeys)
    with store.transaction():
        store.keep_note(PREKEYS_LOOKED_AT, int(now).to_bytes(8, "big") + mark)
