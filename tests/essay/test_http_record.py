"""What went over a connection is read as it was meant, also behind a WebSocket's mask."""

import wsproto
from wsproto.events import AcceptConnection, BytesMessage, Request

from tests.essay.http_record import read_conversation, read_frames


def test_requests_and_answers_of_one_connection_are_told_apart() -> None:
    up = (
        b"POST /v1/challenge HTTP/1.1\r\nHost: box\r\nContent-Length: 0\r\n\r\n"
        b"POST /v1/login?x=1 HTTP/1.1\r\nHost: box\r\nContent-Length: 5\r\n\r\nhello"
    )
    down = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
        b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n2\r\npe\r\n0\r\n\r\n"
    )
    first, second = read_conversation(up, down).exchanges

    assert (first.route, first.status, bytes(first.answered)) == ("POST /v1/challenge", 200, b"abc")
    assert (second.route, second.status) == ("POST /v1/login", 401)
    assert (bytes(second.asked), bytes(second.answered)) == (b"hello", b"nope")


def test_what_was_cut_off_is_kept_as_far_as_it_came() -> None:
    up = b"POST /v1/deposit HTTP/1.1\r\nHost: box\r\nContent-Length: 100\r\n\r\nhalf"
    (only,) = read_conversation(up, b"").exchanges

    assert (only.status, bytes(only.asked)) == (0, b"half")
    assert read_conversation(b"", b"").exchanges == []


def test_messages_of_a_websocket_are_read_without_their_mask() -> None:
    phone, box = (
        wsproto.WSConnection(wsproto.ConnectionType.CLIENT),
        wsproto.WSConnection(wsproto.ConnectionType.SERVER),
    )
    up = phone.send(Request(host="box", target="/v1/mailbox"))
    box.receive_data(up)
    list(box.events())
    down = box.send(AcceptConnection())
    phone.receive_data(down)
    list(phone.events())
    large = bytes(range(256)) * 300
    up += phone.send(BytesMessage(b"where I am")) + phone.send(BytesMessage(large))
    down += box.send(BytesMessage(large))
    talk = read_conversation(up, down)

    assert talk.messages_up == [b"where I am", large]
    assert talk.messages_down == [large]
    assert talk.packed == 0
    assert b"where I am" not in up


def test_a_compressed_message_is_noticed_and_half_a_frame_is_left_out() -> None:
    whole = bytes((0xC2, 3)) + b"abc"

    assert list(read_frames(whole + whole[:4])) == [(b"abc", True)]
