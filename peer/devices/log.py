"""The state log on a phone: its changes as batches, and the batches and snapshots of the others.

    seal            what is pending becomes the next batch, stored before anybody is handed it
    take            batches of one device in its own order, each once; of several in any order
    take_snapshot   what counted for another device stands in place of batches that we lack
    name_cuts       names the last batch that is taken of a revoked device, and opens an epoch

Here are no sockets: the same goes over a gateway and between two phones. Each step is one
transaction (docs/protocol.md §15.3, §15.4).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from peer.devices.belongings import HANDED, Belongings
from peer.devices.clock import MAX_EPOCH, Stamp, generation_of
from peer.devices.state import Entry
from peer.errors import PhoneCopied
from peer.keys.errors import Broken, KeysError
from peer.keys.person import PersonKey
from peer.keys.state_seals import open_batch, open_snapshot, seal_batch, seal_snapshot
from peer.me import Me
from peer.store import Store
from wire.card import DeviceEntry
from wire.codec import Value, decode, encode
from wire.errors import Malformed, WireError
from wire.ids import DeviceId
from wire.state_log import MAX_BATCH, MAX_SNAPSHOT, Batch, Head, Snapshot, SnapshotHead

ENTRIES: Final = 256
"""Changes in one batch."""
ROOM: Final = MAX_BATCH * 7 // 8 - 1024
"""Bytes of changes in one batch: padding adds an eighth at most."""
TOGETHER: Final = 64
"""Batches that are taken in one transaction."""
SNAPSHOT_EVERY: Final = 500
"""Batches since the last snapshot after which the next one is made."""
SNAPSHOT_SECONDS: Final = 7 * 86_400.0
"""Time after which one is made in any case, if something has changed."""
_SNAPSHOT_AT: Final = "state-snapshot-at"
_OPENS: Final = "state-opens-epoch"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of batches."""

    changed: bool
    lacking: frozenset[DeviceId]
    """Devices of which a batch cannot be taken yet: what stands before it is not here."""


