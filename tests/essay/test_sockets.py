"""Connections that a process opens itself are told from those it was called on."""

import asyncio
import os

from tests.essay.sockets import calls_of, sockets_of


async def test_a_call_that_a_process_makes_is_seen() -> None:
    done = asyncio.Event()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        done.set()

    server = await asyncio.start_server(silence, host="127.0.0.1", port=0)
    port = server.sockets[0].getsockname()[1]
    async with calls_of(os.getpid()) as before:
        pass
    async with calls_of(os.getpid()) as calls:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        calls.look(os.getpid())
    new = calls.opened - before.opened
    writer.close()
    await done.wait()
    server.close()

    assert [one.there.rpartition(":")[2] for one in new] == [f"{port:04X}"]


def test_a_process_that_has_ended_has_no_sockets() -> None:
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)

    assert sockets_of(gone) == []
