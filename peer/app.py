"""A person's phone as a library: what the command line calls, and any other face later.

    async with open_peer(home) as peer:
        await peer.send("Ben", "Soup is on the stove.")

Everything a person asks for is stored before anything is sent; what could not be sent is tried
again by every later call, and by `watch` while it runs. One `Peer` is used by one task at a time;
several processes may each have one on the same folder.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from peer.devices.adding import AddingDevice, AskDigits
from peer.devices.archive import Archive
from peer.devices.drafts import Draft, Drafts
from peer.devices.joining import JoiningDevice
from peer.devices.names import Names, OwnDevice
from peer.devices.notices import unshown_notices
from peer.devices.revoking import revoke_device
from peer.devices.spares import Spare, Spares
from peer.devices.witness import Witness
from peer.errors import (
    BadCode,
    Blocked,
    GatewayRefused,
    NoPerson,
    NothingToSend,
    PersonExists,
    PhoneCopied,
    TooLarge,
    WrongKit,
)
from peer.items.kinds import File, Letter, TooLong
from peer.keys.errors import TooLarge as TooLargeToSeal
from peer.keys.returning import Root
from peer.keys.words import seed_of
from peer.letterbox import Letterbox, Shown, Trouble
from peer.me import Me
from peer.people.adding import Adding
from peer.people.contacts import Contact, Contacts
from peer.people.freshness import Freshness
from peer.people.keepers import Keepers
from peer.people.lanes import Lanes
from peer.people.news import Noticed
from peer.people.pairing import Ask, Pairing
from peer.recovery.asking import Asking
from peer.recovery.back import Back, ComingBack, Where
from peer.recovery.friends import Friends
from peer.recovery.guarding import Alarmed, Guard
from peer.recovery.kit import KitKeeping, kit_mark
from peer.store import Store, open_store
from peer.unlocking import AskPin, file_key, lock_name
from peer.watching import (
    AWAY,
    ArchiveOlder,
    Arrived,
    Away,
    Event,
    Here,
    Missing,
    Moved,
    Restoring,
    Watch,
    read_archive,
    restored,
)
from peer.ways.furnishing import at_home, keep_in_step
from peer.ways.notifying import Notifications
from peer.ways.sending import Sending, State
from peer.ways.state_sync import COPIED
from wire.card import Role
from wire.codes import ContactCode, DeviceCode, GatewayCode, KitCode
from wire.errors import WireError, WrongCode
from wire.ids import PersonId
from wire.places import Place

__all__ = [
    "Alarmed",
    "ArchiveOlder",
    "Arrived",
    "Away",
    "Event",
    "Here",
    "Missing",
    "Moved",
    "Noticed",
    "OwnDevice",
    "Peer",
    "Reading",
    "Restoring",
    "Shown",
    "State",
    "Trouble",
    "open_peer",
]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a look into the mailbox brought."""

    letters: tuple[Shown, ...]
    missing: tuple[Missing, ...]
    troubles: tuple[Trouble, ...]
    noticed: tuple[Noticed, ...]
    """What cards say: devices that came and went."""
    away: str | None
    """Why the gateway could not be asked, if it could not."""


@asynccontextmanager
async def open_peer(
    home: Path,
    *,
    create: bool = False,
    now: Callable[[], float] = time.time,
    ask_pin: AskPin | None = None,
) -> AsyncIterator["Peer"]:
    """Open the phone in the folder `home`.

    Args:
        home: where its file lies.
        create: whether to make one; `Peer.begin` then makes the person.
        now: returns Unix seconds.
        ask_pin: asks for the PIN, if the file is sealed under one.

    Raises:
        NoPerson: there is no phone there, and none was to be made.
        Locked, WrongPin, KeyringAway: it is sealed, and its key is not to be had.
        StoreUnusable, NewerStore
    """
    store = open_store(home, create=create, key=await file_key(home, ask_pin))
    if store is None:
        raise NoPerson
    try:
        yield Peer(store, now=now)
    finally:
        store.close()