class StateLog:
    """What this phone has of the state log.

    Args:
        store: the phone's file.
        me: whose phone it is.
    """

    def __init__(self, store: Store, me: Me) -> None:
        self._store = store
        self._db = store.db
        self._me = me
        self._state: Belongings = me.belongings
        self._device = me.identity.device

    # Ours

    def seal(self) -> None:
        """Make batches of what is pending."""
        while self._seal_some():
            pass

    def _seal_some(self) -> bool:
        with self._store.transaction() as db:
            pending = self._state.pending()
            if not pending:
                return False
            entries = _some(pending)
            seq, key = self._state.last_seq() + 1, self._store.vault.identity().person_key
            sealed = seal_batch(key, plain_batch(entries), device=self._device.id, seq=seq)
            batch = Batch.sign(
                self._device.signing,
                device=self._device.id,
                seq=seq,
                generation=key.generation,
                sealed=sealed,
            )
            db.execute(
                "INSERT INTO state_batch VALUES (?, ?, ?)",
                (self._device.id.raw, seq, batch.encode()),
            )
            self._came_to(self._device.id, seq)
            self._state.told(entries, seq=seq)
            return True

    def snapshot(self) -> Snapshot:
        """Return all that counts here, sealed; what is pending was sealed before."""
        key = self._store.vault.identity().person_key
        plain = plain_snapshot(self._state.all(), self.cuts())
        return Snapshot.sign(
            self._device.signing,
            device=self._device.id,
            generation=key.generation,
            vector=self.vector(),
            sealed=seal_snapshot(key, plain, device=self._device.id),
        )

    # How far we have come

    def vector(self) -> dict[DeviceId, int]:
        """Return up to which batch of each device we have come."""
        rows = self._db.execute("SELECT device, seq FROM state_vector")
        return {DeviceId(device): seq for device, seq in rows}

    def known(self) -> dict[DeviceId, int]:
        """Return what to ask from: of our own batches those that we know to be there.

        What we have not handed over yet is asked for like another's: if something is there in its
        place, this device was copied.
        """
        return {**self.vector(), self._device.id: self._state.handed_over()}

    def handed_over(self) -> None:
        """Note that a gateway has our batches, and that those it had were ours."""
        newest = self._state.last_seq()
        if newest > self._state.handed_over():
            with self._store.transaction():
                self._store.keep_note(HANDED, newest.to_bytes(8, "big"))

    def cuts(self) -> dict[DeviceId, int]:
        """Return the last batch that is taken of each revoked device."""
        rows = self._db.execute("SELECT device, cut FROM state_vector WHERE cut IS NOT NULL")
        return {DeviceId(device): cut for device, cut in rows}

    def beyond(self, vector: Mapping[DeviceId, int]) -> list[bytes]:
        """Return the batches we have that somebody lacks who has come to `vector`, in order."""
        rows = self._db.execute("SELECT device, seq, raw FROM state_batch ORDER BY device, seq")
        return [raw for device, seq, raw in rows if seq > vector.get(DeviceId(device), 0)]

    # Others'

    def take(self, batches: Iterable[bytes]) -> Taken:
        """Take batches; those that we had are passed over, and those that are nobody's.

        Raises:
            PhoneCopied: one is ours and unknown to us.
        """
        changed, lacking, left = False, set[DeviceId](), list(batches)
        while left:
            with self._store.transaction():
                for raw in left[:TOGETHER]:
                    with suppress(WireError, KeysError), self._store.vault.all_or_nothing():
                        changed |= self._take(raw, lacking)
            left = left[TOGETHER:]
        return Taken(changed, frozenset(lacking))

    def _take(self, raw: bytes, lacking: set[DeviceId]) -> bool:
        batch = Batch.decode(raw)
        entry, active = self._author(batch.device)
        named = active or self._names_cut_of(batch.device)
        if entry is not None:
            batch.verify(entry.key)
        elif not named:  # somebody who was added since
            lacking.add(batch.device)
            return False
        if batch.device == self._device.id:
            self._compare_with_ours(batch, raw)
            return False
        held, cut = self._held(batch.device)
        if cut is not None and batch.seq > cut:
            return False
        if not named and cut is None:
            return False  # whoever revoked it says how far it is taken
        if batch.seq != held + 1:
            if batch.seq > held:
                lacking.add(batch.device)
            return False
        if not self._person_keys(batch.generation):
            lacking.add(batch.device)
            return False
        entries = self._opened(batch)
        self._db.execute(
            "INSERT OR REPLACE INTO state_batch VALUES (?, ?, ?)",
            (batch.device.raw, batch.seq, raw),
        )
        self._came_to(batch.device, batch.seq)
        return self._state.take(entries)

    def _compare_with_ours(self, batch: Batch, raw: bytes) -> None:
        """Look whether a batch that this device signed is one that it knows.

        Raises:
            PhoneCopied: it is not.
        """
        if batch.seq > self._state.last_seq():
            raise PhoneCopied
        row = self._db.execute(
            "SELECT raw FROM state_batch WHERE device = ? AND seq = ?",
            (batch.device.raw, batch.seq),
        ).fetchone()
        if row is not None and row[0] != raw:
            raise PhoneCopied

    def take_snapshot(self, raw: bytes) -> bool:
        """Take what counted for another device; return whether something changed.

        Raises:
            PhoneCopied: it was made with batches of ours that we do not know.
            WireError, KeysError: it is no snapshot of an active device of this person.
        """
        snapshot = Snapshot.decode(raw)
        entry, active = self._author(snapshot.device)
        if not active and not self._names_cut_of(snapshot.device):
            raise Malformed("a snapshot of a device that is not on the card")
        if entry is not None:
            snapshot.verify(entry.key)
        if snapshot.vector.get(self._device.id, 0) > self._state.last_seq():
            raise PhoneCopied

        def read(key: PersonKey) -> bytes:
            return open_snapshot(key, snapshot.sealed, device=snapshot.device)

        plain = self._open(snapshot.generation, read)
        entries, cuts = read_snapshot(plain, generation=snapshot.generation)
        with self._store.transaction():
            if self._cut(cuts):
                changed = self._begin_again(snapshot.vector, entries)
            else:
                changed = self._state.take(entries)
                for device, seq in snapshot.vector.items():
                    self._came_to(device, seq)
        return changed

    def _cut(self, cuts: Mapping[DeviceId, int]) -> bool:
        """Note cuts; return whether something was taken that is not to be taken now."""
        too_far = False
        for device, cut in cuts.items():
            held, known = self._held(device)
            if known is not None and known <= cut:
                continue
            too_far = too_far or held > cut
            self._db.execute(
                "INSERT INTO state_vector VALUES (?1, ?2, ?3)"
                " ON CONFLICT (device) DO UPDATE SET seq = min(seq, ?3), cut = ?3",
                (device.raw, min(held, cut), cut),
            )
            self._db.execute(
                "DELETE FROM state_batch WHERE device = ? AND seq > ?", (device.raw, cut)
            )
        return too_far

    def _begin_again(self, vector: Mapping[DeviceId, int], entries: Sequence[Entry]) -> bool:
        """Take a snapshot in place of all that was taken, and what we have beyond it once more."""
        self._state.replace_all(entries)
        for device in self.vector():
            if device != self._device.id:
                self._db.execute(
                    "UPDATE state_vector SET seq = min(?2, coalesce(cut, ?2)) WHERE device = ?1",
                    (device.raw, vector.get(device, 0)),
                )
        for device, seq in vector.items():
            self._came_to(device, seq)
        for raw in self.beyond(vector):
            batch = Batch.decode(raw)
            if batch.device != self._device.id:
                self._take(raw, set())
            elif self._person_keys(batch.generation):
                self._state.take(self._opened(batch))
        return True

    def name_cuts(self) -> None:
        """Take nothing more of devices that we have revoked; the epoch opens with our snapshot.

        Called when all is taken that is there.
        """
        listed = (one for signed in self._me.card.history for one in signed.statement.devices)
        devices = {*self.vector(), *(one.id for one in listed)}
        cuts = self.cuts()
        gone = [one for one in devices if one not in cuts and self._names_cut_of(one)]
        if gone:
            with self._store.transaction():
                for device in gone:
                    self._revoke(device)

    def _names_cut_of(self, device: DeviceId) -> bool:
        """Return whether it is this device that says how far a revoked one is taken.

        That is who signed the statement that revoked it; if the root did, the first on the card. A
        person who came back is alone on her card: what lies there was sealed under her keys, and
        of whoever has signed it no card tells any more.
        """
        card, me = self._me.card, self._device.id
        if card.device(me) is None or card.device(device) is not None:
            return False
        listed, signer = False, None
        for signed in card.history:
            if any(one.id == device for one in signed.statement.devices):
                listed, signer = True, None
            elif listed and signer is None:
                signer = signed.statement.signer
        if signer is None:
            return len(card.devices) == 1
        if signer == self._device.key.raw:
            return True
        return signer == card.root_key and me.raw == min(one.id.raw for one in card.devices)

    def _revoke(self, device: DeviceId) -> None:
        held, _ = self._held(device)
        self._db.execute(
            "INSERT INTO state_vector VALUES (?1, ?2, ?2)"
            " ON CONFLICT (device) DO UPDATE SET cut = ?2",
            (device.raw, held),
        )
        self._store.keep_note(_OPENS, b"")

    def turn_epoch(self) -> None:
        """Begin a new sync epoch without revoking anybody: it undoes a clock that ran ahead."""
        with self._store.transaction():
            self._state.turn_epoch()
            self._store.keep_note(_OPENS, b"")

    # What the other side has

    def wanted(self, heads: Sequence[Head], snapshots: Sequence[SnapshotHead]) -> list[DeviceId]:
        """Return the devices whose snapshots we need: what they stand for can be had no more.

        A snapshot of a person key that is new to us opens an epoch, and may name a cut.
        """
        held, generation = self.vector(), self._taken_generation()
        there = {one.device: one for one in heads}

        def only_way(device: DeviceId, seq: int) -> bool:
            head, have = there.get(device), held.get(device, 0)
            return seq > have and (head is None or seq > head.newest or head.floor > have)

        found = []
        for one in snapshots:
            if one.device == self._device.id:
                continue
            helps = any(only_way(device, seq) for device, seq in one.vector.items())
            if helps or one.generation > generation or not self._state.has_begun():
                found.append(one.device)
        return found

    def took(self, snapshot: SnapshotHead) -> None:
        """Note that a snapshot was taken, for `wanted`."""
        with self._store.transaction():
            newest = max(snapshot.generation, self._taken_generation())
            self._store.keep_note(_TAKEN, newest.to_bytes(8, "big"))

    def _taken_generation(self) -> int:
        return int.from_bytes(self._store.note(_TAKEN) or b"", "big") or 1

    def is_due(
        self, heads: Sequence[Head], snapshots: Sequence[SnapshotHead], *, now: float
    ) -> bool:
        """Return whether to leave a snapshot there."""
        if self._store.note(_OPENS) is not None:
            return True
        active = {one.id for one in self._me.card.devices}
        cover = dict[DeviceId, int]()
        for one in snapshots:
            for device, seq in one.vector.items() if one.device in active else ():
                cover[device] = max(seq, cover.get(device, 0))
        there = {one.device: one for one in heads}
        for device, held in self.vector().items():
            had = max(cover.get(device, 0), there[device].newest if device in there else 0)
            if self._floor(device, held) > had:
                return True  # it has lost what we have no more: it was put back from a copy
        if any(one.floor > cover.get(one.device, 0) for one in heads):
            return True
        uncovered = sum(
            max(0, held - cover.get(device, 0)) for device, held in self.vector().items()
        )
        since = now - int.from_bytes(self._store.note(_SNAPSHOT_AT) or b"", "big")
        return uncovered >= SNAPSHOT_EVERY or (
            uncovered > 0 and self._knows_when() and since >= SNAPSHOT_SECONDS
        )

    def _floor(self, device: DeviceId, held: int) -> int:
        row = self._db.execute(
            "SELECT min(seq) FROM state_batch WHERE device = ?", (device.raw,)
        ).fetchone()
        return held if row[0] is None else int(row[0]) - 1

    def _knows_when(self) -> bool:
        return self._store.note(_SNAPSHOT_AT) is not None

    def left(self, *, now: float) -> None:
        """Note that a snapshot of ours was taken there."""
        with self._store.transaction():
            self._store.keep_note(_OPENS, None)
            self._store.keep_note(_SNAPSHOT_AT, int(now).to_bytes(8, "big"))

    def synced(self, heads: Sequence[Head], *, now: float) -> None:
        """Note that all that is there was taken, and drop the batches that are there no more.

        Their gateway drops them once every live device has come past them and a snapshot has them.
        """
        with self._store.transaction() as db:
            if not self._state.has_begun():
                self._state.begin()
            if not self._knows_when():
                self._store.keep_note(_SNAPSHOT_AT, int(now).to_bytes(8, "big"))
            db.executemany(
                "DELETE FROM state_batch WHERE device = ? AND seq <= ?",
                [(one.device.raw, one.floor) for one in heads],
            )

    # Inside

    def _author(self, device: DeviceId) -> tuple[DeviceEntry | None, bool]:
        """Return a device as our card has or had it, and whether it is on it now."""
        card = self._me.card
        if (entry := card.device(device)) is not None:
            return entry, True
        for signed in (*card.known, *card.roots):
            for one in signed.statement.devices:
                if one.id == device:
                    return one, False
        return None, False

    def _opened(self, batch: Batch) -> list[Entry]:
        def read(key: PersonKey) -> bytes:
            return open_batch(key, batch.sealed, device=batch.device, seq=batch.seq)

        plain = self._open(batch.generation, read)
        return read_batch(plain, batch)

    def _open(self, generation: int, read: Callable[[PersonKey], bytes]) -> bytes:
        """Open something with the person key of a generation, or with one that rivals it.

        Raises:
            Broken: none of them fits, or there is none here yet.
        """
        for key in self._person_keys(generation):
            with suppress(Broken):
                return read(key)
        raise Broken("no person key of this generation opens it")

    def _person_keys(self, generation: int) -> list[PersonKey]:
        keys = self._store.vault.person_keys()
        return [one for one in keys if one.generation == generation]

    def _held(self, device: DeviceId) -> tuple[int, int | None]:
        row = self._db.execute(
            "SELECT seq, cut FROM state_vector WHERE device = ?", (device.raw,)
        ).fetchone()
        return (0, None) if row is None else (int(row[0]), row[1])

    def _came_to(self, device: DeviceId, seq: int) -> None:
        self._db.execute(
            "INSERT INTO state_vector VALUES (?1, ?2, NULL) ON CONFLICT (device)"
            " DO UPDATE SET seq = max(seq, min(?2, coalesce(cut, ?2)))",
            (device.raw, seq),
        )


