"""A second gateway as a spare: it holds copies of all that a person needs to come back.

    card          who she is, and which devices are hers
    person keys   the records, each sealed to her devices and her kit
    state         contacts, lanes, settings: a sealed snapshot, as her own gateway has one
    archive       the very segments, in the same order
    share         the gateway's part of the recovery seed, left when friends are chosen

No mailbox is there: contacts go on writing to the one gateway that her card names. When that one is
destroyed she comes back at the spare with her kit, and it is her gateway from then on
(docs/protocol.md §17.6).
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from peer.devices.log import StateLog
from peer.errors import GatewayNotThere, GatewayRefused, WrongGateway
from peer.me import Certificates, Home, Me
from peer.store import Store
from peer.ways.connection import connect
from peer.ways.gateway_client import GatewayClient
from wire.archive import Segment
from wire.codec import Value, decode, encode
from wire.errors import WireError
from wire.ids import GatewayId
from wire.recovery import Left

MAX_SPARES: Final = 3
COPY_EVERY: Final = 3600.0
"""Seconds between two times that a spare is brought up to date."""
STATE_EVERY: Final = 86_400.0
"""Seconds between two snapshots of the state that a spare is given."""
_SPARES: Final = "setting/spares"
"""A setting, and so the same on all devices."""


@dataclass(frozen=True, slots=True)
class Spare:
    """A spare, and when this device last brought it up to date."""

    home: Home
    copied: float | None
    """Unix seconds; None: never."""
    segments: int
    """How many of the archive's segments it had then."""
    trouble: str
    """Why the last try failed; empty if it did not."""
    share: bool
    """Whether friends can bring this person back there: the gateway's share was left."""


