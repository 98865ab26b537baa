"""When one device is woken: a state machine without a socket, a clock or a disk.

`Bell` is told what happened and answers with what to do; `waking.py` does it. It asks in this
order, and the first that says no decides. What is not pushed now is looked at again when `due` is.

    nothing waits       all that may wake was collected, or read on another own device
    snoozed             until then nothing wakes
    rule                never, digest and, in quiet hours, "outside quiet hours" do not wake now
    connected           a device that is here has 10 s to acknowledge before it is woken
    read elsewhere      then, while another own device is here, 3 s more to read it there
    outstanding         it was woken and has not come: again after 15 min, 30 min … 6 h, then daily
    gap                 two wakes are 30 s apart
    over budget         30 wakes in an hour; after that one push of the gentle kind when it is over
    provider            its push service wants to be left alone for a time

A wake says nothing but "collect now", so a hundred parcels need no more than one, and the state is
one row for each device. An acknowledgement alone never silences another device: only reading does.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from gateway.push.hours import is_quiet, next_digest, quiet_ends
from wire.ids import LaneId
from wire.lanes import WakeRule
from wire.pushes import Hours

HERE_SECONDS: Final = 15.0
"""A device that said something of its own so lately is here, with a connection or without."""
GRACE_SECONDS: Final = 10.0
"""Time for a device that is here to acknowledge: a dead connection is not known for one."""
HOLD_SECONDS: Final = 3.0
"""Time for the holder to read it on another device that is here."""
AGAIN_SECONDS: Final = (900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0)
"""From one unanswered wake to the next."""
DAILY_SECONDS: Final = 86_400.0
"""From then on: it never gives up while something waits."""
GAP_SECONDS: Final = 30.0
BUDGET: Final = 30
"""Wakes of one device in an hour."""
HOUR: Final = 3600.0
FIRST_RETRY_SECONDS: Final = 10.0
LONGEST_RETRY_SECONDS: Final = 6 * HOUR
LOOK_AGAIN: Final = HOUR
"""Nothing is waited for longer in one piece: wall clocks are set."""


class Why(Enum):
    """What a person is told of a decision; the values are words of the protocol."""

    WOKE = "woke"
    DIGEST_SENT = "digest-sent"
    NEVER = "never"
    DIGEST = "digest"
    LANE_BUDGET = "lane-budget"
    SNOOZED = "snoozed"
    QUIET_HOURS = "quiet-hours"
    CONNECTED = "connected"
    READ_ELSEWHERE = "read-elsewhere"
    OUTSTANDING = "outstanding"
    GAP = "gap"
    OVER_BUDGET = "over-budget"
    PROVIDER = "provider"
    SENDING = "sending"


@dataclass(frozen=True, slots=True)
class Now:
    """The time, on both clocks."""

    steady: float
    """Seconds that only go on: for everything that is a duration."""
    wall: float | None
    """Unix seconds; None while the machine's clock is not set."""


@dataclass(frozen=True, slots=True)
class Rang:
    """Parcel `seq` was stored, and may do `granted` to this device."""

    seq: int
    lane: LaneId
    asked: WakeRule
    granted: WakeRule
    others: bool = False
    """Whether another device of the holder's is here."""
    times: int = 1
    """How many came on this lane in one commit; `seq` is the newest."""


@dataclass(frozen=True, slots=True)
class Came:
    """The device has connected."""


@dataclass(frozen=True, slots=True)
class Left:
    """Its connection has ended."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """It asks for what there is: an outstanding wake is answered."""

    holds: int


@dataclass(frozen=True, slots=True)
class Holds:
    """It has acknowledged everything up to a number."""

    up_to: int


@dataclass(frozen=True, slots=True)
class ReadElsewhere:
    """The holder has read everything up to a number, on another device."""

    up_to: int


@dataclass(frozen=True, slots=True)
class Changed:
    """The holder has set other hours."""

    hours: Hours


@dataclass(frozen=True, slots=True)
class Sent:
    """The push service took it, and keeps it for `kept` seconds."""

    kept: float


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not; try again after `wait` seconds, or when we think best.

    `dice` from 0 to 1 spreads the tries of many devices.
    """

    wait: float | None
    dice: float


