"""Contacts bear witness to where an archive stood, so that an old copy of it shows.

    tell     a few contacts hear where our archive stands, once a day if it moved
    take     we remember the newest head of a contact, signed by a device that her card lists
    ask      a device that is new asks contacts, and compares with what its gateway gives it
    answer   with the head, and her card as it was: who asks may know neither

A head of a device that was taken off the card by another device does not count: a thief could send
everybody looking for segments that never were (docs/protocol.md §17.5).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from peer.devices.archive import ASK_CONTACTS, TOLD, Archive, lists
from peer.errors import GatewayRefused
from peer.items.kinds import ArchiveHead, HeadAsk, HeadTold
from peer.me import Me
from peer.people.contacts import Contact, Contacts
from peer.store import Store
from peer.ways.gateway_client import GatewayClient
from peer.ways.outgoing import Outgoing
from wire.archive import SignedHead
from wire.card import MAX_CHAIN, MAX_STATEMENT, Card
from wire.codec import Value, decode, encode
from wire.errors import WireError
from wire.ids import DeviceKey, PersonId

WITNESSES: Final = 5
"""Contacts who hear where our archive stands: some of them can be asked, whoever is away."""
ASKED: Final = 10
"""Contacts who are asked: the witnesses are among those who were added first."""
TELL_EVERY: Final = 86_400.0
ANSWER_EVERY: Final = 3600.0
"""Seconds between two answers to one contact."""
_ASKED, _HEARD, _OLDER, _ANSWERED = "head-asked/", "head-heard/", "head-older/", "head-answered/"


@dataclass(frozen=True, slots=True)
class Older:
    """A contact saw our archive stand where the gateway's copy of it does not."""

    contact: str
    seen: int
    """The segment that the contact was told of."""
    here: int
    """The newest that the gateway has; the same number: another one stands there."""


