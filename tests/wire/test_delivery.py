"""The courier: event by event, then a machine with lines that break and parcels that expire."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from wire.delivery import (
    ACK_TIMEOUT,
    QUIET,
    Acked,
    Action,
    Answered,
    Ask,
    Connected,
    Courier,
    Forget,
    HangUp,
    Lost,
    Send,
    Sent,
    Stored,
    Tick,
)
from wire.errors import AckBeyondSent


def here(newest: int, *, acked: int = 0, window: int = 64) -> Courier:
    """Return a courier whose device has just connected and been sent what the window holds."""
    courier = Courier(newest=newest, acked=acked, window=window)
    [send] = courier.handle(Connected(acked), now=0)
    assert isinstance(send, Send)
    courier.handle(Sent(send.first, tuple(range(send.first, send.last + 1))), now=0)
    return courier


def test_nothing_is_sent_to_a_device_that_is_away() -> None:
    courier = Courier(newest=3)

    assert courier.handle(Stored(4), now=0) == []
    assert courier.handle(Tick(), now=1000) == []
    assert courier.due() is None
    assert not courier.here


def test_a_device_that_comes_gets_what_it_has_not() -> None:
    courier = Courier(newest=5, acked=1)

    assert courier.handle(Connected(acked=2), now=0) == [Forget(2), Send(3, 5)]
    assert courier.here


def test_a_parcel_that_is_stored_while_the_device_is_here_is_sent_at_once() -> None:
    courier = Courier()

    assert courier.handle(Connected(acked=0), now=0) == []
    assert courier.handle(Stored(1), now=1) == [Send(1, 1)]


def test_there_is_one_send_at_a_time() -> None:
    courier = Courier()
    courier.handle(Connected(acked=0), now=0)

    assert courier.handle(Stored(1), now=1) == [Send(1, 1)]
    assert courier.handle(Stored(2), now=1) == []
    assert courier.handle(Sent(1, (1,)), now=1) == [Send(2, 2)]


def test_a_stored_number_that_was_overtaken_changes_nothing() -> None:
    courier = here(5)

    assert courier.handle(Stored(4), now=1) == []
    assert courier.handle(Connected(acked=5), now=1) == [Forget(5)]
    assert courier.handle(Stored(6), now=1) == [Send(6, 6)]


def test_the_window_holds_back_what_is_too_much_at_once() -> None:
    courier = Courier(newest=10, window=4)

    assert courier.handle(Connected(acked=0), now=0) == [Send(1, 4)]
    assert courier.handle(Sent(1, (1, 2, 3, 4)), now=0) == []
    assert courier.handle(Acked(1), now=1) == [Forget(1), Send(5, 5)]
    assert courier.handle(Sent(5, (5,)), now=1) == []
    assert courier.handle(Acked(5), now=2) == [Forget(5), Send(6, 9)]


def test_a_frame_that_was_full_is_followed_by_the_next() -> None:
    courier = Courier(newest=10, window=4)
    courier.handle(Connected(acked=0), now=0)

    assert courier.handle(Sent(1, (1,)), now=0) == [Send(2, 4)]


def test_a_window_of_holes_is_walked_over() -> None:
    courier = Courier(newest=10, window=4)
    courier.handle(Connected(acked=0), now=0)

    assert courier.handle(Sent(1, ()), now=0) == [Send(5, 8)]
    assert courier.handle(Sent(5, (7,)), now=0) == [Send(8, 10)]
    assert courier.handle(Sent(8, ()), now=0) == []
    assert courier.handle(Stored(11), now=0) == [Send(11, 11)]


def test_holes_may_be_jumped_beyond_what_was_asked() -> None:
    courier = Courier(newest=10, window=2)
    courier.handle(Connected(acked=0), now=0)

    assert courier.handle(Sent(1, (9, 12)), now=0) == []
    assert courier.handle(Acked(12), now=0) == [Forget(12)]
    assert courier.handle(Connected(acked=12), now=0) == []
    assert courier.handle(Stored(12), now=0) == []
    assert courier.handle(Stored(13), now=0) == [Send(13, 13)]


def test_what_was_not_acknowledged_is_sent_again_after_the_line_breaks() -> None:
    courier = here(3)

    assert courier.handle(Acked(1), now=1) == [Forget(1)]
    assert courier.handle(Lost(), now=2) == []
    assert not courier.here
    assert courier.handle(Connected(acked=1), now=3) == [Send(2, 3)]


def test_an_acknowledgement_that_comes_again_forgets_nothing_twice() -> None:
    courier = here(3)

    assert courier.handle(Acked(2), now=1) == [Forget(2)]
    assert courier.handle(Acked(2), now=1) == []
    assert courier.handle(Acked(1), now=1) == []


def test_an_acknowledgement_after_the_line_broke_still_counts() -> None:
    courier = here(3, window=3)
    courier.handle(Stored(4), now=0)
    courier.handle(Lost(), now=1)

    assert courier.handle(Acked(2), now=2) == [Forget(2)]


def test_a_device_that_went_back_gets_everything_again() -> None:
    courier = here(5)
    courier.handle(Acked(5), now=1)
    courier.handle(Lost(), now=1)

    assert courier.handle(Connected(acked=2), now=2) == [Send(3, 5)]
    assert courier.handle(Sent(3, (3, 4, 5)), now=2) == []
    assert courier.handle(Acked(5), now=3) == []  # that was said before
    with pytest.raises(AckBeyondSent):
        courier.handle(Acked(6), now=3)


def test_connecting_twice_begins_anew() -> None:
    courier = here(5)

    assert courier.handle(Connected(acked=0), now=1) == [Send(1, 5)]


def test_nothing_can_be_acknowledged_that_was_never_sent() -> None:
    courier = here(3)

    with pytest.raises(AckBeyondSent) as refused:
        courier.handle(Acked(4), now=1)
    assert (refused.value.acked, refused.value.sent) == (4, 3)
    with pytest.raises(AckBeyondSent):
        Courier(newest=3).handle(Connected(acked=4), now=0)
    waiting = Courier(newest=3)
    waiting.handle(Connected(acked=0), now=0)
    with pytest.raises(AckBeyondSent):
        waiting.handle(Acked(1), now=0)


def test_an_answer_from_a_line_that_is_gone_is_ignored() -> None:
    courier = Courier(newest=3)
    courier.handle(Connected(acked=0), now=0)
    courier.handle(Lost(), now=0)
    assert courier.handle(Sent(1, (1, 2, 3)), now=0) == []

    assert courier.handle(Connected(acked=2), now=1) == [Forget(2), Send(3, 3)]
    assert courier.handle(Sent(1, (1, 2, 3)), now=1) == []
    with pytest.raises(AckBeyondSent):
        courier.handle(Acked(3), now=1)


def test_a_quiet_device_is_asked_and_then_hung_up_on() -> None:
    courier = here(1)
    assert courier.due() == QUIET

    assert courier.handle(Tick(), now=QUIET - 1) == []
    assert courier.handle(Tick(), now=QUIET) == [Ask()]
    assert courier.due() == QUIET + ACK_TIMEOUT
    assert courier.handle(Tick(), now=QUIET + ACK_TIMEOUT - 1) == []
    assert courier.handle(Tick(), now=QUIET + ACK_TIMEOUT) == [HangUp()]
    assert not courier.here
    assert courier.due() is None
    assert courier.handle(Stored(2), now=99) == []


@pytest.mark.parametrize("word", [Answered(), Acked(0), Acked(1)])
def test_any_word_from_the_device_puts_the_question_off(word: Acked | Answered) -> None:
    courier = here(1)
    courier.handle(Tick(), now=QUIET)

    courier.handle(word, now=QUIET + 1)

    assert courier.due() == QUIET + 1 + QUIET
    assert courier.handle(Tick(), now=QUIET + ACK_TIMEOUT) == []


def test_sending_is_no_sign_of_life() -> None:
    courier = here(1)

    courier.handle(Stored(2), now=QUIET - 1)

    assert courier.handle(Tick(), now=QUIET) == [Ask()]


def test_a_device_that_comes_back_is_not_asked_at_once() -> None:
    courier = here(1)
    courier.handle(Tick(), now=QUIET)
    courier.handle(Lost(), now=QUIET)

    courier.handle(Connected(acked=1), now=100)

    assert courier.due() == 100 + QUIET


class Delivery(RuleBasedStateMachine):
    """A mailbox with holes, a line that breaks, and a device that keeps what it has."""

    WINDOW = 3

    def __init__(self) -> None:
        super().__init__()
        self.courier = Courier(window=self.WINDOW)
        self.newest = 0
        self.alive: set[int] = set()
        self.arrived: list[int] = []  # at the device, first time only
        self.committed = 0
        self.line: list[int] | None = None
        self.wanted: list[Send] = []
        self.forgotten = 0
        self.now = 0.0

    @rule(expired=st.booleans())
    def a_parcel_is_stored(self, expired: bool) -> None:
        self.newest += 1
        if not expired:
            self.alive.add(self.newest)
        self._do(self.courier.handle(Stored(self.newest), now=self.now))

    @rule(number=st.integers(1, 40))
    def a_parcel_expires(self, number: int) -> None:
        if number > self.committed and number not in self.arrived:
            self.alive.discard(number)

    @precondition(lambda self: self.line is None)
    @rule(crashed=st.booleans())
    def the_device_connects(self, crashed: bool) -> None:
        if crashed:  # before it could commit
            self.arrived = [number for number in self.arrived if number <= self.committed]
        self.committed = max([self.committed, *self.arrived])
        self.line, self.wanted = [], []
        self._do(self.courier.handle(Connected(self.committed), now=self.now))

    @precondition(lambda self: self.line is not None)
    @rule()
    def the_line_breaks(self) -> None:
        self.line, self.wanted = None, []
        self._do(self.courier.handle(Lost(), now=self.now))

    @precondition(lambda self: self.wanted)
    @rule(frame=st.integers(1, 3), jump=st.booleans())
    def the_gateway_sends(self, frame: int, jump: bool) -> None:
        send = self.wanted.pop()
        last = self.newest if jump else send.last
        room = min(frame, send.last - send.first + 1)
        found = [n for n in range(send.first, last + 1) if n in self.alive][:room]
        assert self.line is not None
        self.line += found
        self._do(self.courier.handle(Sent(send.first, tuple(found)), now=self.now))

    @precondition(lambda self: self.line)
    @rule()
    def a_parcel_arrives(self) -> None:
        assert self.line is not None
        number = self.line.pop(0)
        if number > self.committed and number not in self.arrived:
            self.arrived.append(number)

    @precondition(lambda self: self.line is not None and self.arrived)
    @rule()
    def the_device_acknowledges(self) -> None:
        self.committed = max(self.committed, self.arrived[-1])
        self._do(self.courier.handle(Acked(self.committed), now=self.now))

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        due = self.courier.due()
        actions = self.courier.handle(Tick(), now=self.now)
        assert bool(actions) == (due is not None and due <= self.now)
        self._do(actions)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(first, last):
                    assert self.line is not None
                    assert not self.wanted
                    assert 1 <= first <= last <= self.newest
                    assert last - first < self.WINDOW
                    self.wanted.append(action)
                case Forget(upto):
                    assert self.forgotten < upto <= self.committed
                    self.forgotten = upto
                case HangUp():
                    self.line, self.wanted = None, []
                case Ask():
                    assert self.line is not None

    def teardown(self) -> None:
        """Let the line hold: everything arrives, once and in order, and nothing stalls."""
        if self.line is None:
            self.the_device_connects(crashed=False)
        if self.arrived:
            self.the_device_acknowledges()
        while self.wanted or self.line:
            if self.wanted:
                self.the_gateway_sends(3, False)
            while self.line:
                self.a_parcel_arrives()
            if self.arrived:
                self.the_device_acknowledges()
        assert self.arrived == sorted(set(self.arrived))
        assert self.alive <= set(self.arrived)


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