@dataclass(frozen=True, slots=True)
class Gone:
    """What waited is not there any more: it was deleted, or its life is over."""

    up_to: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


Event: TypeAlias = (
    Rang | Came | Left | Fetched | Holds | ReadElsewhere | Changed | Sent | Failed | Gone | Tick
)


@dataclass(frozen=True, slots=True)
class Push:
    """Wake the device; answer with Sent, Failed or Gone."""

    urgent: bool
    """Otherwise it is a digest, which may wait until the phone is awake."""
    lane: LaneId | None
    """Which lane's budget it is charged to."""


@dataclass(frozen=True, slots=True)
class Explain:
    """Note for the holder what was decided of a parcel on `lane`."""

    why: Why
    lane: LaneId | None
    times: int = 1


Action: TypeAlias = Push | Explain


@dataclass(slots=True, kw_only=True)
class Row:
    """What is kept of a bell on the disk."""

    wake: int = 0
    """The newest parcel that may wake at any hour."""
    outside: int = 0
    """The newest that may wake outside quiet hours."""
    digest: int = 0
    """The newest that is told of in a digest."""
    held: int = 0
    """The device has acknowledged up to here."""
    read: int = 0
    """The holder has read up to here on other devices."""
    pushes: int = 0
    """Wakes since the device last collected."""
    pushed_at: float = 0.0
    """The last of them, in steady seconds."""
    hour_began: float = 0.0
    hour_pushes: int = 0
    """Wakes in the hour that began then."""


class _Verdict(NamedTuple):
    why: Why | None
    again: float | None = None
    """When to look again, in steady seconds; None: when something happens."""
    urgent: bool = True


_NOTHING: Final = _Verdict(None)


