"""A command asks on real pipes and terminals, and takes nothing but a clear yes for yes."""

import asyncio
import json
import os
import pty
import re
import termios
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

import pytest

from peer.console import (
    ForPeople,
    ForPrograms,
    Lines,
    check_line,
    code_screen,
    is_yes,
    typed_unseen,
)
from wire.check_code import digits, pictures

NUMBER = 42_917
CODE = "HPC1:" + "A" * 200
EXPIRES = 1_800_000_000


@dataclass
class Hand:
    """Somebody who types, and the end at which it is read."""

    lines: Lines
    writes: int

    def type(self, text: str) -> None:
        """Write to standard input."""
        os.write(self.writes, text.encode())

    def leave(self) -> None:
        """Close standard input."""
        os.close(self.writes)
        self.writes = -1


@pytest.fixture
def hand() -> Iterator[Hand]:
    """Give standard input as a pipe."""
    reads, writes = os.pipe()
    with os.fdopen(reads) as stream:
        made = Hand(Lines(stream), writes)
        yield made
        if made.writes >= 0:
            os.close(made.writes)


@pytest.fixture
def terminal() -> Iterator[tuple[int, TextIO, TextIO]]:
    """Give a terminal: the end of the person, and both streams of the command."""
    person, command = pty.openpty()
    modes = termios.tcgetattr(command)
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(command, termios.TCSANOW, modes)
    with ExitStack() as stack:
        reads = stack.enter_context(os.fdopen(os.dup(command)))
        writes = stack.enter_context(os.fdopen(command, "w", encoding="utf-8"))
        stack.callback(os.close, person)
        yield person, reads, writes


def people(hand: Hand) -> tuple[ForPeople, StringIO, StringIO]:
    out, errors = StringIO(), StringIO()
    return ForPeople(lines=hand.lines, out=out, errors=errors), out, errors


def programs(hand: Hand) -> tuple[ForPrograms, StringIO]:
    out = StringIO()
    return ForPrograms(lines=hand.lines, out=out), out


