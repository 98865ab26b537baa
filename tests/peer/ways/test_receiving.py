"""What comes in: kept once whatever the network does, asked for when it is missing, never answered.

No network here: parcels are carried by hand between two phones with real files, so that each may be
lost, doubled or turned round.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.errors import StoreUnusable
from peer.items.kinds import CardUpdate, Content, Gone, Heartbeat, Letter, Range, Resend, Unknown
from peer.keys.letters import Letters
from peer.keys.signed_items import write_item
from peer.letterbox import Letterbox
from peer.ways.missing import AT_ONCE, PAUSES, pause
from peer.ways.outgoing import Sealed
from peer.ways.receiving import TOGETHER, Came, Receiving
from peer.ways.sending import Sending
from tests.peer.ways.test_outgoing import (
    DAY,
    EPOCH,
    GATEWAY,
    Clock,
    Desk,
    acquaint,
    desks,
)
from wire.card import GatewayEntry
from wire.frames import Delivered, Hello
from wire.ids import CursorEpoch, LaneId, ParcelId
from wire.lanes import LaneClass
from wire.parcel import Parcel

Two = tuple[Desk, Desk]
NEW_EPOCH = CursorEpoch(b"\2" * 16)


@pytest.fixture(name="two")
def _two(tmp_path: Path) -> Iterator[Two]:
    with desks(tmp_path) as made:
        yield made


def written(one: Desk, other: Desk, *texts: Content | str) -> list[Parcel]:
    """Return what `one` sends to `other`, as parcels."""
    for text in texts:
        one.put(other, text)
    return one.post()


def broken(parcel: Parcel) -> Parcel:
    """Return a parcel of which a byte has turned over."""
    return replace(parcel, body=bytes([parcel.body[0] ^ 1]) + parcel.body[1:])


def settle(ana: Desk, ben: Desk, *, rounds: int = 30) -> int:
    """Carry everything both ways until nothing moves; return how many parcels that took."""
    count = 0
    for _ in range(rounds):
        moved = 0
        for one, other in ((ana, ben), (ben, ana)):
            parcels = one.post()
            other.take(*parcels)
            other.gaps.ask()
            moved += len(parcels)
        count += moved
        if not moved:
            return count
    return count


def states(desk: Desk) -> dict[str, list[tuple[object, ...]]]:
    """Return all that waits and was sent: what leaves the phone, leaves through these."""
    db = desk.store.db
    return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in ("outgoing", "sent")}  # noqa: S608  # constants


# Once, in whatever order, however often


def test_the_same_parcel_twice_is_shown_once_and_no_trouble(two: Two) -> None:
    ana, ben = two
    [parcel] = written(ana, ben, "hello")
    batch = ben.take(parcel, parcel)
    again = ben.take(parcel)

    assert [one.came for one in batch.taken] == [Came.LETTER, Came.NOTHING]
    assert [one.came for one in again.taken] == [Came.NOTHING]
    assert ben.texts() == ["hello"]
    assert troubles(ben) == []


def troubles(desk: Desk) -> list[str]:
    return [code for (code,) in desk.store.db.execute("SELECT code FROM trouble ORDER BY number")]


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 8), came=st.lists(st.integers(0, 7), max_size=16))
def test_lost_doubled_and_turned_round_all_letters_come_once(count: int, came: list[int]) -> None:
    with TemporaryDirectory() as folder, desks(Path(folder)) as (ana, ben):
        texts = [str(number) for number in range(count)]
        sent = written(ana, ben, *texts)
        ben.take(*(sent[one] for one in came if one < count))
        ben.take(*written(ana, ben, "last"))
        settle(ana, ben)

        assert sorted(ben.texts()) == sorted([*texts, "last"])
        assert ben.missing() == 0
        assert troubles(ben) == []


def test_after_a_new_epoch_everything_comes_again_and_is_shown_once(two: Two) -> None:
    ana, ben = two
    parcels = written(ana, ben, "one", "two", "three")
    ben.take(*parcels[:2])
    ben.receiving.greet(Hello(NEW_EPOCH, 3, reset=True))
    assert (ben.me.cursor.epoch, ben.me.cursor.seq) == (NEW_EPOCH, 0)
    delivered = [Delivered(number + 1, one) for number, one in enumerate(parcels)]
    batch = ben.receiving.take(delivered, NEW_EPOCH)

    assert ben.texts() == ["one", "two", "three"]
    assert [one.came for one in batch.taken] == [Came.NOTHING, Came.NOTHING, Came.LETTER]
    assert (ben.me.cursor.epoch, ben.me.cursor.seq) == (NEW_EPOCH, 3)


def test_an_epoch_that_changed_without_a_word_counts_as_a_reset(two: Two) -> None:
    ana, ben = two
    ben.take(*written(ana, ben, "one"))
    ben.receiving.greet(Hello(EPOCH, 1, reset=False))
    assert ben.me.cursor.seq == 1
    ben.receiving.greet(Hello(NEW_EPOCH, 1, reset=False))

    assert (ben.me.cursor.epoch, ben.me.cursor.seq) == (NEW_EPOCH, 0)


def test_another_process_that_is_behind_does_not_set_the_cursor_back(two: Two) -> None:
    ana, ben = two
    parcels = written(ana, ben, "one", "two")
    ben.take(*parcels)
    ben.receiving.take([Delivered(1, parcels[0])], EPOCH)

    assert ben.me.cursor.seq == 2
    assert ben.me.cursor.parcel == parcels[1].id


# What is missing


def test_a_gap_is_counted_and_asked_for_once(two: Two) -> None:
    ana, ben = two
    _lost, _lost_too, came = written(ana, ben, "one", "two", "three")
    ben.take(came)
    for _ in range(5):
        ben.gaps.ask()
        ben.start()

    assert ben.missing() == 2
    assert ben.kinds() == ["Resend"]


def test_what_has_gone_for_good_is_not_asked_for_any_more(two: Two) -> None:
    ana, ben = two
    written(ana, ben, "one")
    ana.clock.now += 31 * DAY
    with ana.store.transaction():
        ana.outgoing.tidy()
    ben.take(*written(ana, ben, "two"))
    ben.gaps.ask()
    assert ben.kinds() == ["Resend"]
    ana.take(*ben.post())
    assert ana.kinds() == ["Gone"]
    ben.take(*ana.post())
    ana.clock.now += DAY
    ben.gaps.ask()

    assert (ben.missing(), ben.kinds()) == (0, [])


def test_a_gap_of_some_seconds_may_be_letters_that_overtake_each_other(two: Two) -> None:
    ana, ben = two
    first, second = written(ana, ben, "one", "two")
    ben.take(second)
    ben.gaps.ask(after=5.0)
    assert ben.kinds() == []
    ben.clock.now += 4.0
    ben.gaps.ask(after=5.0)
    assert ben.kinds() == []
    ben.clock.now += 1.0
    ben.gaps.ask(after=5.0)
    assert ben.kinds() == ["Resend"]
    ben.take(first)
    assert ben.missing() == 0


def test_with_a_clock_that_stands_two_phones_do_not_ask_and_answer_for_ever(two: Two) -> None:
    """Nothing Ana sends can be opened: a newer app's packets, a card that forked, a bad disk."""
    ana, ben = two
    [good] = written(ana, ben, "hello")
    ben.take(good)
    written(ana, ben, "lost")
    ben.take(*written(ana, ben, "newest"))
    count = 0
    for _ in range(100):
        ben.gaps.ask()
        asked = ben.post()
        ana.take(*asked)
        answers = ana.post()
        for _answer in answers:  # lost; the next number says that there was one
            ben.take(*written(ana, ben, Heartbeat()))
        count += len(asked) + len(answers)

    assert count <= 16
    assert ben.missing() > 0


