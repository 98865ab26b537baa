"""Conversations with a gateway say what the protocol wants, and read all that it may answer."""

import pytest

from bench.deposits import CHALLENGE
from bench.links import Lost, Refused
from bench.ours import Collector, PostDepositor, SocketDepositor, frames, messages
from bench.talks import Notes, NotStored
from wire.auth import Channel
from wire.frames import (
    Bye,
    Cursor,
    Delivered,
    Deposit,
    Frame,
    Hello,
    Outcome,
    Parcels,
    Ping,
    Result,
    Results,
    decode_frame,
    encode_frame,
)
from wire.ids import CursorEpoch, GatewayId, ParcelId
from wire.lanes import LaneSecret

CHANNEL = Channel(GatewayId(bytes(range(32))), bytes(32))
LANES = [LaneSecret(bytes([number] * 32)).at(CHANNEL.gateway) for number in range(3)]
SWITCH = b"HTTP/1.1 101 \r\nupgrade: websocket\r\n\r\n"


def from_gateway(frame: Frame) -> bytes:
    """Return a frame as a message of a server's, which has no mask."""
    data = encode_frame(frame)
    size = len(data)
    if size < 126:
        return bytes([0x82, size]) + data
    return bytes([0x82, 126]) + size.to_bytes(2, "big") + data


def results(ids: tuple[bytes, ...], result: Result = Result.STORED) -> Results:
    return Results(1, tuple(Outcome(ParcelId(one), result, 0) for one in ids))


def payload(message: bytes) -> bytes:
    """Return the content of a short message of ours."""
    return message[6:]


def test_frames_hold_as_many_parcels_as_are_wanted_on_all_lanes_in_turn() -> None:
    works = list(frames(LANES, 70, channel=CHANNEL, batch=32))
    decoded = [decode_frame(one.data) for one in works]

    assert [len(one.ids) for one in works] == [32, 32, 6]
    assert all(isinstance(one, Deposit) for one in decoded)
    proved = [one for frame in decoded if isinstance(frame, Deposit) for one in frame.parcels]
    assert [one.parcel.lane for one in proved[:4]] == [
        LANES[0].id, LANES[1].id, LANES[2].id, LANES[0].id,
    ]  # fmt: skip
    assert proved[1].parcel.proved_by(proved[1].proof, LANES[1], gateway=CHANNEL.gateway)


class TestSocketDepositor:
    """Deposits over a WebSocket."""

    def talk(self, count: int, *, batch: int = 2, window: int = 2) -> SocketDepositor:
        supply = messages(frames(LANES, count, channel=CHANNEL, batch=batch))
        return SocketDepositor(Notes(sent={}), supply, headers="A: b\r\n", window=window)

    def test_is_greeted_once_the_connection_is_a_websocket(self) -> None:
        talk = self.talk(2)

        assert talk.hello().startswith(b"GET /v1/deposit ")
        assert not talk.greeted
        talk.heard(SWITCH[:10], 0.0)
        assert not talk.greeted
        talk.heard(SWITCH[10:], 0.0)
        assert talk.greeted

    def test_one_frame_of_results_may_answer_several_deposits_and_one_deposit_several(self) -> None:
        talk = self.talk(8)
        talk.heard(SWITCH, 0.0)
        talk.more(1.0, count=talk.window)
        ids = tuple(talk.notes.sent or ())

        assert talk.heard(from_gateway(results(ids[:1])), 2.0) == b""
        assert talk.notes.stored == 0
        said = talk.heard(from_gateway(results(ids[1:])), 3.0)
        assert talk.notes.stored == 4
        assert talk.notes.took == [2.0, 2.0]
        assert said.count(b"\x20\x00\x00\x00\x01\x00\x02") == 2  # heads of two more frames

    def test_a_refused_parcel_ends_it(self) -> None:
        talk = self.talk(1, batch=1)
        talk.heard(SWITCH, 0.0)
        talk.more(1.0)
        ids = tuple(talk.notes.sent or ())

        with pytest.raises(NotStored, match="mailbox-full"):
            talk.heard(from_gateway(results(ids, Result.MAILBOX_FULL)), 2.0)

    def test_a_last_word_and_a_refused_handshake_end_it(self) -> None:
        talk = self.talk(1)
        with pytest.raises(Refused):
            talk.heard(b"HTTP/1.1 403 \r\ncontent-length: 0\r\n\r\n", 0.0)
        talk = self.talk(1)
        talk.heard(SWITCH, 0.0)
        with pytest.raises(Lost, match="going-away"):
            talk.heard(from_gateway(Bye("going-away")), 0.0)


