"""Knows who is asking: devices that logged in, and nonces that are good once.

A challenge costs no memory: it is a time under a key that only this process has. Only an answer
that was right is remembered, until its nonce would be too old anyway, so that nobody can fill this
table from outside (docs/protocol.md §3.4, §3.5).
"""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from gateway.bodies import header_bytes
from gateway.clock import Clock
from gateway.errors import Busy, DeviceUnknown, Refusal
from gateway.visit import Asked, Kind, visit_of
from wire.auth import (
    BEARER_BYTES,
    BEARER_SECONDS,
    CHALLENGE_SECONDS,
    NONCE_BYTES,
    Channel,
    Joining,
    Login,
)
from wire.errors import Malformed, NotSigned
from wire.ids import DeviceKey, PersonId, SeatId

BEARERS_OF_DEVICE: Final = 8
"""Logins of one device that are held at a time; its oldest goes first."""
MAX_SPENT: Final = 16_384
"""Nonces that are remembered as used: 270 right answers a second, for a minute."""
SWEEP_SECONDS: Final = 5.0
_SCHEME: Final = "Bearer "


class LoginNeeded(Refusal):
    """The request carries no bearer, or one that is over."""

    code = "login-needed"
    status = 401


class LoginRefused(Refusal):
    """The login did not fit, whatever of it was wrong."""

    code = "login-refused"
    status = 401


class ChallengeStale(Refusal):
    """The nonce is not ours, is too old, or was used; ask for another and repeat."""

    code = "challenge-stale"
    status = 401


@dataclass(frozen=True, slots=True)
class Caller:
    """A device that is logged in, and the seat that it may ask for."""

    device: DeviceKey
    seat: SeatId


@dataclass(frozen=True, slots=True)
class _Session:
    caller: Caller
    ends: float


