"""Coming back with friends, on a new device: ask them one by one, then the gateway, then wait.

    begun      a key was made; its code and check number are shown to each friend
    answers    each opens on this device only; whoever lies is named and put aside
    asked      enough of them: the gateway is asked, and tells when its share is due
    due        the seed is put together for a moment, and this device takes the seat

All of it lies in one note of the phone's file until somebody is here (docs/protocol.md §16.5).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from peer.errors import BadCode, Cancelled, GatewayRefused, LyingKeeper, NoKeepers, NotYet, WrongKit
from peer.keys.errors import KeysError
from peer.keys.helping import Help, help_number, open_help
from peer.keys.primitives import Exchange, system_random
from peer.keys.returning import Root
from peer.keys.shares import friends_secret, join, liars, proof_key
from peer.me import Certificates
from peer.recovery.back import Back, ComingBack, Where
from peer.store import Store
from peer.ways.connection import Destination, connect
from peer.ways.recovery_client import RecoveryClient
from peer.ways.tls import look_at
from wire.auth import Channel
from wire.card import Role
from wire.codec import Value, decode, encode
from wire.codes import AnswerCode, HelpCode
from wire.errors import WireError
from wire.ids import DeviceId
from wire.places import Place
from wire.recovery import Ask, Stage, Told

_NOTE: Final = "asking-friends"
_LIMIT: Final = 32_768


@dataclass(frozen=True, slots=True)
class Progress:
    """How far asking has come."""

    code: HelpCode
    number: int
    """What this screen and the friend's both show."""
    keepers: tuple[str, ...]
    """Who has answered, by their own names."""
    need: int | None
    """How many answers are needed; None before the first."""

    @property
    def enough(self) -> bool:
        """Whether the gateway can be asked."""
        return self.need is not None and len(self.keepers) >= self.need


@dataclass(frozen=True, slots=True)
class _Kept:
    exchange: Exchange
    answers: tuple[Help, ...] = field(repr=False, default=())

    def encode(self) -> bytes:
        answers: list[Value] = [one.encode() for one in self.answers]
        return encode([self.exchange.secret, answers])

    @classmethod
    def decode(cls, data: bytes) -> "_Kept":
        match decode(data, limit=_LIMIT):
            case [bytes(secret), list(answers)]:
                raw = [one for one in answers if isinstance(one, bytes)]
                return cls(Exchange(secret), tuple(map(Help.decode, raw)))
        raise BadCode("what was asked before is not readable; begin again in another folder")


