"""The story that `./run demo` tells, with real processes, and what it does when it goes wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from demo.__main__ import main
from demo.chapters import CHAPTERS, Story
from demo.stage import Box, Stage, StepFailed, run, stage

ROOT = Path(__file__).parent.parent
HANGS = 600.0
"""Seconds that would be a hang: a chapter takes a few."""


def tell(*chapters: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "demo", *chapters]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS, check=False
    )


@pytest.mark.timeout(HANGS)
def test_the_whole_story_is_told_and_ends_well() -> None:
    told = tell()

    assert told.returncode == 0, told.stdout + told.stderr
    assert "all held" in told.stdout
    assert told.stderr == ""


@pytest.mark.timeout(HANGS)
@pytest.mark.parametrize("chapter", ["away", "blind"])
def test_a_chapter_can_be_told_alone(chapter: str) -> None:
    told = tell(chapter)

    assert told.returncode == 0, told.stdout + told.stderr


def test_no_line_is_longer_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    story = Story(Stage(Path("nowhere")))
    story.say("A small computer starts a gateway, and it makes itself a key.")
    story.check(True, "it runs, and nobody is paired with it yet", otherwise="")
    lines = capsys.readouterr().out.splitlines()

    assert max(map(len, lines)) <= 30
    assert lines[0] == "  A small computer starts a"
    assert lines[-1] == "    paired with it yet"


def test_an_unknown_chapter_is_answered_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = main(["no-such-chapter"])
    said = capsys.readouterr().out

    assert status == 2
    assert all(name in said for name in CHAPTERS)


async def test_a_step_that_does_not_hold_ends_the_story() -> None:
    async with stage() as theatre:
        story = Story(theatre)

        with pytest.raises(StepFailed, match="this is what was seen"):
            story.check(False, "all is well", otherwise="this is what was seen")

        assert story.checks == 0


async def test_a_gateway_that_does_not_start_is_told_with_its_own_words(tmp_path: Path) -> None:
    box = Box("the box", tmp_path / "data", flags=("--no-such-flag",))

    with pytest.raises(StepFailed, match="no-such-flag"):
        await box.start()


async def test_a_command_that_fails_is_told_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="ended with 1"):
        await run("the phone", "peer.cli", "--home", tmp_path / "nobody", "status", "--json")


async def test_nothing_is_left_when_the_story_is_over() -> None:
    async with stage() as theatre:
        folder = theatre.folder
        box = theatre.box("the box")
        await box.start()
        process = box.process

    assert process is not None
    assert not process.running
    assert not folder.exists()
