"""The archive of this person on one of her devices: reads what others put in, adds its own.

    meet     hear where the gateway's chain stands; what is new in it is to be read
    read     the newest first, one answer at a time, each in one transaction: cut off, it goes on
    append   the letters that lie in no segment yet, some 64 KiB at a time

A letter is in the archive once, whichever device brought it, because a device reads before it
adds. A gateway whose chain is shorter than it was has been put back from a copy, or lies: what it
lacks is added again, and the person is told (docs/protocol.md §17.4).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from peer.devices.contents import BATCH_BYTES, MAX_LETTERS, Contents, Kept, small_enough
from peer.devices.reading import Found, Stretch, look, read_stretches, same, write_stretches
from peer.errors import GatewayRefused
from peer.keys.errors import KeysError, WriterUnknown
from peer.keys.segments import open_segment, seal_segment
from peer.me import Me
from peer.people.contacts import Contacts
from peer.store import Store
from peer.ways.gateway_client import GatewayClient
from wire.archive import Extent, Segment, SignedHead
from wire.card import Card
from wire.codec import decode, encode
from wire.errors import WireError
from wire.ids import DeviceId, DeviceKey, ItemId, PersonId

LOOK_EVERY: Final = 3600.0
"""Seconds between two looks whether another device has added something."""
MAX_APPENDS: Final = 64
"""Segments added in one go: four megabytes; the rest comes next time."""
MAX_MOVES: Final = 4
"""Times that others may be quicker in one go."""
_AT, _HEAD, _TO_READ = "archive/at", "archive/head", "archive/to-read"
_PROGRESS, _LOOKED, _SET_BACK = "archive/progress", "archive/looked", "archive/set-back"
_FULL: Final = "archive/full"
_HISTORY: Final = "archive/history"
"""Set once this device has read what was there when it came; what is new after that is shown."""
ASK_CONTACTS: Final = "archive/ask"
"""Set while contacts are to be asked where they saw the archive stand."""
TOLD: Final = "archive/told"
"""When contacts were told where the archive stands, and the number of that segment."""
OFF: Final = "setting/archive-off/"
"""A setting, and so the same on all devices."""
_UNARCHIVED: Final = (
    "archived IS NULL AND NOT (outgoing AND item IN (SELECT item FROM outgoing))"
    " AND person NOT IN (SELECT value FROM note WHERE name GLOB 'setting/archive-off/*')"
)


@dataclass(frozen=True, slots=True)
class Pace:
    """When reading began in this process, and how far it had come by then."""

    began: float
    """Seconds of a clock that does not jump."""
    bytes: int

    def seconds_left(self, progress: "Progress", *, now: float) -> int | None:
        """Return how long the rest takes if it goes on like this; None while nobody can say."""
        done, passed = progress.bytes - self.bytes, now - self.began
        if done <= 0 or passed <= 0:
            return None
        return round((progress.of_bytes - progress.bytes) * passed / done)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far reading has come."""

    letters: int
    bytes: int
    of_bytes: int
    over: bool
    fresh: tuple[ItemId, ...] = ()
    """Letters that this device did not have and nobody has seen on it."""


