"""The letters that people see: those that came, each shown once, and our own with their state.

The order in which they are told is none that a gateway could choose:

    letters of one device    as it has counted them (docs/protocol.md §8.2)
    those of several         by their authors' clocks; what claims to be from the future stands
                             where it came

A letter is shown when it is here, and waits for no other. One that comes after a later one was
shown says so, and takes its place when everything is looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from peer.items.kinds import Content, File, Item, Letter
from peer.keys.signed_items import SIGNED_LIMIT
from peer.me import Me
from peer.people.contacts import Contact, Contacts
from peer.store import Store
from peer.ways.outgoing import DROP_UNUSED_ITEMS
from peer.ways.sending import Sending, gave_up_because
from wire.codec import decode
from wire.errors import Malformed
from wire.ids import ItemId, PersonId

_COLUMNS: Final = "number, item, person, outgoing, raw, written, came"
_LATE: Final = (
    "EXISTS (SELECT 1 FROM letter AS later WHERE later.shown AND later.person = letter.person"
    " AND later.device = letter.device AND later.counted > letter.counted)"
)
"""Whether a later letter of the same device was shown before."""
_COUNTED: Final = "coalesce(counted, number)"
_SO_FAR: Final = (
    "OVER (PARTITION BY outgoing, iif(outgoing, NULL, person), device"
    f" ORDER BY {_COUNTED} ROWS UNBOUNDED PRECEDING)"
)
_IN_ORDER: Final = f"ORDER BY max(min(written, came)) {_SO_FAR}, max(number) {_SO_FAR}, {_COUNTED}"
"""By the clocks, but none before one that its device counted earlier; in doubt as they came."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A letter as it is shown."""

    number: int
    contact: str
    outgoing: bool
    text: str = field(repr=False)
    file: File | None
    written: float
    """Unix seconds by its author's clock."""
    came: float
    unknown: bool = False
    """Whether it is something that only a newer app can show."""
    state: str = ""
    """Where it is, if it is ours."""
    late: bool = False
    """Whether one that its author's device sent later was shown before."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something came that could not be opened; nothing of it is shown."""

    contact: str
    code: str


class Letterbox:
    """All letters of this phone.

    Args:
        store: the phone's file.
        me: whose phone it is.
        sending: knows where our own letters are.
    """

    def __init__(self, store: Store, me: Me, sending: Sending) -> None:
        self._store = store
        self._me = me
        self._sending = sending
        self._contacts = Contacts(store.db)

    def unshown(self, only: PersonId | None = None) -> list[Shown]:
        """Return the letters that nobody has seen, and count them as seen from now on."""
        return self._take("shown = 0 AND (?1 IS NULL OR person = ?1)", only)

    def unshown_item(self, item: ItemId) -> list[Shown]:
        """Return one letter if nobody has seen it, and count it as seen from now on."""
        return self._take("shown = 0 AND item = ?1", item)

    def in_order(self, items: Sequence[ItemId]) -> list[ItemId]:
        """Return some letters' items in the order in which they are told."""
        marks = ", ".join("?" * len(items))
        rows = self._store.db.execute(
            f"SELECT item FROM letter WHERE item IN ({marks}) {_IN_ORDER}",  # noqa: S608  # constants
            [one.raw for one in items],
        )
        return [ItemId(raw) for (raw,) in rows.fetchall()]

    def everything(self, only: PersonId | None = None) -> list[Shown]:
        """Return all letters, ours too, in their order; those that came count as seen."""
        self._take("shown = 0 AND (?1 IS NULL OR person = ?1)", only)
        rows = self._store.db.execute(
            f"SELECT {_COLUMNS}, 0 FROM letter JOIN item USING (item)"  # noqa: S608  # constants
            f" WHERE ?1 IS NULL OR person = ?1 {_IN_ORDER}",
            (None if only is None else only.raw,),
        )
        return [self._shown(row) for row in rows.fetchall()]

    def troubles(self) -> list[Trouble]:
        """Return what could not be opened and was not said yet."""
        with self._store.transaction() as db:
            rows = db.execute(
                "UPDATE trouble SET shown = 1 WHERE NOT shown RETURNING number, person, code"
            ).fetchall()
        return [Trouble(self._name(PersonId(person)), code) for _, person, code in sorted(rows)]

    def given_up(self) -> list[tuple[str, str]]:
        """Return contact and reason of each of our letters that was given up."""
        rows = self._store.db.execute(
            "SELECT person, ended FROM letter WHERE ended <> '' ORDER BY number"
        ).fetchall()
        named = [(self._name(PersonId(person)), code) for person, code in rows]
        return [(name, gave_up_because(code, name)) for name, code in named]

    def forget(self, contact: Contact) -> None:
        """Delete all that was exchanged with a contact, inside a transaction."""
        db, key = self._store.db, (contact.person.raw,)
        for table in ("letter", "outgoing", "sent", "trouble"):
            db.execute(f"DELETE FROM {table} WHERE person = ?", key)  # noqa: S608  # constants
        db.execute(DROP_UNUSED_ITEMS)
        db.execute("DELETE FROM note WHERE name GLOB ?", (f"*/{contact.person.text}",))

    def _take(self, which: str, key: PersonId | ItemId | None) -> list[Shown]:
        parameter = (None if key is None else key.raw,)
        with self._store.transaction() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS}, {_LATE} FROM letter JOIN item USING (item)"  # noqa: S608  # constants
                f" WHERE {which} {_IN_ORDER}",
                parameter,
            ).fetchall()
            seen = [row[:1] for row in rows]
            db.executemany("UPDATE letter SET shown = 1 WHERE number = ?", seen)
        return [self._shown(row) for row in rows]

    def _shown(self, row: Sequence[object]) -> Shown:
        match row:
            case (
                int(number),
                bytes(item),
                bytes(person),
                int(outgoing),
                bytes(raw),
                float(written),
                float(came),
                int(late),
            ):
                pass
            case _:
                raise ValueError("a row of letter has another form")
        content = content_of(raw)
        known = isinstance(content, Letter)
        return Shown(
            number,
            self._name(PersonId(person)),
            outgoing=bool(outgoing),
            text=content.text if isinstance(content, Letter) else "",
            file=content.file if isinstance(content, Letter) else None,
            written=written,
            came=came,
            unknown=not known,
            state=self._sending.state(ItemId(item)).text if outgoing else "",
            late=bool(late),
        )

    def _name(self, person: PersonId) -> str:
        contact = self._contacts.of(person)
        return contact.name if contact else "somebody"


def content_of(raw: bytes) -> Content:
    """Return what a kept item says; its signature was checked before it was kept.

    Raises:
        Malformed: these bytes were never kept as an item.
    """
    match decode(raw, limit=SIGNED_LIMIT):
        case [bytes(body), bytes()]:
            return Item.decode(body).content
    raise Malformed("a kept item has another form")
