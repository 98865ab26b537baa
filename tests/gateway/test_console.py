"""How a pairing is shown, and how the owner's answer is taken."""

import asyncio
import io
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import pytest

from gateway.console import (
    ENDINGS,
    NOTES_WIDTH,
    RENEWALS,
    ForPeople,
    ForPrograms,
    Lines,
    code_screen,
    is_yes,
    pair_first_phone,
    pair_once,
)
from gateway.control_client import ControlClient
from gateway.control_socket import listen
from gateway.listener import serve_local
from gateway.sync.pairing import Stage
from tests.gateway.box import Box, open_box
from tests.gateway.eventually import eventually
from tests.gateway.phones import asks
from wire import qr
from wire.codes import GatewayCode
from wire.ids import GatewayId
from wire.pairing import PairRequest
from wire.places import Place

CODE = GatewayCode(GatewayId(b"g" * 32), b"s" * 16, 1_800_000_000, Place("192.168.1.20")).text()


class Terminal(io.StringIO):
    """A terminal that keeps what was written on it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def reading(path: str | Path) -> TextIO:
    """Open what stands in for standard input."""
    return Path(path).open(encoding="utf-8")


@contextmanager
def keyboard() -> Iterator[tuple[TextIO, int]]:
    """Yield standard input and the descriptor of whoever types."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as stream:
        try:
            yield stream, writing
        finally:
            os.close(writing)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Box, ControlClient]]:
    """Serve a gateway's control socket."""
    async with open_box(folder) as box:
        stop = asyncio.Event()
        with listen(folder) as sock:
            serving = asyncio.create_task(
                serve_local(box.gateway.control, sock=sock, stop=stop.wait, grace=1.0)
            )
            yield box, ControlClient(folder)
            box.gateway.close()
            stop.set()
            await serving


async def until(text: str, out: io.StringIO) -> str:
    """Return what was written once it contains `text`."""
    await eventually(lambda: text in out.getvalue())
    return out.getvalue()


async def phone_answers(box: Box, out: io.StringIO, *, confirmed: bool = True) -> PairRequest:
    """Let a phone read the code that is shown and ask for a seat."""
    written = await until("HPG1:", out)
    start = written.rindex("HPG1:")
    text = written[start:].split()[0].rstrip('",')
    request = asks(GatewayCode.parse(text), channel=box.channel, confirmed=confirmed)
    await box.ask(request)
    return request


@pytest.mark.parametrize("line", ["y", "Y", "yes", " y ", '{"same": true}', '{"same":true,"x":1}'])
def test_a_clear_yes_is_a_yes(line: str) -> None:
    assert is_yes(line)


@pytest.mark.parametrize(
    "line",
    [None, "", "n", "no", "ja?", "yy", "true", '{"same": "true"}', '{"same": 1}', "[", "[" * 9999],
)
def test_everything_else_is_a_no(line: str | None) -> None:
    assert not is_yes(line)


