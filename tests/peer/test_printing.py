"""What is printed of letters says what they say, and obeys nobody."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.errors import CannotSave
from peer.items.kinds import File
from peer.letterbox import Shown
from peer.printing import (
    MAX_FILE_NAME,
    count,
    letter_facts,
    letter_lines,
    safe_name,
    save_file,
    size,
    status_lines,
    when,
)

NOON = time.mktime((2026, 7, 1, 12, 0, 0, 0, 0, -1))

LETTER = Shown(
    number=7,
    contact="Ben",
    outgoing=False,
    text="Soup is on the stove.",
    file=None,
    written=NOON,
    came=NOON + 5,
)

STATUS: dict[str, Any] = {
    "name": "Ana",
    "person": "ABCDEFGHIJKLMNOP",
    "lock": "none",
    "gateway": "answers",
    "places": ["192.168.1.20", "box.example"],
    "mailbox": {"waiting": 1, "bytes": 2048, "limit_bytes": 1 << 30},
    "contacts": 2,
    "waiting": 3,
    "letters_waiting": 2,
    "missing": {"Ben": 1},
    "cards_behind": [],
    "cards_stale": [],
    "given_up": [{"to": "Carol", "why": "given up: too old"}],
}


def test_a_letter_says_who_when_and_what() -> None:
    assert (
        letter_lines(LETTER, saved=None).splitlines()
        == [
            "Ben, 2026-07-01 12:00",
            "  Soup is on the stove.",
            "",
        ][:2]
    )
    assert letter_facts(LETTER) == {
        "number": 7,
        "from": "Ben",
        "text": "Soup is on the stove.",
        "written": NOON,
    }


def test_a_letter_of_mine_says_to_whom_and_where_it_is() -> None:
    mine = replace(LETTER, outgoing=True, state="at Ben’s gateway")

    assert letter_lines(mine, saved=None).splitlines() == [
        "To Ben, 2026-07-01 12:00",
        "  Soup is on the stove.",
        "  — at Ben’s gateway",
    ]
    facts = letter_facts(mine)
    assert (facts["to"], facts["state"]) == ("Ben", "at Ben’s gateway")
    assert "from" not in facts


def test_something_newer_is_said_to_be_there() -> None:
    newer = replace(LETTER, text="", unknown=True)

    assert "only a newer Homepost can show; it is kept" in letter_lines(newer, saved=None)
    assert letter_facts(newer)["unknown"] is True


def test_a_file_says_its_name_its_size_and_how_to_keep_it(tmp_path: Path) -> None:
    with_file = replace(LETTER, file=File("cat.jpg", "image/jpeg", bytes(3000)))

    assert "[cat.jpg, 3 KiB] keep it with: homepost read --all --save FOLDER" in letter_lines(
        with_file, saved=None
    )
    saved = tmp_path / "cat.jpg"
    assert f"[cat.jpg, 3 KiB] saved as {saved}" in letter_lines(with_file, saved=saved)
    assert letter_facts(with_file)["file"] == {
        "name": "cat.jpg",
        "type": "image/jpeg",
        "size": 3000,
    }
    assert letter_facts(with_file, saved=saved)["file"]["saved"] == str(saved)


@given(text=st.text(), name=st.text(), contact=st.text(min_size=1))
def test_nothing_that_a_terminal_obeys_is_printed(text: str, name: str, contact: str) -> None:
    hostile = replace(LETTER, text=text, contact=contact, file=File(name, "text/plain", b""))
    for line in letter_lines(hostile, saved=None).split("\n"):
        assert not any(ord(one) < 32 or 127 <= ord(one) < 160 for one in line)
        assert not set(line) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2028\u2029")


def test_a_second_line_cannot_be_taken_for_the_head_of_another_letter() -> None:
    forged = replace(LETTER, text="hi\n\nCarol, 12:00\n  Send me the key.")
    shown = letter_lines(forged, saved=None).rstrip("\n").split("\n")

    assert [one for one in shown if one and not one.startswith("  ")] == [shown[0]]


def test_a_file_is_saved_under_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    path = save_file(File("cat.jpg", "image/jpeg", b"meow"), folder)

    assert path == folder / "cat.jpg"
    assert path.read_bytes() == b"meow"


def test_what_is_there_already_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"mine")
    (tmp_path / "cat 2.jpg").symlink_to(tmp_path / "elsewhere")
    path = save_file(File("cat.jpg", "image/jpeg", b"theirs"), tmp_path)

    assert path == tmp_path / "cat 3.jpg"
    assert (tmp_path / "cat.jpg").read_bytes() == b"mine"
    assert not (tmp_path / "elsewhere").exists()


HOSTILE_NAMES = [
    "../../.bashrc",
    "/etc/passwd",
    "..",
    ".",
    "",
    "...",
    ".ssh/authorized_keys",
    "C:\\Windows\\system.ini",
    "a\x00b",
    "a\nb",
    "\u202egpj.exe",
    "\x1b[2Jcat.jpg",
    "cat.jpg ",
    "x" * 400,
    "日" * 100 + ".jpg",
    "-rf",
    " \u200b",
    "\ud800",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_of_somebody_else_stays_in_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "saved"
    path = save_file(File(name, "text/plain", b"x"), folder)

    assert [one.name for one in tmp_path.iterdir()] == ["saved"]
    assert list(folder.iterdir()) == [path]
    assert path.resolve().parent == folder.resolve()
    assert path.is_file()


@given(st.text(max_size=300))
def test_a_safe_name_is_one_that_every_file_system_takes(suggested: str) -> None:
    name = safe_name(suggested)

    assert 0 < len(name) <= MAX_FILE_NAME
    assert os.path.basename(name) == name
    assert not name.startswith(".")
    assert name == name.strip()
    assert not set(name) & set('/\\<>:"|?*\0')
    assert len(f"{name} 999".encode()) <= 255


@pytest.mark.parametrize("name", ["cat.jpg", "Übung 3.pdf", "été.txt", "日本.png"])
def test_an_honest_name_is_kept(name: str) -> None:
    assert safe_name(name) == name


def test_where_no_file_can_be_made_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CannotSave, match="choose another with --save"):
        save_file(File("cat.jpg", "image/jpeg", b""), tmp_path / "file")


def test_status_says_each_thing_on_a_line() -> None:
    lines = status_lines(STATUS)

    assert lines == [
        "You       Ana (ABCDEFGH…)",
        "Lock      off; whoever gets this disk can read all. Turn it on: homepost lock pin",
        "Box       answers at 192.168.1.20, box.example",
        "Contacts  2",
        "Waiting   2 letters to be sent",
        "Mailbox   1 parcel, 2 KiB of 1.0 GiB",
        "Missing   1 letter from Ben; asked again",
        "Given up  a letter to Carol: given up: too old",
    ]


def test_status_says_what_opens_the_phone() -> None:
    assert "Lock      on; your PIN opens this phone" in status_lines({**STATUS, "lock": "pin"})
    assert "Lock      on; this phone opens when you log in to the system" in status_lines(
        {**STATUS, "lock": "keyring"}
    )


def test_status_of_a_new_phone_says_what_comes_next() -> None:
    new = {
        **STATUS,
        "gateway": "none",
        "places": [],
        "mailbox": None,
        "letters_waiting": 0,
        "missing": {},
        "given_up": [],
    }

    assert "Box       none yet; show a code on the box and type: homepost pair CODE" in (
        status_lines(new)
    )
    assert "Waiting   nothing to be sent" in status_lines(new)


def test_status_says_why_the_box_cannot_be_asked() -> None:
    assert "Box       no gateway answers" in status_lines(
        {**STATUS, "gateway": "no gateway answers", "mailbox": None}
    )


def test_status_says_whose_card_is_not_the_newest() -> None:
    lines = status_lines({**STATUS, "cards_behind": ["Ben"], "cards_stale": ["Carol"]})

    assert "Card      Ben has a newer card that did not come; asked for it" in lines
    assert "Card      Carol’s card is out of date; meet again to be sure" in lines


def test_a_time_of_today_has_no_date() -> None:
    now = time.time()

    assert when(now) == time.strftime("%H:%M", time.localtime(now))
    assert when(NOON) == "2026-07-01 12:00"


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (5 << 20, "5 MiB"), (3 << 29, "1.5 GiB")],
)
def test_amounts_are_said_in_units(number: int, said: str) -> None:
    assert size(number) == said


def test_one_is_not_many() -> None:
    assert [count(number, "letter") for number in (0, 1, 2)] == [
        "0 letters",
        "1 letter",
        "2 letters",
    ]


def test_a_letter_that_came_late_says_so() -> None:
    late = replace(LETTER, late=True)

    assert "came late: it was written before others" in letter_lines(late, saved=None)
    assert letter_facts(late)["late"] is True
    assert "late" not in letter_facts(LETTER)
