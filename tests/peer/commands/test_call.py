"""Commands are put on the line, alone and in groups."""

import argparse

import pytest

from peer.commands.call import DONE, Call, Commands


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
