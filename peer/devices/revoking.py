"""Taking a device off: lost, stolen or sold, from any other one.

    the card        without the device, with a new person key, taken by the gateway at once: its
                    login, mailbox, cursor and prekeys there are dead with it
    the person key  sealed to the devices that stay and to the kit; the sync epoch turns with it
    lanes           each contact gets new ones; those that the device knew go when the contact
                    uses one of them, and thirty days later at what comes first

With what it knew it can open nothing that is sealed once a contact has the new card
(docs/protocol.md §14.5).
"""

from peer.devices.stating import state_card
from peer.errors import OnlyDevice
from peer.items.kinds import Lanes as LanesItem
from peer.keys.birth import Change
from peer.keys.person import PersonKey
from peer.keys.primitives import system_random
from peer.me import Me
from peer.people.contacts import Contacts
from peer.people.lanes import Lanes
from peer.store import Store
from peer.ways.furnishing import furnish
from peer.ways.gateway_client import GatewayClient
from peer.ways.outgoing import Outgoing
from wire.card import Card, DeviceEntry


async def revoke_device(
    store: Store, me: Me, gateway: GatewayClient, entry: DeviceEntry, *, now: float
) -> None:
    """Take a device off our card.

    Raises:
        OnlyDevice: it is this one.
        GatewayNotThere, WrongGateway, GatewayRefused: it is put by, and goes with the next change.
    """
    if entry.key == me.identity.device.key:
        raise OnlyDevice("this device cannot take itself off; do it from another one")

    def without(card: Card) -> Change:
        staying = tuple(one for one in card.devices if one.key != entry.key)
        if len(staying) == len(card.devices):
            return Change()  # another device was quicker
        key = PersonKey.generate(card.person_generation + 1, system_random)
        return Change(devices=staying, person_key=key)

    await state_card(store, me, gateway, without, now=now)
    with store.transaction():
        give_others(store, me, now=now)
    await furnish(store, me, gateway, now=now)


def give_others(store: Store, me: Me, *, now: float) -> None:
    """Give every contact new lanes, inside a transaction; the old ones go when these are used."""
    lanes, outgoing = Lanes(store.db), Outgoing(store, me, now=lambda: now)
    for contact in Contacts(store.db).all():
        if not contact.blocked:
            outgoing.put(contact, LanesItem(lanes.renew(contact.person, now=now)))
