"""What is said to a gateway of ours: deposits over WebSocket or one by one, and collecting.

These are for the pump; `deposits.py` and `recipients.py` do the same for asyncio, for few items.
"""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Final

from bench.deposits import CHALLENGE, NONCE_HEADER, opening, parcel
from bench.framing import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    Cutter,
    message,
    read_spelled,
    request,
    take_answer,
    upgrade,
)
from bench.links import SWITCHED, Lost, Refused
from bench.recipients import cut
from bench.talks import ID_BYTES, Depositor, Notes, NotStored, Work
from wire.auth import Channel
from wire.frames import (
    NOWHERE,
    Ack,
    Bye,
    Cursor,
    Deposit,
    Hello,
    Proved,
    Result,
    Resume,
    decode_frame,
    encode_frame,
)
from wire.ids import ParcelId
from wire.lanes import Lane

_RESULTS, _PARCELS, _PING_FRAME = 0x21, 0x02, 0x03
_RESULTS_HEAD: Final = 7
_OUTCOME: Final = 21
"""Bytes of one outcome: parcel id, result, retry after (docs/protocol.md §5.2)."""
_PONG_FRAME: Final = b"\x13"


def frames(lanes: Sequence[Lane], count: int, *, channel: Channel, batch: int) -> Iterator[Work]:
    """Yield deposit frames with `count` new parcels in all, for one lane after the other."""
    turn = cycle(lanes)
    while count > 0:
        several = min(batch, count)
        count -= several
        on = [next(turn) for _ in range(several)]
        made = [parcel(lane) for lane in on]
        proved = [
            Proved(one.proof(lane, gateway=channel.gateway), one)
            for one, lane in zip(made, on, strict=True)
        ]
        data = encode_frame(Deposit(1, tuple(proved)))
        yield Work(data, tuple(one.id.raw for one in made))


def messages(works: Iterator[Work]) -> Iterator[Work]:
    """Yield the same deposits as WebSocket messages."""
    return (Work(message(one.data), one.ids) for one in works)


class _Waiting:
    """A deposit of which some parcels are not answered yet."""

    __slots__ = ("missing", "since", "work")

    def __init__(self, work: Work, since: float) -> None:
        self.work = work
        self.missing = len(work.ids)
        self.since = since


class SocketDepositor(Depositor):
    """Deposits over one WebSocket.

    Args:
        headers: those that open it, with a lane.
    """

    def __init__(
        self, notes: Notes, supply: Iterator[Work], *, headers: str, window: int = 1
    ) -> None:
        super().__init__(notes, supply, window=window)
        self.greeted = False
        self._headers = headers
        self._received = bytearray()
        self._cutter = Cutter()
        self._waiting: dict[bytes, _Waiting] = {}

    def hello(self) -> bytes:
        """Return the request for a WebSocket."""
        return upgrade("/v1/deposit", headers=self._headers)

    def hand_in(self, work: Work, now: float) -> bytes:
        """Return a message."""
        waiting = _Waiting(work, now)
        for one in work.ids:
            self._waiting[one] = waiting
        return work.data

    def heard(self, data: bytes, now: float) -> bytes:
        """Take results."""
        self._received += data
        if not self.greeted:
            self.greeted = _switched(self._received)
        said = []
        for kind, payload in self._cutter.take(self._received):
            if kind == PING:
                said.append(message(payload, kind=PONG))
            elif kind == CLOSE:
                raise Lost("closed")
            elif kind == BINARY:
                self._take(payload, now, said)
        return b"".join(said)

    def _take(self, payload: bytes, now: float, said: list[bytes]) -> None:
        if payload[0] != _RESULTS:
            frame = decode_frame(payload)
            raise Lost(frame.code if isinstance(frame, Bye) else "no results")
        for at in range(_RESULTS_HEAD, len(payload), _OUTCOME):
            result = payload[at + ID_BYTES]
            if result != Result.STORED:
                raise NotStored(Result(result).code)
            waiting = self._waiting.pop(payload[at : at + ID_BYTES])
            waiting.missing -= 1
            if waiting.missing == 0:
                said.append(self.stored(waiting.work, since=waiting.since, now=now))


