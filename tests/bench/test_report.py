"""The table says what came of each row, and finds its place in the document again."""

import json
from pathlib import Path

import pytest

from bench.report import BEGIN, END, absences, as_json, far_off, put_in, table
from bench.targets import FOOTPRINT, TARGETS, Goal, Row

ROW = Row("1", "a time", (Goal("of the floor", lambda seen: seen("time"), 2.0, 1.0),))
DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"


def test_a_row_has_its_bounds_its_number_and_its_verdict() -> None:
    lines = table([ROW], {"tls.time": 1.5, "plain.time": 3.0}).splitlines()

    assert lines[2] == (
        "| 1 | a time | ≤ 2 of the floor | ≤ 1 of the floor "
        "| 3.00 of the floor: **missed by 50%** | 1.50 of the floor: **met** |"
    )


def test_what_was_not_measured_says_so() -> None:
    assert table([ROW], {}).splitlines()[2].endswith("| not measured | not measured |")


def test_all_rows_become_json() -> None:
    found = json.loads(json.dumps(as_json([ROW], {"tls.time": 0.5})))

    assert [(one["column"], one["verdict"]) for one in found] == [
        ("plain", "not measured"),
        ("tls", "met, stretch too"),
    ]


def test_rows_that_miss_by_more_than_a_fifth_are_found() -> None:
    assert far_off([ROW], {"tls.time": 2.5}) == {"1"}
    assert far_off([ROW], {"tls.time": 2.2}) == set()
    assert far_off([ROW], {"tls.time": 1.9}) == set()


def test_what_is_absent_is_named_with_its_reason() -> None:
    assert absences({"redis": "apt-get is not installed"}) == (
        "Not measured: redis: apt-get is not installed."
    )


def test_a_table_is_put_where_the_last_one_was() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    assert put_in(document, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert put_in(put_in(document, "new"), "newer") == put_in(document, "newer")
    with pytest.raises(ValueError, match="no"):
        put_in("nothing", "new")


def test_the_document_says_what_limits_each_row_that_misses_by_more_than_a_fifth() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    shown = text.partition(BEGIN)[2].partition(END)[0]
    reasons = text.partition("## What limits the rows that miss")[2]

    assert shown.strip()
    for row in (*TARGETS, *FOOTPRINT):
        cells = next(line for line in shown.splitlines() if line.startswith(f"| {row.id} |"))
        missed = [int(one.partition("%")[0].replace(",", ""))
                  for one in cells.split("missed by ")[1:]]  # fmt: skip
        assert all(one <= 20 for one in missed) or f"**Row {row.id}.**" in reasons, cells
