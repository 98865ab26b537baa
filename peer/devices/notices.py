"""What cards say, with the names that the person gave: for her screen."""

from peer.devices.names import ROLES, Names
from peer.me import Me
from peer.people.contacts import Contacts
from peer.people.news import News, Notice, Noticed
from peer.store import Store
from wire.card import Role


def unshown_notices(store: Store, me: Me) -> tuple[Noticed, ...]:
    """Return what nobody has seen yet, and count it as seen from now on."""
    with store.transaction():
        found = News(store.db).unshown()
    return tuple(one for one in (_noticed(store, me, notice) for notice in found) if one)


def _noticed(store: Store, me: Me, notice: Notice) -> Noticed | None:
    if notice.person == me.person:
        if notice.device == me.identity.device.id:
            return None  # this one knows that it came
        return Noticed("", notice.what, _own_name(store, me, notice), notice.since)
    contact = Contacts(store.db).of(notice.person)
    if contact is None or contact.blocked:
        return None
    role = "" if notice.role is None else ROLES[notice.role]
    return Noticed(contact.name, notice.what, role, notice.since)


def _own_name(store: Store, me: Me, notice: Notice) -> str:
    if notice.device is None:
        return ""
    return Names(store, me).of_id(notice.device, notice.role or Role.PHONE)
