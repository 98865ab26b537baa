"""`homepost friends` and `recover friends` say what they are about, and refuse what is wrong."""

from pathlib import Path

import pytest

from peer.commands.friends import alarm_facts, alarm_line
from peer.keys.words import words_of
from peer.recovery.guarding import Alarmed
from tests.peer.commands.calling import called
from wire.codes import AnswerCode, HelpCode
from wire.ids import RecoveryId
from wire.recovery import RELEASE_SECONDS, Stage

REQUEST = RecoveryId(b"r" * 16)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the folder of a new person's phone."""
    home = tmp_path / "phone"
    assert called(home, "new", "--name", "Ana").status == 0
    return home


def test_nobody_is_chosen_yet(home: Path) -> None:
    said = called(home, "friends", "--json").last

    assert (said["event"], said["need"], said["keepers"], said["alarms"]) == (
        "friends",
        None,
        [],
        [],
    )
    assert "friends choose" in called(home, "friends", "list").out
    assert called(home, "friends", "rehearse", "--json").last["asked"] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("choose", "Ben", "Cleo"), "no-such-contact"),
        (("help", "Ben", "HPC1:AAAA"), "bad-code"),
        (("help", "Ben", HelpCode(bytes(32)).text()), "no-such-contact"),
        (("cancel", "nonsense"), "bad-code"),
        (("cancel", REQUEST.text), "not-paired"),
        (("cancel", REQUEST.text, "--kit", " ".join(words_of(bytes(16)))), "not-paired"),
    ],
)
def test_what_cannot_be_is_said(home: Path, words: tuple[str, ...], code: str) -> None:
    said = called(home, "friends", *words, "--json")

    assert (said.status, said.last["error"]) == (1, code)


def test_an_alarm_says_what_to_do() -> None:
    ours = Alarmed(None, REQUEST, Stage.WAITING, RELEASE_SECONDS, 42_917, named=False)
    named = Alarmed(None, REQUEST, Stage.WAITING, 3600, 42_917, named=True)
    theirs = Alarmed("Ben", REQUEST, Stage.WAITING, 3600, 42_917, named=False)
    over = Alarmed("Ben", REQUEST, Stage.CANCELLED, 0, 42_917, named=False)

    assert f"friends cancel {REQUEST.text}" in alarm_line(ours)
    assert "in 72 hours" in alarm_line(ours)
    assert "--kit CODE" in alarm_line(named)
    assert "Ask Ben in person" in alarm_line(theirs)
    assert alarm_line(over) == "A request for Ben’s recovery share was stopped."
    assert alarm_facts(ours)["check"] == "042 917"


def test_a_new_phone_shows_one_code_until_somebody_is_there(tmp_path: Path) -> None:
    home = tmp_path / "new"
    first = called(home, "recover", "friends", "--json").last

    assert called(home, "recover", "friends", "--json").last == first
    assert HelpCode.parse(first["code"]).key
    assert (first["keepers"], first["need"]) == ([], None)
    assert first["check"] in called(home, "recover", "friends").out
    wrong = called(home, "recover", "friends", AnswerCode(bytes(99)).text(), "--json")
    assert (wrong.status, wrong.last["error"]) == (1, "bad-code")
    called(home, "new", "--name", "Ana")
    assert called(home, "recover", "friends", "--json").last["error"] == "person-exists"
