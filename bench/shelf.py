"""An archive in memory, filled and read by the phone's own code: no gateway and no network.

What a phone does is measured so, and nothing else: sealing and opening, verifying, storing.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from peer.devices.archive import Archive
from peer.items.kinds import Letter
from peer.keys.person import Device, Identity, PersonKey
from peer.keys.primitives import system_random
from peer.keys.signed_items import write_item
from peer.me import Home, Me
from peer.store import Store, open_store
from peer.ways.gateway_client import GatewayClient
from wire.archive import MAX_RANGE, Extent, Segment
from wire.card import Role
from wire.ids import GatewayId, PersonId
from wire.places import Place

NOW: Final = 1_790_000_000.0
HOME: Final = Home(GatewayId(bytes(32)), (Place("127.0.0.1", 1),))


@dataclass
class Shelf:
    """What a gateway answers about an archive."""

    kept: list[Segment] = field(default_factory=list)

    @property
    def client(self) -> GatewayClient:
        """The shelf, for code that asks a gateway."""
        return cast(GatewayClient, self)

    @property
    def size(self) -> int:
        """How much lies here."""
        return sum(len(one.body) for one in self.kept)

    async def archive(self) -> Extent:
        """Return how the archive stands."""
        newest = self.kept[-1].signed if self.kept else None
        return Extent(1 if self.kept else 0, self.size, 1 << 50, newest)

    async def append(self, segment: Segment) -> None:
        """Keep a segment."""
        self.kept.append(segment)

    async def segments(self, *, upto: int, down_to: int) -> tuple[bytes, ...]:
        """Return segments, newest first, as many as one answer holds."""
        found, size = list[bytes](), 0
        for one in reversed(self.kept[down_to - 1 : upto]):
            raw = one.encode()
            size += len(raw)
            if found and size > MAX_RANGE:
                break
            found.append(raw)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Gone:
    """A phone that is gone, and what is left of it."""

    shelf: Shelf
    identity: Identity
    card: bytes


def filled(folder: Path, *, count: int) -> Gone:
    """Fill a shelf with the archive of a phone with so many letters."""
    store, shelf = _opened(folder), Shelf()
    with store.transaction():
        me = Me.begin(store, name="Ana", role=Role.PHONE, now=NOW)
        store.keep_note("gateway", HOME.encode())
    write_letters(store, count)
    archive = Archive(store, me, now=lambda: NOW)
    while archive.waiting:
        asyncio.run(_keep(archive, shelf))
    gone = Gone(shelf, me.identity, store.note("card") or b"")
    store.close()
    return gone


def write_letters(store: Store, count: int) -> None:
    """Put letters into a phone's file as if they had come, the last one being the newest."""
    ben = Identity(
        PersonId(b"b" * 32), Device.generate(system_random), PersonKey.generate(1, system_random)
    )
    with store.transaction() as db:
        for number in range(count):
            item = write_item(Letter("x" * 200), identity=ben, now=NOW + number)
            db.execute("INSERT INTO item VALUES (?, ?)", (item.id.raw, item.raw))
            db.execute(
                "INSERT INTO letter (item, person, outgoing, written, came, device, counted)"
                " VALUES (?, ?, 0, ?, ?, ?, ?)",
                (item.id.raw, ben.person.raw, NOW + number, NOW, ben.device.id.raw, number + 1),
            )


class Returned:
    """A new device of that person, with nothing on it yet.

    Args:
        folder: for its file.
        gone: whose it is.
    """

    def __init__(self, folder: Path, gone: Gone) -> None:
        self._store, self._shelf = _opened(folder), gone.shelf
        was = gone.identity
        new = Identity(was.person, Device.generate(system_random), was.person_key)
        with self._store.transaction():
            self._store.vault.keep_identity(new, seed=None)
            for name, value in {
                "name": b"Ana",
                "card": gone.card,
                "gateway": HOME.encode(),
            }.items():
                self._store.keep_note(name, value)
        self._archive = Archive(self._store, Me(self._store), now=lambda: NOW)

    def read_some(self) -> bool:
        """Read one answer of the gateway; return whether there is more."""
        asyncio.run(_keep(self._archive, self._shelf))
        return bool(self._archive.to_read)

    def letters(self) -> int:
        """Return how many letters can be read by now."""
        return self._archive.progress().letters

    def close(self) -> None:
        """Close its file."""
        self._store.close()


async def _keep(archive: Archive, shelf: Shelf) -> None:
    await archive.keep(shelf.client)


def _opened(home: Path) -> Store:
    store = open_store(home, create=True)
    if store is None:
        raise RuntimeError("no file was made")
    return store