class TestPostDepositor:
    """One request for each deposit."""

    def talk(self, count: int) -> PostDepositor:
        supply = frames(LANES, count, channel=CHANNEL, batch=1)
        return PostDepositor(Notes(sent={}), supply, lane=LANES[0], channel=CHANNEL)

    def answer(self, talk: PostDepositor, *, nonce: str = "") -> bytes:
        body = encode_frame(results(tuple(talk.notes.sent or ())[-1:]))
        head = f"HTTP/1.1 200 \r\n{nonce}content-length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def nonce(self) -> bytes:
        return b"HTTP/1.1 200 \r\ncontent-length: 32\r\n\r\n" + bytes(32)

    def test_a_nonce_is_asked_for_before_each_where_none_comes_with_the_answer(self) -> None:
        talk = self.talk(2)
        assert talk.hello() == CHALLENGE
        assert talk.heard(self.nonce(), 0.0) == b""
        assert talk.greeted

        assert talk.more(1.0).startswith(b"POST /v1/deposit ")
        assert talk.heard(self.answer(talk), 2.0) == CHALLENGE
        assert talk.heard(self.nonce(), 3.0).startswith(b"POST /v1/deposit ")
        assert talk.heard(self.answer(talk), 4.0) == b""
        assert talk.notes.took == [1.0, 2.0]

    def test_a_nonce_that_comes_with_the_answer_is_used(self) -> None:
        talk = self.talk(2)
        talk.heard(self.nonce(), 0.0)
        talk.more(1.0)
        given = f"Homepost-Nonce: {'A' * 43}\r\n"

        assert talk.heard(self.answer(talk, nonce=given), 2.0).startswith(b"POST /v1/deposit ")

    def test_a_refusal_ends_it(self) -> None:
        talk = self.talk(1)
        talk.heard(self.nonce(), 0.0)
        talk.more(1.0)
        with pytest.raises(Refused):
            talk.heard(b"HTTP/1.1 503 \r\ncontent-length: 0\r\n\r\n", 2.0)


class TestCollector:
    """A phone at its mailbox."""

    EPOCH = CursorEpoch(bytes([7] * 16))

    def greeted(self) -> Collector:
        talk = Collector(Notes(), headers="A: b\r\n")
        assert talk.hello().startswith(b"GET /v1/mailbox ")
        resume = talk.heard(SWITCH, 0.0)
        assert payload(resume)[0] == 0x10
        talk.heard(from_gateway(Hello(self.EPOCH, 0, reset=True)), 0.0)
        assert talk.greeted
        return talk

    def test_acknowledges_what_it_takes(self) -> None:
        talk = self.greeted()
        works = list(frames(LANES, 2, channel=CHANNEL, batch=2))
        deposit = decode_frame(works[0].data)
        assert isinstance(deposit, Deposit)
        parcels = [one.parcel for one in deposit.parcels]
        sent = Parcels(tuple(Delivered(at, one) for at, one in zip((3, 9), parcels, strict=True)))

        said = talk.heard(from_gateway(sent), 5.0)

        assert talk.notes.got == {one.id.raw: 5.0 for one in parcels}
        assert talk.cursor == Cursor(self.EPOCH, 9, parcels[-1].id)
        assert payload(said) == b"\x11" + talk.cursor.encode()

    def test_answers_when_it_is_asked_whether_it_is_there(self) -> None:
        assert payload(self.greeted().heard(from_gateway(Ping()), 1.0)) == b"\x13"

    def test_a_last_word_ends_it(self) -> None:
        with pytest.raises(Lost, match="replaced"):
            self.greeted().heard(from_gateway(Bye("replaced")), 1.0)
