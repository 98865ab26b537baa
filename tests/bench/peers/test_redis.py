"""Conversations with Redis are written and read as its protocol says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.peers.payloads import items
from bench.peers.redis import Adder, Reader, Reply, command, take_reply
from bench.talks import Notes, NotStored, Work

replies: st.SearchStrategy[Reply] = st.recursive(
    st.one_of(st.none(), st.integers(-9, 10**9), st.binary(max_size=20)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)


def said(reply: Reply) -> bytes:
    """Return a reply as the server writes it."""
    match reply:
        case None:
            return b"$-1\r\n"
        case int(number):
            return b":%d\r\n" % number
        case bytes(text):
            return b"$%d\r\n%s\r\n" % (len(text), text)
        case several:
            return b"*%d\r\n" % len(several) + b"".join(map(said, several))


def test_a_command_is_a_list_of_texts() -> None:
    assert command(b"XADD", b"s") == b"*2\r\n$4\r\nXADD\r\n$1\r\ns\r\n"


@given(replies)
def test_replies_are_read_when_all_of_them_is_there(reply: Reply) -> None:
    data = bytearray(said(reply))

    assert take_reply(data) == (reply, len(data))
    for end in range(len(data)):
        assert take_reply(data[:end]) is None


def test_short_words_and_empty_lists_are_replies_and_errors_are_not() -> None:
    assert take_reply(bytearray(b"+OK\r\n")) == (b"OK", 5)
    assert take_reply(bytearray(b"*-1\r\n")) == (None, 5)
    with pytest.raises(NotStored, match="OOM"):
        take_reply(bytearray(b"-OOM command not allowed\r\n"))


def test_one_entry_follows_the_other() -> None:
    talk = Adder(Notes(), iter([Work(b"one", (b"1",)), Work(b"two", (b"2",))]))

    assert talk.more(0.0) == b"one"
    assert talk.heard(b"$3\r\n1", 1.0) == b""
    assert talk.heard(b"-0\r\n", 2.0) == b"two"
    assert talk.heard(b"$3\r\n2-0\r\n", 3.0) == b""
    assert talk.notes.took == [2.0, 1.0]


def test_a_reader_deletes_what_it_took_and_asks_for_more() -> None:
    [item] = items(1)
    reader = Reader(Notes(), b"s:1")
    asks = reader.hello()
    entries: Reply = [[b"s:1", [[b"7-0", [b"d", item.data]]]]]

    answer = reader.heard(said(entries) + b":1\r\n:1\r\n", 4.0)

    assert reader.notes.got == {item.ids[0]: 4.0}
    assert answer == (
        command(b"XACK", b"s:1", b"g", b"7-0") + command(b"XDEL", b"s:1", b"7-0") + asks
    )
