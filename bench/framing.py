"""Requests, answers and WebSocket messages as bytes, as far as a client of ours needs them."""

import base64
from dataclasses import dataclass
from typing import Final

BINARY, CLOSE, PING, PONG = 0x2, 0x8, 0x9, 0xA
"""Kinds of WebSocket messages. Source: RFC 6455 §5.2."""
_KEY: Final = base64.b64encode(b"sixteen bytes...").decode()
_NO_MASK: Final = bytes(4)
"""A mask that changes nothing. The server unmasks as always, and we need not mask."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of a request."""

    status: int
    head: bytes
    """The lines above the body, as they came."""
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header; None if it is not there.

        Args:
            name: in small letters.
        """
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip()
        return None


def spelled(data: bytes) -> str:
    """Return bytes as they stand in a header (docs/protocol.md §1)."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def read_spelled(text: bytes) -> bytes:
    """Return the bytes that stand in a header."""
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def request(method: str, path: str, body: bytes = b"", *, headers: str = "") -> bytes:
    """Return a request as it travels.

    Args:
        method: of HTTP.
        path: with its query.
        body: what follows the head.
        headers: further lines, each with its end.
    """
    lines = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}"
    return f"{lines}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body


def upgrade(path: str, *, headers: str) -> bytes:
    """Return the request that makes a WebSocket of a connection. Source: RFC 6455 §4.1."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY}\r\n{headers}\r\n"
    ).encode("ascii")


def take_answer(received: bytearray) -> Answer | None:
    """Take the next answer off what was received; None while it is not all there."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[:end])
    size = int(Answer(0, head, b"").header(b"content-length") or 0)
    if len(received) < end + 4 + size:
        return None
    body = bytes(received[end + 4 : end + 4 + size])
    del received[: end + 4 + size]
    return Answer(int(head[9:12]), head, body)


def message(payload: bytes, *, kind: int = BINARY) -> bytes:
    """Return a WebSocket message of one frame, as clients send it. Source: RFC 6455 §5.2."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | kind, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([0x80 | kind, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | kind, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + _NO_MASK + payload


class Cutter:
    """Cuts what a server sends over a WebSocket into messages."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def take(self, received: bytearray) -> list[tuple[int, bytes]]:
        """Take the messages that are all there off what was received; return kind and content."""
        found = []
        while (cut := self._frame(received)) is not None:
            first, payload = cut
            if first & 0x0F >= CLOSE:
                found.append((first & 0x0F, payload))
                continue
            self._pieces += payload
            if first & 0x80:  # the last piece
                found.append((BINARY, bytes(self._pieces)))
                self._pieces.clear()
        return found

    @staticmethod
    def _frame(received: bytearray) -> tuple[int, bytes] | None:
        if len(received) < 2:
            return None
        size, start = received[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(received) < start:
                return None
            size = int.from_bytes(received[2:start], "big")
        if len(received) < start + size:
            return None
        first, payload = received[0], bytes(received[start : start + size])
        del received[: start + size]
        return first, payload
