"""Says something new on our own card, with the gateway as the one who orders what devices say.

    put by     signed and kept, before anybody sees it
    taken      the gateway has it, with the record of the person key that goes with it: now it
               stands on our card, and contacts are told
    dropped    another device was quicker: learn its statement, and say ours again on top

So two devices that are online never fork a card (docs/protocol.md §14.3).
"""

from collections.abc import Callable
from typing import Final

from peer.errors import GatewayRefused
from peer.keys.birth import Change
from peer.keys.person_records import make_record
from peer.me import Me
from peer.people.contacts import Contacts
from peer.people.ourselves import has_others, ourselves
from peer.store import Store
from peer.ways.furnishing import learn_card, tell_card
from peer.ways.gateway_client import GatewayClient
from peer.ways.outgoing import Outgoing
from wire.card import Card

TRIES: Final = 4
"""Ten devices do not change one card at once; who loses four times tries again by hand."""
QUICKER: Final = frozenset({"card-taken", "card-rejected", "other-card"})

Makes = Callable[[Card], Change]
"""Returns what to change on the card as it stands."""


async def state_card(
    store: Store, me: Me, gateway: GatewayClient, makes: Makes, *, now: float
) -> Card:
    """Change our card at the gateway and here, and let every contact know; return it.

    Raises:
        CardRejected: this device is not on the card.
        GatewayNotThere, WrongGateway, GatewayRefused: it is put by, and goes with the next change.
    """
    await tell_card(store, me, gateway)
    for _ in range(TRIES):
        await learn_card(store, me, gateway)
        if me.pending is not None and await _put_pending(store, me, gateway, now=now):
            continue  # of a change that was cut off; ours stands on top of it
        with store.transaction():
            change = makes(me.card)
            if change.person_key is not None:
                store.vault.keep_coming_key(change.person_key)
            me.state(change, now=now)
        if await _put_pending(store, me, gateway, now=now):
            return me.card
    raise GatewayRefused("busy", {})


async def _put_pending(store: Store, me: Me, gateway: GatewayClient, *, now: float) -> bool:
    """Hand over the pending statement; return whether the gateway took it."""
    pending = me.pending
    assert pending is not None  # noqa: S101  # the callers have looked
    card, _ = me.card.take(pending)
    keys = [*store.vault.coming_keys(), *store.vault.person_keys()]
    named = (card.person_generation, card.person_public)
    key = next((one for one in keys if (one.generation, one.box.public) == named), None)
    record = None if key is None else make_record(store.vault, card, key=key)
    try:
        if record is None:
            await gateway.put_card(pending.encode())
        else:
            await gateway.put_person_key(record, statements=[pending.encode()])
    except GatewayRefused as refused:
        if refused.reason not in QUICKER:
            raise
        with store.transaction():
            me.drop_pending()
        return False
    with store.transaction():
        if key is not None:
            store.vault.turned(before=me.card.person_generation, now=key.generation)
            store.vault.keep_person_key(key)
        store.vault.drop_coming_keys()
        me.take_pending()
        tell_everybody(store, me, now=now)
    return True


def tell_everybody(store: Store, me: Me, *, now: float) -> None:
    """Put our card on its way to every contact and our other devices, inside a transaction."""
    outgoing = Outgoing(store, me, now=lambda: now)
    for contact in Contacts(store.db).all():
        if not contact.blocked:
            outgoing.tell_card(contact)
    if has_others(me):
        outgoing.tell_card(ourselves(me))