def test_a_gap_that_was_filled_does_not_make_the_next_one_wait(two: Two) -> None:
    ana, ben = two
    for _ in range(2 * AT_ONCE):
        written(ana, ben, "lost")
        ben.take(*written(ana, ben, "here"))
        ben.gaps.ask()
        assert ben.kinds() == ["Resend"]
        settle(ana, ben)
        assert ben.missing() == 0


def test_letters_that_can_never_be_opened_do_not_keep_two_phones_busy(two: Two) -> None:
    """Ben's file loses what opens them again and again, and the clock stands still."""
    ana, ben = two
    count = 0
    for text in map(str, range(3)):
        ana.put(ben, text)
    for _ in range(100):
        with ben.store.transaction():
            ben.store.db.execute("DELETE FROM sessions")
        count += settle(ana, ben, rounds=1)

    assert count <= 30
    assert settle(ana, ben, rounds=1) == 0


def test_what_is_never_answered_is_asked_for_less_and_less(two: Two) -> None:
    ana, ben = two
    written(ana, ben, "lost")
    ben.take(*written(ana, ben, "here"))
    times = []
    for minute in range(24 * 60):
        ben.clock.now = ana.clock.now
        ben.gaps.ask()
        if ben.post():
            times.append(minute)
        ana.clock.now += 60.0

    assert times[0] == 0
    assert 3 <= len(times) <= 10
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == PAUSES[-1] / 60


