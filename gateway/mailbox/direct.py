"""Answers what comes with every parcel itself, and hands all other requests on.

    POST /v1/deposit   one frame of parcels
    WS   /v1/deposit   many of them
    WS   /v1/mailbox   a device that is here

The requests are those of docs/protocol.md §4.5 and §5.3; the rest of the mailbox is in `routes.py`.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from gateway.asgi import (
    Application,
    Exchange,
    HungUp,
    RawSocket,
    Receive,
    Request,
    Scope,
    Send,
)
from gateway.bodies import spelled
from gateway.mailbox.framed import Framed
from gateway.mailbox.live import Line
from gateway.mailbox.routes import Mailroom
from wire.errors import Malformed
from wire.frames import MAX_FRAME, decode_frame, encode_frame, in_a_row

ENDPOINTS: Final = ("POST /v1/deposit", "WS /v1/deposit", "WS /v1/mailbox")

NONCE_HEADER: Final = b"homepost-nonce"
"""Brings the nonce for the next deposit, so that it needs no challenge of its own. Source: as
`nextnonce` of RFC 7616 §3.5."""


RECEIPT_HEADER: Final = "Homepost-Receipt"
"""Asks for receipts."""


class Direct:
    """The application before the application.

    Args:
        room: where mailboxes are.
        beyond: answers everything else.
    """

    def __init__(self, room: Mailroom, beyond: Application) -> None:
        self._room = room
        self._beyond = beyond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"], scope.get("method"), scope.get("path"):
            case "http", "POST", "/v1/deposit":
                await self._deposit(Exchange(scope, receive, send))
            case "websocket", _, "/v1/deposit":
                await self._with_socket(RawSocket(scope, receive, send), self._deposits)
            case "websocket", _, "/v1/mailbox":
                await self._with_socket(RawSocket(scope, receive, send), self._live)
            case _:
                await self._beyond(scope, receive, send)

    async def _deposit(self, exchange: Exchange) -> None:
        room = self._room
        try:
            opened = await room.openings.check(exchange.asked, "deposit")
            async with room.counter.place(opened.lane.id):
                frame = decode_frame(await exchange.body(MAX_FRAME))
                signed = _wants_receipt(exchange.asked)
                results, receipt = await room.counter.answer(frame, signed=signed)
        except HungUp:
            return
        except Exception as error:
            await exchange.refuse(error)
        else:
            data = encode_frame(results)
            if signed:
                data = in_a_row(results, *([receipt] if receipt else []))
            await exchange.answer(data, headers=[self._next_nonce()])

    def _next_nonce(self) -> tuple[bytes, bytes]:
        return NONCE_HEADER, spelled(self._room.auth.challenges.give()).encode()

    async def _with_socket(
        self, socket: RawSocket, talk: Callable[[RawSocket], Awaitable[None]]
    ) -> None:
        try:
            await talk(socket)
        except HungUp:
            return
        except Exception as error:
            if socket.accepted:
                raise
            await socket.refuse(error)

    async def _deposits(self, socket: RawSocket) -> None:
        opened = await self._room.openings.check(socket.asked, "deposit")
        async with self._room.counter.place(opened.lane.id):
            await socket.accept()
            await self._room.counter.serve(Framed(socket), signed=_wants_receipt(socket.asked))

    async def _live(self, socket: RawSocket) -> None:
        room = self._room
        caller = room.auth.caller(socket.asked)
        await socket.accept()
        line = Line(caller, Framed(socket), store=room.store, clock=room.clock)
        await line.run(room.lines)


def _wants_receipt(asked: Request) -> bool:
    wanted = asked.headers.get(RECEIPT_HEADER, "0")
    if wanted not in ("0", "1"):
        raise Malformed("a receipt is asked for with 1")
    return wanted == "1"