class Challenges:
    """Gives out nonces and takes each of them once.

    Args:
        clock: whose monotonic time counts.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._spent: dict[bytes, float] = {}
        self._sweep_at = clock.monotonic() + SWEEP_SECONDS

    def give(self) -> bytes:
        """Return a nonce (32 bytes) that is good for a minute."""
        salt = secrets.token_bytes(8)
        ends = int((self._clock.monotonic() + CHALLENGE_SECONDS) * 1000).to_bytes(8, "big")
        said = self._masked(ends, salt) + salt  # nobody learns how long this machine has been up
        return said + self._mark(said)

    def check(self, nonce: bytes) -> None:
        """Check that `nonce` is one of ours, young and unused. It is not used up by that.

        Raises:
            ChallengeStale: it is not.
        """
        if len(nonce) != NONCE_BYTES or nonce in self._spent:
            raise ChallengeStale
        if not hmac.compare_digest(self._mark(nonce[:16]), nonce[16:]):
            raise ChallengeStale
        if self._end_of(nonce) < self._clock.monotonic():
            raise ChallengeStale

    def spend(self, nonce: bytes) -> None:
        """Note that a right answer used `nonce`.

        Raises:
            ChallengeStale: it is of no use, or another answer used it meanwhile.
            Busy: more right answers came than can be remembered.
        """
        self.check(nonce)
        now = self._clock.monotonic()
        if now >= self._sweep_at or len(self._spent) >= MAX_SPENT:
            self._sweep_at = now + SWEEP_SECONDS
            self._spent = {one: ends for one, ends in self._spent.items() if ends >= now}
        if len(self._spent) >= MAX_SPENT:
            raise Busy
        self._spent[nonce] = self._end_of(nonce)

    def _end_of(self, nonce: bytes) -> float:
        return int.from_bytes(self._masked(nonce[:8], nonce[8:16]), "big") / 1000

    def _masked(self, said: bytes, salt: bytes) -> bytes:
        mask = hashlib.blake2b(salt, key=self._key, digest_size=8, person=b"mask").digest()
        return bytes(one ^ other for one, other in zip(said, mask, strict=True))

    def _mark(self, said: bytes) -> bytes:
        return hashlib.blake2b(said, key=self._key, digest_size=16, person=b"mark").digest()


class Auth:
    """Logs devices in and knows them again.

    Args:
        channel: this gateway's key and certificate: what an answer must have been made for.
        clock: whose monotonic time counts.
        seat_of: returns a device's seat, or raises DeviceUnknown or DeviceRevoked.
        joins: gives a device that its person's card lists its place on her seat.
    """

    def __init__(
        self,
        *,
        channel: Channel,
        clock: Clock,
        seat_of: Callable[[DeviceKey], Awaitable[SeatId]],
        joins: Callable[[PersonId, DeviceKey], Awaitable[None]],
    ) -> None:
        self.channel = channel
        self.challenges = Challenges(clock)
        self._clock = clock
        self._seat_of = seat_of
        self._joins = joins
        self._sessions: dict[bytes, _Session] = {}
        self._dropped = 0

    async def login(self, data: bytes) -> bytes:
        """Log a device in; return its bearer (32 bytes).

        Raises:
            WireError: the bytes are no login.
            ChallengeStale: the nonce is of no use.
            LoginRefused: another channel or key, or a device that nobody knows here.
            DeviceRevoked: the device was taken off its person's card.
        """
        login = Login.decode(data)
        self.challenges.check(login.nonce)
        try:
            login.verify(self.channel)
        except NotSigned:
            raise LoginRefused from None
        self.challenges.spend(login.nonce)
        return await self._bearer(login.device)

    async def join(self, data: bytes) -> bytes:
        """Let a device in that its person's card lists, and log it in; return its bearer.

        Raises:
            WireError: the bytes are no such message.
            ChallengeStale: the nonce is of no use.
            LoginRefused: another channel or key, or nobody's card here lists this device.
            DeviceRevoked, PairAgain, SeatTaken
        """
        joining = Joining.decode(data)
        self.challenges.check(joining.nonce)
        try:
            joining.verify(self.channel)
        except NotSigned:
            raise LoginRefused from None
        self.challenges.spend(joining.nonce)
        try:
            await self._joins(joining.person, joining.device)
        except DeviceUnknown:
            raise LoginRefused from None
        return await self._bearer(joining.device)

    async def _bearer(self, device: DeviceKey) -> bytes:
        caller = Caller(device, await self._seat(device))
        bearer = secrets.token_bytes(BEARER_BYTES)
        self._make_room(caller.device)
        self._sessions[_hidden(bearer)] = _Session(caller, self._clock.monotonic() + BEARER_SECONDS)
        return bearer

    def caller(self, asked: Asked) -> Caller:
        """Return who asks, by the request's Authorization header.

        Raises:
            LoginNeeded: nobody, or no longer anybody.
            DepositWithLogin: on a connection where a lane was shown.
        """
        header = asked.headers.get("Authorization")
        if header is None or not header.startswith(_SCHEME):
            raise LoginNeeded
        visit_of(asked.scope).is_for(Kind.LOGIN)
        try:
            bearer = header_bytes(header.removeprefix(_SCHEME))
        except Malformed:
            raise LoginNeeded from None
        session = self._sessions.get(_hidden(bearer))
        if session is None or session.ends < self._clock.monotonic():
            raise LoginNeeded
        return session.caller

    def drop(self, gone: Callable[[Caller], bool]) -> None:
        """End the logins of every caller for whom `gone` is true."""
        self._dropped += 1
        self._sessions = {key: one for key, one in self._sessions.items() if not gone(one.caller)}

    async def _seat(self, device: DeviceKey) -> SeatId:
        while True:
            before = self._dropped
            try:
                seat = await self._seat_of(device)
            except DeviceUnknown:
                raise LoginRefused from None
            if before == self._dropped:  # nobody was revoked while we looked
                return seat

    def _make_room(self, device: DeviceKey) -> None:
        """Forget what is over, and the oldest logins of a device that has too many."""
        now = self._clock.monotonic()
        self._sessions = {key: one for key, one in self._sessions.items() if one.ends >= now}
        own = [key for key, one in self._sessions.items() if one.caller.device == device]
        for key in own[: max(0, len(own) - BEARERS_OF_DEVICE + 1)]:
            del self._sessions[key]


def _hidden(bearer: bytes) -> bytes:
    """Return what a bearer is kept as: who reads our memory later cannot log in with it."""
    return hashlib.blake2b(bearer, digest_size=32).digest()
