"""Requests that are left alone by whoever made them."""

import asyncio

from tests.faults.connection import Connection


async def abandoned_request(
    connection: Connection,
    path: str,
    body: bytes,
    *,
    headers: dict[str, str] | None = None,
    at_once: bool = True,
) -> None:
    """Send a whole POST on a connection of its own and go away without reading the answer.

    Args:
        connection: where, and how TLS is spoken there.
        path: of the request.
        body: of the request.
        headers: beside those of every request.
        at_once: reset the connection; else end it as TLS wants it.
    """
    lines = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    _, writer = await asyncio.open_connection("127.0.0.1", connection.port, ssl=connection.tls)
    try:
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        await writer.drain()
    finally:
        if at_once:
            writer.transport.abort()
        else:
            writer.close()
