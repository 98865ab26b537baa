"""Who this phone belongs to: keys, card, name, and the gateway it is paired with."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from peer.devices.belongings import TOLD, Belongings
from peer.errors import EmptyName, NoPerson, NotPaired, PersonExists
from peer.keys.birth import Change, begin_person, state, state_gateways
from peer.keys.person import Identity, PersonKey
from peer.keys.returning import Returning
from peer.people.contacts import clean_name, follow
from peer.people.news import News
from peer.store import Store
from peer.ways.connection import Destination
from wire.auth import Channel, Joining, Login
from wire.card import MAX_CHAIN, MAX_KEPT, MAX_STATEMENT, Card, GatewayEntry, Role, Signed
from wire.codec import Value, decode, encode
from wire.errors import Malformed
from wire.frames import NOWHERE, Cursor
from wire.ids import GatewayId, PersonId
from wire.places import Place

MAX_PLACES: Final = 8
LEFT_SECONDS: Final = 30 * 86_400.0
"""How long a gateway that was left is still emptied: as long as a letter waits there."""
MAX_LEFT: Final = 4
_LEFT: Final = "gateways-left"
PREKEYS_LOOKED_AT: Final = "prekeys-looked-at"
PERSON_KEY_TOLD: Final = "person-key-told"
_PENDING: Final = "card-pending"
_NAME, _CARD, _HOME, _CURSOR, _TOLD = "name", "card", "gateway", "cursor/", "card-told"


@dataclass(frozen=True, slots=True)
class Home:
    """The gateway that holds my mailbox."""

    gateway: GatewayId
    places: tuple[Place, ...]

    def encode(self) -> bytes:
        """Return the record as it is kept."""
        return encode([self.gateway.raw, [str(one) for one in self.places]])

    @classmethod
    def decode(cls, data: bytes) -> "Home":
        """Read the record."""
        match decode(data, limit=8192):
            case [bytes(gateway), list(places)]:
                texts = [one for one in places if isinstance(one, str)]
                return cls(GatewayId(gateway), tuple(Place.parse(one) for one in texts))
        raise Malformed("the record of the gateway has another form")


class Me:
    """The person of this phone. What changes something wants an open transaction.

    Raises:
        NoPerson: there is nobody on this phone.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        if store.note(_CARD) is None:
            raise NoPerson
        self.identity: Identity = store.vault.identity()
        self.belongings = Belongings(store, person=self.person, device=self.identity.device.id)
        store.before_commit = self.belongings.stamp

    @classmethod
    def begin(cls, store: Store, *, name: str, role: Role, now: float) -> "Me":
        """Make a new person on this phone, inside a transaction.

        Raises:
            PersonExists: there is one already.
            EmptyName: nothing to see in the name.
        """
        if not (name := clean_name(name)):
            raise EmptyName("a name needs at least one character")
        if store.note(_CARD) is not None:
            raise PersonExists("there is a person on this phone already; use another --home")
        _, card = begin_person(store.vault, role=role, now=now)
        store.keep_note(_NAME, name.encode("utf-8"))
        store.keep_note(_CARD, _kept(card))
        me = cls(store)
        me.belongings.begin()
        return me

    @classmethod
    def come_back(
        cls, store: Store, returning: Returning, *, name: str, home: "Home | None"
    ) -> "Me":
        """Make this phone the one device of a person who comes back, inside a transaction.

        Raises:
            PersonExists: there is somebody on this phone.
            EmptyName: nothing to see in the name.
        """
        if not (name := clean_name(name)):
            raise EmptyName("a name needs at least one character")
        if store.note(_CARD) is not None:
            raise PersonExists("there is a person on this phone already; use another --home")
        store.vault.keep_identity(returning.identity, seed=None)
        store.vault.keep_recovery_public(returning.recovery)
        store.keep_note(_NAME, name.encode("utf-8"))
        store.keep_note(_CARD, _kept(returning.card))
        store.keep_note(_HOME, None if home is None else home.encode())
        return cls(store)

    @property
    def person(self) -> PersonId:
        """Who I am."""
        return self.identity.person

    def signs(self, *, channel: Channel, nonce: bytes) -> Login:
        """Answer a login challenge as this device."""
        return Login.sign(self.identity.device.signing, channel=channel, nonce=nonce)

    def joins(self, *, channel: Channel, nonce: bytes) -> Joining:
        """Answer a challenge as this device of mine, which my card lists."""
        return Joining.sign(
            self.identity.device.signing, person=self.person, channel=channel, nonce=nonce
        )

    @property
    def name(self) -> str:
        """What I call myself."""
        return (self._store.note(_NAME) or b"").decode("utf-8")

    @property
    def card(self) -> Card:
        """My card as it stands."""
        return _card(self.person, self._store.note(_CARD) or b"")

    @property
    def person_key(self) -> PersonKey | None:
        """The person key that my card names; None while this device has not learned it."""
        named = (self.card.person_generation, self.card.person_public)
        keys = self._store.vault.person_keys()
        return next((one for one in keys if (one.generation, one.box.public) == named), None)

    def person_keys(self) -> tuple[PersonKey, ...]:
        """Return the person keys that this device holds, the newest first."""
        return self._store.vault.person_keys()

    @property
    def has_person_key(self) -> bool:
        """Whether this device holds the person key that my card names."""
        return self.person_key is not None

    def take_statements(self, statements: tuple[bytes, ...]) -> None:
        """Continue my own card with what another device of mine, or the gateway, knows of it."""
        before = self.card
        after = follow(before, statements)
        if after.kept != before.kept:
            self._store.keep_note(_CARD, _kept(after))
            News(self._store.db).compare(before, after)

    def state_gateway(self, entry: GatewayEntry, *, now: float) -> bool:
        """Let my card name this gateway, alone; return whether that changed it."""
        card = self.card
        if card.gateways == (entry,):
            return False
        extended, _ = state_gateways(
            self.identity, card, gateways=(entry,), now=now, seed=self._store.vault.seed()
        )
        self._store.keep_note(_CARD, _kept(extended))
        return True

    # A statement that our gateway must take first

    def state(self, change: Change, *, now: float) -> Signed:
        """Sign a statement with a change and put it by until our gateway has taken it.

        The one that was put by before comes first: two statements of one device at one place of a
        card would be a fork.

        Raises:
            CardRejected: this device is not on the card.
        """
        if (pending := self.pending) is not None:
            return pending
        card, seed = self.card, self._store.vault.seed()
        _, signed = state(self.identity, card, change, now=now, seed=seed)
        self._store.keep_note(_PENDING, signed.encode())
        return signed

    @property
    def pending(self) -> Signed | None:
        """The statement that our gateway has not taken yet."""
        data = self._store.note(_PENDING)
        return None if data is None else Signed.decode(data)

    def take_pending(self) -> None:
        """Have the pending statement on the card: our gateway took it."""
        if (pending := self.pending) is not None:
            self.take_statements((pending.encode(),))
        self.drop_pending()

    def drop_pending(self) -> None:
        """Forget the pending statement: our gateway holds another, and nobody has seen this."""
        self._store.keep_note(_PENDING, None)

    @classmethod
    def arrive(
        cls,
        store: Store,
        *,
        identity: Identity,
        card: Card,
        name: str,
        home: Home,
        recovery: bytes,
    ) -> "Me":
        """Make this phone a device of a person who has others, inside a transaction.

        Raises:
            PersonExists: there is somebody on this phone.
        """
        if store.note(_CARD) is not None:
            raise PersonExists("there is a person on this phone already; use another --home")
        store.vault.keep_identity(identity, seed=None)
        store.vault.keep_recovery_public(recovery)
        store.keep_note(_NAME, clean_name(name).encode("utf-8"))
        store.keep_note(_CARD, _kept(card))
        store.keep_note(_HOME, home.encode())
        return cls(store)

    @property
    def card_told(self) -> bytes | None:
        """Gateway key and card hash that the gateway was last told of."""
        return self._store.note(_TOLD)

    def keep_card_told(self, mark: bytes) -> None:
        """Note what the gateway was told."""
        self._store.keep_note(_TOLD, mark)

    @property
    def home(self) -> Home | None:
        """The gateway this phone is paired with."""
        data = self._store.note(_HOME)
        return None if data is None else Home.decode(data)

    def needs_home(self) -> Home:
        """Return my gateway.

        Raises:
            NotPaired: there is none.
        """
        if (home := self.home) is None:
            raise NotPaired
        return home

    def move_in(self, home: Home, *, now: float) -> None:
        """Have my mailbox at this gateway from now on; the one before is still emptied for a while.

        Letters go there until every contact has learned my new card.
        """
        before = self.home
        left = {one.gateway: (one, since) for one, since in self._left_homes()}
        left.pop(home.gateway, None)
        if before is not None and before.gateway != home.gateway:
            left[before.gateway] = (before, now)
        value: list[Value] = [[one.encode(), int(since)] for one, since in left.values()]
        self._store.keep_note(_LEFT, encode(value[-MAX_LEFT:]))
        self._store.keep_note(_HOME, home.encode())

    def left_homes(self, *, now: float) -> tuple[Home, ...]:
        """Return the gateways that were left less than `LEFT_SECONDS` ago."""
        return tuple(one for one, since in self._left_homes() if now - since < LEFT_SECONDS)

    def _left_homes(self) -> list[tuple[Home, float]]:
        value = decode(self._store.note(_LEFT) or encode([]), limit=MAX_LEFT * 8192)
        found = []
        for one in value if isinstance(value, list) else []:
            match one:
                case [bytes(home), int(since)]:
                    found.append((Home.decode(home), float(since)))
        return found

    def furnish_anew(self) -> None:
        """Tell the gateway everything again: after a pairing its seat may be a new one."""
        self._store.keep_note(_TOLD, None)
        self._store.keep_note(PERSON_KEY_TOLD, None)
        self._store.keep_note(PREKEYS_LOOKED_AT, None)
        self._store.keep_note(TOLD, None)
        self._store.db.execute(
            "UPDATE lane_given SET gateway = NULL, lane = NULL WHERE NOT revoked"
        )

    @property
    def cursor(self) -> Cursor:
        """How far my mailbox has been collected."""
        return NOWHERE if (home := self.home) is None else self.cursor_at(home.gateway)

    def cursor_at(self, gateway: GatewayId) -> Cursor:
        """Return how far a gateway's mailbox has been collected."""
        data = self._store.note(_CURSOR + gateway.text)
        return NOWHERE if data is None else Cursor.decode(data)

    def keep_cursor(self, cursor: Cursor, *, at: GatewayId) -> None:
        """Note how far a mailbox has been collected, with what was collected.

        Within an epoch it only rises: another process may have come further.
        """
        held = self.cursor_at(at)
        if held.epoch != cursor.epoch or held.seq < cursor.seq:
            self._store.keep_note(_CURSOR + at.text, cursor.encode())

    def forget_cursor(self, *, at: GatewayId) -> None:
        """Begin a mailbox anew: its gateway does not know the cursor."""
        self._store.keep_note(_CURSOR + at.text, None)


