"""The oracle notices what it is there for."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.database.migrate import migrate
from tests.faults.__main__ import main
from tests.faults.adapter import Box, letters
from tests.faults.here import LONG_FORM, MINUTES, NotPossibleHere, need_program, seconds, times
from tests.faults.oracle import check_collected, check_started, look_inside
from tests.faults.tools.strace import KillPoints, Point, at
from wire.frames import Delivered
from wire.ids import LaneId
from wire.lanes import Lane

LANE = Lane(LaneId(b"l" * 16), b"k" * 32)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def delivered(box: Box, count: int) -> list[Delivered]:
    """Return parcels as they should come, offered and promised."""
    parcels = letters(LANE, count)
    box.ledger.offer(parcels)
    for one in parcels:
        box.ledger.answer(one.id, stored=True)
    return [Delivered(seq, one) for seq, one in enumerate(parcels, start=1)]


def test_what_came_as_promised_is_accepted(box: Box) -> None:
    found = delivered(box, 3)

    check_collected(box, found, before=box.ledger.owed)


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (lambda found: found[:2], "1 of 3 acknowledged parcels are lost"),
        (lambda found: [*found, replace(found[0], seq=9)], "twice"),
        (lambda found: [found[1], found[0], found[2]], "numbers do not rise"),
        (lambda found: [*found, Delivered(9, letters(LANE, 1)[0])], "nobody sent"),
        (
            lambda found: [
                *found[:2],
                replace(found[2], parcel=replace(found[2].parcel, body=bytes(256))),
            ],
            "nobody sent",
        ),
    ],
)
def test_what_was_lost_doubled_turned_round_or_altered_is_noticed(
    box: Box, harm: Callable[[list[Delivered]], list[Delivered]], complaint: str
) -> None:
    found = delivered(box, 3)

    with pytest.raises(AssertionError, match=complaint):
        check_collected(box, harm(found), before=box.ledger.owed)


def test_a_slow_start_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"after 50\.1 s"):
        check_started(50.1)


def test_a_mailbox_that_miscounts_is_noticed(tmp_path: Path) -> None:
    store = tmp_path / "gateway.sqlite"
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        migrate(connection, store)
        connection.execute(
            "INSERT INTO seat (seat, person, quota_bytes, used_bytes, epoch)"
            " VALUES (?, ?, 9, 1, ?)",
            (b"s" * 16, b"p" * 32, b"e" * 16),
        )

    with pytest.raises(AssertionError, match="does not hold what its counters say"):
        look_inside(store)


def test_a_promise_stays_one_whatever_is_said_later(box: Box) -> None:
    [one] = delivered(box, 1)

    box.ledger.answer(one.parcel.id, stored=False)

    assert box.ledger.owed == {one.parcel.id}
    assert box.ledger.refused == set()


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(NotPossibleHere, match="no-such-program is not installed"):
        need_program("no-such-program")


def test_every_call_of_a_kind_is_a_kill_point_until_there_are_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(LONG_FORM, "1")
    calls = {"pwrite64": 3, "fsync": 1, "?rename": 9}
    points, killed = KillPoints(at("fsync", 7), most=4), list[Point]()

    for point in points:
        if points.note(-9 if point.number <= calls.get(point.call, 0) else 0):
            killed.append(point)

    assert killed == [*at("pwrite64", 1, 2, 3), *at("fsync", 1), *at("?rename", 1, 2, 3, 4)]
    assert points.reached == 8


def test_a_short_form_kills_where_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LONG_FORM, raising=False)

    assert list(KillPoints(at("fsync", 7, 9), most=4)) == at("fsync", 7, 9)


def test_a_part_of_a_long_form_is_never_less_than_the_short_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(LONG_FORM, "0.3")
    assert (times(5, long=1000), times(5, long=10)) == (300, 5)
    monkeypatch.setenv(MINUTES, "0.5")
    assert seconds(1.0) == 30
    monkeypatch.delenv(LONG_FORM)
    assert (times(5, long=1000), seconds(1.0)) == (5, 1.0)


def test_a_case_that_there_is_not_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["CR-99", "cr-01"]) == 2
    assert "There is no case CR-99." in capsys.readouterr().err
