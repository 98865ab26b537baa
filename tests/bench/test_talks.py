"""Depositors share a supply, and notes keep what is asked of them."""

from collections.abc import Iterator

from bench.talks import Depositor, Notes, Work


class Echo(Depositor):
    """Is answered with one byte for each deposit, in order."""

    def __init__(self, notes: Notes, supply: Iterator[Work], *, window: int = 1) -> None:
        super().__init__(notes, supply, window=window)
        self._waiting: list[tuple[Work, float]] = []

    def hand_in(self, work: Work, now: float) -> bytes:
        self._waiting.append((work, now))
        return work.data

    def heard(self, data: bytes, now: float) -> bytes:
        said = b""
        for _ in data:
            work, since = self._waiting.pop(0)
            said += self.stored(work, since=since, now=now)
        return said


def works(count: int) -> Iterator[Work]:
    return iter([Work(b"w%d" % number, (b"%d" % number,)) for number in range(count)])


def test_as_many_are_handed_in_as_the_window_allows_and_the_next_follows() -> None:
    talk = Echo(Notes(), works(4), window=2)

    assert talk.more(0.0, count=talk.window) == b"w0w1"
    assert talk.heard(b".", 1.0) == b"w2"
    assert talk.heard(b"..", 2.0) == b"w3"
    assert talk.heard(b".", 3.0) == b""
    assert talk.notes.stored == 4
    assert talk.notes.took == [1.0, 2.0, 1.0, 1.0]


def test_without_a_window_nothing_follows_by_itself() -> None:
    talk = Echo(Notes(), works(2), window=0)

    assert talk.more(0.0) == b"w0"
    assert talk.heard(b".", 1.0) == b""
    assert talk.more(2.0) == b"w1"


def test_two_share_a_supply() -> None:
    supply, notes = works(2), Notes()
    one, other = Echo(notes, supply), Echo(notes, supply)

    assert (one.more(0.0), other.more(0.0)) == (b"w0", b"w1")
    assert one.heard(b".", 1.0) == b""


def test_delays_are_those_of_items_that_were_handed_in_here() -> None:
    notes = Notes(sent={}, kept=[])
    talk = Echo(notes, works(2))
    talk.more(1.0)
    talk.heard(b".", 2.0)
    notes.got = {b"0": 1.5, b"older": 1.0, b"1": 5.0}

    assert notes.delays == [0.5, 3.0]
    assert notes.kept == [b"0"]
