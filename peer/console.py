"""What a command says and asks, in two manners: for a person, and for a program (`--json`).

    manner        says                                         is answered by
    ------------  -------------------------------------------  ---------------------------------
    for people    sentences, and a QR where there is room      y or yes; anything else is no
    for programs  one JSON object a line, each with its event  {"same": true} or y, on one line

No answer is no. What people have written passes through `peer.show` before it is printed.
"""

import asyncio
import json
import os
import shutil
import sys
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any, Final, Protocol, TextIO

from wire import qr
from wire.check_code import digits, pictures

MAX_LINE: Final = 4096
TERMINAL: Final = "/dev/tty"
"""The terminal from which a command was started, if it was."""
NOTES_WIDTH: Final = 36
"""Columns beside a QR that its notes need."""


class Lines:
    """The lines that somebody writes on standard input, without holding up everything else."""

    def __init__(self, stream: TextIO | IO[bytes]) -> None:
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
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        try:
            descriptor = self._stream.fileno()
            loop.add_reader(descriptor, _set, ready)
        except PermissionError:  # a file or /dev/null: always ready
            return os.read(descriptor, MAX_LINE)
        except (OSError, ValueError):  # closed: nobody will ever say anything
            return b""
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)
        return os.read(descriptor, MAX_LINE)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


CONTACT_NOTES: Final = (
    "MY CODE",
    "",
    "1  The other phone scans it, or",
    "   adds the line that begins HPC1.",
    "2  Compare what both screens show.",
)
"""What stands beside a contact code."""


class Screen(Protocol):
    """Where a command speaks."""

    def tell(self, event: str, sentence: str, /, **facts: Any) -> None:
        """Say that something happened: the sentence to people, event and facts to programs."""

    def warn(self, code: str, sentence: str, /, **facts: Any) -> None:
        """Say that something did not happen, and what to do."""

    def code(self, text: str, *, expires: int, notes: Sequence[str] = CONTACT_NOTES) -> None:
        """Show a code, good until `expires` (Unix seconds), and what to do with it."""

    async def same(self, number: int, *, other: str) -> bool:
        """Show a check code; ask whether `other` shows the same. No answer is no."""

    async def sure(self, question: str) -> bool:
        """Ask before something is lost. No answer is no."""

    async def word(self, question: str) -> str:
        """Ask for something that is typed; empty if nothing is."""

    async def pin(self, question: str) -> str | None:
        """Ask for a secret without showing it; None where nobody can be asked."""


class ForPeople:
    """Sentences on a terminal, or wherever the output goes."""

    def __init__(self, *, lines: Lines, out: TextIO, errors: TextIO) -> None:
        self._lines = lines
        self._out = out
        self._errors = errors

    def tell(self, event: str, sentence: str, /, **facts: Any) -> None:
        """Print the sentence."""
        if sentence:
            print(sentence, file=self._out, flush=True)

    def warn(self, code: str, sentence: str, /, **facts: Any) -> None:
        """Print the sentence where errors go."""
        print(sentence, file=self._errors, flush=True)

    def code(self, text: str, *, expires: int, notes: Sequence[str] = CONTACT_NOTES) -> None:
        """Show the code as QR, if there is room, and as text that can be copied."""
        self.tell("code", code_screen(text, expires=expires, notes=notes, out=self._out))

    async def same(self, number: int, *, other: str) -> bool:
        """Show the check code and ask."""
        self.tell("check", f"\nCompare both screens:\n\n    {check_line(number)}\n")
        return await self._yes(f"Does {other} show the same? [y/N] ")

    async def sure(self, question: str) -> bool:
        """Ask."""
        return await self._yes(f"{question} [y/N] ")

    async def word(self, question: str) -> str:
        """Ask."""
        return (await self._typed(f"{question} ") or "").strip()

    async def pin(self, question: str) -> str | None:
        """Ask on the terminal, whatever standard input is: that may be the letter."""
        try:
            handle = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return None
        with os.fdopen(handle, "r+b", buffering=0) as terminal:
            return await typed_unseen(terminal, question)

    async def _yes(self, question: str) -> bool:
        return is_yes(await self._typed(question))

    async def _typed(self, question: str) -> str | None:
        self._out.write(question)
        self._out.flush()
        self._lines.forget()
        line = await self._lines.next()
        if line is None:
            self._out.write("\n")
        return line


