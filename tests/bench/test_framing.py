"""What we write as bytes is what others read, and what they write is cut where it ends."""

import h11
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol, Opcode

from bench.framing import (
    BINARY,
    CLOSE,
    PING,
    Cutter,
    message,
    read_spelled,
    request,
    spelled,
    take_answer,
    upgrade,
)

bodies = st.binary(max_size=200)


@given(bodies)
def test_a_request_is_read_by_another_library(body: bytes) -> None:
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(request("POST", "/v1/deposit", body, headers="One: two\r\n"))
    events = list(iter(reader.next_event, h11.NEED_DATA))

    assert isinstance(events[0], h11.Request)
    assert (events[0].method, events[0].target) == (b"POST", b"/v1/deposit")
    assert (b"one", b"two") in events[0].headers
    assert b"".join(bytes(one.data) for one in events if isinstance(one, h11.Data)) == body


def test_a_request_for_a_websocket_says_so() -> None:
    data = upgrade("/v1/mailbox", headers="Authorization: Bearer x\r\n")

    assert b"\r\nUpgrade: websocket\r\n" in data
    assert data.endswith(b"Authorization: Bearer x\r\n\r\n")


@given(st.sampled_from([0, 1, 125, 126, 300, 65_535, 65_536, 70_000]))
def test_a_message_is_read_by_another_library(size: int) -> None:
    reader = FrameProtocol(client=False, extensions=[])
    reader.receive_bytes(message(bytes(size)))
    frames = list(reader.received_frames())

    assert {one.opcode for one in frames} == {Opcode.BINARY}
    assert sum(len(one.payload) for one in frames) == size


@given(st.lists(bodies, min_size=1, max_size=5), st.integers(1, 50))
def test_messages_are_cut_wherever_they_are_broken(payloads: list[bytes], piece: int) -> None:
    writer = FrameProtocol(client=False, extensions=[])
    data = b"".join(writer.send_data(one, fin=True) for one in payloads)
    cutter, received, found = Cutter(), bytearray(), []
    for at in range(0, len(data), piece):
        received += data[at : at + piece]
        found += cutter.take(received)

    assert found == [(BINARY, one) for one in payloads]
    assert not received


def test_a_message_in_pieces_is_put_together_and_words_between_them_are_not_lost() -> None:
    writer = FrameProtocol(client=False, extensions=[])
    data = bytearray(writer.send_data(b"one", fin=False))
    data += writer.ping(b"there?")
    data += writer.send_data(b"two", fin=True)
    data += writer.close(1000)

    kinds = Cutter().take(data)

    assert kinds[:2] == [(PING, b"there?"), (BINARY, b"onetwo")]
    assert kinds[2][0] == CLOSE


def test_an_answer_is_taken_when_all_of_it_is_there() -> None:
    data = b"HTTP/1.1 200 \r\nHomepost-Nonce: abc\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 204 "
    received = bytearray(data[:-20])

    assert take_answer(received) is None
    received += data[-20:]
    answer = take_answer(received)
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"body")
    assert answer.header(b"homepost-nonce") == b"abc"
    assert answer.header(b"other") is None
    assert bytes(received) == b"HTTP/1.1 204 "


@given(bodies)
def test_bytes_in_headers_come_back(data: bytes) -> None:
    assert read_spelled(spelled(data).encode()) == data