def test_on_a_wide_terminal_the_notes_stand_beside_the_qr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen = code_screen(CODE, expires=0, out=Terminal())

    wrapped = sum(-(-len(line) // 80) for line in screen.splitlines() if "\x1b" not in line if line)
    assert qr.size(CODE).rows + wrapped + 1 <= 24  # and one for the cursor
    assert any("█" in line and "PAIR A PHONE" in line for line in screen.splitlines())
    assert screen.splitlines()[-1] == CODE


def test_on_a_narrow_terminal_they_stand_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(qr.size(CODE).columns + NOTES_WIDTH))
    screen = code_screen(CODE, expires=0, out=Terminal())

    assert "PAIR A PHONE" in screen.splitlines()
    assert "█" in screen


@pytest.mark.parametrize("narrow", [True, False])
def test_without_room_or_terminal_there_is_text_alone(
    monkeypatch: pytest.MonkeyPatch, narrow: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "30" if narrow else "80")
    screen = code_screen(CODE, expires=0, out=Terminal() if narrow else io.StringIO())

    assert "█" not in screen
    assert CODE in screen.splitlines()


async def test_lines_are_read_as_they_come() -> None:
    with keyboard() as (stream, typing):
        lines = Lines(stream)
        os.write(typing, b"one\ntw")
        assert await lines.next() == "one"
        waiting = asyncio.create_task(lines.next())
        await asyncio.sleep(0)
        os.write(typing, b"o\n")
        assert await waiting == "two"


async def test_the_end_of_the_input_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_text("one\nlast")
    with reading(path) as stream:
        lines = Lines(stream)
        assert [await lines.next() for _ in range(3)] == ["one", "last", None]


async def test_a_line_without_end_is_not_waited_for() -> None:
    with reading("/dev/zero") as stream:
        assert await Lines(stream).next() is not None


async def test_a_phone_is_paired_at_the_terminal(tmp_path: Path) -> None:
    out = Terminal()
    async with running(tmp_path / "box") as (box, client):
        with keyboard() as (stream, typing):
            screen = ForPeople(lines=Lines(stream), out=out)
            pairing = asyncio.create_task(pair_once(client, screen))
            await phone_answers(box, out)
            written = await until("[y/N]", out)
            os.write(typing, b"y\n")

            assert await pairing == "paired"
    assert re.search(r"\n    [0-9]{3} [0-9]{3}    \w+ · \w+ · \w+ · \w+\n", written)


async def test_what_was_typed_before_the_question_is_not_its_answer(tmp_path: Path) -> None:
    master, slave = os.openpty()
    out = Terminal()
    try:
        async with running(tmp_path / "box") as (box, client):
            with os.fdopen(slave) as stream:
                screen = ForPeople(lines=Lines(stream), out=out)
                pairing = asyncio.create_task(pair_once(client, screen))
                await until("HPG1:", out)
                os.write(master, b"y\n")
                await phone_answers(box, out)
                await until("[y/N]", out)
                os.write(master, b"n\n")

                assert await pairing == "refused"
    finally:
        os.close(master)


async def test_no_answer_is_no(tmp_path: Path) -> None:
    out = Terminal()
    async with running(tmp_path / "box") as (box, client):
        with reading(os.devnull) as nothing:
            screen = ForPeople(lines=Lines(nothing), out=out)
            pairing = asyncio.create_task(pair_once(client, screen))
            await phone_answers(box, out)

            assert await pairing == "refused"


async def test_the_phones_no_ends_the_question(tmp_path: Path) -> None:
    out = Terminal()
    async with running(tmp_path / "box") as (box, client):
        with keyboard() as (stream, _):
            screen = ForPeople(lines=Lines(stream), out=out)
            pairing = asyncio.create_task(pair_once(client, screen))
            request = await phone_answers(box, out)
            await until("[y/N]", out)
            await box.ask(request, path="/v1/pair/refuse")

            assert await pairing == "refused"


async def test_the_owner_is_asked_to_wait_for_the_phone(tmp_path: Path) -> None:
    out = Terminal()
    async with running(tmp_path / "box") as (box, client):
        with keyboard() as (stream, typing):
            screen = ForPeople(lines=Lines(stream), out=out)
            pairing = asyncio.create_task(pair_once(client, screen))
            request = await phone_answers(box, out, confirmed=False)
            await until("[y/N]", out)
            os.write(typing, b"yes\n")
            await until("Now say yes on the phone", out)
            await box.ask(PairRequest.decode(request.encode()[:-1] + b"\xf5"))

            assert await pairing == "paired"


async def test_whoever_gives_up_kills_the_code(tmp_path: Path) -> None:
    out = Terminal()
    async with running(tmp_path / "box") as (box, client):
        with keyboard() as (stream, _):
            screen = ForPeople(lines=Lines(stream), out=out)
            pairing = asyncio.create_task(pair_once(client, screen))
            await until("HPG1:", out)
            pairing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await pairing

        assert box.gateway.desk._codes[-1].code.stage(0.0) is Stage.REFUSED


async def test_programs_read_one_object_a_line(tmp_path: Path) -> None:
    out = io.StringIO()
    async with running(tmp_path / "box") as (box, client):
        with keyboard() as (stream, typing):
            screen = ForPrograms(lines=Lines(stream), out=out)
            pairing = asyncio.create_task(pair_once(client, screen))
            await phone_answers(box, out)
            await until("compare", out)
            os.write(typing, b'{"same": true}\n')
            screen.ended(await pairing)

    shown, compare, ended = map(json.loads, out.getvalue().splitlines())
    assert set(shown) == {"state", "code", "expires"}
    assert compare["state"] == "compare"
    assert len(compare["pictures"]) == 4
    assert ended == {"state": "paired"}


async def test_a_first_start_shows_a_new_code_when_one_has_run_out_but_not_for_ever(
    tmp_path: Path,
) -> None:
    out = Terminal()
    async with running(tmp_path / "box") as (box, client):
        with keyboard() as (stream, _):
            screen = ForPeople(lines=Lines(stream), out=out)
            pairing = asyncio.create_task(pair_first_phone(client, screen))
            for shown in range(1, RENEWALS + 1):
                await eventually(partial(_shows, out, shown))
                box.hands.live(120)
                box.gateway.desk._tell()
            await pairing

    assert out.getvalue().count("HPG1:") == RENEWALS
    assert ENDINGS["expired"] in out.getvalue()


def _shows(out: io.StringIO, codes: int) -> bool:
    return out.getvalue().count("HPG1:") >= codes


def test_every_end_has_its_sentence() -> None:
    assert set(ENDINGS) == {stage.value for stage in Stage if stage.ended}