@given(asks=st.integers(0, 10_000), new=st.booleans())
def test_pauses_are_bounded_and_grow(asks: int, new: bool) -> None:
    assert 0.0 <= pause(asks, new=new) <= pause(asks + 1, new=new) <= PAUSES[-1]
    assert pause(asks, new=new) > 0 or asks == 0 or (new and asks < AT_ONCE)


def test_what_nobody_can_open_is_not_asked_for(two: Two) -> None:
    """Without the pair's key there is no number in it: bytes from anybody make no requests."""
    ana, ben = two
    ben.take(*(broken(one) for one in written(ana, ben, "one", "two")))
    ben.gaps.ask()

    assert len(troubles(ben)) == 2
    assert ben.kinds() == []


def test_what_its_author_made_wrongly_is_not_asked_for(two: Two) -> None:
    """Sent again it would be no better: Ana hands in words that Ben has signed."""
    ana, ben = two
    item = write_item(Letter("I owe you"), identity=ben.me.identity, now=ben.clock())
    with ana.store.transaction():
        letter = Letters(ana.store.vault).seal(
            item, to=ana.contact(ben).card, own=ana.me.card, now=ana.clock()
        )
    lane = ana.lanes.to(ben.me.person, LaneClass.LETTER, gateway=GATEWAY)
    assert lane is not None
    batch = ben.take(Sealed(letter.parcel, bytes(32), letter.body).on(lane))
    ben.gaps.ask()

    assert [one.came for one in batch.taken] == [Came.TROUBLE]
    assert troubles(ben) == ["wrong-author"]
    assert (ben.texts(), ben.kinds(), ben.missing()) == ([], [], 0)


# Nothing leaves the phone because something was opened (G8)


def test_after_a_letter_was_opened_nothing_waits_to_be_sent(two: Two) -> None:
    ana, ben = two
    before = states(ben)
    for number in range(20):
        ben.take(*written(ana, ben, str(number)))
        ben.gaps.ask()
    Letterbox(ben.store, ben.me, Sending(ben.store, ben.me, now=ben.clock)).unshown()

    assert len(ben.texts()) == 20
    assert states(ben) == before


def test_a_broken_parcel_is_answered_with_nothing(two: Two) -> None:
    ana, ben = two
    before = states(ben)
    [parcel] = written(ana, ben, "hello")
    batch = ben.take(broken(parcel))
    ben.gaps.ask()

    assert [one.came for one in batch.taken] == [Came.TROUBLE]
    assert states(ben) == before
    ben.take(parcel)
    assert ben.texts() == ["hello"]


def test_heartbeats_do_not_answer_each_other_for_ever(two: Two) -> None:
    ana, ben = two
    ben.take(*written(ana, ben, *(Heartbeat() for _ in range(200))))

    assert settle(ana, ben) <= 4


# Cards (A8)


