"""Pairs phones: keeps the codes, asks both sides, and gives a phone its seat.

One code is open at a time; a newer one replaces it. Codes live in memory only, so a restart ends
them, but a phone that was given its seat and did not hear of it asks again and is told the same:
its request lies beside its seat (docs/protocol.md §3.3).
"""

import asyncio
import hmac
import logging
import secrets
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final

from gateway.clock import Clock
from gateway.errors import Busy, CardRefused, CardTaken, DeviceRevoked, Refusal, SeatTaken
from gateway.sync.pairing import Code, CodeExpired, CodeWrong, Stage, TooManyTries, fingerprint
from gateway.sync.store import CardChange, SyncStore
from wire.auth import Channel
from wire.card import Card, Signed
from wire.check_code import digits, pictures
from wire.codes import GATEWAY_CODE_SECONDS, SECRET_BYTES, GatewayCode
from wire.errors import CardRejected, WireError
from wire.ids import PersonId
from wire.pairing import MAX_PLACES, NONCE_BYTES, PairAnswer, PairingState, PairRequest
from wire.places import Place

log = logging.getLogger(__name__)

REMEMBERED: Final = 8
"""Ended codes whose holders are still told how they ended."""
MAX_WAITING: Final = 8
"""Requests that may wait for an answer at a time: one phone has one or two."""
MAX_SECONDS: Final = 600.0
"""The longest that an owner may leave a code open."""
SHORT_PLACE: Final = 18
"""Bytes of a place up to which the QR has 21 rows on a terminal: IPv4, or a name of 15."""


class NoSuchCode(Refusal):
    """The control socket was asked for a pairing that is not, or no longer, remembered."""

    code = "no-such-code"
    status = 404

    def __init__(self) -> None:
        super().__init__("there is no such pairing: show a new code")


@dataclass(frozen=True, slots=True)
class Shown:
    """A code as it is shown to the owner."""

    id: str
    """Names the pairing on the control socket. It is no secret."""
    code: GatewayCode = field(repr=False)


@dataclass(frozen=True, slots=True)
class View:
    """How a pairing stands, for the owner."""

    stage: Stage
    check: str | None = None
    """The check code in digits; None before a phone has answered the code."""
    pictures: tuple[str, ...] = ()
    """The same number as four pictures."""


@dataclass(frozen=True, slots=True)
class _Kept:
    id: str
    code: Code


