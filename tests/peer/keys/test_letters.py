from collections.abc import Iterator
from pathlib import Path

import pytest

from peer.items.kinds import Gone, Range, Reset
from peer.keys.letters import Received
from tests.peer.keys.people import DAY, Person, meet, reopened, two

Pair = tuple[Person, Person]


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> Iterator[Pair]:
    ana, ben = two(tmp_path)
    yield ana, ben
    ana.close()
    ben.close()


def test_a_letter_is_read_and_so_is_the_answer(pair: Pair) -> None:
    ana, ben = pair

    assert ben.read(ana, ana.seal(ben, "Tea at four?")) == "Tea at four?"
    assert ana.read(ben, ben.seal(ana, "Yes.")) == "Yes."
    assert ben.read(ana, ana.seal(ben, "Good.")) == "Good."


def test_letters_cross_in_both_directions(pair: Pair) -> None:
    ana, ben = pair
    from_ana, from_ben = ana.seal(ben, "from Ana"), ben.seal(ana, "from Ben")

    assert ana.read(ben, from_ben) == "from Ben"
    assert ben.read(ana, from_ana) == "from Ana"
    for number in range(4):
        assert ben.read(ana, ana.seal(ben, str(number))) == str(number)
        assert ana.read(ben, ben.seal(ana, str(number))) == str(number)


def test_sessions_begun_at_once_settle_on_one(pair: Pair) -> None:
    ana, ben = pair
    from_ana, from_ben = ana.seal(ben), ben.seal(ana)
    ana.open(ben, from_ben)
    ben.open(ana, from_ana)
    ben.now = ana.now = ana.now + 60
    ben.read(ana, ana.seal(ben))
    ana.now += 60
    ana.read(ben, ben.seal(ana))
    used: set[bytes] = set()
    for _ in range(3):
        before = dict(ana.connection.execute("SELECT id, state FROM sessions").fetchall())
        ben.read(ana, ana.seal(ben))
        after = dict(ana.connection.execute("SELECT id, state FROM sessions").fetchall())
        used.update(name for name in after if after[name] != before.get(name))
        ana.read(ben, ben.seal(ana))

    assert len(used) == 1


def test_a_missing_letter_is_named_until_it_comes(pair: Pair) -> None:
    ana, ben = pair
    letters = [ana.seal(ben, str(number)) for number in range(6)]
    for number in (0, 3, 5):
        ben.open(ana, letters[number])

    [request] = ben.letters.missing(ana.card.person)
    assert request.device == ana.identity.device.id
    assert request.ranges == (Range(2, 3), Range(5, 5))
    for number in (1, 2, 4):
        ben.read(ana, letters[number])
    assert ben.letters.missing(ana.card.person) == ()


def test_a_letter_sent_again_fills_its_gap(pair: Pair) -> None:
    ana, ben = pair
    ana.seal(ben, "lost")
    ben.open(ana, ana.seal(ben, "second"))
    received = ben.open(ana, ana.seal(ben, "lost", again=1))

    assert isinstance(received, Received)
    assert received.again == 1
    assert ben.letters.missing(ana.card.person) == ()


def test_what_is_gone_is_not_asked_for_but_taken_if_it_comes(pair: Pair) -> None:
    ana, ben = pair
    late = ana.seal(ben, "late")
    ben.open(ana, ana.seal(ben))
    with ben.step():
        gone = Gone(ana.identity.device.id, (Range(1, 1), Range(7, 1 << 62)))
        ben.letters.take_gone(ana.card.person, gone)

    assert ben.letters.missing(ana.card.person) == ()
    assert ben.read(ana, late) == "late"


def test_a_lost_session_is_begun_again_on_request_once_a_day(pair: Pair) -> None:
    ana, ben = pair
    ben.open(ana, ana.seal(ben))
    ana.open(ben, ben.seal(ana))
    ben.connection.execute("DELETE FROM sessions")
    ben.open(ana, ana.seal(ben, "unreadable"))
    device = ana.identity.device.id

    with ben.step():
        reset = ben.letters.ask_reset(ana.card, device, now=ben.now)
        assert ben.letters.ask_reset(ana.card, device, now=ben.now + DAY / 2) is None
    assert reset == Reset(device, 2, (Range(2, 2),))
    request = ana.open(ben, ben.seal(ana, reset, bundles=(ana.bundle(),)))
    assert isinstance(request, Received)
    assert request.item.item.content == reset
    with ana.step():
        assert ana.letters.obey_reset(ben.card, request.device, reset, now=ana.now)
        assert not ana.letters.obey_reset(ben.card, request.device, reset, now=ana.now + 1)

    again = ana.seal(ben, "unreadable", bundles=(ben.bundle(),), again=2)
    assert ben.read(ana, again) == "unreadable"
    assert ben.letters.missing(ana.card.person) == ()


def test_a_reset_cannot_push_numbers_to_their_end(pair: Pair) -> None:
    ana, ben = pair
    ana.seal(ben)
    reset = Reset(ana.identity.device.id, (1 << 63) - 1, ())
    with ana.step():
        ana.letters.obey_reset(ben.card, ben.identity.device.id, reset, now=ana.now)

    assert ana.seal(ben, bundles=(ben.bundle(),)).number < 1 << 21


def test_a_reset_meant_for_another_device_is_not_obeyed(pair: Pair) -> None:
    ana, ben = pair
    with ana.step():
        assert not ana.letters.obey_reset(
            ben.card, ben.identity.device.id, Reset(ben.identity.device.id, 1, ()), now=ana.now
        )


def test_people_who_meet_again_write_on(pair: Pair) -> None:
    ana, ben = pair
    waiting = ana.seal(ben, "sealed before")
    ben.open(ana, ana.seal(ben))
    ana.now = ben.now = ana.now + DAY
    meet(ben, ana)

    assert ben.read(ana, ana.seal(ben, "after")) == "after"
    assert ben.read(ana, waiting) == "sealed before"
    assert ben.letters.missing(ana.card.person) == ()


def test_whoever_was_forgotten_and_added_again_is_read(pair: Pair) -> None:
    ana, ben = pair
    for _ in range(3):
        ben.open(ana, ana.seal(ben))
    with ana.step():
        ana.vault.forget(ben.card.person)
    ana.now = ben.now = ana.now + DAY
    meet(ana, ben)

    letter = ana.seal(ben, "a new beginning")
    assert letter.number == 4  # Ben's devices know by number what was read
    assert ben.letters.missing(ana.card.person) == ()
    assert ben.read(ana, letter) == "a new beginning"
    assert ana.read(ben, ben.seal(ana, "welcome back")) == "welcome back"


def test_two_processes_on_one_file_take_different_keys(pair: Pair) -> None:
    ana, ben = pair
    other = reopened(ana, ana.file)
    sealed = []
    for number in range(5):
        sealed.append(ana.seal(ben, f"watch {number}"))
        sealed.append(other.seal(ben, f"send {number}"))
    other.close()

    assert [letter.number for letter in sealed] == list(range(1, 11))
    assert {ben.read(ana, letter) for letter in reversed(sealed)} == {
        f"{who} {number}" for who in ("watch", "send") for number in range(5)
    }


def test_the_vault_forgets_what_nothing_needs(pair: Pair) -> None:
    ana, ben = pair
    lost = [ana.seal(ben) for _ in range(3)]
    ben.open(ana, ana.seal(ben))
    with ben.step():
        ben.vault.tidy(ben.now + 195 * DAY)

    assert ben.connection.execute("SELECT count(*) FROM skipped_keys").fetchone() == (0,)
    assert ben.connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    assert ben.refuses(ana, lost[0]) == "first-letter-replayed"
