import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.keys.errors import Damaged
from peer.keys.primitives import Exchange
from peer.keys.ratchet_state import Chain, State
from wire.codec import encode

OWN = Exchange(bytes(range(32, 64)))
KEY = st.binary(min_size=32, max_size=32)
NUMBER = st.integers(0, (1 << 32) - 1)
CHAIN = st.builds(Chain, NUMBER, KEY)
STATE = st.builds(State, KEY, KEY, CHAIN, CHAIN, st.none() | CHAIN, st.none() | NUMBER)


@given(STATE)
def test_a_state_comes_back_as_it_was_saved(state: State) -> None:
    assert State.load(state.save()) == state
    assert len(state.save()) == len(State.load(state.save()).save())


def test_a_state_of_the_first_form_is_read() -> None:
    chain = Chain(3, b"k" * 32)
    for receiving in (None, chain):
        written = encode({
            0: 1, 1: OWN.secret, 2: b"o" * 32, 3: [1, b"r" * 32], 4: [3, b"k" * 32],
            5: None if receiving is None else [3, b"k" * 32], 6: None,
        })  # fmt: skip

        assert State.load(written) == State(
            OWN.secret, b"o" * 32, Chain(1, b"r" * 32), chain, receiving, None
        )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02",
        bytes(182),
        b"\xa7",
        encode({0: 1, 1: b"short", 2: bytes(32), 3: [1, bytes(32)], 4: [0, bytes(32)], 5: None,
                6: None}),
        encode({0: 1, 1: bytes(32), 2: bytes(32), 3: [1, bytes(32)], 4: None, 5: None, 6: None}),
        encode({0: 1, 1: bytes(32), 2: bytes(32), 3: [1, bytes(32)], 4: [0, bytes(32)], 5: [1],
                6: None}),
    ],
)  # fmt: skip
def test_what_is_no_state_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        State.load(data)


@given(STATE.map(State.save), st.data())
def test_a_state_cut_short_or_of_another_form_is_damaged_and_nothing_worse(
    saved: bytes, data: st.DataObject
) -> None:
    cut = saved[: data.draw(st.integers(0, len(saved) - 1))]
    for wrong in (cut, saved + b"\0", b"\x03" + saved[1:]):
        with pytest.raises(Damaged):
            State.load(wrong)


def test_secrets_do_not_show() -> None:
    state = State(b"s" * 32, bytes(32), Chain(1, b"r" * 32), Chain(0, b"k" * 32),
                  None, None)  # fmt: skip

    assert "sss" not in repr(state)
    assert "rrr" not in repr(state)
    assert "kkk" not in repr(state)
