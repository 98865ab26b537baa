"""The commands' side of the control socket: one request, one answer, in JSON."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import h11

from gateway.config import command
from gateway.control_socket import short_address

MAX_ANSWER: Final = 4 * 1024 * 1024
"""Bytes; a list of ten thousand seats is smaller."""
PATIENCE: Final = 15.0
"""Seconds to wait for an answer beyond those that the request itself may wait."""


class ControlError(Exception):
    """A command could not be carried out; the sentence says what to do."""

    code: str = "failed"
    """What scripts tell it by (`--json`, deploy/README.md)."""


class NotRunning(ControlError):
    """No gateway answers at the control socket."""

    code = "not-running"


class Refused(ControlError):
    """The gateway said no."""

    def __init__(self, sentence: str, *, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class ControlClient:
    """Asks the gateway that holds `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        wait: float = 0.0,
    ) -> dict[str, Any]:
        """Return what the gateway answers; `{}` for an answer without content.

        Args:
            method: of HTTP.
            path: with its query.
            body: what to send, as JSON.
            wait: seconds that the gateway may take on purpose.

        Raises:
            NotRunning: there is no gateway, or it stopped meanwhile.
            Refused: it said no; `code` says why.
        """
        try:
            async with asyncio.timeout(PATIENCE + wait):
                status, content = await self._exchange(method, path, body)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise NotRunning(
                f"No gateway is running on {self._folder}. Start it with `{command('serve')}`; "
                "if it keeps its data elsewhere, name that folder with --data."
            ) from None
        except PermissionError:
            raise NotRunning(
                f"{self._folder} belongs to another user. Run this command as that user, for "
                "example with `sudo -u homepost`."
            ) from None
        except TimeoutError:
            raise NotRunning(
                f"The gateway on {self._folder} does not answer. Restart it."
            ) from None
        except (OSError, h11.ProtocolError, EOFError):
            raise NotRunning(f"The gateway on {self._folder} stopped meanwhile.") from None
        return _value(status, content)

    async def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> tuple[int, bytes]:
        content = b"" if body is None else json.dumps(body).encode()
        connection = h11.Connection(h11.CLIENT)
        with short_address(self._folder) as address:
            reader, writer = await asyncio.open_unix_connection(address)
        try:
            headers = [("host", "localhost"), ("connection", "close"),
                       ("content-type", "application/json"),
                       ("content-length", str(len(content)))]  # fmt: skip
            request = h11.Request(method=method, target=path, headers=headers)
            for event in (request, h11.Data(data=content), h11.EndOfMessage()):
                writer.write(connection.send(event) or b"")
            await writer.drain()
            return await _answer(connection, reader)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[int, bytes]:
    status, content = 0, bytearray()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(64 * 1024))
            case h11.Response() as response:
                status = response.status_code
            case h11.Data() as data if len(content) + len(data.data) <= MAX_ANSWER:
                content += data.data
            case h11.EndOfMessage():
                return status, bytes(content)
            case h11.InformationalResponse():
                continue
            case _:
                raise EOFError


def _value(status: int, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content) if content else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused("The gateway's answer is not understood: is it of another version?", code="?")
    if status >= 400:
        code = str(value.get("error", status))
        raise Refused(str(value.get("sentence", f"The gateway refused: {code}.")), code=code)
    return value
