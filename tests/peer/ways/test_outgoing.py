"""What waits to be sent, as rows: written, sealed, claimed, stored, asked for again, given up.

No network here: what two phones would have sent to each other is carried by hand.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peer.items.kinds import Content, Gone, Heartbeat, Letter, Range, Resend
from peer.keys.introduction import remember
from peer.keys.letters import Letters
from peer.letterbox import content_of
from peer.me import Home, Me
from peer.people.contacts import Contact, Contacts
from peer.people.lanes import Lanes
from peer.store import Store, open_store
from peer.ways.missing import Gaps
from peer.ways.outgoing import CLAIM_SECONDS, MAX_AGAIN, MAX_RESENT, Outgoing, Waiting, without
from peer.ways.receiving import Batch, Receiving
from tests.peer.keys.people import NOW, Person, meet
from wire.card import Role
from wire.frames import Delivered
from wire.ids import CursorEpoch, GatewayId, ItemId
from wire.lanes import WakeRule
from wire.parcel import Parcel
from wire.places import Place

DAY = 86_400.0
GATEWAY = GatewayId(b"\7" * 32)
EPOCH = CursorEpoch(b"\1" * 16)


@dataclass
class Clock:
    """A clock that stands until a test moves it."""

    now: float = NOW

    def __call__(self) -> float:
        """Return Unix seconds."""
        return self.now


class Desk:
    """A phone without a network: what comes in, what goes out, and its file."""

    def __init__(self, home: Path, name: str, clock: Clock) -> None:
        self.home = home
        self.clock = clock
        self.store = self.open()
        with self.store.transaction():
            self.me = Me.begin(self.store, name=name, role=Role.PHONE, now=clock())
            self.me.move_in(Home(GATEWAY, (Place("192.0.2.7"),)), now=clock())
        self.contacts = Contacts(self.store.db)
        self.lanes = Lanes(self.store.db)
        self.start()
        self.came = 0

    def open(self) -> Store:
        """Open the phone's file once more, as another process does."""
        store = open_store(self.home, create=True)
        assert store is not None
        return store

    def start(self) -> None:
        """Begin as a program does that was started just now."""
        self.outgoing = Outgoing(self.store, self.me, now=self.clock)
        self.receiving = Receiving(self.store, self.me, self.outgoing, now=self.clock)
        self.gaps = Gaps(self.store, self.outgoing, now=self.clock)

    def put(self, to: "Desk", content: Content | str) -> ItemId:
        """Put something on its way."""
        if isinstance(content, str):
            content = Letter.write(content)
        with self.store.transaction():
            return self.outgoing.put(self.contact(to), content)

    def contact(self, other: "Desk") -> Contact:
        """Return somebody as this phone knows them."""
        found = self.contacts.of(other.me.person)
        assert found is not None
        return found

    def claim(self) -> list[Waiting]:
        """Take all that waits."""
        with self.store.transaction():
            return self.outgoing.claim(due_only=False)

    def post(self) -> list[Parcel]:
        """Bring all that waits to the gateway; return it as parcels."""
        sent = list[Parcel]()
        for one in self.claim():
            assert one.sealed is not None
            lane = self.lanes.to(one.person, one.kind, gateway=GATEWAY)
            assert lane is not None
            sent.append(one.sealed.on(lane))
            with self.store.transaction():
                self.outgoing.stored(one, GATEWAY)
        return sent

    def take(self, *parcels: Parcel) -> Batch:
        """Let parcels come from the gateway."""
        delivered = []
        for one in parcels:
            self.came += 1
            delivered.append(Delivered(self.came, one))
        return self.receiving.take(delivered, EPOCH)

    def texts(self) -> list[str]:
        """Return the texts of all letters that came, in their order."""
        rows = self.store.db.execute(
            "SELECT raw FROM letter JOIN item USING (item) WHERE NOT outgoing ORDER BY number"
        ).fetchall()
        return [content.text for content in map(_content, rows) if isinstance(content, Letter)]

    def kinds(self) -> list[str]:
        """Return what waits here, by the names of the kinds."""
        rows = self.store.db.execute(
            "SELECT raw FROM outgoing JOIN item USING (item) ORDER BY number"
        ).fetchall()
        return [type(_content(row)).__name__ for row in rows]

    def missing(self) -> int:
        """Return how many letters are known to be missing."""
        return sum(self.gaps.counts().values())


