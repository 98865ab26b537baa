"""Pairs a phone from where the owner sits: shows a code, asks whether both screens agree.

The same conversation in two manners, for a person and for a program (`--json`). It speaks with the
gateway through the control socket, also when the gateway is this very process, so there is one way
to pair and no other.
"""

import asyncio
import json
import os
import shutil
import sys
import termios
import time
from contextlib import suppress
from typing import Any, Final, Protocol, TextIO

from gateway.control_client import ControlClient, ControlError
from wire import qr

LOOK_SECONDS: Final = 25
"""How long one question to the gateway may wait."""
RENEWALS: Final = 10
"""Codes shown one after the other at a start that nobody answers: twenty minutes."""
NOTES_WIDTH: Final = 36
"""Columns beside a QR that its notes need."""
MAX_LINE: Final = 4096

ENDINGS: Final = {
    "paired": "Paired. This phone's letters wait here from now on.",
    "refused": "Nothing was paired, and the code is dead. For another try, show a new one.",
    "expired": "Time ran out and nothing was paired.",
    "burnt": (
        "Five wrong codes were tried, so this one is dead and nothing was paired. If that was not "
        "you, somebody on your network is guessing."
    ),
}


class Lines:
    """The lines that somebody writes on standard input, without holding up everything else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._buffer = bytearray()

    def forget(self) -> None:
        """Drop what was typed before the question was asked: it cannot be its answer."""
        self._buffer.clear()
        with suppress(termios.error, OSError, ValueError):
            termios.tcflush(self._stream.fileno(), termios.TCIFLUSH)

    async def next(self) -> str | None:
        """Return the next line without its end; None when there is no more."""
        while b"\n" not in self._buffer:
            chunk = await self._chunk()
            if not chunk or len(self._buffer) > MAX_LINE:
                rest = bytes(self._buffer)
                self._buffer.clear()
                return rest.decode("utf-8", "replace") if rest else None
            self._buffer += chunk
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer[:] = rest
        return line.decode("utf-8", "replace")

    async def _chunk(self) -> bytes:
        loop, descriptor = asyncio.get_running_loop(), self._stream.fileno()
        ready: asyncio.Future[None] = loop.create_future()
        try:
            loop.add_reader(descriptor, _set, ready)
        except PermissionError:  # a file or /dev/null: always ready
            return os.read(descriptor, MAX_LINE)
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)
        return os.read(descriptor, MAX_LINE)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class Screen(Protocol):
    """How a pairing is shown and the owner's answer taken."""

    def code(self, text: str, *, expires: int) -> None:
        """Show a code that is good until `expires`, Unix seconds."""

    async def same(self, view: dict[str, Any]) -> bool:
        """Ask whether the phone shows the same check code. No answer is no."""

    def waiting(self) -> None:
        """Say that the phone's holder still has to say yes."""

    def ended(self, state: str) -> None:
        """Say how it ended."""


class ForPeople:
    """Words, and a QR where there is room for one."""

    def __init__(self, *, lines: Lines, out: TextIO) -> None:
        self._lines = lines
        self._out = out

    def say(self, text: str) -> None:
        """Write a text."""
        print(text, file=self._out, flush=True)

    def code(self, text: str, *, expires: int) -> None:
        """Show the code as QR and as text that can be copied."""
        self.say(code_screen(text, expires=expires, out=self._out))

    async def same(self, view: dict[str, Any]) -> bool:
        """Show the check code and ask."""
        self.say(check_screen(view))
        self._out.write("Does the phone show the same? [y/N] ")
        self._out.flush()
        self._lines.forget()
        line = await self._lines.next()
        if line is None:
            self.say("")
        return is_yes(line)

    def waiting(self) -> None:
        """Ask for the other yes."""
        self.say("Now say yes on the phone as well.")

    def ended(self, state: str) -> None:
        """Say how it ended."""
        self.say(f"\n{ENDINGS.get(state, state)}")


class ForPrograms:
    """One JSON object a line; the answer is {"same": true} or y."""

    def __init__(self, *, lines: Lines, out: TextIO) -> None:
        self._lines = lines
        self._out = out

    def code(self, text: str, *, expires: int) -> None:
        """Write the code."""
        self._write({"state": "open", "code": text, "expires": expires})

    async def same(self, view: dict[str, Any]) -> bool:
        """Write the check code and read the answer."""
        self._write({key: view[key] for key in ("state", "check", "pictures")})
        return is_yes(await self._lines.next())

    def waiting(self) -> None:
        """Nothing: the state is still `compare`."""

    def ended(self, state: str) -> None:
        """Write the last state."""
        self._write({"state": state})

    def _write(self, value: dict[str, Any]) -> None:
        print(json.dumps(value), file=self._out, flush=True)


