"""`python -m tests.faults [--long] [ID ...]`: runs cases and prints what came of them as a table.

python -m tests.faults                every case in its short form, some minutes
python -m tests.faults CR-03 NF-09    only these
python -m tests.faults --long         as they are run before a release: hours
"""

import os
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.faults.here import LONG_FORM

HERE: Final = Path(__file__).parent
ELSEWHERE: Final = {
    "PL-05": (HERE.parent / "test_threat_model.py", "the schema, and who learns what from it"),
}
"""Cases that have a test file of their own, and what they are about."""
RESULTS: Final = {"passed": "held", "failed": "BROKEN", "not possible here": "not possible here"}
_SENTENCE: Final = re.compile(r"([A-Z]{2}-[0-9]{2}): (.+)", re.DOTALL)


@dataclass
class Row:
    """What came of one case."""

    sentences: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    seconds: float = 0.0
    missing: set[str] = field(default_factory=set)

    @property
    def result(self) -> str:
        """The worst of its parts."""
        order = ["BROKEN", "held", "not possible here"]
        return min(self.results, key=order.index, default="not run")


class Cases:
    """A plugin of pytest: picks cases by their ids and keeps what came of them.

    Args:
        wanted: ids; none for all.
    """

    def __init__(self, wanted: set[str]) -> None:
        self._wanted = wanted
        self._names: dict[str, tuple[str, str]] = {}
        self.rows: dict[str, Row] = defaultdict(Row)

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the cases that are wanted."""
        kept = []
        for item in items:
            id, sentence = _case(item)
            if id and (not self._wanted or id in self._wanted):
                self._names[item.nodeid] = id, sentence
                kept.append(item)
        config.hook.pytest_deselected(items=[one for one in items if one not in kept])
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what came of a test, and how long it took."""
        id, sentence = self._names[report.nodeid]
        row = self.rows[id]
        row.seconds += report.duration
        if report.when == "call" or report.failed:
            missing = dict(report.user_properties).get("not possible here")
            row.results.append(RESULTS["not possible here" if missing else report.outcome])
            row.missing |= {str(missing)} if missing else set()
        if sentence not in row.sentences:
            row.sentences.append(sentence)


def _case(item: pytest.Item) -> tuple[str, str]:
    """Return a test's id and sentence; no id if it is no case."""
    for id, (path, sentence) in ELSEWHERE.items():
        if item.path == path:
            return id, sentence
    text = getattr(getattr(item, "function", None), "__doc__", None) or ""
    found = _SENTENCE.match(text)
    return (found[1], " ".join(found[2].split())) if found else ("", "")


def table(rows: dict[str, Row]) -> str:
    """Return the table in Markdown, one row for each case."""
    lines = [
        "| case | result | seconds | what is done, and what has to hold |",
        "|---|---|---|---|",
    ]
    for id, row in sorted(rows.items()):
        result = ": ".join([row.result, *sorted(row.missing)][:2])
        lines.append(f"| {id} | {result} | {row.seconds:.1f} | {' · '.join(row.sentences)} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run the cases that `arguments` name, or all of them; return the exit status."""
    wanted = {one.upper() for one in arguments if not one.startswith("-")}
    if set(arguments) - {"--long"} - {one for one in arguments if not one.startswith("-")}:
        print(__doc__)
        return 2
    if "--long" in arguments:
        os.environ[LONG_FORM] = "1"
    cases = Cases(wanted)
    places = [HERE, *(path for path, _ in ELSEWHERE.values())]
    status = pytest.main(["-q", "--no-header", *map(str, places)], plugins=[cases])
    unknown = wanted - set(cases.rows)
    print(f"\n{table(cases.rows)}")
    if unknown:
        print(f"\nThere is no case {', '.join(sorted(unknown))}.", file=sys.stderr)
    return 2 if unknown else int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
