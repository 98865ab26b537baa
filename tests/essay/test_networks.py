"""The homes behind two translators are what they say, and a call that gets in is counted."""

import asyncio

import pytest

from tests.essay import networks
from tests.essay.networks import SERVER, NoNetworks, missing, two_homes

CALL = "import socket; print(socket.create_connection(('{}', {}), 1).recv(64).decode())"


async def _say_who_calls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(writer.get_extra_info("peername")[0].encode())
    await writer.drain()
    writer.close()


async def test_a_home_is_seen_from_outside_and_not_reached_and_calls_from_near_are_counted() -> (
    None
):
    if missing():  # what P7 then says of itself is the next test
        with pytest.raises(NoNetworks, match=missing()):
            async with two_homes():
                raise AssertionError("networks were made without means to make them")
        return
    async with two_homes() as (home, _):
        server = await asyncio.start_server(_say_who_calls, host=SERVER, port=0)
        port = server.sockets[0].getsockname()[1]
        seen = await networks._run(*home.inside, "python3", "-c", CALL.format(SERVER, port))
        quiet = await home.called()
        router = home.phone.replace("phone", "home")
        with pytest.raises(NoNetworks):  # nobody answers there, but the call arrives
            await networks._run(
                *networks._inside(router), "python3", "-c", CALL.format("192.168.1.2", 4433)
            )
        heard = await home.called()
        server.close()

    assert seen.strip() == home.outside
    assert quiet == 0
    assert heard > 0  # once for each time that the call was repeated


async def test_without_root_or_tools_it_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NoNetworks, match="only root"):
        async with two_homes():
            raise AssertionError("networks were made without the right to")