def test_a_card_that_a_gateway_withholds_is_noticed_from_the_next_letter(two: Two) -> None:
    """Ben's new card reaches nobody; his next letter says where it stands, and Ana asks for it."""
    ana, ben = two
    move(ben)
    assert ana.contact(ben).card != ben.me.card
    ana.take(*written(ben, ana, "hello"))
    settle(ana, ben)

    assert ana.contact(ben).card.position == ben.me.card.position
    assert ana.contact(ben).card.gateways == ben.me.card.gateways
    assert ana.texts() == ["hello"]


def move(desk: Desk, *, number: int = 9) -> None:
    """Let a phone's card name another gateway, and tell nobody."""
    entry = GatewayEntry(type(GATEWAY)(bytes([number]) * 32), ("192.0.2.9",))
    with desk.store.transaction():
        assert desk.me.state_gateway(entry, now=desk.clock())


def test_whoever_writes_with_an_old_card_of_ours_is_told_the_new_one_once(two: Two) -> None:
    ana, ben = two
    move(ben)
    ben.take(*written(ana, ben, "one", "two", "three"))

    assert ben.kinds() == ["CardUpdate"]
    settle(ana, ben)
    assert ana.contact(ben).card.position == ben.me.card.position


def test_a_card_that_never_comes_is_not_asked_for_with_each_letter(two: Two) -> None:
    ana, ben = two
    move(ben)
    sent = 0
    for number in range(10):
        ana.take(*written(ben, ana, str(number)))
        sent += len(ana.post())  # and the gateway throws it away

    assert 1 <= sent <= 3


def test_cards_that_agree_are_not_talked_about(two: Two) -> None:
    ana, ben = two
    move(ben)
    ana.take(*written(ben, ana, CardUpdate(ben.me.card.chain)))
    ana.take(*written(ben, ana, "hello"))
    ben.take(*written(ana, ben, "hello"))

    assert (ana.kinds(), ben.kinds()) == ([], [])


# Kinds of items, and whom they come from


def test_what_a_newer_app_wrote_is_kept_and_shown_as_such(two: Two) -> None:
    ana, ben = two
    batch = ben.take(*written(ana, ben, Unknown(77, {0: "a poll"}), "hello"))
    box = Letterbox(ben.store, ben.me, Sending(ben.store, ben.me, now=ben.clock))
    shown = box.unshown()

    assert [one.came for one in batch.taken] == [Came.LETTER, Came.LETTER]
    assert [(one.unknown, one.text) for one in shown] == [(True, ""), (False, "hello")]
    assert [one.unknown for one in box.everything()] == [True, False]
    assert (ben.missing(), troubles(ben)) == (0, [])


def test_of_whoever_is_blocked_nothing_is_kept_and_the_cursor_goes_on(two: Two) -> None:
    ana, ben = two
    with ben.store.transaction():
        ben.contacts.block(ben.contact(ana))
    dropped(ben, written(ana, ben, "hello", Resend(ben.me.identity.device.id, (Range(1, 9),))))


def test_of_whoever_was_forgotten_nothing_is_kept_and_the_cursor_goes_on(two: Two) -> None:
    ana, ben = two
    with ben.store.transaction():
        ben.contacts.forget(ben.contact(ana))
    dropped(ben, written(ana, ben, "hello"))


def test_on_a_lane_that_was_taken_back_nothing_is_kept_and_the_cursor_goes_on(two: Two) -> None:
    ana, ben = two
    with ben.store.transaction():
        ben.lanes.revoke(ana.me.person)
    dropped(ben, written(ana, ben, "hello"))


def test_on_a_lane_that_nobody_was_given_nothing_is_kept(two: Two) -> None:
    ana, ben = two
    dropped(ben, [replace(one, lane=LaneId(bytes(16))) for one in written(ana, ben, "hello")])


def dropped(ben: Desk, parcels: Sequence[Parcel]) -> None:
    """Check that parcels leave no trace but the cursor."""
    before = states(ben)
    batch = ben.take(*parcels)
    ben.gaps.ask()

    assert [one.came for one in batch.taken] == [Came.NOTHING] * len(parcels)
    assert not batch.stopped
    assert batch.upto == ben.me.cursor
    assert batch.upto is not None
    assert batch.upto.seq == len(parcels)
    assert ben.texts() == []
    assert troubles(ben) == []
    assert states(ben) == before


