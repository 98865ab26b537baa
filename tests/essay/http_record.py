"""Reads what went over one connection: HTTP/1.1 requests and answers, then perhaps a WebSocket.

Two h11 machines play both sides again, from the bytes that passed. WebSocket frames are unmasked
(RFC 6455 §5.2), since a mask would hide a secret from a search.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import h11

MAX_HEAD: Final = 64 * 1024


@dataclass
class Exchange:
    """One request and its answer, as far as they came."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    asked: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)

    @property
    def route(self) -> str:
        """Method and path, without what follows the question mark."""
        return f"{self.method} {self.path.partition('?')[0]}"


@dataclass
class Conversation:
    """What one connection was used for."""

    exchanges: list[Exchange] = field(default_factory=list)
    messages_up: list[bytes] = field(default_factory=list)
    """What the phone sent over a WebSocket."""
    messages_down: list[bytes] = field(default_factory=list)
    packed: int = 0
    """WebSocket frames that were compressed."""


def read_conversation(up: bytes, down: bytes) -> Conversation:
    """Read one connection; what was cut off is left out."""
    found = Conversation()
    asking = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    answering = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    for machine, passed in ((asking, up), (answering, down)):
        if passed:  # nothing would mean to h11 that the connection has ended
            machine.receive_data(passed)
    while exchange := _request(asking, answering):
        found.exchanges.append(exchange)
        if not _answer(exchange, asking, answering):
            break
    if found.exchanges and found.exchanges[-1].status == 101:
        for side, messages in ((asking, found.messages_up), (answering, found.messages_down)):
            for payload, packed in read_frames(side.trailing_data[0]):
                messages.append(payload)
                found.packed += packed
    return found


def _request(asking: h11.Connection, answering: h11.Connection) -> Exchange | None:
    exchange = None
    while True:
        event: Any = asking.next_event()
        if isinstance(event, h11.Request):
            headers = {name.decode(): value.decode() for name, value in event.headers}
            exchange = Exchange(event.method.decode(), event.target.decode(), headers)
        elif isinstance(event, h11.Data) and exchange is not None:
            exchange.asked += event.data
        elif not isinstance(event, h11.EndOfMessage):
            return exchange if exchange and exchange.asked else None
        answering.send(event)
        if isinstance(event, h11.EndOfMessage):
            return exchange


def _answer(exchange: Exchange, asking: h11.Connection, answering: h11.Connection) -> bool:
    """Read the answer; return whether another request can follow."""
    while True:
        event: Any = answering.next_event()
        if isinstance(event, h11.Response | h11.InformationalResponse):
            exchange.status = event.status_code
        elif isinstance(event, h11.Data):
            exchange.answered += event.data
        elif not isinstance(event, h11.EndOfMessage):
            return False
        asking.send(event)
        if exchange.status == 101:
            return False
        if isinstance(event, h11.EndOfMessage):
            if asking.our_state is not h11.DONE or asking.their_state is not h11.DONE:
                return False
            asking.start_next_cycle()
            answering.start_next_cycle()
            return True


def read_frames(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield the payload of each whole WebSocket frame, and whether it was compressed."""
    at = 0
    while len(data) - at >= 2:
        packed, masked, size = bool(data[at] & 0x40), bool(data[at + 1] & 0x80), data[at + 1] & 0x7F
        start = at + 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size = int.from_bytes(data[start : start + wide], "big")
            start += wide
        mask = data[start : start + 4] if masked else b""
        start += len(mask)
        payload = data[start : start + size]
        if len(payload) < size:
            return
        yield _unmasked(payload, mask) if masked else payload, packed
        at = start + size


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