def said(out: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("line", ["y", "Y", "yes", " YES \r", '{"same": true}', "y\t"])
def test_a_clear_yes_is_yes(line: str) -> None:
    assert is_yes(line)


@pytest.mark.parametrize(
    "line",
    [
        None,
        "",
        "n",
        "no",
        "yep",
        "true",
        "1",
        '{"same": false}',
        '{"same": "true"}',
        '{"same": 1}',
        "{}",
        "[" * 5000,
        '"y"',
        "null",
    ],
)
def test_everything_else_is_no(line: str | None) -> None:
    assert not is_yes(line)


async def test_lines_are_read_as_they_were_written(hand: Hand) -> None:
    hand.type("one\ntwo\nthr")
    hand.type("ee")
    hand.leave()

    assert [await hand.lines.next() for _ in range(4)] == ["one", "two", "three", None]


async def test_reading_a_line_holds_up_nothing_else(hand: Hand) -> None:
    waiting = asyncio.ensure_future(hand.lines.next())
    done = asyncio.Event()
    asyncio.get_running_loop().call_soon(done.set)
    await done.wait()
    assert not waiting.done()
    hand.type("at last\n")

    assert await waiting == "at last"


async def test_a_line_without_end_is_cut(hand: Hand) -> None:
    hand.type("y" * 20_000)
    line = await hand.lines.next()

    assert line is not None
    assert len(line) < 20_000
    assert not is_yes(line)


async def test_bytes_that_are_no_text_are_no_answer(hand: Hand) -> None:
    os.write(hand.writes, b"\xff\xfey\n")

    assert not is_yes(await hand.lines.next())


def test_a_file_and_nothing_can_stand_for_standard_input(tmp_path: Path) -> None:
    (tmp_path / "answer").write_text("y\n")
    with (tmp_path / "answer").open() as file, open(os.devnull) as nothing:
        assert asyncio.run(Lines(file).next()) == "y"
        assert asyncio.run(Lines(nothing).next()) is None


async def test_standard_input_that_is_closed_says_nothing() -> None:
    reads, writes = os.pipe()
    os.close(writes)
    stream = os.fdopen(reads)
    stream.close()

    assert await Lines(stream).next() is None


@pytest.mark.parametrize(("typed", "same"), [("y\n", True), ("n\n", False), ("", False)])
async def test_a_person_compares_and_says(hand: Hand, typed: str, same: bool) -> None:
    screen, out, errors = people(hand)
    hand.type(typed)
    hand.leave()

    assert await screen.same(NUMBER, other="the box") is same
    assert check_line(NUMBER) in out.getvalue()
    assert out.getvalue().rstrip("\n").endswith("Does the box show the same? [y/N] ")
    assert errors.getvalue() == ""


@pytest.mark.parametrize(
    ("typed", "same"), [('{"same": true}\n', True), ('{"same": false}\n', False), ("", False)]
)
async def test_a_program_compares_and_says(hand: Hand, typed: str, same: bool) -> None:
    screen, out = programs(hand)
    hand.type(typed)
    hand.leave()

    assert await screen.same(NUMBER, other="the box") is same
    assert said(out) == [
        {"event": "check", "check": digits(NUMBER), "pictures": list(pictures(NUMBER))}
    ]


async def test_before_something_is_lost_somebody_is_asked(hand: Hand) -> None:
    screen, out, _ = people(hand)
    program, lines = programs(hand)
    hand.type("y\n\n")

    assert await screen.sure("Forget Ben?")
    assert out.getvalue() == "Forget Ben? [y/N] "
    assert not await program.sure("Forget Ben?")
    assert said(lines) == [{"event": "question", "question": "Forget Ben?"}]


async def test_what_was_typed_before_the_question_is_no_answer(
    terminal: tuple[int, TextIO, TextIO],
) -> None:
    person, reads, writes = terminal
    os.write(person, b"y\n")  # somebody who pressed keys while waiting
    screen = ForPeople(lines=Lines(reads), out=writes, errors=writes)
    asking = asyncio.ensure_future(screen.same(NUMBER, other="the box"))
    await seen(person, "[y/N] ")
    os.write(person, b"n\n")

    assert await asking is False


async def seen(person: int, wanted: str) -> str:
    """Look at a terminal until something is shown there."""
    loop, shown = asyncio.get_running_loop(), ""
    async with asyncio.timeout(10):
        while wanted not in shown:
            more: asyncio.Future[None] = loop.create_future()
            loop.add_reader(person, more.set_result, None)
            await more
            loop.remove_reader(person)
            shown += os.read(person, 65536).decode("utf-8", "replace")
    return shown


def test_sentences_go_to_people_and_troubles_where_errors_go(hand: Hand) -> None:
    screen, out, errors = people(hand)
    screen.tell("done", "It is done.", number=1)
    screen.tell("quiet", "")
    screen.warn("no-person", "Nobody is here.")

    assert out.getvalue() == "It is done.\n"
    assert errors.getvalue() == "Nobody is here.\n"


def test_programs_get_one_object_a_line(hand: Hand) -> None:
    screen, out = programs(hand)
    screen.tell("done", "It is\ndone.", text="a\nb\u2028\ud800", number=1)
    screen.warn("no-person", "Nobody is here.")
    screen.code(CODE, expires=EXPIRES)

    assert out.getvalue().isascii()
    assert said(out) == [
        {"event": "done", "text": "a\nb\u2028\ud800", "number": 1},
        {"event": "trouble", "error": "no-person", "sentence": "Nobody is here."},
        {"event": "code", "code": CODE, "expires": EXPIRES},
    ]


def test_a_code_that_goes_into_a_file_is_text_alone(hand: Hand) -> None:
    screen, out, _ = people(hand)
    screen.code(CODE, expires=EXPIRES)

    assert CODE in out.getvalue().splitlines()
    assert not set(out.getvalue()) & set("█▀▄\x1b")


@pytest.mark.parametrize(
    ("columns", "lines", "drawn", "beside"),
    [
        (120, 50, True, True),
        (60, 60, True, False),
        (60, 30, False, False),  # the notes would push its top off the screen
        (40, 60, False, False),
        (120, 20, False, False),
    ],
)
def test_a_terminal_shows_a_qr_where_there_is_room(
    terminal: tuple[int, TextIO, TextIO],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    lines: int,
    drawn: bool,
    beside: bool,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    _, _, writes = terminal
    screen = code_screen(CODE, expires=EXPIRES, out=writes)
    [title] = [one for one in screen.splitlines() if "MY CODE" in one]

    assert CODE in screen.splitlines()
    assert ("█" in screen) is drawn
    assert ("\x1b" in title) is beside
    assert ("For a QR" in screen) is not drawn
    assert len(screen.splitlines()) < lines or not drawn


def test_the_window_that_is_asked_for_shows_a_qr(
    terminal: tuple[int, TextIO, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, writes = terminal
    for columns in (40, 60, 80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", "24")
        small = code_screen(CODE, expires=EXPIRES, out=writes)
        [(wider, longer)] = re.findall(r"a window of (\d+) x (\d+),", small)
        monkeypatch.setenv("COLUMNS", wider)
        monkeypatch.setenv("LINES", longer)
        large = code_screen(CODE, expires=EXPIRES, out=writes)

        assert "█" not in small
        assert "█" in large


async def test_a_secret_is_typed_unseen_and_the_terminal_shows_again_afterwards(
    terminal: tuple[int, TextIO, TextIO],
) -> None:
    person, reads, _ = terminal
    before = termios.tcgetattr(reads.fileno())
    with os.fdopen(os.dup(reads.fileno()), "r+b", buffering=0) as stream:
        asking = asyncio.create_task(typed_unseen(stream, "PIN: "))
        shown = await asyncio.to_thread(os.read, person, 100)
        os.write(person, b"correct horse\n")
        assert await asking == "correct horse"

    shown += os.read(person, 100)
    assert shown == b"PIN: \n"
    assert termios.tcgetattr(reads.fileno()) == before


async def test_a_secret_that_is_not_typed_to_its_end_leaves_a_terminal_that_shows(
    terminal: tuple[int, TextIO, TextIO],
) -> None:
    person, reads, _ = terminal
    before = termios.tcgetattr(reads.fileno())
    with os.fdopen(os.dup(reads.fileno()), "r+b", buffering=0) as stream:
        asking = asyncio.create_task(typed_unseen(stream, "PIN: "))
        await asyncio.to_thread(os.read, person, 100)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    assert termios.tcgetattr(reads.fileno()) == before


async def test_a_program_is_asked_for_no_secret(hand: Hand) -> None:
    asks, out = programs(hand)
    hand.type("correct horse\n")

    assert await asks.pin("PIN: ") is None
    assert said(out) == []
