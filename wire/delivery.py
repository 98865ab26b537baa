"""How stored parcels reach one device: a state machine without a socket, a clock or a disk.

`Courier` is told what happened and answers with what to do; the gateway does it.

    state   event                     next    actions
    ------  ------------------------  ------  ------------------------------------------------
    away    Stored                    away    none
    away    Connected(acked)          here    Forget(acked), Send what the window holds
    away    Acked(seq), late          away    Forget(seq)
    here    Stored                    here    Send what the window holds
    here    Sent(numbers)             here    Send what the window still holds
    here    Acked(seq)                here    Forget(seq), Send what the window holds
    here    Answered                  here    none: somebody is there
    here    Tick, quiet for a while   here    Ask
    here    Tick, no answer to that   away    HangUp
    here    Lost                      away    none

Every Send is answered by one Sent, and there is no second Send before that. Numbers may have holes,
where a parcel's life has ended; Sent says which numbers were there, so that a window of nothing but
holes does not wait for an acknowledgement that cannot come.

What is not acknowledged is sent again after the next Connected, so delivery is at least once, in
order, and the device tells parcels by their id (docs/protocol.md §5.3).
"""

from dataclasses import dataclass
from typing import Final

from wire.errors import AckBeyondSent

WINDOW: Final = 64
"""Parcels that may be on their way unacknowledged: one full frame."""
QUIET: Final = 30.0
"""Seconds without a word from the device before it is asked whether it is there."""
ACK_TIMEOUT: Final = 30.0
"""Seconds that it then has to answer. Mobile networks swallow a minute without meaning it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The mailbox's newest number is `seq`."""

    seq: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The device is here and has everything up to and including `acked`."""

    acked: int


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to Send(first, …): these numbers were there and go to the device now.

    Say it before the frame is written. `numbers` rise; it may be fewer than the Send allowed, where
    a frame was full, and none says that there is nothing up to the Send's last. A Sent that answers
    no open Send is ignored: its connection is gone.
    """

    first: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Acked:
    """The device has committed everything up to and including `seq`."""

    seq: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The device answered a Ping."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send what there is from number `first` to `last`, both included, lowest first; say Sent.

    Where there are holes, as many parcels may be sent beyond `last` instead.
    """

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Forget:
    """The device has everything up to `upto`."""

    upto: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a Ping."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection."""


Event = Stored | Connected | Sent | Acked | Answered | Lost | Tick
Action = Send | Forget | Ask | HangUp


class Courier:
    """Carries one mailbox to one device.

    Args:
        newest: highest number in the mailbox, 0 for none.
        acked: highest number that the device has acknowledged, 0 ≤ acked ≤ newest.
        window: how many parcels may be on their way unacknowledged, at least 1.
    """

    def __init__(self, *, newest: int = 0, acked: int = 0, window: int = WINDOW) -> None:
        self._newest = newest
        self._acked = acked
        self._sent = acked
        self._window = window
        self._flying: list[int] = []  # numbers sent and not acknowledged
        self._open: Send | None = None  # not yet answered by Sent
        self._here = False
        self._heard = 0.0
        self._asked: float | None = None

    @property
    def here(self) -> bool:
        """Whether the device is connected."""
        return self._here

    def handle(self, event: Event, *, now: float) -> list[Action]:
        """Take in one event, return what to do about it, in order.

        Args:
            event: what happened.
            now: seconds on any clock that never goes back.

        Raises:
            AckBeyondSent: the device acknowledged a number that it was never sent.
        """
        match event:
            case Stored(seq):
                self._newest = max(self._newest, seq)
                return self._send()
            case Connected(acked):
                return self._connect(acked, now)
            case Sent(first, numbers):
                return self._note(first, numbers)
            case Acked(seq):
                self._hear(now)
                return [*self._forget(seq), *self._send()]
            case Answered():
                self._hear(now)
                return []
            case Tick():
                return self._tick(now) if self._here else []
            case Lost():
                self._leave()
                return []

    def due(self) -> float | None:
        """Return when a Tick will do something, on the clock of `now`; None while away."""
        if not self._here:
            return None
        return self._heard + QUIET if self._asked is None else self._asked + ACK_TIMEOUT

    def _connect(self, acked: int, now: float) -> list[Action]:
        if acked > self._newest:
            raise AckBeyondSent(acked=acked, sent=self._newest)
        self._leave()
        self._here = True
        self._hear(now)
        moved = self._advance(acked)
        # A device may have gone back to an older copy of itself: it gets what it asks for.
        self._sent = acked
        return [*moved, *self._send()]

    def _leave(self) -> None:
        self._here = False
        self._flying, self._open = [], None

    def _hear(self, now: float) -> None:
        self._heard, self._asked = now, None

    def _send(self) -> list[Action]:
        room = self._window - len(self._flying)
        last = min(self._newest, self._sent + room)
        if not self._here or self._open is not None or last <= self._sent:
            return []
        self._open = Send(self._sent + 1, last)
        return [self._open]

    def _note(self, first: int, numbers: tuple[int, ...]) -> list[Action]:
        if self._open is None or self._open.first != first:
            return []
        self._sent = numbers[-1] if numbers else self._open.last
        self._newest = max(self._newest, self._sent)
        self._flying += numbers
        self._open = None
        return self._send()

    def _forget(self, seq: int) -> list[Action]:
        if seq > self._sent:
            raise AckBeyondSent(acked=seq, sent=self._sent)
        self._flying = [number for number in self._flying if number > seq]
        return self._advance(seq)

    def _advance(self, seq: int) -> list[Action]:
        if seq <= self._acked:
            return []
        self._acked = seq
        return [Forget(seq)]

    def _tick(self, now: float) -> list[Action]:
        if self._asked is not None:
            if now < self._asked + ACK_TIMEOUT:  # summed as in `due`, so that both agree
                return []
            self._leave()
            return [HangUp()]
        if now < self._heard + QUIET:
            return []
        self._asked = now
        return [Ask()]