class Spares:
    """The spares of this person.

    Args:
        store: the phone's file.
        me: whose phone it is.
        now: returns Unix seconds.
    """

    def __init__(self, store: Store, me: Me, *, now: Callable[[], float]) -> None:
        self._store = store
        self._me = me
        self._now = now

    def homes(self) -> tuple[Home, ...]:
        """Return the spares, but for one that has become our gateway."""
        value = decode(self._store.note(_SPARES) or encode([]), limit=MAX_SPARES * 8192)
        found = [Home.decode(one) for one in _list(value) if isinstance(one, bytes)]
        ours = self._me.home
        return tuple(one for one in found if ours is None or one.gateway != ours.gateway)

    def all(self) -> tuple[Spare, ...]:
        """Return the spares with how they are."""
        return tuple(self._with_record(one) for one in self.homes())

    def add(self, home: Home) -> None:
        """Let a gateway that we are paired with be a spare; inside a transaction."""
        others = [one for one in self.homes() if one.gateway != home.gateway]
        self._keep([*others, home][-MAX_SPARES:])

    def remove(self, home: Home) -> None:
        """Copy nothing more to a spare; inside a transaction. What is there stays there."""
        self._keep([one for one in self.homes() if one.gateway != home.gateway])
        for name in ("copied", "state", "trouble", "share"):
            self._store.keep_note(_name(name, home.gateway), None)

    def due(self) -> tuple[Home, ...]:
        """Return the spares that are to be brought up to date by now."""
        return tuple(one for one in self.homes() if self._is_due("copied", one, COPY_EVERY))

    async def copy_all(self, own: GatewayClient, *, due_only: bool = True) -> None:
        """Bring spares up to date; one that is away is tried again later.

        Args:
            own: our gateway, which has it all.
            due_only: leave alone those that were tried a moment ago.
        """
        for home in self.due() if due_only else self.homes():
            trouble, segments = "", None
            try:
                segments = await self._copy(home, own)
            except (GatewayNotThere, WrongGateway) as away:
                trouble = away.code
            except GatewayRefused as refused:
                trouble = refused.reason
            with self._store.transaction():
                count = self._with_record(home).segments if segments is None else segments
                self._store.keep_note(
                    _name("copied", home.gateway), encode([int(self._now()), count])
                )
                self._store.keep_note(_name("trouble", home.gateway), trouble.encode() or None)

    async def leave_share(self, left: Left) -> None:
        """Leave the gateway's share of the recovery seed at each spare too.

        This device does not keep it: a spare that is away now, or is added later, has none until
        friends are chosen again.
        """
        for home in self.homes():
            mark: bytes | None = b"1"
            try:
                async with self._reached(home) as spare:
                    await spare.leave_share(left)
            except (GatewayNotThere, WrongGateway, GatewayRefused):
                mark = None
            with self._store.transaction():
                self._store.keep_note(_name("share", home.gateway), mark)

    @asynccontextmanager
    async def _reached(self, home: Home) -> AsyncIterator[GatewayClient]:
        certificates = Certificates(self._store)
        destination = certificates.of(home.gateway, home.places)
        async with connect(destination, learned=certificates.learn) as connection:
            yield GatewayClient(connection, self._me.signs)

    async def _copy(self, home: Home, own: GatewayClient) -> int:
        """Bring one spare up to date; return how many segments it has."""
        async with self._reached(home) as spare:
            await self._copy_card(spare, own)
            await self._copy_state(spare, home)
            return await self._copy_archive(spare, own)

    async def _copy_card(self, spare: GatewayClient, own: GatewayClient) -> None:
        for statement in self._me.card.chain:  # what it has already it takes again
            await spare.put_card(statement)
        there = {one.encode() for one in await spare.person_keys()}
        for record in await own.person_keys():
            if record.encode() not in there:
                with suppress(GatewayRefused):  # of a device that is on no card any more
                    await spare.put_person_key(record)

    async def _copy_state(self, spare: GatewayClient, home: Home) -> None:
        """Leave a snapshot, and what was told since: batches alone may have been trimmed here."""
        log = StateLog(self._store, self._me)
        log.seal()
        answer = await spare.state_log({})
        newest = {one.device: max(one.newest, one.floor) for one in answer.heads}
        lacking = log.beyond(newest)
        if lacking:
            with suppress(GatewayRefused):  # what was trimmed here leaves a gap there
                for one in lacking:
                    await spare.leave_batches([one])
        if lacking or self._is_due("state", home, STATE_EVERY):
            await spare.leave_state_snapshot(log.snapshot().encode())
            with self._store.transaction():
                note = encode([int(self._now()), 0])
                self._store.keep_note(_name("state", home.gateway), note)

    async def _copy_archive(self, spare: GatewayClient, own: GatewayClient) -> int:
        there, here = await spare.archive(), await own.archive()
        at = 0 if there.newest is None else there.newest.head.seq
        for seq in range(at + 1, 1 + (0 if here.newest is None else here.newest.head.seq)):
            found = await own.segments(upto=seq, down_to=seq)
            if not found:
                raise GatewayRefused("no-segment", {})
            try:
                await spare.append(Segment.decode(found[0]))
            except WireError as error:
                raise GatewayRefused(error.code, {}) from None
            at = seq
        return at

    def _with_record(self, home: Home) -> Spare:
        trouble = (self._store.note(_name("trouble", home.gateway)) or b"").decode()
        share = self._store.note(_name("share", home.gateway)) is not None
        match self._record("copied", home):
            case (when, segments):
                return Spare(home, when, segments, trouble, share)
        return Spare(home, None, 0, trouble, share)

    def _record(self, what: str, home: Home) -> tuple[float, int] | None:
        note = self._store.note(_name(what, home.gateway))
        match None if note is None else decode(note, limit=64):
            case [int(when), int(count)]:
                return float(when), count
        return None

    def _is_due(self, what: str, home: Home, every: float) -> bool:
        record = self._record(what, home)
        return record is None or not 0 <= self._now() - record[0] < every

    def _keep(self, homes: list[Home]) -> None:
        value: list[Value] = [one.encode() for one in homes]
        self._store.keep_note(_SPARES, encode(value))


def _name(what: str, gateway: GatewayId) -> str:
    return f"spare-{what}/{gateway.text}"


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []
