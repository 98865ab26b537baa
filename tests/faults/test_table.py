"""The table says what came of each case, and keeps what earlier runs have said of others."""

import pytest

from tests.faults.cases import CASES, told
from tests.faults.table import BEGIN, END, Row, lines, renewed, table


def test_the_table_names_the_worst_that_happened() -> None:
    rows = {
        "CR-02": Row(["it is cut"], ["held", "BROKEN"], 1.75, amounts=["3 cuts", "2 kills"]),
        "CR-01": Row(["it | is killed"], ["not possible here"], 0.1, {"strace is not installed"}),
    }

    assert table(lines(rows, run="short, today")).splitlines()[2:] == [
        "| CR-01 | not possible here: strace is not installed | short, today |  | 0 "
        "| it / is killed |",
        "| CR-02 | BROKEN | short, today | 3 cuts, 2 kills | 2 | it is cut |",
    ]


def test_a_run_of_some_cases_leaves_the_rows_of_the_others() -> None:
    document = f"Before.\n{BEGIN}\n{END}\nAfter.\n"
    first = lines({"CR-01": Row(["a"], ["held"]), "CR-03": Row(["c"], ["held"])}, run="long, then")
    second = lines(
        {"CR-03": Row(["c"], ["BROKEN"]), "CR-02": Row(["b"], ["held"])}, run="long, now"
    )

    once = renewed(document, first, missing=["BI-02", "BI-01"])
    twice = renewed(once, second, missing=[])

    assert "Cases without a test: BI-01, BI-02." in once
    assert "Cases without a test: none." in twice
    assert [line for line in twice.splitlines() if line.startswith("| C")] == [
        "| CR-01 | held | long, then |  | 0 | a |",
        "| CR-02 | held | long, now |  | 0 | b |",
        "| CR-03 | BROKEN | long, now |  | 0 | c |",
    ]
    assert twice.startswith("Before.\n")
    assert twice.endswith("\nAfter.\n")
    assert renewed(twice, {}, missing=[]) == twice


def test_a_short_run_does_not_replace_a_long_one() -> None:
    document = f"{BEGIN}\n{END}"
    long = lines({"CR-01": Row(["a"], ["held"], missing={"x"})}, run="long, then")
    short = lines({"CR-01": Row(["a"], ["held"]), "CR-02": Row(["b"], ["held"])}, run="short, now")

    both = renewed(renewed(document, long, missing=[]), short, missing=[])
    again = renewed(renewed(document, short, missing=[]), long, missing=[])

    assert both == again
    assert "| CR-01 | held: x | long, then |" in both
    assert "| CR-02 | held | short, now |" in both


def test_a_document_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        renewed(f"{BEGIN} and no end", {}, missing=[])


@pytest.mark.parametrize(
    ("name", "docstring", "ids", "sentence"),
    [
        ("test_it", "CR-03: the power\n    goes.", ("CR-03",), "the power goes."),
        ("test_it", "A12, CY-01: in a bundle.", ("CY-01",), "in a bundle."),
        ("test_it", "G6, AZ-07, AZ-08: a relay.", ("AZ-07", "AZ-08"), "a relay."),
        ("test_it", "CY-02, small: a thousand.", ("CY-02",), "a thousand."),
        ("test_nf_10_twice_is_once", "", ("NF-10",), "twice is once"),
        ("test_it", "Whatever: CR-03 has nothing to do with it.", (), ""),
        ("test_it", "", (), ""),
    ],
)
def test_a_test_says_which_cases_it_plays(
    name: str, docstring: str, ids: tuple[str, ...], sentence: str
) -> None:
    assert told(name, docstring) == (ids, sentence)


def test_no_case_is_listed_twice() -> None:
    assert len(set(CASES)) == len(CASES)
    assert CASES[:2] == ("CR-01", "CR-02")
