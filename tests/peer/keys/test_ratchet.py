import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.keys.errors import Broken, Damaged, Duplicate, TooFarAhead, WeakKey
from peer.keys.primitives import Exchange, system_random
from peer.keys.ratchet import HEADER, MAX_SKIPPED, DoubleRatchet, Place, SkippedKey

SECRET = bytes(range(32))
RATCHET = DoubleRatchet()


class Side:
    """One end of a session that keeps its state the way the key store does."""

    def __init__(self, state: bytes) -> None:
        self.state = state
        self.skipped: dict[Place, SkippedKey] = {}

    def seal(self, plaintext: bytes) -> bytes:
        sealed = RATCHET.seal(self.state, plaintext, about=b"about")
        self.state = sealed.state
        return sealed.message

    def open(self, message: bytes) -> bytes:
        opened = RATCHET.open(self.state, message, about=b"about", skipped=self.skipped.get)
        if opened.used is not None:
            del self.skipped[opened.used]
        self.skipped.update({one.place: one for one in opened.skipped})
        self.state = opened.state
        return opened.plaintext


def _pair() -> tuple[Side, Side]:
    key = Exchange.generate(system_random)
    sealed = RATCHET.begin(SECRET, their_key=key.public, plaintext=b"first", about=b"about")
    opened = RATCHET.accept(SECRET, own_key=key, message=sealed.message, about=b"about")
    assert opened.plaintext == b"first"
    return Side(sealed.state), Side(opened.state)


def test_letters_go_both_ways() -> None:
    ana, ben = _pair()

    for number in range(5):
        assert ben.open(ana.seal(b"to ben %d" % number)) == b"to ben %d" % number
        assert ana.open(ben.seal(b"to ana %d" % number)) == b"to ana %d" % number


def test_a_session_may_be_taken_up_with_its_second_letter_first() -> None:
    key = Exchange.generate(system_random)
    first = RATCHET.begin(SECRET, their_key=key.public, plaintext=b"one", about=b"")
    second = RATCHET.seal(first.state, b"two", about=b"")

    opened = RATCHET.accept(SECRET, own_key=key, message=second.message, about=b"")

    assert opened.plaintext == b"two"
    [skipped] = opened.skipped
    late = RATCHET.open(opened.state, first.message, about=b"", skipped=lambda _place: skipped)
    assert (late.plaintext, late.skipped, late.state) == (b"one", (), opened.state)


@given(order=st.permutations(range(12)), answers=st.sets(st.integers(0, 11)))
@settings(max_examples=30, deadline=None)
def test_letters_are_readable_in_any_order(order: list[int], answers: set[int]) -> None:
    ana, ben = _pair()
    sent = []
    for number in range(12):
        sent.append(ana.seal(b"%d" % number))
        if number in answers:  # a new chain begins
            ben_message = ben.seal(b"answer")
            assert ana.open(ben_message) == b"answer"

    assert [ben.open(sent[number]) for number in order] == [b"%d" % number for number in order]
    assert not ben.skipped


def test_a_gap_of_a_thousand_is_bridged_and_one_more_is_not() -> None:
    ana, ben = _pair()
    missed = [ana.seal(b"x") for _ in range(MAX_SKIPPED + 1)]
    reachable, beyond = missed[-1], ana.seal(b"beyond")

    with pytest.raises(TooFarAhead):
        ben.open(beyond)
    assert ben.open(reachable) == b"x"
    assert len(ben.skipped) == MAX_SKIPPED


def test_gaps_in_two_chains_count_together() -> None:
    ana, ben = _pair()
    for _ in range(700):
        ana.seal(b"lost")
    ana.open(ben.seal(b"answer"))  # a new chain of Ana begins
    for _ in range(301):
        ana.seal(b"lost")

    with pytest.raises(TooFarAhead):
        ben.open(ana.seal(b"x"))


def test_the_same_message_twice_is_a_duplicate() -> None:
    ana, ben = _pair()
    message = ana.seal(b"x")
    ben.open(message)

    with pytest.raises(Duplicate):
        ben.open(message)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_an_altered_message_is_refused_and_leaves_the_state(data: st.DataObject) -> None:
    ana, ben = _pair()
    message = bytearray(ana.seal(b"some text"))
    before = ben.state
    position = data.draw(st.integers(0, len(message) - 1))
    message[position] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises((Broken, Duplicate, TooFarAhead, WeakKey)):
        ben.open(bytes(message))
    assert ben.state == before


def test_a_message_for_other_circumstances_is_refused() -> None:
    ana, ben = _pair()
    message = ana.seal(b"x")

    with pytest.raises(Broken):
        RATCHET.open(ben.state, message, about=b"elsewhere")


def test_a_ratchet_key_of_low_order_is_refused() -> None:
    _ana, ben = _pair()

    with pytest.raises(WeakKey):
        ben.open(HEADER.pack(bytes(32), 0, 0) + bytes(64))
    with pytest.raises(WeakKey):
        RATCHET.begin(SECRET, their_key=bytes(32), plaintext=b"", about=b"")


@pytest.mark.parametrize("message", [b"", bytes(39), bytes(40)])
def test_what_is_no_message_is_refused(message: bytes) -> None:
    _ana, ben = _pair()

    with pytest.raises((Broken, WeakKey)):
        ben.open(message)


@pytest.mark.parametrize("state", [b"", b"\xa0", b"\xa2\x00\x02\x01\x40"])
def test_a_damaged_state_is_named(state: bytes) -> None:
    with pytest.raises(Damaged):
        RATCHET.seal(state, b"", about=b"")


def test_the_state_holds_no_skipped_keys() -> None:
    ana, ben = _pair()
    for _ in range(500):
        ana.seal(b"lost")
    ben.open(ana.seal(b"x"))

    assert len(ben.state) < 300


def test_secrets_do_not_show() -> None:
    ana, _ben = _pair()
    sealed = RATCHET.seal(ana.state, b"x", about=b"")

    assert repr(sealed.state)[2:20] not in repr(sealed)
    assert "\\x01\\x02" not in repr(Exchange(SECRET))


def test_a_remembered_state_steps_as_one_that_was_read_from_the_store() -> None:
    ana, ben = _pair()
    for _ in range(3):
        ana.open(ben.seal(b"answer"))
        for _ in range(3):
            stored = DoubleRatchet().seal(ana.state, b"x", about=b"about")
            skipped = ana.seal(b"skipped")
            message = ana.seal(b"x")
            assert stored.message[: HEADER.size] == skipped[: HEADER.size]
            with pytest.raises(Broken):
                ben.open(message[:-1] + bytes([message[-1] ^ 1]))
            assert ben.open(message) == b"x"
            stored_opened = DoubleRatchet().open(
                ben.state, ana.seal(b"y"), about=b"about", skipped=ben.skipped.get
            )
            assert stored_opened.plaintext == b"y"
            again = RATCHET.open(ben.state, ana.seal(b"z"), about=b"about", skipped=ben.skipped.get)
            assert again.plaintext == b"z"
            assert {one.place for one in again.skipped} >= {
                one.place for one in stored_opened.skipped
            }


def test_sealing_an_older_state_again_is_sealing_that_state() -> None:
    ana, ben = _pair()
    before = ana.state
    first = RATCHET.seal(before, b"one", about=b"about")
    second = RATCHET.seal(before, b"two", about=b"about")

    assert first.state == second.state
    assert first.message[: HEADER.size] == second.message[: HEADER.size]
    assert ben.open(second.message) == b"two"