class Certificates:
    """Certificates of gateways that were checked against their keys."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, gateway: GatewayId, places: tuple[Place, ...]) -> Destination:
        """Return how to reach a gateway, with its certificate if it is known."""
        row = self._store.db.execute(
            "SELECT der FROM certificate WHERE gateway = ?", (gateway.raw,)
        ).fetchone()
        return Destination(gateway, places, None if row is None else bytes(row[0]))

    def learn(self, gateway: GatewayId, der: bytes) -> None:
        """Pin a certificate that the gateway's key vouches for."""
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO certificate VALUES (?, ?)"
                " ON CONFLICT (gateway) DO UPDATE SET der = excluded.der",
                (gateway.raw, der),
            )


@lru_cache(maxsize=8)
def _card(person: PersonId, kept: bytes) -> Card:
    """Restore a card; remembered, since every signature in it is checked again."""
    return Card.restore(person, _statements(kept))


def _kept(card: Card) -> bytes:
    """Return a card as it is put away: rivals too, since a fork must outlive a restart."""
    kept: list[Value] = list(card.kept)
    return encode(kept)


def _statements(data: bytes) -> list[bytes]:
    value = decode(data, limit=(MAX_CHAIN + MAX_KEPT) * (MAX_STATEMENT + 8))
    if not isinstance(value, list):
        raise Malformed("the record of the card has another form")
    return [one for one in value if isinstance(one, bytes)]