_TAKEN: Final = "state-generation-taken"


def snapshot(store: Store) -> tuple[Entry, ...]:
    """Return every entry of the state of this phone's person."""
    return tuple(Me(store).belongings.all())


def take(store: Store, entries: Iterable[Entry]) -> bool:
    """Join entries with the state; return whether a row changed. Any order, any number of times."""
    me = Me(store)
    with store.transaction():
        return me.belongings.take(entries)


def plain_snapshot(entries: Iterable[Entry], cuts: Mapping[DeviceId, int]) -> bytes:
    """Return a snapshot's text: entries by epoch, devices by their place in a list."""
    by_epoch, devices = dict[int, list[Value]](), dict[bytes, int]()
    for one in entries:
        stamp = one.stamp
        number = devices.setdefault(stamp.device, len(devices))
        row: Value = [one.key, stamp.time, number, stamp.seq, one.value]
        by_epoch.setdefault(stamp.epoch, []).append(row)
    epochs: list[Value] = [[epoch, by_epoch[epoch]] for epoch in sorted(by_epoch)]
    cut: list[Value] = [[one.raw, cuts[one]] for one in sorted(cuts, key=lambda one: one.raw)]
    return encode([1, list[Value](devices), epochs, cut])


def read_snapshot(
    plain: bytes, *, generation: int
) -> tuple[tuple[Entry, ...], dict[DeviceId, int]]:
    """Read a snapshot's text: its entries, and the cuts it names.

    Raises:
        Malformed: it is none.
    """
    match decode(plain, limit=MAX_SNAPSHOT):
        case [1, list(devices), list(epochs), list(cuts)]:
            pass
        case _:
            raise Malformed("a snapshot has another form")
    entries, named = list[Entry](), dict[DeviceId, int]()
    for one in epochs:
        match one:
            case [int(epoch), list(rows)]:
                entries += [_row(row, epoch, devices, generation) for row in rows]
            case _:
                raise Malformed("an epoch of a snapshot has another form")
    for one in cuts:
        match one:
            case [bytes(device), int(cut)]:
                named[DeviceId(device)] = cut
            case _:
                raise Malformed("a cut names a device and a number")
    return tuple(entries), named


