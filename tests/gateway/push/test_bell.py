"""Who is woken when: every order that the state machine keeps."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.push.bell import (
    AGAIN_SECONDS,
    BUDGET,
    DAILY_SECONDS,
    GAP_SECONDS,
    GRACE_SECONDS,
    HOLD_SECONDS,
    HOUR,
    LONGEST_RETRY_SECONDS,
    Action,
    Bell,
    Came,
    Changed,
    Event,
    Explain,
    Failed,
    Fetched,
    Gone,
    Holds,
    Left,
    Now,
    Push,
    Rang,
    ReadElsewhere,
    Row,
    Sent,
    Tick,
    Why,
)
from tests.gateway.push.test_hours import NIGHT, at
from wire.ids import LaneId
from wire.lanes import WakeRule
from wire.pushes import Hours

LANE, OTHER = LaneId(b"L" * 16), LaneId(b"O" * 16)
NOON = at("2026-06-01T10:00")
FOREVER = 28 * 86_400.0


@dataclass
class Desk:
    """A bell, a clock, and a push service that takes everything as long as it is `up`."""

    hours: Hours = field(default_factory=Hours)
    row: Row = field(default_factory=Row)
    steady: float = 1e6
    wall: float | None = NOON
    kept: float = FOREVER
    up: bool = True
    pushes: list[tuple[float, bool]] = field(default_factory=list)
    said: list[Explain] = field(default_factory=list)
    tries: int = 0
    seq: int = 0
    began: float = 1e6

    def __post_init__(self) -> None:
        self.bell = Bell(self.row, self.hours)

    @property
    def now(self) -> Now:
        """The time."""
        return Now(self.steady, self.wall)

    def tell(self, event: Event) -> list[Action]:
        """Tell the bell, and do what it wants."""
        actions = self.bell.handle(event, self.now)
        for action in actions:
            if isinstance(action, Push):
                self.tries += 1
                if self.up:
                    self.pushes.append((self.steady - self.began, action.urgent))
                    self.tell(Sent(self.kept))
                else:
                    self.tell(Failed(None, 0.5))
            else:
                self.said.append(action)
        return actions

    def ring(self, granted: WakeRule = WakeRule.WAKE, *, others: bool = False) -> int:
        """Let a parcel come; return its number."""
        self.seq += 1
        self.tell(Rang(self.seq, LANE, granted, granted, others))
        return self.seq

    def live(self, seconds: float) -> None:
        """Let time pass, with every Tick that is due."""
        end = self.steady + seconds
        while (due := self.bell.due()) is not None and due <= end:
            self._go(max(due, self.steady))
            self.tell(Tick())
        self._go(end)
        self.tell(Tick())

    def _go(self, to: float) -> None:
        if self.wall is not None:
            self.wall += to - self.steady
        self.steady = to

    def collect(self) -> None:
        """Let the phone collect and acknowledge everything."""
        self.tell(Fetched(0))
        self.tell(Holds(self.seq))

    def whys(self) -> list[Why]:
        """Return the reasons that were given."""
        return [one.why for one in self.said]


def test_01_a_letter_for_a_phone_that_sleeps_wakes_it_once() -> None:
    desk = Desk()

    desk.ring()
    desk.live(600)

    assert desk.pushes == [(0.0, True)]
    assert desk.said == [Explain(Why.WOKE, LANE)]


def test_02_what_is_never_to_ring_does_not() -> None:
    desk = Desk()

    for _ in range(14):
        desk.ring(WakeRule.NEVER)
    desk.live(10 * DAILY_SECONDS)

    assert desk.pushes == []
    assert desk.whys() == [Why.NEVER] * 14
    assert desk.bell.due() is None


def test_10_a_lane_whose_budget_is_spent_is_told_of_in_the_digest() -> None:
    desk = Desk(hours=Hours(digests=(18 * 60,)))

    desk.tell(Rang(1, LANE, WakeRule.WAKE, WakeRule.DIGEST))
    desk.live(DAILY_SECONDS)

    assert desk.whys() == [Why.LANE_BUDGET, Why.DIGEST_SENT]
    assert desk.pushes == [(8 * HOUR, False)]


@pytest.mark.parametrize(
    ("evening", "morning"),
    [
        ("2026-03-28T22:00", "2026-03-29T05:00"),
        ("2026-10-24T22:00", "2026-10-25T06:00"),
        ("2026-06-01T22:00", "2026-06-02T05:00"),
    ],
)
def test_16_quiet_hours_hold_until_seven_in_every_night(evening: str, morning: str) -> None:
    desk = Desk(hours=NIGHT, wall=at(evening))

    desk.ring(WakeRule.WAKE_OUTSIDE_QUIET_HOURS)
    assert desk.pushes == []
    desk.live(12 * HOUR)

    assert desk.pushes[0] == (at(morning) - at(evening), True)
    assert desk.whys()[:2] == [Why.QUIET_HOURS, Why.WOKE]


def test_16_what_is_always_to_wake_passes_quiet_hours() -> None:
    desk = Desk(hours=NIGHT, wall=at("2026-06-01T22:00"))

    desk.ring(WakeRule.WAKE_OUTSIDE_QUIET_HOURS)
    desk.ring()

    assert desk.pushes == [(0.0, True)]


def test_16_what_was_read_by_the_morning_does_not_ring() -> None:
    desk = Desk(hours=NIGHT, wall=at("2026-06-01T22:00"))

    desk.tell(ReadElsewhere(desk.ring(WakeRule.WAKE_OUTSIDE_QUIET_HOURS)))
    desk.live(24 * HOUR)

    assert desk.pushes == []
    assert desk.whys() == [Why.QUIET_HOURS, Why.READ_ELSEWHERE]


def test_17_a_snooze_holds_everything_and_a_restart_changes_nothing() -> None:
    desk = Desk(hours=Hours(snooze_until=int(NOON) + 3600))
    desk.ring()
    again = Desk(hours=desk.hours, row=replace(desk.bell.row), steady=desk.steady, wall=desk.wall)

    again.live(3599)
    assert again.pushes == []
    again.live(2)

    assert again.pushes == [(3600.0, True)]
    assert desk.whys() == [Why.SNOOZED]


def test_a_snooze_that_is_taken_back_ends_at_once() -> None:
    desk = Desk(hours=Hours(snooze_until=int(NOON) + 3600))
    desk.ring()

    desk.tell(Changed(Hours()))

    assert desk.pushes == [(0.0, True)]


def test_20_twenty_letters_wake_once_and_the_next_after_the_fetch_once_more() -> None:
    desk = Desk()
    for _ in range(20):
        desk.ring()
        desk.live(0.1)
    desk.live(60)
    desk.collect()
    desk.live(60)
    assert len(desk.pushes) == 1

    desk.ring()
    desk.live(60)

    assert len(desk.pushes) == 2
    assert desk.whys() == [Why.WOKE, *[Why.OUTSTANDING] * 19, Why.WOKE]


def test_21_a_live_socket_is_not_pushed_to() -> None:
    desk = Desk()
    desk.tell(Came())

    for _ in range(30):
        desk.tell(Holds(desk.ring()))
        desk.live(5)
    desk.live(DAILY_SECONDS)

    assert desk.pushes == []
    assert set(desk.whys()) == {Why.CONNECTED}


def test_21_a_device_that_acknowledges_as_they_come_is_not_pushed_to() -> None:
    desk = Desk()
    desk.tell(Came())

    for _ in range(100):
        desk.ring()
        desk.live(3)
        desk.ring()
        desk.live(6)
        desk.tell(Holds(desk.seq - 1))

    assert desk.pushes == []


def test_22_a_connection_that_is_dead_and_does_not_know_it_is_pushed_to_after_ten_seconds() -> None:
    desk = Desk()
    desk.tell(Came())
    desk.live(600)
    desk.ring()
    began = desk.steady - desk.began
    for _ in range(9):
        desk.live(1.0)
        desk.ring()
    assert desk.pushes == []

    desk.live(1.0)

    assert desk.pushes == [(began + GRACE_SECONDS, True)]


def test_a_device_that_leaves_is_pushed_to_at_once() -> None:
    desk = Desk()
    desk.tell(Came())
    desk.live(60)
    desk.ring()
    desk.live(1)

    desk.tell(Left())

    assert len(desk.pushes) == 1


def test_23_what_is_read_on_the_laptop_within_the_hold_does_not_ring_the_phone() -> None:
    desk = Desk()

    seq = desk.ring(others=True)
    desk.live(HOLD_SECONDS - 0.1)
    desk.tell(ReadElsewhere(seq))
    desk.live(DAILY_SECONDS)

    assert desk.pushes == []
    assert desk.whys() == [Why.READ_ELSEWHERE, Why.READ_ELSEWHERE]


def test_23_what_is_not_read_there_rings_after_the_hold() -> None:
    desk = Desk()

    desk.ring(others=True)
    desk.live(600)

    assert desk.pushes == [(HOLD_SECONDS, True)]


def test_23_reading_a_part_silences_no_more_than_that() -> None:
    desk = Desk()

    first = desk.ring(others=True)
    desk.ring(others=True)
    desk.tell(ReadElsewhere(first))
    desk.live(600)

    assert desk.pushes == [(HOLD_SECONDS, True)]


def test_24_an_unanswered_wake_is_repeated_and_never_given_up() -> None:
    desk = Desk()
    desk.ring()
    desk.live(30 * DAILY_SECONDS)

    times = [when for when, _ in desk.pushes]
    waits = [later - sooner for sooner, later in pairwise(times)]
    assert waits[:6] == list(AGAIN_SECONDS)
    assert set(waits[6:]) == {DAILY_SECONDS}
    assert len(times) == 36


@pytest.mark.parametrize("off", [12 * HOUR, 3 * DAILY_SECONDS, 20 * DAILY_SECONDS])
def test_24_a_phone_that_was_off_is_woken_on_return(off: float) -> None:
    desk = Desk()
    desk.ring()
    desk.live(off)
    before = len(desk.pushes)

    desk.live(DAILY_SECONDS)

    assert len(desk.pushes) > before


def test_24_a_wake_that_the_push_service_has_dropped_is_repeated_when_it_did() -> None:
    desk = Desk(kept=3600.0)
    desk.ring()
    desk.live(10 * DAILY_SECONDS)

    times = [when for when, _ in desk.pushes]
    waits = [later - sooner for sooner, later in pairwise(times)]
    assert waits[:3] == [900.0, 1800.0, 3600.0]
    assert set(waits[3:]) == {3600.0}


def test_25_a_hundred_wakes_in_an_hour_are_thirty_and_a_digest() -> None:
    desk = Desk()
    for _ in range(100):
        desk.ring()
        desk.live(31)
        desk.collect()
        desk.live(5)
    urgent = [when for when, urgent in desk.pushes if urgent]
    assert len([when for when in urgent if when < HOUR]) == BUDGET

    desk = Desk()
    for _ in range(31):
        desk.live(31)
        desk.collect()
        desk.live(5)
        desk.ring()
        desk.live(26)
    desk.live(2 * HOUR)
    assert [urgent for _, urgent in desk.pushes[:31]] == [True] * BUDGET + [False]
    assert Why.DIGEST_SENT in desk.whys()


def test_26_only_wakes_are_urgent() -> None:
    desk = Desk(hours=Hours(zone="UTC", digests=(12 * 60, 18 * 60)))

    desk.ring(WakeRule.DIGEST)
    desk.live(DAILY_SECONDS)

    assert desk.pushes == [(2 * HOUR, False), (8 * HOUR, False)]


def test_a_digest_is_sent_at_its_hours_only_and_never_without_any() -> None:
    desk = Desk()

    desk.ring(WakeRule.DIGEST)
    desk.live(3 * DAILY_SECONDS)

    assert desk.pushes == []
    assert desk.whys() == [Why.DIGEST]


def test_two_wakes_are_half_a_minute_apart() -> None:
    desk = Desk()
    desk.ring()
    desk.tell(Fetched(1))
    desk.live(1)
    desk.tell(Holds(1))
    desk.ring()
    desk.live(100)

    assert [when for when, _ in desk.pushes] == [0.0, GAP_SECONDS]


def test_a_push_service_that_is_down_is_tried_more_and_more_seldom() -> None:
    desk = Desk(up=False)
    desk.ring()
    desk.live(60)
    tries = desk.tries
    assert 2 <= tries <= 4

    desk.live(10 * DAILY_SECONDS)
    assert desk.tries - tries < 60
    due = desk.bell.due()
    assert due is not None
    assert due <= desk.steady + LONGEST_RETRY_SECONDS


def test_56_after_an_hour_without_push_service_five_hundred_letters_are_one_push() -> None:
    desk = Desk(up=False)
    for _ in range(500):
        desk.ring()
        desk.live(7.2)
    desk.up = True
    desk.live(2 * HOUR)

    [(first, urgent), (second, _), *_] = desk.pushes
    assert urgent
    assert second - first == AGAIN_SECONDS[0]  # nobody has collected


def test_33_a_push_service_that_wants_to_be_left_alone_is() -> None:
    desk = Desk()
    desk.bell.handle(Rang(1, LANE, WakeRule.WAKE, WakeRule.WAKE), desk.now)
    desk.tell(Failed(120.0, 0.5))
    desk.live(119)
    assert desk.pushes == []

    desk.live(2)

    assert desk.pushes == [(120.0, True)]


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_57_a_clock_that_jumps_makes_no_storm(jump: float) -> None:
    desk = Desk(hours=NIGHT)
    desk.ring()
    for _ in range(20):
        assert desk.wall is not None
        desk.wall += jump
        jump = -jump
        desk.live(10)

    assert len(desk.pushes) == 1


def test_while_the_clock_is_not_set_it_is_no_night() -> None:
    desk = Desk(hours=NIGHT, wall=None)

    desk.ring(WakeRule.WAKE_OUTSIDE_QUIET_HOURS)
    desk.live(1)
    desk.collect()
    desk.live(60)
    desk.ring(WakeRule.DIGEST)

    assert [urgent for _, urgent in desk.pushes] == [True, True]


def test_what_is_gone_rings_no_more() -> None:
    desk = Desk()
    seq = desk.ring()

    desk.tell(Gone(seq))

    assert desk.bell.due() is None


def test_a_push_is_charged_to_the_lane_that_began_it() -> None:
    bell, now = Bell(Row(), Hours()), Now(1e6, NOON)

    [first, *_] = bell.handle(Rang(1, LANE, WakeRule.WAKE, WakeRule.WAKE), now)
    bell.handle(Rang(2, OTHER, WakeRule.WAKE, WakeRule.WAKE), now)
    bell.handle(Sent(FOREVER), now)
    [again, *_] = bell.handle(Tick(), Now(now.steady + 900, NOON))

    assert first == Push(True, LANE)
    assert again == Push(True, None)


class Life(RuleBasedStateMachine):
    """Whatever happens, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(hours=NIGHT)
        self.connected = 0

    @rule(granted=st.sampled_from(WakeRule), others=st.booleans(), count=st.integers(1, 5))
    def ring(self, granted: WakeRule, others: bool, count: int) -> None:
        for _ in range(count):
            self.desk.ring(granted, others=others)

    @rule(seconds=st.sampled_from([0.5, 4.0, 29.0, 31.0, 900.0, 3601.0, 40_000.0]))
    def live(self, seconds: float) -> None:
        self.desk.live(seconds)

    @rule(jump=st.sampled_from([-7200.0, -60.0, 60.0, 7200.0]))
    def jump(self, jump: float) -> None:
        self.desk.wall = (self.desk.wall or 0) + jump
        self.desk.tell(Tick())

    @rule()
    def come(self) -> None:
        self.connected += 1
        self.desk.tell(Came())

    @precondition(lambda self: self.connected)
    @rule()
    def leave(self) -> None:
        self.connected -= 1
        self.desk.tell(Left())

    @rule()
    def fetch(self) -> None:
        self.desk.tell(Fetched(self.desk.bell.row.held))

    @rule(share=st.floats(0, 1))
    def hold(self, share: float) -> None:
        self.desk.tell(Holds(int(self.desk.seq * share)))

    @rule(share=st.floats(0, 1))
    def read(self, share: float) -> None:
        self.desk.tell(ReadElsewhere(int(self.desk.seq * share)))

    @rule(up=st.booleans())
    def break_or_mend(self, up: bool) -> None:
        self.desk.up = up

    @rule()
    def restart(self) -> None:
        self.connected = 0
        self.desk.bell = Bell(self.desk.bell.row, self.desk.bell.hours)
        self.desk.tell(Tick())

    @invariant()
    def wakes_keep_their_distance(self) -> None:
        urgent = [when for when, urgent in self.desk.pushes if urgent]
        pairs = pairwise(urgent)
        assert all(later - sooner >= GAP_SECONDS - 1e-6 for sooner, later in pairs)
        assert all(sum(one <= when < one + HOUR for when in urgent) <= 2 * BUDGET for one in urgent)

    @invariant()
    def what_waits_is_never_forgotten(self) -> None:
        row = self.desk.bell.row
        if max(row.wake, row.outside) > max(row.held, row.read):
            assert self.desk.bell.due() is not None

    def teardown(self) -> None:
        """In the end, with everything mended, what waits rings."""
        self.desk.up = True
        row = self.desk.bell.row
        before = len(self.desk.pushes)
        if max(row.wake, row.outside) > max(row.held, row.read):
            self.desk.live(2 * DAILY_SECONDS)
            assert len(self.desk.pushes) > before


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
