"""`homepost recover kit` takes a code, a picture or words, and says what did not come back."""

from pathlib import Path

import pytest

from peer.codes.qr import write
from peer.recovery.kit import kit_mark
from tests.peer.commands.calling import called
from wire.codes import KitCode


@pytest.fixture
def kit(tmp_path: Path) -> tuple[KitCode, list[str]]:
    """Give the kit of somebody whose phone is gone, and who never had a box."""
    called(tmp_path / "lost", "new", "--name", "Ana")
    said = called(tmp_path / "lost", "kit", "show", "--json").last
    return KitCode.parse(said["code"]), said["words"]


def test_without_a_box_the_person_comes_back_and_the_rest_is_said(
    tmp_path: Path, kit: tuple[KitCode, list[str]]
) -> None:
    code, words = kit
    picture = tmp_path / "kit.png"
    write(code.text(), picture)
    ways: list[tuple[str, ...]] = [
        (code.text(),),
        (str(picture),),
        (*words, "--mark", kit_mark(code.person)),
    ]

    for number, way in enumerate(ways):
        home = tmp_path / f"new-{number}"
        said = called(home, "recover", "kit", *way, "--name", "Ana", "--box-gone", "--json")
        assert said.status == 0, said
        assert said.last["person"] == code.person.text
        assert len(said.last["lacking"]) == 3
        assert called(home, "status", "--json").last["person"] == code.person.text


def test_what_is_missing_is_asked_for(tmp_path: Path, kit: tuple[KitCode, list[str]]) -> None:
    code, words = kit

    said = called(
        tmp_path / "new",
        "recover",
        "kit",
        "--box-gone",
        "--json",
        typed=f"{' '.join(words)}\nAna\n{kit_mark(code.person)}\n",
    )

    assert said.last["event"] == "back", said


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (["HPC1:ABCDEF"], "bad-code"),
        (["kit"], "bad-code"),
        (["zzzz", *["acid"] * 19], "mistyped-word"),
        (["acid"] * 20, "mistyped-word"),
    ],
)
def test_what_is_no_kit_makes_nobody(tmp_path: Path, wrong: list[str], code: str) -> None:
    """R3."""
    home = tmp_path / "new"

    said = called(home, "recover", "kit", *wrong, "--name", "A", "--at", "192.0.2.7", "--json")

    assert (said.status, said.last["error"]) == (1, code)
    assert called(home, "status", "--json").last["error"] == "no-person"


def test_the_ways_are_named(tmp_path: Path) -> None:
    assert "recover kit" in called(tmp_path, "recover").out
