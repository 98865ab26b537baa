"""What a person's devices are called: by herself, and told to nobody else."""

from dataclasses import dataclass
from typing import Final

from peer.errors import EmptyName, NameTaken, NoSuchDevice
from peer.me import Me
from peer.people.contacts import clean_name
from peer.store import Store
from wire.card import DeviceEntry, Role
from wire.ids import DeviceId

MAX_LENGTH: Final = 40
"""Characters of a device's name: a short line of a list."""
_NAME: Final = "setting/device-name/"
"""Settings are the same on all devices of a person."""
ROLES: Final = {Role.PHONE: "phone", Role.TABLET: "tablet", Role.COMPUTER: "computer"}


@dataclass(frozen=True, slots=True)
class OwnDevice:
    """One of my devices."""

    name: str
    role: Role
    id: DeviceId
    this: bool
    """Whether it is the one that is asked."""


class Names:
    """The names of my devices. What changes something wants an open transaction."""

    def __init__(self, store: Store, me: Me) -> None:
        self._store = store
        self._me = me

    def of(self, entry: DeviceEntry) -> str:
        """Return what a device is called; one that nobody named is called what it is."""
        return self.of_id(entry.id, entry.role)

    def of_id(self, device: DeviceId, role: Role) -> str:
        """Return what a device is called, also when it is not on the card any more."""
        data = self._store.note(_NAME + device.text)
        return f"{ROLES[role]} {device.text[:4]}" if data is None else data.decode("utf-8")

    def all(self) -> tuple[tuple[DeviceEntry, str], ...]:
        """Return the devices on my card with their names, this one first."""
        own = self._me.identity.device.id
        entries = sorted(self._me.card.devices, key=lambda one: (one.id != own, self.of(one)))
        return tuple((one, self.of(one)) for one in entries)

    def named(self, name: str) -> DeviceEntry:
        """Return the device of this name, in whatever case it was typed.

        Raises:
            NoSuchDevice: there is none; those there are are named.
        """
        wanted = short_name(name).casefold()
        for entry, called in self.all():
            if called.casefold() == wanted:
                return entry
        names = ", ".join(called for _, called in self.all())
        raise NoSuchDevice(f"you have no device called {name!r}; your devices are: {names}")

    def free(self, name: str) -> str:
        """Return a name that no device of mine has, close to the one that was chosen."""
        wanted = short_name(name) or "device"
        taken = {called.casefold() for _, called in self.all()}
        found, number = wanted, 1
        while found.casefold() in taken:
            number += 1
            found = f"{wanted[: MAX_LENGTH - 3]} {number}"
        return found

    def rename(self, entry: DeviceEntry, name: str) -> str:
        """Call a device something else; return the name as it is kept.

        Raises:
            EmptyName: nothing to see in it.
            NameTaken: another device has it.
        """
        name = short_name(name)
        if not name:
            raise EmptyName("a name needs at least one character")
        for other, called in self.all():
            if other.id != entry.id and called.casefold() == name.casefold():
                raise NameTaken(f"another device of yours is called {name!r} already")
        self.keep(entry.id, name)
        return name

    def keep(self, device: DeviceId, name: str) -> None:
        """Note what a device is called."""
        self._store.keep_note(_NAME + device.text, name.encode("utf-8"))


def short_name(name: str) -> str:
    """Return a name as it is kept for a device."""
    return clean_name(name)[:MAX_LENGTH].strip()