def _content(row: tuple[bytes]) -> Content:
    return content_of(row[0])


def _person(desk: Desk) -> Person:
    store, me = desk.store, desk.me
    letters = Letters(store.vault)
    return Person(store.path, store.db, store.vault, me.identity, me.card, letters)


def acquaint(host: Desk, guest: Desk) -> None:
    """Make two people contacts who write to each other over one gateway."""
    met_host, met_guest = meet(_person(host), _person(guest))
    for desk, met in ((host, met_host), (guest, met_guest)):
        name = met.introduction.name
        with desk.store.transaction():
            card = met.introduction.card
            desk.contacts.add(card, introduced=name, verified=True, now=desk.clock())
            remember(desk.store.vault, met, now=desk.clock())
    for desk, other in ((host, guest), (guest, host)):
        with desk.store.transaction():
            given = desk.lanes.give(other.me.person)
            desk.lanes.registered(desk.lanes.unregistered(GATEWAY), gateway=GATEWAY)
        with other.store.transaction():
            other.lanes.take(desk.me.person, given)


@contextmanager
def desks(folder: Path) -> Iterator[tuple[Desk, Desk]]:
    """Give Ana and Ben, who are contacts and have one clock."""
    clock = Clock()
    ana, ben = Desk(folder / "ana", "Ana", clock), Desk(folder / "ben", "Ben", clock)
    try:
        acquaint(ana, ben)
        yield ana, ben
    finally:
        ana.store.close()
        ben.store.close()


@pytest.fixture(name="two")
def _two(tmp_path: Path) -> Iterator[tuple[Desk, Desk]]:
    with desks(tmp_path) as made:
        yield made


Two = tuple[Desk, Desk]


def test_what_is_written_is_sealed_in_the_same_step(two: Two) -> None:
    ana, ben = two
    ana.put(ben, "hello")
    [one] = ana.claim()

    assert one.sealed is not None
    assert ana.outgoing.letters_waiting() == 1
    assert ben.take(*ana.post()).upto is not None
    assert ben.texts() == ["hello"]


def test_of_a_step_that_does_not_end_nothing_is_left(two: Two) -> None:
    ana, ben = two

    def whole_file() -> dict[str, list[tuple[object, ...]]]:
        tables = ana.store.db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {
            name: ana.store.db.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608  # ours
            for (name,) in tables.fetchall()
        }

    def killed() -> None:
        with ana.store.transaction():
            ana.outgoing.put(ana.contact(ben), Letter("hello"))
            raise KeyboardInterrupt

    before = whole_file()
    with pytest.raises(KeyboardInterrupt):
        killed()
    assert whole_file() == before


def test_whoever_writes_may_try_it_first(two: Two) -> None:
    ana, ben = two
    with ana.store.transaction():
        ana.outgoing.put(ana.contact(ben), Letter("hello"), claim=True)
    with other_process(ana) as other:
        assert claims(other) == []
        assert len(ana.claim()) == 1


def test_letters_take_the_lane_that_wakes_and_nothing_else_does(two: Two) -> None:
    ana, ben = two
    ana.put(ben, "hello")
    ana.put(ben, Heartbeat())
    letter, heartbeat = (one.lane for one in ana.post())

    elsewhere = GatewayId(bytes(32))  # all lanes are named by the gateway that lacks them
    rights = [one.right(GATEWAY) for one in ben.lanes.unregistered(elsewhere)]
    wakes = {right.lane.id: right.rule for right in rights}
    assert wakes == {letter: WakeRule.WAKE, heartbeat: WakeRule.NEVER}


def test_what_one_process_has_claimed_another_leaves_alone(two: Two) -> None:
    ana, ben = two
    for number in range(3):
        ana.put(ben, str(number))
    with other_process(ana) as other:
        assert [one.number for one in ana.claim()] == [1, 2, 3]
        assert claims(other) == []
        with ana.store.transaction():
            ana.outgoing.release()
        assert claims(other) == [1, 2, 3]
        assert ana.claim() == []


@pytest.mark.parametrize("jump", [CLAIM_SECONDS + 1, -400 * DAY])
def test_a_claim_of_a_process_that_died_ends_by_itself(two: Two, jump: float) -> None:
    ana, ben = two
    ana.put(ben, "hello")
    ana.claim()
    ana.clock.now += jump
    with other_process(ana) as other:
        assert claims(other) == [1]


