"""`homepost archive` says what is kept, what is not, and how far reading has come."""

import io
from pathlib import Path

import pytest

from peer.app import Restoring
from peer.commands.archive import older_line, refused_line, status_lines, tell_restoring
from peer.console import ForPeople, Lines
from tests.peer.commands.calling import called

NOTHING = {
    "kept": 0,
    "waiting": 0,
    "segments": 0,
    "to_read": 0,
    "off": [],
    "refused": [],
    "older": [],
    "set_back": [],
    "full": False,
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the folder of a new person's phone."""
    home = tmp_path / "phone"
    assert called(home, "new", "--name", "Ana").status == 0
    return home


def test_a_new_person_has_nothing_in_it(home: Path) -> None:
    assert called(home, "archive", "status", "--json").last == {"event": "archive", **NOTHING}
    assert called(home, "archive").out == "Kept      0 letters in 0 segments\n"


def test_nobody_can_be_left_out_who_is_not_there(home: Path) -> None:
    said = called(home, "archive", "off", "Ben", "--json")

    assert (said.status, said.last["error"]) == (1, "no-such-contact")


def test_without_a_box_there_is_nothing_to_read(home: Path) -> None:
    said = called(home, "archive", "restore", "--json")

    assert (said.status, said.last["error"]) == (1, "not-paired")


def test_all_that_is_wrong_is_said() -> None:
    lines = status_lines(
        {
            "kept": 7,
            "waiting": 1,
            "segments": 3,
            "to_read": 2,
            "off": ["Ben"],
            "refused": [{"segment": 2, "why": "swapped"}],
            "older": [{"contact": "Cleo", "seen": 9, "here": 3}],
            "set_back": [5, 3],
            "full": True,
        }
    )
    text = "\n".join(lines)

    assert len(lines) == 8
    for part in ("7 letters in 3 segments", "Ben", "5 segments and then 3", "Cleo saw segment 9"):
        assert part in text
    assert lines[-1] == "Refused   segment 2: another one stands in its place"


def test_another_archive_is_told_apart_from_an_older_one() -> None:
    assert "not the same archive" in older_line(contact="Ben", seen=3, here=3)
    assert "the box has 2" in older_line(contact="Ben", seen=3, here=2)
    assert refused_line({"segment": 4, "why": "unheard-of"}) == "segment 4: unheard-of"


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (
            Restoring(3, 1024, 4096, 9, False),
            "3 letters from the archive, the newest first: 1 KiB of 4 KiB, about 9 s left.",
        ),
        (
            Restoring(1, 0, 4096, None, False),
            "1 letter from the archive, the newest first: 0 B of 4 KiB.",
        ),
        (
            Restoring(4, 4096, 4096, 0, True),
            "4 letters from the archive; all that is there is here.",
        ),
    ],
)
def test_progress_has_letters_bytes_and_time(event: Restoring, sentence: str) -> None:
    out = io.StringIO()
    tell_restoring(ForPeople(lines=Lines(io.StringIO()), out=out, errors=io.StringIO()), event)

    assert out.getvalue() == sentence + "\n"
