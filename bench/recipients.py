"""Phones that collect: one WebSocket to a mailbox, every parcel acknowledged.

What is collected is told by parcel id; bodies are not looked at. Reading a frame takes a few
slices, so that the phone's side costs little (docs/protocol.md §5.2, §5.3).
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from bench.framing import message
from bench.links import Link, Lost, connect
from bench.seats import Seat
from wire.frames import NOWHERE, Ack, Cursor, Hello, Pong, Resume, decode_frame, encode_frame
from wire.ids import ParcelId
from wire.parcel import HEADER_BYTES

_HEAD: Final = 3
"""Bytes before the first parcel: type and count."""
_SEQ: Final = 8
_ID_AT: Final = _SEQ + 1 + 16
"""Where a parcel's id begins, after its number, version and lane."""
_SIZE_AT: Final = _SEQ + HEADER_BYTES - 4

Took = Callable[[bytes], None]
"""Told of each parcel's id as it comes."""


def cut(data: bytes) -> list[tuple[int, bytes]]:
    """Return number and parcel id of each parcel in a Parcels frame of a gateway we trust."""
    found, offset = [], _HEAD
    while offset < len(data):
        seq = int.from_bytes(data[offset : offset + _SEQ], "big")
        found.append((seq, data[offset + _ID_AT : offset + _ID_AT + 16]))
        size = data[offset + _SIZE_AT : offset + _SIZE_AT + 4]
        offset += _SEQ + HEADER_BYTES + int.from_bytes(size, "big")
    return found


class Recipient:
    """A phone that is connected to its mailbox. Make one with `open_mailbox`."""

    def __init__(self, link: Link, cursor: Cursor, took: Took) -> None:
        self._link = link
        self._took = took
        self._came = asyncio.Event()
        self.cursor = cursor
        self.greeted: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()

    def take(self, data: bytes) -> None:
        """Take a frame of the gateway's, and acknowledge what is in it."""
        match data[0]:
            case 0x02:
                found = cut(data)
                seq, last = found[-1]
                self.cursor = Cursor(self.cursor.epoch, seq, ParcelId(last))
                self._link.send(message(encode_frame(Ack(self.cursor))))
                for _, parcel in found:
                    self._took(parcel)
                self._came.set()
            case 0x03:
                self._link.send(message(encode_frame(Pong())))
            case _:
                frame = decode_frame(data)
                if isinstance(frame, Hello) and not self.greeted.done():
                    if frame.reset or self.cursor == NOWHERE:
                        self.cursor = Cursor.start(frame.epoch)
                    self.greeted.set_result(frame)

    async def more(self) -> None:
        """Wait until something comes."""
        self._came.clear()
        await self._came.wait()

    def close(self) -> None:
        """Hang up."""
        self._link.close()


async def open_mailbox(seat: Seat, took: Took, *, cursor: Cursor = NOWHERE) -> Recipient:
    """Connect a seat's phone to its mailbox, and go on after `cursor`.

    Returns when the gateway has said how far the mailbox goes; parcels may have come by then.

    Raises:
        Refused, Lost
    """
    link = await connect(seat.address)
    bearer = await seat.login(link)
    recipient = Recipient(link, cursor, took)
    await link.upgrade("/v1/mailbox", recipient.take, headers=bearer)
    link.send(message(encode_frame(Resume(cursor))))
    ends: set[asyncio.Future[Any]] = {recipient.greeted, link.ended}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if not recipient.greeted.done():
        raise Lost
    return recipient