@contextmanager
def other_process(desk: Desk) -> Iterator[tuple[Store, Outgoing]]:
    """Open the phone once more, as a second command does."""
    store = desk.open()
    try:
        yield store, Outgoing(store, Me(store), now=desk.clock)
    finally:
        store.close()


def claims(other: tuple[Store, Outgoing]) -> list[int]:
    store, outgoing = other
    with store.transaction():
        return [one.number for one in outgoing.claim(due_only=False)]


STEPS = st.lists(
    st.tuples(st.sampled_from(["claim", "release", "write", "store", "wait"]), st.integers(0, 1)),
    max_size=30,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_two_processes_never_hold_the_same_row(two: Two, steps: list[tuple[str, int]]) -> None:
    ana, ben = two
    with other_process(ana) as other:
        ends = [(ana.store, ana.outgoing), other]
        held: list[set[int]] = [set(), set()]
        for step, which in steps:
            store, outgoing = ends[which]
            match step:
                case "write":
                    with store.transaction():
                        outgoing.put(ana.contact(ben), Heartbeat())
                case "claim":
                    with store.transaction():
                        held[which] = {one.number for one in outgoing.claim(due_only=False)}
                case "release":
                    with store.transaction():
                        outgoing.release()
                    held[which] = set()
                case "store":
                    with store.transaction():
                        for one in outgoing.claim(due_only=False)[:1]:
                            outgoing.stored(one, GATEWAY)
                    held[which] = {one for one in held[which] if one in _all(ana)}
                case "wait":
                    ana.clock.now += CLAIM_SECONDS + 1
                    held = [set(), set()]
            assert not held[0] & held[1]
        with ana.store.transaction():  # the next example begins with an empty queue
            ana.store.db.execute("DELETE FROM outgoing")
            ana.store.db.execute("DELETE FROM sent")


def _all(desk: Desk) -> set[int]:
    return {number for (number,) in desk.store.db.execute("SELECT number FROM outgoing")}


def test_what_is_planned_for_later_is_left_out_until_it_is_due(two: Two) -> None:
    ana, ben = two
    ana.put(ben, "hello")
    [one] = ana.claim()
    with ana.store.transaction():
        ana.outgoing.plan(one, when=NOW + 10, trouble="busy")
        assert ana.outgoing.claim(due_only=True) == []
        assert ana.outgoing.next_due() == NOW + 10
    ana.clock.now += 10
    with ana.store.transaction():
        assert [one.tries for one in ana.outgoing.claim(due_only=True)] == [1]


def test_sealed_anew_it_has_another_id_and_number_and_is_read_once(two: Two) -> None:
    ana, ben = two
    ana.put(ben, "hello")
    [one] = ana.claim()
    assert one.sealed is not None
    lane = ana.lanes.to(one.person, one.kind, gateway=GATEWAY)
    assert lane is not None
    first = one.sealed.on(lane)
    with ana.store.transaction():
        ana.outgoing.renew(one)
    [again] = ana.outgoing.again([one])
    assert again.sealed is None
    with ana.store.transaction():
        ana.outgoing.seal(again, ana.contact(ben), ())
    [second] = ana.post()

    assert second.id != first.id
    ben.take(first, second)
    assert ben.texts() == ["hello"]
    assert ben.missing() == 0


def test_what_is_asked_for_is_sent_again_under_another_number(two: Two) -> None:
    ana, ben = two
    for text in ("one", "two", "three"):
        ana.put(ben, text)
    lost, *rest = ana.post()
    ben.take(*rest)
    ben.gaps.ask()
    ana.take(*ben.post())
    ben.take(*ana.post())

    assert sorted(ben.texts()) == ["one", "three", "two"]
    assert ben.missing() == 0
    assert ben.take(lost).taken[0].code in ("", "duplicate")
    assert sorted(ben.texts()) == ["one", "three", "two"]


def test_asked_again_while_it_is_still_on_its_way_it_is_not_sent_twice(two: Two) -> None:
    ana, ben = two
    for text in ("one", "two"):
        ana.put(ben, text)
    ana.post()
    for _ in range(3):
        answer(ana, ben, (Range(1, 1),))

    assert ana.kinds() == ["Letter"]


def answer(ana: Desk, ben: Desk, ranges: tuple[Range, ...]) -> None:
    """Let Ana answer as if Ben had asked."""
    with ana.store.transaction():
        ana.outgoing.answer(ana.contact(ben), Resend(ana.me.identity.device.id, ranges))


def test_numbers_of_another_device_are_no_business_of_this_one(two: Two) -> None:
    ana, ben = two
    ana.put(ben, "hello")
    ana.post()
    with ana.store.transaction():
        resend = Resend(ben.me.identity.device.id, (Range(1, 1),))
        ana.outgoing.answer(ana.contact(ben), resend)

    assert ana.kinds() == []


def test_after_thirty_days_what_is_asked_for_is_said_to_be_gone(two: Two) -> None:
    ana, ben = two
    ana.put(ben, "hello")
    ana.post()
    ana.clock.now += 31 * DAY
    with ana.store.transaction():
        ana.outgoing.tidy()
    answer(ana, ben, (Range(1, 1),))

    assert ana.kinds() == ["Gone"]


def test_one_letter_is_sent_a_few_times_and_then_it_is_gone(two: Two) -> None:
    ana, ben = two
    ana.put(ben, "hello")
    times, kinds = len(ana.post()), list[str]()
    for _ in range(3 * MAX_AGAIN):
        answer(ana, ben, (Range(1, 1),))
        kinds += ana.kinds()
        times += sum(kind == "Letter" for kind in ana.kinds())
        ana.post()

    assert times <= MAX_AGAIN + 1
    assert "Gone" in kinds


def test_whoever_asks_without_end_in_a_day_costs_a_day_s_worth(two: Two) -> None:
    """A contact asks for everything, again and again: what leaves is bounded, and small."""
    ana, ben = two
    for number in range(100):
        ana.put(ben, str(number))
    ana.post()
    everything = (Range(1, 1 << 40),)
    letters = 0
    for _ in range(20):
        answer(ana, ben, everything)
        letters += sum(kind == "Letter" for kind in ana.kinds())
        ana.post()

    assert letters <= MAX_RESENT
    ana.put(ben, "a new one goes all the same")
    assert len(ana.post()) == 1


def test_a_copy_of_an_item_is_kept_once_however_often_it_is_sent(two: Two) -> None:
    ana, ben = two
    ana.put(ben, "x" * 60_000)
    ana.post()

    def kept() -> int:
        (size,) = ana.store.db.execute("SELECT sum(length(raw)) FROM item").fetchone()
        return int(size)

    before = kept()
    for _ in range(10):
        answer(ana, ben, (Range(1, 1),))
        ana.post()

    assert kept() - before < 10_000


@pytest.mark.parametrize("tries", [0, 100])
def test_a_clock_that_jumps_a_month_does_not_give_up_what_was_not_tried(
    two: Two, tries: int
) -> None:
    ana, ben = two
    ana.put(ben, "hello")
    for _ in range(tries):
        for one in ana.claim():
            with ana.store.transaction():
                ana.outgoing.plan(one, when=0.0, trouble="gateway-not-there")
    ana.clock.now += 31 * DAY
    with ana.store.transaction():
        ana.outgoing.tidy()

    assert ana.outgoing.count() == (0 if tries else 1)
    ended = ana.store.db.execute("SELECT ended FROM letter").fetchall()
    assert ended == [("too-old" if tries else "",)]


def test_what_still_waits_can_be_asked_for_however_old_it_is(two: Two) -> None:
    ana, ben = two
    ana.put(ben, "hello")
    ana.clock.now += 400 * DAY
    with ana.store.transaction():
        ana.outgoing.tidy()
    [parcel] = ana.post()
    ben.take(parcel)

    assert ben.texts() == ["hello"]


@given(st.integers(1, 40), st.integers(0, 40), st.sets(st.integers(1, 80)))
def test_what_is_left_of_a_range_is_all_that_is_not_there(
    first: int, length: int, there: set[int]
) -> None:
    wanted = Range(first, first + length)
    inside = sorted(one for one in there if wanted.first <= one <= wanted.last)
    found = without(wanted, inside)
    left = [number for one in found for number in range(one.first, one.last + 1)]

    assert left == [n for n in range(wanted.first, wanted.last + 1) if n not in there]


def test_ranges_that_are_gone_are_said_together(two: Two) -> None:
    ana, ben = two
    sent = Gone(ana.me.identity.device.id, (Range(1, 3),))
    for _ in range(4):
        ana.put(ben, Heartbeat())
    parcels = ana.post()
    ben.take(parcels[3])
    assert ben.missing() == 3
    ana.put(ben, sent)
    ben.take(*ana.post())

    assert ben.missing() == 0
