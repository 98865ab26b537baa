"""`python -m tests.faults [--long] [ID ...]`: runs cases and prints what came of them as a table.

python -m tests.faults                      every case in its short form, some minutes
python -m tests.faults CR-03 NF-09          only these
python -m tests.faults --long               as they are run before a release: hours
python -m tests.faults --long CR-03         some of it: the rows of the others stay as they were
python -m tests.faults --long --part 0.3    three tenths of it: 300 power cuts, not 1,000
python -m tests.faults --long --minutes 1   a minute of fuzzing for each parser, not ten
python -m tests.faults --list               which cases there are, and which tests play them

A long run writes its rows into docs/reliability.md. So does a short one with --write, but not over
rows of a long one.
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from tests.faults.cases import CASES, PLACES, played_by
from tests.faults.here import ALL_MINUTES, LONG_FORM, MINUTES
from tests.faults.table import Row, lines, table, write

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
RESULTS: Final = {"passed": "held", "failed": "BROKEN", "not possible here": "not possible here"}


class Cases:
    """A plugin of pytest: picks cases by their ids and keeps what came of them.

    Args:
        wanted: ids; none for all.
        listing: whether they are only to be listed.
    """

    def __init__(self, wanted: set[str], *, listing: bool) -> None:
        self._wanted = wanted
        self._listing = listing
        self._names: dict[str, tuple[list[str], str]] = {}
        self.found: dict[str, list[str]] = defaultdict(list)
        """Tests by the cases that they play."""
        self.rows: dict[str, Row] = defaultdict(Row)

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the cases that are wanted."""
        kept = []
        for item in items:
            played, sentence = played_by(item)
            for id in played:
                self.found[id].append(item.nodeid)
            ids = [id for id in played if id in CASES and (not self._wanted or id in self._wanted)]
            if ids and not self._listing:
                self._names[item.nodeid] = ids, sentence
                kept.append(item)
        config.hook.pytest_deselected(items=[one for one in items if one not in kept])
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what came of a test, how long it took, and how much of what it did."""
        ids, sentence = self._names[report.nodeid]
        for row in (self.rows[id] for id in ids):
            row.seconds += report.duration
            if report.when == "call" or report.failed:
                told = {str(name): str(one) for name, one in report.user_properties}
                missing = told.get("not possible here")
                row.results.append(RESULTS["not possible here" if missing else report.outcome])
                row.missing |= {missing} if missing else set()
                if told.get("amount", "") not in ("", *row.amounts):
                    row.amounts.append(told["amount"])
            if sentence not in row.sentences:
                row.sentences.append(sentence)


def main(arguments: list[str]) -> int:
    """Run the cases that `arguments` name, or all of them; return the exit status."""
    told = _parser().parse_args(arguments)
    wanted = {str(one).upper() for one in told.ids}
    if unknown := wanted - set(CASES):
        print(f"There is no case {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    options = ["-q", "--no-header"]
    if told.long:
        os.environ[LONG_FORM], os.environ[MINUTES] = str(told.part), str(told.minutes)
        options += ["--timeout=0"]
    if told.list:
        options += ["--collect-only", "-qq", "-W", "ignore"]
    cases = Cases(wanted, listing=told.list)
    status = int(pytest.main([*options, *_places()], plugins=[cases]))
    if told.list:
        _list(cases)
        return 0
    came = {id: row for id, row in cases.rows.items() if row.results}  # not what was interrupted
    rows = lines(came, run=_run(told))
    missing = [id for id in CASES if id not in cases.found]
    if told.long or told.write:
        write(DOCUMENT, rows, missing=missing)
    print(f"\n{table(rows)}")
    if absent := [id for id in missing if not wanted or id in wanted]:
        print(f"\nNo test plays {', '.join(absent)}.", file=sys.stderr)
        return status or 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="such as CR-03; none: all of them")
    parser.add_argument("--long", action="store_true", help="the long form, written down")
    parser.add_argument("--part", type=float, default=1.0, help="how much of the long form (1)")
    parser.add_argument(
        "--minutes", type=float, default=ALL_MINUTES, help=f"of each search ({ALL_MINUTES:.0f})"
    )
    parser.add_argument("--write", action="store_true", help="write a short form down too")
    parser.add_argument("--list", action="store_true", help="say which cases there are")
    return parser


def _places() -> Iterable[str]:
    return [str(path) for path in PLACES if path.exists()]


def _run(told: argparse.Namespace) -> str:
    today = date.today().isoformat()  # noqa: DTZ011  # the day where it is run
    return f"{'long' if told.long else 'short'}, {today}"


def _list(cases: Cases) -> None:
    for id in CASES:
        tests = dict.fromkeys(one.partition("[")[0] for one in cases.found.get(id, []))
        print(id, *(tests or ["no test"]), sep="\n    ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