class ForPrograms:
    """One JSON object a line."""

    def __init__(self, *, lines: Lines, out: TextIO) -> None:
        self._lines = lines
        self._out = out

    def tell(self, event: str, sentence: str, /, **facts: Any) -> None:
        """Write event and facts."""
        print(json.dumps({"event": event, **facts}), file=self._out, flush=True)

    def warn(self, code: str, sentence: str, /, **facts: Any) -> None:
        """Write what people would be told, with its code."""
        self.tell("trouble", "", error=code, sentence=sentence, **facts)

    def code(self, text: str, *, expires: int, notes: Sequence[str] = CONTACT_NOTES) -> None:
        """Write the code."""
        self.tell("code", "", code=text, expires=expires)

    async def same(self, number: int, *, other: str) -> bool:
        """Write the check code and read the answer."""
        self.tell("check", "", check=digits(number), pictures=list(pictures(number)))
        return is_yes(await self._lines.next())

    async def sure(self, question: str) -> bool:
        """Write the question and read the answer."""
        self.tell("question", "", question=question)
        return is_yes(await self._lines.next())

    async def word(self, question: str) -> str:
        """Write the question and read the answer, as it stands or as {"answer": …}."""
        self.tell("question", "", question=question)
        return answer_in(await self._lines.next())

    async def pin(self, question: str) -> str | None:
        """Return None: a program names a file, for standard input may be the letter."""
        return None


async def typed_unseen(terminal: IO[bytes], question: str) -> str | None:
    """Ask on a terminal that shows nothing of what is typed until the line ends.

    Returns:
        the line; None if the terminal was closed.
    """
    handle = terminal.fileno()
    shows = termios.tcgetattr(handle)
    hides = shows[:]
    hides[3] &= ~termios.ECHO
    termios.tcsetattr(handle, termios.TCSAFLUSH, hides)
    try:
        os.write(handle, question.encode())
        line = await Lines(terminal).next()
        os.write(handle, b"\n")
    finally:
        termios.tcsetattr(handle, termios.TCSAFLUSH, shows)
    return line


def answer_in(line: str | None) -> str:
    """Return what was answered: the line, or the text under "answer" in a JSON object."""
    try:
        value = json.loads(line or "")
    except (ValueError, RecursionError):
        return (line or "").strip()
    answer = value.get("answer") if isinstance(value, dict) else None
    return answer.strip() if isinstance(answer, str) else (line or "").strip()


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


def check_line(number: int) -> str:
    """Return a check code in digits and in pictures."""
    return f"{digits(number)}    {' · '.join(pictures(number))}"


def code_screen(
    text: str, *, expires: int, out: TextIO, notes: Sequence[str] = CONTACT_NOTES
) -> str:
    """Return what shows a code: a QR with notes beside or below it, if `out` has room."""
    until = time.strftime("%H:%M", time.localtime(expires))
    notes = [*notes, "", f"Good once, until {until}."]
    room, terminal = qr.size(text), shutil.get_terminal_size()
    beside = terminal.columns >= room.columns + 3 + NOTES_WIDTH
    rows = room.rows + -(-len(text) // terminal.columns) + (1 if beside else len(notes) + 3)
    if not qr.drawable(out) or terminal.columns < room.columns or terminal.lines < rows:
        if qr.drawable(out):
            columns = max(room.columns, terminal.columns)
            notes += ["", f"For a QR: a window of {columns} x {rows}, or the option --png FILE."]
        return "\n".join(["", *notes, "", text, ""])
    drawn = qr.terminal(text).splitlines()
    if not beside:
        return "\n".join(["", *drawn, "", *notes, "", text, ""])
    top = (len(drawn) - len(notes)) // 2
    for row, note in enumerate(notes, start=top):
        drawn[row] += f"   {note}"
    return "\n".join(["", *drawn, text, ""])


def drawn(text: str) -> str:
    """Return the QR of a code for standard output with an empty line below it, if it has room."""
    room, terminal = qr.size(text), shutil.get_terminal_size()
    if not qr.drawable(sys.stdout) or terminal.columns < room.columns:
        return ""
    return f"{qr.terminal(text)}\n\n"


def screen(*, json_lines: bool) -> Screen:
    """Return the manner that was asked for, on the standard streams."""
    lines = Lines(sys.stdin)
    if json_lines:
        return ForPrograms(lines=lines, out=sys.stdout)
    return ForPeople(lines=lines, out=sys.stdout, errors=sys.stderr)
