"""What a command of the line is given, and how it is put on the line."""

import argparse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from peer.console import Screen

DONE: Final = 0
FAILED: Final = 1
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Call:
    """One command: whose phone, what was said, and where to speak."""

    home: Path
    arguments: argparse.Namespace
    screen: Screen


Command = Callable[[Call], Awaitable[int]]
"""Runs a call and returns the exit status."""


class Commands:
    """The commands at one place of the line: those of `homepost`, or those of one group.

    Args:
        subparsers: where they are put.
        common: the arguments that each of them understands.
    """

    def __init__(self, subparsers: Any, common: argparse.ArgumentParser) -> None:
        self._subparsers = subparsers
        self._common = common

    def add(self, name: str, run: Command, help: str) -> argparse.ArgumentParser:
        """Add a command and return its parser, for its arguments.

        Args:
            name: what is typed.
            run: what it does.
            help: a few words, in lower case and without a full stop.
        """
        parser: argparse.ArgumentParser = self._subparsers.add_parser(
            name, help=help, description=f"{help[0].upper()}{help[1:]}.", parents=[self._common]
        )
        parser.set_defaults(run=run)
        return parser

    def group(self, name: str, run: Command, help: str) -> "Commands":
        """Add a group of commands; its name alone runs `run`."""
        parser = self._subparsers.add_parser(name, help=help, parents=[self._common])
        parser.set_defaults(run=run)
        return Commands(parser.add_subparsers(metavar="COMMAND"), self._common)
