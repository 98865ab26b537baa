"""`homepost kit` shows, prints and asks back, and says when the seed has gone."""

from pathlib import Path

import pytest

from peer.keys.words import words_of
from peer.recovery.kit import KitKeeping
from tests.peer.commands.calling import called
from wire.codes import KitCode


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the folder of a new person's phone."""
    home = tmp_path / "phone"
    assert called(home, "new", "--name", "Ana").status == 0
    return home


def test_the_kit_is_shown_as_a_code_and_as_words(home: Path) -> None:
    said = called(home, "kit", "show", "--json").last

    code = KitCode.parse(said["code"])
    assert tuple(said["words"]) == words_of(code.seed)
    assert said["mark"].replace("-", "") == code.person.text[:12]
    shown = called(home, "kit").out
    assert code.text() in shown
    assert all(word in shown for word in said["words"])


def test_the_kit_is_printed_for_its_owner_alone(home: Path, tmp_path: Path) -> None:
    page = tmp_path / "kit.pdf"

    assert called(home, "kit", "print", page).status == 0

    assert page.read_bytes().startswith(b"%PDF")
    assert page.stat().st_mode & 0o777 == 0o600
    wrong = called(home, "kit", "print", tmp_path / "kit.txt", "--json")
    assert (wrong.status, wrong.last["error"]) == (1, "unknown-format")


def test_a_wrong_word_is_named_and_nothing_is_wiped(home: Path) -> None:
    said = called(home, "kit", "check", "--json", typed="academic\nwrong\nwrong\ny\n")

    assert (said.status, said.last["error"]) == (1, "mistyped-word")
    assert f"ord {said.events[0]['words'][0]} " in said.last["sentence"]
    assert called(home, "kit", "show", "--json").status == 0


def test_the_seed_goes_after_three_words_and_with_consent_only(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KitKeeping, "choose", lambda _: (5, 6, 7))
    words = called(home, "kit", "show", "--json").last["words"]
    right = "\n".join(words[4:7]) + "\n"

    assert called(home, "kit", "check", "--json", typed=right + "n\n").last["wiped"] is False
    assert called(home, "kit", "check", "--keep", "--json", typed=right).status == 0
    assert called(home, "kit", "show").status == 0
    assert called(home, "kit", "check", "--json", typed=right + "y\n").last["wiped"] is True
    for gone in ("show", "check"):
        assert called(home, "kit", gone, "--json").last["error"] == "kit-gone"
