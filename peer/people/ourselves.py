"""My own other devices, as somebody to write to: what one has sent, all of them have.

They share a lane that follows from the person key, so that a device that is taken off the card
loses it with the key, and none has to be told of it (docs/protocol.md §14.4).
"""

from typing import Final

from peer.me import Me
from peer.people.contacts import Contact
from wire.ids import GatewayId, LaneId
from wire.lanes import Lane, LaneRight, LaneSecret, WakeRule

BYTES_WAITING: Final = 64 << 20
"""Room for what my devices have for each other: as much as a contact's letters have."""


def ourselves(me: Me) -> Contact:
    """Return me, as a contact: her letters go to my other devices."""
    return Contact(me.person, "", me.name, me.card, verified=True, blocked=False, added=0.0)


def has_others(me: Me) -> bool:
    """Return whether I have another device than this one."""
    own = me.identity.device.key
    return any(entry.key != own for entry in me.card.devices)


def own_lane(me: Me, *, gateway: GatewayId) -> Lane | None:
    """Return the lane to my other devices; None while this one lacks the person key."""
    key = me.person_key
    return None if key is None else LaneSecret(key.own_lane).at(gateway)


def own_right(lane: Lane) -> LaneRight:
    """Return what to register for it: it wakes nobody, and prekeys are fetched with it."""
    return LaneRight(
        lane,
        WakeRule.NEVER,
        wakes_per_day=0,
        bytes_waiting=BYTES_WAITING,
        expires=0,
        last_tenth=True,
    )


def is_own_lane(me: Me, lane: LaneId, *, at: GatewayId) -> bool:
    """Return whether a parcel came from another device of mine; older person keys count too."""
    return any(LaneSecret(key.own_lane).at(at).id == lane for key in me.person_keys())