def _row(row: Value, epoch: int, devices: Sequence[Value], generation: int) -> Entry:
    match row:
        case [bytes(key), int(time), int(number), int(seq), bytes() | None as value]:
            if not 0 <= number < len(devices):
                raise Malformed("an entry is of a device that is not named")
            device = devices[number]
            if isinstance(device, bytes):
                return Entry(key, _stamp(epoch, time, device, seq, generation), value)
    raise Malformed("an entry of a snapshot has another form")


def _stamp(epoch: int, time: int, device: bytes, seq: int, generation: int) -> Stamp:
    """Return a stamp; no epoch is taken that a person key opens which its author lacks.

    Raises:
        Malformed: it is of such an epoch, or no stamp.
    """
    if not (0 <= epoch <= MAX_EPOCH and generation_of(epoch) <= generation):
        raise Malformed("an epoch of a person key that this was not sealed with")
    if not (0 <= time < 1 << 64 and 0 <= seq < 1 << 63):
        raise Malformed("no time, or no number")
    return Stamp(epoch, time, DeviceId(device).raw, seq)


def plain_batch(entries: Sequence[Entry]) -> bytes:
    """Return the text of a batch; its entries are of one epoch and one device."""
    base = min(one.stamp.time for one in entries)
    rows: list[Value] = [[one.key, one.stamp.time - base, one.value] for one in entries]
    return encode([1, entries[0].stamp.epoch, base, rows])


def read_batch(plain: bytes, batch: Batch) -> list[Entry]:
    """Read the text of a batch.

    Raises:
        Malformed: it is none.
    """
    match decode(plain, limit=MAX_BATCH):
        case [1, int(epoch), int(base), list(rows)] if len(rows) <= ENTRIES:
            pass
        case _:
            raise Malformed("the changes of a batch have another form")
    entries = []
    for row in rows:
        match row:
            case [bytes(key), int(later), bytes() | None as value]:
                stamp = _stamp(epoch, base + later, batch.device.raw, batch.seq, batch.generation)
                entries.append(Entry(key, stamp, value))
            case _:
                raise Malformed("a change has another form")
    return entries


def _some(pending: Sequence[Entry]) -> list[Entry]:
    """Return the first changes of one epoch, as many as one batch holds."""
    chosen, size = list[Entry](), 0
    for one in pending:
        size += len(one.key) + len(one.value or b"") + 24
        if chosen and (size > ROOM or len(chosen) == ENTRIES):
            break
        if chosen and one.stamp.epoch != chosen[0].stamp.epoch:
            break
        chosen.append(one)
    return chosen