def test_a_letter_on_the_lane_of_another_contact_is_not_hers(two: Two, tmp_path: Path) -> None:
    ana, ben = two
    carol = Desk(tmp_path / "carol", "Carol", Clock())
    try:
        acquaint(carol, ben)
        hers = ben.lanes.give(carol.me.person)
        lane = next(secret for kind, secret in hers if kind is LaneClass.LETTER).at(GATEWAY)
        batch = ben.take(*(replace(one, lane=lane.id) for one in written(ana, ben, "hello")))
    finally:
        carol.store.close()

    assert [one.came for one in batch.taken] == [Came.TROUBLE]
    assert ben.texts() == []


def test_from_somebody_who_is_being_added_it_has_to_wait_and_nothing_behind_it_is_lost(
    two: Two,
) -> None:
    ana, ben = two
    early, late = written(ana, ben, "hello", "again")
    db = ben.store.db
    row = db.execute("SELECT * FROM contact").fetchone()
    with ben.store.transaction():
        db.execute("DELETE FROM contact")
        db.execute(
            "INSERT INTO exchange VALUES (?, ?, x'', x'', ?)",
            (bytes(16), ana.me.person.raw, int(ben.clock()) + 600),
        )
    batch = ben.take(early, late)
    assert (batch.taken, batch.upto, batch.stopped) == ((), None, True)
    ben.clock.now += 601  # nothing came of it
    assert [one.came for one in ben.take(early).taken] == [Came.NOTHING]
    with ben.store.transaction():
        db.execute(f"INSERT INTO contact VALUES ({','.join('?' * len(row))})", row)  # noqa: S608  # question marks
    ben.take(early, late)

    assert ben.texts() == ["hello", "again"]


def test_a_contact_cannot_say_that_another_device_s_letters_are_gone(two: Two) -> None:
    ana, ben = two
    written(ana, ben, "lost")
    ben.take(*written(ana, ben, "here"))
    ben.take(*written(ana, ben, Gone(ben.me.identity.device.id, (Range(1, 1),))))

    assert ben.missing() == 1


def test_a_parcel_id_that_came_before_on_a_broken_parcel_does_not_hide_the_letter(
    two: Two,
) -> None:
    ana, ben = two
    [parcel] = written(ana, ben, "hello")
    ben.take(replace(parcel, id=ParcelId(bytes(16))))
    ben.take(parcel)

    assert ben.texts() == ["hello"]


# Several parcels in one transaction


def test_a_parcel_over_which_the_program_fails_undoes_nothing_but_itself(two: Two) -> None:
    ana, ben = two
    parcels = written(ana, ben, "one", "two", "three")
    calls = 0

    def failing() -> float:
        nonlocal calls
        calls += 1
        if ben.texts() == ["one"]:
            raise RuntimeError("the clock stands")
        return ben.clock()

    ben.receiving = Receiving(ben.store, ben.me, ben.outgoing, now=failing)
    with pytest.raises(RuntimeError):
        ben.take(*parcels)
    assert calls > 1
    assert ben.texts() == ["one"]
    assert ben.receiving.cursor.parcel == parcels[0].id
    ben.start()
    ben.take(*parcels)

    assert ben.texts() == ["one", "two", "three"]
    assert troubles(ben) == []


def test_a_file_that_cannot_be_written_keeps_none_of_them_and_all_come_again(two: Two) -> None:
    ana, ben = two
    parcels = written(ana, ben, "one", "two")
    ben.store.db.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON letter WHEN (SELECT count(*) FROM letter) = 1"
        " BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
    )
    with pytest.raises(StoreUnusable):
        ben.take(*parcels)
    assert ben.texts() == []
    ben.store.db.execute("DROP TRIGGER full")
    ben.take(*parcels)

    assert ben.texts() == ["one", "two"]


def test_more_than_go_together_come_in_their_order(two: Two) -> None:
    ana, ben = two
    texts = [str(number) for number in range(TOGETHER + 3)]
    batch = ben.take(*written(ana, ben, *texts))

    assert len(batch.taken) == len(texts)
    assert ben.texts() == texts