class Bell:
    """Decides for one device.

    Args:
        row: what is kept of it.
        hours: what its holder has set.
    """

    def __init__(self, row: Row, hours: Hours) -> None:
        self.row = row
        self.hours = hours
        self._connected = 0
        self._heard: float | None = None
        self._grace: float | None = None  # until when a device that is here may acknowledge
        self._hold = 0.0  # until when it may be read elsewhere
        self._retry = 0.0  # until when the push service is left alone
        self._fails = 0
        self._kept: float | None = None  # how long the push service keeps the last wake
        self._sending: Push | None = None
        self._demoted = False  # too many wakes: the next is a gentle one
        self._lane: LaneId | None = None  # what the wake that is due is charged to
        self._told: float | None = None  # wall time since when a digest has something to tell
        self._due: float | None = None
        self._why: Why | None = None  # what the last look came to

    def due(self) -> float | None:
        """Return when a Tick will do something, in steady seconds; None: before that, an event."""
        return self._due

    @property
    def here(self) -> bool:
        """Whether the device is connected."""
        return self._connected > 0

    def is_here(self, now: Now) -> bool:
        """Return whether the device is connected or said something of its own a moment ago."""
        lately = self._heard is not None and now.steady - self._heard <= HERE_SECONDS
        return self.here or lately

    def handle(self, event: Event, now: Now) -> list[Action]:
        """Take in one event; return what to do about it, in order."""
        said: list[Action] = []
        match event:
            case Rang():
                return self._rang(event, now)
            case Came():
                self._connected += 1
            case Left():
                self._connected = max(0, self._connected - 1)
            case Fetched(holds):
                self._heard = now.steady
                self.row.held, self.row.pushes = max(self.row.held, holds), 0
                self._kept, self._grace = None, now.steady + GRACE_SECONDS
            case Holds(up_to):
                self._heard = now.steady
                if up_to > self.row.held:
                    self.row.held, self.row.pushes = up_to, 0
                    self._grace = now.steady + GRACE_SECONDS if self._urgently_waits() else None
            case ReadElsewhere(up_to):
                said = self._read(up_to)
            case Changed(hours):
                self.hours = hours
            case Sent(kept):
                said = self._sent(kept, now)
            case Failed(wait, dice):
                said = self._failed(wait, dice, now)
            case Gone(up_to):
                self._sending = None
                self.row.read = max(self.row.read, up_to)
            case Tick():
                pass
        return [*said, *self._look(now)]

    # What happened

    def _rang(self, rang: Rang, now: Now) -> list[Action]:
        if self._is_one_more(rang, now):
            return [Explain(Why.OUTSTANDING, rang.lane, rang.times)]
        waited = self._urgently_waits()
        match rang.granted:
            case WakeRule.NEVER:
                return [Explain(Why.NEVER, rang.lane, rang.times)]
            case WakeRule.WAKE:
                self.row.wake = max(self.row.wake, rang.seq)
            case WakeRule.WAKE_OUTSIDE_QUIET_HOURS:
                self.row.outside = max(self.row.outside, rang.seq)
            case WakeRule.DIGEST:
                self.row.digest = max(self.row.digest, rang.seq)
        if rang.granted is not WakeRule.DIGEST:
            if not waited:
                self._lane = rang.lane
            self._wait_a_moment(now, others=rang.others, fresh=not waited)
        verdict = self._verdict(now)
        actions = self._follow(verdict, now)
        if rang.granted is WakeRule.DIGEST and now.wall is not None:
            budget = rang.asked is not WakeRule.DIGEST
            why = Why.LANE_BUDGET if budget else Why.DIGEST
            return [*actions, Explain(why, rang.lane, rang.times)]
        if verdict.why is None:
            return actions
        if any(isinstance(one, Push) for one in actions):
            more = rang.times - 1
            return [*actions, Explain(Why.SENDING, rang.lane, more)] if more else actions
        return [*actions, Explain(verdict.why, rang.lane, rang.times)]

    def _is_one_more(self, rang: Rang, now: Now) -> bool:
        """Take note of a parcel that changes nothing: another like it has woken the device."""
        row, due = self.row, self._due
        if self._why is not Why.OUTSTANDING or due is None or now.steady >= due:
            return False
        done = max(row.held, row.read)
        if rang.granted is WakeRule.WAKE and row.wake > done:
            row.wake = max(row.wake, rang.seq)
            return True
        if rang.granted is WakeRule.WAKE_OUTSIDE_QUIET_HOURS and row.outside > done:
            row.outside = max(row.outside, rang.seq)
            return True
        return False

    def _wait_a_moment(self, now: Now, *, others: bool, fresh: bool) -> None:
        if self.is_here(now) and (fresh or self._grace is None):
            self._grace = now.steady + GRACE_SECONDS
        if others and (fresh or self._hold <= now.steady):
            begins = max(now.steady, self._grace or 0.0)
            self._hold = begins + HOLD_SECONDS

    def _read(self, up_to: int) -> list[Action]:
        waited = self._urgently_waits()
        self.row.read = max(self.row.read, up_to)
        if waited and not self._urgently_waits():
            return [Explain(Why.READ_ELSEWHERE, self._lane)]
        return []

    def _sent(self, kept: float, now: Now) -> list[Action]:
        push, self._sending = self._sending, None
        self._fails, self._kept = 0, kept
        if push is not None and not push.urgent:
            self._told = now.wall
        row = self.row
        if now.steady - row.hour_began >= HOUR:
            row.hour_began, row.hour_pushes = now.steady, 0
        row.hour_pushes += 1
        row.pushed_at = now.steady
        if self._urgently_waits():  # a digest is no wake that must be answered
            row.pushes += 1
        self._demoted, self._grace, self._lane = False, None, None
        if push is None:
            return []
        return [Explain(Why.WOKE if push.urgent else Why.DIGEST_SENT, push.lane)]

    def _failed(self, wait: float | None, dice: float, now: Now) -> list[Action]:
        push, self._sending = self._sending, None
        if wait is None:
            doubled = FIRST_RETRY_SECONDS * 2 ** min(self._fails, 16) * (0.5 + dice)
            wait = min(doubled, LONGEST_RETRY_SECONDS)
        self._fails += 1
        self._retry = now.steady + wait
        first = self._fails == 1 and push is not None
        return [Explain(Why.PROVIDER, self._lane)] if first else []

    # What is decided

    def _urgently_waits(self) -> bool:
        return max(self.row.wake, self.row.outside) > max(self.row.held, self.row.read)

    def _look(self, now: Now) -> list[Action]:
        return self._follow(self._verdict(now), now)

    def _follow(self, verdict: _Verdict, now: Now) -> list[Action]:
        if verdict.why in (Why.WOKE, Why.DIGEST_SENT):
            self._sending = Push(verdict.urgent, self._lane)
            self._due, self._why = None, Why.SENDING
            return [self._sending]
        if verdict.why is Why.OVER_BUDGET:
            self._demoted = True
        again = verdict.again
        self._due = None if again is None else min(again, now.steady + LOOK_AGAIN)
        self._why = verdict.why
        return []

    def _verdict(self, now: Now) -> _Verdict:
        row, done = self.row, max(self.row.held, self.row.read)
        wake, outside, digest = row.wake > done, row.outside > done, row.digest > done
        if now.wall is None:  # nobody knows whether it is night
            wake = wake or outside or digest
        self._told = None if not digest else now.wall if self._told is None else self._told
        if not (wake or outside or digest):
            return _NOTHING
        if self._sending is not None:
            return _Verdict(Why.SENDING)
        if now.wall is not None and now.wall < self.hours.snooze_until:
            return self._until(Why.SNOOZED, self.hours.snooze_until, now, now.wall)
        if wake:
            return self._urgent(now)
        assert now.wall is not None  # noqa: S101  # without it everything wakes
        if outside and not is_quiet(self.hours, now.wall):
            return self._urgent(now)
        found = []
        if outside:
            end = quiet_ends(self.hours, now.wall)
            found.append(self._until(Why.QUIET_HOURS, end, now, now.wall))
        if digest:
            found.append(self._digest(now, now.wall))
        ready = [one for one in found if one.why is Why.DIGEST_SENT]
        if ready:
            return ready[0]
        agains = [one.again for one in found if one.again is not None]
        return _Verdict(found[0].why, min(agains, default=None))

    def _digest(self, now: Now, wall: float) -> _Verdict:
        at = next_digest(self.hours, self._told if self._told is not None else wall)
        if at is None:
            return _Verdict(Why.DIGEST)
        if wall < at:
            return self._until(Why.DIGEST, at, now, wall)
        if self._retry > now.steady:
            return _Verdict(Why.PROVIDER, self._retry)
        return _Verdict(Why.DIGEST_SENT, urgent=False)

    def _urgent(self, now: Now) -> _Verdict:
        row, steady = self.row, now.steady
        if self._grace is not None and steady < self._grace and self.is_here(now):
            return _Verdict(Why.CONNECTED, self._grace)
        if steady < self._hold:
            return _Verdict(Why.READ_ELSEWHERE, self._hold)
        if row.pushes:
            again = row.pushed_at + self._again_after(row.pushes)
            if steady < again:
                return _Verdict(Why.OUTSTANDING, again)
        if steady < row.pushed_at + GAP_SECONDS:
            return _Verdict(Why.GAP, row.pushed_at + GAP_SECONDS)
        over = row.hour_began + HOUR
        if row.hour_pushes >= BUDGET and steady < over:
            return _Verdict(Why.OVER_BUDGET, over)
        if steady < self._retry:
            return _Verdict(Why.PROVIDER, self._retry)
        if self._demoted:
            return _Verdict(Why.DIGEST_SENT, urgent=False)
        return _Verdict(Why.WOKE)

    def _again_after(self, pushes: int) -> float:
        """Return the seconds after which an unanswered wake is repeated.

        Earlier, where the push service has thrown the last one away by then.
        """
        index = pushes - 1
        wait = AGAIN_SECONDS[index] if index < len(AGAIN_SECONDS) else DAILY_SECONDS
        return wait if self._kept is None else max(AGAIN_SECONDS[0], min(wait, self._kept))

    def _until(self, why: Why, at: float, now: Now, wall: float) -> _Verdict:
        return _Verdict(why, now.steady + max(0.0, at - wall))