async def pair_once(client: ControlClient, screen: Screen, *, seconds: int | None = None) -> str:
    """Show one code and see it to its end; return the state in which it ended.

    Whoever gives up the wait kills the code.

    Args:
        client: the gateway.
        screen: where the owner looks.
        seconds: how long the code is good; two minutes if not said.

    Raises:
        ControlError: the gateway is gone or refuses.
    """
    shown = await client.ask("POST", "/pair", body={"seconds": seconds} if seconds else {})
    screen.code(shown["code"], expires=shown["expires"])
    try:
        view = await _changed(client, shown["id"], seen="open")
        if view["state"] == "compare":
            view = await _compare(client, screen, shown["id"], view)
    except asyncio.CancelledError:
        with suppress(ControlError):
            await client.ask("POST", f"/pair/{shown['id']}", body={"same": False})
        raise
    return str(view["state"])


async def pair_first_phone(client: ControlClient, screen: Screen) -> None:
    """Show codes until a phone is paired, the owner says no, or nobody comes.

    Raises:
        ControlError: the gateway is gone or refuses.
    """
    for _ in range(RENEWALS):
        state = await pair_once(client, screen)
        if state != "expired":
            screen.ended(state)
            return
    screen.ended("expired")


async def _compare(
    client: ControlClient, screen: Screen, id: str, view: dict[str, Any]
) -> dict[str, Any]:
    """Ask the owner, unless the phone's holder or the clock ends it first."""
    asking = asyncio.create_task(screen.same(view))
    changing = asyncio.create_task(_changed(client, id, seen="compare"))
    try:
        await asyncio.wait({asking, changing}, return_when=asyncio.FIRST_COMPLETED)
        if changing.done():
            return await changing
        view = await client.ask("POST", f"/pair/{id}", body={"same": asking.result()})
        if view["state"] == "compare":
            screen.waiting()
            view = await changing
        return view
    finally:
        for task in (asking, changing):
            task.cancel()
        await asyncio.gather(asking, changing, return_exceptions=True)


async def _changed(client: ControlClient, id: str, *, seen: str) -> dict[str, Any]:
    while True:
        path = f"/pair/{id}?wait={LOOK_SECONDS}&seen={seen}"
        view = await client.ask("GET", path, wait=LOOK_SECONDS)
        if view["state"] != seen:
            return view


def is_yes(line: str | None) -> bool:
    """Return whether an answer is a clear yes: `y`, `yes`, or {"same": true}."""
    if line is None:
        return False
    if line.strip().lower() in ("y", "yes"):
        return True
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("same") is True


def code_screen(text: str, *, expires: int, out: TextIO) -> str:
    """Return what shows a code: a QR with notes beside or below it, if `out` has room, and text."""
    until = time.strftime("%H:%M:%S", time.localtime(expires))
    notes = [
        "PAIR A PHONE",
        "",
        "1  On the phone, scan this code or",
        "   paste the line below it.",
        "2  Compare what both screens show.",
        "",
        f"For one phone, until {until}.",
    ]
    terminal = shutil.get_terminal_size()
    room = qr.size(text)
    if not qr.drawable(out) or terminal.columns < room.columns:
        return "\n".join(["", *notes, "", text, ""])
    drawn = qr.terminal(text).splitlines()
    if terminal.columns < room.columns + 3 + NOTES_WIDTH:
        return "\n".join(["", *drawn, "", *notes, "", text])
    top = (len(drawn) - len(notes)) // 2
    for row, note in enumerate(notes, start=top):
        drawn[row] += f"   {note}"
    return "\n".join(["", *drawn, text])


def check_screen(view: dict[str, Any]) -> str:
    """Return what shows a check code, in digits and in pictures."""
    pictures = " · ".join(view["pictures"])
    return f"\nA phone has answered. Compare both screens:\n\n    {view['check']}    {pictures}\n"


def on_terminal() -> bool:
    """Return whether somebody sits at both ends: what is shown is seen, and can be answered."""
    return sys.stdin.isatty() and sys.stdout.isatty()
