"""What a command of the line is given, and how it is put on the line."""

import argparse
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from peer.app import Peer, open_peer
from peer.console import Screen
from peer.errors import Locked, NoSuchFile
from peer.keys.file_key import MAX_PIN

DONE: Final = 0
FAILED: Final = 1
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Call:
    """One command: whose phone, what was said, and where to speak."""

    home: Path
    arguments: argparse.Namespace
    screen: Screen

    def phone(self) -> AbstractAsyncContextManager[Peer]:
        """Open the phone; its PIN is asked for if it has one."""
        return open_peer(self.home, ask_pin=self.pin)

    async def pin(self) -> str:
        """Return the PIN that is in the file which was named, or that is typed.

        Raises:
            Locked: there is neither.
            NoSuchFile: the file cannot be read.
        """
        if self.arguments.pin_file is not None:
            return read_pin(self.arguments.pin_file)
        pin = await self.screen.pin("PIN: ")
        if pin is None:
            raise Locked
        return pin


def read_pin(path: Path) -> str:
    """Return the first line of a file, which may be an inherited descriptor: /dev/fd/3.

    Raises:
        NoSuchFile: it cannot be read, or is no text.
    """
    try:
        with path.open("rb") as file:
            return file.readline(MAX_PIN + 2).rstrip(b"\r\n").decode("utf-8")
    except OSError as error:
        why = error.strerror
    except UnicodeDecodeError:
        why = "it is no text"
    raise NoSuchFile(f"the PIN cannot be read from {path} ({why}); check its name and whose it is")


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
        parser = self.add(name, run, help)
        commands = parser.add_subparsers(title="commands", metavar="COMMAND")
        return Commands(commands, self._common)