class Peer:
    """A phone that is open. Get one from `open_peer`."""

    def __init__(self, store: Store, *, now: Callable[[], float]) -> None:
        self._store = store
        store.now = now
        self._now = now
        self.contacts = Contacts(store.db)

    # The person

    def begin(self, name: str, *, role: Role = Role.COMPUTER) -> None:
        """Make a new person on this phone.

        Raises:
            PersonExists: there is one.
            EmptyName: nothing to see in the name.
        """
        with self._store.transaction():
            Me.begin(self._store, name=name, role=role, now=self._now())

    @property
    def me(self) -> Me:
        """Whose phone this is.

        Raises:
            NoPerson: nobody's yet.
        """
        return Me(self._store)

    @property
    def name(self) -> str:
        """What the person calls herself."""
        return self.me.name

    @property
    def person(self) -> PersonId:
        """Who the person is."""
        return self.me.person

    @property
    def kit(self) -> KitKeeping:
        """The person's recovery kit."""
        return KitKeeping(self._store, self.me, now=self._now)

    @property
    def notifications(self) -> Notifications:
        """What may wake this phone, and why it was woken."""
        return Notifications(self._store, self.me, now=self._now)

    async def come_back(
        self,
        kit: KitCode,
        *,
        name: str,
        place: Place | None = None,
        spare: bool = False,
        role: Role = Role.COMPUTER,
    ) -> Back:
        """Come back with a kit to the gateway that holds the mailbox, as the only device.

        Args:
            kit: the kit.
            name: what others see.
            place: where the gateway is, if not where the kit says.
            spare: whether it is a spare of this person's: her card does not name it.
            role: what this device is.

        Raises:
            PersonExists, EmptyName
            WrongKit: the kit is not what it says, or nobody with it has a mailbox there.
            BadCode: it names no gateway.
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        Root(kit.seed).check(kit.person)
        if not (places := kit.places if place is None else (place,)):
            raise BadCode("this kit does not say where your box is; give its address with --at")
        where = Where(None, places, spare=True) if spare else Where(kit.gateway, places)
        back = await self._coming_back(role).at_gateway(kit.seed, where, name=name)
        await self.try_outbox()
        return back

    async def come_back_with_words(
        self,
        words: Sequence[str],
        place: Place,
        *,
        name: str,
        spare: bool = False,
        role: Role = Role.COMPUTER,
    ) -> Back:
        """Come back with the twenty words, to the gateway at a place.

        Raises:
            MistypedWord: a word is named.
            PersonExists, EmptyName, WrongKit, GatewayNotThere, WrongGateway, GatewayRefused
        """
        where = Where(None, (place,), spare=spare)
        back = await self._coming_back(role).at_gateway(seed_of(words), where, name=name)
        await self.try_outbox()
        return back

    def come_back_alone(
        self,
        seed: bytes,
        *,
        name: str,
        person: PersonId | None = None,
        mark: str = "",
        role: Role = Role.COMPUTER,
    ) -> Back:
        """Come back where no gateway is left; then pair with one.

        Args:
            seed: of the kit.
            name: what others see.
            person: whose the kit says it is; None where only its words were typed.
            mark: what it says of itself, where only its words were typed.
            role: what this device is.

        Raises:
            WrongKit: it is another one; nothing was made of it.
            PersonExists, EmptyName
        """
        root = Root(seed)
        if person is not None:
            root.check(person)
        elif mark.strip().lower() != kit_mark(root.person):
            raise WrongKit(
                f"these are not the words of the kit {mark!r}, and nothing was made of them; its"
                " mark stands below the words"
            )
        return self._coming_back(role).without_gateway(seed, name=name)

    def _coming_back(self, role: Role) -> ComingBack:
        return ComingBack(self._store, now=self._now, role=role)

    @property
    def friends(self) -> Friends:
        """Friends who keep shares of my recovery seed, and those whose shares I keep."""
        return Friends(self._store, self.me, now=self._now)

    def asking(self, role: Role = Role.COMPUTER) -> Asking:
        """Return what asks friends for help, on a phone on which there is nobody."""
        return Asking(self._store, now=self._now, role=role)

    async def alarms(self) -> tuple[Alarmed, ...]:
        """Return who asks for a gateway's share; gateways that are away are passed over."""
        guard = Guard(self._store, self.me, now=self._now)
        await guard.look_for_friends(at_once=True)
        return guard.alarms()

    # The gateway

    async def pair(self, text: str, ask: Ask) -> tuple[Place, ...]:
        """Pair this phone with the gateway whose code was read; return where it may be found.

        The same code again, after an answer was lost, ends as it would have.

        Raises:
            BadCode: no gateway's code.
            NotTheSame: the check codes differ, or the box said no.
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        code = _parse(GatewayCode.parse, text)
        home = await Pairing(self._store, self.me, self._now).pair(code, ask)
        await self.try_outbox()
        return home.places

    async def move_gateway(self, text: str) -> Place:
        """Correct where the gateway is; its key stays what it was.

        Raises:
            BadCode: no address.
            NotPaired, GatewayNotThere, WrongGateway
        """
        try:
            place = Place.parse(text)
        except WireError:
            raise BadCode(
                f"{text!r} is no address; write for example 192.168.1.20 or box.example:4433"
            ) from None
        await Pairing(self._store, self.me, self._now).move(place)
        await self._tell_gateway()
        await self.try_outbox()
        return place

    # Contacts

    async def show_card(
        self, on_code: Callable[[ContactCode], Awaitable[None]], ask: Ask | None
    ) -> Contact:
        """Show a code, wait for whoever reads it, and make them a contact.

        An addition that was cut off after somebody had read its code goes on with the same code.

        Args:
            on_code: shows the code.
            ask: compares the check codes; None: nobody does, and the contact is unverified.

        Raises:
            NotPaired, NobodyAnswered, NotTheSame, BadCode
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        me = self.me
        adding = Adding(self._store, me, self._now)
        async with at_home(self._store, me, now=self._now()) as gateway:
            with self._store.only_one("card") as alone:
                host = await adding.begin(gateway, go_on=alone)
                await on_code(host.code)
                contact = await adding.show(gateway, host, ask=ask)
                await keep_in_step(self._store, me, gateway, now=self._now())
        await self.try_outbox()
        return contact

    async def add(self, text: str, ask: Ask | None) -> Contact:
        """Answer a code that somebody shows, and make them a contact.

        Raises:
            BadCode: no contact's code, our own, or one that is over.
            NobodyAnswered, NotTheSame, GatewayNotThere, WrongGateway, GatewayRefused
        """
        me, code = self.me, _parse(ContactCode.parse, text)
        adding = Adding(self._store, me, self._now)
        if me.home is None:
            contact = await adding.read(code, gateway=None, ask=ask)
        else:
            async with at_home(self._store, me, now=self._now()) as gateway:
                contact = await adding.read(code, gateway=gateway, ask=ask)
                await keep_in_step(self._store, me, gateway, now=self._now())
        await self.try_outbox()
        return contact

    def rename(self, name: str, new_name: str) -> Contact:
        """Call a contact something else; return the contact.

        Raises:
            NoSuchContact, EmptyName, NameTaken
        """
        with self._store.transaction():
            return self.contacts.rename(self.contacts.named(name), new_name)

    async def block(self, name: str) -> bool:
        """Take nothing more from a contact; return whether the gateway knows by now.

        Raises:
            NoSuchContact
        """
        with self._store.transaction():
            contact = self.contacts.named(name)
            self.contacts.block(contact)
            Lanes(self._store.db).revoke(contact.person)
        return await self._tell_gateway()

    async def forget(self, name: str) -> bool:
        """Forget a contact and all that was exchanged; return whether the gateway knows by now.

        Raises:
            NoSuchContact
        """
        with self._store.transaction():
            contact = self.contacts.named(name)
            lanes = Lanes(self._store.db)
            lanes.revoke(contact.person)
            lanes.forget(contact.person)
            Keepers(self._store.db).forget(contact.person)
            self._letterbox().forget(contact)
            self._store.vault.forget(contact.person)
            self.contacts.forget(contact)
        return await self._tell_gateway()

    # My devices

    @property
    def devices(self) -> tuple[OwnDevice, ...]:
        """My devices, this one first."""
        me = self.me
        own = me.identity.device.id
        return tuple(
            OwnDevice(name, entry.role, entry.id, entry.id == own)
            for entry, name in Names(self._store, me).all()
        )

    async def add_device(
        self,
        text: str | None,
        *,
        on_code: Callable[[DeviceCode], Awaitable[None]],
        ask: AskDigits,
        name: str | None = None,
        without_kit: bool = False,
    ) -> str:
        """Let a new device in; return what it is called.

        Args:
            text: the code that the new device shows; None: this one shows one.
            on_code: shows the code.
            ask: says which device it is, and returns the digits that were typed.
            name: what it is to be called; None: what it calls itself.
            without_kit: whether to go on although the seed is still here.

        Raises:
            KitFirst, TooManyDevices, BadCode, NotTheSame, NobodyAnswered
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        code = None if text is None else _parse(DeviceCode.parse, text)
        adding = AddingDevice(self._store, self.me, self._now, name=name, without_kit=without_kit)
        adding.refuse()
        async with at_home(self._store, self.me, now=self._now()) as gateway:
            if code is None:
                called = await adding.show(gateway, on_code, ask)
            else:
                called = await adding.read(gateway, code, ask)
        await self.try_outbox()
        return called

    async def join(
        self,
        text: str | None,
        *,
        place: Place | None,
        on_code: Callable[[DeviceCode], Awaitable[None]],
        show: Callable[[int], Awaitable[None]],
        name: str,
        role: Role = Role.COMPUTER,
    ) -> Me:
        """Make this phone a device of somebody who has one; return who that is.

        Args:
            text: the code that the other device shows; None: this one shows one.
            place: where the box is, if this one shows the code.
            on_code: shows the code.
            show: shows the digits that are to be typed into the other device.
            name: what this device is to be called.
            role: what it is.

        Raises:
            PersonExists, BadCode, NotTheSame, NobodyAnswered
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        if self._has_person():
            raise PersonExists("there is a person on this phone already; use another --home")
        joining = JoiningDevice(self._store, self._now, name=name, role=role)
        if text is not None:
            return await joining.read(_parse(DeviceCode.parse, text), show)
        if place is None:
            raise BadCode("to show a code here, say where your box is")
        return await joining.show(place, on_code, show)

    def _has_person(self) -> bool:
        try:
            return bool(self.me)
        except NoPerson:
            return False

    def rename_device(self, name: str, new_name: str) -> str:
        """Call a device of mine something else; return the name as it is kept.

        Raises:
            NoSuchDevice, EmptyName, NameTaken
        """
        names = Names(self._store, self.me)
        with self._store.transaction():
            return names.rename(names.named(name), new_name)

    async def revoke_device(self, name: str) -> str:
        """Take a device of mine off; return what it was called.

        Raises:
            NoSuchDevice, OnlyDevice
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        me, now = self.me, self._now()
        names = Names(self._store, me)
        async with at_home(self._store, me, now=now) as gateway:
            entry = names.named(name)
            called = names.of(entry)
            await revoke_device(self._store, me, gateway, entry, now=now)
        await self.try_outbox()
        return called

    # Letters

    async def send(self, name: str, text: str, file: File | None = None) -> State:
        """Write to a contact; return where the letter is now.

        It is stored before anything is sent, and never lost because something could not be.

        Raises:
            NoSuchContact: nobody of this name.
            Blocked: somebody whom we have blocked.
            NothingToSend: no text and no file.
            TooLarge: it does not fit into a letter.
            StoreUnusable
        """
        contact = self.contacts.named(name)
        if contact.blocked:
            raise Blocked(f"you have blocked {contact.name}; add them again to write to them")
        if not text.strip() and file is None:
            raise NothingToSend("there is nothing in this letter; write a text or add a file")
        sending = self._sending()
        try:
            item = sending.write(contact, Letter.write(text, file))
        except (TooLong, TooLargeToSeal) as error:
            raise TooLarge(f"{error}; larger things cannot be sent yet") from None
        Drafts(self._store, self.me).drop(contact, text)
        await sending.deliver()
        return sending.state(item)

    def drafts(self, name: str) -> tuple[Draft, ...]:
        """Return what was begun for a contact, here and on other devices.

        Raises:
            NoSuchContact
        """
        return Drafts(self._store, self.me).of(self.contacts.named(name))

    def keep_draft(self, name: str, text: str) -> None:
        """Keep a letter that is begun, in place of what was begun before.

        Raises:
            NoSuchContact, TooLarge
        """
        Drafts(self._store, self.me).keep(self.contacts.named(name), text)

    def drop_draft(self, name: str) -> None:
        """Drop what was begun for a contact.

        Raises:
            NoSuchContact
        """
        Drafts(self._store, self.me).drop(self.contacts.named(name))

    async def try_outbox(self) -> int:
        """Try everything that waits here; return how much still does."""
        return await self._sending().deliver()

    async def read(self, name: str | None = None, *, everything: bool = False) -> Reading:
        """Collect what waits, and return letters: those not shown yet, or all.

        Args:
            name: of this contact only.
            everything: the ones shown before and our own as well.

        Raises:
            NoSuchContact
        """
        only = self.contacts.named(name).person if name else None
        watch, away = self._watch(), None
        try:
            if self.me.home is not None:
                await watch.collect()
        except (*AWAY, GatewayRefused) as trouble:
            away = str(trouble)
        await self.try_outbox()
        box = self._letterbox()
        letters = box.everything(only) if everything else box.unshown(only)
        if only is None and away is None and letters:
            await self.notifications.tell_read()
        noticed = unshown_notices(self._store, self.me)
        return Reading(tuple(letters), watch.missing(), tuple(box.troubles()), noticed, away)

    async def read_quietly(self) -> None:
        """Collect what waits without showing letters; a gateway that is away is passed over."""
        if self.me.home is not None:
            with suppress(*AWAY, GatewayRefused):
                await self._watch().collect()
        await self.try_outbox()

    async def watch(
        self, *, once: bool = False, until_idle: bool = False
    ) -> AsyncGenerator[Event, None]:
        """Carry letters both ways as they come, until the caller stops.

        Args:
            once: stop after the first letter.
            until_idle: collect what waits, send what can be sent, and stop.

        Raises:
            NotPaired
            GatewayRefused: the gateway does not serve this phone any more.
        """
        watch = self._watch()
        async with aclosing(watch.once() if until_idle else watch.run()) as events:
            async for event in events:
                yield event
                if once and isinstance(event, Arrived):
                    return

    async def try_state(self) -> bool:
        """Tell other devices what this one has changed, and hear them; return whether that went.

        Raises:
            PhoneCopied: there are changes of this phone that it does not know.
        """
        reached = await self._tell_gateway()
        if self._store.note(COPIED) is not None:
            raise PhoneCopied
        return reached

    async def status(self) -> dict[str, Any]:
        """Return how this phone is, and whether its gateway answers."""
        me = self.me
        home, gateway, mailbox = me.home, "none", None
        if home is not None:
            try:
                async with at_home(self._store, me, now=self._now()) as client:
                    mailbox, gateway = await client.status(), "answers"
            except (*AWAY, GatewayRefused) as trouble:
                gateway = str(trouble)
        sending, fresh = self._sending(), Freshness(self._store, me, now=self._now)
        waiting = await sending.deliver()
        return {
            "name": me.name,
            "person": me.person.text,
            "lock": lock_name(self._store.path.parent),
            "kit_checked": self.kit.checked is not None,
            "seed_on_phone": self.kit.seed_is_here,
            "gateway": gateway,
            "places": [str(one) for one in home.places] if home else [],
            "mailbox": mailbox,
            "contacts": len(self.contacts.all()),
            "waiting": waiting,
            "letters_waiting": sending.outgoing.letters_waiting(),
            "copied": self._store.note(COPIED) is not None,
            "missing": {one.contact: one.count for one in self._watch().missing()},
            "given_up": [
                {"to": contact, "why": why} for contact, why in self._letterbox().given_up()
            ],
            "cards_behind": [
                one.name
                for one in self.contacts.all()
                if self._store.note(f"behind/{one.person.text}") is not None
            ],
            "cards_stale": [one.name for one in self.contacts.all() if fresh.stale(one.card)],
        }

    # The archive

    def archive_status(self) -> dict[str, Any]:
        """Return what is in the archive, and what of it could not be read."""
        me = self.me
        witness = Witness(self._store, me, self._sending().outgoing, now=self._now)
        status = Archive(self._store, me, now=self._now).status()
        status["older"] = [
            {"contact": one.contact, "seen": one.seen, "here": one.here} for one in witness.older()
        ]
        return status

    def archive_letters(self, name: str, *, keep: bool) -> Contact:
        """Let the letters to and from a contact go into the archive, or not; return the contact.

        What is in it already stays there: nothing can be taken out of an archive.

        Raises:
            NoSuchContact
        """
        archive = Archive(self._store, self.me, now=self._now)
        with self._store.transaction():
            contact = self.contacts.named(name)
            turn = archive.turn_on if keep else archive.turn_off
            turn(contact.person)
        return contact

    async def restore_archive(self, *, again: bool = False) -> AsyncGenerator[Restoring, None]:
        """Read what of the archive is not on this phone, the newest first; yield how far it is.

        Cut off, it goes on where it was.

        Args:
            again: read everything once more, also what was refused.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        me = self.me
        archive = Archive(self._store, me, now=self._now)
        if again:
            archive.read_again()
        async with at_home(self._store, me, now=self._now()) as gateway:
            async for event, _ in read_archive(archive, gateway):
                yield event
        yield restored(archive)

    # Spares

    async def add_spare(self, text: str, ask: Ask) -> dict[str, Any]:
        """Let a second gateway, whose code was read, keep copies; return how it is.

        Raises:
            BadCode: no gateway's code, or our own gateway's.
            NotTheSame: the check codes differ, or the box said no.
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        me, code = self.me, _parse(GatewayCode.parse, text)
        if me.needs_home().gateway == code.gateway:
            raise BadCode("this is your own box; a spare is another one")
        home = await Pairing(self._store, me, self._now).pair_beside(code, ask)
        spares = Spares(self._store, me, now=self._now)
        with self._store.transaction():
            spares.add(home)
        async with at_home(self._store, me, now=self._now()) as gateway:
            await spares.copy_all(gateway, due_only=False)
        return next(_spare(one) for one in spares.all() if one.home.gateway == home.gateway)

    async def spares(self) -> list[dict[str, Any]]:
        """Bring the spares up to date; return how they are.

        Raises:
            NotPaired, GatewayNotThere, WrongGateway, GatewayRefused
        """
        me = self.me
        spares = Spares(self._store, me, now=self._now)
        if spares.homes():
            async with at_home(self._store, me, now=self._now()) as gateway:
                await spares.copy_all(gateway, due_only=False)
        return [_spare(one) for one in spares.all()]

    def remove_spare(self, text: str) -> dict[str, Any]:
        """Copy nothing more to the spare at a place; return which it was.

        Raises:
            BadCode: none is there.
        """
        spares = Spares(self._store, self.me, now=self._now)
        for one in spares.all():
            if text in map(str, one.home.places):
                with self._store.transaction():
                    spares.remove(one.home)
                return _spare(one)
        raise BadCode(f"no spare is at {text!r}; see where they are with: spare list")

    # Inside

    def _sending(self) -> Sending:
        return Sending(self._store, self.me, now=self._now)

    def _letterbox(self) -> Letterbox:
        return Letterbox(self._store, self.me, self._sending())

    def _watch(self) -> Watch:
        return Watch(self._store, self.me, now=self._now)

    async def _tell_gateway(self) -> bool:
        """Bring the gateway up to date; return whether it is."""
        me = self.me
        if me.home is None:
            return True
        try:
            async with at_home(self._store, me, now=self._now()):
                return True
        except (*AWAY, GatewayRefused):
            return False


def _spare(one: Spare) -> dict[str, Any]:
    places = [str(place) for place in one.home.places]
    return {
        "places": places,
        "copied": one.copied,
        "segments": one.segments,
        "trouble": one.trouble,
        "share": one.share,
    }


T = TypeVar("T")


def _parse(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except WrongCode as error:
        raise BadCode(str(error)) from None
    except WireError as error:
        raise BadCode(f"{error}; copy it again, or ask for a new one") from None
