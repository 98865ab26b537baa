"""One pairing code from the moment it is shown to its end: a state machine without clock or socket.

    stage    what happens                       next      the phone is told
    -------  ---------------------------------  --------  -----------------------------
    open     a request made with the code       compare   the nonce; both screens compare
    open     a request made with another one    open      code-wrong; the fifth burns the code
    open     120 s pass, or a newer code        expired   code-expired
    compare  the same request again             compare   the same answer
    compare  another request with the code      compare   code-used
    compare  yes from both sides, and stored    paired    paired
    compare  no from either side                refused   refused
    compare  120 s pass                         expired   refused

Whoever photographs the code can be first, but then the two screens the owner compares differ, his
no kills the code, and the real phone hears that it was used. A request that ended well or badly
gets its answer again, word for word (docs/protocol.md §3.3).
"""

import hmac
from enum import Enum
from typing import Final

from gateway.errors import Refusal
from wire.auth import Channel
from wire.kdf import hash32
from wire.pairing import MAX_TRIES, NONCE_BYTES, PairingState, PairRequest

COMPARE_SECONDS: Final = 120.0
"""Time to look at two screens once a phone has answered the code; more than most people need."""


class Stage(Enum):
    """Where a code stands; the value is its name on the control socket."""

    OPEN = "open"
    COMPARE = "compare"
    PAIRED = "paired"
    REFUSED = "refused"
    EXPIRED = "expired"
    BURNT = "burnt"

    @property
    def ended(self) -> bool:
        """Whether nothing can happen to the code any more."""
        return self not in (Stage.OPEN, Stage.COMPARE)


class CodeWrong(Refusal):
    """The request was not made with the code that is open."""

    code = "code-wrong"
    status = 403

    def __init__(self) -> None:
        super().__init__("this is not the code that the gateway shows now")


class CodeExpired(Refusal):
    """The code's time is over, or it was never open here: ask for a new one."""

    code = "code-expired"
    status = 403

    def __init__(self) -> None:
        super().__init__("the code is no longer good: show a new one")


class CodeUsed(Refusal):
    """Another phone came first with this code."""

    code = "code-used"
    status = 403

    def __init__(self) -> None:
        super().__init__("the code was used by another phone: refuse there, and show a new one")


class TooManyTries(Refusal):
    """The code was burnt by wrong guesses."""

    code = "too-many-tries"
    status = 429

    def __init__(self) -> None:
        super().__init__("too many wrong tries: the code is burnt, show a new one")


class Code:
    """The life of one code.

    Args:
        secret: the code's one-time secret, 16 bytes.
        now: seconds on a clock that never goes back, as in every call.
        seconds: how long it is good for a phone to begin.
    """

    def __init__(self, secret: bytes, *, now: float, seconds: float) -> None:
        self._secret = secret
        self._deadline = now + seconds
        self._stage = Stage.OPEN
        self._wrong = 0
        self._request: PairRequest | None = None
        self._nonce = bytes(NONCE_BYTES)
        self._phone_agrees = False
        self._owner_agrees = False

    def stage(self, now: float) -> Stage:
        """Return where the code stands at `now`."""
        if not self._stage.ended and now >= self._deadline:
            self._stage = Stage.EXPIRED
        return self._stage

    def left(self, now: float) -> float:
        """Return the seconds until the present stage ends by itself; 0 when it has ended."""
        return 0.0 if self.stage(now).ended else self._deadline - now

    @property
    def check_number(self) -> int | None:
        """The number that both screens show; None before a phone has answered the code."""
        return self._request.check_number(nonce=self._nonce) if self._request else None

    @property
    def request(self) -> PairRequest | None:
        """The request that was first, as it was made."""
        return self._request

    @property
    def nonce(self) -> bytes:
        """What the check number is made with, 16 bytes."""
        return self._nonce

    def agreed(self, now: float) -> bool:
        """Return whether both sides have said yes and the phone may be given its seat."""
        return self.stage(now) is Stage.COMPARE and self._phone_agrees and self._owner_agrees

    def fits(self, request: PairRequest, *, channel: Channel) -> bool:
        """Return whether `request` was made with this code, at whatever stage it is."""
        return request.made_with(self._secret, channel=channel)

    def begin(self, request: PairRequest, *, nonce: bytes, now: float) -> None:
        """Take the first request that was made with this code; others are refused from now on."""
        if self.stage(now) is Stage.OPEN:
            self._stage = Stage.COMPARE
            self._deadline = now + COMPARE_SECONDS
            self._request, self._nonce = request, nonce

    def answer(self, request: PairRequest, *, now: float) -> PairingState:
        """Return where a request that was made with this code stands, and take its yes.

        Raises:
            CodeExpired: it came too late.
            CodeUsed: another request came first.
            TooManyTries: wrong guesses have burnt the code.
        """
        stage = self.stage(now)
        if self._request is None:
            raise TooManyTries if stage is Stage.BURNT else CodeExpired
        if not hmac.compare_digest(request.mac, self._request.mac):
            raise CodeUsed
        if stage is Stage.COMPARE:
            self._phone_agrees |= request.confirmed
            return PairingState.WAITING
        return PairingState.PAIRED if stage is Stage.PAIRED else PairingState.REFUSED

    def wrong_try(self, now: float) -> None:
        """Count a request that was made with another code.

        Only while a phone may still begin: later a stranger could not win anything, and counting
        would let him break up a pairing.
        """
        if self.stage(now) is Stage.OPEN:
            self._wrong += 1
            if self._wrong >= MAX_TRIES:
                self._stage = Stage.BURNT

    def owner_says(self, same: bool, *, now: float) -> None:
        """Take the owner's answer to: do both screens show the same? A no cannot be taken back."""
        if not same:
            self.refuse(now)
        elif self.stage(now) is Stage.COMPARE:
            self._owner_agrees = True

    def refuse(self, now: float) -> None:
        """Kill the code, whoever wishes it."""
        if not self.stage(now).ended:
            self._stage = Stage.REFUSED

    def replace(self, now: float) -> None:
        """Put the code away because a newer one is shown."""
        if not self.stage(now).ended:
            self._stage = Stage.EXPIRED

    def enrolled(self) -> None:
        """Note that the phone's seat is on the disk; whatever time it took."""
        self._stage = Stage.PAIRED


def fingerprint(request: PairRequest) -> bytes:
    """Return 32 bytes by which the same request is known again after a restart.

    Whether the phone had confirmed is left out: it is the same request before and after.
    """
    return hash32(
        "pair-request", request.device.raw, request.exchange_key, *request.chain, request.mac
    )
