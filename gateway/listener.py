"""Puts hypercorn before the gateway: TLS for phones, a Unix socket for the owner's commands."""

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets


@dataclass(frozen=True, slots=True)
class Caps:
    """How many connections there may be."""

    connections: int
    per_address: int


class _Settings(Config):
    """Settings for sockets that are open already."""

    def __init__(self, sockets: Sequence[socket.socket], *, tls: Path | None, grace: float) -> None:
        super().__init__()
        self._opened = list(sockets)
        self.graceful_timeout = grace
        self.alpn_protocols = ["http/1.1"]
        self.include_server_header = False
        self.accesslog = None
        self.errorlog = logging.getLogger("hypercorn.error")
        if tls is not None:
            self.certfile = self.keyfile = str(tls)

    def create_sockets(self) -> Sockets:
        """Return the sockets as they were handed in."""
        return Sockets(
            self._opened if self.ssl_enabled else [], [] if self.ssl_enabled else self._opened, []
        )


async def serve_phones(
    app: Any,
    *,
    sockets: Sequence[socket.socket],
    tls: Path,
    caps: Caps,
    stop: Callable[[], Awaitable[object]],
    grace: float,
) -> None:
    """Serve `app` with TLS on listening sockets until `stop` returns."""
    settings = _Settings(sockets, tls=tls, grace=grace)
    await serve(app, settings, shutdown_trigger=stop)


async def serve_local(
    app: Any, *, sock: socket.socket, stop: Callable[[], Awaitable[object]], grace: float
) -> None:
    """Serve `app` on a Unix socket until `stop` returns."""
    await serve(app, _Settings([sock], tls=None, grace=grace), shutdown_trigger=stop)
