"""Every command as a person or a program calls it: what it prints, and its exit status.

The commands run in this process, against a gateway that listens in a thread of its own; processes
are started where signals, limits or terminals are what matters.
"""

import asyncio
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from PIL import Image

from demo.stage import Phone as Started
from gateway.sync.pairing import Stage
from peer import sqlite
from peer.cli import main
from peer.codes.qr import png
from peer.items.kinds import File
from peer.store import FILE_NAME
from tests.peer.household import Box, Household, Phone, befriend, household
from wire.codes import ContactCode, GatewayCode
from wire.ids import GatewayId, PersonId, SlotId
from wire.places import Place

T = TypeVar("T")
Json = dict[str, Any]

ANSWER_SECONDS = 20.0
HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202etxet\u2066\x9b5n\r\x08"
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Town:
    """A household in a thread of its own, so that commands can run in this one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._stack = AsyncExitStack()

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()
        self.house = self.do(self._stack.enter_async_context(household(self._folder)))
        self.house.hands.wall = time.time()  # commands go by the machine's clock

    def end(self) -> None:
        """End everything."""
        self.do(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the thread, and wait for it."""
        return self.begin_to(work).result(ANSWER_SECONDS)

    def begin_to(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Do something in the thread meanwhile; return its future."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)


@dataclass
class Said:
    """What a command has said."""

    status: int
    out: str
    errors: str

    @property
    def events(self) -> list[Json]:
        """The lines of a command that was called with `--json`."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self) -> Json:
        """The last of them."""
        return self.events[-1]


Call = Callable[..., Said]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Give what calls a command on a phone's folder, with standard input as given."""

    def call(home: Path | None, *arguments: str | Path, typed: str = "") -> Said:
        reads, writes = os.pipe()
        os.write(writes, typed.encode())
        os.close(writes)
        where = () if home is None else ("--home", str(home))
        capsys.readouterr()
        with os.fdopen(reads) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            status = main([*where, *map(str, arguments)])
        out, errors = capsys.readouterr()
        return Said(status, out, errors)

    return call


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Give a household with which commands can talk."""
    town = Town(tmp_path / "town")
    (tmp_path / "town").mkdir()
    town.begin()
    try:
        yield town
    finally:
        town.end()


@dataclass
class Friends:
    """Ana and Ben, who know each other, at one box."""

    town: Town
    box: Box
    ana: Phone
    ben: Phone

    def letter(self, text: str, file: File | None = None) -> None:
        """Let Ben write to Ana."""

        async def write() -> None:
            await self.ben.open()
            assert not (await self.ben.peer.send("Ana", text, file)).waiting
            await self.ben.close()

        self.town.do(write())


@pytest.fixture
def friends(town: Town) -> Friends:
    """Give Ana and Ben, whose apps are closed."""

    async def meet() -> Friends:
        box = await town.house.box()
        ana, ben = await town.house.phone("Ana", box), await town.house.phone("Ben", box)
        await befriend(ana, ben)
        await ana.close()
        await ben.close()
        return Friends(town, box, ana, ben)

    return town.do(meet())


async def a_box(house: Household) -> Box:
    return await house.box()


async def owner_says(box: Box, id: str, *, same: bool = True) -> str | None:
    """Compare at the box as soon as a phone has answered; return the check code shown there."""
    view = await box.gateway.desk.look(id, wait=ANSWER_SECONDS, seen=Stage.OPEN)
    if view.stage is Stage.COMPARE:
        await box.gateway.desk.say(id, same=same)
    return view.check


def trouble(said: Said, error: str, *words: str) -> None:
    """Prove that a command with `--json` ended in one sentence of this kind."""
    assert said.status == 1
    assert said.last["event"] == "trouble"
    assert said.last["error"] == error
    for word in words:
        assert word in said.last["sentence"]
    assert re.fullmatch(r"[^a-z].*[.!?]", said.last["sentence"], re.DOTALL)
    assert said.errors == ""


# Beginning


def test_a_person_begins(call: Call, tmp_path: Path) -> None:
    home = tmp_path / "phone"
    said = call(home, "new", "--name", "Ana", "--json")

    assert said.status == 0
    assert said.last == {
        "event": "new",
        "name": "Ana",
        "person": said.last["person"],
        "home": str(home),
        "lock": "none",
    }
    assert re.fullmatch(r"[a-z2-7]{52}", said.last["person"])
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in home.iterdir()} == {0o600}


def test_a_person_is_told_what_comes_next(call: Call, tmp_path: Path) -> None:
    said = call(tmp_path / "phone", "new", "--name", "Ana")

    assert said.status == 0
    assert "homepost pair CODE" in said.out
    assert said.errors == ""


def test_nobody_is_replaced(call: Call, tmp_path: Path) -> None:
    call(tmp_path, "new", "--name", "Ana")

    trouble(call(tmp_path, "new", "--name", "Eve", "--json"), "person-exists", "--home")
    trouble(call(tmp_path / "x", "new", "--name", " \u200b", "--json"), "empty-name")


COMMANDS = [
    ("pair", "HPG1:AAAA"),
    ("card",),
    ("add", "HPC1:AAAA"),
    ("contacts",),
    ("contacts", "list"),
    ("contacts", "rename", "Ben", "Benjamin"),
    ("contacts", "block", "Ben"),
    ("contacts", "forget", "Ben", "--yes"),
    ("send", "Ben", "hello"),
    ("read",),
    ("watch",),
    ("status",),
    ("gateway", "--host", "127.0.0.1"),
    ("lock",),
    ("lock", "pin"),
    ("lock", "keyring"),
    ("lock", "off"),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda one: " ".join(one))
def test_where_nobody_is_every_command_says_how_to_begin(
    call: Call, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    home = tmp_path / "phone"
    trouble(call(home, *arguments, "--json"), "no-person", "nobody on this phone", "new --name")
    said = call(home, *arguments)

    assert (said.status, said.out) == (1, "")
    assert said.errors.count("\n") == 1
    assert not home.exists()


@pytest.mark.parametrize("arguments", [("card",), ("watch",), ("gateway", "--host", "127.0.0.1")])
def test_where_no_box_is_every_command_that_needs_one_says_so(
    call: Call, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    call(tmp_path, "new", "--name", "Ana")

    trouble(call(tmp_path, *arguments, "--json"), "not-paired", "pair CODE")


@pytest.mark.parametrize(
    "arguments",
    [(), ("nonsense",), ("send",), ("new",), ("gateway",), ("read", "--save"), ("contacts", "x")],
)
def test_what_is_not_understood_ends_with_2(
    call: Call, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        call(tmp_path, *arguments)

    assert ended.value.code == 2


def test_options_are_understood_before_a_command_and_after_it(call: Call, tmp_path: Path) -> None:
    call(tmp_path, "new", "--name", "Ana")

    assert call(tmp_path, "--json", "status").last["name"] == "Ana"
    assert call(None, "status", "--home", tmp_path, "--json").last["name"] == "Ana"


def test_the_folder_may_come_from_the_surroundings(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEPOST_HOME", str(tmp_path / "named"))
    assert call(None, "new", "--name", "Ana").status == 0
    monkeypatch.delenv("HOMEPOST_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert call(None, "new", "--name", "Ana").status == 0

    assert (tmp_path / "named" / FILE_NAME).exists()
    assert (tmp_path / "data" / "homepost-peer" / FILE_NAME).exists()


# Pairing


def test_a_phone_pairs(call: Call, town: Town, tmp_path: Path) -> None:
    box = town.do(a_box(town.house))
    call(tmp_path, "new", "--name", "Ana")
    id, code = town.do(shown_by(box))
    owner = town.begin_to(owner_says(box, id))
    said = call(tmp_path, "pair", code, "--json", typed='{"same": true}\n')

    assert said.status == 0
    assert [one["event"] for one in said.events] == ["check", "paired"]
    assert said.events[0]["check"] == owner.result(ANSWER_SECONDS)
    assert len(said.events[0]["pictures"]) == 4
    assert said.last == {"event": "paired", "places": [str(box.place)]}


async def shown_by(box: Box) -> tuple[str, str]:
    return box.show()


@pytest.mark.parametrize("typed", ["", "n\n", '{"same": false}\n', "\n"])
def test_no_and_no_answer_pair_nothing(call: Call, town: Town, tmp_path: Path, typed: str) -> None:
    box = town.do(a_box(town.house))
    call(tmp_path, "new", "--name", "Ana")
    _, code = town.do(shown_by(box))
    said = call(tmp_path, "pair", code, "--json", typed=typed)

    trouble(said, "not-the-same", "nothing was paired", "new code")
    assert call(tmp_path, "status", "--json").last["gateway"] == "none"


def test_when_the_owner_says_no_nothing_is_paired(call: Call, town: Town, tmp_path: Path) -> None:
    box = town.do(a_box(town.house))
    call(tmp_path, "new", "--name", "Ana")
    id, code = town.do(shown_by(box))
    owner = town.begin_to(owner_says(box, id, same=False))
    said = call(tmp_path, "pair", code, "--json", typed="y\n")

    owner.result(ANSWER_SECONDS)
    trouble(said, "not-the-same", "both sides")


def test_codes_that_do_not_pair_are_refused_in_words(
    call: Call, town: Town, tmp_path: Path
) -> None:
    box, other = town.do(a_box(town.house)), town.do(a_box(town.house))
    call(tmp_path, "new", "--name", "Ana")
    _, text = town.do(shown_by(box))
    code = GatewayCode.parse(text)
    garbled = f"{text[:20]}{'A' if text[20] != 'A' else 'B'}{text[21:]}"
    guessed = replace(code, secret=bytes(16)).text()
    elsewhere = replace(code, place=other.place).text()
    nowhere = replace(code, place=town.house.dead_place()).text()

    def pair(given: str) -> Said:
        return call(tmp_path, "pair", given, "--json", typed="y\n")

    trouble(pair("hello"), "bad-code", "no Homepost code")
    trouble(pair(text[:-5]), "bad-code", "cut or mistyped")
    trouble(pair(garbled), "bad-code", "cut or mistyped")
    trouble(pair(contact_code(code).text()), "bad-code", "a person, for adding a contact")
    trouble(pair(guessed), "gateway-refused", "does not know this code", "show a new one")
    trouble(pair(nowhere), "gateway-not-there", "No gateway answers")
    trouble(pair(elsewhere), "wrong-gateway", "nothing was sent to them")
    assert other.line.requests == []
    town.house.hands.live(130.0)
    trouble(pair(text), "gateway-refused", "code is over", "show a new one")


def contact_code(code: GatewayCode) -> ContactCode:
    """Return the code of a person that names the same place."""
    return ContactCode(
        PersonId(bytes(32)),
        commitment=bytes(16),
        slot=SlotId(bytes(16)),
        expires=int(time.time()) + 600,
        gateway=bytes(16),
        place=code.place,
    )


# Pictures


def picture(path: Path, *codes: str) -> Path:
    """Draw codes side by side, as a photo of two screens would show them."""
    drawn: list[Image.Image] = []
    for code in codes:
        path.write_bytes(png(code))
        with Image.open(path) as opened:
            drawn.append(opened.convert("L"))
    width = max(sum(one.width for one in drawn), 50)
    sheet = Image.new("L", (width, max([50, *(one.height for one in drawn)])), "white")
    at = 0
    for one in drawn:
        sheet.paste(one, (at, 0))
        at += one.width
    sheet.save(path)
    return path


def test_pictures_that_do_not_help_are_refused_in_words(call: Call, tmp_path: Path) -> None:
    home = tmp_path / "phone"
    call(home, "new", "--name", "Ana")
    code = contact_code(gateway_code()).text()
    (tmp_path / "text.png").write_bytes(b"no picture")

    def add(path: Path) -> Said:
        return call(home, "add", path, "--json")

    trouble(add(tmp_path / "gone.png"), "no-such-picture", "check the name")
    trouble(add(tmp_path / "text.png"), "not-a-picture", "save it as PNG or JPEG")
    trouble(add(picture(tmp_path / "white.png")), "no-code", "No QR can be read")
    trouble(add(picture(tmp_path / "other.png", "HELLO")), "foreign-code", "not a Homepost code")
    two = picture(tmp_path / "two.jpg", code, gateway_code().text())
    trouble(add(two), "several-codes", "2 Homepost codes", "the code of a gateway")
    wrong = picture(tmp_path / "gateway.png", gateway_code().text())
    trouble(add(wrong), "bad-code", "the code of a gateway")


def gateway_code() -> GatewayCode:
    expires = int(time.time()) + 120
    return GatewayCode(GatewayId(bytes(32)), bytes(16), expires, Place("127.0.0.1", 9))


# Adding


def test_two_people_add_each_other(friends: Friends, tmp_path: Path, call: Call) -> None:
    """The one shows a code on a terminal, the other takes a picture of it."""
    home = tmp_path / "carol"
    call(home, "new", "--name", "Carol")
    qr = tmp_path / "code.png"

    async def meet() -> tuple[list[Json], list[Json]]:
        carol, ana = Started("Carol", home), Started("Ana", friends.ana.home)
        showing = await ana.start("card", "--png", qr)
        code = await showing.event("code")
        reading = await carol.start("add", qr)
        here, there = await showing.event("check"), await reading.event("check")
        assert here == there
        for one in (showing, reading):
            await one.answer({"same": True})
        lines = await showing.rest(), await reading.rest()
        assert (await showing.end(), await reading.end()) == (0, 0)
        assert set(code) == {"event", "code", "expires"}
        return lines

    hers, mine = asyncio.run(meet())

    assert hers == [{"event": "added", "name": "Carol", "verified": True}]
    assert mine == [{"event": "added", "name": "Ana", "verified": True}]
    assert stat.S_IMODE(qr.stat().st_mode) == 0o600


def test_a_picture_that_cannot_be_written_uses_up_no_code(friends: Friends, call: Call) -> None:
    """A gateway holds three slots for a seat: the fourth mistake must not be refused by it."""
    home = friends.ana.home
    for _ in range(4):
        trouble(call(home, "card", "--png", home / "no" / "x.png", "--json"), "cannot-write")
        trouble(call(home, "card", "--svg", home / "x.bmp", "--json"), "unknown-format", ".svg")


def test_codes_that_add_nobody_are_refused_in_words(friends: Friends, call: Call) -> None:
    box, home = friends.box, friends.ana.home
    _, text = friends.town.do(shown_by(box))
    code = contact_code(GatewayCode.parse(text))

    def add(given: str) -> Said:
        return call(home, "add", given, "--json")

    trouble(add(text), "bad-code", "the code of a gateway", "wanted here")
    trouble(add(code.text()[:-3]), "bad-code", "cut or mistyped")
    trouble(add(replace(code, expires=int(time.time()) - 5).text()), "bad-code", "over")
    trouble(add(code.text()), "wrong-gateway", "nothing was sent")
    nowhere = replace(code, place=friends.town.house.dead_place())
    trouble(add(nowhere.text()), "gateway-not-there", "answers at")


def test_a_contact_has_a_name_that_is_mine(friends: Friends, call: Call) -> None:
    home = friends.ana.home
    [listed] = call(home, "contacts", "list", "--json").last["contacts"]

    assert {key: listed[key] for key in ("name", "introduced", "verified", "blocked")} == {
        "name": "Ben",
        "introduced": "Ben",
        "verified": True,
        "blocked": False,
    }
    renamed = call(home, "contacts", "rename", "ben", "My neighbour", "--json")
    assert renamed.last == {"event": "renamed", "name": "My neighbour"}
    assert call(home, "contacts").out == "My neighbour\n"
    trouble(call(home, "contacts", "rename", "x", "y", "--json"), "no-such-contact", "My neighb")
    trouble(call(home, "contacts", "rename", "My neighbour", " ", "--json"), "empty-name")


def test_a_contact_is_blocked(friends: Friends, call: Call) -> None:
    said = call(friends.ana.home, "contacts", "block", "Ben", "--json")

    assert said.last == {"event": "blocked", "name": "Ben", "gateway_knows": True}
    assert call(friends.ana.home, "contacts").out == "Ben  (blocked)\n"
    trouble(
        call(friends.ana.home, "send", "Ben", "hi", "--json"), "blocked", "You have blocked Ben"
    )


@pytest.mark.parametrize("typed", ["", "n\n", "\n"])
def test_nobody_is_forgotten_without_a_yes(friends: Friends, call: Call, typed: str) -> None:
    said = call(friends.ana.home, "contacts", "forget", "Ben", "--json", typed=typed)

    assert [one["event"] for one in said.events] == ["question", "trouble"]
    trouble(said, "not-sure", "--yes")
    assert call(friends.ana.home, "contacts").out == "Ben\n"


def test_a_contact_is_forgotten(friends: Friends, call: Call) -> None:
    said = call(friends.ana.home, "contacts", "forget", "Ben", "--yes", "--json")

    assert said.last == {"event": "forgotten", "name": "Ben", "gateway_knows": True}
    assert call(friends.ana.home, "contacts", "--json").last == {
        "event": "contacts",
        "contacts": [],
    }
    assert "no contacts yet" in call(friends.ana.home, "contacts").out


# Letters


def test_a_letter_goes_and_is_read(friends: Friends, call: Call) -> None:
    sent = call(friends.ana.home, "send", "ben", "Soup", "is on.", "--json")
    read = call(friends.ben.home, "read", "--json")

    assert (sent.status, read.status) == (0, 0)
    assert sent.last == {
        "event": "sent",
        "to": "Ben",
        "state": "at Ben’s gateway",
        "waiting": False,
        "trouble": None,
    }
    [letter] = read.last["letters"]
    assert (letter["from"], letter["text"]) == ("Ana", "Soup is on.")
    assert set(letter) == {"number", "from", "text", "written"}
    rest = {key: read.last[key] for key in ("event", "missing", "unreadable", "away")}
    assert rest == {"event": "letters", "missing": {}, "unreadable": [], "away": None}
    assert call(friends.ben.home, "read").out == "No new letters.\n"


def test_a_letter_is_taken_from_standard_input(friends: Friends, call: Call) -> None:
    text = "Dear Ben,\n\nsoup is on.\n"
    said = call(friends.ana.home, "send", "Ben", typed=text)
    [letter] = call(friends.ben.home, "read", "--json").last["letters"]

    assert said.out == "At Ben’s gateway.\n"
    assert letter["text"] == text.rstrip("\n")


def test_a_letter_that_cannot_go_yet_is_done_and_goes_with_the_next_command(
    friends: Friends, call: Call
) -> None:
    friends.town.do(friends.box.stop())
    sent = call(friends.ana.home, "send", "Ben", "hello", "--json")
    told = call(friends.ana.home, "send", "Ben", "again")
    friends.town.do(friends.box.start())
    status = call(friends.ana.home, "status", "--json")

    assert (sent.status, told.status) == (0, 0)
    assert sent.last["state"] == "waiting here: Ben’s gateway does not answer"
    assert (sent.last["waiting"], sent.last["trouble"]) == (True, "gateway-not-there")
    assert "tried again with every command" in told.out
    assert status.last["letters_waiting"] == 0
    letters = call(friends.ben.home, "read", "--json").last["letters"]
    assert [one["text"] for one in letters] == ["hello", "again"]


def test_letters_that_cannot_be_written_are_refused_in_words(
    friends: Friends, call: Call, tmp_path: Path
) -> None:
    home = friends.ana.home
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(1_100_000))

    def send(*arguments: str | Path, typed: str = "") -> Said:
        return call(home, "send", *arguments, "--json", typed=typed)

    trouble(send("Bob", "hello"), "no-such-contact", "'Bob'", "your contacts are: Ben")
    trouble(send("Bob"), "no-such-contact")
    trouble(send("Ben", "a" * 70_000), "too-large", "larger things")
    trouble(send("Ben", "look", "--file", film), "too-large", "1100000 bytes", "Larger things")
    trouble(send("Ben", "--file", tmp_path / "gone.txt"), "no-such-file", "The file", "gone.txt")
    trouble(send("Ben", "--file", tmp_path), "no-such-file", "check its name")
    assert call(home, "read", "--all", "--json").last["letters"] == []


def test_a_file_is_sent_and_saved(friends: Friends, call: Call, tmp_path: Path) -> None:
    cat = tmp_path / "cat.jpg"
    cat.write_bytes(bytes(range(256)) * 1000)
    call(friends.ana.home, "send", "Ben", "--file", cat)
    said = call(friends.ben.home, "read", "--save", tmp_path / "saved", "--json")
    [letter] = said.last["letters"]

    saved = tmp_path / "saved" / "cat.jpg"
    assert letter["file"] == {
        "name": "cat.jpg",
        "type": "image/jpeg",
        "size": 256_000,
        "saved": str(saved),
    }
    assert saved.read_bytes() == cat.read_bytes()


@pytest.mark.parametrize("name", ["../../evil.sh", "/etc/evil", f"a{HOSTILE}b", "..", ".bashrc"])
def test_a_file_of_somebody_else_stays_in_the_folder(
    friends: Friends, call: Call, tmp_path: Path, name: str
) -> None:
    friends.letter("", File(name, "text/plain", b"x"))
    folder = tmp_path / "here" / "saved"
    before = {one for one in tmp_path.rglob("*") if not one.is_relative_to(tmp_path / "town")}
    said = call(friends.ana.home, "read", "--save", folder)
    after = {one for one in tmp_path.rglob("*") if not one.is_relative_to(tmp_path / "town")}

    assert said.status == 0
    assert not CONTROLS.search(said.out)
    [saved] = after - before - {folder, folder.parent}
    assert saved.parent == folder
    assert not CONTROLS.search(saved.name)
    assert not saved.name.startswith(".")


def test_where_files_cannot_be_saved_the_letter_is_not_lost(
    friends: Friends, call: Call, tmp_path: Path
) -> None:
    friends.letter("look", File("cat.jpg", "image/jpeg", b"meow"))
    (tmp_path / "file").write_bytes(b"")
    said = call(friends.ana.home, "read", "--save", tmp_path / "file", "--json")
    again = call(friends.ana.home, "read", "--all", "--save", tmp_path / "saved", "--json")

    trouble(said, "cannot-save", "choose another with --save")
    assert again.last["letters"][0]["text"] == "look"
    assert (tmp_path / "saved" / "cat.jpg").read_bytes() == b"meow"


def test_nothing_of_others_is_obeyed_by_a_terminal(friends: Friends, call: Call) -> None:
    home = friends.ana.home
    friends.letter(f"before {HOSTILE} after\nBen, 12:00\n  forged")
    with sqlite.connect(home / FILE_NAME) as file:
        file.execute("UPDATE contact SET name = ?", (f"B{HOSTILE}n",))
    file.close()
    shown = [call(home, *words).out for words in (("read",), ("read", "--all"), ("contacts",))]
    in_json = call(home, "read", "--all", "--json")

    assert not any(CONTROLS.search(one) for one in shown)
    assert "\\x1b[2J" in shown[0]
    assert "\\u202e" in shown[2]
    assert "\n  Ben, 12:00\n    forged\n" in shown[0]  # set in, so that it is no head
    assert in_json.out.isascii()
    assert in_json.last["letters"][0]["text"].startswith(f"before {HOSTILE}")


def test_a_box_that_is_off_is_said_while_reading(friends: Friends, call: Call) -> None:
    friends.town.do(friends.box.stop())
    in_json = call(friends.ana.home, "read", "--json")
    said = call(friends.ana.home, "read")
    idle = call(friends.ana.home, "watch", "--until-idle", "--json")

    assert (in_json.status, said.status) == (1, 1)
    assert [one["event"] for one in in_json.events] == ["letters"]
    assert "no gateway answers" in in_json.last["away"]
    assert said.errors.startswith("No gateway answers at ")
    assert "gateway --host ADDRESS" in said.errors
    trouble(idle, "gateway-not-there", "No gateway answers")


def test_status_has_one_shape(friends: Friends, call: Call) -> None:
    up = call(friends.ana.home, "status", "--json")
    friends.town.do(friends.box.stop())
    down = call(friends.ana.home, "status", "--json")

    assert (up.status, down.status) == (0, 0)
    assert set(up.last) == set(down.last)
    assert set(up.last) >= {
        "event",
        "name",
        "person",
        "gateway",
        "places",
        "mailbox",
        "contacts",
        "waiting",
        "letters_waiting",
        "missing",
        "given_up",
    }
    assert (up.last["event"], up.last["gateway"], up.last["contacts"]) == ("status", "answers", 1)
    assert set(up.last["mailbox"]) >= {"waiting", "bytes", "limit_bytes"}
    assert (down.last["mailbox"], "no gateway answers" in down.last["gateway"]) == (None, True)


# A box that moves


def test_a_changed_address_is_corrected_without_pairing_again(friends: Friends, call: Call) -> None:
    box, home = friends.box, friends.ana.home
    paired = box.line.names().count("POST /v1/pair")
    friends.town.do(move(box))
    lost = call(home, "read", "--json")
    said = call(home, "gateway", "--host", f"127.0.0.1:{box.port}", "--json")
    call(friends.ben.home, "gateway", "--host", f"127.0.0.1:{box.port}")

    assert lost.status == 1
    assert said.status == 0
    assert said.last == {"event": "moved", "place": f"127.0.0.1:{box.port}"}
    assert call(home, "send", "Ben", "found", "--json").last["waiting"] is False
    read = call(friends.ben.home, "read", "--json")
    assert [one["text"] for one in read.last["letters"]] == ["found"]
    assert box.line.names().count("POST /v1/pair") == paired


async def move(box: Box) -> None:
    """Let a box come up again at another port."""
    await box.stop()
    box.port = Box(box.folder, box.hands).port
    await box.start()


def test_an_address_at_which_another_box_answers_is_refused(friends: Friends, call: Call) -> None:
    other = friends.town.do(a_box(friends.town.house))
    home = friends.ana.home
    places = call(home, "status", "--json").last["places"]

    trouble(
        call(home, "gateway", "--host", str(other.place), "--json"),
        "wrong-gateway",
        "nothing was sent to them",
    )
    trouble(call(home, "gateway", "--host", "no address", "--json"), "bad-code")
    assert other.line.requests == []
    assert call(home, "status", "--json").last["places"] == places


# The file


def test_a_file_that_cannot_be_used_is_said_in_words_and_left(call: Call, tmp_path: Path) -> None:
    home = tmp_path / "phone"
    call(home, "new", "--name", "Ana")
    whole = (home / FILE_NAME).read_bytes()

    def spoilt(data: bytes, error: str, *words: str) -> None:
        (home / FILE_NAME).write_bytes(data)
        for command in (["status"], ["new", "--name", "Eve"], ["contacts"]):
            trouble(call(home, *command, "--json"), error, *words)
        assert (home / FILE_NAME).read_bytes() == data

    spoilt(b"?" * 5000, "store-unusable", "is damaged and was left as it is", "pair this phone")
    spoilt(whole[:5000], "store-unusable", "is damaged")
    spoilt(whole[:4096] + bytes(len(whole) - 4096), "store-unusable", "is damaged")
    spoilt(with_pragma(home, whole, "user_version = 99"), "newer-store", "update this program")
    spoilt(with_pragma(home, whole, "application_id = 7"), "store-unusable", "another program")
    (home / FILE_NAME).write_bytes(whole)
    assert call(home, "status", "--json").last["name"] == "Ana"


def with_pragma(home: Path, whole: bytes, pragma: str) -> bytes:
    """Return the file as another program would have marked it."""
    copy = home.with_name("copy.sqlite")
    copy.write_bytes(whole)
    with sqlite.connect(copy) as file:
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute(f"PRAGMA {pragma}")
    file.close()
    return copy.read_bytes()


def test_a_folder_that_is_none_is_said_in_words(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    trouble(call(tmp_path / "file", "new", "--name", "Ana", "--json"), "store-unusable", "--home")


AS_NOBODY = """
import os, sys
from peer.cli import main
if os.getuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""
IN_LITTLE_SPACE = """
import resource, signal, sys
from peer.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.exit(main(sys.argv[1:]))
"""


def program(text: str, *arguments: str | Path) -> Said:
    """Run a command in a process of its own, after `text` has changed what it may do."""
    done = subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        timeout=ANSWER_SECONDS,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def test_without_permission_the_file_is_named(call: Call, tmp_path: Path) -> None:
    home = tmp_path / "phone"
    call(home, "new", "--name", "Ana")
    if os.getuid() != 0:
        home.chmod(0)
    said = program(AS_NOBODY, "--home", home, "status")
    home.chmod(0o700)

    trouble(said, "store-unusable", str(home / FILE_NAME), "Permission denied", "--home")


def test_without_space_nothing_is_lost(friends: Friends, call: Call, tmp_path: Path) -> None:
    home = friends.ana.home
    call(home, "send", "Ben", "before")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(os.urandom(600_000))
    said = program(IN_LITTLE_SPACE, "--home", home, "send", "Ben", "--file", photo)

    trouble(said, "store-unusable", str(home / FILE_NAME), "try again")
    letters = call(home, "read", "--all", "--json").last["letters"]
    assert [one["text"] for one in letters] == ["before"]
    assert call(home, "send", "Ben", "after", "--json").last["waiting"] is False
    assert {stat.S_IMODE(one.stat().st_mode) for one in home.iterdir()} == {0o600}


# Terminals and signals


def test_a_code_is_drawn_on_a_terminal_alone(friends: Friends, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "peer.cli", "--home", str(friends.ana.home), "card"]
    surroundings = {**os.environ, "COLUMNS": "120", "LINES": "50", "PYTHONIOENCODING": "utf-8"}

    def shown(reads: int, writes: int) -> str:
        """Run the command until it has shown the code; return what it showed."""
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=writes, stderr=writes, env=surroundings
        ) as process:
            os.close(writes)
            said = b""
            while not re.search(rb"HPC1:[A-Z2-7]+\s", said):
                said += os.read(reads, 65536)
            process.send_signal(signal.SIGTERM)
            assert process.wait(ANSWER_SECONDS) == 130
        os.close(reads)
        return said.decode()

    on_terminal, in_pipe = shown(*pty.openpty()), shown(*os.pipe())

    assert set(on_terminal) & set("█▀▄")
    assert "MY CODE" in on_terminal
    assert not set(in_pipe) & set("█▀▄\x1b")
    assert "MY CODE" in in_pipe


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_watching_shows_letters_as_they_come_and_ends_by_a_signal_with_0(
    friends: Friends, number: signal.Signals
) -> None:
    async def watch() -> tuple[list[Json], int, str]:
        watching = await Started("Ana", friends.ana.home).start("watch")
        await watching.event("here")
        await asyncio.to_thread(friends.letter, "one")
        first = await watching.event("letter")
        await asyncio.to_thread(friends.letter, HOSTILE)
        second = await watching.event("letter")
        return [first, second], await watching.stop(number), watching.errors

    letters, status, errors = asyncio.run(watch())

    assert [one["text"] for one in letters] == ["one", HOSTILE]
    assert {one["from"] for one in letters} == {"Ben"}
    assert (status, errors) == (0, "")


def test_watching_obeys_nothing_that_others_write(friends: Friends, call: Call) -> None:
    friends.letter(f"{HOSTILE} hello")
    said = call(friends.ana.home, "watch", "--until-idle")

    assert said.status == 0
    assert "hello" in said.out
    assert not CONTROLS.search(said.out)


def test_watching_until_idle_has_an_event_a_line(friends: Friends, call: Call) -> None:
    friends.letter("hello")
    said = call(friends.ana.home, "watch", "--until-idle", "--json")

    assert [one["event"] for one in said.events] == ["here", "letter"]
    assert set(said.last) == {"event", "number", "from", "text", "written"}


def test_whoever_stops_reading_ends_the_command_quietly(friends: Friends) -> None:
    friends.letter("hello")
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "peer.cli", "--home", friends.ana.home, "read"],
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
        timeout=ANSWER_SECONDS,
    )
    os.close(writes)

    assert (done.returncode, done.stderr) == (1, "")