class Asking:
    """Asks friends on a phone on which there is nobody.

    Args:
        store: the phone's file.
        now: returns Unix seconds.
        role: what this device is.
    """

    def __init__(self, store: Store, *, now: Callable[[], float], role: Role) -> None:
        self._store = store
        self._now = now
        self._back = ComingBack(store, now=now, role=role)

    def begin(self) -> Progress:
        """Make the key that friends seal to, or go on with the one that was made.

        Raises:
            PersonExists: there is somebody on this phone.
        """
        self._back.nobody_here()
        if self._store.note(_NOTE) is None:
            self._keep(_Kept(Exchange.generate(system_random)))
        return self._progress()

    def take(self, answer: AnswerCode) -> Progress:
        """Take a friend's answer. The same friend's newer one counts.

        Raises:
            BadCode: it is for another device or another person.
            LyingKeeper: who handed out another share than he was given; the others stay.
        """
        kept = self._kept()
        try:
            help_ = open_help(answer.sealed, kept.exchange)
        except (KeysError, WireError):
            raise BadCode(
                "this answer is not for this device; let your friend read the code that it shows"
            ) from None
        others = [one for one in kept.answers if one.keeper != help_.keeper]
        if any(one.person != help_.person for one in others):
            raise BadCode(f"{help_.keeper} answered for another person; who was asked for?")
        self._keep(_Kept(kept.exchange, (*others, help_)))
        self._put_liars_aside()
        return self._progress()

    def devices(self) -> tuple[DeviceId, ...]:
        """Return the devices that friends know of, to say which of them are lost."""
        found = {device for one in self._kept().answers for device in one.devices}
        return tuple(sorted(found, key=lambda one: one.raw))

    async def go_on(
        self,
        *,
        name: str,
        still_here: Sequence[DeviceId] = (),
        place: Place | None = None,
        spare: bool = False,
    ) -> Back:
        """Ask the gateway; when its share is due, come back.

        Args:
            name: what others see.
            still_here: devices that are not lost and may say no; all others are named as lost.
            place: where the gateway is, if not where friends say.
            spare: whether a spare is there, which friends do not know of.

        Raises:
            NoKeepers: too few have answered.
            NotYet: the share is held back still.
            Cancelled: somebody said no.
            SharesDoNotFit, WrongKit: what came together is not the person's seed.
            GatewayNotThere, WrongGateway, GatewayRefused
        """
        kept, progress = self._kept(), self._progress()
        if not progress.enough:
            raise NoKeepers("too few friends have answered yet; show the code to another one")
        if spare and place is not None:
            found, _ = await look_at(place, lambda _found: True)
            where = Where(found, (place,), spare=True)
        else:
            where = _where(kept.answers, place)
        told = await self._ask(kept, where, lost=[d for d in self.devices() if d not in still_here])
        if told.stage is Stage.WAITING:
            raise NotYet(told.left)
        if told.stage is Stage.CANCELLED:
            raise Cancelled(
                "a device that was not named as lost, or the kit, said no; find out who has it, and"
                " begin again in another folder"
            )
        seed = join([one.share for one in kept.answers], told.share)
        if Root(seed).person != kept.answers[0].person:
            raise WrongKit("what came together is not the seed of the person that was asked for")
        back = await self._back.at_gateway(seed, where, name=name)
        with self._store.transaction():
            self._store.keep_note(_NOTE, None)
        return back

    async def _ask(self, kept: _Kept, where: Where, *, lost: Sequence[DeviceId]) -> Told:
        assert where.gateway is not None  # noqa: S101  # `_where` has looked
        key = proof_key(friends_secret([one.share for one in kept.answers]))

        def asks(*, channel: Channel, nonce: bytes) -> Ask:
            return Ask.make(
                key,
                person=kept.answers[0].person,
                exchange_key=kept.exchange.public,
                lost=tuple(lost),
                channel=channel,
                nonce=nonce,
            )

        certificates = Certificates(self._store)
        destination = Destination(where.gateway, where.places, None)
        async with connect(destination, learned=certificates.learn) as connection:
            try:
                return await RecoveryClient(connection).ask(asks)
            except GatewayRefused as refused:
                if refused.reason != "recovery-refused":
                    raise
                raise NoKeepers(
                    "the box keeps no share that belongs to these; other friends were chosen since,"
                    " or it was set up anew"
                ) from None

    def _put_liars_aside(self) -> None:
        kept = self._kept()
        found = liars({one.keeper: (one.share, one.marks) for one in kept.answers})
        if len(kept.answers) < 3 or not found:  # of two nobody can say which of them lies
            return
        honest = tuple(one for one in kept.answers if one.keeper not in found)
        self._keep(_Kept(kept.exchange, honest))
        raise LyingKeeper(found)

    def _progress(self) -> Progress:
        kept = self._kept()
        need = kept.answers[0].need if kept.answers else None
        code = HelpCode(kept.exchange.public)
        names = tuple(one.keeper for one in kept.answers)
        return Progress(code, help_number(code.key), names, need)

    def _kept(self) -> _Kept:
        if (note := self._store.note(_NOTE)) is None:
            raise NoKeepers("no friend was asked yet from this device")
        return _Kept.decode(note)

    def _keep(self, kept: _Kept) -> None:
        with self._store.transaction():
            self._store.keep_note(_NOTE, kept.encode())


def _where(answers: Sequence[Help], place: Place | None) -> Where:
    """Return where most friends know the gateway to be."""
    gateways = [one.gateway for one in answers if one.gateway is not None]
    if not gateways:
        raise NoKeepers("none of your friends knows your box")
    gateway = max(set(gateways), key=lambda one: (gateways.count(one), one.raw))
    places = dict.fromkeys([] if place is None else [place])
    for one in answers:
        if one.gateway == gateway and place is None:
            places.update(dict.fromkeys(_read(one.places)))
    return Where(gateway, tuple(places))


def _read(texts: Sequence[str]) -> list[Place]:
    found = []
    for text in texts:
        try:
            found.append(Place.parse(text))
        except WireError:
            continue  # a hint that we cannot read is no hint
    return found