class PairingDesk:
    """Where phones come to be paired, and the owner to say yes or no.

    Args:
        store: where seats and devices are kept.
        channel: this gateway's key and certificate.
        clock: the machine's clocks.
        places: returns where phones should look for this gateway just now, best first.
        on_change: told what a seat's card became: devices that it no longer lists must go.
    """

    def __init__(
        self,
        store: SyncStore,
        *,
        channel: Channel,
        clock: Clock,
        places: Callable[[], tuple[Place, ...]],
        on_change: Callable[[CardChange], None] = lambda change: None,
    ) -> None:
        self._store = store
        self._channel = channel
        self._clock = clock
        self._places = places
        self._on_change = on_change
        self._codes: deque[_Kept] = deque(maxlen=REMEMBERED)
        self._changed = asyncio.Event()
        self._one_by_one = asyncio.Lock()
        self._waiting = 0
        self._running: set[asyncio.Task[CardChange]] = set()

    def show(self, *, seconds: float = GATEWAY_CODE_SECONDS) -> Shown:
        """Open a code, ending the one that was open.

        Args:
            seconds: how long a phone may begin with it, at most `MAX_SECONDS`.
        """
        now, seconds = self._clock.monotonic(), min(seconds, MAX_SECONDS)
        for kept in self._codes:
            kept.code.replace(now)
        secret = secrets.token_bytes(SECRET_BYTES)
        self._codes.append(_Kept(secrets.token_hex(8), Code(secret, now=now, seconds=seconds)))
        self._tell()
        expires = max(0, min(int(self._clock.now() + seconds), 2**32 - 1))
        place = _for_code(self._places())
        code = GatewayCode(self._channel.gateway, secret, expires, place)
        return Shown(self._codes[-1].id, code)

    def close(self) -> None:
        """Let nobody wait any longer: the gateway ends."""
        for kept in self._codes:
            kept.code.replace(self._clock.monotonic())
        self._tell()

    async def look(self, id: str, *, wait: float = 0.0, seen: Stage = Stage.OPEN) -> View:
        """Return how a pairing stands for the owner, once it is no longer `seen`.

        Args:
            id: from `show`.
            wait: seconds to wait for that at most.
            seen: the stage that is known already.

        Raises:
            NoSuchCode: not or no longer remembered.
        """
        code = self._named(id)
        await self._until(lambda: code.stage(self._clock.monotonic()) is not seen, wait, code)
        return self._view(code)

    async def say(self, id: str, *, same: bool) -> View:
        """Take the owner's answer: do both screens show the same check code?

        Raises:
            NoSuchCode: not or no longer remembered.
            CardRefused: the phone's card does not continue the one that this seat has.
            Refusal: the seat could not be stored; asking again is safe.
        """
        code = self._named(id)
        async with self._one_by_one:
            code.owner_says(same, now=self._clock.monotonic())
            await self._enrol_if_agreed(code)
        return self._view(code)

    async def ask(self, request: PairRequest, *, wait: float = 0.0) -> PairAnswer:
        """Answer a phone that asks for a seat.

        Args:
            request: what it sent. The same request gets the same answer, however often.
            wait: seconds to wait at most while somebody still has to say yes.

        Raises:
            CodeWrong, CodeExpired, CodeUsed, TooManyTries: as the table in `pairing` has it.
            CardRefused: the request's card is no chain of one person, or lacks the device.
            Busy: too many requests wait.
        """
        async with self._one_by_one:
            code = self._code_of(request)
            if code is None:
                return await self._told_before(request)
            state = await self._take(code, request)
        if state is PairingState.WAITING and wait > 0:
            await self._until(lambda: code.stage(self._clock.monotonic()).ended, wait, code)
            state = code.answer(request, now=self._clock.monotonic())
        return self._answer(state, code.nonce)

    async def refuse(self, request: PairRequest) -> PairAnswer:
        """End the pairing because the phone's holder said no.

        Raises:
            CodeWrong, CodeExpired, CodeUsed, TooManyTries: as `ask`.
        """
        async with self._one_by_one:
            code = self._code_of(request)
            if code is None:
                return await self._told_before(request)
            now = self._clock.monotonic()
            if code.request is None or hmac.compare_digest(code.request.mac, request.mac):
                code.refuse(now)
                self._tell()
            if code.request is None:
                return self._answer(PairingState.REFUSED, code.nonce)
            return self._answer(code.answer(request, now=now), code.nonce)

    async def _take(self, code: Code, request: PairRequest) -> PairingState:
        """Move the code on by a request that was made with it."""
        if code.stage(self._clock.monotonic()) is Stage.OPEN:
            verified_card(request)  # before the code is spent on a request that can come to nothing
            nonce = secrets.token_bytes(NONCE_BYTES)
            code.begin(request, nonce=nonce, now=self._clock.monotonic())
            self._tell()
            if await self._store.is_enrolled(request.device):
                await self._enrol(code)
        state = code.answer(request, now=self._clock.monotonic())
        await self._enrol_if_agreed(code)
        return PairingState.PAIRED if self._stage(code) is Stage.PAIRED else state

    async def _enrol_if_agreed(self, code: Code) -> None:
        if code.agreed(self._clock.monotonic()):
            await self._enrol(code)
        self._tell()

    async def _enrol(self, code: Code) -> None:
        """Give the phone its seat; told to nobody before it is on the disk."""
        request = code.request
        if request is None:
            raise ValueError("nobody has asked with this code")
        work = self._store.enrol(
            verified_card(request), request.device, request=fingerprint(request), nonce=code.nonce
        )
        try:
            # A phone that hangs up meanwhile must not leave a seat that this desk knows nothing of.
            await self._finish(work, code)
        except (CardRefused, CardTaken, DeviceRevoked, SeatTaken):
            code.refuse(self._clock.monotonic())
            raise
        finally:
            self._tell()

    async def _finish(self, work: Coroutine[None, None, CardChange], code: Code) -> None:
        """Let `work` come to its end and draw the consequences, even when the caller gives up."""

        def done(task: asyncio.Task[CardChange]) -> None:
            self._running.discard(task)
            if not task.cancelled() and task.exception() is None:
                code.enrolled()
                log.info("a phone was paired")
                self._on_change(task.result())
            self._tell()

        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(done)
        await asyncio.shield(task)

    async def _told_before(self, request: PairRequest) -> PairAnswer:
        """Answer a request whose code is not remembered, or refuse it and count the guess."""
        enrolment = await self._store.enrolment(request.device)
        if enrolment and hmac.compare_digest(enrolment.request, fingerprint(request)):
            return self._answer(PairingState.PAIRED, enrolment.nonce)
        if not self._codes:
            raise CodeExpired
        newest, now = self._codes[-1].code, self._clock.monotonic()
        if newest.stage(now) is Stage.BURNT:
            raise TooManyTries
        if newest.stage(now).ended:
            raise CodeExpired
        newest.wrong_try(now)
        if newest.stage(now) is Stage.BURNT:
            log.warning("wrong codes were tried until the code that was shown was burnt")
        self._tell()
        raise CodeWrong

    def _answer(self, state: PairingState, nonce: bytes) -> PairAnswer:
        paired = state is PairingState.PAIRED
        places = self._places()[:MAX_PLACES] if paired else ()
        return PairAnswer(state, nonce, tuple(map(str, places)))

    def _code_of(self, request: PairRequest) -> Code | None:
        fitting = (one.code for one in self._codes if one.code.fits(request, channel=self._channel))
        return next(fitting, None)

    def _named(self, id: str) -> Code:
        for kept in self._codes:
            if kept.id == id:
                return kept.code
        raise NoSuchCode

    def _stage(self, code: Code) -> Stage:
        return code.stage(self._clock.monotonic())

    def _view(self, code: Code) -> View:
        stage, number = self._stage(code), code.check_number
        if number is None:
            return View(stage)
        return View(stage, digits(number), pictures(number))

    def _tell(self) -> None:
        """Wake whoever waits for something to change."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _until(self, reached: Callable[[], bool], wait: float, code: Code) -> None:
        """Wait until `reached`, the code's stage ends by itself, or `wait` seconds are over."""
        if wait <= 0 or reached():
            return
        if self._waiting >= MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            end = self._clock.monotonic() + wait
            while not reached() and (left := end - self._clock.monotonic()) > 0:
                until = code.left(self._clock.monotonic()) or left
                try:
                    async with asyncio.timeout(min(left, until)):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiting -= 1


def verified_card(request: PairRequest) -> Card:
    """Return the card in a request, every signature of its chain verified.

    Raises:
        CardRefused: no chain of one person, or the asking device is not in it as it says.
    """
    try:
        root_key = Signed.decode(request.chain[0]).statement.root_key
        card = Card.follow(PersonId.of_root(root_key), request.chain)
    except CardRejected as error:
        raise CardRefused(error.reason) from None
    except WireError as error:
        raise CardRefused(error.code) from None
    if (request.device, request.exchange_key) not in {
        (d.key, d.exchange_key) for d in card.devices
    }:
        raise CardRefused("device-missing")
    return card


def _for_code(places: tuple[Place, ...]) -> Place:
    """Return the place that a code carries: the best of those that leave the QR small."""
    short = (place for place in places if len(place.encode()) <= SHORT_PLACE)
    return next(short, places[0])
