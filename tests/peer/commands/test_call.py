"""Commands are put on the line, alone and in groups."""

import argparse
from pathlib import Path

import pytest

from peer.commands.call import DONE, Call, Commands, read_pin
from peer.errors import NoSuchFile


async def _run(_call: Call) -> int:
    return DONE


async def _list(_call: Call) -> int:
    return DONE


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true")
    parser = argparse.ArgumentParser(prog="homepost")
    commands = Commands(parser.add_subparsers(required=True), common)
    commands.add("send", _run, "send a letter").add_argument("name")
    commands.group("boxes", _list, "the boxes").add("move", _run, "move one")
    return parser


def test_a_command_takes_its_own_arguments_and_the_common_ones(
    parser: argparse.ArgumentParser,
) -> None:
    said = parser.parse_args(["send", "Ben", "--json"])

    assert (said.run, said.name, said.json) == (_run, "Ben", True)


def test_the_name_of_a_group_alone_does_what_it_is_for(parser: argparse.ArgumentParser) -> None:
    assert parser.parse_args(["boxes"]).run is _list
    assert parser.parse_args(["boxes", "move", "--json"]).run is _run


def test_its_help_is_a_sentence(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser.parse_args(["send", "--help"])

    assert "Send a letter." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "pin"),
    [
        (b"correct horse\n", "correct horse"),
        (b"correct horse\r\nand more", "correct horse"),
        ("Öffne dich".encode(), "Öffne dich"),
        (b" 1 \n", " 1 "),
        (b"", ""),
    ],
)
def test_a_pin_is_the_first_line_of_its_file(tmp_path: Path, content: bytes, pin: str) -> None:
    (tmp_path / "pin").write_bytes(content)

    assert read_pin(tmp_path / "pin") == pin


def test_a_file_that_holds_no_pin_is_named(tmp_path: Path) -> None:
    (tmp_path / "pin").write_bytes(b"\xff\xfe")

    with pytest.raises(NoSuchFile, match="it is no text"):
        read_pin(tmp_path / "pin")
    with pytest.raises(NoSuchFile, match="No such file"):
        read_pin(tmp_path / "other")
