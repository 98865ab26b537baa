"""Calls a command of `homepost` in this process, with standard input as given."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from peer.cli import main


@dataclass(frozen=True)
class Said:
    """What a command has said."""

    status: int
    out: str
    errors: str

    @property
    def last(self) -> dict[str, Any]:
        """The last line of a command that was called with `--json`."""
        return self.events[-1]

    @property
    def events(self) -> list[dict[str, Any]]:
        """All lines of a command that was called with `--json`."""
        return [json.loads(line) for line in self.out.splitlines()]


@contextlib.contextmanager
def _standard_input(stream: TextIO) -> Iterator[None]:
    before, sys.stdin = sys.stdin, stream
    try:
        yield
    finally:
        sys.stdin = before


def called(home: Path, *arguments: str | Path, typed: str = "") -> Said:
    """Run a command on the phone in `home`; it reads `typed` and then the end."""
    reads, writes = os.pipe()
    os.write(writes, typed.encode())
    os.close(writes)
    out, errors = io.StringIO(), io.StringIO()
    with (
        os.fdopen(reads) as stdin,
        _standard_input(stdin),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        status = main(["--home", str(home), *map(str, arguments)])
    return Said(status, out.getvalue(), errors.getvalue())
