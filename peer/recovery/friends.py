"""Friends who keep shares: chosen, rehearsed, asked for by somebody, and helping others.

    choose      the gateway gets its share first; then each friend one, and the ones before erase
                theirs
    rehearse    once a year each keeper shows with one yes that the share is still there
    help        a keeper sees who asks and compares the check code; the share is sealed to the new
                device's key, and to nothing that was lost

What can be recovered so, and what not, is said before anybody is chosen (docs/protocol.md §16.4).
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from peer.devices.spares import Spares
from peer.errors import KitGone, NoKeepers, NothingKept
from peer.items.kinds import SET_BYTES, GiveUp, KeptShare
from peer.keys.helping import MAX_NAME, MAX_PLACE, MAX_PLACES, Help, help_number, seal_help
from peer.keys.returning import Root
from peer.keys.shares import MAX_KEEPERS, MIN_NEED, proof_key, split
from peer.me import Certificates, Me
from peer.people.contacts import Contact, Contacts
from peer.people.keepers import Keeper, Keepers, Kept
from peer.store import Store
from peer.ways.connection import connect
from peer.ways.furnishing import at_home
from peer.ways.outgoing import Outgoing
from peer.ways.recovery_client import RecoveryClient
from wire.codec import decode, encode
from wire.codes import AnswerCode, HelpCode
from wire.ids import PersonId, RecoveryId
from wire.recovery import Left

CHOSEN: Final = "friends-chosen"

PRICE: Final = (
    "What this gives: when all your devices and your kit are gone, {need} of these {count} friends"
    " and your box bring you back, three days after they ask.",
    "What it does not give: without the box, and without another box that keeps its share, friends"
    " cannot bring you back; only a kit or a second device can. What only your lost phone had stays"
    " lost.",
    "What it costs: {need} of them who agree against you can become you, if you have one device and"
    " no kit and do not see the alarm for three days. Keep the kit too.",
)
"""What is said before friends are chosen."""


@dataclass(frozen=True, slots=True)
class Circle:
    """The friends in force."""

    need: int
    keepers: tuple[tuple[str, Keeper], ...]
    """Each with the name by which we call him."""


class Friends:
    """Keeping shares, on both sides.

    Args:
        store: the phone's file.
        me: whose phone it is.
        now: returns Unix seconds.
    """

    def __init__(self, store: Store, me: Me, *, now: Callable[[], float]) -> None:
        self._store = store
        self._me = me
        self._now = now
        self._contacts = Contacts(store.db)
        self._keepers = Keepers(store.db)
        self._outgoing = Outgoing(store, me, now=now)

    # Ours

    def look_up(self, names: Sequence[str], need: int | None) -> tuple[list[Contact], int]:
        """Return who is meant, and how many of them are to be needed.

        Raises:
            NoSuchContact
            NoKeepers: too few, too many, one twice, blocked, or never compared.
        """
        chosen = [self._contacts.named(name) for name in names]
        count = len({one.person for one in chosen})
        needed = max(MIN_NEED, count // 2 + 1) if need is None else need
        if count != len(chosen):
            raise NoKeepers("somebody is named twice; each friend keeps one share")
        if not MIN_NEED <= needed <= count <= MAX_KEEPERS:
            raise NoKeepers(
                f"choose {MIN_NEED} to {MAX_KEEPERS} friends, and need at least {MIN_NEED} of them;"
                " three of five is usual"
            )
        for one in chosen:
            if one.blocked or not one.verified:
                raise NoKeepers(
                    f"{one.name} is blocked, or nobody compared your check codes; meet first, and"
                    " compare them"
                )
        return chosen, needed

    async def choose(self, chosen: Sequence[Contact], *, need: int, seed: bytes | None) -> None:
        """Split the seed among friends and the gateway, in place of those who had it before.

        Args:
            chosen: from `look_up`.
            need: how many of them are needed.
            seed: from the kit; None: it is still on this phone.

        Raises:
            KitGone: it is not, and was not given.
            WrongKit: the kit of somebody else.
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        if seed is None and (seed := self._store.vault.seed()) is None:
            raise KitGone
        Root(seed).check(self._me.person)
        made = split(seed, need=need, count=len(chosen))
        set_, notice = secrets.token_bytes(SET_BYTES), secrets.token_bytes(SET_BYTES)
        async with at_home(self._store, self._me, now=self._now()) as gateway:
            with self._store.transaction():  # cut off behind this, nobody counts on those of before
                self._store.keep_note(CHOSEN, None)
            left = Left(proof_key(made.secret), made.gateway, notice)
            await gateway.leave_share(left)
        await Spares(self._store, self._me, now=self._now).leave_share(left)
        with self._store.transaction():
            self._take_back({one.person for one in chosen})
            for contact, share in zip(chosen, made.friends, strict=True):
                kept = KeptShare(set_, share, need, made.marks, notice)
                item = self._outgoing.put(contact, kept)
                self._keepers.give(contact.person, kept, item=item, now=self._now())
            self._store.keep_note(CHOSEN, encode([need, len(chosen), int(self._now())]))

    def _take_back(self, but: set[PersonId]) -> None:
        for one in self._keepers.all():
            contact = self._contacts.of(one.person)
            if contact is not None and one.person not in but:
                self._outgoing.put(contact, GiveUp(one.set))
            self._keepers.drop(one.person)

    def circle(self) -> Circle | None:
        """Return the friends in force; None if none were chosen."""
        note = self._store.note(CHOSEN)
        match None if note is None else decode(note, limit=64):
            case [int(need), int(), int()]:
                pass
            case _:
                return None
        found = []
        for one in self._keepers.all():
            contact = self._contacts.of(one.person)
            found.append(("somebody you have forgotten" if contact is None else contact.name, one))
        return Circle(need, tuple(found))

    def rehearse(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Ask all our keepers to show their shares, and show those that others ask us for.

        Returns:
            the names of those who are asked, and of those who are answered.
        """
        asked, answered = [], []
        with self._store.transaction():
            for keeper in self._keepers.all():
                contact = self._contacts.of(keeper.person)
                if contact is not None and not contact.blocked:
                    self._outgoing.put(contact, self._keepers.rehearse(keeper.person))
                    asked.append(contact.name)
            for kept in self._keepers.kept():
                contact = self._contacts.of(kept.person)
                if contact is not None and kept.nonce is not None:
                    self._outgoing.put(contact, self._keepers.show(kept))
                    answered.append(contact.name)
        return tuple(asked), tuple(answered)

    async def cancel(self, request: RecoveryId, *, seed: bytes | None = None) -> None:
        """End a request for the gateway's share.

        Args:
            request: which.
            seed: of the kit, where this device was named as lost.

        Raises:
            WrongKit, NotPaired, GatewayNotThere, WrongGateway
            GatewayRefused: `named-lost`: the kit is needed.
        """
        if seed is None:
            async with at_home(self._store, self._me, now=self._now()) as gateway:
                await gateway.cancel_request(request)
            return
        root, home = Root(seed), self._me.needs_home()
        root.check(self._me.person)
        certificates = Certificates(self._store)
        async with connect(
            certificates.of(home.gateway, home.places), learned=certificates.learn
        ) as connection:
            await RecoveryClient(connection).cancel(root.proving(request))

    # Theirs

    def kept(self) -> tuple[tuple[Contact, Kept], ...]:
        """Return whose shares we keep."""
        pairs = ((self._contacts.of(one.person), one) for one in self._keepers.kept())
        return tuple((contact, one) for contact, one in pairs if contact is not None)

    def may_help(self, name: str, code: HelpCode) -> tuple[Contact, int]:
        """Return who asks, as the holder of this phone says, and the check number to compare.

        Raises:
            NoSuchContact
            NothingKept: we keep no share of theirs.
        """
        contact = self._contacts.named(name)
        self._share_of(contact)
        return contact, help_number(code.key)

    def help(self, contact: Contact, code: HelpCode) -> AnswerCode:
        """Hand out the share, sealed to the new device: its number was compared.

        Raises:
            NothingKept, WeakKey
        """
        kept, entry = self._share_of(contact), next(iter(contact.card.gateways), None)
        answer = Help(
            contact.person,
            _short(self._me.name),
            kept.set,
            kept.share,
            kept.need,
            kept.marks,
            None if entry is None else entry.gateway,
            () if entry is None else _some_places(entry.places),
            tuple(one.id for one in contact.card.devices),
        )
        with self._store.transaction():
            self._keepers.helped(contact.person, now=self._now())
        return AnswerCode(seal_help(answer, to=code.key))

    def _share_of(self, contact: Contact) -> Kept:
        kept = self._keepers.kept_for(contact.person)
        if kept is None:
            raise NothingKept(f"you keep no share for {contact.name}; nobody can ask you for one")
        return kept


def _short(name: str) -> str:
    while len(name.encode("utf-8")) > MAX_NAME:
        name = name[:-1]
    return name


def _some_places(places: Sequence[str]) -> tuple[str, ...]:
    return tuple(one for one in places if len(one.encode("utf-8")) <= MAX_PLACE)[:MAX_PLACES]