class Witness:
    """What this phone knows of others' archives, and others of ours; wants an open transaction.

    Args:
        store: the phone's file.
        me: whose phone it is.
        outgoing: for what is told and asked.
        now: returns Unix seconds.
    """

    def __init__(
        self, store: Store, me: Me, outgoing: Outgoing, *, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._me = me
        self._outgoing = outgoing
        self._now = now
        self._contacts = Contacts(store.db)
        self._archive = Archive(store, me, now=now)

    # For others

    def take(self, contact: Contact, data: bytes, *, said: int) -> None:
        """Remember where a contact's archive stands; what does not prove itself is passed over.

        Args:
            contact: who says so.
            data: the signed head.
            said: the time of the item, which orders what one person says.
        """
        try:
            signed = SignedHead.decode(data)
        except WireError:
            return
        active = contact.card.device(signed.head.device.device)
        if signed.head.person != contact.person or active is None:
            return
        chain: list[Value] = list(contact.card.chain)
        self._store.db.execute(
            "INSERT INTO witnessed VALUES (?, ?, ?, ?) ON CONFLICT (person) DO UPDATE SET"
            " head = excluded.head, chain = excluded.chain, said = excluded.said"
            " WHERE excluded.said > witnessed.said",
            (contact.person.raw, data, encode(chain), said),
        )

    def answer(self, contact: Contact) -> None:
        """Tell a contact where we saw their archive stand, at most once an hour."""
        name, now = _ANSWERED + contact.person.text, self._now()
        last = int.from_bytes(self._store.note(name) or b"", "big")
        if 0 <= now - last < ANSWER_EVERY:
            return
        self._store.keep_note(name, int(now).to_bytes(8, "big"))
        row = self._store.db.execute(
            "SELECT head, chain FROM witnessed WHERE person = ?", (contact.person.raw,)
        ).fetchone()
        told = HeadTold(b"", ())
        if row is not None:
            head, chain = bytes(row[0]), _statements(bytes(row[1]))
            if not was_revoked(contact.card, SignedHead.decode(head).head.device):
                told = HeadTold(head, chain)
        self._outgoing.put(contact, told)

    # For us

    def speak(self) -> None:
        """Tell and ask what is to be told and asked by now."""
        if self._is_time_to_tell():
            self._tell()
        if self._store.note(ASK_CONTACTS) is not None:
            self._ask()
        self._judge()

    @property
    def has_to_speak(self) -> bool:
        """Whether `speak` would do something."""
        return self._is_time_to_tell() or bool(
            self._store.note(ASK_CONTACTS) is not None or self._notes(_HEARD)
        )

    def hear(self, contact: Contact, data: bytes, statements: Sequence[bytes]) -> None:
        """Take the answer of a contact whom we have asked."""
        if self._store.note(_ASKED + contact.person.text) is None or not data:
            return
        try:
            signed = SignedHead.decode(data)
            card = Card.follow(self._me.person, list(statements))
        except WireError:
            return
        device = signed.head.device
        if signed.head.person != self._me.person or card.device(device.device) is None:
            return
        if not was_revoked(self._me.card, device):
            self._store.keep_note(_HEARD + contact.person.text, data)

    def older(self) -> tuple[Older, ...]:
        """Return by whose word the archive is older than it was."""
        found = []
        for text, value in self._notes(_OLDER):
            contact = self._contacts.of(PersonId.from_text(text))
            match decode(value, limit=64):
                case [int(seen), int(here)]:
                    found.append(Older(contact.name if contact else "somebody", seen, here))
        return tuple(found)

    def _is_time_to_tell(self) -> bool:
        head, note = self._archive.head, self._store.note(TOLD) or bytes(16)
        if head is None or self._archive.to_read:
            return False
        when, seq = int.from_bytes(note[:8], "big"), int.from_bytes(note[8:], "big")
        return head.head.seq != seq and not 0 <= self._now() - when < TELL_EVERY

    def _tell(self) -> None:
        head = self._archive.head
        if head is None or not (witnesses := self._first(WITNESSES)):
            return
        for contact in witnesses:
            self._outgoing.put(contact, ArchiveHead(head.encode()))
        mark = int(self._now()).to_bytes(8, "big") + head.head.seq.to_bytes(8, "big")
        self._store.keep_note(TOLD, mark)

    def _ask(self) -> None:
        """Ask those who were not asked yet: contacts may become known one after the other."""
        contacts = self._first(ASKED)
        for contact in contacts:
            name = _ASKED + contact.person.text
            if self._store.note(name) is None:
                self._store.keep_note(name, int(self._now()).to_bytes(8, "big"))
                self._outgoing.put(contact, HeadAsk())
        if len(contacts) == ASKED:
            self._store.keep_note(ASK_CONTACTS, None)

    def _first(self, count: int) -> list[Contact]:
        """Return the contacts who were verified and added first: every device names the same."""
        found = [one for one in self._contacts.all() if not one.blocked]
        return sorted(found, key=lambda one: (not one.verified, one.added, one.person.raw))[:count]

    def _judge(self) -> None:
        """Compare what was heard with what the gateway has."""
        ours = self._archive.head
        for text, value in self._notes(_HEARD):
            theirs = SignedHead.decode(value).head
            here = 0 if ours is None else ours.head.seq
            row = self._store.db.execute(
                "SELECT hash FROM segment WHERE seq = ?", (theirs.seq,)
            ).fetchone()
            if theirs.seq <= here and row is None and self._archive.to_read:
                continue  # not read yet
            self._store.keep_note(_HEARD + text, None)
            if theirs.seq > here or (row is not None and row[0] not in (b"", theirs.hash)):
                self._store.keep_note(_OLDER + text, encode([theirs.seq, here]))

    def _notes(self, prefix: str) -> list[tuple[str, bytes]]:
        rows = self._store.db.execute(
            "SELECT name, value FROM note WHERE name GLOB ? ORDER BY name", (f"{prefix}*",)
        )
        return [(name.removeprefix(prefix), bytes(value)) for name, value in rows.fetchall()]


def was_revoked(card: Card, device: DeviceKey) -> bool:
    """Return whether a device was taken off a card by another device of it.

    A root statement that begins anew does not say so: after a recovery every older device is off,
    and what they signed before is just what has to count.
    """
    return lists(card, device) and card.device(device.device) is None


def _statements(data: bytes) -> tuple[bytes, ...]:
    value = decode(data, limit=MAX_CHAIN * (MAX_STATEMENT + 8))
    return tuple(one for one in value if isinstance(one, bytes)) if isinstance(value, list) else ()


async def keep_archive(store: Store, me: Me, gateway: GatewayClient, *, now: float) -> None:
    """Bring the archive up to date where the gateway lets us, and let contacts know.

    What the gateway refuses stops nothing.

    Raises:
        GatewayNotThere, WrongGateway
    """

    def clock() -> float:
        return now

    archive = Archive(store, me, now=clock)
    if archive.is_due:
        with suppress(GatewayRefused):
            await archive.keep(gateway)
    witness = Witness(store, me, Outgoing(store, me, now=clock), now=clock)
    if witness.has_to_speak:
        with store.transaction():
            witness.speak()