class PostDepositor(Depositor):
    """One request for each deposit, on a connection that is kept.

    A nonce comes with each answer, or is asked for; the time for that counts.

    Args:
        lane: with which requests are opened.
        channel: what openings are bound to.
    """

    def __init__(
        self, notes: Notes, supply: Iterator[Work], *, lane: Lane, channel: Channel, window: int = 1
    ) -> None:
        super().__init__(notes, supply, window=window)
        self._lane = lane
        self._channel = channel
        self._received = bytearray()
        self._nonce: bytes | None = None
        self._work: Work | None = None
        self._since = 0.0
        self.greeted = False

    def hello(self) -> bytes:
        """Ask for a nonce."""
        return CHALLENGE

    def hand_in(self, work: Work, now: float) -> bytes:
        """Return a request, for a nonce if there is none."""
        self._work, self._since = work, now
        return self._go_on()

    def heard(self, data: bytes, now: float) -> bytes:
        """Take an answer."""
        self._received += data
        answer = take_answer(self._received)
        if answer is None:
            return b""
        if answer.status >= 400:
            raise Refused(answer)
        if not self.greeted or self._nonce is None:
            self._nonce, self.greeted = answer.body, True
            return self._go_on()
        return self._stored(answer.body, answer.header(NONCE_HEADER), now)

    def _stored(self, body: bytes, nonce: bytes | None, now: float) -> bytes:
        for at in range(_RESULTS_HEAD, len(body), _OUTCOME):
            if (result := body[at + ID_BYTES]) != Result.STORED:
                raise NotStored(Result(result).code)
        self._nonce = None if nonce is None else read_spelled(nonce)
        work, self._work = self._work, None
        assert work is not None  # noqa: S101  # answers come to what was asked
        return self.stored(work, since=self._since, now=now)

    def _go_on(self) -> bytes:
        if self._work is None:
            return b""
        if self._nonce is None:
            return CHALLENGE
        headers = opening(self._lane, channel=self._channel, nonce=self._nonce)
        return request("POST", "/v1/deposit", self._work.data, headers=headers)


class Collector:
    """A phone that takes what its mailbox sends and acknowledges it.

    Args:
        notes: where it is noted.
        headers: its login.
        cursor: how far it has collected.
    """

    def __init__(self, notes: Notes, *, headers: str, cursor: Cursor = NOWHERE) -> None:
        self.notes = notes
        self.cursor = cursor
        self.greeted = False
        self._headers = headers
        self._received = bytearray()
        self._cutter = Cutter()
        self._switched = False

    def hello(self) -> bytes:
        """Return the request for a WebSocket."""
        return upgrade("/v1/mailbox", headers=self._headers)

    def heard(self, data: bytes, now: float) -> bytes:
        """Take parcels."""
        self._received += data
        if not self._switched:
            self._switched = _switched(self._received)
            return message(encode_frame(Resume(self.cursor))) if self._switched else b""
        said = []
        for kind, payload in self._cutter.take(self._received):
            if kind == PING:
                said.append(message(payload, kind=PONG))
            elif kind == CLOSE:
                raise Lost("closed")
            elif kind == BINARY:
                said.append(self._take(payload, now))
        return b"".join(said)

    def _take(self, payload: bytes, now: float) -> bytes:
        if payload[0] == _PARCELS:
            found = cut(payload)
            seq, last = found[-1]
            for _, one in found:
                self.notes.got.setdefault(one, now)
            self.cursor = Cursor(self.cursor.epoch, seq, ParcelId(last))
            return message(encode_frame(Ack(self.cursor)))
        if payload[0] == _PING_FRAME:
            return message(_PONG_FRAME)
        match decode_frame(payload):
            case Hello(epoch, _, reset):
                if reset:
                    self.cursor = Cursor.start(epoch)
                self.greeted = True
            case Bye(code):
                raise Lost(code)
        return b""


def _switched(received: bytearray) -> bool:
    """Return whether the connection is a WebSocket by now.

    Raises:
        Refused: it will not be one.
    """
    answer = take_answer(received)
    if answer is not None and answer.status != SWITCHED:
        raise Refused(answer)
    return answer is not None