class Archive:
    """The archive, on this device and its gateway.

    Args:
        store: the phone's file.
        me: whose phone it is.
        now: returns Unix seconds.
    """

    def __init__(self, store: Store, me: Me, *, now: Callable[[], float]) -> None:
        self._store = store
        self._me = me
        self._now = now

    # What goes into it

    def turn_off(self, person: PersonId) -> None:
        """Let no further letter of a contact, in or out, be kept; inside a transaction."""
        self._store.keep_note(OFF + person.text, person.raw)

    def turn_on(self, person: PersonId) -> None:
        """Let a contact's letters be kept, also those of the time when they were not."""
        self._store.keep_note(OFF + person.text, None)

    @property
    def waiting(self) -> int:
        """How many letters lie in no segment yet and are to lie in one."""
        (count,) = self._store.db.execute(
            f"SELECT count(*) FROM letter WHERE {_UNARCHIVED}"  # noqa: S608  # constants
        ).fetchone()
        return int(count)

    @property
    def head(self) -> SignedHead | None:
        """The newest head that the gateway has told, if any."""
        data = self._store.note(_HEAD)
        return None if data is None else SignedHead.decode(data)

    @property
    def to_read(self) -> list[Stretch]:
        """What the gateway has that this device has not read."""
        data = self._store.note(_TO_READ)
        return [] if data is None else read_stretches(data)

    def status(self) -> dict[str, Any]:
        """Return how the archive is, for `homepost archive status`."""
        db, head = self._store.db, self.head
        (kept,) = db.execute("SELECT count(*) FROM letter WHERE archived IS NOT NULL").fetchone()
        off = db.execute(
            "SELECT value FROM note WHERE name GLOB 'setting/archive-off/*'"
        ).fetchall()
        contacts = Contacts(db)
        named = [contacts.of(PersonId(bytes(raw))) for (raw,) in off]
        refused = db.execute("SELECT seq, trouble FROM segment WHERE trouble <> '' ORDER BY seq")
        return {
            "kept": int(kept),
            "waiting": self.waiting,
            "segments": 0 if head is None else head.head.seq,
            "to_read": sum(one.next - one.floor for one in self.to_read),
            "off": sorted(one.name for one in named if one is not None),
            "refused": [{"segment": seq, "why": code} for seq, code in refused.fetchall()],
            "set_back": self.set_back,
            "full": self._store.note(_FULL) is not None,
        }

    @property
    def set_back(self) -> list[int]:
        """From which segment to which the gateway's archive went back; empty if it never did."""
        value = decode(self._store.note(_SET_BACK) or encode([]), limit=64)
        return [one for one in value if isinstance(one, int)] if isinstance(value, list) else []

    # Both ways

    @property
    def is_due(self) -> bool:
        """Whether there is something to do with the gateway."""
        return bool(self.to_read or self._look_is_due() or self.waiting)

    async def keep(self, gateway: GatewayClient) -> Progress | None:
        """Hear how the archive stands, read one answer of what is new, and add what is not in it.

        Returns:
            how far reading has come; None if there was nothing to read.

        Raises:
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        with self._store.only_one("archive") as alone:
            if not alone or not self.is_due:
                return None
            self._begin_at_home()
            self._meet(await gateway.archive())
            progress = await self._read(gateway) if self.to_read else None
            if not self._is_behind():
                await self._append(gateway)
        return progress

    def progress(self) -> Progress:
        """Return how far reading has come."""
        letters, size, whole = self._progress()
        return Progress(letters, size, whole, not self.to_read)

    def read_again(self) -> None:
        """Read everything once more: what was refused may have come right, or a key been found."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM segment")
            for name in (_HEAD, _TO_READ, _PROGRESS, _LOOKED, _HISTORY):
                self._store.keep_note(name, None)

    def _look_is_due(self) -> bool:
        note, home = self._store.note(_LOOKED) or b"", self._me.home
        if home is None or note[8:] != home.gateway.raw:
            return home is not None
        return not 0 <= self._now() - int.from_bytes(note[:8], "big") < LOOK_EVERY

    def _begin_at_home(self) -> None:
        """Count anew at another gateway than the one that the records are about."""
        home = self._me.needs_home().gateway.raw
        if self._store.note(_AT) == home:
            return
        with self._store.transaction() as db:
            for name in (_HEAD, _TO_READ, _PROGRESS, _SET_BACK, _FULL):
                self._store.keep_note(name, None)
            db.execute("DELETE FROM segment")
            db.execute("UPDATE letter SET archived = NULL WHERE archived IS NOT NULL")
            self._store.keep_note(_AT, home)

    def _is_behind(self) -> bool:
        """Whether to read before adding: else what others added would be added again."""
        stretches = self.to_read
        return any(one.floor for one in stretches) or any(
            self.head is not None and one.next == self.head.head.seq for one in stretches
        )

    # Where the chain stands

    def _meet(self, extent: Extent) -> None:
        newest, known = extent.newest, self.head
        if newest is not None and newest.head.person != self._me.person:
            raise GatewayRefused("malformed", {})
        with self._store.transaction():
            mark = int(self._now()).to_bytes(8, "big") + self._me.needs_home().gateway.raw
            self._store.keep_note(_LOOKED, mark)
            if extent.used_bytes < extent.limit_bytes:
                self._store.keep_note(_FULL, None)
            if known is None and self._store.note(_HISTORY) is None:
                self._first_look(newest)
            if same(newest, known):
                return
            self._store.keep_note(_HEAD, None if newest is None else newest.encode())
            if newest is None or (known is not None and newest.head.seq <= known.head.seq):
                self._went_back(newest, known)
            else:
                stretch = Stretch.below(newest.head, None if known is None else known.head)
                self._keep_to_read([stretch, *self.to_read])
                if known is None:
                    self._keep_progress(0, 0, extent.used_bytes)

    def _first_look(self, newest: SignedHead | None) -> None:
        """What is here was not put in by this device; contacts may know whether it is all."""
        first = self._me.card.history[0].statement
        key = self._me.identity.device.key
        if first.epoch > 1 or all(one.key != key for one in first.devices):
            self._store.keep_note(ASK_CONTACTS, b"1")
        if newest is None:
            self._store.keep_note(_HISTORY, b"1")
        if self._store.note(TOLD) is None:  # the first time in a day: contacts come first
            self._store.keep_note(TOLD, int(self._now()).to_bytes(8, "big") + bytes(8))

    def _went_back(self, newest: SignedHead | None, known: SignedHead | None) -> None:
        """Take note that the gateway lacks what it had; what it lacks is added again."""
        seq = 0 if newest is None else newest.head.seq
        self._store.keep_note(_SET_BACK, encode([known.head.seq if known else 0, seq]))
        row = self._store.db.execute("SELECT hash FROM segment WHERE seq = ?", (seq,)).fetchone()
        along_our_chain = newest is None or (row is not None and row[0] == newest.head.hash)
        self._forget_above(seq if along_our_chain else 0)
        kept = [one for one in self.to_read if one.next <= seq] if along_our_chain else []
        if newest is not None and not along_our_chain:
            kept = [Stretch.below(newest.head, None)]
        self._keep_to_read(kept)

    def _forget_above(self, seq: int) -> None:
        db = self._store.db
        db.execute("UPDATE letter SET archived = NULL WHERE archived > ?", (seq,))
        db.execute("DELETE FROM segment WHERE seq > ?", (seq,))

    # Reading

    async def _read(self, gateway: GatewayClient) -> Progress:
        stretch, *rest = self.to_read
        answer = await gateway.segments(upto=stretch.next, down_to=stretch.floor + 1)
        found, left = look(stretch, answer, person=self._me.person)
        fresh, new = list[ItemId](), 0
        history = self._store.note(_HISTORY) is None
        with self._store.transaction():
            for one in found:
                added = self._take(one, history=history)
                new += len(added)
                fresh += [item for item, seen in added if not seen]
            if left.parts:  # the gateway's chain is another one from here down
                self._store.keep_note(_SET_BACK, encode([left.floor, left.floor]))
                db = self._store.db
                db.execute("UPDATE letter SET archived = NULL WHERE archived <= ?", (left.floor,))
                db.execute("DELETE FROM segment WHERE seq <= ?", (left.floor,))
                left = Stretch(left.floor, left.expected, 0, b"")
            self._keep_to_read([*([] if left.over else [left]), *rest])
            if not self.to_read:
                self._store.keep_note(_HISTORY, b"1")
            letters, size, whole = self._progress()
            size += sum(map(len, answer))
            self._keep_progress(letters + new, size, max(whole, size))
        return Progress(letters + new, size, max(whole, size), not self.to_read, tuple(fresh))

    def _take(self, found: Found, *, history: bool) -> list[tuple[ItemId, bool]]:
        """Take what one segment holds; return the letters that were new, and whether seen."""
        trouble, added = found.trouble, list[tuple[ItemId, bool]]()
        if found.segment is not None and not trouble:
            try:
                contents = self._open(found.segment)
            except (KeysError, WireError) as error:
                trouble = error.code
            else:
                for one in contents.letters:
                    if self._keep_letter(one, seq=found.seq, seen=history or one.outgoing):
                        added.append((one.item, history or one.outgoing))
        hash = b"" if found.segment is None else found.segment.head.hash
        self._store.db.execute(
            "INSERT INTO segment VALUES (?, ?, ?) ON CONFLICT (seq) DO UPDATE"
            " SET hash = excluded.hash, trouble = excluded.trouble",
            (found.seq, hash, trouble),
        )
        return added

    def _open(self, segment: Segment) -> Contents:
        """Open a segment and see that a device of ours wrote it.

        Raises:
            KeysError, WireError: it is not to be used, and the code says why.
        """
        data = open_segment(segment, self._store.vault.person_keys())
        contents = Contents.decode(data, owner=self._me.person)
        cards = [self._me.card]
        if contents.chain:
            cards.append(Card.follow(self._me.person, contents.chain))
        if not any(lists(card, segment.head.device) for card in cards):
            raise WriterUnknown("written by a device that no card of ours lists")
        return contents

    def _keep_letter(self, one: Kept, *, seq: int, seen: bool) -> bool:
        db = self._store.db
        row = db.execute("SELECT archived FROM letter WHERE item = ?", (one.item.raw,)).fetchone()
        if row is not None:
            if row[0] is None:
                db.execute("UPDATE letter SET archived = ? WHERE item = ?", (seq, one.item.raw))
            return False
        db.execute("INSERT INTO item VALUES (?, ?) ON CONFLICT DO NOTHING", (one.item.raw, one.raw))
        db.execute(
            "INSERT INTO letter (item, person, outgoing, written, came, shown, device, counted,"
            " archived) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                one.item.raw,
                one.person.raw,
                one.outgoing,
                one.written,
                one.came,
                seen,
                None if one.device is None else one.device.raw,
                one.counted,
                seq,
            ),
        )
        return True

    # Adding

    async def _append(self, gateway: GatewayClient) -> None:
        moves = 0
        for _ in range(MAX_APPENDS):
            if not (letters := self._batch()):
                return
            head = self.head
            contents = Contents(small_enough(self._me.card.chain), tuple(letters))
            segment = seal_segment(
                contents.encode(),
                identity=self._me.identity,
                on=None if head is None else head.head,
            )
            try:
                await gateway.append(segment)
            except GatewayRefused as refused:
                if refused.reason == "archive-full":
                    with self._store.transaction():
                        self._store.keep_note(_FULL, b"1")
                    return
                if refused.reason != "archive-moved" or moves == MAX_MOVES:
                    raise
                moves += 1
                self._meet(await gateway.archive())
                while self._is_behind():
                    await self._read(gateway)
                continue
            self._appended(segment, letters)

    def _batch(self) -> list[Kept]:
        """Return letters for the next segment: some 64 KiB of them, or one that is larger."""
        rows = self._store.db.execute(
            "SELECT item, raw, person, outgoing, written, came, device, counted"  # noqa: S608  # constants
            f" FROM letter JOIN item USING (item) WHERE {_UNARCHIVED} ORDER BY number LIMIT ?",
            (MAX_LETTERS,),
        )
        batch, size = list[Kept](), 0
        for item, raw, person, outgoing, written, came, device, counted in rows:
            if batch and size + len(raw) > BATCH_BYTES:
                break
            size += len(raw)
            batch.append(
                Kept(
                    ItemId(item),
                    bytes(raw),
                    PersonId(person),
                    bool(outgoing),
                    written,
                    came,
                    None if device is None else DeviceId(device),
                    counted,
                )
            )
        return batch

    def _appended(self, segment: Segment, letters: Iterable[Kept]) -> None:
        with self._store.transaction() as db:
            self._store.keep_note(_HEAD, segment.signed.encode())
            self._store.keep_note(_FULL, None)
            db.execute(
                "INSERT OR REPLACE INTO segment (seq, hash) VALUES (?, ?)",
                (segment.head.seq, segment.head.hash),
            )
            db.executemany(
                "UPDATE letter SET archived = ? WHERE item = ?",
                [(segment.head.seq, one.item.raw) for one in letters],
            )

    # Records

    def _keep_to_read(self, stretches: list[Stretch]) -> None:
        self._store.keep_note(_TO_READ, write_stretches(stretches) if stretches else None)

    def _progress(self) -> tuple[int, int, int]:
        match decode(self._store.note(_PROGRESS) or encode([0, 0, 0]), limit=64):
            case [int(letters), int(size), int(whole)]:
                return letters, size, whole
        return 0, 0, 0

    def _keep_progress(self, letters: int, size: int, whole: int) -> None:
        self._store.keep_note(_PROGRESS, encode([letters, size, whole]))


def lists(card: Card, device: DeviceKey) -> bool:
    """Return whether a device stands on any statement of a card that counts."""
    return any(
        entry.key == device
        for one in (*card.roots, *card.history)
        for entry in one.statement.devices
    )
