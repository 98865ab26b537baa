"""Conversations with Prosody log in and wait for each acknowledgement."""

import base64

from bench.peers.prosody import Writer
from bench.talks import Notes, Work

STEPS = [
    (b"<stream:stream id='1'><stream:features><mechanisms/></stream:features>", b"<auth "),
    (b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", b"<stream:stream "),
    (b"<stream:features><bind/></stream:features>", b"<iq "),
    (b"<iq type='result' id='b'><bind><jid>s1@localhost/x</jid></bind></iq>", b"<enable "),
]


def test_a_writer_logs_in_step_by_step_then_writes() -> None:
    works = iter([Work(b"<message/>one", (b"1",)), Work(b"<message/>two", (b"2",))])
    talk = Writer(Notes(), works, account="s1")

    assert talk.hello().startswith(b"<stream:stream ")
    for heard, said in STEPS:
        assert talk.heard(heard[:20], 0.0) == b""
        answer = talk.heard(heard[20:], 0.0)
        assert answer.startswith(said)
        if said == b"<auth ":
            secret = answer.partition(b">")[2].partition(b"<")[0]
            assert base64.b64decode(secret) == b"\0s1\0x"
    assert not talk.greeted
    assert talk.heard(b"<enabled xmlns='urn:xmpp:sm:3'/>", 0.0) == b""
    assert talk.greeted

    assert talk.more(1.0) == b"<message/>one"
    assert talk.heard(b"<a xmlns='urn:xmpp:sm:3'", 2.0) == b""
    assert talk.heard(b" h='1'/>", 3.0) == b"<message/>two"
    assert talk.notes.took == [2.0]
