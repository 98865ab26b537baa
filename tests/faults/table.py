"""What came of each case as a table, and the document that keeps it: docs/reliability.md.

A run of some cases replaces their rows in the document and leaves the others as they were, so that
a run of hours may be done in pieces. What was run long is not replaced by what was run short.
"""

import platform
import re
import sqlite3
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

BEGIN: Final = "<!-- What follows is written by `python -m tests.faults --long`. -->"
END: Final = "<!-- Here it ends. -->"
HEADER: Final = (
    "| case | result | run | how much | seconds | what is done, and what has to hold |",
    "|---|---|---|---|---|---|",
)
_ROW: Final = re.compile(r"\| ([A-Z]{2}-[0-9]{2}) \| .*\|")


@dataclass
class Row:
    """What came of one case."""

    sentences: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    seconds: float = 0.0
    missing: set[str] = field(default_factory=set)
    amounts: list[str] = field(default_factory=list)
    """How much of what was done, such as "300 power cuts"."""

    @property
    def result(self) -> str:
        """The worst of its parts."""
        order = ["BROKEN", "held", "not possible here"]
        return min(self.results, key=order.index, default="not run")


def lines(rows: Mapping[str, Row], *, run: str) -> dict[str, str]:
    """Return one line of Markdown for each case.

    Args:
        rows: what came of the cases.
        run: how and when it was run.
    """
    found = {}
    for id, row in rows.items():
        result = ": ".join([row.result, *sorted(row.missing)][:2])
        amount, sentences = ", ".join(row.amounts), " · ".join(row.sentences).replace("|", "/")
        found[id] = f"| {id} | {result} | {run} | {amount} | {row.seconds:.0f} | {sentences} |"
    return found


def table(rows: Mapping[str, str]) -> str:
    """Return the table, its rows in the order of their ids."""
    return "\n".join([*HEADER, *(line for _, line in sorted(rows.items()))])


def renewed(document: str, rows: Mapping[str, str], *, missing: Iterable[str]) -> str:
    """Return the document with these rows in the place of older ones.

    Args:
        document: as it is.
        rows: lines by case.
        missing: cases that no test plays.

    Raises:
        ValueError: the document has no place for a table.
    """
    before, begin, rest = document.partition(BEGIN)
    written, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("there is no place for the table")
    old = {found[1]: line for line in written.splitlines() if (found := _ROW.fullmatch(line))}
    rows = {id: line for id, line in rows.items() if _is_long(line) or not _is_long(old.get(id))}
    absent = ", ".join(sorted(set(missing)))
    parts = [facts(), table({**old, **rows}), f"Cases without a test: {absent or 'none'}."]
    return before + BEGIN + "\n\n" + "\n\n".join(parts) + "\n\n" + end + after


def _is_long(line: str | None) -> bool:
    return line is not None and line.split(" | ")[2].startswith("long")


def write(path: Path, rows: Mapping[str, str], *, missing: Iterable[str]) -> None:
    """Renew the rows in a file."""
    text = renewed(path.read_text(encoding="utf-8"), rows, missing=missing)
    path.write_text(text, encoding="utf-8")


def facts() -> str:
    """Return what the last run was done with, none of which tells whose machine it was."""
    return (
        f"Last run: {date.today().isoformat()}, {platform.system()} {platform.release()} on "  # noqa: DTZ011  # the day where it was run
        f"{platform.machine()}, Python {platform.python_version()}, SQLite "
        f"{sqlite3.sqlite_version}, {ssl.OPENSSL_VERSION.rsplit(' ', 3)[0]}."
    )
