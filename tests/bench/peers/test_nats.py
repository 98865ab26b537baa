"""Conversations with NATS are written and read as its protocol says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.peers.nats import PULL, Cut, Publisher, Puller
from bench.peers.payloads import items
from bench.talks import Notes, NotStored, Work

STORED = b'{"stream":"MB","seq":7}'


def answer(content: bytes) -> bytes:
    return b"MSG inbox 1 %d\r\n%s\r\n" % (len(content), content)


@given(st.integers(1, 60))
def test_messages_are_cut_wherever_they_are_broken(piece: int) -> None:
    data = b'INFO {"a":1}\r\nPING\r\n' + answer(b"x\r\ny") + b"PONG\r\n"
    cut, found = Cut(), []
    for at in range(0, len(data), piece):
        found += list(cut.take(data[at : at + piece]))

    assert [words[0] for words, _ in found] == [b"INFO", b"PING", b"MSG", b"PONG"]
    assert found[2][1] == b"x\r\ny"


def test_one_message_follows_the_other_and_each_has_its_answer() -> None:
    works = iter([Work(b"m.1 one", (b"1",)), Work(b"m.2 two", (b"2",))])
    talk = Publisher(Notes(), works, answers=b'"seq"', window=1)

    assert b"SUB _INBOX." in talk.hello()
    assert talk.more(0.0).endswith(b" 3\r\none\r\n")
    said = talk.heard(b"PING\r\n" + answer(STORED), 2.0)
    assert said.startswith(b"PONG\r\nPUB m.2 _INBOX.")
    assert talk.notes.took == [2.0]


def test_a_message_that_was_not_stored_ends_it() -> None:
    works = iter([Work(b"m.1 one", (b"1",))])
    talk = Publisher(Notes(), works, answers=b'"seq"', window=1)
    talk.more(0.0)

    with pytest.raises(NotStored, match="no room"):
        talk.heard(answer(b'{"error":"no room","seq":0}'), 1.0)
    with pytest.raises(NotStored, match="Unknown"):
        talk.heard(b"-ERR 'Unknown Protocol Operation'\r\n", 1.0)


def test_a_puller_acknowledges_each_and_asks_for_more_in_time() -> None:
    puller = Puller(Notes(), 3)
    assert json.dumps({"batch": PULL})[1:-1].encode() in puller.hello()

    pulls = 0
    for number, item in enumerate(items(PULL)):
        data = b"MSG m.3 1 $JS.ACK.%d %d\r\n%s\r\n" % (number, len(item.data), item.data)
        said = puller.heard(data, float(number))
        assert said.startswith(b"PUB $JS.ACK.%d 4\r\n+ACK\r\n" % number)
        pulls += said.count(b"MSG.NEXT")

    assert len(puller.notes.got) == PULL
    assert pulls == 1
